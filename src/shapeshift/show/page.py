"""A page of sections, numbers and figures, written as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from shapeshift.data.disk import write_whole
from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.look_page import Part, policy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from shapeshift.analysis.doubts import Doubt

FORMATS = ("png", "svg", "pdf")
_SCREEN = 118  # pixels of the page for an inch of a figure: 8 pt type reads as 13 px


@dataclass(frozen=True)
class Picture:
    """A figure with its file name, its title and one or two sentences on how to read it."""

    name: str
    figure: Figure
    title: str
    caption: str

    @property
    def half(self) -> bool:
        """Whether two of its kind stand side by side."""
        return self.figure.get_figwidth() <= style.SINGLE * 1.01

    @property
    def width(self) -> int:
        """Width on the page in pixels."""
        return round(self.figure.get_figwidth() * _SCREEN)

    @cached_property
    def png(self) -> bytes:
        """The figure as PNG: drawn once, for the page and the folder."""
        buffer = BytesIO()
        style.save(self.figure, buffer, format="png")
        return buffer.getvalue()

    @cached_property
    def source(self) -> str:
        """The figure as the page holds it: the same pixels, as WebP half as large where Pillow has it."""
        from PIL import Image, features

        if not features.check("webp"):
            return _data("png", self.png)
        buffer = BytesIO()
        Image.open(BytesIO(self.png)).convert("RGB").save(buffer, "WEBP", lossless=True, quality=50)
        return _data("webp", buffer.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@dataclass(frozen=True)
class Fact:
    """A number that is read at a glance."""

    name: str
    value: str
    units: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it, in this order."""

    title: str
    text: str = ""
    facts: tuple[Fact, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    pictures: tuple[Picture, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    """All of a page; `doubts` None leaves them out, an empty tuple says there are none."""

    title: str
    lead: str
    doubts: tuple[Doubt, ...] | None
    sections: tuple[Section, ...]
    foot: str = ""
    look: Part | None = None  # linked views, behind the doubts
    no_doubts: str = "No doubts: the fit ended well, and no check found anything to look at."

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        return [picture for section in self.sections for picture in section.pictures]


def render(page: Page, more: str = "") -> str:
    """The page as HTML; whatever comes from a file is text in it, never markup. ``more`` goes to its policy.

    Examples
    --------
    >>> "&lt;b&gt;" in render(Page("<b>", "", None, ()))
    True
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    template = files("shapeshift.show").joinpath("page.html").read_text(encoding="utf-8")
    scripts = page.look.scripts if page.look else ()
    return environment.from_string(template).render(page=page, policy=policy(scripts, more))


def write_page(page: Page, path: Path, *, figures: Path | None = None, format: str = "png") -> Path:
    """Write the page, whole or not at all, and its figures if a folder for them is named.

    Parameters
    ----------
    page : Page
    path : Path
        The HTML file.
    figures : Path, optional
        Folder for the figures as PNG, and in `format` too if that is another.
    format : {"png", "svg", "pdf"}

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ShapeshiftError
        If the format is none of these.
    """
    if format not in FORMATS:
        raise ShapeshiftError(f"got the format {format!r}, needed one of {', '.join(FORMATS)}: choose one")
    if figures is not None:
        save_pictures(page.pictures, figures, format)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render(page).encode("utf-8"))
    return path


def save_pictures(pictures: Iterable[Picture], folder: Path, format: str) -> None:
    """Every figure as NAME.png, and as NAME.FORMAT if that is another."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        write_whole(folder / f"{picture.name}.png", picture.png)
        if format != "png":
            style.save(picture.figure, folder / f"{picture.name}.{format}")
