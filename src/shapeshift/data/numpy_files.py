"""NumPy's `.npy` and `.npz`: nothing is unpickled, and headers are believed as far as the file backs them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import xarray as xr
from numpy.lib import format as npy
from numpy.typing import NDArray

from shapeshift.data.carrier import Want, check_size
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

_DAMAGE = (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, OverflowError)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int  # bytes before the numbers


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a `.npy` or `.npz` file.

    Raises
    ------
    ShapeshiftError
        If the file is damaged, lies about its size, or holds Python objects.
    """
    try:
        if path.suffix.lower() == ".npy":
            return from_entries([_single(path)], want, source=path.name, reader="npy", texts={})
        with zipfile.ZipFile(path) as archive:
            entries = list(_members(archive, path.name))
            texts = {e.name: str(e.read()) for e in entries if e.kind in "US" and e.shape == ()}
            return from_entries(entries, want, source=path.name, reader="npz", texts=texts)
    except ShapeshiftError:
        raise
    except _DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole {path.suffix} file: write or copy it "
            "again"
        ) from error


def _single(path: Path) -> Entry:
    with path.open("rb") as file:
        header = _header(file)
    _check(header, path.stat().st_size, path.name)
    return Entry("the array", header.shape, header.dtype.kind, lambda: np.load(path, allow_pickle=False))


def _members(archive: zipfile.ZipFile, source: str) -> Iterator[Entry]:
    """The arrays of an archive; other members are passed over, and nothing is unpacked to disk."""
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        name = info.filename.removesuffix(".npy")
        with archive.open(info) as file:
            header = _header(file)
        yield Entry(
            name, header.shape, header.dtype.kind, partial(_values, archive, info, f"{source}, {name!r}")
        )


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> NDArray:
    """The numbers of one member, once its size is credible; members that nobody asks for may lie."""
    with archive.open(info) as file:
        _check(_header(file), info.file_size, what)
    check_size(info.file_size, info.compress_size, what)
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)


def _header(file: IO[bytes]) -> _Header:
    """Shape and type as the file claims them; at most 10 000 characters of it are parsed."""
    version = npy.read_magic(file)
    parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = parse(file)
    return _Header(shape, dtype, file.tell())


def _check(header: _Header, size: int, what: str) -> None:
    """As many bytes in the file as its header claims."""
    if header.dtype.hasobject:
        raise ShapeshiftError(
            f"{what}: got Python objects, needed plain numbers: save an array of floats (objects are never "
            "unpickled)"
        )
    claimed = header.dtype.itemsize
    for length in header.shape:
        claimed *= length
    if claimed > size - header.start:
        raise ShapeshiftError(
            f"{what}: got a header that claims {claimed} bytes of numbers and {size - header.start} bytes of "
            "them, needed as many as claimed: the file is damaged, write or copy it again"
        )
