"""Images from files: which dimensions of an array are an image's own, and what to call all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import Want, real
from shapeshift.data.images import MOST_CHANNELS, _unflattened
from shapeshift.errors import ShapeshiftError


class Side(NamedTuple):
    """An axis of images: "row" or "column", where its pixels lie, and in what units."""

    name: str
    values: NDArray
    units: str = ""


_OWN = ((-2, "row"), (-1, "column"))


def image_want(want: Want) -> Want:
    """What to ask of a reader of signals, so that images come through it whole.

    Raises
    ------
    ShapeshiftError
        If something is asked for that only signals have.
    """
    for name, value in (("axis", want.axis), ("orientation", want.orientation)):
        if value is not None:
            raise ShapeshiftError(
                f"got {name}={value!r} of images, needed none, as the last two dimensions are an image's "
                "own: leave it out"
            )
    return want._replace(axis="none", orientation="rows")


def images(
    values: NDArray, want: Want, sides: Sequence[Side] = (), *, source: str, reader: str, notes: Sequence[str]
) -> xr.DataArray:
    """The labelled array of images in a plain one.

    Parameters
    ----------
    values : ndarray
        (n, h, w); (n, h, w, c) or (n, c, h, w) of 2 to 4 channels; (y, x, h, w); or flattened, (n, h*w).
    want : Want
    sides : sequence of Side
        Axes that the file names, where they have the right lengths.
    source, reader : str
        For messages and `attrs`.
    notes : sequence of str
        What was found out so far.

    Raises
    ------
    ShapeshiftError
        If the numbers are not real, or no stack of images.
    """
    planes, dims, told = _arranged(real(values, source), want, source)
    _check(planes.shape, want, source)
    found = {s.name: s for s in sides if s.name in dims and len(s.values) == planes.shape[dims.index(s.name)]}
    if len(found) < 2:  # one alone has no pixels to be square with
        found = {
            n: Side(n, np.arange(float(planes.shape[k])), "pixel") for k, n in ((-2, "row"), (-1, "column"))
        }
    coords = {s.name: (s.name, s.values, {"units": s.units}) for s in found.values()}
    attrs = {"source": source, "reader": reader, "kind": "image", "notes": "; ".join([*notes, *told])}
    return xr.DataArray(planes, dims=dims, coords=coords, attrs=attrs)


def labelled(X: xr.DataArray, want: Want, source: str, reader: str, notes: Sequence[str]) -> xr.DataArray:
    """Images whose dimensions the file names: the last two, and a channel before them, are their own."""
    values = real(X.load().values, source)
    _check(values.shape, want, source)
    attrs = {"source": source, "reader": reader, "kind": "image", "notes": "; ".join(notes)}
    return xr.DataArray(values, dims=X.dims, coords=X.coords, name=X.name, attrs=attrs)


def _arranged(values: NDArray, want: Want, source: str) -> tuple[NDArray, tuple[str, ...], list[str]]:
    """Images with rows and columns last, the names of their dimensions, and what was found out."""
    shape, places = values.shape, ("signal", "row", "column")
    if values.ndim == 2 and not (want.single and want.image_shape is None and 1 not in shape):
        flat = _unflattened(values, want.image_shape)
        told = [f"images of {' x '.join(map(str, flat.shape[1:]))} pixels were flattened"]
        if flat.shape[1] == 1:
            return flat[:, 0], places, [told[0].replace("1 x ", "", 1)]
        return flat, ("signal", "channel", "row", "column"), told
    if values.ndim == 2:
        return values[None], places, []
    if values.ndim == 3:
        return values, places, []
    if values.ndim == 4 and shape[3] <= MOST_CHANNELS:
        return np.moveaxis(values, 3, 1), ("signal", "channel", "row", "column"), ["channels were last"]
    if values.ndim == 4 and shape[1] <= MOST_CHANNELS:
        return values, ("signal", "channel", "row", "column"), []
    if values.ndim == 4:
        return values, ("y", "x", "row", "column"), [f"map of {shape[0]} x {shape[1]} images"]
    raise ShapeshiftError(
        f"{source}: got an array of {values.ndim} dimensions ({_sizes(shape)}), needed images as (n, h, w), "
        "(n, h, w, c) or a map (rows, columns, h, w): reshape it or choose another array"
    )


def _check(shape: tuple[int, ...], want: Want, source: str) -> None:
    """Two images or more, of four pixels or more along each side."""
    if 0 in shape or len(shape) < 3:
        raise ShapeshiftError(
            f"{source}: got an array of shape ({_sizes(shape)}), needed images as (n, h, w): check the file"
        )
    if min(shape[-2:]) < 4:
        raise ShapeshiftError(
            f"{source}: got images of {shape[-2]} x {shape[-1]} pixels, needed 4 x 4 or more: if these are "
            "signals, leave kind='image' (--kind image) out"
        )
    if np.prod(shape[:-2]) < (1 if want.single else 2):
        raise ShapeshiftError(f"{source}: got one image, needed at least two: put all of them into one file")


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
