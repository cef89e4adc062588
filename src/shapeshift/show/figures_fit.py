"""Figures of the fit itself: the learned manifold, the loss, and linear baselines to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.figures_manifold import image_manifold, in_two, latent_ticks, lived_in
from shapeshift.show.labels import label, number
from shapeshift.show.tiles import tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.analysis.baselines import Decomposition
    from shapeshift.fit.posterior import Posterior


@style.styled
def manifold(m: Any, n: int = 10, *, p: Posterior | None = None, ax: Axes | None = None) -> Figure:
    """Curves, or images, the model makes over a grid of shape latents, all at pose 0 and on one scale.

    Parameters
    ----------
    m : ShiftVAE or ImageVAE
        A fitted model.
    n : int
        Curves along each latent.
    p : Posterior, optional
        Curves that stand for none of its signals are pale and do not set the scale: the model had
        nothing to learn them from.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the model is one of several channels.

    References
    ----------
    M. Ziatdinov and S. Kalinin, arXiv:2104.10207.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.manifold(m, 5, p=m.posterior(X)).axes[0].get_xlabel()
    'z1 (prior sd)'
    """
    if hasattr(m, "raster_"):
        return image_manifold(m, n, p=p, ax=ax)
    if getattr(m, "lanes_", None):
        raise ShapeshiftError(
            "got a model of several channels, needed one: draw m.manifold(n).isel(channel=0) by xarray"
        )
    drawn = in_two(m.manifold(n))
    values = np.asarray(drawn, dtype=float).reshape(-1, n, drawn.shape[-1])
    figure, ax = style.one(ax, style.DOUBLE * 0.66, style.DOUBLE * (0.1 + 0.54 * len(values) / n))
    names = [str(d) for d in drawn.dims[:-1]]
    near = lived_in(drawn, p).reshape(values.shape[:2])
    mean = values[near].mean(0)
    peak = float(m.axis_[np.abs(mean - np.median(mean)).argmax()])
    low, high = tiles(ax, values, m.axis_, mark=peak, strong=near)
    latent_ticks(ax.xaxis, drawn, names[-1], n)
    if len(names) > 1:
        latent_ticks(ax.yaxis, drawn, names[0], n)
    else:
        ax.set_yticks([])
    ax.set_title(_scale(m, low, high, peak), fontsize=7)
    return figure


@style.styled
def loss(m: Any) -> Figure:
    """The fit's history: loss on the signals used and on those held out, and what every factor carries.

    Parameters
    ----------
    m : ShiftVAE
        A fitted model.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=40, seed=1)
    >>> m = ss.ShiftVAE(n_latent=2, epochs=2).fit(X)
    >>> ss.plot.loss(m).axes[1].get_ylabel()
    'KL from the prior (nat per signal)'
    """
    table = m.history_.to_frame()
    epoch = table["epoch"].to_numpy() + 1
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.34)
    left, right = figure.subplots(1, 2)
    known = [("loss", "used for fitting", style.BLUE), ("val_loss", "held out", style.VERMILLION)]
    drawn = [(table[key].to_numpy(), text, colour) for key, text, colour in known if key in table]
    for values, text, colour in drawn:
        left.plot(epoch, values, color=colour, label=text)
    left.set(
        xlabel="epoch (passes through the data)", ylabel="loss: negative ELBO (nat per signal)", title="loss"
    )
    if drawn:
        left.set_ylim(_settled([values for values, _, _ in drawn]))
        left.legend(loc="upper right")
    _information(right, table, epoch)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    return figure


@style.styled
def components(decomposition: Decomposition, n: int = 8) -> Figure:
    """Components of a linear decomposition, and how much of the variance the first ones explain together.

    Parameters
    ----------
    decomposition : Decomposition
        From `analysis.pca` or `analysis.nmf`.
    n : int
        How many components to draw.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Of the article's signals, to compare with: M. Ziatdinov and S. Kalinin, arXiv:2104.10207.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=40, seed=1)
    >>> ss.plot.components(ss.analysis.pca(X, 12), n=6).axes[1].get_ylabel()
    'variance explained together (%)'
    """
    d = decomposition
    figure = style.sheet(style.DOUBLE, style.DOUBLE * 0.42)
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _stacked(left, d.axis, d.components[:n])
    left.set(xlabel=label(d.axis_name, d.axis_units), ylabel="component (number)")
    left.set_title(f"{d.kind.upper()} components, each to its own scale")
    _explained(right, d.explained)
    return figure


def _scale(m: Any, low: float, high: float, peak: float) -> str:
    """What every panel of the manifold spans."""
    ends = [number(float(v), float(np.ptp(m.axis_))) for v in (m.axis_[0], m.axis_[-1], peak)]
    axis = label(m.axis_name_, m.axis_units_)
    heights = [number(v, high - low) for v in (low, high)]
    return (
        f"every panel: {axis} from {ends[0]} to {ends[1]}, "
        f"signal from {heights[0]} to {heights[1]} (arb. units);\n"
        f"grey line at {ends[2]}, the same place everywhere"
    )


def _settled(losses: list[NDArray]) -> tuple[float, float]:
    """Limits that show the end of the fit, where the first epochs would dwarf it."""
    finite = [values[np.isfinite(values)] for values in losses]
    late = np.concatenate([values[len(values) // 20 :] for values in finite])
    if not late.size:
        return 0.0, 1.0
    low, high = late.min(), np.percentile(late, 97)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + 3 * room


def _information(ax: Axes, table: Any, epoch: NDArray) -> None:
    """What each factor of the model carries: its Kullback-Leibler divergence from the prior."""
    names = [c for c in table.columns if c.startswith("kl_")]
    for i, (name, colour) in enumerate(zip(names, style.CYCLE * 4, strict=False)):
        line = "-" if i < len(style.CYCLE) else ":"
        ax.plot(epoch, table[name], color=colour, ls=line, label=name.removeprefix("kl_"))
    ax.set(xlabel="epoch (passes through the data)", ylabel="KL from the prior (nat per signal)")
    ax.set_title("information in each factor")
    ax.set_ylim(bottom=0)
    if names:
        ax.legend(loc="best")


def _stacked(ax: Axes, axis: NDArray, rows: NDArray) -> None:
    """Components one below the other, the first on top."""
    for i, row in enumerate(rows):
        reach = np.abs(row).max() or 1.0
        ax.axhline(-i, color=style.FAINT, lw=0.4)
        ax.plot(axis, -i + 0.45 * row / reach, color=style.BLUE)
    ax.set_yticks(-np.arange(len(rows)), [str(i + 1) for i in range(len(rows))])
    ax.set_xlim(axis[0], axis[-1])


def components_for(explained: NDArray, share: float = 0.95) -> int:
    """How many components explain a share of the variance; one more than there are if they do not.

    Examples
    --------
    >>> components_for(np.array([0.8, 0.1, 0.06, 0.04])), components_for(np.array([0.5, 0.1]))
    (3, 3)
    """
    return int(np.searchsorted(np.cumsum(explained), share)) + 1


def _explained(ax: Axes, explained: NDArray) -> None:
    """The share of the variance explained by the first components together."""
    count = components_for(explained)
    reached = count <= len(explained)
    total = 100 * np.cumsum(explained)[: max(20, 3 * count // 2)]
    number = np.arange(1, len(total) + 1)
    ax.plot(number, total, "o-", ms=3, color=style.BLUE)
    ax.axhline(95, color=style.INK, lw=0.8, ls="--")
    told = f"95 % take {count} components" if reached else f"{len(explained)} components do not reach 95 %"
    ax.set(xlabel="components (count)", ylabel="variance explained together (%)", ylim=(0, 104))
    ax.set_title(told)
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
