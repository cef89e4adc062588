"""Posteriors written a block at a time: a table, or arrays on the map that the signals form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import pandas as pd
import xarray as xr

from shapeshift.data.blocks import Source, pieces
from shapeshift.data.libraries import library
from shapeshift.fit.lazily import LONGEST
from shapeshift.show.run import table

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

ROWS = 2**15  # of a chunk that is written

Write: TypeAlias = Callable[[int, "Posterior"], None]  # first row, posterior of the rows from there on
Create: TypeAlias = Callable[[str, Sequence[str], xr.DataArray], Any]  # name, dims, a block -> array to fill


@contextmanager
def csv_columns(path: Path, source: Source, *, gain: bool) -> Iterator[Write]:
    """One row a signal, as :func:`shapeshift.show.run.table` has it."""
    with path.open("w", encoding="utf-8", newline="") as file:

        def write(begin: int, p: Posterior) -> None:
            rows = table(p, gain=gain).drop(columns="index")
            where = pd.DataFrame(places(source, begin, begin + len(p)))
            pd.concat([where, rows], axis=1).to_csv(file, index=False, header=begin == 0)

        yield write


def places(source: Source, begin: int, end: int) -> dict[str, np.ndarray]:
    """Where the signals ``begin`` to ``end`` are: counted, and by their other names; in a map by its axes."""
    at = np.unravel_index(np.arange(begin, end), source.shape)
    if len(source.shape) > 1:
        axes = zip(source.dims, at, strict=True)
        return {d: np.asarray(source.coords[d])[k] if d in source.coords else k for d, k in axes}
    named = {str(k): np.asarray(c)[begin:end] for k, c in source.coords.items() if c.ndim == 1}
    return {"index": at[0], **named}


@contextmanager
def zarr_columns(path: Path, source: Source, frame: xr.Dataset) -> Iterator[Write]:
    """One array a column in a Zarr group of version 2, for which names of any length have a standard."""
    zarr = library("zarr", path.name)
    options: dict[str, Any] = {"mode": "w", "zarr_format": 2, "consolidated": False}
    frame.to_zarr(path, **options)
    group = zarr.open_group(path, mode="a", use_consolidated=False)

    def create(name: str, dims: Sequence[str], block: xr.DataArray) -> Any:
        shape, chunks = sizes(source, block)
        told = {"_ARRAY_DIMENSIONS": list(dims), **block.attrs}
        kind = f"<U{len(LONGEST)}" if name == "flags" else block.dtype
        filling = np.nan if block.dtype.kind == "f" else None
        options = {"chunks": chunks, "dtype": kind, "fill_value": filling, "attributes": told}
        return group.create_array(name, shape=shape, **options)

    columns = Columns(source, create, group.attrs.update)
    yield columns.write
    columns.flush()
    zarr.consolidate_metadata(group.store)


@contextmanager
def netcdf_columns(path: Path, source: Source, frame: xr.Dataset) -> Iterator[Write]:
    """One variable a column in a NetCDF file."""
    import h5netcdf
    import h5py

    frame.to_netcdf(path, engine="h5netcdf")
    with h5netcdf.File(path, "a") as file:
        for dim, size in zip(source.dims, source.shape, strict=True):
            if plain(dim) not in file.dimensions:
                file.dimensions[plain(dim)] = size

        def create(name: str, dims: Sequence[str], block: xr.DataArray) -> Any:
            _, chunks = sizes(source, block)
            kind = h5py.string_dtype() if block.dtype.kind in "UO" else block.dtype
            made = file.create_variable(name, tuple(dims), dtype=kind, chunks=chunks)
            made.attrs.update(block.attrs)
            return made

        columns = Columns(source, create, file.attrs.update)
        yield columns.write
        columns.flush()


def plain(name: Any) -> str:
    """A name that is no path."""
    return str(name).replace("/", " per ")


def frame_of(source: Source, n_latent: int, about: Mapping[str, str]) -> xr.Dataset:
    """What is written before any column: coordinates of map and latents, and what the whole is."""
    latents = [f"z{k + 1}" for k in range(n_latent)]
    frame = xr.Dataset(coords={**source.coords, "latent": latents}, attrs=about)
    return frame.rename({name: plain(name) for name in {*frame.variables, *frame.dims} if "/" in str(name)})


def sizes(source: Source, block: xr.DataArray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and shape of a chunk of the column that a block is of."""
    inner = block.shape[:-1]
    return (*inner, *source.shape), (*inner, lines(source), *source.shape[1:])


def lines(source: Source) -> int:
    """How much of the first dimension makes a chunk."""
    return min(source.shape[0], max(1, ROWS // prod(source.shape[1:])))


@final
class Columns:
    """Arrays that fill up, chunk by chunk."""

    def __init__(self, source: Source, create: Create, tell: Callable[[Mapping[str, str]], Any]) -> None:
        self.source, self.create, self.tell = source, create, tell
        self.arrays: dict[str, Any] = {}
        self.waiting: list[xr.Dataset] = []
        self.begin = 0  # the first row that waits
        self.size = lines(source) * prod(source.shape[1:])

    def write(self, begin: int, p: Posterior) -> None:
        """Take a block, and write the chunks that are complete."""
        data = p.to_dataset().drop_vars("latent")
        if not begin:
            self.tell(data.attrs)
        self.waiting.append(data)
        if begin + len(p) - self.begin >= self.size:
            self.flush(whole=True)

    def flush(self, *, whole: bool = False) -> None:
        """Write what waits; only ``whole`` chunks of it."""
        if not self.waiting:
            return
        rows = self.waiting[0]["noise_sd"].dims[0]
        data = xr.concat(self.waiting, dim=rows, join="override")
        n = data.sizes[rows] // self.size * self.size if whole else data.sizes[rows]
        for name, block in data.data_vars.items():
            self._put(str(name), block[..., :n])
        self.waiting = [data.isel({rows: slice(n, None)})] if n < data.sizes[rows] else []
        self.begin += n

    def _put(self, name: str, block: xr.DataArray) -> None:
        inner, values = block.shape[:-1], block.values
        if name not in self.arrays:
            dims = [plain(d) for d in (*block.dims[:-1], *self.source.dims)]
            self.arrays[name] = self.create(name, dims, block)
        begin = 0
        for at in pieces(self.source.shape, self.begin, self.begin + block.shape[-1]):
            shape = tuple(s.stop - s.start for s in at)
            part = values[..., begin : begin + prod(shape)].reshape(*inner, *shape)
            self.arrays[name][(*(slice(None) for _ in inner), *at)] = part
            begin += prod(shape)
