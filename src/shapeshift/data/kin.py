"""Objects of other libraries, taken by what they look like and given back in kind; none is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from shapeshift.data.metadata import clean
from shapeshift.data.naming import names_of, split_units, word
from shapeshift.errors import ShapeshiftError

_ALONG = ("SPECTRAL", "TEMPORAL", "RECIPROCAL")  # what sidpy calls the dimensions of signals


class Kin(NamedTuple):
    """An object as a labelled array, and the way back for an array of its kind."""

    array: xr.DataArray  # the dimensions of one measurement last
    back: Callable[[xr.DataArray], Any]
    is_frame: bool = False


def in_kind(X: Any, inner: int = 1) -> Kin | None:
    """An xarray object, HyperSpy signal, sidpy dataset or pandas frame as a DataArray; None for plain arrays.

    Parameters
    ----------
    X : object
    inner : {1, 2}
        Dimensions of one measurement: 1 of signals, 2 of images.

    Raises
    ------
    ShapeshiftError
        If the object says that its measurements are of the other kind, or a data set holds several arrays.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(np.eye(2, 3), index=["a", "b"], columns=[1.0, 2.0, 4.0])
    >>> kin = in_kind(frame)
    >>> kin.array.dims, list(kin.array["sample"].values), kin.back(kin.array).equals(frame)
    (('signal', 'sample'), [np.float64(1.0), np.float64(2.0), np.float64(4.0)], True)
    """
    if hasattr(X, "data_vars"):
        return _dataset(X)
    if hasattr(X, "dims") and hasattr(X, "coords"):
        return Kin(X, lambda out: out)
    if hasattr(X, "axes_manager") and hasattr(X, "deepcopy"):
        return _hyperspy(X, inner)
    if is_sidpy(X):
        return _sidpy(X, inner)
    if all(hasattr(X, name) for name in ("columns", "index", "iloc")):
        return _frame(X)
    return None


def is_sidpy(X: Any) -> bool:
    """Whether an object is a sidpy dataset, which is also an array of dask."""
    return hasattr(X, "_axes") and hasattr(X, "like_data")


def _dataset(X: Any) -> Kin:
    """The only array of two or more dimensions in a data set."""
    tall = [name for name, array in X.data_vars.items() if array.ndim > 1]
    if len(tall) != 1:
        raise ShapeshiftError(
            f"got a Dataset with {len(tall)} arrays of signals ({', '.join(map(str, tall)) or 'none'}), "
            "needed one: give X['NAME']"
        )
    name = tall[0]
    return Kin(X[name], lambda out: out.to_dataset(name=name).assign_attrs(X.attrs))


def _hyperspy(signal: Any, inner: int) -> Kin:
    """A HyperSpy signal; the way back is a deep copy with new data."""
    manager = signal.axes_manager
    axes = sorted((*manager.navigation_axes, *manager.signal_axes), key=lambda axis: axis.index_in_array)
    own = [axis.index_in_array for axis in manager.signal_axes][::-1]
    if own and len(own) != inner:
        got, needed = ("images", "signals") if inner == 1 else ("signals", "images")
        raise ShapeshiftError(
            f"got a signal of HyperSpy with {len(own)} signal axes, that is {got}, needed {needed}: use "
            f"{'ImageVAE, or as_signal1D' if inner == 1 else 'ShiftVAE, or as_signal2D'}"
        )
    names = names_of([axis.name for axis in axes], [bool(axis.navigate) for axis in axes])
    array = _array(np.asarray(signal.data), names, [_hyperspy_axis(axis) for axis in axes])
    last = array.transpose(..., *[names[k] for k in own])

    def back(out: xr.DataArray) -> Any:
        copy = signal.deepcopy()
        data = _in_order(out, array.dims, last).data
        copy.data = _lazy_like(signal.data, data)
        for axis, values in _moved(copy.axes_manager, last, own, out):
            _set_axis(axis, values)
        return copy

    return Kin(last, back)


def _hyperspy_axis(axis: Any) -> tuple[np.ndarray, str] | None:
    """Values and units of an axis, None for one that nobody calibrated."""
    values, units = np.asarray(axis.axis, dtype=float), word(axis.units)
    plain = not units and not word(axis.name) and np.array_equal(values, np.arange(len(values)))
    return None if plain else (values, units)


def _moved(manager: Any, given: xr.DataArray, own: list[int], out: xr.DataArray) -> Any:
    """Axes of one measurement whose values are no longer those that were given."""
    axes = {axis.index_in_array: axis for axis in manager.signal_axes}
    for k, place in enumerate(own):
        values = _along(out, out.ndim - len(own) + k)
        if not _same(values, _along(given, given.ndim - len(own) + k)):
            yield axes[place], values


def _set_axis(axis: Any, values: np.ndarray) -> None:
    """New values of an axis, by its scale if it has one."""
    if hasattr(axis, "scale"):
        axis.offset, axis.scale = float(values[0]), float(values[-1] - values[0]) / (len(values) - 1)
    else:
        axis.axis = values


def _lazy_like(given: Any, data: np.ndarray) -> Any:
    """The data as dask's where the given ones are."""
    if not hasattr(given, "dask"):
        return data
    import dask.array

    return dask.array.from_array(data)


def _sidpy(dataset: Any, inner: int) -> Kin:
    """A sidpy dataset; the way back is its own `like_data`."""
    axes = [dataset._axes[k] for k in range(dataset.ndim)]
    kinds = [clean(getattr(axis.dimension_type, "name", axis.dimension_type)).upper() for axis in axes]
    wanted = [k for k, kind in enumerate(kinds) if (kind in _ALONG) == (inner == 1)]
    own = wanted if len(wanted) == inner else list(range(dataset.ndim))[-inner:]
    names = names_of([axis.name for axis in axes], [k not in own for k in range(len(axes))])
    told = [(np.asarray(axis.values, dtype=float), clean(axis.units or "", 80)) for axis in axes]
    array = _array(np.asarray(dataset), names, told)
    last = array.transpose(..., *[names[k] for k in own])

    def back(out: xr.DataArray) -> Any:
        like = dataset.like_data(_in_order(out, array.dims, last).data)
        for k, place in enumerate(own):
            values = _along(out, out.ndim - len(own) + k)
            if not _same(values, told[place][0]):
                like.set_dimension(place, _sidpy_axis(axes[place], values))
        return like

    return Kin(last, back)


def _sidpy_axis(axis: Any, values: np.ndarray) -> Any:
    """A dimension of the same name, quantity and units."""
    kept = {key: getattr(axis, key) for key in ("name", "quantity", "units", "dimension_type")}
    return type(axis)(values, **kept)


def _frame(frame: Any) -> Kin:
    """A frame, one signal a row: numbers above the columns are the axis, unless they only count them."""
    columns, values = frame.columns, np.asarray(frame)
    name, units = split_units(clean(columns.name or "", 80))
    name = name if name and name != "signal" else "sample"
    array = xr.DataArray(values, dims=("signal", name), coords=_index(frame.index, name))
    if columns.dtype.kind in "iuf" and not np.array_equal(columns, np.arange(len(columns))):
        along = xr.Variable(name, np.asarray(columns, dtype=float), {"units": units})
        array = array.assign_coords({name: along})

    def back(out: xr.DataArray) -> Any:
        same = name not in array.coords or _same(_along(out, -1), _along(array, -1))
        return type(frame)(out.values, index=frame.index, columns=columns if same else _along(out, -1))

    return Kin(array, back, is_frame=True)


def _index(index: Any, axis: str) -> dict[str, Any]:
    """What names the rows of a frame, one coordinate a level; none for rows that are only counted."""
    if index.nlevels == 1 and index.dtype.kind == "i" and np.array_equal(index, np.arange(len(index))):
        return {}
    found = {}
    for k in range(index.nlevels):
        name = clean(index.names[k] or ("signal" if index.nlevels == 1 else f"level {k + 1}"), 80)
        values = np.asarray(index.get_level_values(k))
        found[name if name != axis else f"{name} of the row"] = (
            "signal",
            values.astype(str) if values.dtype.kind == "O" else values,
        )
    return found


def _array(data: np.ndarray, names: list[str], axes: Sequence[tuple[np.ndarray, str] | None]) -> xr.DataArray:
    """A labelled array of data and, of each dimension that has them, values and units."""
    known = [(n, *axis) for n, axis in zip(names, axes, strict=True) if axis is not None]
    coords = {n: (n, values, {"units": units}) for n, values, units in known}
    return xr.DataArray(data, dims=names, coords=coords)


def _in_order(out: xr.DataArray, order: Any, given: xr.DataArray) -> xr.DataArray:
    """The dimensions of a result as they were before those of one measurement were put last."""
    plain = xr.DataArray(out.values, dims=given.dims)
    return plain.transpose(*order)


def _same(values: np.ndarray, given: np.ndarray) -> bool:
    """Whether an axis is the one that was given, as far as a model's own axis may differ from it."""
    step = np.ptp(given) / max(len(given) - 1, 1)
    return len(values) == len(given) and bool(np.allclose(values, given, rtol=0, atol=0.02 * step))


def _along(array: xr.DataArray, k: int) -> np.ndarray:
    """Values along a dimension, counted where it has none."""
    return np.asarray(array[array.dims[k]].values, dtype=float)
