"""What the axes of a figure say, and the plain arrays behind signals and posteriors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shapeshift.analysis.poses import columns_of, of_images
from shapeshift.data.lanes import NAME
from shapeshift.errors import ShapeshiftError, printable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from shapeshift.fit.posterior import Posterior


_LONGEST = 120  # characters along an axis


class Curves(NamedTuple):
    """Signals as rows, with what to write on their axes."""

    values: NDArray[np.float64]  # (n, length)
    axis: NDArray[np.float64]  # (length,)
    axis_label: str
    signal_label: str


def label(name: str, units: str = "") -> str:
    """A quantity and its units, as written along an axis.

    Examples
    --------
    >>> label("Raman shift", "1/cm"), label("frequency bin")
    ('Raman shift (1/cm)', 'frequency bin')
    """
    return literal(f"{name} ({units})" if units else name)


def literal(text: str) -> str:
    """Text from a file as it stands: a dollar sign starts no formula, and nothing breaks a line.

    Examples
    --------
    >>> print(literal("cost in $"))
    cost in \\$
    """
    return printable(text, _LONGEST).replace("$", r"\$")


def shift_label(p: Posterior, name: str = "shift") -> str:
    """A label for what is measured along the signal axis: its units, or "units of" an axis that has none."""
    return label(name, p.axis_units or f"units of {p.axis_name or 'samples'}")


def curves(X: Any, *, x: ArrayLike | None = None) -> Curves:
    """The rows and labels of signals: a labelled array with or without a map, or plain `(n, length)`.

    Raises
    ------
    ShapeshiftError
        If `X` has fewer than two dimensions or several channels, or `x` is not one number per sample.

    Examples
    --------
    >>> curves(np.zeros((3, 5))).axis_label
    'sample'
    """
    values = np.asarray(X, dtype=float)
    if values.ndim < 2:
        raise ShapeshiftError(
            f"got an array of shape {values.shape}, needed signals as rows: reshape it to (n, length)"
        )
    if NAME in getattr(X, "dims", ()):
        raise ShapeshiftError(
            "got signals of several channels, needed those of one: use X.isel(channel=0), and so of what the "
            "model makes of them."
        )
    values = values.reshape(-1, values.shape[-1])
    name, units, coordinate = _axis(X)
    axis = np.asarray(x if x is not None else coordinate, dtype=float)
    if x is None and coordinate is None:
        axis = np.arange(values.shape[1], dtype=float)
    if axis.shape != values.shape[1:]:
        raise ShapeshiftError(
            f"got an axis of shape {axis.shape}, needed one number for each of the {values.shape[1]} samples"
        )
    attrs = getattr(X, "attrs", {})
    signal = attrs.get("long_name") or getattr(X, "name", None) or "signal"
    return Curves(values, axis, label(name, units), label(str(signal), attrs.get("units") or "arb. units"))


def curves_of(p: Posterior, *signals: Any, x: ArrayLike | None = None) -> list[Curves]:
    """The rows of several sets of signals, each with one row for every signal of the posterior.

    Raises
    ------
    ShapeshiftError
        As `curves`, and where there are more or fewer rows.
    """
    found = [curves(each, x=x) for each in signals]
    for c in found:
        if len(c.values) != len(p.shift):
            raise ShapeshiftError(
                f"got {len(c.values)} signals and the posterior of {len(p.shift)}, needed the signals "
                "it was read from, (n, length): of several channels one."
            )
    return found


def _axis(X: Any) -> tuple[str, str, NDArray | None]:
    """Name, units and values of the last dimension, as far as `X` knows them."""
    if not hasattr(X, "dims"):
        return "sample", "", None
    name = str(X.dims[-1])
    if name not in X.coords:
        return name, "", None
    return name, str(X.coords[name].attrs.get("units", "")), X.coords[name].values


def quantity(p: Posterior, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, str]:
    """A posterior's quantity by name: values (n,), their sd (n,) where there is one, and its label.

    Raises
    ------
    ShapeshiftError
        If there is no such quantity.
    """
    latents = {f"z{k + 1}": k for k in range(p.z.shape[1])}
    if name in latents:
        k = latents[name]
        return p.z[:, k], p.z_sd[:, k], label(name, "prior sd")
    if name.removesuffix("_sd") in latents:
        return p.z_sd[:, latents[name.removesuffix("_sd")]], None, label(f"sd of {name[:-3]}", "prior sd")
    plain = _poses(p) | {
        "gain": (p.gain, p.gain_sd, "gain"),
        "gain_sd": (p.gain_sd, None, "sd of gain"),
        "noise_sd": (p.noise_sd, None, label("noise sd", "units of the signal")),
        "log_evidence": (p.log_evidence, None, label("log evidence", "nat")),
    }
    if name not in plain:
        known = ", ".join([*plain, *latents])
        raise ShapeshiftError(f"got the quantity {name!r}, needed one of {known}: pass one of these names")
    return plain[name]


def _poses(p: Posterior) -> dict[str, tuple[NDArray, NDArray | None, str]]:
    """Where the pattern is: of signals its shift; of images whatever moves it."""
    if not of_images(p):
        of_sd = (p.shift_sd, None, shift_label(p, "sd of shift"))
        return {"shift": (p.shift, p.shift_sd, shift_label(p)), "shift_sd": of_sd}
    out: dict[str, tuple[NDArray, NDArray | None, str]] = {}
    for name, (values, bars, units) in columns_of(p).items():
        words = name.replace("_", " along ")
        out[name] = values, bars, label(words, units)
        out[f"{name}_sd"] = bars, None, label(f"sd of {words}", units)
    return out


def first_pose(p: Posterior) -> str:
    """The quantity that tells where a pattern is, where one is to be chosen; "z1" where nothing moves."""
    return next(iter(columns_of(p)), "z1") if of_images(p) else "shift"


def by_shift(p: Posterior) -> NDArray[np.intp]:
    """The order of signals by their shift.

    Raises
    ------
    ShapeshiftError
        If these are images, which have two shifts.
    """
    if of_images(p):
        raise ShapeshiftError(
            "got the posterior of images, needed that of signals: use plot.views, plot.displacements, "
            "plot.rotations or plot.scales"
        )
    return np.argsort(p.shift, kind="stable")


def layout_of(p: Posterior) -> Any:
    """A DataArray of one value a signal, with the dimensions and coordinates of their map or series."""
    data = p.to_dataset()
    return data["shift"] if "shift" in data else data["noise_sd"]


def spread(n: int, most: int) -> NDArray[np.intp]:
    """At most `most` of `n` row numbers, evenly spread.

    Examples
    --------
    >>> spread(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def limits(values: NDArray, low: float = 0.0, high: float = 100.0) -> tuple[float, float]:
    """Two percentiles that differ, so that a scale drawn from them has two ends.

    Examples
    --------
    >>> limits(np.arange(5.0)), limits(np.ones(3))
    ((0.0, 4.0), (0.5, 1.5))
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    bottom, top = (float(v) for v in np.percentile(finite, (low, high)))
    return (bottom, top) if top > bottom else (bottom - 0.5, top + 0.5)


def number(value: float, span: float) -> str:
    """A number with as many decimals as a range of the width `span` deserves.

    Examples
    --------
    >>> number(1.5e-112, 1.6), number(-2.0, 4.0), number(1234.5, 600.0)
    ('0', '−2', '1234')
    """
    decimals = int(np.clip(2 - np.floor(np.log10(span)), 0, 12)) if span > 0 else 3
    text = f"{value:.{decimals}f}" if 1e-6 < span < 1e6 else f"{value:.3g}"
    text = text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")
