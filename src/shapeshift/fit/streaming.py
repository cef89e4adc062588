"""Signals that are larger than the memory: read, and looked at, a block at a time.

Inference of a signal knows nothing of the others, so blocks give the same numbers as the whole, to the bit.
Training needs a sample: the number of its steps does not grow with the number of signals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from shapeshift.data.blocks import Source, drawn_rows, even_rows, inner_dims, source_of
from shapeshift.data.kin import is_sidpy
from shapeshift.data.lanes import are_channels
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.labels import Kinds
from shapeshift.fit.lazily import lazy_posterior
from shapeshift.fit.posterior import Posterior

if TYPE_CHECKING:
    from shapeshift.fit.base import PoseEstimator

MOST = 20_000  # signals that a fit draws; what its 900 steps of 128 go through several times
NUMBERS = 2**22  # that a fit draws at most, which takes it a few hundred MB
LEAST = 256  # signals, however long


def on_dask(X: Any) -> bool:
    """Whether X is a dask array, or a DataArray on one; a sidpy dataset comes back in kind instead."""
    if is_sidpy(X):
        return False
    if hasattr(X, "dims") and hasattr(X, "coords"):
        return getattr(X, "chunks", None) is not None
    return hasattr(X, "dask") and hasattr(X, "map_blocks")


def elsewhere(X: Any) -> bool:
    """Whether X is an array that does not lie in memory: of Zarr, HDF5 or dask, by what it looks like."""
    if isinstance(X, Source):
        return True
    if hasattr(X, "data_vars") or is_sidpy(X):  # a data set goes in as the array it holds
        return False
    stored = all(hasattr(X, name) for name in ("chunks", "dtype", "shape", "__getitem__"))
    return on_dask(X) or (stored and not hasattr(X, "coords"))


def images(model: PoseEstimator) -> bool:
    """Whether a model takes images."""
    return hasattr(model, "image_shape")


def _refuse_channels(model: PoseEstimator, X: Any) -> None:
    if not images(model) and (are_channels(X) or getattr(model, "lanes_", None)):
        raise ShapeshiftError("got channels that do not lie in memory, needed them there: use X.load().")


def posterior_elsewhere(model: PoseEstimator, X: Any, x: Any, refine: bool, condition: Any) -> Any:
    """The posterior of an array that is :func:`elsewhere`: of dask a lazy xarray.Dataset, else a Posterior
    whose signals were read a block at a time."""
    _refuse_channels(model, X)
    if on_dask(X):
        named = hasattr(X, "coords")
        inner = inner_dims(X, images=images(model), named=named)
        return lazy_posterior(model, X, inner, x=x, refine=refine, condition=condition)
    source = source_of(X, images=images(model))
    parts = posteriors(model, source, x=x, refine=refine, condition=condition)
    return joined([p for _, p in parts], source)


def posteriors(
    model: PoseEstimator, source: Source, *, x: Any = None, refine: bool = True, condition: Any = None
) -> Iterator[tuple[int, Posterior]]:
    """First row and posterior of block after block, without its signals; the next one is read meanwhile.

    Raises
    ------
    ShapeshiftError
        As of :meth:`PoseEstimator.posterior`, and in which rows.
    """
    n, size = len(source), source.rows_computed
    if condition is not None:
        model._given(condition, n)  # refused before the work starts
    of_each = condition is not None and not np.isscalar(condition) and len(condition) == n
    known = np.asarray(condition) if of_each else condition
    for first, block in source.blocks():
        for begin in range(first, first + len(block), size):
            part = block[begin - first : begin - first + size]
            own = known[begin : begin + len(part)] if of_each else known
            try:
                p = model.posterior(part, x=x, refine=refine, condition=own)
            except ShapeshiftError as error:
                where = f"signals {begin} to {begin + len(part) - 1} of {n}"
                raise ShapeshiftError(f"{where}: {error}") from error
            yield begin, replace(p, stack=_without_numbers(p.stack))


def joined(parts: list[Posterior], source: Source) -> Posterior:
    """One posterior of all blocks, on the map that the rows of the source form."""
    return replace(concatenated(parts), stack=_empty_stack(parts[0].stack, source))


def concatenated(parts: list[Posterior]) -> Posterior:
    """One posterior of all blocks, in a row."""
    arrays = [f.name for f in fields(Posterior) if isinstance(getattr(parts[0], f.name), np.ndarray)]
    whole: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in arrays}
    return replace(parts[0], **whole, stack=None)


def _without_numbers(stack: Any) -> Any:
    """A stack whose signals may be forgotten."""
    given = stack.given
    if given is not None:
        given = given.isel({given.dims[-1]: slice(0)}).copy(deep=True)
    return replace(stack, values=np.empty((len(stack.values), 0)), given=given)


def _empty_stack(stack: Any, source: Source) -> Any:
    """Where the signals of a source are, without their numbers."""
    import xarray as xr

    inner = getattr(stack, "inner", 1)
    none = np.empty((*source.shape, *[0] * inner))
    given = xr.DataArray(none, dims=(*source.dims, *(f"_{k}" for k in range(inner))), coords=source.coords)
    plain = stack.given is None and len(source.shape) == 1
    return replace(stack, values=np.empty((len(source), 0)), given=None if plain else given)


def shapes_of(p: Any) -> Any:
    """Shape latents (n, K) of a posterior; of a lazy one as a dask array."""
    if isinstance(p, Posterior):
        return p.z
    z = p["z"].transpose(..., "latent").data
    return z.reshape(-1, z.shape[-1])


def runs_of(source: Source) -> list[np.ndarray]:
    """Rows that a fit draws."""
    most = min(MOST, max(LEAST, NUMBERS // source.width))
    return even_rows(len(source), most, min(source.unit, source.rows_read))


def some_of_source(source: Source) -> Any:
    """What a fit draws from a source."""
    return drawn_rows(source, runs_of(source))


def drawn(
    model: PoseEstimator, X: Any, condition: Any, kinds: Kinds | None
) -> tuple[Any, Any, Kinds | None, tuple[str, ...]]:
    """What to fit to: X itself if it lies in memory, else signals drawn evenly from it, with what is known of
    them, all labelled ones among them, and a note that says so."""
    if not elsewhere(X):
        return X, condition, kinds, ()
    _refuse_channels(model, X)
    source = source_of(X, images=images(model))
    n, runs = len(source), runs_of(source)
    if kinds is not None and kinds.labels is not None and len(kinds.labels) == n:
        known = torch.nonzero(kinds.labels >= 0)[:, 0].numpy()
        rows = np.union1d(np.concatenate(runs), known)
        runs = np.split(rows, np.flatnonzero(np.diff(rows // source.rows_computed)) + 1)
        kinds = replace(kinds, labels=kinds.labels[rows])
    rows = np.concatenate(runs)
    if condition is not None and len(condition) == n:
        condition = np.asarray(condition)[rows]
    told = f"fitted to {len(rows)} of {n} signals, drawn evenly: to choose others, hand over an array of them"
    return drawn_rows(source, runs), condition, kinds, (told,) if len(rows) < n else ()
