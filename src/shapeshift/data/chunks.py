"""Chunks of HDF5 that unpack to more than they say: the library itself unpacks as much as there is.

A chunk that is said to hold a few kilobytes may be a stream that inflates to gigabytes, and the filters that
store numbers in few bits say for themselves how many there are.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import h5py

from shapeshift.errors import ShapeshiftError

_DEFLATE, _FLETCHER, _NBIT, _SCALE = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
)
_INFLATES = 1032  # most that a stream of deflate grows: RFC 1951, 258 bytes from two bits
_SAFE = 32 * 2**20  # bytes that a chunk may unpack to, whatever it says


def check_chunks(dataset: h5py.Dataset, what: str) -> None:
    """Refuse a data set whose chunks hold more than they say.

    Raises
    ------
    ShapeshiftError
    """
    filters = list(_filters(dataset))
    count = math.prod(dataset.chunks)
    told = {_NBIT: 2, _SCALE: 2}  # where the filter keeps its number of elements
    for code, values in filters:
        if code in told and (len(values) <= told[code] or values[told[code]] != count):
            _refuse(what)
    codes = [code for code, _ in filters]
    if codes.count(_DEFLATE) > 1:
        _refuse(what)
    if _DEFLATE not in codes:
        return
    plain = codes[codes.index(_DEFLATE) + 1 :] in ([], [_FLETCHER])
    size = count * dataset.dtype.itemsize
    for k in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(k)
        if info.size * _INFLATES <= max(_SAFE, size) or info.filter_mask:
            continue
        if not plain or info.size > 2 * size + 1024 or _inflates_beyond(dataset, info.chunk_offset, size):
            _refuse(what)


def _filters(dataset: h5py.Dataset) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Code and parameters of each filter, in the order in which they pack."""
    made = dataset.id.get_create_plist()
    for k in range(made.get_nfilters()):
        code, _, values, _ = made.get_filter(k)
        yield code, values


def _inflates_beyond(dataset: h5py.Dataset, offset: tuple[int, ...], size: int) -> bool:
    """Whether a chunk unpacks to more than its numbers and a checksum before them take."""
    _, packed = dataset.id.read_direct_chunk(offset)
    stream = zlib.decompressobj()
    return len(stream.decompress(packed, size + 64)) > size + 32


def _refuse(what: str) -> None:
    raise ShapeshiftError(
        f"{what}: got packed chunks that hold more than they say, needed as much as they say: the file is "
        "damaged or made to fill the memory, write it again"
    )
