"""The border for pairs: an x and its y, each a spectrum or an image, become rows of numbers and come back.

Neither side needs a uniform axis, for nothing moves along it; coordinates are kept to be given back.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from shapeshift.data.coordinates import _numeric, _some
from shapeshift.errors import ShapeshiftError

Shape = tuple[int, ...]
Coordinate = tuple[tuple[Hashable, ...], np.ndarray, dict[str, Any]]  # dims, values, attributes


@dataclass(frozen=True)
class Side:
    """How one x, or one y, is laid out.

    Attributes
    ----------
    shape : tuple of int
        (P,) of a spectrum, (h, w) of an image, () of a number.
    given : tuple of int
        The same as it comes: (h*w,) of a flattened image.
    dims : tuple of str, optional
        Names of these dimensions; None for plain arrays.
    coords : mapping
        Coordinates along them.
    leading : str
        Name of the dimension that counts the pairs.
    name, attrs
        Of the DataArray.
    """

    shape: Shape
    given: Shape
    dims: tuple[Hashable, ...] | None = None
    coords: Mapping[Hashable, Coordinate] = field(default_factory=dict)
    leading: str = "pair"
    name: str | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Numbers of one x or y."""
        return prod(self.shape)

    @property
    def told(self) -> str:
        """The shape in words."""
        names = {0: "a number", 1: f"a spectrum of {self.size} samples"}
        return names.get(len(self.shape)) or f"an image of {self.shape[0]} x {self.shape[1]} pixels"


class Pairs(NamedTuple):
    """x (n, P) and y (n, Q), and how the two are laid out."""

    x: np.ndarray
    y: np.ndarray
    x_side: Side
    y_side: Side


def is_named(X: Any) -> bool:
    """Whether X is a DataArray."""
    return hasattr(X, "dims") and hasattr(X, "coords")


def as_pairs(X: Any, Y: Any, x_shape: Shape | None = None, y_shape: Shape | None = None) -> Pairs:
    """Check both sides of pairs and put each in rows.

    Parameters
    ----------
    X, Y : array (n, P), (n, h, w), (n, h*w) with a shape; Y also (n,); or DataArray (..., P) or (..., h, w)
        Of DataArrays the dimensions that both share at the front count the pairs. Where only one is a
        DataArray, as many dimensions count them as the other has pairs. Where X and Y have all dimensions
        in common, three or more, they are taken for images.
    x_shape, y_shape : tuple of int, optional
        (h, w) of images, flattened or not; (P,) of spectra; () of numbers.

    Raises
    ------
    ShapeshiftError
        Not numeric, NaN or inf, no pairs, or not as many x as y.

    Examples
    --------
    >>> import numpy as np
    >>> pairs = as_pairs(np.zeros((5, 8, 6)), np.zeros((5, 20)))
    >>> pairs.x.shape, pairs.x_side.told
    ((5, 48), 'an image of 8 x 6 pixels')
    """
    if Y is None:
        raise ShapeshiftError(
            "VED requires y to be passed, but the target y is None: give both sides of the pairs, fit(X, Y)."
        )
    sides = [_Given(X, _numbers(X), x_shape, "X"), _Given(Y, _numbers(Y), y_shape, "Y")]
    (x, x_side), (y, y_side) = (_laid_out(own, other) for own, other in (sides, sides[::-1]))
    if len(x) != len(y):
        raise ShapeshiftError(
            f"Found input variables with inconsistent numbers of samples: [{len(x)}, {len(y)}], needed one y "
            "an x: X and Y must come in the same order and number."
        )
    return Pairs(x, y, x_side, y_side)


def rows_of(X: Any, side: Side, who: str, name: str = "X") -> np.ndarray:
    """Numbers (n, P) of measurements laid out as a model was fitted to them.

    Raises
    ------
    ShapeshiftError
        Another shape, other coordinates, NaN or inf.
    """
    values = _numbers(X)
    inner = _form(X, values.shape, side)
    if inner is None and values.ndim < 2:
        raise ShapeshiftError(
            f"Expected 2D array, got an array of shape {values.shape}. Reshape your data: one measurement a "
            f"row, {name}.reshape(1, -1) for a single one."
        )
    if inner is None:
        got = values.shape[-1] if values.ndim == 2 else " x ".join(map(str, values.shape[1:]))
        raise ShapeshiftError(
            f"{name} has {got} features, but {who} is expecting {side.size} features as input: it was fitted "
            f"to {side.told} each; crop or resample to that."
        )
    if is_named(X):
        _refuse_other_coordinates(X, side, len(inner), name)
    values = values.reshape(-1, side.size)
    _refuse_gaps(values, name)
    return values


def in_kind(values: np.ndarray, side: Side, X: Any, x_side: Side) -> Any:
    """Rows (n, Q) laid out as the Y of the fit was, on the map of the X they belong to."""
    if side.dims is None:
        return values.reshape(-1, *side.given)
    import xarray as xr

    leading, shape, coords = (side.leading,), (len(values),), {}
    if is_named(X):
        n = X.ndim - len(_form(X, X.shape, x_side) or ())
        leading, shape = X.dims[:n], X.shape[:n]
        coords = {k: v for k, v in X.coords.items() if set(v.dims) <= set(leading)}
    for k, (dims, along, attrs) in side.coords.items():
        coords[k] = xr.Variable(dims, along, attrs)
    return xr.DataArray(
        values.reshape(*shape, *side.given),
        coords,
        (*leading, *side.dims),
        name=side.name,
        attrs=dict(side.attrs),
    )


class _Given(NamedTuple):
    data: Any
    values: np.ndarray
    shape: Shape | None
    name: str

    @property
    def dims(self) -> tuple[Hashable, ...]:
        return self.data.dims if is_named(self.data) else ()


def _numbers(X: Any) -> np.ndarray:
    return _numeric(X.values if is_named(X) else X)


def _laid_out(own: _Given, other: _Given) -> tuple[np.ndarray, Side]:
    """Rows of one side of the pairs, and its layout."""
    values, n = own.values, _inner(own, other)
    given = values.shape[values.ndim - n :]
    shape = given if own.shape is None else tuple(own.shape)
    if len(shape) > 2 or not all(shape):
        raise ShapeshiftError(
            f"got {own.name} of shape {values.shape}, needed spectra (n, samples) or images (n, rows, "
            f"columns): reshape {own.name}, or say {own.name.lower()}_shape=(rows, columns)."
        )
    rows = values.reshape(-1, prod(shape))
    _refuse_gaps(rows, own.name)
    if not is_named(own.data):
        return rows, Side(shape, given)
    data, dims, leading = own.data, own.dims[values.ndim - n :], own.dims[: values.ndim - n]
    coords = {
        k: (v.dims, v.values, dict(v.attrs)) for k, v in data.coords.items() if set(v.dims) <= set(dims)
    }
    name = str(leading[0]) if len(leading) == 1 else "pair"
    return rows, Side(shape, given, dims, coords, name, data.name, dict(data.attrs))


def _inner(own: _Given, other: _Given) -> int:
    """How many trailing dimensions one x or y takes."""
    values, name = own.values, own.name
    if values.ndim < (2 if name == "X" else 1):
        raise ShapeshiftError(
            f"Expected 2D array of {name} (n, samples), got an array of shape {values.shape}. "
            f"Reshape your data: one measurement a row, {name}.reshape(1, -1) for a single one."
        )
    if not values.size:
        raise ShapeshiftError(
            f"Found array with {values.shape[0]} sample(s) and {values.shape[-1]} feature(s) "
            f"(shape={values.shape}) while a minimum of 1 is required: {name} is empty."
        )
    if own.shape is not None:
        return _inner_of_shape(own)
    if not is_named(own.data):
        return values.ndim - 1
    if is_named(other.data) and other.shape is not None:
        return values.ndim - (other.values.ndim - _inner_of_shape(other))
    if is_named(other.data):
        return _inner_of_names(own.dims, other.dims)
    n = len(other.values)
    fits = [k for k in (1, 2) if values.ndim > k and prod(values.shape[: values.ndim - k]) == n]
    return fits[0] if fits else 1


def _inner_of_names(own: tuple[Hashable, ...], other: tuple[Hashable, ...]) -> int:
    """Trailing dimensions of one side that are not shared at the front."""
    if own == other and len(own) > 2:
        return 2
    shared = 0
    while shared < min(len(own), len(other)) and own[shared] == other[shared]:
        shared += 1
    most = min(len(d) - (len(d) > 1) for d in (own, other))
    return len(own) - max(1, min(shared, most))


def _inner_of_shape(own: _Given) -> int:
    shape, values = tuple(own.shape or ()), own.values
    for given in (shape, (prod(shape),) if shape else ()):
        if values.ndim > len(given) and values.shape[values.ndim - len(given) :] == given:
            return len(given)
    raise ShapeshiftError(
        f"got {own.name} of shape {values.shape}, needed one that ends in {own.name.lower()}_shape="
        f"{shape}, or in its {prod(shape)} numbers flattened: set {own.name.lower()}_shape to fit {own.name}."
    )


def _form(X: Any, shape: Shape, side: Side) -> Shape | None:
    """Which form of a side measurements of some shape have: as in the fit, or flattened, or not so."""
    for form in (side.given, side.shape, (side.size,)):
        before = len(shape) - len(form)
        counted = before >= 0 if is_named(X) else before == 1
        if counted and shape[before:] == form:
            return form
    return None


def _refuse_other_coordinates(X: Any, side: Side, inner: int, name: str) -> None:
    for dim in X.dims[X.ndim - inner :]:
        known = side.coords.get(dim)
        if known is None or dim not in X.coords or known[1].dtype.kind not in "iuf":
            continue
        needed, got = known[1], X.coords[dim].values
        step = np.abs(np.diff(needed)).min() if len(needed) > 1 else 1.0
        if not np.allclose(got, needed, rtol=0, atol=0.02 * step):
            raise ShapeshiftError(
                f"got {name} with {dim!r} from {got[0]:.6g} to {got[-1]:.6g}, needed the model's, from "
                f"{needed[0]:.6g} to {needed[-1]:.6g}: resample {name} to it, or fit a model to it."
            )


def _refuse_gaps(rows: np.ndarray, name: str) -> None:
    bad = ~np.isfinite(rows).all(1)
    if bad.any():
        raise ShapeshiftError(
            f"Input {name} contains NaN or infinity in {int(bad.sum())} of {len(rows)} measurements (rows "
            f"{_some(np.nonzero(bad)[0])}), needed finite numbers: drop those pairs, or fill them in."
        )
