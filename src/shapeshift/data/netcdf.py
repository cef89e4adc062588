"""NetCDF: the file itself says which dimension is which."""

from __future__ import annotations

from pathlib import Path

import h5py
import xarray as xr

from shapeshift.data import hdf
from shapeshift.data.carrier import Signals, Want, label
from shapeshift.data.naming import axis_like
from shapeshift.data.pictures import images, labelled
from shapeshift.data.selection import Entry, choose
from shapeshift.errors import ShapeshiftError

_DAMAGE = (RuntimeError, KeyError, ValueError, TypeError, OverflowError)


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a NetCDF file, with the dimensions and coordinates it names.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear, or points out of itself.
    """
    engine = "h5netcdf" if h5py.is_hdf5(path) else "scipy"  # version 4, or the classic format
    try:
        if engine == "h5netcdf":
            _check(path, want)
        with xr.open_dataset(path, engine=engine, decode_times=False) as data:
            return _read(data, want, path.name)
    except ShapeshiftError:
        raise
    except _DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole NetCDF file: write or copy it again"
        ) from error


def _check(path: Path, want: Want) -> None:
    """No way out of the file, and no variable larger than what is stored of it."""
    with h5py.File(path, "r") as file:
        for dataset in hdf.explore(file, want, path.name).arrays.values():
            if dataset.shape and not _only_dimension(dataset):
                hdf.check_stored(dataset, path.name)


def _only_dimension(dataset: h5py.Dataset) -> bool:
    """A dimension without values, which stores nothing but its length."""
    name = dataset.attrs.get("NAME", b"")
    return isinstance(name, bytes) and name.startswith(
        b"This is a netCDF dimension but not a netCDF variable"
    )


def _read(data: xr.Dataset, want: Want, source: str) -> xr.DataArray:
    notes: list[str] = []
    entries = [_entry(str(name), data) for name in data.data_vars]
    chosen = data[choose(entries, want, source, notes).name]
    if want.kind == "image":
        return _images(chosen, want, source, notes)
    if chosen.ndim > 3:
        chosen = chosen.squeeze()
    dim, axis = _axis(chosen, data, want, source)
    if chosen.dims and dim != chosen.dims[-1]:
        notes.append(f"dimension {dim!r} is the signal axis and was put last")
        chosen = chosen.transpose(..., dim)
    others = tuple(str(name) for name in chosen.dims[:-1])
    coords = {str(k): v.variable for k, v in chosen.coords.items() if v.ndim == 1 and v.dims[0] in others}
    if axis is None:
        signals = Signals(chosen.values, None, "", "", others, coords)
    else:
        units = str(axis.attrs.get("units", ""))
        signals = Signals(chosen.values, axis.values, str(axis.name), units, others, coords)
    return label(signals, want, source=source, reader="netcdf", notes=notes)


def _images(chosen: xr.DataArray, want: Want, source: str, notes: list[str]) -> xr.DataArray:
    """Images, whose last two dimensions are their own; flattened ones lose the coordinate along them."""
    if chosen.ndim < 3:
        return images(chosen.values, want, source=source, reader="netcdf", notes=notes)
    return labelled(chosen, want, source, "netcdf", notes)


def _entry(name: str, data: xr.Dataset) -> Entry:
    """A variable as something to choose from."""
    variable = data[name]
    scale = str(variable.dims[-1]) if variable.dims and variable.dims[-1] in data.coords else ""
    return Entry(name, variable.shape, variable.dtype.kind, lambda: variable.values, scale=scale)


def _axis(
    signals: xr.DataArray, data: xr.Dataset, want: Want, source: str
) -> tuple[str, xr.DataArray | None]:
    """The dimension along the signals and its coordinate, if it has one."""
    if want.axis not in (None, "none"):
        return _given(str(want.axis), signals, data, source)
    dims = [str(name) for name in signals.dims]
    if not dims:
        return "", None
    dim = dims[0] if want.orientation == "columns" else dims[-1]
    called = [name for name in dims if axis_like(name) and not (len(dims) > 2 and name in "xy")]
    if want.orientation is None and dim not in called and len(called) == 1:
        dim = called[0]
    if want.axis == "none":
        return dim, None
    along = [
        name
        for name, values in signals.coords.items()
        if values.dims == (dim,) and values.dtype.kind in "iuf"
    ]
    along.sort(key=lambda name: name != dim)
    return dim, signals.coords[along[0]] if along else None


def _given(
    axis: str, signals: xr.DataArray, data: xr.Dataset, source: str
) -> tuple[str, xr.DataArray | None]:
    """The dimension and coordinate that go by the name asked for."""
    if axis in data.variables and data[axis].ndim == 1 and data[axis].dims[0] in signals.dims:
        return str(data[axis].dims[0]), data[axis]
    if axis in signals.dims:
        return axis, None
    raise ShapeshiftError(
        f"{source}: got axis={axis!r}, needed one of the dimensions {', '.join(map(str, signals.dims))} or a "
        "variable along one of them: name another, or give axis='none'"
    )
