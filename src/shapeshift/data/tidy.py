"""What a file says of itself, in words that are safe to show: the last thing every reader's result passes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.errors import printable

_NAME, _TEXT, _DEEP, _MANY = 80, 2000, 6, 1000  # characters, characters, levels, members


def tidy(X: xr.DataArray) -> xr.DataArray:
    """The same numbers under names, units, labels and notes without control characters, none of them endless.

    Examples
    --------
    >>> X = xr.DataArray(np.zeros((2, 3)), dims=("signal", "energy\\x1b[2J"), attrs={"notes": "a\\nb"})
    >>> tidy(X).dims, tidy(X).attrs
    (('signal', 'energy�[2J'), {'notes': 'a b'})
    """
    names = _names([*X.dims, *X.coords])
    coords = {names[name]: _coordinate(c.variable, names) for name, c in X.coords.items()}
    dims = [names[dim] for dim in X.dims]
    called = None if X.name is None else printable(str(X.name), _NAME)
    return xr.DataArray(X.data, coords, dims, name=called, attrs=_told(X.attrs))


def _names(given: list[Hashable]) -> dict[Hashable, str]:
    """A name of its own for every dimension and coordinate."""
    out: dict[Hashable, str] = {}
    for name in dict.fromkeys(given):
        clean = plain = printable(str(name), _NAME).strip() or "axis"
        count = 1
        while clean in out.values():
            count += 1
            clean = f"{plain} {count}"
        out[name] = clean
    return out


def _coordinate(variable: xr.Variable, names: Mapping[Hashable, str]) -> tuple[Any, ...]:
    values = variable.values if variable.dtype.kind in "OUS" else variable.data
    return tuple(names[dim] for dim in variable.dims), _labels(values), _told(variable.attrs)


def _labels(values: NDArray) -> NDArray:
    """Labels of signals, where these are words."""
    if values.dtype.kind not in "OUS":
        return values
    words = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.ravel()]
    return np.array([printable(word, _NAME) for word in words], dtype=object).reshape(values.shape)


def _told(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {printable(str(name), _NAME): _value(value) for name, value in list(attrs.items())[:_MANY]}


def _value(value: Any, deep: int = 0) -> Any:
    """A value of the file's own notes: text is cut, numbers stay, nests stay as far as they are shallow."""
    if value is None or isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        return value
    if isinstance(value, bytes):
        return printable(value.decode("utf-8", "replace"), _TEXT)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and value.size <= _MANY:
        return value
    if deep < _DEEP and isinstance(value, Mapping):
        return {printable(str(k), _NAME): _value(v, deep + 1) for k, v in list(value.items())[:_MANY]}
    if deep < _DEEP and isinstance(value, (list, tuple)):
        return (
            type(value)(_value(v, deep + 1) for v in value[:_MANY])
            if type(value) in (list, tuple)
            else [_value(v, deep + 1) for v in value[:_MANY]]
        )
    return printable(str(value), _TEXT)
