"""NetCDF: the file itself says which dimension is which."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Literal

import h5py
import xarray as xr

from shapeshift.data import hdf
from shapeshift.data.carrier import DAMAGE, Signals, Want, check_size, label
from shapeshift.data.naming import axis_like
from shapeshift.data.pictures import images, labelled
from shapeshift.data.selection import Entry, choose
from shapeshift.errors import ShapeshiftError


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a NetCDF file, with the dimensions and coordinates it names.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear, or points out of itself.
    """
    try:
        source, engine = _source(path)
        with warnings.catch_warnings(), xr.open_dataset(source, engine=engine, decode_times=False) as data:
            warnings.simplefilter("ignore")  # of xarray, about attributes that are none
            return _read(data, want, path.name)
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole NetCDF file: write or copy it again"
        ) from error


def _source(path: Path) -> tuple[Any, Literal["h5netcdf", "scipy"]]:
    """What xarray is to open: a file of version 4 once it is checked, the bytes of a classic one.

    From bytes in memory no more is ever read than there are, whatever lengths the classic header claims.
    """
    if h5py.is_hdf5(path):
        _check(path)
        return path, "h5netcdf"
    size = path.stat().st_size
    check_size(size, size, path.name)
    return io.BytesIO(path.read_bytes()), "scipy"


def _check(path: Path) -> None:
    """No way out of the file, for all variables are looked at, and none larger than what is stored of it."""
    with h5py.File(path, "r") as file:
        for dataset in hdf.explore(file, Want(), path.name).arrays.values():
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
