"""One look for every figure: a journal's column widths, type of 7 to 9 pt, colours anybody can tell apart.

Nothing here changes matplotlib's settings for good: figures are drawn inside `styled`, written inside
`save`, and both put back what they found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, final

from cycler import cycler
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator, NullFormatter

from shapeshift.data.disk import write_whole
from shapeshift.errors import ShapeshiftError
from shapeshift.show.fitting import at_width

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
}
_UNDATED: dict[str, dict] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
_DPI = {"png": 200}
_VECTOR_DPI = 400  # of the dense parts that are pixels also in a vector file: what journals ask for
# What a figure of one's own needs besides: the package's functions name their colours and sizes.
_OWN: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=CYCLE),
    "image.cmap": QUANTITY,
    "figure.figsize": (SINGLE, SINGLE * 0.75),
    "figure.constrained_layout.use": True,
}

Column = Literal["single", "double"]


def size(column: Column = "single", *, aspect: float = 0.75) -> tuple[float, float]:
    """The size of a figure that fills one column of a journal, or both.

    Parameters
    ----------
    column : {"single", "double"}
        89 mm or 183 mm wide.
    aspect : float
        Height over width.

    Returns
    -------
    (float, float)
        Width and height in inches, as matplotlib's ``figsize`` takes them.

    Raises
    ------
    ShapeshiftError
        Another column, or an aspect that is not a positive number.

    Examples
    --------
    >>> [round(25.4 * side) for side in size("double", aspect=0.5)]  # mm
    [183, 92]
    """
    widths = {"single": SINGLE, "double": DOUBLE}
    if column not in widths:
        raise ShapeshiftError(f"got column={column!r}, needed 'single' or 'double': pass one of these.")
    if not 0 < aspect < float("inf"):
        raise ShapeshiftError(f"got aspect={aspect!r}, needed height over width, a number above 0, as 0.75.")
    return widths[column], widths[column] * aspect


@contextmanager
def style() -> Iterator[None]:
    """Draw figures of one's own like those of this package, inside ``with``.

    Type of 7 to 9 pt, colours that are told apart with every kind of colour vision, text that stays text in
    vector files. matplotlib's settings are put back at the end. Write with :func:`save`.

    Returns
    -------
    context manager
        Of None.

    Examples
    --------
    >>> import matplotlib
    >>> from matplotlib.figure import Figure
    >>> with style():
    ...     figure = Figure(figsize=size("single", aspect=0.6))
    ...     lines = figure.add_subplot().plot([0, 1], [0, 1])
    >>> lines[0].get_color() == BLUE, matplotlib.rcParams["font.size"]
    (True, 10.0)
    """
    with rc_context(_SETTINGS | _FILES | _OWN):
        yield


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


def save(
    figure: Figure,
    target: Path | str | BytesIO,
    *,
    format: str | None = None,
    column: Column | None = None,
    dpi: float | None = None,
) -> None:
    """Write a figure with text as text, editable in a drawing program, and the same bytes every time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        One of this package, or any other.
    target : path or file
    format : {"png", "svg", "pdf"} or another that matplotlib writes, optional
        By default the file name's ending, or png.
    column : {"single", "double"}, optional
        Lay the figure out anew for this width, long labels in several lines; the type keeps its size. By
        default as wide as it is.
    dpi : float, optional
        Pixels an inch of pictures, and of the dense parts of vector files; 200 and 400 by default.

    Returns
    -------
    None

    Raises
    ------
    ShapeshiftError
        A format or column that is not known, or a figure of several panels that has no room in one column.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=9, seed=1)
    >>> target = BytesIO()
    >>> ss.plot.save(ss.plot.signals(X), target, format="svg", column="single")
    >>> target.getvalue()[:5]
    b'<?xml'
    """
    ending = Path(target).suffix if isinstance(target, str | os.PathLike) else ""
    kind = format or ending.lstrip(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ShapeshiftError(
            f"got the format {kind!r}, needed one of {', '.join(sorted(known))}: use pdf or svg."
        )
    drawn, dots = BytesIO(), dpi or _DPI.get(kind, _VECTOR_DPI)
    wide = at_width(figure, size(column)[0]) if column is not None else nullcontext()
    with rc_context(_FILES), wide:
        figure.savefig(drawn, format=kind, dpi=dots, metadata=_UNDATED.get(kind))
    if isinstance(target, str | os.PathLike):
        write_whole(target, drawn.getvalue())
    else:
        target.write(drawn.getvalue())
