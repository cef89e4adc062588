"""What is known of every signal besides the signal: a label, or numbers such as temperature and field.

Labels become one column each, 1 for the signal's own and 0 elsewhere; numbers are brought to mean 0 and sd 1,
so that a network meets what it was made for, whatever their units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapeshift.errors import ShapeshiftError

MOST = 64  # different labels


@dataclass(frozen=True)
class Condition:
    """How a condition is told in numbers.

    Attributes
    ----------
    names : tuple of str
        Of the columns: the labels' in their order, or the numbers'.
    levels : tuple
        The labels as they were given; () for numbers.
    centre, spread : tuple of float
        Mean and standard deviation of numbers; () for labels.

    Examples
    --------
    >>> phase = Condition.of(["solid", "liquid", "solid"], 3)
    >>> phase.names, phase.encode("solid", 2).tolist()
    (('liquid', 'solid'), [[0.0, 1.0], [0.0, 1.0]])
    >>> heat = Condition.of([300.0, 310.0, 320.0], 3)
    >>> heat.encode(310.0, 1).tolist()
    [[0.0]]
    """

    names: tuple[str, ...]
    levels: tuple[Any, ...] = ()
    centre: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    @property
    def kinds(self) -> bool:
        """Whether the condition is one of few labels."""
        return bool(self.levels)

    @property
    def size(self) -> int:
        """Columns c of the encoded condition."""
        return len(self.names)

    @classmethod
    def of(cls, values: Any, n: int) -> Condition:
        """The condition of n signals, from what is known of them.

        Parameters
        ----------
        values : array (n,) of str, bool or int; or array (n,) or (n, c) of float
            Text, truth values and whole numbers are labels, as are rows of zeros with a single one; other
            numbers are numbers. A DataArray or a table names its columns.
        n : int
            Number of signals.

        Returns
        -------
        Condition

        Raises
        ------
        ShapeshiftError
            A wrong length, a value that is missing, a condition that is the same for all signals, or more
            than 64 labels.
        """
        array = _table(values, n)
        if _are_labels(array):
            return cls._of_labels(array[:, 0])
        numbers = _finite(array)
        if _one_hot(numbers):
            return cls._of_labels(numbers.argmax(1))
        names = _names(values, numbers.shape[1])
        spread = numbers.std(0)
        for name, sd in zip(names, spread, strict=True):
            if not sd > 0:
                raise ShapeshiftError(
                    f"got {name} the same for all signals, needed it to vary: leave it out."
                )
        return cls(names, (), tuple(numbers.mean(0).tolist()), tuple(spread.tolist()))

    @classmethod
    def _of_labels(cls, column: np.ndarray) -> Condition:
        levels = tuple(np.unique(_present(column)).tolist())
        if len(levels) > MOST:
            raise ShapeshiftError(
                f"got {len(levels)} different labels, needed at most {MOST}: give numbers as floats."
            )
        if len(levels) < 2:
            raise ShapeshiftError(
                f"got the label {levels[0]!r} for all signals, needed at least 2: leave the condition out."
            )
        return cls(tuple(str(level) for level in levels), levels)

    def encode(self, values: Any, n: int) -> np.ndarray:
        """The condition of n signals in numbers, (n, c) float32.

        Parameters
        ----------
        values : as in :meth:`of`, or one value for all signals
        n : int

        Raises
        ------
        ShapeshiftError
            A label that is not known, a wrong number of signals or columns, or a value that is missing.
        """
        if values is None:
            raise ShapeshiftError(
                f"got no condition, needed {self.told}: the model was fitted with one, pass condition=..."
            )
        array = _table(self._for_all(values, n), n)
        if not self.kinds:
            numbers = _finite(array)
            if numbers.shape[1] != self.size:
                raise ShapeshiftError(f"got {numbers.shape[1]} numbers a signal, needed {self.told}.")
            return ((numbers - self.centre) / np.array(self.spread)).astype(np.float32)
        if array.shape[1] == self.size and self.size > 1 and _one_hot(_as_numbers(array)):
            return array.astype(np.float32)
        if array.shape[1] != 1:
            raise ShapeshiftError(f"got {array.shape[1]} columns, needed one label a signal, {self.told}.")
        return self._columns(_present(array[:, 0]))

    def _columns(self, column: np.ndarray) -> np.ndarray:
        place = {level: k for k, level in enumerate(self.levels)}
        unknown = next((v for v in column.tolist() if v not in place), None)
        if unknown is not None:
            raise ShapeshiftError(f"got the label {unknown!r}, needed {self.told}.")
        return np.eye(self.size, dtype=np.float32)[[place[v] for v in column.tolist()]]

    def _for_all(self, values: Any, n: int) -> Any:
        """One value, or one row of c numbers, repeated for all n signals."""
        shape = np.shape(values)
        one = not shape or (shape == (self.size,) and self.size > 1 and n != self.size)
        return np.broadcast_to(np.asarray(values), (n, *shape)) if one else values

    @property
    def told(self) -> str:
        """What is needed, for a reader."""
        if self.kinds:
            return "one of " + ", ".join(repr(level) for level in self.levels)
        return f"{self.size} ({', '.join(self.names)})"

    def as_dict(self) -> dict[str, Any]:
        """As a text file can hold it."""
        return {"names": list(self.names), "levels": list(self.levels), "centre": list(self.centre)} | {
            "spread": list(self.spread)
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Condition:
        """The inverse of :meth:`as_dict`."""
        return cls(*(tuple(told[k]) for k in ("names", "levels", "centre", "spread")))


def _table(values: Any, n: int) -> np.ndarray:
    """Values (n, c), of one row a signal."""
    array = np.asarray(values)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != n or not array.shape[1]:
        raise ShapeshiftError(
            f"got a condition of shape {np.shape(values)}, needed ({n},) or ({n}, columns): one row a signal."
        )
    return array


def _are_labels(array: np.ndarray) -> bool:
    """Whether one column holds text, truth values, whole numbers or objects that are no numbers."""
    if array.shape[1] != 1:
        return False
    return array.dtype.kind in "USbiu" or (
        array.dtype.kind == "O" and not all(isinstance(v, float) for v in array[:, 0])
    )


def _as_numbers(array: np.ndarray) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeshiftError(
            f"got a condition of {array.shape[1]} columns that are not all numbers ({error}), needed one "
            "column of labels, or numbers."
        ) from error


def _finite(array: np.ndarray) -> np.ndarray:
    numbers = _as_numbers(array)
    missing = int((~np.isfinite(numbers)).any(1).sum())
    if missing:
        raise ShapeshiftError(
            f"got a condition that is missing (nan or infinite) for {missing} signals, needed it for all: "
            "leave these signals out."
        )
    return numbers


def _present(column: np.ndarray) -> np.ndarray:
    """A column of labels, none of which is missing."""
    if column.dtype.kind == "f":
        _finite(column[:, None])
    missing = sum(v is None or v != v for v in column.tolist())
    if missing:
        raise ShapeshiftError(
            f"got no label for {missing} signals, needed one for all: leave these signals out."
        )
    return column


def _one_hot(numbers: np.ndarray) -> bool:
    """Whether rows are zeros with a single one."""
    whole = numbers.shape[1] > 1 and bool(((numbers == 0) | (numbers == 1)).all())
    return whole and bool((numbers.sum(1) == 1).all())


def _names(values: Any, size: int) -> tuple[str, ...]:
    """Names of the columns, where what was given has any."""
    if hasattr(values, "columns"):
        return tuple(str(name) for name in values.columns)
    name = str(getattr(values, "name", None) or "condition")
    return (name,) if size == 1 else tuple(f"{name} {k + 1}" for k in range(size))
