"""NSID and USID: HDF5 files that say in attributes which data set is the measurement and what its axes are.

NSID (S. Somnath, pyNSID) attaches an axis with name, units and type to every dimension. USID (S. Somnath et
al., arXiv:1903.09515) flattens everything to (positions, spectral points), with tables of indices and values
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data import hdf
from shapeshift.data.carrier import Want
from shapeshift.data.metadata import clean
from shapeshift.data.named import from_array
from shapeshift.data.selection import choose
from shapeshift.errors import ShapeshiftError

_TABLES = ("Position_Indices", "Position_Values", "Spectroscopic_Indices", "Spectroscopic_Values")
_OWN_KEYS = ("DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST", "CLASS", "NAME", *_TABLES)


class Dimension(NamedTuple):
    """A dimension of a measurement."""

    name: str
    values: NDArray
    units: str
    spectral: bool


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals in an HDF5 file: a measurement of NSID or USID with its axes, or any other file's arrays.

    Raises
    ------
    ShapeshiftError
        If the file is damaged or unclear, or points out of itself.
    """
    try:
        with h5py.File(path, "r") as file:
            arrays = hdf.explore(file, want, path.name).arrays
            if found := {name: d for name, d in arrays.items() if _is_nsid(d) or _is_usid(d)}:
                return _read(file, found, path.name, want)
    except ShapeshiftError:
        raise
    except hdf.DAMAGE as error:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file ({error}), needed a whole HDF5 file: write or copy it again"
        ) from error
    return hdf.read(path, want)


def _read(file: h5py.File, found: Mapping[str, h5py.Dataset], source: str, want: Want) -> xr.DataArray:
    """One of the measurements of a file."""
    notes: list[str] = []
    entries = [hdf.entry(name, dataset, source) for name, dataset in found.items()]
    entry = choose(entries, want, source, notes)
    dataset = found[entry.name]
    usid = _is_usid(dataset)
    dims, values = _usid(file, dataset, source) if usid else (_nsid(dataset, source), entry.read())
    names = _distinct([d.name for d in dims])
    coords = {n: (n, d.values, {"units": d.units}) for n, d in zip(names, dims, strict=True)}
    about = {k: v for k, v in dataset.attrs.items() if k not in _OWN_KEYS} | _metadata(dataset)
    told = {"units": clean(about.get("units", "")), "long_name": clean(about.get("quantity", ""))}
    X = xr.DataArray(values, dims=names, coords=coords, attrs={k: v for k, v in told.items() if v})
    own = _image(names, dims, about) or tuple(n for n, d in zip(names, dims, strict=True) if d.spectral)
    reader = "usid" if usid else "nsid"
    return from_array(X, want, source=source, reader=reader, notes=notes, metadata=about, own=own)


def _is_nsid(dataset: h5py.Dataset) -> bool:
    """A data set with an axis of NSID's kind along every dimension."""
    if not dataset.shape or "DIMENSION_LIST" not in dataset.attrs:
        return False
    return all(len(dim) and "dimension_type" in dim[0].attrs for dim in dataset.dims)


def _is_usid(dataset: h5py.Dataset) -> bool:
    """A data set (positions, spectral points) with USID's four tables."""
    return len(dataset.shape or ()) == 2 and all(
        isinstance(dataset.attrs.get(name), h5py.Reference) for name in _TABLES
    )


def _nsid(dataset: h5py.Dataset, source: str) -> list[Dimension]:
    """Dimensions as the attached axes tell them."""
    found = []
    for dim, size in zip(dataset.dims, dataset.shape, strict=True):
        scale = dim[0]
        hdf.check_stored(scale, source)
        values = np.asarray(scale[()], dtype=float)
        if values.shape != (size,):
            raise ShapeshiftError(
                f"{source}: got an axis of shape {values.shape} for a dimension of {size}, needed a value "
                "each: the file is damaged, write it again"
            )
        name = clean(scale.attrs.get("name", ""), 80) or scale.name.rpartition("/")[2]
        kind = clean(scale.attrs["dimension_type"]).upper()
        units = clean(scale.attrs.get("units", ""), 80)
        found.append(Dimension(name, values, units, kind in ("SPECTRAL", "TEMPORAL", "RECIPROCAL")))
    return found


def _usid(file: h5py.File, dataset: h5py.Dataset, source: str) -> tuple[list[Dimension], NDArray]:
    """Dimensions from the tables, and the values put onto them."""
    tables = {name: _table(file, dataset, name, source) for name in _TABLES}
    places = _axes(tables["Position_Indices"], tables["Position_Values"], False, source)
    points = _axes(
        {**tables["Spectroscopic_Indices"], "values": tables["Spectroscopic_Indices"]["values"].T},
        {**tables["Spectroscopic_Values"], "values": tables["Spectroscopic_Values"]["values"].T},
        True,
        source,
    )
    dims, order = [*places[0], *points[0]], (places[1], points[1])
    sizes = [len(d.values) for d in dims]
    if len(order[0]) != dataset.shape[0] or len(order[1]) != dataset.shape[1]:
        raise ShapeshiftError(
            f"{source}: got tables of {len(order[0])} positions and {len(order[1])} spectral points for "
            f"{dataset.shape[0]} x {dataset.shape[1]} values, needed as many: the file is damaged"
        )
    hdf.check_stored(dataset, source)
    values = dataset[()][order[0]][:, order[1]].reshape(sizes)
    keep = [k for k, size in enumerate(sizes) if size > 1]
    return [dims[k] for k in keep], values.reshape([sizes[k] for k in keep])


def _table(file: h5py.File, dataset: h5py.Dataset, name: str, source: str) -> dict[str, Any]:
    """One of the tables beside a data set; a reference never leads out of the file's own arrays."""
    table = file[dataset.attrs[name]]
    if not isinstance(table, h5py.Dataset) or table.is_virtual or table.external or table.ndim != 2:
        raise ShapeshiftError(
            f"{source}: got {name} that is no table in the file, needed one: write it again"
        )
    hdf.check_stored(table, source)
    words = {key: np.atleast_1d(table.attrs.get(key, [])) for key in ("labels", "units")}
    return {"values": np.asarray(table[()], dtype=float)} | words


def _axes(
    indices: Mapping[str, Any], values: Mapping[str, Any], spectral: bool, source: str
) -> tuple[list[Dimension], NDArray[np.intp]]:
    """The axes that a table (n, dimensions) runs through, slowest first, and the rows in that order."""
    at, told = indices["values"], values["values"]
    changes = [int(np.count_nonzero(np.diff(column))) for column in at.T]
    slowest_first = sorted(range(at.shape[1]), key=lambda k: changes[k])
    order = np.lexsort([at[:, k] for k in reversed(slowest_first)])
    dims = []
    for k in slowest_first:
        first = np.unique(at[:, k], return_index=True)[1]
        name, units = (
            clean(indices[key][k], 80) if k < len(indices[key]) else "" for key in ("labels", "units")
        )
        dims.append(Dimension(name or f"dimension {k + 1}", told[first, k], units, spectral))
    if at.shape != told.shape or np.prod([len(d.values) for d in dims]) != len(at):
        raise ShapeshiftError(
            f"{source}: got measurements that are not at the nodes of a grid, needed a whole one: save them "
            "as a plain array (n, length)"
        )
    return dims, order


def _image(names: list[str], dims: list[Dimension], about: Mapping[str, Any]) -> tuple[str, ...]:
    """The two dimensions of an image, if the file says that it holds images."""
    kind = clean(about.get("data_type", "")).upper()
    if "IMAGE" not in kind or kind == "SPECTRAL_IMAGE":
        return ()
    return tuple([n for n, d in zip(names, dims, strict=True) if not d.spectral][-2:])


def _distinct(names: list[str]) -> list[str]:
    """The same names, numbered where one stands twice."""
    return [n if names.count(n) == 1 else f"{n} {names[:k].count(n) + 1}" for k, n in enumerate(names)]


def _metadata(dataset: h5py.Dataset) -> dict[str, Any]:
    """What stands in the groups "metadata" and "original_metadata" beside an NSID data set."""
    found = {}
    for name in ("metadata", "original_metadata"):
        link = dataset.parent.get(name, getlink=True) if name in dataset.parent else None
        group = dataset.parent[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(group, h5py.Group):
            found[name] = dict(group.attrs.items())
    return found
