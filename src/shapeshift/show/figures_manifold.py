"""The learned manifold of images, and what manifolds of both kinds share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.show import style
from shapeshift.show.labels import label
from shapeshift.show.mosaic import mosaic, side_label, values_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior


@style.styled
def image_manifold(m: Any, n: int = 8, *, p: Posterior | None = None, ax: Axes | None = None) -> Figure:
    """Images the model makes over a grid of shape latents, all at pose 0 and on one scale.

    Parameters
    ----------
    m : ImageVAE
        A fitted model.
    n : int
        Images along each latent.
    p : Posterior, optional
        Images that stand for none of its own are pale and do not set the scale.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn = in_two(m.manifold(n))
    names = [str(d) for d in drawn.dims if d in ("class", "z1", "z2")]
    channels, rows, columns = m.raster_.shape
    panels = np.asarray(drawn, dtype=float).reshape(-1, n, channels, rows, columns).mean(2)
    near = lived_in(drawn, p).reshape(panels.shape[:2])
    width = style.DOUBLE * 0.66
    height = width * (0.12 + 0.76 * rows / columns * len(panels) / n)
    figure, ax = style.one(ax, width, float(np.clip(height, 1.2, 1.3 * width)), layout="compressed")
    image = mosaic(ax, panels, strong=near)
    latent_ticks(ax.xaxis, drawn, names[-1], n)
    if len(names) > 1:
        latent_ticks(ax.yaxis, drawn, names[0], n)
    else:
        ax.set_yticks([])
    sides = [side_label(a.name, a.values, a.units) for a in (m.raster_.rows, m.raster_.columns)]
    ax.set_title("every panel: " + "\n".join(sides), fontsize=7)
    style.bar(figure, [ax], image, values_label(None, channels))
    return figure


def in_two(drawn: Any) -> Any:
    """Of the manifolds of several classes a line each, along the first latent: (class, z1, ...)."""
    if "class" not in drawn.dims or "z2" not in drawn.dims:
        return drawn
    return drawn.isel(z2=drawn.sizes["z2"] // 2)


def lived_in(drawn: Any, p: Posterior | None) -> NDArray[np.bool_]:
    """Which panels stand for signals of ``p``: all, where none is given or every class has its own."""
    if p is None or "class" in drawn.dims:
        sizes = [drawn.sizes[d] for d in drawn.dims if d in ("class", "z1", "z2")]
        return np.ones(sizes, bool)
    return inhabited(drawn, p)


def inhabited(drawn: Any, p: Posterior) -> NDArray[np.bool_]:
    """Which panels of a manifold stand for a signal: one whose latents lie within a step, or two of their sd.

    All of them, where none does.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import xarray as xr
    >>> drawn = xr.DataArray(np.zeros((3, 5)), dims=["z1", "x"], coords={"z1": [-1.0, 0.0, 1.0]})
    >>> p = SimpleNamespace(z=np.array([[-0.8]]), z_sd=np.array([[0.1]]))
    >>> inhabited(drawn, p).tolist()
    [True, True, False]
    """
    close = []
    for name in (str(d) for d in drawn.dims if d in ("z1", "z2")):
        at, k = drawn.coords[name].values, int(name.removeprefix("z")) - 1
        step = np.max(np.diff(at), initial=0.0)
        reach = np.maximum(step, 2 * p.z_sd[:, k])
        close.append((np.abs(p.z[:, k, None] - at) <= reach[:, None]).astype(np.float32))
    found = close[0].any(0) if len(close) == 1 else close[0].T @ close[1] > 0
    return found if found.any() else np.ones_like(found)


def latent_ticks(axis: Any, drawn: Any, name: str, n: int) -> None:
    """The latents' values, or the classes, along the grid."""
    if name == "class":
        axis.set_ticks(np.arange(drawn.sizes[name]), [str(v) for v in drawn.coords[name].values])
        axis.set_label_text("class")
        return
    if name in drawn.coords:
        at = np.arange(n) if n <= 12 else np.linspace(0, n - 1, 5).round().astype(int)
        values = drawn.coords[name].values
        axis.set_ticks(at, [f"{round(values[i], 1) + 0.0:.1f}".replace("-", "−") for i in at])
    axis.set_label_text(label(name, "prior sd"))
