"""MATLAB's `.mat`: version 4 to 7 through scipy, version 7.3 as the HDF5 that it is."""

from __future__ import annotations

import zlib
from functools import partial
from math import prod
from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from shapeshift.data import hdf
from shapeshift.data.carrier import Want, check_size
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

_DAMAGE = (
    *(MatReadError, zlib.error, ValueError, TypeError, KeyError, IndexError),
    *(NotImplementedError, OverflowError, RuntimeError, MemoryError),
)
_KINDS = {"double": "f", "single": "f", "logical": "b", "char": "U"}  # the classes int8 ... uint64 besides


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a `.mat` file; its vectors (1 x n or n x 1) can be the axis.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear.
    """
    try:
        if h5py.is_hdf5(path):
            return _read_hdf(path, want)
        entries = [_entry(path, *variable) for variable in whosmat(path)]
        texts = {e.name: str(e.read().ravel()[0]) for e in entries if e.kind == "U" and prod(e.shape) > 0}
        return from_entries(entries, want, source=path.name, reader="mat", texts=texts)
    except ShapeshiftError:
        raise
    except _DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole .mat file: write or copy it again"
        ) from error


def _values(path: Path, name: str) -> NDArray:
    return np.asarray(loadmat(path, variable_names=[name])[name])


def _entry(path: Path, name: str, shape: tuple[int, ...], kind: str) -> Entry:
    """A variable of an older file as something to choose from."""
    check_size(8 * prod(shape), path.stat().st_size, f"{path.name}, {name!r}")
    plain = "i" if kind.removeprefix("u").startswith("int") else _KINDS.get(kind, "O")
    return Entry(name, shape, plain, partial(_values, path, name))


def _read_hdf(path: Path, want: Want) -> xr.DataArray:
    """Version 7.3; its arrays are stored the other way round."""
    with h5py.File(path, "r") as file:
        contents = hdf.explore(file, want, path.name)
        own = {name: d for name, d in contents.arrays.items() if not name.startswith("#")}
        classes = {name: _class(dataset) for name, dataset in own.items()}
        texts = {
            n: "".join(map(chr, d[()].ravel()))
            for n, d in own.items()
            if classes[n] == "char" and d.size < 1000
        }
        entries = [_turned(hdf.entry(n, d, path.name), classes[n]) for n, d in own.items() if n not in texts]
        return from_entries(entries, want, source=path.name, reader="mat", texts=texts)


def _class(dataset: h5py.Dataset) -> str:
    """MATLAB's class of a variable."""
    name = dataset.attrs.get("MATLAB_class", b"double")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _turned(entry: Entry, kind: str) -> Entry:
    """The array as MATLAB shows it."""
    plain = _KINDS.get(kind, entry.kind) if entry.kind in "iu" else entry.kind
    return entry._replace(shape=entry.shape[::-1], kind=plain, read=lambda: entry.read().T)
