"""Figures of images: samples, before and after alignment, and what the model leaves over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize

from shapeshift.analysis.poses import columns_of, poses_of
from shapeshift.show import style
from shapeshift.show.labels import first_pose, label, number, quantity, spread
from shapeshift.show.mosaic import mosaic, planes, side_label, values_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.data.images import Raster
    from shapeshift.fit.posterior import Posterior

_FAR = 5.0  # noise sd at the ends of the residuals' colours


@style.styled
def images(X: Any, n: int = 48, *, ax: Axes | None = None) -> Figure:
    """Sample images, evenly spread over the set, on one scale.

    Parameters
    ----------
    X : images as `ImageVAE` takes them
    n : int
        How many at most.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, _ = ss.datasets.digits()
    >>> ss.plot.images(X, 12).axes[0].get_xlabel()
    'column (pixel) from 0 to 7 in each'
    """
    values, raster = planes(X)
    rows = spread(len(values), n)
    across = int(np.ceil(np.sqrt(len(rows) * values.shape[1] / values.shape[2] * 1.5)))
    down = int(np.ceil(len(rows) / across))
    shown = np.full((down * across, *values.shape[1:]), np.nan)
    shown[: len(rows)] = values[rows]
    height = 0.1 + 0.58 * down / across * values.shape[1] / values.shape[2]
    figure, ax = style.one(ax, style.DOUBLE * 0.75, style.DOUBLE * height, layout="compressed")
    image = mosaic(ax, shown.reshape(down, across, *values.shape[1:]), top=True)
    ax.set(xticks=[], yticks=[], title=f"{len(rows)} of {len(values)} images")
    _sides(ax, raster)
    style.bar(figure, [ax], image, values_label(X, raster.channels))
    return figure


@style.styled
def views(
    X: Any, aligned: Any, reconstruction: Any, p: Posterior, n: int = 7, *, numbers: NDArray | None = None
) -> Figure:
    """Some images as measured and moved back, as the model draws them, and what it leaves over.

    They are spread evenly over the order of their first pose.

    Parameters
    ----------
    X, aligned, reconstruction : images as `ImageVAE` takes them
        `aligned` is nan where nothing was measured.
    p : Posterior
    n : int
        How many images.
    numbers : array (n_images,), optional
        What to call the images; by default they are counted from 0.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.digits()[0][:40]
    >>> m = ss.ImageVAE(n_latent=2, epochs=1).fit(X)
    >>> figure = ss.plot.views(X, m.align(X), m.reconstruct(X), m.posterior(X), 5)
    >>> [ax.get_ylabel() for ax in figure.axes[:2]]
    ['image', 'residual']
    """
    values, raster = planes(X)
    moved, drawn = (planes(each, raster)[0] for each in (aligned, reconstruction))
    order = np.argsort(quantity(p, first_pose(p))[0], kind="stable")
    rows = order[spread(len(order), n)]
    # the mean of channels has less noise than one of them
    noise = np.maximum(p.noise_sd[rows, None, None], 1e-300) / np.sqrt(raster.channels)
    shown = np.stack([values[rows], moved[rows], drawn[rows]])
    height = style.DOUBLE * (0.16 + 3.6 / len(rows) * values.shape[1] / values.shape[2] * 0.92)
    figure = style.sheet(style.DOUBLE, min(height, 1.3 * style.DOUBLE), layout="compressed")
    above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    kept = mosaic(above, shown, top=True)
    left = mosaic(below, (values[rows] - drawn[rows])[None] / noise, top=True, cmap=style.SIGNED,
                  norm=Normalize(-_FAR, _FAR))  # fmt: skip
    above.set_yticks(range(3), ["as measured", "moved back", "model"], rotation=90, va="center")
    below.set_yticks([])
    above.tick_params(labelbottom=False)
    below.set_xticks(
        range(len(rows)), [_posed(p, row, row if numbers is None else numbers[row]) for row in rows]
    )
    below.set_xlabel(_pose_words(p))
    sides = [side_label(a.name, a.values, a.units) for a in (raster.rows, raster.columns)]
    above.set_title(f"every panel: {', '.join(sides)}", fontsize=7)
    above.set_ylabel("image")
    below.set_ylabel("residual")
    style.bar(figure, [above], kept, values_label(X, raster.channels))
    style.bar(figure, [below], left, "noise sd")
    return figure


def _sides(ax: Axes, raster: Raster) -> None:
    """What the sides of all panels are."""
    for axis, side in ((ax.yaxis, raster.rows), (ax.xaxis, raster.columns)):
        axis.set_label_text(side_label(side.name, side.values, side.units) + " in each")


def _posed(p: Posterior, row: int, called: Any) -> str:
    """The pose of an image in a few characters."""
    lines, found = [], columns_of(p)
    if "rotation" in found:
        turned = found["rotation"][0]
        lines.append(f"{number(float(turned[row]), max(float(np.ptp(turned)), 10.0))}°")
    if "shift" in poses_of(p):
        far = float(np.ptp(p.shift)) or 1.0
        lines.append(", ".join(number(float(v), far) for v in p.shift[row]))
    if "scale" in found:
        lines.append(f"× {found['scale'][0][row]:.2f}")
    return "\n".join([*lines, f"({called})"])


def _pose_words(p: Posterior) -> str:
    """What the lines under the images are."""
    words = {
        "rotation": "rotation",
        "shift": label(f"shift along {p.axis_name}", p.axis_units),
        "scale": "scale",
    }
    return ", ".join(words[name] for name in poses_of(p)) + " (image, counted from 0)"
