"""The posterior of a dask array: nothing is computed before it is asked for, and any dask cluster does it.

A task is one block of signals. It brings the model as the bytes of a model file, which a worker reads once.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.blocks import dims_of, framed, in_frame
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.threads import single

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.fit.base import PoseEstimator

LONGEST = "ambiguous;edge;faint;misfit;outside;phase"  # all that a signal's flags may say


def lazy_posterior(
    model: PoseEstimator, X: Any, inner: int, *, x: Any = None, refine: bool = True, condition: Any = None
) -> xr.Dataset:
    """The posterior of a dask array, or of a DataArray on one, as a lazy xarray.Dataset.

    Parameters
    ----------
    model : a fitted estimator that can be saved
    X : dask array or xarray.DataArray (..., P) or (..., h, w)
    inner : int
        Trailing dimensions that one signal, or image, takes: they come in one chunk.
    x, refine, condition : as of ``posterior``

    Returns
    -------
    xarray.Dataset
        What ``Posterior.to_dataset`` gives, as dask arrays in the chunks of X. Ask for all variables at once
        (``compute``, ``to_zarr``): each by itself would infer everything again.

    Raises
    ------
    ShapeshiftError
        Data that do not go with the model, or a model that no file can hold whole.
    """
    import dask.array as da
    from dask import delayed

    named = hasattr(X, "coords")
    values = X.data if named else X
    if values.ndim <= inner or 0 in values.shape:
        raise ShapeshiftError(f"got an array of shape {values.shape}, needed signals along its last axis.")
    lead = values.ndim - inner
    values = values.rechunk(dict.fromkeys(range(lead, values.ndim), -1))
    one = framed(X, inner) if named else None
    told = _told(model, condition, values, lead)
    trial = _wrapped(one, _step(values.shape[lead:]))
    known = condition if told is None else np.asarray(condition)[:1]
    like = model.posterior(trial, x=x, refine=refine, condition=known).to_dataset()
    axes, record = tuple(range(values.ndim)), _record(like)
    records = da.blockwise(
        _inferred,
        axes[:lead],
        *(values, axes),
        *((told, (*axes[:lead], values.ndim)) if told is not None else ()),
        packed=delayed(packed(model), pure=True),
        lead=lead,
        one=one,
        x=x,
        refine=refine,
        known=None if told is not None else condition,
        record=record,
        dtype=record,
        concatenate=True,
        meta=np.empty((0,) * lead, record),
        name=None,
    )
    return _dataset(like, records, X if named else None, lead)


def _told(model: PoseEstimator, condition: Any, values: Any, lead: int) -> Any:
    """What is known of every signal, in the chunks of the signals; None if nothing is, or the same of all."""
    import dask.array as da

    shape = values.shape[:lead]
    n = int(np.prod(shape))
    if condition is None:
        return None
    model._given(condition, n)  # refused before the work starts
    if np.isscalar(condition) or len(condition) != n:
        return None
    table = np.asarray(condition)
    table = table.reshape(*shape, -1)
    return da.from_array(table, chunks=(*values.chunks[:lead], table.shape[-1:]))


def packed(model: PoseEstimator) -> bytes:
    """The model file's bytes.

    Raises
    ------
    ShapeshiftError
        If the model has modules of its own, whose code is in no file.
    """
    for name in ("encoder", "decoder"):
        if not isinstance(getattr(model, name, None), str | None):
            raise ShapeshiftError(
                f"got a model with an own {name}, needed one that workers can build from its file: use "
                "ss.stream, which works in this process."
            )
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.safetensors")
        return (Path(folder) / "model.safetensors").read_bytes()


@lru_cache(maxsize=4)
def unpacked(data: bytes) -> Any:
    """The model, read once by every worker."""
    from shapeshift.fit.loading import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(data)
        return load(path)


def _inferred(
    values: np.ndarray,
    told: np.ndarray | None = None,
    *,
    packed: bytes,
    lead: int,
    one: xr.DataArray | None,
    x: Any,
    refine: bool,
    known: Any,
    record: np.dtype,
) -> np.ndarray:
    """The posterior of one block, as records in its shape."""
    shape = values.shape[:lead]
    rows = _wrapped(one, np.asarray(values).reshape(-1, *values.shape[lead:]))
    own = known if told is None else told.reshape(-1, told.shape[-1])
    with single():
        found = unpacked(packed).posterior(rows, x=x, refine=refine, condition=own).to_dataset()
    out = np.empty(int(np.prod(shape)), record)
    for name in found.data_vars:
        column = found[name].values
        out[name] = column.T if column.ndim == 2 else column
    return out.reshape(shape)


def _wrapped(one: xr.DataArray | None, rows: np.ndarray) -> Any:
    return rows if one is None else in_frame(one, rows)


def _step(shape: tuple[int, ...]) -> np.ndarray:
    """One signal or image, (1, ...), that no likelihood refuses: zeros, then ones."""
    size = int(np.prod(shape))
    return (np.arange(size) >= size // 2).astype(np.float64).reshape(1, *shape)


def _record(like: xr.Dataset) -> np.dtype:
    """One signal's row of numbers and words."""
    fields = []
    for name, column in like.data_vars.items():
        kind = np.dtype(f"<U{len(LONGEST)}") if name == "flags" else column.dtype
        fields.append((str(name), kind, column.shape[:-1]))
    return np.dtype(fields)


def _dataset(like: xr.Dataset, records: Any, given: xr.DataArray | None, lead: int) -> xr.Dataset:
    """The variables of ``like``, each a field of the records, on the map that was given."""
    import xarray as xr

    dims = dims_of(records.shape) if given is None else given.dims[:lead]
    kept = {} if given is None else {k: v for k, v in given.coords.items() if set(v.dims) <= set(dims)}
    columns = {}
    for name, column in like.data_vars.items():
        values, names = _field(records, str(name)), dims
        if column.ndim == 2:
            values, names = values.transpose(lead, *range(lead)), ("latent", *dims)
        columns[name] = (names, values, column.attrs)
    latents = {} if "latent" not in like.coords else {"latent": like.coords["latent"]}
    return xr.Dataset(columns, coords=kept | latents, attrs=like.attrs)


def _field(records: Any, name: str) -> Any:
    """One column of the records, lazily; a column of vectors has a dimension more."""
    kind, inner = records.dtype[name], records.dtype[name].shape
    return records.map_blocks(
        itemgetter(name),
        dtype=kind.base,
        new_axis=list(range(records.ndim, records.ndim + len(inner))),
        chunks=(*records.chunks, *((n,) for n in inner)),
        meta=np.empty((0,) * (records.ndim + len(inner)), kind.base),
    )
