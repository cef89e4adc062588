"""Files whose signals need not be loaded: Zarr, HDF5 and .npy, read by the rules of `shapeshift.open`.

What the file means is found out from its names and shapes; every block is then read as the reader of its
format would read a file that holds no more than this block.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from shapeshift.data import zarr_folder
from shapeshift.data.blocks import Source, dims_of, framed, in_frame, inner_dims, source_of, unit_of
from shapeshift.data.carrier import Want
from shapeshift.data.libraries import library
from shapeshift.data.selection import Entry, choose, from_entries
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    import xarray as xr

ENDINGS = (".zarr", ".h5", ".hdf5", ".npy")
LARGE = 2**28  # bytes from which on a file is not loaded


class Stored(NamedTuple):
    """Signals in an open file, and the first two of them as `shapeshift.open` would label them."""

    source: Source
    head: xr.DataArray


def is_stored(path: Path) -> bool:
    """Whether a path is large, and of a kind that can be read block by block."""
    if path.suffix.lower() == ".zarr" and path.is_dir():
        with _reading(path.name):
            return zarr_folder.claimed(path) > LARGE
    return path.suffix.lower() in ENDINGS and path.is_file() and path.stat().st_size > LARGE


@contextmanager
def stored(path: Path, want: Want) -> Iterator[Stored]:
    """Open the signals in a Zarr folder, HDF5 or .npy file without reading them.

    Raises
    ------
    ShapeshiftError
        If there is no such file, it is damaged, its signals lie along columns, or what is in it is not clear.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS or not path.exists():
        raise ShapeshiftError(
            f"{path}: got no file that can be read a block at a time, needed one that exists and ends in "
            f"{', '.join(ENDINGS)}: open it with ss.open, and hand over the array"
        )
    opened = {".zarr": _zarr, ".npy": _npy}.get(ending, _hdf)
    with ExitStack() as files:
        with _reading(path.name):
            found = files.enter_context(opened(path, want))

        def read(begin: int, end: int) -> Any:
            with _reading(path.name):
                return found.source.read(begin, end)

        yield found._replace(source=replace(found.source, read=read, name=path.name))


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What goes wrong with a file, as a sentence."""
    try:
        yield
    except ShapeshiftError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise ShapeshiftError(
            f"{name}: got a file that cannot be read ({error}), needed a whole one: write or copy it again"
        ) from error


@contextmanager
def _hdf(path: Path, want: Want) -> Iterator[Stored]:
    import h5py

    from shapeshift.data.hdf import check_stored, entry, explore, texts

    with h5py.File(path, "r") as file:
        contents = explore(file, want, path.name)
        entries = [entry(name, array, path.name) for name, array in contents.arrays.items()]

        def array_of(name: str) -> h5py.Dataset:
            check_stored(contents.arrays[name], path.name, whole=False)
            return contents.arrays[name]

        yield _of_entries(entries, array_of, want, path.name, "hdf5", texts(contents))


@contextmanager
def _npy(path: Path, want: Want) -> Iterator[Stored]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    entry = Entry("the array", array.shape, array.dtype.kind, lambda: np.asarray(array))
    yield _of_entries([entry], lambda _: Mapped(array), want, path.name, "numpy", {})


@final
class Mapped:
    """An array in a file, of which no more stays in memory than what was read last.

    Pages that have been looked at count as this process's own until someone else needs the room; here they
    are given back at once.

    Parameters
    ----------
    array : numpy.memmap
    """

    def __init__(self, array: np.memmap) -> None:
        self.array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        found = np.array(self.array[key])
        if isinstance(self.array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.array.base.madvise(mmap.MADV_DONTNEED)
        return found


@contextmanager
def _zarr(path: Path, want: Want) -> Iterator[Stored]:
    import xarray as xr

    zarr = library("zarr", path.name)
    zarr_folder.check(path, whole=False)
    root = zarr.open(path, mode="r", use_consolidated=False)  # the documents that were checked
    if not hasattr(root, "members"):
        entry = Entry("the array", root.shape, root.dtype.kind, lambda: root[...])
        yield _of_entries([entry], lambda _: root, want, path.name, "zarr", {})
        return
    arrays = {n: a for n, a in root.members(max_depth=None) if hasattr(a, "shape")}
    entries = [_entry(name, array) for name, array in sorted(arrays.items())]
    if arrays and all(_named_dims(array) for array in arrays.values()):
        with xr.open_zarr(path, chunks=None, consolidated=False, decode_times=False) as data:
            yield _of_dataset(data, entries, want, path.name)
    else:
        yield _of_entries(entries, arrays.__getitem__, want, path.name, "zarr", {})


def _entry(name: str, array: Any) -> Entry:
    kind = array.dtype.kind if isinstance(array.dtype, np.dtype) else "O"
    return Entry(name, array.shape, kind, lambda: array[...], str(array.attrs.get("units", "")))


def _named_dims(array: Any) -> bool:
    """Whether a Zarr array says what its dimensions are called."""
    return bool(getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS"))


def _of_dataset(data: xr.Dataset, entries: Sequence[Entry], want: Want, source: str) -> Stored:
    """The variable that is the signals, with the coordinates the file gives it."""
    notes: list[str] = []
    of_data = [e for e in entries if e.name in data.data_vars]
    X = data[choose(of_data, want, source, notes).name]
    if want.axis not in (None, str(X.dims[-1])) or want.orientation == "columns":
        raise ShapeshiftError(
            f"{source}: got {str(X.dims[-1])!r} as the last dimension of {X.name!r}, needed the axis of the "
            "signals there: transpose the array, and leave axis and orientation out"
        )
    rows = source_of(X, images=want.kind == "image")
    attrs = {"source": source, "reader": "zarr", "notes": "; ".join(notes)}
    return Stored(rows, rows.read(0, min(2, len(rows))).assign_attrs(attrs))


def _of_entries(
    entries: Sequence[Entry],
    array_of: Callable[[str], Any],
    want: Want,
    source: str,
    reader: str,
    texts: dict[str, str],
) -> Stored:
    """The array that is the signals, each block of it read as a file by itself."""
    chosen = choose(entries, want, source, [])
    array, images = array_of(chosen.name), want.kind == "image"
    lines = [
        e._replace(read=cache(e.read)) for e in entries if e != chosen and not e.name.endswith("map_shape")
    ]
    want = want._replace(array=chosen.name, single=True)

    def look(begin: int, end: int) -> xr.DataArray:
        block = chosen._replace(read=lambda: np.asarray(array[begin:end]))
        return from_entries([*lines, block], want, source=source, reader=reader, texts=texts)

    head = _head(look, array.shape, f"{source}, {chosen.name!r}")
    inner = inner_dims(head, images=images, named=True)
    one, between = framed(head, inner), head.shape[1 : head.ndim - inner]
    line = prod(between)

    def read(begin: int, end: int) -> xr.DataArray:
        first = begin // line
        block = look(first, -(-end // line)).values.reshape(-1, *one.shape)
        return in_frame(one, block[begin - first * line : end - first * line])

    lead = (int(array.shape[0]), *between)
    shape = _map_shape(entries, lead) or lead
    dims = dims_of(shape) if shape != lead else tuple(map(str, head.dims[: len(lead)]))
    width = prod(one.shape)
    unit = unit_of(array, lead)
    return Stored(Source(shape, dims, read, width, unit, array.dtype.itemsize), head)


def _head(look: Callable[[int, int], xr.DataArray], shape: tuple[int, ...], what: str) -> xr.DataArray:
    """The first two signals or images, or lines of a map.

    Raises
    ------
    ShapeshiftError
        If signals lie along columns: two rows are then two samples of all of them.
    """
    few = min(2, shape[0])
    try:
        head = look(0, few)
    except ShapeshiftError:
        raise
    except ValueError:  # the axis is as long as the array is high
        head = None
    if head is None or head.shape[0] != few:
        raise ShapeshiftError(
            f"{what}: got one signal a column, needed one a row to be read a block at a time: transpose it, "
            "or give orientation='rows' (--orientation rows)"
        )
    return head


def _map_shape(entries: Sequence[Entry], lead: tuple[int, ...]) -> tuple[int, ...] | None:
    """The map that ``map_shape`` in the file tells of, if it fits the rows."""
    told = [e for e in entries if e.name.rpartition("/")[2] == "map_shape" and e.kind in "iuf"]
    shape = tuple(int(size) for size in told[0].read().ravel()) if told else ()
    return shape if len(lead) == 1 and len(shape) == 2 and prod(shape) == lead[0] else None
