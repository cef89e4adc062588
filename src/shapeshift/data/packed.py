"""Packed chunks of Zarr that unpack to more than they say, found out before a library unpacks them.

Some codecs note how much there is at the beginning of what they pack, and take that much memory at once;
others unpack until the stream ends, which may be never.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shapeshift.errors import ShapeshiftError

_SLACK = 2**16  # bytes that checksums and the like may add
_EXPANDS = {"zlib": 1032, "gzip": 1032, "bz2": 10**7, "lzma": 10**7}  # about the most that a stream grows
_SAFE = 2**25  # bytes that a chunk may unpack to, whatever it says
_NOTED = ("blosc", "lz4", "zstd")
_PACKERS = (*_NOTED, *_EXPANDS, "zfpy", "pcodec")
HEAD = 32  # bytes of a chunk that are always looked at

Chunk = tuple[int, bytes, Callable[[], bytes]]  # stored bytes, the first of them, all of them


def packer(told: Mapping[str, Any], what: str) -> str:
    """The codec that packs an array's chunks last, "" for none; one packer at most.

    Raises
    ------
    ShapeshiftError
        If chunks are packed twice, or something stands between the packer and the file.
    """
    given = told.get("codecs") or [*(told.get("filters") or []), told.get("compressor")]
    names = [str(c.get("id") or c.get("name")) for c in given if isinstance(c, Mapping)]
    names = [name.removeprefix("numcodecs.") for name in names]
    packers = [name for name in names if name in _PACKERS]
    if len(packers) > 1 or (packers and names[names.index(packers[0]) + 1 :] not in ([], ["crc32c"])):
        raise ShapeshiftError(
            f"{what}: got chunks packed by {', '.join(names)[:80]}, needed one packer at the end: write "
            "the data again with zstd or blosc"
        )
    return packers[0] if packers else ""


def check_packed(codec: str, chunks: Iterable[Chunk], size: int, what: str) -> None:
    """Refuse chunks that unpack to more than `size` bytes, as far as that can be known beforehand.

    Raises
    ------
    ShapeshiftError
    """
    most = size + _SLACK
    for stored, head, whole in chunks:
        beyond = (_noted(codec, head) or 0) > most
        if stored * _EXPANDS.get(codec, 0) > max(most, _SAFE):
            beyond = _unpacks_beyond(codec, whole(), most)
        if beyond:
            raise ShapeshiftError(
                f"{what}: got packed chunks that unpack to more than the array has in one, needed chunks "
                "of this array: the store is damaged or made to fill the memory, write it again"
            )


def _noted(codec: str, head: bytes) -> int | None:
    """Bytes as the beginning of a chunk claims them, None where it does not say."""
    if codec not in _NOTED:
        return None
    if codec == "blosc":  # version, flags, size of an element; then bytes unpacked
        return int.from_bytes(head[4:8], "little")
    if codec == "lz4":
        return int.from_bytes(head[:4], "little")
    return _zstd(head)


def _zstd(head: bytes) -> int | None:
    """The content size of a frame, RFC 8878, section 3.1.1.1."""
    if head[:4] != b"\x28\xb5\x2f\xfd" or len(head) < 5:
        return None
    single, code = head[4] >> 5 & 1, head[4] >> 6
    start = 5 + (not single) + (0, 1, 2, 4)[head[4] & 3]
    length = (int(single), 2, 4, 8)[code]
    value = int.from_bytes(head[start : start + length], "little") + (256 if length == 2 else 0)
    return value if length else None


def _unpacks_beyond(codec: str, packed: bytes, most: int) -> bool:
    """Whether a stream holds more than so many bytes."""
    if codec in ("zlib", "gzip"):
        return len(zlib.decompressobj(wbits=47).decompress(packed, most + 1)) > most
    stream = bz2.BZ2Decompressor() if codec == "bz2" else lzma.LZMADecompressor(memlimit=2**28)
    return len(stream.decompress(packed, most + 1)) > most
