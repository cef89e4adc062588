"""Figure of a measured property over the shape latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patheffects import AbstractPathEffect, withStroke

from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.labels import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.fit.property import Property

FINE = 60  # points along a latent


@style.styled
def property(
    found: Property,
    *,
    suggested: Any = (),
    name: str = "property",
    units: str = "",
    ax: Axes | None = None,
) -> Figure:
    """The mean of a measured property over the latents it depends on most, and lines of equal sd.

    Measured signals are marked in the colour of their value, all others by dots; with one latent, or where
    the property depends on one alone, the mean is a curve in a band of one sd.

    Parameters
    ----------
    found : Property
        A fitted property.
    suggested : array of int, optional
        Rows to mark, such as those of ``found.suggest(5)``.
    name, units : str
        What the property is called, and its units.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the property is not fitted.

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> z = np.random.default_rng(0).normal(size=(60, 2))
    >>> gap = np.where(np.arange(60) < 40, z[:, 0] ** 2, np.nan)  # of 20 it is not known
    >>> found = ss.Property().fit(z, gap)
    >>> ss.plot.property(found, suggested=found.suggest(3), name="gap", units="eV").axes[0].get_ylabel()
    'gap (eV)'
    """
    if not hasattr(found, "process_"):
        raise ShapeshiftError("got a property that is not fitted, needed a fitted one: call fit(p, y) first.")
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.8)
    shown = _strongest(found)
    draw = _curve if len(shown) == 1 else _plane
    draw(figure, ax, found, shown, np.asarray(suggested, int), label(name, units))
    return figure


def _strongest(found: Property) -> list[int]:
    """The one or two latents that the property changes most with, in their order."""
    change = found.place_.z.std(0) / found.lengths_
    order = np.argsort(-change)[:2]
    return sorted(int(k) for k in order if change[k] > 0.02 * change.max())


def _grid(found: Property, shown: list[int]) -> tuple[list[NDArray], NDArray]:
    """Lines along the latents shown, and latents (n, K) of their grid; the others are at their median."""
    z = found.place_.z
    low, high = np.percentile(z[:, shown], (0.5, 99.5), axis=0)
    room = 0.05 * (high - low)
    lines = [np.linspace(a, b, FINE) for a, b in zip(low - room, high + room, strict=True)]
    grids = np.meshgrid(*lines)
    at = np.tile(np.median(z, axis=0), (grids[0].size, 1))
    at[:, shown] = np.column_stack([g.ravel() for g in grids])
    return lines, at


def _curve(
    figure: Figure, ax: Axes, found: Property, shown: list[int], suggested: NDArray, text: str
) -> None:
    (line,), at = _grid(found, shown)
    mean, sd = found.predict(at, return_std=True)
    ax.fill_between(line, mean - sd, mean + sd, color=style.PALE, lw=0, label="± 1 sd")
    ax.plot(line, mean, color=style.BLUE, label="mean")
    z, k = found.place_.z, shown[0]
    ax.plot(z[found.used_, k], found.left_out_[:, 0], "o", ms=3, color=style.INK, label="measured")
    for row in suggested:
        ax.axvline(z[row, k], color=style.VERMILLION, lw=0.8, ls=":")
    ax.set(xlabel=label(f"z{k + 1}", "prior sd"), ylabel=text, xlim=(line[0], line[-1]))
    ax.legend()


def _plane(
    figure: Figure, ax: Axes, found: Property, shown: list[int], suggested: NDArray, text: str
) -> None:
    lines, at = _grid(found, shown)
    mean, sd = (v.reshape(FINE, FINE) for v in found.predict(at, return_std=True))
    values = found.left_out_[:, 0]
    scale = Normalize(values.min(), values.max())  # where nothing was measured the mean may go anywhere
    drawn = ax.pcolormesh(*lines, mean, cmap=style.QUANTITY, norm=scale, shading="gouraud", rasterized=True)
    heights = ax.contour(*lines, sd, levels=4, colors="white", linewidths=0.6)
    edge: list[AbstractPathEffect] = [
        withStroke(linewidth=1.4, foreground=style.INK + "99")
    ]  # white on yellow is not seen
    heights.set_path_effects(edge)
    for written in ax.clabel(heights, fontsize=6, fmt="%.2g"):
        written.set_path_effects(edge)
    z = found.place_.z[:, shown]
    ax.plot(*z.T, ".", ms=1, color=style.FAINT, alpha=0.5, rasterized=len(z) > 4000)
    across, down = z[found.used_].T
    ax.scatter(
        across,
        down,
        16,
        values,
        cmap=style.QUANTITY,
        norm=scale,
        edgecolors=style.INK,
        linewidths=0.6,
        zorder=3,
    )
    ax.plot(*z[suggested].T, "x", ms=5, mew=1.2, color=style.VERMILLION, zorder=4)
    names = [label(f"z{k + 1}", "prior sd") for k in shown]
    ax.set(xlabel=names[0], ylabel=names[1], xlim=lines[0][[0, -1]], ylim=lines[1][[0, -1]])
    ax.set_title("white lines: sd" + (", ×: suggested" if len(suggested) else ""), fontsize=7)
    style.bar(figure, [ax], drawn, text)
