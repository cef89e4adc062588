"""The border for images: whatever is handed in becomes a checked stack of images on a square raster.

This is the only place where pixels, axis units and the canonical units of images (half the longer side)
convert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.coordinates import Axis, _numeric, _some
from shapeshift.data.kin import in_kind
from shapeshift.errors import ShapeshiftError, printable

if TYPE_CHECKING:
    import xarray as xr

SQUARE = 0.01  # steps of the two axes may differ by this share
MOST_CHANNELS = 4
TINY = 64  # pixels below which flattened images that are no square are taken as the squarest rectangle


@dataclass(frozen=True)
class Raster:
    """Rows and columns of square pixels, and how many channels."""

    rows: Axis
    columns: Axis
    channels: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return self.channels, len(self.rows.values), len(self.columns.values)

    @property
    def step(self) -> float:
        """Distance of two pixels, in axis units."""
        return abs(max(self.rows, self.columns, key=lambda axis: len(axis.values)).step)

    @property
    def signs(self) -> tuple[float, float]:
        """Which way the two axes count: -1 where values fall from row to row, or column to column."""
        down, across = (axis.values[-1] - axis.values[0] for axis in (self.rows, self.columns))
        return (-1.0 if down < 0 else 1.0), (-1.0 if across < 0 else 1.0)

    @property
    def half(self) -> float:
        """One canonical unit, in axis units: half the longer side."""
        return self.step * (max(self.shape[1:]) - 1) / 2

    @property
    def size(self) -> int:
        """Numbers of an image."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class ImageStack:
    """Checked images (n, channels rows columns) on a raster, and how to give results back in kind."""

    values: np.ndarray
    raster: Raster
    given: Any = None  # what came in as a DataArray, or None for plain arrays
    form: str = "plane"  # of plain arrays: "flat" (n, h*w), "plane" (n, h, w), "last" (n, h, w, c), "first"
    notes: tuple[str, ...] = ()
    back: Callable[[xr.DataArray], Any] | None = None  # to the kind that came in

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """Coordinates of the rows and of the columns."""
        return self.raster.rows.values, self.raster.columns.values

    @property
    def inner(self) -> int:
        """Trailing dimensions of the DataArray that an image takes."""
        if self.form == "flat":
            return 1
        return 2 if self.raster.channels == 1 else 3

    def per_signal(self, array: np.ndarray, name: str, units: str = "") -> xr.DataArray:
        """A value per image as a DataArray with the map dimensions restored."""
        import xarray as xr

        if self.given is None:
            return xr.DataArray(array, dims="signal", name=name, attrs={"units": units})
        dims = self.given.dims[: -self.inner] or ("signal",)
        coords = {k: v for k, v in self.given.coords.items() if set(v.dims) <= set(dims)}
        shape = self.given.shape[: -self.inner] or (len(array),)
        return xr.DataArray(array.reshape(shape), dims=dims, coords=coords, name=name, attrs={"units": units})

    def like_given(self, images: np.ndarray) -> Any:
        """Images (n, channels rows columns) back in the kind, and on the map, they came in."""
        channels, rows, columns = self.raster.shape
        planes = images.reshape(-1, channels, rows, columns)
        if self.given is not None:
            out = self.given.copy(data=planes.reshape(self.given.shape)).astype(images.dtype)
            return out if self.back is None else self.back(out)
        if self.form == "flat":
            return images
        if self.form == "last":
            return planes.transpose(0, 2, 3, 1)
        return planes if self.form == "first" else planes[:, 0]


def as_images(X: Any, image_shape: tuple[int, ...] | None = None) -> ImageStack:
    """Check images and put them in one order.

    Parameters
    ----------
    X : array (n, h, w); (n, h, w, c) or (n, c, h, w) of 2 to 4 channels; (n, h*w) with ``image_shape``; or
        xarray.DataArray (..., h, w), with a dimension called "channel" before these two for several
        channels; or what :func:`shapeshift.data.kin.in_kind` takes for one
    image_shape : (h, w) or (c, h, w), optional
        Of flattened images.

    Raises
    ------
    ShapeshiftError
        Not numeric, not images, not square pixels, NaN or inf, or of another shape than said.
    """
    kin = in_kind(X, inner=2)
    values = _numeric(X if kin is None else kin.array.values)
    if values.size == 0:
        raise ShapeshiftError(
            f"Found array with {values.shape[0]} sample(s) and {values.shape[-1]} feature(s) "
            f"(shape={values.shape}) while a minimum of 1 is required: the data are empty."
        )
    if kin is not None and not kin.is_frame:
        return replace(_named(kin.array, values), back=kin.back)
    form, planes = _plain(values, image_shape)
    _refuse_gaps(planes)
    channels, rows, columns = planes.shape[1:]
    raster = Raster(_pixels(rows, "row"), _pixels(columns, "column"), channels)
    given, back = (None, None) if kin is None else (kin.array, kin.back)
    flat = np.ascontiguousarray(planes.reshape(len(planes), -1))
    return ImageStack(flat, raster, given, form, back=back)


def _plain(values: np.ndarray, image_shape: tuple[int, ...] | None) -> tuple[str, np.ndarray]:
    """How a plain array holds images, and the images (n, channels, rows, columns)."""
    if values.ndim == 2:
        return "flat", _unflattened(values, image_shape)
    if values.ndim == 3:
        return "plane", values[:, None]
    if values.ndim == 4 and values.shape[3] <= MOST_CHANNELS:
        return "last", values.transpose(0, 3, 1, 2)
    if values.ndim == 4 and values.shape[1] <= MOST_CHANNELS:
        return "first", values
    raise ShapeshiftError(
        f"Expected 2D array of flattened images, or images (n, h, w) of up to {MOST_CHANNELS} channels, got "
        f"an array of shape {values.shape}. Reshape your data: X.reshape(1, h, w) for a single image."
    )


def _unflattened(values: np.ndarray, image_shape: tuple[int, ...] | None) -> np.ndarray:
    if image_shape is None:
        size = values.shape[1]
        rows = max(k for k in range(1, int(size**0.5) + 1) if size % k == 0)
        if rows * rows != size and size > TINY:
            raise ShapeshiftError(
                f"got flattened images of {size} pixels, which is no square, needed their shape: "
                "set image_shape=(h, w) (--image-shape h,w)."
            )
        image_shape = (rows, size // rows)
    shape = tuple(image_shape) if len(image_shape) == 3 else (1, *image_shape)
    if int(np.prod(shape)) != values.shape[1]:
        raise ShapeshiftError(
            f"got images of {values.shape[1]} pixels, needed {' x '.join(map(str, image_shape))} = "
            f"{int(np.prod(shape))} as image_shape says: set image_shape to (h, w) of these images."
        )
    return values.reshape(len(values), *shape)


def _named(X: Any, values: np.ndarray) -> ImageStack:
    if X.ndim < 2:
        raise ShapeshiftError(f"got a DataArray of dimensions {X.dims}, needed (..., rows, columns).")
    channels = X.shape[-3] if coloured(X) else 1
    rows, columns = (_axis_of(X, dim) for dim in X.dims[-2:])
    if min(X.shape[-2:]) > 1 and abs(abs(rows.step) - abs(columns.step)) > SQUARE * abs(columns.step):
        raise ShapeshiftError(
            f"got pixels of {rows.step:.4g} {rows.units} x {columns.step:.4g} {columns.units}, needed square "
            "ones for angles to mean anything: resample the finer axis."
        )
    planes = values.reshape(-1, channels, *X.shape[-2:])
    _refuse_gaps(planes)
    flat = np.ascontiguousarray(planes.reshape(len(planes), -1))
    return ImageStack(flat, Raster(rows, columns, channels), X, "named")


def coloured(X: Any) -> bool:
    """Whether the images of a DataArray have channels."""
    return X.ndim > 2 and str(X.dims[-3]) in ("channel", "channels", "band", "c")


def _axis_of(X: Any, dim: Any) -> Axis:
    """The axis of one dimension of a DataArray, increasing or not; pixels where it has no coordinate."""
    if dim not in X.coords:
        return _pixels(X.sizes[dim], str(dim))
    coordinate = X.coords[dim]
    values, units = np.asarray(coordinate.values, dtype=float), str(coordinate.attrs.get("units", ""))
    steps = np.diff(values)
    if not np.isfinite(values).all() or (len(steps) and np.ptp(steps) > 1e-3 * abs(steps.mean())):
        raise ShapeshiftError(
            f"the axis {dim!r} of the images is not uniform: resample the images to equal steps."
        )
    return Axis(values, str(dim), units)


def _pixels(n: int, name: str) -> Axis:
    return Axis(np.arange(n, dtype=float), name, "pixel")


def _refuse_gaps(planes: np.ndarray) -> None:
    bad = ~np.isfinite(planes.reshape(len(planes), -1)).all(1)
    if bad.any():
        raise ShapeshiftError(
            f"Input X contains NaN or infinity in {int(bad.sum())} of {len(planes)} images (rows "
            f"{_some(np.nonzero(bad)[0])}), needed finite numbers: drop those images, or fill them in."
        )


def refuse_other_raster(got: Raster, needed: Raster, who: str) -> None:
    """Refuse images of another shape or pixel size than a model was fitted on."""
    if got.size != needed.size:
        raise ShapeshiftError(
            f"X has {got.size} features, but {who} is expecting {needed.size} features as input: it was "
            f"fitted on images of {needed.shape[1]} x {needed.shape[2]} pixels; crop or resample to that."
        )
    if got.shape != needed.shape:
        raise ShapeshiftError(
            f"got images of shape {got.shape[1:]}, needed {needed.shape[1:]} as in the fit: crop or resample."
        )
    same = got.columns.units == needed.columns.units
    if same and abs(got.step - needed.step) > SQUARE * needed.step:
        raise ShapeshiftError(
            f"got pixels of {got.step:.4g} {got.columns.units}, needed {needed.step:.4g} as in the fit: "
            "resample the images."
        )


def axis_told(axis: Axis) -> dict[str, Any]:
    """An axis as a text file holds it."""
    return {"values": axis.values.tolist(), "name": axis.name, "units": axis.units}


def axis_from(told: dict[str, Any]) -> Axis:
    """The inverse of :func:`axis_told`."""
    return Axis(np.array(told["values"], dtype=float), printable(told["name"]), printable(told["units"]))
