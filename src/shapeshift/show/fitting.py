"""A figure at another size: laid out anew, and long titles and labels broken so that none is cut."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.text import Text

from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOWEST = 0.75  # height over width that a figure made for two columns may take in one
_FEWEST = 10  # characters of a line


@contextmanager
def at_width(figure: Figure, width: float) -> Iterator[None]:
    """The figure with another width in inches while something is done with it; then as it was.

    Its proportions stay, but what becomes narrower need not become as low: labels take the height they take.

    Raises
    ------
    ShapeshiftError
        If it was wider, and its type has no room here.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure(figsize=(7.2, 2.4))
    >>> with at_width(figure, 3.6):
    ...     print(figure.get_size_inches())
    [3.6 2.4]
    >>> print(figure.get_size_inches())
    [7.2 2.4]
    """
    before = (figure.get_figwidth(), figure.get_figheight())
    height = before[1] * width / before[0]
    written: dict[Text, str] = {}
    figure.set_size_inches(width, max(height, min(before[1], _LOWEST * width)))
    try:
        room = _laid_out(figure, written)
        if width < before[0] and not (room and fits(figure)):
            raise ShapeshiftError(
                f"got a width of {25.4 * width:.0f} mm, needed more for the panels of this figure and "
                "their type: use column='double', or draw single panels with ax=."
            )
        yield
    finally:
        for text, told in written.items():
            text.set_text(told)
        figure.set_size_inches(*before)


def _laid_out(figure: Figure, written: dict[Text, str]) -> bool:
    """Lay out and break what is too long, until nothing is; whether there was room for any axes."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # matplotlib warns where axes collapse
        for _ in range(3):  # broken labels leave other room
            told.clear()
            figure.draw_without_rendering()
            if not sum(_broken(text, room, written) for ax in figure.axes for text, room in _texts(ax)):
                break
    return not any("collapsed" in str(w.message) for w in told)


def fits(figure: Figure) -> bool:
    """Whether all type lies within a figure that was drawn, and no two numbers along an axis touch.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure(figsize=(2, 2))
    >>> text = figure.text(0.9, 0.5, "far too far out")
    >>> figure.draw_without_rendering()
    >>> fits(figure)
    False
    """
    edges, unseen = figure.bbox.padded(2), {id(t) for ax in figure.findobj(Axes) for t in _beyond(ax)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in unseen:
            box = text.get_window_extent()
            if box.x0 < edges.x0 or box.x1 > edges.x1 or box.y0 < edges.y0 or box.y1 > edges.y1:
                return False
    axes = [axis for ax in figure.axes if ax.get_visible() for axis in (ax.xaxis, ax.yaxis)]
    labels = [[t for t in axis.get_ticklabels() if t.get_text() and id(t) not in unseen] for axis in axes]
    boxes = [[t.get_window_extent() for t in row] for row in labels]
    return not any(a.overlaps(b) for row in boxes for a, b in pairwise(row))


def _beyond(ax: Axes) -> Iterator[Text]:
    """Numbers beyond the ends of an axis: made by matplotlib and not drawn."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        reach = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not (low - reach <= tick.get_loc() <= high + reach and ax.get_visible()):
                yield from (tick.label1, tick.label2)


def _texts(ax: Axes) -> Iterator[tuple[Text, float]]:
    """Title and labels of an axes, and how long each may be, in pixels."""
    box = ax.get_window_extent()
    across, up = box.width, 1.1 * box.height
    title, texts = ax.get_title("left"), (t for t in ax.get_children() if isinstance(t, Text))
    yield from ((t, across) for t in texts if title and t.get_text() == title)
    yield ax.xaxis.label, 1.1 * across
    yield ax.yaxis.label, up


def _broken(text: Text, room: float, written: dict[Text, str]) -> bool:
    """Break a text that is longer than its room; whether it was. Formulas are left as they are."""
    told = text.get_text()
    box = text.get_window_extent()
    long = box.height if text.get_rotation() == 90 else box.width
    if long <= room or told.count("$") > told.count(r"\$"):
        return False
    most = max(map(len, told.split("\n")))
    new = fill(" ".join(told.split()), max(_FEWEST, int(most * room / long)))
    written.setdefault(text, told)
    text.set_text(new)
    return new != told
