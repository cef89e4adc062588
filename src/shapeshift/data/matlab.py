"""MATLAB's `.mat`: version 4 to 7 by its own reader, version 7.3 as the HDF5 that it is."""

from __future__ import annotations

from math import prod
from pathlib import Path

import h5py
import xarray as xr

from shapeshift.data import hdf
from shapeshift.data.carrier import DAMAGE, Want, check_size
from shapeshift.data.matfile import variables
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

_KINDS = {"double": "f", "single": "f", "logical": "b", "char": "U"}  # the classes int8 ... uint64 besides
_LETTERS = 1000  # of a text that is read


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
        size = path.stat().st_size
        check_size(size, size, path.name)
        found = variables(path.read_bytes(), path.name)
        texts = {v.name: str(v.read()) for v in found if v.kind == "U" and 0 < prod(v.shape) <= _LETTERS}
        entries = [Entry(v.name, v.shape, v.kind, v.read) for v in found]
        return from_entries(entries, want, source=path.name, reader="mat", texts=texts)
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole .mat file: write or copy it again"
        ) from error


def _read_hdf(path: Path, want: Want) -> xr.DataArray:
    """Version 7.3; its arrays are stored the other way round."""
    with h5py.File(path, "r") as file:
        contents = hdf.explore(file, want, path.name)
        own = {name: d for name, d in contents.arrays.items() if not name.startswith("#")}
        classes = {name: _class(dataset) for name, dataset in own.items()}
        texts = {
            n: "".join(map(chr, d[()].ravel()))
            for n, d in own.items()
            if classes[n] == "char" and d.shape is not None and d.dtype.kind == "u" and d.size < _LETTERS
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
