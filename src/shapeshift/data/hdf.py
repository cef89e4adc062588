"""HDF5, with nothing followed out of the file: no external link, no virtual data set, no external storage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import Want, check_size
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

DAMAGE = (RuntimeError, KeyError, ValueError, TypeError, OverflowError)


class Contents(NamedTuple):
    """What a file holds itself, and what it would fetch from elsewhere."""

    arrays: Mapping[str, h5py.Dataset]
    outward: Mapping[str, str]  # name -> what it is


def _values(dataset: h5py.Dataset, source: str) -> NDArray:
    """The numbers of a data set, once its size is credible."""
    check_stored(dataset, source)
    return dataset[()]


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in an HDF5 file.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear, or points out of itself.
    """
    try:
        with h5py.File(path, "r") as file:
            contents = explore(file, want, path.name)
            entries = [entry(name, array, path.name) for name, array in contents.arrays.items()]
            return from_entries(entries, want, source=path.name, reader="hdf5", texts=texts(contents))
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole HDF5 file: write or copy it again"
        ) from error


def explore(file: h5py.File, want: Want, source: str) -> Contents:
    """All arrays of a file by name; soft links are passed over, for their targets have names of their own.

    Raises
    ------
    ShapeshiftError
        If the array asked for lies outside the file, or none is asked for and some array does.
    """
    contents = _walk(file)
    asked = (want.array or "").strip("/")
    for name, kind in contents.outward.items():
        if want.array is None or asked == name or asked.startswith(name + "/"):
            raise ShapeshiftError(
                f"{source}: got {name!r}, {kind}, needed arrays in the file itself: copy the data "
                "into one file, or give array='NAME' (--array NAME) of an array it holds"
            )
    return contents


def _walk(file: h5py.File) -> Contents:
    """Every group once, however its hard links run in circles."""
    arrays: dict[str, h5py.Dataset] = {}
    outward: dict[str, str] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, h5py.Group]] = [("", file["/"])]
    while waiting:
        prefix, group = waiting.pop()
        for key in group:
            name, link = f"{prefix}{key}", group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                outward[name] = "a link into another file"
            if not isinstance(link, h5py.HardLink):
                continue
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((name + "/", item))
            elif isinstance(item, h5py.Dataset) and (kind := _elsewhere(item)):
                outward[name] = kind
            elif isinstance(item, h5py.Dataset):
                arrays[name] = item
    return Contents(dict(sorted(arrays.items())), outward)


def _elsewhere(dataset: h5py.Dataset) -> str:
    """What a data set is whose numbers lie in other files, "" for an ordinary one."""
    if dataset.is_virtual:
        return "a virtual data set"
    return "a data set stored in another file" if dataset.external else ""


def entry(name: str, dataset: h5py.Dataset, source: str) -> Entry:
    """A data set as something to choose from."""
    shape = dataset.shape or ()
    kind = "O" if dataset.shape is None else dataset.dtype.kind
    return Entry(
        name,
        shape,
        kind,
        partial(_values, dataset, source),
        _text(dataset.attrs.get("units", "")),
        _scale(dataset),
        lambda: dict(dataset.attrs.items()),
    )


def check_stored(dataset: h5py.Dataset, source: str) -> None:
    """Refuse a data set whose claimed shape is not backed by bytes in the file."""
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    check_size(dataset.size * dataset.dtype.itemsize, stored, f"{source}, {dataset.name!r}")


def texts(contents: Contents) -> dict[str, str]:
    """The single strings in a file by the last part of their names."""
    single = {
        name: d for name, d in contents.arrays.items() if d.shape == () and h5py.check_string_dtype(d.dtype)
    }
    return {name.rpartition("/")[2]: _text(dataset[()]) for name, dataset in single.items()}


def _scale(dataset: h5py.Dataset) -> str:
    """The data set that the file declares the axis of the last dimension."""
    if not dataset.shape or "DIMENSION_LIST" not in dataset.attrs or not len(dataset.dims[dataset.ndim - 1]):
        return ""
    return dataset.dims[dataset.ndim - 1][0].name.strip("/")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
