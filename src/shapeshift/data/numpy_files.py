"""NumPy's `.npy` and `.npz`: nothing is unpickled, and headers are believed as far as the file backs them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, final

import numpy as np
import xarray as xr
from numpy.lib import format as npy
from numpy.typing import NDArray

from shapeshift.data.carrier import DAMAGE, Want, bytes_of, check_size
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

_HEADER = 10_000  # bytes of a header that are read
_WORDS = 1000  # bytes of a text
_MEMBERS = 10_000


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
            budget = Budget(path)
            entries, texts = [], {}
            for entry, itemsize in _members(archive, budget):
                entries.append(entry)
                if entry.kind in "US" and entry.shape == () and itemsize <= _WORDS:
                    texts[entry.name] = str(entry.read())
            return from_entries(entries, want, source=path.name, reader="npz", texts=texts)
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole {path.suffix} file: write or copy it "
            "again"
        ) from error


@final
class Budget:
    """Bytes that may be unpacked from an archive in all, however many members there are."""

    def __init__(self, path: Path) -> None:
        self.source, self.stored, self.spent = path.name, path.stat().st_size, 0

    def spend(self, size: int, what: str) -> None:
        """Unpack some more.

        Raises
        ------
        ShapeshiftError
            If it is more by far than what is stored.
        """
        self.spent += size
        check_size(self.spent, self.stored, what)


def _single(path: Path) -> Entry:
    with path.open("rb") as file:
        header = _header(file)
    _check(header, path.stat().st_size, path.name)
    return Entry("the array", header.shape, header.dtype.kind, lambda: np.load(path, allow_pickle=False))


def _members(archive: zipfile.ZipFile, budget: Budget) -> Iterator[tuple[Entry, int]]:
    """The arrays of an archive and the bytes of an element; other members are passed over, and nothing is
    unpacked to disk."""
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    if len(infos) > _MEMBERS:
        raise ShapeshiftError(
            f"{budget.source}: got an archive of {len(infos)} arrays, needed {_MEMBERS} at most: put signals "
            "into one array"
        )
    for info in infos:
        name = info.filename.removesuffix(".npy")
        with archive.open(info) as file:
            header = _header(file)
        read = partial(_values, archive, info, budget, f"{budget.source}, {name!r}")
        yield Entry(name, header.shape, header.dtype.kind, read), header.dtype.itemsize


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, what: str) -> NDArray:
    """The numbers of one member, once its size is credible; members that nobody asks for may lie."""
    with archive.open(info) as file:
        header = _header(file)
    _check(header, info.file_size, what)
    floats = bytes_of(header.shape, header.dtype.itemsize)
    check_size(info.file_size, info.compress_size, what, floats=floats)
    budget.spend(info.file_size, what)
    with archive.open(info) as file:
        return npy.read_array(file, allow_pickle=False)


def _header(file: IO[bytes]) -> _Header:
    """Shape and type as the file claims them, from a header of a length that real ones have."""
    version = npy.read_magic(file)
    start = file.tell()
    size = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if size > _HEADER:
        raise ValueError(f"a header of {size} bytes")
    file.seek(start)
    parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of headers that Python 2 wrote
        shape, _, dtype = parse(file)
    if min(shape, default=0) < 0:
        raise ValueError(f"a negative length in {shape}")
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
