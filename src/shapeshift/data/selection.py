"""Which of several arrays in a file is the stack of signals, and which one is its axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import Signals, Want, label, monotonic
from shapeshift.data.metadata import measured, packed
from shapeshift.data.naming import axis_like, split_units
from shapeshift.data.pictures import Side, images
from shapeshift.errors import ShapeshiftError

_LISTED = 30  # names in a message
_LINES = 200  # of the right length, that are looked at


class Entry(NamedTuple):
    """An array in a file, not read yet."""

    name: str
    shape: tuple[int, ...]
    kind: str  # of numpy's dtype: i, u, f, c, b; O for what cannot be read
    read: Callable[[], NDArray]
    units: str = ""
    scale: str = ""  # the array the file itself names as the axis of the last dimension
    about: Callable[[], Mapping[str, Any]] = dict  # what else the file tells of it

    @property
    def is_line(self) -> bool:
        """No more than one dimension that is longer than one (MATLAB has no vectors)."""
        return sum(size != 1 for size in self.shape) == 1

    @property
    def is_numeric(self) -> bool:
        """Numbers that could be measured values."""
        return self.kind in "iufc"


class _Line(NamedTuple):
    """An axis that fits a dimension of an array."""

    entry: Entry
    values: NDArray  # (length,)
    dim: int  # 0 or -1: which dimension it fits
    why: str


def from_entries(
    entries: Sequence[Entry], want: Want, *, source: str, reader: str, texts: Mapping[str, str]
) -> xr.DataArray:
    """The signals among several arrays, with axis, units and map.

    Parameters
    ----------
    entries : sequence of Entry
        What is in the file.
    want : Want
        What the user asked for.
    source, reader : str
        For messages and `attrs`.
    texts : mapping
        Strings in the file by name; "axis" may hold the axis's name and units.

    Raises
    ------
    ShapeshiftError
        If no array is numeric, or none is plainly the signals: the message lists all of them.
    """
    notes: list[str] = []
    entry = choose(entries, want, source, notes)
    if want.kind == "image":
        values = _as_map(entry.read(), entries, notes)
        found = images(values, want, _sides(entries, texts), source=source, reader=reader, notes=notes)
        return found.assign_attrs(_about(entry))
    line = None if want.axis == "none" else _axis(entry, entries, want, source)
    values = _oriented(entry.read(), line, want, notes)
    values = _as_map(values, entries, notes)
    if line is None:
        signals = Signals(values)
    else:
        name, units = _heading(line.entry, texts)
        notes.append(f"axis {line.entry.name!r} ({line.why})")
        signals = Signals(values, line.values, name, units)
    return label(signals, want, source=source, reader=reader, notes=notes).assign_attrs(_about(entry))


def _about(entry: Entry) -> dict[str, str]:
    """Units of the values and what else the file tells of an array."""
    about = dict(entry.about())
    return {**measured(about), **packed(about)}


def choose(entries: Sequence[Entry], want: Want, source: str, notes: list[str]) -> Entry:
    """The array that is the stack of signals."""
    if want.array is not None:
        return _named(want.array, entries, source, "array")
    stacks = [e for e in entries if e.is_numeric and len(e.shape) >= 2 and not e.is_line]
    if not stacks:
        return _no_stack(entries, want, source)
    if want.kind == "image":
        stacks = [e for e in stacks if len(e.shape) > 2] or stacks
    if len(stacks) == 1:
        chosen, why = stacks[0], "the only one of two or more dimensions"
    else:
        given = want.axis != "none"
        with_axis = [e for e in stacks if given and _axis(e, entries, want, source, strict=False) is not None]
        if len(with_axis) != 1:
            raise ShapeshiftError(
                f"{source}: got several arrays, {_listed(stacks)}, needed to know which one holds the "
                "signals: give array='NAME' (--array NAME)"
            )
        chosen, why = with_axis[0], "the only one that an axis in the file fits"
    if len(entries) > 1:
        notes.append(f"array {chosen.name!r} ({why})")
    return chosen


def _no_stack(entries: Sequence[Entry], want: Want, source: str) -> Entry:
    """One line of numbers (its shape is judged later), or the reason why there is nothing to read."""
    lines = [e for e in entries if e.is_numeric and len(e.shape) >= 1]
    tall = [e for e in lines if len(e.shape) >= 2]
    if len(tall) == 1 or (want.single and len(lines) == 1):
        return (tall or lines)[0]
    if lines:
        raise ShapeshiftError(
            f"{source}: got single lines of numbers only, {_listed(lines)}, that is one signal, needed a "
            "stack of two or more as (n, length): put the signals to compare into one array"
        )
    raise ShapeshiftError(
        f"{source}: got no numeric array{' among ' + _listed(entries) if entries else ''}, needed signals as "
        "(n, length): save plain numbers, not objects or text"
    )


def _named(name: str, entries: Sequence[Entry], source: str, option: str) -> Entry:
    """The array of a name, or of a name's last part where that is enough."""
    exact = [e for e in entries if e.name == name.strip("/")]
    found = exact or [e for e in entries if e.name.rsplit("/", 1)[-1] == name]
    if len(found) != 1:
        problem = "several arrays end" if found else "no array goes"
        raise ShapeshiftError(
            f"{source}: got {option}={name!r} but {problem} by that name, needed one of "
            f"{_listed(found or entries)}: give {option}='NAME' (--{option} NAME)"
        )
    return found[0]


def _axis(
    entry: Entry, entries: Sequence[Entry], want: Want, source: str, strict: bool = True
) -> _Line | None:
    """The axis asked for, or the best one that fits; with `strict` an axis asked for must fit."""
    dims = {"rows": (-1,), "columns": (0,), None: (-1, 0)}[want.orientation]
    if want.axis is not None:
        given = _named(want.axis, entries, source, "axis")
        for dim in dims:
            if given.is_numeric and given.is_line and max(given.shape) == entry.shape[dim]:
                return _Line(given, given.read().ravel(), dim, "as given")
        if not strict:
            return None
        raise ShapeshiftError(
            f"{source}: got axis={want.axis!r} of shape {_sizes(given)}, needed one number for each sample "
            f"of {entry.name!r} {_sizes(entry)}: name another array, or give axis='none'"
        )
    lines = [e for e in entries if e is not entry and e.kind in "iuf" and e.is_line]
    return next((line for dim in dims if (line := _best(entry, lines, dim)) is not None), None)


def _best(entry: Entry, lines: Sequence[Entry], dim: int) -> _Line | None:
    """The line that the file, or its name, declares the axis of a dimension; any other if only that fits."""
    short = entry.name.rpartition("/")[2]
    named = {e.name for e in lines if axis_like(e.name) or e.name.rpartition("/")[2] == short}
    fitting = [e for e in lines if max(e.shape) == entry.shape[dim]]
    fitting.sort(key=lambda e: e.name != entry.scale and e.name not in named)
    fitting = [e for e in fitting[:_LINES] if monotonic(e.read().ravel())]
    declared = [e for e in fitting if e.name == entry.scale and dim == -1]
    group = entry.name.rpartition("/")[0]
    fitting.sort(key=lambda e: e.name.rpartition("/")[0] != group)  # its own group first
    called = [e for e in fitting if e.name in named]
    if declared or called:
        chosen = (declared or called)[0]
        others = [e.name for e in called if e is not chosen]
        also = f", not {', '.join(others)}: axis='NAME' takes another" if others else ""
        return _Line(chosen, chosen.read().ravel(), dim, f"it fits, and its name says so{also}")
    # A line as long as the stack is high may as well belong to the signals, not to the samples.
    if dim == -1 and len(fitting) == 1 and entry.shape[-1] not in entry.shape[:-1]:
        return _Line(fitting[0], fitting[0].read().ravel(), dim, "the only one that fits")
    return None


def _oriented(values: NDArray, line: _Line | None, want: Want, notes: list[str]) -> NDArray:
    """The array with the signal axis last."""
    if want.orientation == "columns" or (line is not None and line.dim == 0 and want.orientation is None):
        why = "as given" if want.orientation else "the axis fits the first dimension"
        notes.append(f"signals are columns ({why})")
        return np.moveaxis(values, 0, -1)
    if values.ndim > 3:
        return values.reshape(tuple(size for size in values.shape if size > 1))
    return values


def _as_map(values: NDArray, entries: Sequence[Entry], notes: list[str]) -> NDArray:
    """Rows put back into the map that `map_shape` tells of."""
    told = [e for e in entries if e.name.rpartition("/")[2] == "map_shape" and e.kind in "iuf"]
    if values.ndim not in (2, 3) or not told:
        return values
    shape = tuple(int(size) for size in told[0].read().ravel())
    if len(shape) != 2 or shape[0] * shape[1] != len(values):
        notes.append(f"map_shape {shape} does not fit {len(values)} signals and was left aside")
        return values
    notes.append(f"map of {shape[0]} x {shape[1]} (map_shape)")
    return values.reshape(*shape, *values.shape[1:])


def _sides(entries: Sequence[Entry], texts: Mapping[str, str]) -> list[Side]:
    """Lines of numbers whose names say that they are an axis of images."""
    named = {"row": "row", "rows": "row", "column": "column", "columns": "column"}
    found = []
    for e in entries:
        short = e.name.rpartition("/")[2]
        if short.lower() in named and e.kind in "iuf" and e.is_line:
            units = e.units or texts.get(f"{short}_units", "") or texts.get("axis_units", "")
            found.append(Side(named[short.lower()], e.read().ravel().astype(float), units))
    return found


def _heading(line: Entry, texts: Mapping[str, str]) -> tuple[str, str]:
    """Name and units of an axis, from the file's words on it or from its own name."""
    short = line.name.rpartition("/")[2]
    name, units = split_units(texts.get("axis") or texts.get(f"{short}_label") or short)
    return name, units or line.units or texts.get(f"{short}_units", "") or texts.get("axis_units", "")


def _sizes(entry: Entry) -> str:
    return f"({', '.join(map(str, entry.shape))})"


def _listed(entries: Sequence[Entry]) -> str:
    """Names and shapes for a message."""
    names = ", ".join(f"{e.name!r} {_sizes(e)}" for e in entries[:_LISTED])
    return names + (f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else "")
