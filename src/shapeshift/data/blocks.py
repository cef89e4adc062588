"""Signals that lie in a file or on a cluster, and are read a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.images import coloured
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = 2**20  # of a block that is computed at a time
MOST_BYTES = 2**27  # of a block that is read at a time, where chunks are no larger
MOST_CHUNK = 2**30  # bytes: a chunk is always in memory as a whole
PLACES = 64  # runs of rows that a draw touches at most

Leading = tuple[slice, ...]


@dataclass(frozen=True)
class Source:
    """Signals or images in the order of their rows, of which any run can be read.

    Attributes
    ----------
    shape, dims, coords
        Of the map that the rows form, or of their one row: sizes, names, coordinates.
    read : callable
        (begin, end) -> those rows, as an estimator takes them: array (end - begin, ...) or DataArray.
    width : int
        Numbers of a row.
    unit : int
        Rows that are stored, and hence read, together.
    itemsize : int
        Bytes of a number where it is stored.
    name : str
        What the signals come from.
    """

    shape: tuple[int, ...]
    dims: tuple[str, ...]
    read: Callable[[int, int], Any]
    width: int
    unit: int = 1
    itemsize: int = 8
    coords: Mapping[Any, Any] = field(default_factory=dict)
    name: str = ""

    def __len__(self) -> int:
        return prod(self.shape)

    @property
    def rows_computed(self) -> int:
        """Rows of a block that is computed at a time."""
        return max(1, NUMBERS // self.width)

    @property
    def rows_read(self) -> int:
        """Rows of a block that is read at a time: whole chunks, unless these are very large."""
        most = max(1, MOST_BYTES // (self.width * self.itemsize))
        return min(max(most, self.rows_computed), -(-self.rows_computed // self.unit) * self.unit)

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """First row and rows of every block; the next one is read while the current one is in use."""
        begins = range(0, len(self), self.rows_read)
        with ThreadPoolExecutor(1) as pool:
            ends = [min(begin + self.rows_read, len(self)) for begin in begins]
            coming = pool.submit(self.read, 0, ends[0])
            for k, begin in enumerate(begins):
                block = coming.result()
                if k + 1 < len(begins):
                    coming = pool.submit(self.read, ends[k], ends[k + 1])
                yield begin, block
                del block  # before the next one comes


def source_of(X: Any, *, images: bool) -> Source:
    """An array that lies anywhere, or a DataArray on one, as a source.

    Parameters
    ----------
    X : array (..., P) of signals, (n, ...) of images, xarray.DataArray (..., P) or (..., h, w), or Source
        Anything with a shape that gives numbers when it is sliced: zarr.Array, h5py.Dataset, dask or numpy
        array.
    images : bool
        Whether a row is an image.

    Raises
    ------
    ShapeshiftError
        Not at least 2-D, empty, or in chunks that do not fit into memory.

    Examples
    --------
    >>> rows = source_of(np.arange(24.0).reshape(2, 3, 4), images=False)
    >>> len(rows), rows.read(2, 4).tolist()
    (6, [[8.0, 9.0, 10.0, 11.0], [12.0, 13.0, 14.0, 15.0]])
    """
    if isinstance(X, Source):
        return X
    named = hasattr(X, "dims") and hasattr(X, "coords")
    if len(X.shape) < 2:
        raise ShapeshiftError(
            f"Expected 2D array of signals (n, samples), got an array of shape {tuple(X.shape)}: give one "
            "signal a row."
        )
    if any(size != size for size in X.shape):  # not a number: dask does not know it yet
        raise ShapeshiftError("got a dask array of unknown length: call its compute_chunk_sizes() first.")
    if 0 in X.shape:
        raise ShapeshiftError(f"got an array of shape {tuple(X.shape)}, needed signals: the data are empty.")
    inner = inner_dims(X, images=images, named=named)
    lead = tuple(int(n) for n in X.shape[:-inner])
    whole = (slice(None),) * inner

    def plain(begin: int, end: int) -> np.ndarray:
        return rows_of(lead, begin, end, lambda at: _numbers(X[(*at, *whole)]), inner)

    about = {
        "width": prod(int(n) for n in X.shape[-inner:]),
        "unit": unit_of(X, lead),
        "itemsize": np.dtype(X.dtype).itemsize,
        "name": str(X.attrs.get("source", "")) if named else "",
    }
    if not named:
        return Source(lead, dims_of(lead), plain, **about)
    kept = {k: v for k, v in X.coords.items() if set(v.dims) <= set(X.dims[:-inner])}
    one = framed(X, inner)

    def labelled(begin: int, end: int) -> xr.DataArray:
        found = rows_of(lead, begin, end, lambda at: _numbers(X[at].data), inner)
        return in_frame(one, found)

    return Source(lead, tuple(map(str, X.dims[:-inner])), labelled, coords=kept, **about)


def inner_dims(X: Any, *, images: bool, named: bool) -> int:
    """How many trailing dimensions are one signal's, or one image's, own."""
    if not images:
        return 1
    if not named:
        return len(X.shape) - 1  # as of plain arrays in memory
    return 3 if coloured(X) else 2


def dims_of(lead: Sequence[int]) -> tuple[str, ...]:
    """Names for leading dimensions that have none."""
    return {1: ("signal",), 2: ("y", "x")}.get(len(lead), tuple(f"dim_{k}" for k in range(len(lead))))


def framed(X: xr.DataArray, inner: int) -> xr.DataArray:
    """Names and axes of one signal or image of X, without its numbers."""
    import xarray as xr

    dims = X.dims[-inner:]
    kept = {k: v for k, v in X.coords.items() if v.dims and set(v.dims) <= set(dims)}
    blank = np.broadcast_to(np.float32(0), X.shape[-inner:])
    return xr.DataArray(blank, dims=dims, coords=kept)


def in_frame(one: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    """Rows (n, ...) with the names and axes of one of them."""
    import xarray as xr

    first = "signal" if "signal" not in one.dims else "row_of_signals"
    return xr.DataArray(values, dims=(first, *one.dims), coords=one.coords)


def pieces(shape: Sequence[int], begin: int, end: int) -> Iterator[Leading]:
    """Rectangles that make up the elements ``begin`` to ``end`` of an array, in their order.

    Examples
    --------
    >>> [tuple((s.start, s.stop) for s in piece) for piece in pieces((3, 4), 2, 12)]
    [((0, 1), (2, 4)), ((1, 3), (0, 4))]
    """
    if len(shape) == 1:
        yield (slice(begin, end),)
        return
    line = prod(shape[1:])
    first = begin // line
    if begin % line or end < (first + 1) * line:
        stop = min(end, (first + 1) * line)
        for rest in pieces(shape[1:], begin - first * line, stop - first * line):
            yield (slice(first, first + 1), *rest)
    else:
        stop = end // line * line
        yield (slice(first, stop // line), *(slice(0, n) for n in shape[1:]))
    if stop < end:
        yield from pieces(shape, stop, end)


def rows_of(
    lead: tuple[int, ...], begin: int, end: int, read: Callable[[Leading], np.ndarray], inner: int
) -> np.ndarray:
    """The rows ``begin`` to ``end`` of an array with leading dimensions ``lead``, (end - begin, ...)."""
    parts = [read(at) for at in pieces(lead, begin, end)]
    flat = [part.reshape(-1, *part.shape[part.ndim - inner :]) for part in parts]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)


def even_rows(n: int, most: int, unit: int) -> list[np.ndarray]:
    """At most so many of n rows, drawn evenly: runs of rows, each from ``unit`` rows that lie together.

    There are at most PLACES runs, so that a draw from any number of rows takes about as long.

    Examples
    --------
    >>> [run.tolist() for run in even_rows(10, 4, 1)]
    [[0], [2], [5], [7]]
    >>> runs = even_rows(10**9, 20_000, 4096)
    >>> len(runs), sum(map(len, runs)), int(runs[1][-1] - runs[1][0]) < 4096
    (64, 20000, True)
    """
    if n <= most:
        return [np.arange(n)]
    places = min(PLACES, most)
    edges = np.linspace(0, n, places + 1).astype(int)
    counts = np.diff(np.linspace(0, most, places + 1).astype(int))
    spans = np.minimum(np.diff(edges), np.maximum(unit, counts))
    return [
        begin + np.arange(count) * span // count
        for begin, span, count in zip(edges[:-1], spans, counts, strict=True)
    ]


def drawn_rows(source: Source, runs: Sequence[np.ndarray]) -> Any:
    """Some rows of a source, runs of increasing ones, as it gives them."""
    import xarray as xr

    parts = [source.read(int(run[0]), int(run[-1]) + 1)[run - run[0]] for run in runs]
    return xr.concat(parts, dim=parts[0].dims[0]) if hasattr(parts[0], "coords") else np.concatenate(parts)


def unit_of(X: Any, lead: tuple[int, ...]) -> int:
    """Rows that come together because they lie in the same chunks; 1 where nothing says so.

    Raises
    ------
    ShapeshiftError
        If a chunk does not fit into memory.
    """
    chunks = getattr(X, "chunks", None) or getattr(X, "encoding", {}).get("chunks")
    if not chunks or len(chunks) != len(X.shape):
        return 1
    sizes = [int(c[0]) if isinstance(c, tuple) else int(c) for c in chunks]
    size = prod(min(c, int(n)) for c, n in zip(sizes, X.shape, strict=True)) * np.dtype(X.dtype).itemsize
    if size > MOST_CHUNK:
        raise ShapeshiftError(
            f"got chunks of {size / 2**30:.1f} GiB, needed less than {MOST_CHUNK / 2**30:.0f} GiB to be read "
            f"a block at a time: store the data in chunks of some thousand signals."
        )
    return min(sizes[0], lead[0]) * prod(lead[1:])


def _numbers(values: Any) -> np.ndarray:
    """What a slice gave, in memory."""
    return np.asarray(values.compute() if hasattr(values, "compute") else values)
