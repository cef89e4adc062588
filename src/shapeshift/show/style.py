"""One look for every figure: a journal's column widths, type of 7 to 9 pt, colours anybody can tell apart.

Nothing here changes matplotlib's settings for good: figures are drawn inside `styled`, written inside
`save`, and both put back what they found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator, NullFormatter

from shapeshift.data.disk import write_whole

P = ParamSpec("P")
R = TypeVar("R")

SINGLE = 89 / 25.4  # inches: one column of a journal
DOUBLE = 183 / 25.4  # inches: both columns

# Okabe and Ito's colours: told apart with every kind of colour vision.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7"
INK, GREY, FAINT, PALE = "#222222", "#7A7A7A", "#D4D4D4", "#B7D3E6"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)

# A learned quantity has an arbitrary zero (sequential map); a residual has a true one (diverging map).
QUANTITY, INTENSITY, SIGNED = "viridis", "magma", "RdBu_r"
CYCLIC = "twilight"  # of angles: 180 and -180 degrees are one colour

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "image.interpolation": "nearest",
    "image.origin": "lower",
}
# Text stays text in a vector file, and the same figure gives the same bytes.
_FILES: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "shapeshift",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}
_UNDATED: dict[str, dict] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


@final
class Drawing(Figure):
    """A figure that notebooks show by themselves, with no pyplot behind it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        save(self, buffer, format="png")
        return buffer.getvalue()


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the house style and leave matplotlib's settings as they were.

    Examples
    --------
    >>> import matplotlib
    >>> styled(lambda: matplotlib.rcParams["xtick.labelsize"])()
    7.0
    >>> matplotlib.rcParams["xtick.labelsize"]
    'medium'
    """

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(_SETTINGS):
            return draw(*args, **kwargs)

    return inside


Layout = Literal["constrained", "compressed"]


def sheet(width: float = SINGLE, height: float = SINGLE * 0.75, *, layout: Layout = "constrained") -> Figure:
    """An empty figure of a size in inches whose parts lay themselves out; compressed around pictures."""
    figure = Drawing(figsize=(width, height), layout=layout)
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.04, wspace=0.04, hspace=0.04)  # type: ignore[union-attr,call-arg]
    return figure


def one(
    ax: Axes | None,
    width: float = SINGLE,
    height: float = SINGLE * 0.75,
    *,
    layout: Layout = "constrained",
) -> tuple[Figure, Axes]:
    """The axes to draw in and its figure: those given, or new ones."""
    if ax is None:
        figure = sheet(width, height, layout=layout)
        return figure, figure.add_subplot()
    parent = ax.figure
    while isinstance(parent, SubFigure):
        parent = parent.figure
    return parent, ax


def bar(figure: Figure, panels: Sequence[Axes], mappable: ScalarMappable, text: str) -> None:
    """A slim colour bar with its label, beside one or more panels."""
    drawn = figure.colorbar(mappable, ax=list(panels), pad=0.02, aspect=28, fraction=0.05)
    drawn.outline.set_linewidth(0.4)  # type: ignore[operator]
    drawn.set_label(text)
    if mappable.get_cmap().name == CYCLIC:
        drawn.set_ticks([-180, -90, 0, 90, 180])
    if isinstance(mappable.norm, LogNorm):
        drawn.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        drawn.ax.yaxis.set_major_formatter("{x:g}")
        drawn.ax.yaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, target: Path | str | BytesIO, *, format: str | None = None) -> None:
    """Write a figure with text as text, editable in a drawing program, and the same bytes every time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    target : path or file
    format : {"png", "svg", "pdf"}, optional
        By default the file name's ending.

    Examples
    --------
    >>> target = BytesIO()
    >>> save(sheet(1, 1), target, format="svg")
    >>> target.getvalue()[:5]
    b'<?xml'
    """
    kind = format or Path(str(target)).suffix.lstrip(".").lower() or "png"
    drawn = BytesIO()
    with rc_context(_FILES):
        figure.savefig(drawn, format=kind, metadata=_UNDATED.get(kind))
    if isinstance(target, str | os.PathLike):
        write_whole(target, drawn.getvalue())
    else:
        target.write(drawn.getvalue())
