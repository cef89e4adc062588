"""Figures of how images lie: rotations, displacements, scales, and their error bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from shapeshift.analysis.poses import all_round, columns_of, poses_of
from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.figures_map import angles
from shapeshift.show.labels import label, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior

_MANY = 4000  # marks beyond which they are drawn as pixels, also in a vector file


@style.styled
def rotations(p: Posterior, *, ax: Axes | None = None) -> Figure:
    """Histogram of rotations: round where they lie to all sides, straight where they do not.

    Parameters
    ----------
    p : Posterior
    ax : matplotlib.axes.Axes, optional
        Straight or polar.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the model had no such warp.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.digits()[0][:40]
    >>> m = ss.ImageVAE(n_latent=2, epochs=1).fit(X)
    >>> ss.plot.rotations(m.posterior(X)).axes[0].get_xlabel()
    'rotation (degree), counter-clockwise'
    """
    values = _used(p, "rotation")
    round_ = getattr(ax, "name", "") == "polar" or (ax is None and all_round(values))
    if round_:
        return _rose(values, ax)
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.75)
    limits = (-180, 180) if all_round(values) else None
    ax.hist(values, bins=_bins(values), range=limits, color=style.BLUE, alpha=0.75)
    ax.set(xlabel="rotation (degree), counter-clockwise", ylabel="images in a bin (count)")
    ax.set_title(f"rotations, sd {np.std(values):.3g} degrees")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@style.styled
def displacements(p: Posterior, *, ax: Axes | None = None) -> Figure:
    """Where patterns lie in the plane of the images, with error bars of one standard deviation.

    Parameters
    ----------
    p : Posterior
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the model had no such warp.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.digits()[0][:40]
    >>> m = ss.ImageVAE(n_latent=2, warps=("shift",), epochs=1).fit(X)
    >>> ss.plot.displacements(m.posterior(X)).axes[0].get_xlabel()
    'shift along column (pixel)'
    """
    _used(p, "shift")
    (down, down_sd, row), (across, across_sd, column) = [
        quantity(p, f"shift_{axis}") for axis in p.axis_name.split(", ")
    ]
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.95)
    size = float(np.clip(30 / np.sqrt(len(down)), 1.0, 2.5))
    ax.errorbar(
        across, down, down_sd, across_sd, fmt="o", ms=size, mew=0, color=style.BLUE, ecolor=style.ORANGE,
        elinewidth=0.4, alpha=0.8, label="± 1 sd", rasterized=len(down) > _MANY,
    )  # fmt: skip
    ax.axhline(0, color=style.FAINT, lw=0.6, zorder=0)
    ax.axvline(0, color=style.FAINT, lw=0.6, zorder=0)
    if _falls(p):
        ax.invert_yaxis()
    ax.set(xlabel=column, ylabel=row)
    ax.set_title(f"displacements, sd {np.std(down):.2g} and {np.std(across):.2g}")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(loc="upper left")
    return figure


@style.styled
def scales(p: Posterior, *, ax: Axes | None = None) -> Figure:
    """Histogram of sizes relative to the pattern of scale 1, on a logarithmic axis.

    Parameters
    ----------
    p : Posterior
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the model had no such warp.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.digits()[0][:40]
    >>> m = ss.ImageVAE(n_latent=2, warps=("scale",), epochs=1).fit(X)
    >>> ss.plot.scales(m.posterior(X)).axes[0].get_xlabel()
    'scale (size over that of the pattern)'
    """
    values = _used(p, "scale")
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.75)
    edges = np.exp(np.histogram_bin_edges(np.log(values), _bins(np.log(values))))
    ax.hist(values, bins=edges.tolist(), color=style.BLUE, alpha=0.75)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(MaxNLocator(1))
    ax.xaxis.set_minor_formatter("")
    ax.set(xlabel="scale (size over that of the pattern)", ylabel="images in a bin (count)")
    ax.set_title(f"scales, sd {100 * np.std(np.log(values)):.2g} %")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@style.styled
def error_bars(p: Posterior, *, ax: Axes | None = None) -> Figure:
    """Error bars of all poses against the size of the pattern, or against the noise where size is not fitted.

    Parameters
    ----------
    p : Posterior
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.digits()[0][:40]
    >>> m = ss.ImageVAE(n_latent=2, epochs=1).fit(X)
    >>> ss.plot.error_bars(m.posterior(X)).axes[0].get_ylabel()
    'sd of the pose (units as named)'
    """
    by = "scale" if "scale" in poses_of(p) else "noise_sd"
    at, _, text = quantity(p, by)
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * 0.8)
    size = float(np.clip(6000 / len(at), 2.0, 10))
    marks = zip(columns_of(p).items(), style.CYCLE, "os^D", strict=False)
    for (name, (values, bars, units)), colour, shape in marks:
        told = label(name.replace("_", " along "), units or "relative")
        ax.scatter(at, bars / (values if name == "scale" else 1.0), s=size, c=colour, marker=shape,
                   linewidths=0, alpha=0.6, label=told, rasterized=len(at) > _MANY)  # fmt: skip
    ax.set(xlabel=text, ylabel="sd of the pose (units as named)", yscale="log")
    ax.set_title("error bars of the poses")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, markerscale=1.5)
    return figure


def _rose(values: NDArray, ax: Any) -> Figure:
    """Rotations around a circle; areas tell how many, so that far bars do not look like more."""
    if ax is None:
        figure = style.sheet(style.SINGLE, style.SINGLE * 0.95)
        ax = figure.add_subplot(projection="polar")
    else:
        figure, ax = style.one(ax)
    edges = np.linspace(-180, 180, 25)
    count = np.histogram(values, edges)[0]
    middle, scale = (edges[1:] + edges[:-1]) / 2, angles()
    colours = colormaps[scale["cmap"]](scale["norm"](middle))
    ax.bar(np.radians(middle), np.sqrt(count), width=np.radians(15), color=colours, ec=style.GREY, lw=0.4)
    ax.set_theta_zero_location("N")  # 0 is upright
    top = int(count.max(initial=1))
    rings = sorted({max(1, round(top * share)) for share in (0.25, 0.6, 1.0)})
    ax.set_rticks(np.sqrt(rings), [str(r) for r in rings])
    ax.set_rlabel_position(112.5)
    ax.set_thetagrids(
        range(0, 360, 45), [f"{a if a <= 180 else a - 360}°".replace("-", "−") for a in range(0, 360, 45)]
    )
    ax.grid(color=style.FAINT, lw=0.5)
    ax.set_axisbelow(True)
    ax.spines["polar"].set_color(style.FAINT)
    ax.set_xlabel("rotation (degree), counter-clockwise")
    ax.set_ylabel("images in 15 degrees (count)", labelpad=26)
    ax.set_title("rotations: to all sides")
    return figure


def _used(p: Posterior, name: str) -> NDArray:
    """The values of a pose, once it is known that the model has it."""
    if name not in poses_of(p):
        had = ", ".join(poses_of(p)) or "none"
        raise ShapeshiftError(
            f"got the posterior of a model with the warps {had}, needed {name!r} among them: fit with "
            f"warps=({name!r}, ...)"
        )
    return np.asarray(getattr(p, name))


def _bins(values: NDArray) -> int:
    return int(np.clip(len(np.histogram_bin_edges(values, "fd")) - 1, 10, 60))


def _falls(p: Posterior) -> bool:
    """Whether rows are counted downwards, as they are seen."""
    raster = getattr(p.stack, "raster", None)
    return raster is None or raster.signs[0] > 0
