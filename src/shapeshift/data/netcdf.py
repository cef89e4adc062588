"""NetCDF: the file itself says which dimension is which."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any, Literal

import h5py
import xarray as xr

from shapeshift.data import hdf
from shapeshift.data.carrier import DAMAGE, Want, check_size
from shapeshift.data.named import from_dataset
from shapeshift.errors import ShapeshiftError


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a NetCDF file, with the dimensions and coordinates it names.

    Packed numbers are unpacked and missing ones become nan, as the CF conventions say; a time "seconds since
    ..." stays a number, with its units and, in the attribute `since`, its zero.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear, or points out of itself.
    """
    try:
        source, engine = _source(path)
        with warnings.catch_warnings(), xr.open_dataset(source, engine=engine, decode_times=False) as data:
            warnings.simplefilter("ignore")  # of xarray, about attributes that are none
            return from_dataset(data, want, source=path.name, reader="netcdf")
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
