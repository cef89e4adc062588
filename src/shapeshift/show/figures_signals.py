"""Figures of the signals themselves: samples, before and after alignment, what the model leaves over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from shapeshift.show import style
from shapeshift.show.labels import by_shift, curves, curves_of, limits, shift_label, spread
from shapeshift.show.tiles import corner_ticks, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from shapeshift.fit.posterior import Posterior
    from shapeshift.show.labels import Curves


@style.styled
def signals(X: Any, n: int = 64, *, x: ArrayLike | None = None, ax: Axes | None = None) -> Figure:
    """Sample curves, evenly spread over the set, on one scale.

    Parameters
    ----------
    X : DataArray or ndarray (n_signals, length)
    n : int
        How many curves at most.
    x : array (length,), optional
        Axis values where `X` has none.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If these are no signals as rows, or signals of several channels.

    Examples
    --------
    >>> signals(np.eye(4), n=4).axes[0].get_xlabel()
    'sample, the same in every panel'
    """
    c = curves(X, x=x)
    rows = spread(len(c.values), n)
    columns = int(np.ceil(np.sqrt(len(rows))))
    shown = np.full((int(np.ceil(len(rows) / columns)) * columns, len(c.axis)), np.nan)
    shown[: len(rows)] = c.values[rows]
    panels = shown.reshape(-1, columns, len(c.axis))[::-1]  # the first signal at the upper left
    figure, ax = style.one(ax, style.DOUBLE * 0.75, style.DOUBLE * 0.62)
    low, high = tiles(ax, panels, c.axis)
    corner_ticks(ax, c.axis, low, high)
    ax.set(
        xlabel=f"{c.axis_label}, the same in every panel", ylabel=f"{c.signal_label}, the same in every panel"
    )
    ax.set_title(f"{len(rows)} signals")
    return figure


@style.styled
def alignment(X: Any, aligned: Any, p: Posterior, *, x: ArrayLike | None = None) -> Figure:
    """Signals as measured and moved back to shift 0, coloured by their shift, with the mean of all.

    Parameters
    ----------
    X, aligned : DataArray or ndarray (n, length)
        `aligned` is nan where nothing was measured.
    p : Posterior
    x : array (length,), optional
        Axis values where `X` has none.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If there is not one signal for every row of the posterior, or these are images.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.alignment(X, m.align(X), m.posterior(X)).axes[1].get_title("left")
    'moved back to shift 0'
    """
    order = by_shift(p)
    before, after = curves_of(p, X, aligned, x=x)
    rows = np.random.default_rng(0).permutation(order[spread(len(order), 150)])
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.38)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    norm = Normalize(*limits(p.shift, 1, 99))
    for ax, c, title in zip(panels, (before, after), ("as measured", "moved back to shift 0"), strict=True):
        lines = [np.column_stack([c.axis, c.values[row]]) for row in rows]
        ax.add_collection(
            LineCollection(
                lines, array=p.shift[rows], cmap=style.QUANTITY, norm=norm, linewidths=0.5, alpha=0.6
            )
        )
        ax.plot(c.axis, _mean(c.values), color=style.INK, lw=1.4, label=f"mean of {len(order)}")
        ax.set(title=title, xlabel=c.axis_label)
    panels[0].set(
        xlim=(before.axis[0], before.axis[-1]), ylim=_padded(before.values[rows]), ylabel=before.signal_label
    )
    panels[0].legend(loc="upper left")
    style.bar(figure, panels, ScalarMappable(norm, style.QUANTITY), shift_label(p))
    return figure


@style.styled
def heatmap(X: Any, aligned: Any, p: Posterior, *, x: ArrayLike | None = None) -> Figure:
    """Signals as rows, sorted by shift, as measured and moved back; each row is scaled to its own range.

    A slanted ridge on the left that stands upright on the right is a shift that was found. What
    is still slanted or curved on the right was not.

    Parameters
    ----------
    X, aligned : DataArray or ndarray (n, length)
    p : Posterior
    x : array (length,), optional
        Axis values where `X` has none.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If there is not one signal for every row of the posterior, or these are images.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.heatmap(X, m.align(X), m.posterior(X)).axes[0].get_ylabel()
    'signal, sorted by shift (count)'
    """
    order = by_shift(p)
    before, after = curves_of(p, X, aligned, x=x)
    rows = order[spread(len(order), 1200)]
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.45)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    low, span = _row_range(before.values[rows])
    for ax, c, title in zip(panels, (before, after), ("as measured", "moved back to shift 0"), strict=True):
        image = _rows_image(ax, (c.values[rows] - low) / span, c, len(order), style.INTENSITY, (0, 1))
        ax.set(title=title, xlabel=c.axis_label)
    panels[0].set_ylabel("signal, sorted by shift (count)")
    style.bar(figure, panels, image, "signal (share of its own range)")
    return figure


@style.styled
def residuals(X: Any, reconstruction: Any, p: Posterior, *, x: ArrayLike | None = None) -> Figure:
    """What the model leaves over, in units of each signal's noise: row by row, and its distribution.

    Parameters
    ----------
    X, reconstruction : DataArray or ndarray (n, length)
        Of several channels the first: ``p.noise_sd`` is that of the first.
    p : Posterior
    x : array (length,), optional
        Axis values where `X` has none.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If there is not one signal for every row of the posterior, or these are images.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.residuals(X, m.reconstruct(X), m.posterior(X)).axes[1].get_xlabel()
    'residual (noise sd)'
    """
    order = by_shift(p)
    c, made = curves_of(p, X, reconstruction, x=x)
    left = standardised(c.values, made.values, p.noise_sd)
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.42)
    image_ax, count_ax = figure.subplots(1, 2, width_ratios=(1.25, 1))
    rows = order[spread(len(order), 1200)]
    image = _rows_image(image_ax, left[rows], c, len(order), style.SIGNED, (-4, 4))
    image_ax.set(title="residuals", xlabel=c.axis_label, ylabel="signal, sorted by shift (count)")
    style.bar(figure, [image_ax], image, "residual (noise sd)")
    _against_normal(count_ax, left[np.isfinite(left)])
    return figure


def standardised(values: NDArray, reconstruction: NDArray, noise_sd: NDArray) -> NDArray[np.float64]:
    """Residuals (n, length) in units of each signal's noise sd (n,).

    Examples
    --------
    >>> standardised(np.ones((1, 2)), np.zeros((1, 2)), np.array([0.5])).tolist()
    [[2.0, 2.0]]
    """
    noise = np.where(noise_sd > 0, noise_sd, np.nan)
    return (values - reconstruction) / noise[:, None]


def _against_normal(ax: Axes, left: NDArray) -> None:
    """The distribution of standardised residuals beside the normal one that pure noise would give."""
    edges = np.linspace(-6, 6, 97)
    density = np.histogram(np.clip(left, -6, 6), edges, density=True)[0]
    ax.stairs(density, edges, color=style.BLUE, fill=True, alpha=0.35)
    ax.stairs(density, edges, color=style.BLUE, lw=0.8, label=f"residuals, rms {_rms(left):.2f} noise sd")
    at = np.linspace(-6, 6, 241)
    normal = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    ax.plot(at, normal, color=style.INK, ls="--", lw=0.9, label="pure noise")
    top = max(density.max(initial=0), normal.max())
    ax.set(yscale="log", ylim=(1e-5, top * 8), xlim=(-6, 6), title="against pure noise")
    ax.set(xlabel="residual (noise sd)", ylabel="density (per noise sd)")
    ax.legend(loc="upper left")


def _rms(values: NDArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def _rows_image(ax: Axes, rows: NDArray, c: Curves, n: int, cmap: str, limits: tuple[float, float]) -> Any:
    """Rows as a picture whose axes are the signal axis and the number of signals."""
    half = (c.axis[-1] - c.axis[0]) / (len(c.axis) - 1) / 2 if len(c.axis) > 1 else 0.5
    extent = (c.axis[0] - half, c.axis[-1] + half, 0, n)
    ax.set_facecolor("#BBBBBB")  # where nothing was measured
    return ax.imshow(
        rows, aspect="auto", extent=extent, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest"
    )


def _row_range(rows: NDArray) -> tuple[NDArray, NDArray]:
    """Lower end and width of each row's range, as columns; noise at the ends is cut by percentiles."""
    low, high = np.nanpercentile(rows, (1, 99.5), axis=1)
    span = np.where(high > low, high - low, 1.0)
    return low[:, None], span[:, None]


def _mean(values: NDArray) -> NDArray:
    """The mean at every sample; nan where fewer than half as many signals were measured as elsewhere, which
    would bend it."""
    there = np.isfinite(values)
    count = there.sum(0)
    total = np.where(there, values, 0.0).sum(0)
    return np.where(2 * count >= max(count.max(), 1), total / np.maximum(count, 1), np.nan)


def _padded(values: NDArray) -> tuple[float, float]:
    low, high = limits(values, 0, 100)
    return low - 0.04 * (high - low), high + 0.14 * (high - low)
