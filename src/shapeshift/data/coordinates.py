"""The border: whatever is handed in becomes a checked stack of signals on a uniform axis.

This is the only place where axis units and canonical units (the window is [-1, 1]) convert.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.kin import in_kind
from shapeshift.data.resampling import resample
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.lanes import Lanes

UNIFORM = 1e-3  # steps of the axis may differ by this share before the signals are resampled


@dataclass(frozen=True)
class Axis:
    """A uniform, increasing axis: its values (P,), name and units."""

    values: np.ndarray
    name: str = "sample"
    units: str = ""

    @property
    def half(self) -> float:
        """Half the window, in axis units: one canonical unit."""
        return float(self.values[-1] - self.values[0]) / 2

    @property
    def centre(self) -> float:
        return float(self.values[-1] + self.values[0]) / 2

    @property
    def step(self) -> float:
        """Distance of two samples, in axis units."""
        return 2 * self.half / (len(self.values) - 1)

    @property
    def centre_told(self) -> str:
        """The centre in words, with no more decimals than half a sample deserves."""
        return f"{round(self.centre, math.ceil(-math.log10(self.step / 2))) + 0.0:.12g}"


@dataclass(frozen=True)
class Measured:
    """Signals (n, P') as they were measured, on an increasing axis (P',): the ``rows`` of a stack."""

    rows: slice
    axis: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Stack:
    """Checked signals (n, P) on a uniform axis, and how to give results back in kind.

    Where they were measured on other axes they are resampled, for what only has to come near, and stand in
    ``measured`` as they were.
    """

    values: np.ndarray
    axis: Axis
    given: Any = None  # what came in as a DataArray, or None for plain arrays
    notes: tuple[str, ...] = field(default=())
    measured: tuple[Measured, ...] = ()
    back: Callable[[xr.DataArray], Any] | None = None  # to the kind that came in
    lanes: Lanes | None = None  # of several channels, which lie side by side on the axis

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Coordinates of the samples."""
        return (self.axis.values,)

    def per_signal(self, array: np.ndarray, name: str, units: str = "") -> xr.DataArray:
        """A value per signal as a DataArray with the map dimensions restored."""
        import xarray as xr

        if self.given is None:
            return xr.DataArray(array, dims="signal", name=name, attrs={"units": units})
        dims = self.given.dims[:-1] or ("signal",)
        coords = {k: v for k, v in self.given.coords.items() if set(v.dims) <= set(dims)}
        shape = self.given.shape[:-1] or (len(array),)
        return xr.DataArray(array.reshape(shape), dims=dims, coords=coords, name=name, attrs={"units": units})

    def like_given(self, signals: np.ndarray) -> Any:
        """Signals (n, P) back in the kind, and on the map, they came in."""
        if self.lanes is not None:
            one, parts = replace(self, axis=self.lanes.axis, lanes=None), self.lanes.parted(signals)
            return self.lanes.together([one.like_given(parts[:, k]) for k in range(parts.shape[1])])
        if self.given is None:
            return signals
        import xarray as xr

        kept = {k: v for k, v in self.given.coords.items() if self.given.dims[-1] not in v.dims}
        shape = (*self.given.shape[:-1], len(self.axis.values))
        along = xr.Variable(self.axis.name, self.axis.values, attrs={"units": self.axis.units})
        dims = (*self.given.dims[:-1], self.axis.name)
        out = xr.DataArray(signals.reshape(shape), dims=dims, coords=kept, attrs=dict(self.given.attrs))
        out = out.assign_coords({self.axis.name: along})
        return out if self.back is None else self.back(out)


def as_stack(X: Any, x: Any = None, *, gaps: bool = False) -> Stack:
    """Check signals and put them on a uniform, increasing axis.

    Parameters
    ----------
    X : array (n, P), or xarray.DataArray (..., P) whose last dimension is the signal's axis; or what
        :func:`shapeshift.data.kin.in_kind` takes for one
    x : array (P,), optional
        Axis of a plain array; by default 0, 1, 2, ... samples.
    gaps : bool
        Whether nan is a sample that was not measured, and not an error.

    Raises
    ------
    ShapeshiftError
        Not numeric, complex, not at least 2-D, too short, NaN or inf, or an axis with repeats.
    """
    kin = in_kind(X)
    given, back = (None, None) if kin is None else (kin.array, kin.back)
    values = _numeric(given.values if given is not None else X)
    if values.ndim == 1 and given is not None:
        values = values[None]
    if values.ndim < 2:
        raise ShapeshiftError(
            f"Expected 2D array of signals (n, samples), got an array of shape {values.shape}. "
            "Reshape your data: one signal a row, X.reshape(1, -1) for a single one."
        )
    if given is None and values.ndim > 2:
        raise ShapeshiftError(
            f"Found array with dim {values.ndim}, needed (n, samples): reshape a map to one signal a row."
        )
    if values.size == 0:
        raise ShapeshiftError(
            f"Found array with {values.shape[0]} sample(s) and {values.shape[-1]} feature(s) "
            f"(shape={values.shape}) while a minimum of 1 is required: the data are empty."
        )
    axis = _axis(given, x, values.shape[-1])
    values = values.reshape(-1, values.shape[-1])
    notes: list[str] = _gaps_told(values) if gaps else []
    _refuse_gaps(values, np.isinf(values) if gaps else ~np.isfinite(values))
    order = np.argsort(axis.values, kind="stable")
    if not np.array_equal(order, np.arange(len(order))):
        values, axis = values[:, order], Axis(axis.values[order], axis.name, axis.units)
        notes.append("the axis was not increasing: samples were sorted by it")
    steps = np.diff(axis.values)
    if len(steps) and steps.min() <= 0:
        twice = axis.values[1:][steps <= 0][0]
        raise ShapeshiftError(f"the axis holds the value {twice:.6g} twice: give every sample its own value.")
    measured: tuple[Measured, ...] = ()
    if len(steps) and np.ptp(steps) > UNIFORM * steps.mean():
        uniform = np.linspace(axis.values[0], axis.values[-1], len(axis.values))
        measured = (Measured(slice(0, len(values)), axis.values, np.ascontiguousarray(values)),)
        values = resample(values, axis.values, uniform)
        axis = Axis(uniform, axis.name, axis.units)
        notes.append("the axis was not uniform: the search sees signals resampled to as many equal steps")
    return Stack(np.ascontiguousarray(values), axis, given, tuple(notes), measured, back)


def _gaps_told(values: np.ndarray) -> list[str]:
    """A note on samples that were not measured; a set of nothing else is refused."""
    gap = np.isnan(values)
    if gap.all():
        raise ShapeshiftError("got signals without a single number (all are NaN), needed measured samples.")
    if not gap.any():
        return []
    share, rows = gap.mean(), int(gap.any(1).sum())
    return [
        f"{share:.2g} of the samples are missing, in {rows} of {len(values)} signals: they count for nothing"
    ]


def _numeric(values: Any) -> np.ndarray:
    import scipy.sparse as sp

    if sp.issparse(values):
        raise TypeError("Sparse data was passed, but dense data is required: use X.toarray().")
    hidden = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise ShapeshiftError(
            "Complex data not supported: got complex numbers, needed real ones; fit np.abs(X) or X.real."
        )
    try:
        array = array.astype(np.float64) if array.dtype != np.float64 else array
        return array if hidden is None else np.where(hidden, np.nan, array)
    except TypeError as error:
        raise TypeError(f"argument must be a string, a bytes-like object or a number: {error}") from error
    except ValueError as error:
        raise ShapeshiftError(
            f"got signals that are not all numbers ({error}): convert or drop these columns."
        ) from error


def _axis(given: Any, x: Any, length: int) -> Axis:
    name, units = "sample", ""
    if given is not None:
        name = str(given.dims[-1])
        if name in given.coords:
            coordinate = given.coords[name]
            units = str(coordinate.attrs.get("units", ""))
            x = coordinate.values if x is None else x
    if x is not None and np.asarray(x).dtype.kind in "mM":
        x, units = _seconds(np.asarray(x)), "s"
    axis = np.arange(length, dtype=float) if x is None else np.asarray(x, dtype=float).ravel()
    if len(axis) != length:
        raise ShapeshiftError(
            f"got an axis of {len(axis)} values for signals of {length} samples: they must agree."
        )
    if not np.isfinite(axis).all():
        raise ShapeshiftError("the axis holds NaN or inf: give every sample a finite axis value.")
    return Axis(axis, name, units)


def _seconds(times: np.ndarray) -> np.ndarray:
    """Times or time stamps as seconds; stamps count from the first one."""
    since = times - times.min() if times.dtype.kind == "M" else times
    return since / np.timedelta64(1, "ns") * 1e-9


def _refuse_gaps(values: np.ndarray, bad: np.ndarray) -> None:
    if bad.any():
        rows, columns = np.unique(np.nonzero(bad)[0]), np.unique(np.nonzero(bad)[1])
        raise ShapeshiftError(
            f"Input X contains NaN or infinity in {len(rows)} of {len(values)} signals (rows {_some(rows)}; "
            f"samples {_some(columns)}), needed finite numbers: drop those rows or samples, or fill them in."
        )


def _some(numbers: np.ndarray, most: int = 6) -> str:
    shown = ", ".join(str(i) for i in numbers[:most])
    return shown + (f", ... {len(numbers) - most} more" if len(numbers) > most else "")


def refuse_constant(values: np.ndarray) -> None:
    """Refuse signals (n, P) none of which varies along the axis."""
    varies = np.nanmax(values, axis=1, initial=-np.inf) > np.nanmin(values, axis=1, initial=np.inf)
    if not varies.any():
        raise ShapeshiftError(
            f"got {len(values)} signals that are all constant along the axis, needed signals with a pattern: "
            "check which dimension is the axis (orientation)."
        )


def refuse_other_length(got: int, needed: Axis, who: str) -> None:
    """Refuse signals of another number of samples than a model was fitted on."""
    n = len(needed.values)
    if got != n:
        ends = f"from {needed.values[0]:.6g} to {needed.values[-1]:.6g} {needed.units}".strip()
        raise ShapeshiftError(
            f"X has {got} features, but {who} is expecting {n} features as input: resample the signals to "
            f"the model's {n} samples, {ends}, or fit a model to them."
        )
