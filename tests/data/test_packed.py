"""Zarr's chunks that unpack to more than they say are refused before they are unpacked."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import shapeshift as ss

numcodecs = pytest.importorskip("numcodecs")

VALUES = np.round(np.random.default_rng(0).normal(size=(6, 9)), 3)
BOMB = bytes(60 * 2**20)


def store(folder: Path, codec: dict, chunk: bytes) -> Path:
    """An array (6, 9) in one chunk, whose packed bytes are given."""
    folder.mkdir()
    told = {
        "zarr_format": 2,
        "shape": [6, 9],
        "chunks": [6, 9],
        "dtype": "<f8",
        "order": "C",
        "filters": None,
    }
    (folder / ".zarray").write_text(json.dumps(told | {"fill_value": 0.0, "compressor": codec}))
    (folder / "0.0").write_bytes(chunk)
    return folder


CODECS = {
    "zlib": (zlib.compress, {"id": "zlib", "level": 1}),
    "gzip": (gzip.compress, {"id": "gzip", "level": 1}),
    "bz2": (bz2.compress, {"id": "bz2", "level": 1}),
    "lzma": (lzma.compress, {"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}),
    "zstd": (numcodecs.Zstd().encode, {"id": "zstd", "level": 1}),
    "lz4": (numcodecs.LZ4().encode, {"id": "lz4", "acceleration": 1}),
    "blosc": (numcodecs.Blosc().encode, numcodecs.Blosc().get_config()),
}


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read_and_its_bomb_refused(tmp_path: Path, codec: str) -> None:
    pack, told = CODECS[codec]
    honest = store(tmp_path / "a.zarr", told, bytes(pack(VALUES.tobytes())))
    np.testing.assert_array_equal(ss.open(honest).values, VALUES)
    bomb = store(tmp_path / "b.zarr", told, bytes(pack(BOMB)))
    with zipfile.ZipFile(tmp_path / "c.zarr.zip", "w") as archive:
        for part in bomb.iterdir():
            archive.write(part, part.name)
    for path in (bomb, tmp_path / "c.zarr.zip"):
        with pytest.raises(ss.ShapeshiftError, match="unpack to more than the array has"):
            ss.open(path)


@pytest.mark.parametrize("codec", ["blosc", "lz4"])
def test_a_chunk_that_claims_gigabytes(tmp_path: Path, codec: str) -> None:
    pack, told = CODECS[codec]
    chunk, at = bytearray(pack(VALUES.tobytes())), {"blosc": 4, "lz4": 0}[codec]
    chunk[at : at + 4] = struct.pack("<I", 2**31 - 1)
    with pytest.raises(ss.ShapeshiftError, match="unpack to more than the array has"):
        ss.open(store(tmp_path / "a.zarr", told, bytes(chunk)))


def test_chunks_that_are_packed_twice(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr", CODECS["zlib"][1], zlib.compress(zlib.compress(VALUES.tobytes())))
    told = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps(told | {"filters": [CODECS["zlib"][1]]}))
    with pytest.raises(ss.ShapeshiftError, match="needed one packer"):
        ss.open(path)


@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_the_size_of_a_frame_of_zstd_is_read_as_it_is_written(size: int) -> None:
    from shapeshift.data.packed import _zstd

    assert _zstd(bytes(numcodecs.Zstd().encode(bytes(size)))[:32]) == size
