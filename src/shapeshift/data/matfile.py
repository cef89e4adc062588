"""Variables of MATLAB files of version 4 to 7, read with every length checked.

scipy's reader asks for whatever memory a file claims, and ends the process on some damaged files; so the
plain arrays, which are all that signals need, are read here. Cells, structures, objects and sparse matrices
are named and passed over.

Source of the format: MathWorks, MAT-File Format (MATLAB 7 documentation), chapters 1 and 2.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapeshift.data.carrier import bytes_of, check_size

_MATRIX, _PACKED, _UTF8 = 14, 15, 16
_STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CHAR, _COMPLEX, _LOGICAL = 4, 0x0800, 0x0200
_OLD = ("f8", "f4", "i4", "i2", "u2", "u1")  # of version 4
_HEAD = 2**14  # bytes of a packed variable that tell what it is
_MOST = 100_000  # variables

Order = Literal["<", ">"]


class Variable(NamedTuple):
    """An array that is read when it is asked for; kind is numpy's, U for text, O for what is passed over."""

    name: str
    shape: tuple[int, ...]
    kind: str
    read: Callable[[], NDArray]


class _Head(NamedTuple):
    """What stands before the numbers of a variable, and where they begin."""

    name: str
    shape: tuple[int, ...]
    flags: int
    start: int

    @property
    def kind(self) -> str:
        """Of numpy's dtypes."""
        code = self.flags & 255
        if code == _CHAR:
            return "U"
        if self.flags & _LOGICAL:
            return "b"
        return "O" if code not in _CLASSES else "c" if self.flags & _COMPLEX else _CLASSES[code][0]


def variables(data: bytes, source: str) -> list[Variable]:
    """All variables in the bytes of a file.

    Raises
    ------
    ValueError
        If the file is damaged.
    ShapeshiftError
        If a variable claims far more than is stored of it.
    """
    if len(data) >= 4 and 0 in data[:4]:  # version 5 begins with text
        return list(_of_version_4(data, source))
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("no header of a .mat file")
    order: Order = "<" if data[126:128] == b"IM" else ">"
    return list(_of_version_5(memoryview(data), order, source))


def _of_version_5(data: memoryview, order: Order, source: str) -> Iterator[Variable]:
    at, count = 128, 0
    while at + 8 <= len(data) and count < _MOST:
        kind, start, size = _tag(data, at, order)
        body = data[start : start + size]
        if len(body) < size:
            raise ValueError("it ends in the middle of a variable")
        at, count = start + size, count + 1
        if kind == _MATRIX:
            yield _variable(_head(body, order), partial(bytes, body), size, len(body), order, source)
        elif kind == _PACKED:
            yield _packed(body, order, source)


def _packed(body: memoryview, order: Order, source: str) -> Variable:
    """A variable that is packed: its beginning tells what it is, and how much may be unpacked of it."""
    begin = memoryview(zlib.decompressobj().decompress(body, _HEAD))
    kind, start, size = _tag(begin, 0, order)
    if kind != _MATRIX:
        raise ValueError("a packed element that is no variable")

    def whole() -> bytes:
        return zlib.decompressobj().decompress(body, start + size)[start:]

    return _variable(_head(begin[start : start + size], order), whole, size, len(body), order, source)


def _variable(
    head: _Head, content: Callable[[], bytes], size: int, stored: int, order: Order, source: str
) -> Variable:
    def read() -> NDArray:
        check_size(size, stored, f"{source}, {head.name!r}", floats=bytes_of(head.shape, 8))
        return _numbers(memoryview(content()), head, order)

    return Variable(head.name, head.shape, head.kind, read)


def _tag(data: memoryview, at: int, order: Order) -> tuple[int, int, int]:
    """Type of an element, where its content begins and how many bytes it has."""
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:  # up to four bytes within the tag
        if kind >> 16 > 4:
            raise ValueError("a small element of more than four bytes")
        return kind & 0xFFFF, at + 4, kind >> 16
    return kind, at + 8, size


def _element(data: memoryview, at: int, order: Order) -> tuple[int, memoryview, int]:
    """Type and content of an element, and where the next one begins."""
    kind, start, size = _tag(data, at, order)
    content = data[start : start + size]
    if len(content) < size:
        raise ValueError("it ends in the middle of an array")
    return kind, content, -(-(start + size) // 8) * 8


def _head(data: memoryview, order: Order) -> _Head:
    _, flags, at = _element(data, 0, order)
    if len(flags) < 4:
        raise ValueError("a variable without a class")
    (word,) = struct.unpack_from(order + "I", flags)
    if word & 255 == 17:  # opaque: what follows is of its own kind
        return _Head("opaque", (), word, at)
    _, lengths, at = _element(data, at, order)
    _, name, at = _element(data, at, order)
    shape = tuple(np.frombuffer(lengths[: len(lengths) // 4 * 4], order + "i4").tolist())
    if min(shape, default=0) < 0 or len(shape) > 32:
        raise ValueError(f"an array of shape {shape}")
    return _Head(bytes(name).decode("latin-1") or "no name", shape, word, at)


def _numbers(data: memoryview, head: _Head, order: Order) -> NDArray:
    """The array, in the type that its class says."""
    parts, at = [], head.start
    for _ in range(1 + (head.kind == "c")):
        kind, content, at = _element(data, at, order)
        if kind not in _STORED:
            raise ValueError(f"numbers of the unknown type {kind}")
        parts.append(np.frombuffer(content, order + _STORED[kind]))
    if head.kind == "U" and kind == _UTF8:
        return np.array(bytes(content).decode("utf-8", "replace"))
    if head.kind == "U":
        return np.array("".join(map(chr, parts[0][: math.prod(head.shape)].tolist())))
    if any(part.size != math.prod(head.shape) for part in parts):
        raise ValueError(f"{parts[0].size} numbers for an array of shape {head.shape}")
    values = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
    dtype = {"b": "?", "c": "c16"}.get(head.kind) or _CLASSES[head.flags & 255]
    return values.astype(dtype).reshape(head.shape, order="F")


def _of_version_4(data: bytes, source: str) -> Iterator[Variable]:
    """Five numbers, a name, and the values column by column."""
    order: Order = "<" if 0 <= struct.unpack_from("<i", data)[0] < 5000 else ">"
    at, count = 0, 0
    while at + 20 <= len(data) and count < _MOST:
        kind, rows, columns, imaginary, letters = struct.unpack_from(order + "iiiii", data, at)
        form, what = kind // 10 % 10, kind % 10
        if (
            not 0 <= kind < 5000
            or form >= len(_OLD)
            or min(rows, columns) < 0
            or not 0 < letters <= len(data)
        ):
            raise ValueError("a header of version 4 that means nothing")
        dtype, start = np.dtype(order + _OLD[form]), at + 20 + letters
        part = rows * columns * dtype.itemsize
        at, count = start + part * (1 + bool(imaginary)), count + 1
        if at > len(data):
            raise ValueError("it ends in the middle of a variable")
        name = data[start - letters : start].split(b"\0")[0].decode("latin-1") or "no name"
        read = partial(_old_numbers, data, start, (rows, columns), dtype, bool(imaginary), what == 1)
        plain = "U" if what == 1 else "O" if what else "c" if imaginary else dtype.kind
        yield Variable(name, (rows, columns), plain, read)


def _old_numbers(
    data: bytes, start: int, shape: tuple[int, int], dtype: np.dtype, imaginary: bool, text: bool
) -> NDArray:
    count = math.prod(shape)
    values = np.frombuffer(data, dtype, count, start)
    if text:
        letters = values.reshape(shape, order="F")[:1].ravel().astype(int).tolist()
        return np.array("".join(chr(c) for c in letters if 0 <= c < 0x110000))
    if imaginary:
        values = values + 1j * np.frombuffer(data, dtype, count, start + count * dtype.itemsize)
    return values.astype(values.dtype.newbyteorder("=")).reshape(shape, order="F")
