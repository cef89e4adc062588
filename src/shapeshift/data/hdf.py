"""HDF5, with nothing followed out of the file: no external link, no virtual data set, no external storage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import DAMAGE, Want, bytes_of, check_size
from shapeshift.data.chunks import check_chunks
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

_WORDS = 10_000  # bytes of a text or an attribute that are read
_MEMBERS = 100_000  # links that are followed


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
        if len(seen) > _MEMBERS:
            raise ValueError(f"more than {_MEMBERS} members")
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
        units_of(dataset),
        _scale(dataset),
        lambda: dict(dataset.attrs.items()),
    )


def check_stored(dataset: h5py.Dataset, source: str, *, whole: bool = True) -> None:
    """Refuse a data set whose claimed shape is not backed by bytes in the file, before memory is asked for;
    of one that is not read as a ``whole``, the chunks are what has to fit into it.

    Raises
    ------
    ShapeshiftError
        If numbers, or one of the chunks that they are unpacked from, are far more than what is stored.
    """
    stored, what = (
        min(dataset.id.get_storage_size(), dataset.file.id.get_filesize()),
        f"{source}, {dataset.name!r}",
    )
    size = dataset.dtype.itemsize
    check_size(dataset.size * size, stored, what, floats=bytes_of(dataset.shape, size), whole=whole)
    if dataset.chunks:
        check_size(math.prod(dataset.chunks) * size, stored, what)
        check_chunks(dataset, what)


def texts(contents: Contents) -> dict[str, str]:
    """The single short strings in a file by the last part of their names."""
    single = {
        name: d
        for name, d in contents.arrays.items()
        if d.shape == () and h5py.check_string_dtype(d.dtype) and d.dtype.itemsize <= _WORDS
    }
    return {name.rpartition("/")[2]: _text(dataset[()]) for name, dataset in single.items()}


def units_of(dataset: h5py.Dataset) -> str:
    """What its attribute says, where that is no more than a few words."""
    if "units" not in dataset.attrs or dataset.attrs.get_id("units").get_storage_size() > _WORDS:
        return ""
    return _text(dataset.attrs["units"])


def _scale(dataset: h5py.Dataset) -> str:
    """The data set that the file declares the axis of the last dimension."""
    if not dataset.shape or "DIMENSION_LIST" not in dataset.attrs or not len(dataset.dims[dataset.ndim - 1]):
        return ""
    return (dataset.dims[dataset.ndim - 1][0].name or "").strip("/")


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
