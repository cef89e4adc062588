"""Signals as a text table that comes back exactly: a row each, and a first line that says what is what."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from shapeshift.data.metadata import clean, measured, unpacked
from shapeshift.data.naming import word
from shapeshift.errors import ShapeshiftError

MARK = "# shapeshift: "
_KEPT = ("units", "since")


def write(X: xr.DataArray, file: Any) -> None:
    """Write signals (..., length) as text: where each was measured, then its samples.

    Parameters
    ----------
    X : xarray.DataArray
    file : text file, open for writing with ``newline=""``
    """
    *places, axis = (str(dim) for dim in X.dims)
    rows = int(np.prod(X.shape[:-1]))
    columns = {str(n): _spread(c, X).ravel() for n, c in X.coords.items() if set(c.dims) <= set(places)}
    numbered = {n: c.astype(float) if c.dtype.kind in "iuf" else c for n, c in columns.items()} or {
        "signal": np.arange(rows)
    }
    told: dict[str, Any] = {
        "dims": [*places, axis],
        "shape": list(X.shape),
        "dtype": X.dtype.name,
        "axis": _words(X.coords[axis].attrs) if axis in X.coords else None,
        "coords": {n: {"dims": list(X.coords[n].dims), **_words(X.coords[n].attrs)} for n in columns},
        **measured(X.attrs),
        "metadata": unpacked(X.attrs),
    }
    along = X[axis].values
    file.write(MARK + json.dumps(told) + "\n")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(_heading(n, told["coords"].get(n, {})) for n in numbered), *map(_cell, along)])
    samples = X.values.reshape(rows, -1)
    for k in range(rows):
        writer.writerow([*(_cell(column[k]) for column in numbered.values()), *map(_cell, samples[k])])


def read(text: str, source: str) -> xr.DataArray:
    """What :func:`write` wrote.

    Raises
    ------
    ShapeshiftError
        If the table is not what its first line tells.
    """
    first, _, body = text.partition("\n")
    try:
        told = json.loads(first.removeprefix(MARK))
        return _read(told, list(csv.reader(io.StringIO(body))))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, csv.Error) as error:
        raise ShapeshiftError(
            f"{source}: got a table that is not what its first line tells ({clean(error, 100)}), needed it "
            "as it was written: correct it, or delete the first line to have it read as any other table"
        ) from error


def _read(told: dict[str, Any], lines: list[list[str]]) -> xr.DataArray:
    dims, shape = [word(d) for d in told["dims"]], [int(n) for n in told["shape"]]
    if len({*dims}) != len(shape):
        raise ValueError(f"{len({*dims})} names for {len(shape)} dimensions")
    names = [str(n) for n in told["coords"]]
    lead = max(len(names), 1)
    rows = [line for line in lines[1:] if line]
    if len(rows) != np.prod(shape[:-1]) or any(len(row) != lead + shape[-1] for row in (lines[0], *rows)):
        raise ValueError(f"{len(rows)} rows of {len(lines[0])} cells")
    values = np.array([[float(cell) for cell in row[lead:]] for row in rows]).reshape(shape)
    values = values.astype(np.float32) if told.get("dtype") == "float32" else values
    attrs = {**measured(told), "metadata": json.dumps(told.get("metadata"))}
    X = xr.DataArray(values, dims=dims, attrs=attrs)
    if told.get("axis") is not None:
        along = np.array(lines[0][lead:], dtype=float)
        X = X.assign_coords({dims[-1]: (dims[-1], along, _words(told["axis"]))})
    for k, name in enumerate(names):
        own = [str(d) for d in told["coords"][name]["dims"]]
        grid = _numbers([row[k] for row in rows]).reshape(shape[:-1])
        at = tuple(slice(None) if d in own else 0 for d in dims[:-1])
        X = X.assign_coords({word(name): (own, grid[at], _words(told["coords"][name]))})
    return X


def _spread(coordinate: xr.DataArray, X: xr.DataArray) -> np.ndarray:
    """A coordinate's values at every signal."""
    like = X.isel({X.dims[-1]: 0}, drop=True)
    return coordinate.variable.set_dims(dict(like.sizes)).transpose(*like.dims).values


def _words(attrs: Any) -> dict[str, str]:
    return {key: clean(attrs[key], 80) for key in _KEPT if attrs.get(key)} | (
        {} if attrs.get("units") else {"units": ""}
    )


def _heading(name: str, told: dict[str, Any]) -> str:
    return f"{name} ({told['units']})" if told.get("units") else name


def _cell(value: Any) -> str:
    """A value as text that reads back as the same."""
    return str(value)


def _numbers(cells: Sequence[str]) -> np.ndarray:
    """Cells as numbers, or as the text that they are."""
    try:
        return np.array(cells, dtype=float)
    except ValueError:
        return np.array(cells)
