"""Arrays whose dimensions have names, as NetCDF, Zarr and instruments' own files give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from shapeshift.data.carrier import Signals, Want, label
from shapeshift.data.metadata import clean, measured, packed, unpacked
from shapeshift.data.naming import axis_like
from shapeshift.data.pictures import images, labelled
from shapeshift.data.selection import Entry, choose
from shapeshift.errors import ShapeshiftError

# what this package notes about arrays, which is no metadata of the measurement
_OWN_NOTES = {
    "source",
    "reader",
    "notes",
    "kind",
    "metadata",
    "units",
    "long_name",
    "standard_name",
    "own_dimensions",
    "original_name",
}
_SINCE = re.compile(r"\s*([A-Za-z]+)\s+since\s+(.+)")


def from_dataset(data: xr.Dataset, want: Want, *, source: str, reader: str) -> xr.DataArray:
    """The signals, or images, among the variables of a data set.

    Raises
    ------
    ShapeshiftError
        If no variable is plainly the signals, or they are none.
    """
    notes: list[str] = []
    entries = [_entry(str(name), data) for name in data.data_vars]
    chosen = data[choose(entries, want, source, notes).name]
    lines = {str(n): v for n, v in data.variables.items() if v.ndim == 1 and v.dims[0] in chosen.dims}
    chosen = chosen.assign_coords(
        {n: v for n, v in lines.items() if n == want.axis and n not in chosen.coords}
    )
    about = {key: value for key, value in {**data.attrs, **chosen.attrs}.items() if key not in _OWN_NOTES}
    about |= unpacked(chosen.attrs)
    own = tuple(n for n in str(chosen.attrs.get("own_dimensions", "")).split("|") if n in chosen.dims)
    return from_array(chosen, want, source=source, reader=reader, notes=notes, metadata=about, own=own)


def from_array(
    X: xr.DataArray,
    want: Want,
    *,
    source: str,
    reader: str,
    notes: list[str],
    metadata: Mapping[Any, Any],
    own: Sequence[str] = (),
) -> xr.DataArray:
    """The labelled signals, or images, in an array with named dimensions.

    Parameters
    ----------
    X : xarray.DataArray
        Coordinates with `units`; the array's own `units` are those of the values.
    want : Want
    source, reader : str
        For messages and `attrs`.
    notes : list of str
        What was found out so far; more is appended.
    metadata : mapping
        What the file tells about the measurement, nested or not; it ends as one string of JSON in `attrs`.
    own : sequence of str
        Dimensions of one measurement, where the file says so: the axis of a signal, or the two of an image.

    Raises
    ------
    ShapeshiftError
        If these are no signals, or images, as wanted.
    """
    about = {**measured(X.attrs), **packed(metadata)}
    X = _with_plain_units(X.load())
    _refuse_other_kind(own, want, source)
    if want.kind == "image":
        found = _images(X, want, own, source, reader, notes)
    else:
        found = _signals(X, want, own, source, reader, notes)
    return found.assign_attrs(about)


def _signals(
    X: xr.DataArray, want: Want, own: Sequence[str], source: str, reader: str, notes: list[str]
) -> xr.DataArray:
    if X.ndim > 3:
        X = X.squeeze()
    if X.ndim == 1:
        X = X.expand_dims("signal" if "signal" not in X.dims else "stack")
    dim, axis = _axis(X, own, want, source)
    if X.dims and dim != X.dims[-1]:
        notes.append(f"dimension {dim!r} is the signal axis and was put last")
        X = X.transpose(..., dim)
    others = tuple(str(name) for name in X.dims[:-1])
    kept = {str(k): v.variable for k, v in X.coords.items() if v.ndim and set(v.dims) <= set(others)}
    if axis is None:
        signals = Signals(X.values, None, "", "", others, kept)
    else:
        units = str(axis.attrs.get("units", ""))
        signals = Signals(X.values, axis.values, str(axis.name), units, others, kept)
    out = label(signals, want, source=source, reader=reader, notes=notes)
    if axis is not None and "since" in axis.attrs:
        out[out.dims[-1]].attrs["since"] = axis.attrs["since"]
    return out


def _images(
    X: xr.DataArray, want: Want, own: Sequence[str], source: str, reader: str, notes: list[str]
) -> xr.DataArray:
    """Images, whose last two dimensions are their own; flattened ones lose the coordinate along them."""
    if own:
        X = X.transpose(..., *own)
    if X.ndim == 2 and want.single and own:
        X = X.expand_dims("signal")
    if X.ndim < 3:
        return images(X.values, want, source=source, reader=reader, notes=notes)
    return labelled(X, want, source, reader, notes)


def _refuse_other_kind(own: Sequence[str], want: Want, source: str) -> None:
    """Refuse images where signals are wanted, and the other way round, if the file says what it holds."""
    if want.kind == "image" and len(own) == 1:
        raise ShapeshiftError(
            f"{source}: got signals along {own[0]!r}, needed images: leave kind='image' (--kind image) out"
        )
    if want.kind == "signal" and len(own) > 1 and want.axis is None:
        raise ShapeshiftError(
            f"{source}: got images over {', '.join(map(repr, own))}, needed signals along one axis: give "
            "kind='image' (--kind image), or axis='NAME' (--axis NAME)"
        )


def _entry(name: str, data: xr.Dataset) -> Entry:
    """A variable as something to choose from."""
    variable = data[name]
    scale = str(variable.dims[-1]) if variable.dims and variable.dims[-1] in data.coords else ""
    return Entry(name, variable.shape, variable.dtype.kind, lambda: variable.values, scale=scale)


def _axis(X: xr.DataArray, own: Sequence[str], want: Want, source: str) -> tuple[str, xr.DataArray | None]:
    """The dimension along the signals and its coordinate, if it has one."""
    if want.axis not in (None, "none"):
        return _given(str(want.axis), X, source)
    dims = [str(name) for name in X.dims]
    if not dims:
        return "", None
    dim = dims[0] if want.orientation == "columns" else dims[-1]
    called = [name for name in dims if axis_like(name) and not (len(dims) > 2 and name in "xy")]
    said = [name for name in own if name in dims] or called
    if want.orientation is None and dim not in said and len(said) == 1:
        dim = said[0]
    if want.axis == "none":
        return dim, None
    along = [n for n, values in X.coords.items() if values.dims == (dim,) and values.dtype.kind in "iuf"]
    along.sort(key=lambda name: name != dim)
    return dim, X.coords[along[0]] if along else None


def _given(axis: str, X: xr.DataArray, source: str) -> tuple[str, xr.DataArray | None]:
    """The dimension and coordinate that go by the name asked for."""
    if axis in X.coords and X.coords[axis].ndim == 1:
        return str(X.coords[axis].dims[0]), X.coords[axis]
    if axis in X.dims:
        return axis, None
    raise ShapeshiftError(
        f"{source}: got axis={axis!r}, needed one of the dimensions {', '.join(map(str, X.dims))} or a "
        "variable along one of them: name another, or give axis='none'"
    )


def _with_plain_units(X: xr.DataArray) -> xr.DataArray:
    """Names and units without signs that are not to be shown; "seconds since ..." as units and their zero."""
    for name in {*X.dims, *X.coords}:
        told = X.coords[name].attrs.get("original_name") if name in X.coords else None
        shown = clean(told or name, 80) or "axis"
        if shown != name and shown not in X.dims and shown not in X.coords:
            X = X.rename({name: shown})
    return X.assign_coords({name: (c.dims, c.values, _told(c.attrs)) for name, c in X.coords.items()})


def _told(attrs: Mapping[Any, Any]) -> dict[str, str]:
    """Units of a coordinate, as plain text."""
    units = clean(attrs.get("units") or "", 80)
    since = _SINCE.fullmatch(units)
    if since:
        return {"units": since[1], "since": since[2]}
    return {"units": units} | ({"since": clean(attrs["since"], 80)} if attrs.get("since") else {})


def uniform(size: int, scale: float, offset: float) -> np.ndarray:
    """Values of an axis that a file tells by its first value and its step."""
    return offset + scale * np.arange(size, dtype=float)
