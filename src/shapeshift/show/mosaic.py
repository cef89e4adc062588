"""Many small images in one axes, side by side and on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize

from shapeshift.data.images import as_images
from shapeshift.show import style
from shapeshift.show.labels import label, limits, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from shapeshift.data.images import Raster

_GAP = 0.06  # share of a panel's shorter side between two panels


def planes(X: Any, raster: Raster | None = None) -> tuple[NDArray[np.float64], Raster]:
    """Images (n, h, w) to look at, the mean of their channels, and their raster; nan stays."""
    given = np.asarray(X, dtype=float)
    filled = X.copy(data=np.nan_to_num(given)) if hasattr(X, "dims") else np.nan_to_num(given)
    stack = as_images(filled, None if raster is None else raster.shape)
    if np.isnan(given).any():
        missing = np.isnan(given).astype(float)
        there = as_images(X.copy(data=missing) if hasattr(X, "dims") else missing, stack.raster.shape).values
        stack.values[there > 0] = np.nan
    return stack.values.reshape(-1, *stack.raster.shape).mean(1), stack.raster


def mosaic(
    ax: Axes,
    panels: NDArray,
    *,
    top: bool = False,
    strong: NDArray | None = None,
    cmap: str = style.INTENSITY,
    norm: Normalize | None = None,
) -> AxesImage:
    """Draw `panels` (rows, columns, h, w) as one picture; panel (0, 0), lower left, has its middle at 0, 0.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    panels : ndarray
        nan is grey: not measured.
    top : bool
        Panel (0, 0) upper left instead.
    strong : ndarray of bool (rows, columns), optional
        The panels that count: others are pale and do not set the scale.
    cmap, norm
        By default from the lowest to the highest value.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    rows, columns, h, w = panels.shape
    strong = np.ones((rows, columns), bool) if strong is None else strong
    norm = norm or Normalize(*limits(panels[strong], 0.1, 99.9))
    gap = _GAP * min(h, w)
    across, down = gap / (w + gap) / 2, gap / (h + gap) / 2
    for i in range(rows):
        for j in range(columns):
            box = (j - 0.5 + across, j + 0.5 - across, i + 0.5 - down, i - 0.5 + down)
            box = box if top else (box[0], box[1], box[3], box[2])
            _panel(ax, panels[i, j], box, cmap, norm, 1.0 if strong[i, j] else 0.3, top)
    ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5) if top else (-0.5, rows - 0.5))
    ax.set_aspect((h + gap) / (w + gap))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax.images[int(np.flatnonzero(strong.ravel())[0])]


def _panel(
    ax: Axes, values: NDArray, box: tuple[float, ...], cmap: str, norm: Normalize, alpha: float, top: bool
) -> None:
    """One image, its first row uppermost."""
    left, right, first, last = box
    there = np.isfinite(values)
    if there.any() and not there.all():
        ax.fill_between([left, right], min(first, last), max(first, last), color="#BBBBBB", lw=0, zorder=0)
    ax.imshow(
        values, extent=(left, right, first, last), origin="upper", cmap=cmap, norm=norm, alpha=alpha,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip


def side_label(name: str, values: NDArray, units: str) -> str:
    """An axis of images in words: what it is and where it begins and ends."""
    ends = [number(float(v), float(np.ptp(values))) for v in (values[0], values[-1])]
    return f"{label(name, units)} from {ends[0]} to {ends[1]}"


def values_label(X: Any, channels: int = 1) -> str:
    """What the values of images are, and their units."""
    attrs = getattr(X, "attrs", {})
    name = attrs.get("long_name") or getattr(X, "name", None) or "signal"
    mean = f"mean of {channels} channels, " if channels > 1 else ""
    return label(str(name), mean + (attrs.get("units") or "arb. units"))
