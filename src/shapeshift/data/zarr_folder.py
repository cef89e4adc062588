"""Zarr, a folder or a `.zip` of one: metadata are looked through before a library believes them."""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import xarray as xr

from shapeshift.data.carrier import Want, check_size
from shapeshift.data.libraries import library, reading
from shapeshift.data.named import from_array, from_dataset
from shapeshift.data.packed import HEAD, Chunk, check_packed, packer
from shapeshift.data.selection import Entry, from_entries
from shapeshift.errors import ShapeshiftError

# What may unpack a chunk. Pickled objects are not among them.
_CODECS = {
    *("blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma", "zfpy", "pcodec"),
    *("shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "astype", "packbits"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
    *("bytes", "endian", "transpose", "sharding_indexed", "vlen-utf8", "vlen-bytes"),
}
_DOCUMENTS = (".zarray", "zarr.json")
_MOST_WORDS = 2**22  # bytes of one document
_MOST_CHUNKS = 100_000


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in a Zarr store of version 2 or 3: one array, or a group, as xarray writes it or not.

    Raises
    ------
    ShapeshiftError
        If the store is damaged or unclear, points out of itself, or needs codecs that are not known.
    """
    zarr = library("zarr", path.name)
    with reading(path.name, "Zarr store"):
        check(path)
        packed = path.is_file()
        store: Any = zarr.storage.ZipStore(path, mode="r") if packed else str(path)
        try:
            return _read(zarr, store, want, path.name)
        finally:
            if packed:
                store.close()


def check(path: Path, *, whole: bool = True) -> None:
    """Refuse a store that leads out of itself, needs unknown codecs, or claims more than is there.

    ``whole`` : whether all of an array has to fit into memory, or a chunk of it at a time.

    Raises
    ------
    ShapeshiftError
    """
    for name, found in (_zipped(path) if path.is_file() else _folder(path)).items():
        _check(name, found, path, whole)


def claimed(path: Path) -> int:
    """Bytes that the arrays of a folder would take in memory, as their documents have it."""
    told = (json.loads(text) for text, _, _ in _folder(path).values())
    arrays = [t for t in told if isinstance(t, dict) and "shape" in t]
    return sum(math.prod(shape) * size for shape, _, size in map(_sizes, arrays))


def _read(zarr: Any, store: Any, want: Want, source: str) -> xr.DataArray:
    root = zarr.open(store, mode="r", use_consolidated=False)  # the documents that were checked
    if not hasattr(root, "members"):
        return _single(root, want, source)
    arrays = dict(root.arrays())
    if arrays and all(_dims(a) is not None for a in arrays.values()):
        options: dict[str, Any] = {"consolidated": False, "decode_times": False, "chunks": None}
        with xr.open_dataset(store, engine="zarr", **options) as data:
            return from_dataset(data, want, source=source, reader="zarr")
    found = {
        n: a
        for n, a in root.members(max_depth=None, use_consolidated_for_children=False)
        if hasattr(a, "dtype")
    }
    entries = [_entry(name, array) for name, array in sorted(found.items())]
    return from_entries(entries, want, source=source, reader="zarr", texts={})


def _single(array: Any, want: Want, source: str) -> xr.DataArray:
    """The only array of a store, with names of its dimensions or without."""
    dims = _dims(array)
    if dims is None:
        return from_entries([_entry("the array", array)], want, source=source, reader="zarr", texts={})
    about = {key: value for key, value in dict(array.attrs).items() if key != "_ARRAY_DIMENSIONS"}
    X = xr.DataArray(
        array[...], dims=dims, attrs={k: v for k, v in about.items() if k in ("units", "long_name")}
    )
    return from_array(X, want, source=source, reader="zarr", notes=[], metadata=about)


def _entry(name: str, array: Any) -> Entry:
    """An array as something to choose from."""
    kind = array.dtype.kind if isinstance(array.dtype, np.dtype) else "O"
    about = dict(array.attrs)
    return Entry(
        name, array.shape, kind, lambda: array[...], str(about.get("units", "")), about=lambda: about
    )


def _dims(array: Any) -> tuple[str, ...] | None:
    """Names of an array's dimensions, where it has them."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or len(set(names)) != array.ndim or any(not isinstance(name, str) for name in names):
        return None if array.ndim or names is None else ()
    return tuple(names)


def _folder(path: Path) -> dict[str, tuple[bytes, int, int]]:
    """Documents of a folder by name: text, bytes stored beside and below it, and in how many files."""
    sizes: dict[str, int] = {}
    for above, folders, files in os.walk(path):
        for name in (*folders, *files):
            here = Path(above) / name
            mode = here.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise ShapeshiftError(
                    f"{path.name}: got a link or device, {name!r}, needed plain files: copy the data into "
                    "the folder"
                )
            if stat.S_ISREG(mode):
                sizes[here.relative_to(path).as_posix()] = here.stat().st_size
    texts = ((n, (path / n).read_bytes()) for n, s in sizes.items() if _is_document(n, s, path.name))
    return {name: (text, *_below(name, sizes)) for name, text in texts}


def _zipped(path: Path) -> dict[str, tuple[bytes, int, int]]:
    """The same of an archive, once its members are credible."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            check_size(info.file_size, info.compress_size, f"{path.name}, {info.filename!r}")
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
        whole = {info.filename: info.file_size for info in archive.infolist()}
        texts = ((n, archive.read(n)) for n, s in whole.items() if _is_document(n, s, path.name))
        return {name: (text, *_below(name, sizes)) for name, text in texts}


def _is_document(name: str, size: int, source: str) -> bool:
    if PurePosixPath(name).name not in _DOCUMENTS:
        return False
    if size > _MOST_WORDS:
        raise ShapeshiftError(
            f"{source}: got {size} bytes of metadata in {name!r}, needed at most {_MOST_WORDS}"
        )
    return True


def _below(document: str, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Bytes and files in the folder of a document."""
    prefix = document.rpartition("/")[0]
    inside = [size for name, size in sizes.items() if name.startswith(f"{prefix}/" if prefix else "")]
    return sum(inside), len(inside)


def _check(name: str, found: tuple[bytes, int, int], path: Path, whole: bool) -> None:
    """Refuse an array of unknown codecs, or one that claims far more than is stored of it."""
    (text, stored, files), source = found, path.name
    told = json.loads(text)
    if not isinstance(told, dict) or told.get("node_type") == "group":
        return
    for codec in _codecs([told.get(key) for key in ("codecs", "filters", "compressor")]):
        if codec.removeprefix("numcodecs.") not in _CODECS:
            raise ShapeshiftError(
                f"{source}: got {name!r} packed by {codec[:40]!r}, needed a codec that only unpacks numbers: "
                "write the data again with zstd or blosc"
            )
    shape, chunks, size = _sizes(told)
    what = f"{source}, {name!r}"
    check_size(math.prod(shape) * size, stored, what, whole=whole)
    check_size(math.prod(chunks) * size, stored, what)
    count = math.prod(-(-s // max(c, 1)) for s, c in zip(shape, chunks, strict=True))
    if count > _MOST_CHUNKS and count > 100 * files:
        raise ShapeshiftError(
            f"{what}: got {files} files that claim to be {count} chunks, needed an array that is really "
            "there: the store is damaged, write it again"
        )

    if codec := packer(told, what):
        check_packed(codec, _chunks(path, name), math.prod(chunks) * size, what)


def _chunks(path: Path, document: str) -> Iterator[Chunk]:
    """Chunks of the array that a document describes: all files beside and below it that are none."""
    above = document.rpartition("/")[0]
    if path.is_dir():
        for here in (path / above).rglob("*"):
            if here.is_file() and not _is_word(here.name):
                with here.open("rb") as file:
                    yield here.stat().st_size, file.read(HEAD), here.read_bytes
        return
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.startswith(f"{above}/" if above else "") and not _is_word(info.filename):
                with archive.open(info) as member:
                    yield info.file_size, member.read(HEAD), partial(archive.read, info)


def _is_word(name: str) -> bool:
    """Whether a file holds metadata, and no numbers."""
    return PurePosixPath(name).name in (*_DOCUMENTS, ".zattrs", ".zgroup", ".zmetadata")


def _sizes(told: Mapping[str, Any]) -> tuple[list[int], list[int], int]:
    """Shape, shape of a chunk and bytes of a number, as an array's document claims them."""
    grid = told.get("chunk_grid") or {}
    chunks = told.get("chunks") or grid.get("configuration", {}).get("chunk_shape") or []
    kind = told.get("dtype", told.get("data_type"))
    try:
        size = np.dtype(kind).itemsize or 8
    except TypeError:
        size = 8
    return [int(n) for n in told["shape"]], [int(n) for n in chunks], size


def _codecs(told: Any) -> Iterator[str]:
    """Names of all codecs in a piece of a document, those of shards included."""
    if isinstance(told, dict):
        for key, value in told.items():
            if key in ("id", "name") and isinstance(value, str):
                yield value
            elif key in ("configuration", "codecs", "index_codecs"):
                yield from _codecs(value)
    elif isinstance(told, list):
        for member in told:
            yield from _codecs(member)
