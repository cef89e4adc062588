"""Some of the images, and their part of a posterior."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.images import as_images
from shapeshift.data.preprocess import per_signal
from shapeshift.fit.reading_plane import upright

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from shapeshift.data.images import Raster
    from shapeshift.fit.posterior import Posterior


def some_of(p: Posterior, rows: NDArray) -> Posterior:
    """The posterior of some of the signals or images."""
    arrays = [f.name for f in fields(p) if isinstance(getattr(p, f.name), np.ndarray)]
    return replace(p, **{name: getattr(p, name)[rows] for name in arrays})


def rows_of(X: Any, rows: NDArray, raster: Raster) -> xr.DataArray:
    """Some of the images, as a labelled array in a row."""
    import xarray as xr

    stack = as_images(X, raster.shape)
    planes = stack.values[rows].reshape(-1, *raster.shape)
    dims = ("image", "channel", raster.rows.name, raster.columns.name)
    axes = (raster.rows, raster.columns)
    out = xr.DataArray(planes, dims=dims, name=getattr(X, "name", None), attrs=dict(getattr(X, "attrs", {})))
    out = out.assign_coords({a.name: (a.name, a.values, {"units": a.units}) for a in axes})
    return out[:, 0] if raster.channels == 1 else out


def made_of(m: Any, X: xr.DataArray, p: Posterior) -> tuple[Any, Any]:
    """Images moved back, and as the model draws them, from a posterior: nothing is searched anew.

    Gains and offsets are solved for anew where the model has them. A model with a condition is refused.
    """
    stack = as_images(X, m.raster_.shape)
    aligned = stack.like_given(upright(m, stack, p, m._given(p.kind, len(p))))
    if m.nuisance_:
        return aligned, m.reconstruct(X)
    made = m.generate(p.z, rotation=p.rotation, shift=p.shift, scale=p.scale, condition=p.kind)
    drawn = made.reshape(len(p), -1)
    return aligned, stack.like_given(per_signal(stack.values, m.normalise).undo(drawn))
