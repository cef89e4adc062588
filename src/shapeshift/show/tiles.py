"""Many small curves in one axes: quick to draw, small in a vector file, and the axes still mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection

from shapeshift.show import style
from shapeshift.show.labels import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_ROOM = 0.86  # share of a tile that its curve fills


def tiles(
    ax: Axes, values: NDArray, axis: NDArray, *, mark: float | None = None, strong: NDArray | None = None
) -> tuple[float, float]:
    """Draw `values` (rows, columns, length) as curves of one scale; tile (0, 0), lower left, lies at 0, 0.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    values, axis : ndarray
    mark : float, optional
        A position on the signal axis that every tile shows as a hairline.
    strong : ndarray of bool (rows, columns), optional
        The tiles that count: others are pale, cut at the tile's edge, and do not set the scale.

    Returns
    -------
    (float, float)
        The lowest and highest value, which the tiles' lower and upper ends stand for.
    """
    rows, columns, _ = values.shape
    strong = np.ones((rows, columns), bool) if strong is None else strong
    low, high = float(np.nanmin(values[strong])), float(np.nanmax(values[strong]))
    across = _within(axis, axis[0], axis[-1])
    up = _within(np.where((values < low) | (values > high), np.nan, values), low, high)
    centres = [(i, j) for i in range(rows) for j in range(columns)]
    if mark is not None:
        at = float(_within(np.array([mark]), axis[0], axis[-1])[0])
        hairlines = [[(j + at, i - _ROOM / 2), (j + at, i + _ROOM / 2)] for i, j in centres]
        ax.add_collection(LineCollection(hairlines, colors=style.FAINT, linewidths=0.6))
    lines = [np.column_stack([j + across, i + up[i, j]]) for i, j in centres]
    colours = [style.BLUE if strong[i, j] else style.PALE for i, j in centres]
    ax.add_collection(LineCollection(lines, colors=colours, linewidths=0.9, capstyle="round"))
    _frames(ax, rows, columns)
    return low, high


def _within(values: NDArray, low: float, high: float) -> NDArray:
    """Values of [low, high] moved into a tile around 0."""
    return _ROOM * ((values - low) / ((high - low) or 1.0) - 0.5)


def _frames(ax: Axes, rows: int, columns: int) -> None:
    """Hairlines between the tiles, and nothing else around them."""
    across = [[(-0.5, i - 0.5), (columns - 0.5, i - 0.5)] for i in range(rows + 1)]
    down = [[(j - 0.5, -0.5), (j - 0.5, rows - 0.5)] for j in range(columns + 1)]
    hairlines = LineCollection([*across, *down], colors=style.FAINT, linewidths=0.4, zorder=0.5)
    hairlines.set_clip_on(False)  # those at the edge would lose half their width
    ax.add_collection(hairlines)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0)


def corner_ticks(ax: Axes, axis: NDArray, low: float, high: float) -> None:
    """Numbers at both ends of the lower left tile: the scale that all tiles share."""
    ends = (-_ROOM / 2, _ROOM / 2)
    ax.set_xticks(ends, [number(float(v), abs(axis[-1] - axis[0])) for v in (axis[0], axis[-1])])
    ax.set_yticks(ends, [number(v, high - low) for v in (low, high)])
    ax.tick_params(length=2.5)
