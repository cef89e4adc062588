"""What every reader hands over: checked real numbers with named dimensions, coordinates and units."""

from __future__ import annotations

import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.errors import ShapeshiftError

Orientation = Literal["rows", "columns"]
Kind = Literal["signal", "image"]

# What the parsers of the libraries raise on files that are damaged or made to do harm.
DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
    lzma.LZMAError,
)

# How many times its size a file may unpack to before it is taken for a bomb; the floor is above suspicion.
_EXPANSION, _FLOOR = 100, 64 * 2**20


class Want(NamedTuple):
    """What the user asked for; None is "find out"."""

    array: str | None = None
    axis: str | None = None
    orientation: Orientation | None = None
    single: bool = False  # one signal will do
    kind: Kind = "signal"
    image_shape: tuple[int, ...] | None = None  # of images that come flattened


class Signals(NamedTuple):
    """Signals with their axis last, before they get their labels."""

    values: NDArray  # (n, length) or (rows, columns, length)
    axis: NDArray | None = None  # (length,)
    axis_name: str = ""
    axis_units: str = ""
    dims: tuple[str, ...] = ()  # names of all but the last dimension; () is "signal", or "y", "x" of a map
    coords: Mapping[str, Any] = {}  # further coordinates, as xarray takes them


def label(signals: Signals, want: Want, *, source: str, reader: str, notes: Sequence[str]) -> xr.DataArray:
    """The labelled array of some signals, once they are known to be a stack of real signals.

    Raises
    ------
    ShapeshiftError
        If there is one signal (unless one will do) or one sample only, no dimension or more than three, or
        numbers are not real.
    """
    values = real(signals.values, source)
    values = values[None] if want.single and values.ndim == 1 else values
    dims = signals.dims or (("signal",) if values.ndim == 2 else ("y", "x"))
    _check_shape(_of_one_channel(values.shape, dims), 1 if want.single else 2, source)
    name = signals.axis_name or ("sample" if signals.axis is None else "x")
    if name in dims or name in signals.coords:
        name = "axis"
    length = values.shape[-1]
    axis = (
        np.arange(length, dtype=float) if signals.axis is None else real(signals.axis, source).astype(float)
    )
    coords = {**signals.coords, name: (name, axis, {"units": signals.axis_units})}
    if signals.axis is None:
        notes = [*notes, "no axis found: samples are numbered from 0"]
    attrs = {"source": source, "reader": reader, "notes": "; ".join(notes)}
    return xr.DataArray(values, dims=(*dims, name), coords=coords, attrs=attrs)


def _of_one_channel(shape: tuple[int, ...], dims: tuple[str, ...]) -> tuple[int, ...]:
    """The shape without a dimension that is named as that of channels."""
    if len(dims) + 1 != len(shape):  # names that are not its own
        return shape
    return tuple(n for n, dim in zip(shape, (*dims, ""), strict=True) if dim != "channel")


def real(values: NDArray, source: str) -> NDArray:
    """The same numbers as floats of 32 or 64 bits.

    Raises
    ------
    ShapeshiftError
        If the numbers are complex, or no numbers.
    """
    values = np.asarray(values)
    if values.dtype.kind == "c":
        raise ShapeshiftError(
            f"{source}: got complex numbers, needed real ones: save their magnitude, real part or phase"
        )
    if values.dtype.kind not in "iufb":
        raise ShapeshiftError(
            f"{source}: got an array of {values.dtype}, needed numbers: choose another array"
        )
    if values.dtype.newbyteorder("=") == np.float32:
        return values.astype(np.float32)
    return values.astype(np.float32 if values.dtype.kind == "f" and values.itemsize == 2 else np.float64)


def _check_shape(shape: tuple[int, ...], least: int, source: str) -> None:
    """At least so many signals of two or more samples, as (n, length) or (rows, columns, length)."""
    got = "x".join(map(str, shape))
    if len(shape) not in (2, 3):
        raise ShapeshiftError(
            f"{source}: got an array of {len(shape)} dimensions ({got}), needed (n, length) or a map "
            "(rows, columns, length): reshape it or choose another array"
        )
    if 0 in shape:
        raise ShapeshiftError(
            f"{source}: got an array without numbers ({got}), needed signals: check the file"
        )
    if np.prod(shape[:-1]) < least:
        raise ShapeshiftError(
            f"{source}: got one signal of {shape[-1]} samples, needed at least two: "
            "put the signals to compare into one file"
        )
    if shape[-1] < 2:
        raise ShapeshiftError(
            f"{source}: got one sample a signal ({got}), needed at least two: give the whole signals, or "
            "orientation='columns' if each column is one signal"
        )


def check_size(
    claimed: int, stored: int, what: str, *, floats: int = 0, floor: int = _FLOOR, whole: bool = True
) -> None:
    """Refuse an array that claims to be far larger than what is stored of it, before memory is asked for.

    Parameters
    ----------
    claimed, stored : int
        Bytes in memory and bytes in the file.
    what : str
        File and array, for the message.
    floats : int
        Bytes once its numbers are floats, see :func:`bytes_of`.
    floor : int
        Bytes in memory that are above suspicion.
    whole : bool
        Whether all of it has to fit into memory.

    Raises
    ------
    ShapeshiftError
        If the array would not fit into memory, or claims more than 100 times its stored size.
    """
    needed = max(claimed, floats)
    if needed > floor and claimed > _EXPANSION * stored:
        raise ShapeshiftError(
            f"{what}: got {stored} bytes that claim to be {claimed}, needed an array that is really there: "
            "the file is damaged or made to fill the memory, write it again"
        )
    memory = _memory()
    if whole and memory and needed > memory:
        raise ShapeshiftError(
            f"{what}: got an array of {needed / 2**30:.1f} GiB, needed one that fits into the memory of "
            f"{memory / 2**30:.1f} GiB: crop it or split the file"
        )


def bytes_of(shape: Sequence[int], itemsize: int) -> int:
    """Bytes that an array takes once its numbers are floats of 64 bits."""
    return math.prod(map(int, shape)) * max(int(itemsize), 8)


def _memory() -> int:
    """Bytes of memory this machine has, 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def monotonic(values: NDArray) -> bool:
    """Whether numbers only rise or only fall, so that they can be an axis."""
    with np.errstate(invalid="ignore", over="ignore"):  # of infinities
        steps = np.diff(np.asarray(values, dtype=float))
    return steps.size > 0 and bool(np.all(steps > 0) or np.all(steps < 0))


def refuse_repeats(line: NDArray, others: Sequence[NDArray] | NDArray, where: str, source: str) -> None:
    """Refuse a line of numbers that would be an axis, were it not for values that stand there twice.

    Taken for a signal, it would be one that nobody measured. An axis only rises or only falls, as most of
    the lines beside it do not; at most half of its steps are none.

    Raises
    ------
    ShapeshiftError
    """
    if len(line) < 6 or monotonic(line) or not _climbs(line) or 2 * sum(map(_climbs, others)) >= len(others):
        return
    twice, way = line[1:][np.diff(line) == 0][0], "rises" if line[-1] > line[0] else "falls"
    raise ShapeshiftError(
        f"{source}: got a {where} that only {way}, as an axis does, but the value {twice:.6g} "
        "repeats, needed a value of its own for every sample: correct it, or give "
        "axis='none' (--axis none) if it is a signal"
    )


def _climbs(line: NDArray) -> bool:
    """Whether numbers never turn, and seldom stay."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(np.asarray(line, dtype=float))
    one_way = np.all(steps >= 0) or np.all(steps <= 0)
    return bool(one_way and 2 * np.count_nonzero(steps == 0) <= len(steps))
