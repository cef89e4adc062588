"""Figures that hold what was found against what is known."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.labels import literal, shift_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from shapeshift.analysis.calibration import Calibration
    from shapeshift.fit.posterior import Posterior


@style.styled
def against_truth(p: Posterior, truth: ArrayLike, *, known: str = "known shift") -> Figure:
    """Shifts against known ones on the diagonal, with error bars; what is left over below.

    Where zero is is a convention, so the median difference is taken off first, and told.

    Parameters
    ----------
    p : Posterior
    truth : array (n,)
        Known shifts, axis units.
    known : str
        What the known shift is called.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If there is not one known shift for every signal.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.against_truth(m.posterior(X), truth["shift"]).axes[1].get_xlabel()
    'known shift (units of x)'
    """
    true = np.asarray(truth, dtype=float).ravel()
    if true.shape != p.shift.shape:
        raise ShapeshiftError(f"got {true.size} known shifts, needed {p.shift.size}: one for every signal")
    zero = float(np.nanmedian(p.shift - true))
    left = p.shift - zero - true
    figure = style.sheet(style.SINGLE, style.SINGLE * 1.25)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    ends = np.array([np.nanmin(true), np.nanmax(true)])
    top.plot(ends, ends, color=style.INK, lw=0.8, ls="--", label="equal", zorder=3)
    _marks(top, true, p.shift - zero, p.shift_sd)
    top.set_ylabel(shift_label(p, "shift"))
    told = f"zero moved by {0.0 - zero:+.3g}\nrms difference {np.sqrt(np.nanmean(left**2)):.2g}"
    top.set_title(told.replace("-", "−"), fontsize=7)
    top.legend(loc="upper left")
    _marks(below, true, left, p.shift_sd)
    below.axhline(0, color=style.INK, lw=0.8, ls="--", zorder=3)
    far = float(np.nanpercentile(np.abs(left), 99.5)) * 1.15
    reach = max(far, 3 * float(np.nanmedian(p.shift_sd))) or 1.0
    below.set(ylim=(-reach, reach), xlabel=shift_label(p, known))
    below.set_ylabel(fill(shift_label(p, "difference"), 18))  # the lower panel is small
    return figure


@style.styled
def calibration(cal: Calibration, *, ax: Axes | None = None) -> Figure:
    """How often the error bars contain the truth, against how often they should.

    Parameters
    ----------
    cal : Calibration
        From `analysis.calibrate`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.calibration(ss.analysis.calibrate(m, X, n=20)).axes[0].get_ylabel()
    'truth found inside (%)'
    """
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.8)
    expected = np.array([0.6827, 0.95])
    found = np.array([cal.coverage68, cal.coverage95])
    # two standard deviations of a binomial share
    reach = 2 * np.sqrt(expected * (1 - expected) / max(cal.n, 1))
    ax.plot([0, 100], [0, 100], color=style.INK, lw=0.8, ls="--", label="honest error bars")
    ax.errorbar(
        100 * expected, 100 * found, 100 * reach, fmt="o", color=style.VERMILLION, ms=5, capsize=2,
        label=f"{cal.n} pairs of signals",
    )  # fmt: skip
    for at, value in zip(expected, found, strict=True):
        ax.annotate(
            f"{100 * value:.1f} %",
            (100 * at, 100 * value),
            xytext=(7, -9),
            textcoords="offset points",
            fontsize=7,
        )
    ax.set(
        xlabel="interval's nominal share (%)",
        ylabel="truth found inside (%)",
        xlim=(50, 104),
        ylim=(min(50.0, 100 * found.min() - 8), 104),
    )
    ax.set_title(f"efficiency {cal.efficiency:.2f} (1: the matched-filter bound)")
    ax.legend(loc="upper left")
    return figure


@style.styled
def latents_against(p: Posterior, truth: Mapping[str, ArrayLike]) -> Figure:
    """Every latent against every known factor: a latent that knows a factor draws a line, another a cloud.

    Parameters
    ----------
    p : Posterior
    truth : mapping of str to array (n,)
        Known factors; a name with its units, such as "width (nm)", becomes the label.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If a factor is not known for every signal.

    References
    ----------
    M. Ziatdinov and S. Kalinin, arXiv:2104.10207.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> known = {"width (units of x)": truth["width"], "position (units of x)": truth["shift"]}
    >>> len(ss.plot.latents_against(m.posterior(X), known).axes)  # two latents, two factors
    4
    """
    known = {name: np.asarray(values, dtype=float).ravel() for name, values in truth.items()}
    for name, values in known.items():
        if len(values) != len(p.z):
            raise ShapeshiftError(
                f"got {len(values)} values of {name!r}, needed {len(p.z)}: one for every signal"
            )
    width = min(style.DOUBLE, style.SINGLE * len(known))
    figure = style.sheet(width, style.DOUBLE * 0.27 * p.z.shape[1])
    size = float(np.clip(40 / np.sqrt(len(p.z)), 1.4, 3.0))
    panels = figure.subplots(p.z.shape[1], len(known), squeeze=False, sharex="col", sharey="row")
    for k, row in enumerate(panels):
        for ax, (name, values) in zip(row, known.items(), strict=True):
            ax.plot(values, p.z[:, k], "o", ms=size, mew=0, color=style.BLUE, rasterized=len(values) > 500)
            ax.set_xlabel(literal(name) if k == len(panels) - 1 else "")
        row[0].set_ylabel(f"z{k + 1} (prior sd)")
    return figure


def _marks(ax: Axes, at: NDArray, values: NDArray, sd: NDArray) -> None:
    many = len(values) > 500
    bars = style.BLUE + ("44" if many else "")
    ax.errorbar(
        at, values, sd, fmt="o", ms=1.3, mew=0, lw=0.4, color=style.BLUE, ecolor=bars, rasterized=many
    )
