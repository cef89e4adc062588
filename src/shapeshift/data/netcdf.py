"""NetCDF: the file itself says which dimension is which."""

from __future__ import annotations

from pathlib import Path

import h5py
import xarray as xr

from shapeshift.data import hdf
from shapeshift.data.carrier import Want
from shapeshift.data.named import from_dataset
from shapeshift.errors import ShapeshiftError

_DAMAGE = (RuntimeError, KeyError, ValueError, TypeError, OverflowError)


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a NetCDF file, with the dimensions and coordinates it names.

    Packed numbers are unpacked and missing ones become nan, as the CF conventions say; a time "seconds since
    ..." stays a number, with its units and, in the attribute `since`, its zero.

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
            return from_dataset(data, want, source=path.name, reader="netcdf")
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
