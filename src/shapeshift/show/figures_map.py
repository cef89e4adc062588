"""Figure of a quantity at its place, and the colours that quantities have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from shapeshift.analysis.poses import all_round
from shapeshift.errors import ShapeshiftError
from shapeshift.show import style
from shapeshift.show.labels import first_pose, label, layout_of, limits, literal, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior

_STRIP = 8  # sides of a map that differ by more are not drawn in proportion


@style.styled
def map(
    p: Posterior,
    what: Any = None,
    *,
    neutral: float | None = None,
    name: str | None = None,
    units: str | None = None,
    scale_bar: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """A quantity at its place: signals that were measured on a two-dimensional map.

    The sides are in the units of the map's coordinates, in proportion where both have the same; grey is what
    has no value.

    Parameters
    ----------
    p : Posterior
    what : str, array (n,) or DataArray, optional
        "shift" (the default), "z1", "z2", ..., or "gain", or one of these with "_sd"; "noise_sd",
        "log_evidence". Of images, in place of the shift: "rotation", "shift_row", "shift_column", "scale".
        Or numbers of your own, one a signal.
    neutral : float, optional
        A value that stands for "neither nor", such as a shift of a reference: white, with blue below and red
        above, as far to both sides.
    name, units : str, optional
        What the colour bar says; by default the quantity and its units.
    scale_bar : bool
        A bar of a round length in place of the axes' numbers, as is usual for micrographs.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeshiftError
        If the signals are no map, there is no such quantity, or a scale bar is asked for and the sides
        have no units or not the same.

    Examples
    --------
    >>> import numpy as np, xarray as xr, shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=48, seed=1)
    >>> side = lambda n: np.arange(n) * 0.5
    >>> place = {d: (d, side(n), {"units": "um"}) for d, n in (("y", 6), ("x", 8))}
    >>> X = xr.DataArray(X.values.reshape(6, 8, -1), place, ("y", "x", "eV"))
    >>> m = ss.ShiftVAE(n_latent=1, epochs=2).fit(X)
    >>> ss.plot.map(m.posterior(X), neutral=0.0).axes[0].get_xlabel()
    'x (um)'
    """
    layout = layout_of(p)
    if layout.ndim != 2:
        raise ShapeshiftError(
            f"got signals with the dimensions {tuple(layout.dims)}, needed a map of two: use plot.sequence"
        )
    values, text = colour_of(p, first_pose(p) if what is None else what, name, units)
    (bottom, top, y_label), (left, right, x_label) = [_edge(layout, d) for d in layout.dims]
    sides = abs(top - bottom), abs(right - left)
    alike = _alike(layout, sides)
    figure, ax = style.one(ax, style.SINGLE, style.SINGLE * _height(alike, sides), layout="compressed")
    ax.set_facecolor("#BBBBBB")
    image = ax.imshow(
        values.reshape(layout.shape),
        extent=(left, right, bottom, top),
        **scale_of(values, what if isinstance(what, str) else "", neutral),
        origin="lower",
        aspect="equal" if alike else "auto",
    )
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.spines[["top", "right"]].set_visible(True)
    for axis in (ax.xaxis, ax.yaxis):
        pixels = axis.get_label_text().endswith("(pixel)")
        axis.set_major_locator(MaxNLocator(6, integer=pixels, steps=[1, 2, 5, 10]))
    if scale_bar:
        _scale_bar(figure, ax, layout, sides[1])
    style.bar(figure, [ax], image, text)
    return figure


def _scale_bar(figure: Figure, ax: Axes, layout: Any, width: float) -> None:
    """A bar of a round length below the map, and no numbers."""
    given = {str(layout.coords[d].attrs.get("units", "")) if d in layout.coords else "" for d in layout.dims}
    if len(given) > 1 or given == {""}:
        raise ShapeshiftError(
            f"got a map whose sides have the units {sorted(given)}, needed the same for both: give its "
            "coordinates units, X.y.attrs['units'] = 'um', or leave scale_bar out."
        )
    length = round_length(width)
    ax.set(xticks=[], yticks=[], ylabel="")
    ax.set_xlabel(literal(f"{length:g} {given.pop()}"), labelpad=9)
    half = length / width / 2
    below = ax.transAxes + ScaledTranslation(0, -5 / 72, figure.dpi_scale_trans)
    ax.plot([0.5 - half, 0.5 + half], [0, 0], color=style.INK, lw=2.5, transform=below, clip_on=False)
    ax.lines[-1].set_solid_capstyle("butt")


def round_length(width: float) -> float:
    """1, 2 or 5 times a power of ten, the longest that is at most a third of a width.

    Examples
    --------
    >>> round_length(16.0), round_length(0.9), round_length(700.0)
    (5.0, 0.2, 200.0)
    """
    power = 10.0 ** np.floor(np.log10(width / 3))
    return float(max(k * power for k in (1, 2, 5) if k * power <= width / 3 * (1 + 1e-9)))


def colour_of(p: Posterior, color: Any, text: str | None, units: str | None = None) -> tuple[NDArray, str]:
    """Numbers (n,) of a posterior or given, and what they are called."""
    if isinstance(color, str):
        values, _, named = quantity(p, color)
        return values, _called(text, units) if text else named
    values = np.asarray(color, dtype=float).ravel()
    if len(values) != len(p.z):
        raise ShapeshiftError(
            f"got {values.size} numbers for the colour, needed {len(p.z)}: one for every signal"
        )
    if text:
        return values, _called(text, units)
    own = getattr(color, "attrs", {}).get("units", "") if units is None else units
    return values, label(str(getattr(color, "name", None) or "colour"), own)


def _called(text: str, units: str | None) -> str:
    """The user's own words as they stand, formulas and all."""
    return f"{text} ({units})" if units else text


def angles() -> dict[str, Any]:
    """Colours of angles that lie to all sides."""
    return {"cmap": style.CYCLIC, "norm": Normalize(-180, 180)}


def scale_of(values: NDArray, what: str, neutral: float | None = None) -> dict[str, Any]:
    """Colours for 99 % of the values; logarithmic for an sd or a gain that spans more than a factor of 10."""
    if neutral is not None:
        reach = limits(np.abs(values - neutral), 0, 99)[1]
        return {"cmap": style.SIGNED, "norm": Normalize(neutral - reach, neutral + reach)}
    if what == "rotation" and all_round(values):
        return angles()
    low, high = limits(values, 0.5, 99.5)
    if (what == "gain" or what.endswith("_sd")) and 0 < 10 * low < high:
        return {"cmap": style.QUANTITY, "norm": LogNorm(low, high)}
    return {"cmap": style.QUANTITY, "norm": Normalize(low, high)}


def _edge(layout: Any, dim: Any) -> tuple[float, float, str]:
    """Outer edges of the first and last pixel along a dimension, and its label."""
    n = layout.sizes[dim]
    if dim not in layout.coords or not np.issubdtype(layout.coords[dim].dtype, np.number):
        return -0.5, n - 0.5, label(str(dim), "pixel")
    at = layout.coords[dim].values.astype(float)
    half = (at[-1] - at[0]) / (n - 1) / 2 if n > 1 else 0.5
    return (
        float(at[0] - half),
        float(at[-1] + half),
        label(str(dim), layout.coords[dim].attrs.get("units", "")),
    )


def _alike(layout: Any, sides: tuple[float, ...]) -> bool:
    """Whether both sides are lengths of one kind, so that a map keeps its proportions; a strip may not."""
    units = [layout.coords[d].attrs.get("units", "") if d in layout.coords else "" for d in layout.dims]
    return units[0] == units[1] and max(sides) <= _STRIP * min(sides)


def _height(alike: bool, sides: tuple[float, ...]) -> float:
    """Height over width of the figure, so that the map fills it."""
    return float(np.clip(sides[0] / sides[1] * 0.72 + 0.12, 0.35, 1.6)) if alike else 0.85
