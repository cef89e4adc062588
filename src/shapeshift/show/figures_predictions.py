"""Figures of predictions against what was measured: numbers, curves or images, with their error bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize

from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.labels import curves, label, limits, spread
from shapeshift.show.mosaic import mosaic, planes, side_label, values_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

_MANY = 500  # marks beyond which they are drawn as pixels, also in a vector file
_FAR = 4.0  # sd at the ends of the colours of errors


@style.styled
def predictions(
    truth: Any,
    predicted: Any,
    sd: Any = None,
    *,
    n: int = 6,
    x: ArrayLike | None = None,
    name: str | None = None,
    units: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Predictions against what was measured, with error bars of one standard deviation.

    Numbers are drawn against each other, on the diagonal where they agree. Of curves and images a few are
    shown, from the best predicted to the worst: their quantiles of the error are evenly spread.

    Parameters
    ----------
    truth, predicted : array or DataArray (n_signals,), (n_signals, length) or (n_signals, h, w)
        As measured, and as told by a model that has not seen them. Numbers or curves of a map in rows, as by
        ``X.stack(place=("y", "x")).T``.
    sd : like predicted, optional
        One standard deviation of every predicted value.
    n : int
        How many curves or images at most.
    x : array (length,), optional
        Axis of curves that have none.
    name, units : str, optional
        What is predicted; by default as the DataArray says.
    ax : matplotlib.axes.Axes, optional
        Of numbers only.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the shapes differ, or axes are given for curves or images.

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> gap = np.linspace(1, 2, 50)
    >>> figure = ss.plot.predictions(gap, gap + 0.1, np.full(50, 0.1), name="gap", units="eV")
    >>> figure.axes[0].get_ylabel()
    'predicted gap (eV)'
    """
    arrays = [np.asarray(each, dtype=float) for each in (truth, predicted) if each is not None]
    arrays += [] if sd is None else [np.asarray(sd, dtype=float)]
    if len({a.shape for a in arrays}) > 1 or arrays[0].ndim not in (1, 2, 3) or not arrays[0].size:
        raise ShapeshiftError(
            f"got arrays of shapes {', '.join(str(a.shape) for a in arrays)}, needed the same shape for all, "
            "(n,), (n, length) or (n, h, w): pass predictions of the measured values."
        )
    told = _named(truth, name, units)
    if arrays[0].ndim == 1:
        return _numbers(arrays, told, ax)
    if ax is not None:
        raise ShapeshiftError("got axes for predicted curves or images, which need several: leave ax out.")
    return (_curves if arrays[0].ndim == 2 else _images)(truth, arrays, n, x, told)


def _named(truth: Any, name: str | None, units: str | None) -> tuple[str, str]:
    """What is predicted and its units: as told, else as the array says."""
    attrs = getattr(truth, "attrs", {})
    called = name or attrs.get("long_name") or getattr(truth, "name", None) or "value"
    return str(called), attrs.get("units", "") if units is None else units


def _numbers(arrays: list[NDArray], told: tuple[str, str], ax: Axes | None) -> Figure:
    (true, mean), sd = arrays[:2], arrays[2] if len(arrays) > 2 else None
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.95)
    many, bars = len(true) > _MANY, style.BLUE + ("44" if len(true) > _MANY else "88")
    ends = np.array(limits(np.concatenate([true, mean])))
    ax.plot(ends, ends, color=style.INK, lw=0.8, ls="--", label="equal", zorder=3)
    ax.errorbar(
        true, mean, sd, fmt="o", ms=1.6 if many else 2.8, mew=0, lw=0.5, color=style.BLUE, ecolor=bars,
        label="predicted" if sd is None else "predicted ± 1 sd", rasterized=many,
    )  # fmt: skip
    left = mean - true
    rms = f"rms error {np.sqrt(np.nanmean(left**2)):.2g}"
    inside = "" if sd is None else f"\n{100 * np.mean(np.abs(left) <= sd):.0f} % within 1 sd (honest: 68 %)"
    ax.set_title(rms + inside, fontsize=7)
    called, units = told
    ax.set(xlabel=label(f"measured {called}", units), ylabel=label(f"predicted {called}", units))
    ax.legend(loc="upper left")
    return figure


def _ranked(true: NDArray, mean: NDArray, n: int) -> tuple[NDArray, list[str]]:
    """Rows from the best predicted to the worst, and what to call them."""
    error = np.sqrt(np.nanmean((mean - true) ** 2, axis=tuple(range(1, true.ndim))))
    order = np.argsort(error, kind="stable")
    at = spread(len(order), n)
    share = 100 * at / max(len(order) - 1, 1)
    words = [f"{s:.0f} % err less" for s in share]
    words[0], words[-1] = "best", "worst" if len(at) > 1 else "best"
    return order[at], words


def _curves(truth: Any, arrays: list[NDArray], n: int, x: Any, told: tuple[str, str]) -> Figure:
    c = curves(truth, x=x)
    rows, words = _ranked(arrays[0], arrays[1], n)
    across = min(3, len(rows))
    down = -(-len(rows) // across)
    figure = style.sheet(style.DOUBLE, style.DOUBLE * (0.08 + 0.24 * down))
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax, row, word in zip(panels.flat, rows, words, strict=False):
        if len(arrays) > 2:
            low, high = arrays[1][row] - arrays[2][row], arrays[1][row] + arrays[2][row]
            ax.fill_between(c.axis, low, high, color=style.PALE, lw=0, label="± 1 sd")
        ax.plot(c.axis, arrays[1][row], color=style.BLUE, label="predicted")
        ax.plot(c.axis, arrays[0][row], color=style.INK, lw=0.7, ls="--", label="measured")
        ax.set_title(f"{word} ({row})")
    for ax in list(panels.flat)[len(rows) :]:
        ax.set_visible(False)
    panels[0, 0].legend(loc="best")
    panels[0, 0].set_xlim(min(c.axis[0], c.axis[-1]), max(c.axis[0], c.axis[-1]))
    for ax in panels[-1]:
        ax.set_xlabel(c.axis_label)
    for ax in panels[:, 0]:
        ax.set_ylabel(label(told[0], told[1] or "arb. units"))
    return figure


def _images(truth: Any, arrays: list[NDArray], n: int, x: Any, told: tuple[str, str]) -> Figure:
    values, raster = planes(truth)
    rows, words = _ranked(arrays[0], arrays[1], n)
    left = arrays[1][rows] - arrays[0][rows]
    if len(arrays) > 2:
        left = left / np.where(arrays[2][rows] > 0, arrays[2][rows], np.nan)
    height = style.DOUBLE * (0.16 + 2.7 / len(rows) * values.shape[1] / values.shape[2] * 0.92)
    figure = style.sheet(style.DOUBLE, min(height, 1.3 * style.DOUBLE), layout="compressed")
    above, below = figure.subplots(2, 1, height_ratios=(2, 1), sharex=True)
    kept = mosaic(above, np.stack([values[rows], arrays[1][rows]]), top=True)
    far = _FAR if len(arrays) > 2 else float(np.nanmax(np.abs(left))) or 1.0
    errors = mosaic(below, left[None], top=True, cmap=style.SIGNED, norm=Normalize(-far, far))
    above.set_yticks([0, 1], ["measured", "predicted"], rotation=90, va="center")
    above.tick_params(labelbottom=False)
    below.set(yticks=[], ylabel="error", xlabel="image, from the best predicted to the worst (its number)")
    below.set_xticks(range(len(rows)), [f"{w}\n({row})" for w, row in zip(words, rows, strict=True)])
    sides = [side_label(a.name, a.values, a.units) for a in (raster.rows, raster.columns)]
    above.set_title(f"every panel: {', '.join(sides)}", fontsize=7)
    above.set_ylabel("image")
    style.bar(figure, [above], kept, values_label(truth) if not told[1] else label(*told))
    style.bar(
        figure, [below], errors, "error (sd)" if len(arrays) > 2 else label("error", told[1] or "arb. units")
    )
    return figure
