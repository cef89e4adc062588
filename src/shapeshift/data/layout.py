"""What the rows and columns of a table mean: which are signals, which one is the axis."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapeshift.data.carrier import Orientation, Signals, Want, monotonic, refuse_repeats
from shapeshift.data.naming import axis_like, split_units
from shapeshift.errors import ShapeshiftError

_SMOOTHER = 2.0  # a direction counts as the signals' when its steps have this many times less power
_SOME = 1000  # rows, or columns, that a line is compared with


class Table(NamedTuple):
    """The numbers of a text file and the words around them."""

    values: NDArray[np.float64]  # (rows, columns)
    names: tuple[str, ...]  # above the columns, or ()
    corner: tuple[str, ...]  # above the leading columns, left of an axis row
    axis_row: NDArray[np.float64] | None  # above the other columns
    labels: tuple[str, ...]  # left of the rows, or ()
    axis_name: str = ""
    axis_units: str = ""


class _Reading(NamedTuple):
    """One way to read a table."""

    orientation: Orientation
    has_axis: bool
    why: str


def arrange(table: Table, want: Want, notes: list[str], source: str) -> Signals:
    """Signals and axis of a table.

    An axis stands in the first row (signals are rows) or in the first column (signals are columns): numbers
    that only rise or only fall, as those beside them do not. Where both or neither could be, signals run in
    the direction in which the numbers change less from cell to cell, and in rows if that is equal.

    Parameters
    ----------
    table : Table
    want : Want
        What the user asked for.
    notes : list of str
        What was found out is appended.
    source : str
        For messages.

    Raises
    ------
    ShapeshiftError
        If the axis asked for is not there, or what looks like one holds a value twice.
    """
    if want.array is not None:
        raise ShapeshiftError(
            f"{source}: got array={want.array!r}, needed none, as a text file is one table: leave it out "
            "(axis='NAME' picks a column as the axis)"
        )
    table, reading = _reading(table, want, source)
    if not reading.has_axis and want.axis is None:
        _refuse_near_axis(table, want, source)
    notes.append(f"signals are {reading.orientation} ({reading.why})")
    signals = (
        _by_rows(table, reading, notes)
        if reading.orientation == "rows"
        else _by_columns(table, reading, notes)
    )
    return signals._replace(
        axis_name=table.axis_name or signals.axis_name, axis_units=table.axis_units or signals.axis_units
    )


def _reading(table: Table, want: Want, source: str) -> tuple[Table, _Reading]:
    """How to read the table: as asked for, or as it looks."""
    if want.axis == "row":
        return table, _Reading("rows", True, "axis in the first row, as given")
    if want.axis == "column":
        return table, _Reading("columns", True, "axis in the first column, as given")
    if want.axis == "none":
        return table._replace(axis_row=None), _Reading(want.orientation or "rows", False, "no axis, as given")
    if want.axis is not None:
        return _axis_first(table, want.axis, source), _Reading(
            "columns", True, f"axis {want.axis!r}, as given"
        )
    if want.orientation is not None:
        candidate = _row(table) if want.orientation == "rows" else _column(table)
        return table, _Reading(want.orientation, candidate is not None, "as given")
    return table, _guess(table)


def _guess(table: Table) -> _Reading:
    """How the table looks."""
    row, column = _row(table), _column(table)
    smooth = _smooth_direction(table.values[1:, 1:] if table.values.shape[1] > 2 else table.values)
    if table.labels:
        return _Reading("rows", row is not None, "each begins with a word")
    if row is not None and not _counts(row):
        if column is None or _counts(column) or not _named_column(table) or smooth != "columns":
            return _Reading("rows", True, "axis in the first row")
        return _Reading("columns", True, "axis in the first column, along which values change least")
    if column is not None and (_named_column(table) or not _counts(column)):
        if smooth == "rows" and table.names and not _named_column(table):
            return _Reading("rows", False, "values change least along them")
        return _Reading("columns", True, "axis in the first column")
    if smooth is None:
        return _Reading("rows", row is not None, "taken so; orientation='columns' if not")
    found = row if smooth == "rows" else column
    return _Reading(smooth, found is not None, "values change least along them")


def _refuse_near_axis(table: Table, want: Want, source: str) -> None:
    """Refuse a first row or column that is no axis only because values repeat."""
    if want.orientation != "columns" and not table.names:
        others = table.values[1:]
        refuse_repeats(table.values[0], others[:: 1 + len(others) // _SOME], "first row", source)
    if want.orientation != "rows" and not table.labels:
        others = table.values[:, 1:].T
        refuse_repeats(table.values[:, 0], others[:: 1 + len(others) // _SOME], "first column", source)


def _row(table: Table) -> NDArray | None:
    """The first row, if it can be an axis."""
    if table.axis_row is not None:
        return table.axis_row
    if table.names or len(table.values) < 2:
        return None
    start = 1 if np.isnan(table.values[0, 0]) or _counts(table.values[1:, 0]) else 0
    return table.values[0] if _stands_out(table.values[0, start:], table.values[1:, start:]) else None


def _column(table: Table) -> NDArray | None:
    """The first column, if it can be an axis."""
    values = table.values
    if values.shape[1] < 2 or len(table.corner) > 1 or table.labels:
        return None
    if table.corner or _named_column(table):
        return values[:, 0] if monotonic(values[:, 0]) else None
    start = 0 if table.names else int(_counts(values[0, 1:]))
    return values[:, 0] if _stands_out(values[start:, 0], values[start:, 1:].T) else None


def _named_column(table: Table) -> bool:
    """Whether the first column is called what axes are called."""
    names = table.corner or table.names
    return bool(names) and axis_like(names[0])


def _stands_out(line: NDArray, others: NDArray) -> bool:
    """Whether a line only rises or falls (evenly), as at least half of the others do not."""
    if len(line) < 3 or not monotonic(line):
        return False
    even = _even(line)
    alike = [monotonic(other) and (_even(other) or not even) for other in others[:: 1 + len(others) // _SOME]]
    return (even or len(line) > 5) and 2 * sum(alike) < max(1, len(alike))


def _even(line: NDArray) -> bool:
    steps = np.diff(line)
    return bool(np.allclose(steps, steps.mean(), rtol=0.05, atol=0))


def _counts(line: NDArray) -> bool:
    """Whether numbers just count, from 0 or 1."""
    return len(line) > 1 and line[0] in (0, 1) and bool(np.all(np.diff(line) == 1))


def _smooth_direction(values: NDArray) -> Literal["rows", "columns"] | None:
    """The direction along which the values clearly change less from cell to cell."""
    if min(values.shape) < 2:
        return None
    with np.errstate(all="ignore"):
        power = [float(np.nanmean(np.diff(np.nan_to_num(values), axis=axis) ** 2)) for axis in (1, 0)]
    if power[0] * _SMOOTHER < power[1]:
        return "rows"
    return "columns" if power[1] * _SMOOTHER < power[0] else None


def _by_rows(table: Table, reading: _Reading, notes: list[str]) -> Signals:
    """Each row a signal; leading columns are coordinates of the signals."""
    lead, values, axis = len(table.corner), table.values, table.axis_row
    if axis is None and reading.has_axis:
        axis, values = values[0], values[1:]
    if axis is None or table.axis_row is None:
        lead = int(_is_index(table, values))
        axis = None if axis is None else axis[lead:]
    columns, values = values[:, :lead], values[:, lead:]
    if lead == 2 and (shape := _grid(columns)) is not None:
        notes.append(f"map of {shape[0]} x {shape[1]} (first two columns)")
        return _map(table, columns, values, axis, shape)
    coords = dict(_coordinates(table, columns, notes))
    if table.labels:
        coords["signal"] = ("signal", list(table.labels))
    return Signals(values, axis, *_corner_heading(table, axis), dims=("signal",), coords=coords)


def _is_index(table: Table, values: NDArray) -> bool:
    """Whether the first column only numbers the rows."""
    called_axis = table.names and _named_column(table)
    return values.shape[1] > 2 and len(values) > 2 and not called_axis and _counts(values[:, 0])


def _coordinates(table: Table, columns: NDArray, notes: list[str]) -> list[tuple[str, Any]]:
    """Leading columns that do more than number the rows."""
    found: list[tuple[str, Any]] = []
    for i, column in enumerate(columns.T):
        if _counts(column):
            notes.append("first column numbers the signals")
            continue
        name, units = split_units((table.corner or table.names or ("",) * (i + 1))[i])
        found.append((name or f"column {i + 1}", ("signal", column, {"units": units})))
    return found


def _corner_heading(table: Table, axis: NDArray | None) -> tuple[str, str]:
    """Name and units of an axis row, if the word left of it is that of an axis."""
    called = [word for word in table.corner if axis_like(word)]
    return split_units(called[-1]) if axis is not None and len(called) == 1 else ("", "")


def _grid(columns: NDArray) -> tuple[int, int] | None:
    """Rows and columns of a map that two columns of coordinates run through line by line."""
    slow, fast = np.unique(columns[:, 0]), np.unique(columns[:, 1])
    if min(len(slow), len(fast)) < 2 or len(slow) * len(fast) != len(columns):
        return None
    lines = columns.reshape(len(slow), len(fast), 2)
    whole = np.all(lines[:, :, 0] == lines[:, :1, 0]) and np.all(lines[:, :, 1] == lines[:1, :, 1])
    return (len(slow), len(fast)) if whole else None


def _map(
    table: Table, columns: NDArray, values: NDArray, axis: NDArray | None, shape: tuple[int, int]
) -> Signals:
    """Signals at the nodes of a map; the slower coordinate comes first."""
    headings = [split_units(word) for word in table.corner]
    dims = tuple(name or other for (name, _), other in zip(headings, ("y", "x"), strict=True))
    if dims[0] == dims[1]:
        dims = ("y", "x")
    lines = columns.reshape(*shape, 2)
    coords = {
        dims[0]: (dims[0], lines[:, 0, 0], {"units": headings[0][1]}),
        dims[1]: (dims[1], lines[0, :, 1], {"units": headings[1][1]}),
    }
    return Signals(values.reshape(*shape, -1), axis, dims=dims, coords=coords)


def _by_columns(table: Table, reading: _Reading, notes: list[str]) -> Signals:
    """Each column a signal; names above them are kept."""
    values, above, names = table.values, table.axis_row, table.names[1:]
    if above is None and not table.names and values.shape[1] > 2 and _counts(values[0, 1:]):
        above, values = values[0, 1:], values[1:]
        notes.append("first row numbers the signals")
    if not reading.has_axis:
        return Signals(values.T, dims=("signal",), coords=_named_signals(table.names))
    coords = _named_signals(names)
    if above is not None and not _counts(above):
        coords["heading"] = ("signal", above)
    name, units = split_units((table.corner or table.names or ("",))[0])
    return Signals(values[:, 1:].T, values[:, 0], name, units, ("signal",), coords)


def _named_signals(names: tuple[str, ...]) -> dict[str, Any]:
    return {"signal": ("signal", list(names))} if names else {}


def _axis_first(table: Table, name: str, source: str) -> Table:
    """The same table with the column of a name in front."""
    found = [i for i, heading in enumerate(table.names) if name in (heading, split_units(heading)[0])]
    if len(found) != 1:
        known = f"one of {', '.join(map(repr, table.names))}, " if table.names else ""
        raise ShapeshiftError(
            f"{source}: got axis={name!r}, needed {known}'row', 'column' or 'none': say where the axis is"
        )
    order = [found[0], *(i for i in range(table.values.shape[1]) if i != found[0])]
    return table._replace(values=table.values[:, order], names=tuple(table.names[i] for i in order))
