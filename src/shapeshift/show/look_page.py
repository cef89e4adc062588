"""Linked views as a part of a page: markup, the scripts it needs, and what it may not do."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from shapeshift.show.look import Look
from shapeshift.show.packing import in_script

_WORDS = {
    "places": "Map or series of all signals. Arrow keys move to the next signal.",
    "plane": "Shape latents, one mark a signal.",
    "histogram": "How often values occur, of all and of the selected signals.",
    "signal": "The signal as measured, as reconstructed and moved back to shift 0, with its error bars.",
    "residual": "What the reconstruction leaves over.",
    "raw": "The image as measured.",
    "aligned": "The image moved back to pose 0.",
    "drawn": "The image as the model reconstructs it.",
    "decoded": "The signal or image that the model draws for the latents chosen.",
    "pad": "The plane of latents: drag to choose a shape; the sliders above do the same.",
}
_PICTURES = ("raw", "aligned", "drawn", "residual")
_ORDER = ("places", "signal", "raw", "aligned", "drawn", "residual", "plane", "histogram")
POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Part:
    """A part of a page: its markup, its style, and scripts in their order."""

    markup: str
    style: str
    scripts: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """The place of a figure."""

    name: str
    words: str
    keys: bool = False
    size: str = ""  # of the four columns of the page: two, or "small" one, "wide" all, "tall" two rows


@dataclass(frozen=True)
class Slider:
    """A number to be chosen."""

    label: str
    key: str | int
    low: float
    high: float
    step: float
    value: float
    latent: bool


def part_of(look: Look, more: dict[str, Any] | None = None) -> Part:
    """Markup, style and scripts of linked views.

    Parameters
    ----------
    look : Look
    more : dict, optional
        What takes the place of values of `Look.as_dict`: addresses, where the page is served.
    """
    from bokeh.document import Document
    from jinja2 import Environment
    from markupsafe import Markup

    from shapeshift.show.look_figures import figures_of

    made = figures_of(look)
    document = Document()
    for model in made.values():
        document.add_root(model)
    places = {model.id: f"look-{name}" for name, model in made.items()}
    items = [{"docid": "look", "roots": places, "root_ids": list(places)}]
    drawn = in_script({"docs": {"look": document.to_json(deferred=False)}, "items": items})
    environment = Environment(autoescape=True, trim_blocks=True)
    d = look.decoder
    markup = environment.from_string(_text("look.html")).render(
        told=look.told,
        signals=len(look.frame.sides) == 1,
        columns=look.results.columns,
        channels=[name for name, _ in look.labels],
        views=[_view(name, look) for name in _ORDER if name in made],
        decoder_views=[_view(name, look) for name in ("pad", "decoded") if name in made],
        sliders=_sliders(look) if d else [],
        classes=d.classes if d else (),
        data=Markup(in_script({**look.as_dict(), **(more or {})})),
        figures=Markup(drawn),
    )
    return Part(markup, _text("look.css"), (_bokeh(), _script()))


def policy(scripts: tuple[str, ...], more: str = "") -> str:
    """What a page with these scripts may do: run them, by their digests, and nothing else.

    Examples
    --------
    >>> policy(())
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'"
    """
    if not scripts:
        return POLICY + more
    digests = (base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{d}'" for d in digests)
    return f"{POLICY}; script-src {allowed}{more}"


@cache
def _text(name: str) -> str:
    return files("shapeshift.show").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    """The views' own: arithmetic, views, and what they answer to."""
    return "\n".join(_text(name) for name in ("look_numbers.js", "look.js", "look_listen.js"))


@cache
def _bokeh() -> str:
    """Bokeh's own script."""
    return files("bokeh").joinpath("server/static/js/bokeh.min.js").read_text(encoding="utf-8")


def _view(name: str, look: Look) -> View:
    series, images = len(look.results.sides) == 1, len(look.frame.sides) == 2
    size = "small" if images and name in _PICTURES else ""
    if name == "places":
        size = "wide" if series and not images else "tall"
    return View(name, _WORDS[name], keys=name == "places", size=size)


def _sliders(look: Look) -> list[Slider]:
    """One for each latent, and for what the model may move."""
    assert look.decoder is not None
    found = []
    for k, axis in enumerate(look.decoder.axes):
        low, high = np.round([axis[0], axis[-1]], 3)
        found.append(Slider(f"{look.results.latents[k]} (prior sd)", k, low, high, 0.01, 0, latent=True))
    names = look.results.names
    if "shift" in names and len(look.frame.sides) == 1:
        reach = float(np.nanmax(np.abs(look.results.column("shift").values)))
        label = look.results.column("shift").label
        found.append(Slider(label, "shift", -reach, reach, reach / 200, 0, latent=False))
    if "rotation" in names:
        found.append(Slider("rotation (degree)", "angle", -180, 180, 1, 0, latent=False))
    if "scale" in names:
        found.append(Slider("scale", "scale", 0.5, 2, 0.01, 1, latent=False))
    return found
