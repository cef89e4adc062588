"""Figures of what was found for every signal: shifts and shape latents."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullFormatter

from shapeshift.analysis.poses import all_round, of_images
from shapeshift.show import style
from shapeshift.show.figures_map import angles, colour_of
from shapeshift.show.labels import (
    by_shift,
    first_pose,
    label,
    layout_of,
    limits,
    literal,
    quantity,
    shift_label,
    spread,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior

_MANY = 4000  # marks beyond which they are drawn as pixels, also in a vector file


@style.styled
def shift_histogram(p: Posterior) -> Figure:
    """All shifts, sorted, with error bars of one standard deviation; their histogram beside them.

    Parameters
    ----------
    p : Posterior

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If this is the posterior of images.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.shift_histogram(m.posterior(X)).axes[0].get_ylabel()
    'shift (units of x)'
    """
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.34)
    sorted_ax, count_ax, sd_ax = figure.subplots(1, 3, width_ratios=(1.5, 1, 1.2))
    count_ax.sharey(sorted_ax)
    order = by_shift(p)
    rows = spread(len(order), 2000)
    _with_error(sorted_ax, rows + 1, p.shift[order[rows]], p.shift_sd[order[rows]])
    sorted_ax.set(xlabel="signal, sorted by shift (count)", ylabel=shift_label(p), xlim=(0, len(order) + 1))
    sorted_ax.set_title(f"shifts, sd {np.nanstd(p.shift):.3g}")
    good = p.shift[np.isfinite(p.shift)]
    count_ax.hist(good, bins=_bins(good), orientation="horizontal", color=style.BLUE, alpha=0.75)
    count_ax.tick_params(labelleft=False)
    count_ax.set(xlabel="signals in a bin (count)", title="histogram")
    _error_bars(sd_ax, p)
    return figure


@style.styled
def sequence(p: Posterior, what: str | None = None, *, ax: Axes | None = None) -> Figure:
    """A quantity against the signals' order, with error bars; flagged signals are marked.

    Parameters
    ----------
    p : Posterior
    what : str, optional
        As in `map`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If there is no such quantity.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.sequence(m.posterior(X), "z1").axes[0].get_ylabel()
    'z1 (prior sd)'
    """
    values, sd, text = quantity(p, what or first_pose(p))
    figure, ax = style.one(ax, style.DOUBLE, style.DOUBLE * 0.3)
    at, at_label = _order(p)
    ax.errorbar(
        at, values, None if sd is None else sd, fmt="o", ms=2, lw=0.6, color=style.BLUE, ecolor=style.FAINT,
        rasterized=len(values) > _MANY,
    )  # fmt: skip
    flagged = np.asarray(p.flags) != ""
    if flagged.any():
        ax.plot(at[flagged], values[flagged], "x", ms=4, color=style.VERMILLION)
        ax.set_title(f"× flagged: {int(flagged.sum())} of {len(values)}", color=style.VERMILLION)
    ax.set(xlabel=at_label, ylabel=text)
    return figure


@style.styled
def latent(
    p: Posterior, color: Any = None, *, color_label: str | None = None, ax: Axes | None = None
) -> Figure:
    """Shape latents, one mark a signal: z2 against z1, or z1 against the pose where there is only one.

    Parameters
    ----------
    p : Posterior
    color : str, array (n,) or DataArray (n,), optional
        What the colour tells: a quantity as in `map`, or numbers of your own.
    color_label : str, optional
        What the colour bar says; needed with a plain array.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If `color` is not one number for every signal.

    References
    ----------
    Coloured by a known factor: M. Ziatdinov and S. Kalinin, arXiv:2104.10207.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> figure = ss.plot.latent(m.posterior(X), truth["width"], color_label="known width (units of x)")
    >>> figure.axes[0].get_xlabel()
    'z1 (prior sd)'
    """
    color = first_pose(p) if color is None else color
    values, text = colour_of(p, color, color_label)
    down, _, down_label = quantity(p, "z2" if p.z.shape[1] > 1 else "z1")
    across, _, across_label = quantity(p, "z1" if p.z.shape[1] > 1 else first_pose(p))
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.8)
    order = np.random.default_rng(0).permutation(len(values))  # no colour lies on top of the others
    size = float(np.clip(6000 / len(values), 2.5, 14))
    marks = ax.scatter(
        across[order], down[order], c=values[order], s=size, **_mark_scale(values, color),
        alpha=0.8, rasterized=len(values) > _MANY,
    )  # fmt: skip
    ax.set(xlabel=across_label, ylabel=down_label)
    marks_bar = marks if np.isfinite(values).any() else None
    if marks_bar is not None:
        style.bar(figure, [ax], marks, text)
    return figure


def _with_error(ax: Axes, at: NDArray, values: NDArray, sd: NDArray) -> None:
    ax.errorbar(
        at,
        values,
        sd,
        fmt="none",
        ecolor=style.ORANGE,
        elinewidth=0.5,
        label="± 1 sd",
        rasterized=len(values) > 800,
    )
    ax.plot(at, values, ".", ms=1.6, color=style.BLUE, label="shift", rasterized=len(values) > _MANY)
    ax.legend(loc="upper left", markerscale=3)


def _error_bars(ax: Axes, p: Posterior) -> None:
    """The distribution of the error bars, on a logarithmic scale: they often span decades."""
    sd = p.shift_sd[np.isfinite(p.shift_sd) & (p.shift_sd > 0)]
    ax.set(xlabel=fill(shift_label(p, "sd of shift"), 30), ylabel="signals in a bin (count)")
    if not sd.size:
        return
    ax.hist(
        sd, bins=np.geomspace(sd.min() * 0.9, sd.max() * 1.1, 31).tolist(), color=style.ORANGE, alpha=0.85
    )
    middle = float(np.median(sd))
    ax.axvline(middle, color=style.INK, lw=0.8, ls="--")
    ax.set_title(f"error bars, median {middle:.2g}")
    ax.set_xscale("log")
    roomy = sd.max() < 40 * sd.min() and middle > 1e-3  # room for more than the powers of ten
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if roomy else (1,)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _bins(values: NDArray) -> int:
    """Freedman and Diaconis's number of bins, within reason."""
    low, high = np.percentile(values, (25, 75)) if values.size else (0.0, 1.0)
    width = 2 * (high - low) / max(len(values), 1) ** (1 / 3)
    return int(np.clip(np.ptp(values) / width if width > 0 else 10, 10, 80)) if values.size else 10


def _mark_scale(values: NDArray, what: Any) -> dict[str, Any]:
    """Colours of marks, for 98 % of the values; pale ones of the cyclic map get an edge to stand on paper."""
    if isinstance(what, str) and what == "rotation" and all_round(values):
        return angles() | {"linewidths": 0.25, "edgecolors": style.GREY}
    return {"cmap": style.QUANTITY, "norm": Normalize(*limits(values, 1, 99)), "linewidths": 0}


def _order(p: Posterior) -> tuple[NDArray, str]:
    """Where the signals stand in a sequence: their coordinate where there is one, else their number."""
    layout = layout_of(p)
    if layout.ndim == 1 and layout.dims[0] in layout.coords:
        coordinate = layout.coords[layout.dims[0]]
        if np.issubdtype(coordinate.dtype, np.number):
            return coordinate.values, label(str(layout.dims[0]), coordinate.attrs.get("units", ""))
    return np.arange(layout.size), literal("image (number)" if of_images(p) else "signal (number)")
