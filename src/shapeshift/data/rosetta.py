"""What RosettaSciIO reads: the files of HyperSpy and of most makers of microscopes and spectrometers."""

from __future__ import annotations

import functools
import glob
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from shapeshift import __version__
from shapeshift.data import hdf, zarr_folder
from shapeshift.data.bounded import bounded
from shapeshift.data.carrier import Want
from shapeshift.data.libraries import library, reading
from shapeshift.data.metadata import unpacked
from shapeshift.data.named import from_array, uniform
from shapeshift.data.naming import names_of, word
from shapeshift.data.selection import Entry, choose
from shapeshift.errors import ShapeshiftError

# Left to this package's own readers, or not taken: netCDF evaluates text of the file, MRCZ unpickles.
_NOT_TAKEN = {"netCDF", "MRCZ", "numpy", "Renishaw", "Impulse", "Protochips"}


@functools.cache
def _plugins() -> dict[str, list[str]]:
    """Modules of RosettaSciIO by ending; none where it is not installed."""
    try:
        listed = import_module("rsciio").IO_PLUGINS
    except ImportError:
        return {}
    found: dict[str, list[str]] = {}
    for plugin in listed:
        if plugin["name"] not in _NOT_TAKEN:
            for ending in plugin["file_extensions"]:
                modules = found.setdefault("." + ending.lower(), [])
                modules += [plugin["api"]] if plugin["api"] not in modules else []
    return found


def endings() -> tuple[str, ...]:
    """Endings that RosettaSciIO reads, none where it is not installed."""
    return tuple(sorted(_plugins()))


def read(path: Path, want: Want) -> xr.DataArray:
    """The signals, or images, in a file that RosettaSciIO reads.

    Raises
    ------
    ShapeshiftError
        If the file is damaged, needs a package that is not installed, or holds several arrays and none is
        asked for.
    """
    source, ending = path.name, path.suffix.lower()
    with reading(source, f"{ending} file"):
        _check(path)
        with bounded(_size(path), source):
            found = _signals(path, _plugins()[ending])
        if not found:
            raise ShapeshiftError(f"{source}: got a file without arrays, needed signals: check the file")
        notes: list[str] = []
        signal = _chosen(found, want, source, notes)
        X, own = labelled(signal)
        about = {**signal.get("metadata", {}), "original": signal.get("original_metadata", {})}
        return from_array(X, want, source=source, reader="rosettasciio", notes=notes, metadata=about, own=own)


def _size(path: Path) -> int:
    """Bytes of all in a folder, or of a file and those beside it that begin with its stem: its numbers."""
    parts = path.rglob("*") if path.is_dir() else path.parent.glob(f"{glob.escape(path.stem)}*")
    return sum(part.stat().st_size for part in parts if part.is_file())


def _signals(path: Path, modules: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """What the first of some modules makes of a file that knows it."""
    for module in modules[:-1]:
        try:
            return library(module, path.name).file_reader(str(path), lazy=False)
        except Exception:
            continue  # two makers use one ending
    return library(modules[-1], path.name).file_reader(str(path), lazy=False)


def labelled(signal: Mapping[str, Any]) -> tuple[xr.DataArray, tuple[str, ...]]:
    """The array of RosettaSciIO's description of a signal, and the dimensions of one measurement.

    Parameters
    ----------
    signal : mapping
        `data`, `axes` (name, units, size, offset and scale, or all values) and `metadata`, as documented at
        https://hyperspy.org/rosettasciio/file_specification

    Raises
    ------
    ShapeshiftError
        If an axis is told by a formula.
    """
    data = np.asarray(signal["data"])
    axes = list(signal["axes"])
    if all(axis.get("index_in_array") is not None for axis in axes):
        axes.sort(key=lambda axis: axis["index_in_array"])
    names = names_of([axis.get("name") for axis in axes], [bool(axis.get("navigate")) for axis in axes])
    coords = {
        name: (name, _values(axis, size), {"units": word(axis.get("units"))})
        for name, axis, size in zip(names, axes, data.shape, strict=True)
        if not (axis.get("navigate") and _only_counts(axis))
    }
    own = tuple(n for n, axis in zip(names, axes, strict=True) if not axis.get("navigate"))
    quantity, units = quantity_of(signal.get("metadata", {}))
    attrs = {"long_name": quantity, "units": units}
    X = xr.DataArray(data, dims=names, coords=coords, attrs={k: v for k, v in attrs.items() if v})
    return X, own if len(own) in (1, 2) else ()


def quantity_of(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """What was measured and in what units, of "Counts (electrons)"."""
    told = word((metadata.get("Signal") or {}).get("quantity"))
    if told.endswith(")") and "(" in told:
        name, _, units = told[:-1].rpartition("(")
        return name.strip(), units.strip()
    return told, ""


def _only_counts(axis: Mapping[str, Any]) -> bool:
    """Whether nobody calibrated an axis."""
    told = [axis.get("scale", 1.0), axis.get("offset", 0.0)]
    return not word(axis.get("units")) and axis.get("axis") is None and told == [1.0, 0.0]


def _values(axis: Mapping[str, Any], size: int) -> np.ndarray:
    """Values along a dimension."""
    if "expression" in axis:
        raise ShapeshiftError(
            f"got an axis {word(axis.get('name'))!r} told by a formula, needed its values: in HyperSpy, "
            "convert_to_non_uniform_axis() and save it again"
        )
    if axis.get("axis") is not None:
        return np.asarray(axis["axis"], dtype=float)
    return uniform(size, float(axis.get("scale", 1.0)), float(axis.get("offset", 0.0)))


def _chosen(
    found: Sequence[Mapping[str, Any]], want: Want, source: str, notes: list[str]
) -> Mapping[str, Any]:
    """The array asked for by its title, or the only one that can be."""
    titles = [word((s.get("metadata", {}).get("General") or {}).get("title")) for s in found]
    names = [t if t and titles.count(t) == 1 else f"{t or 'array'} {k + 1}" for k, t in enumerate(titles)]
    entries = [_entry(name, signal) for name, signal in zip(names, found, strict=True)]
    fitting = [
        e for e, s in zip(entries, found, strict=True) if _own(s) == (2 if want.kind == "image" else 1)
    ]
    several = len(found) > 1 and want.array is None and len(fitting) == 1
    entry = fitting[0] if several else choose(entries, want, source, notes)
    if several:
        notes.append(f"array {entry.name!r} of {len(found)} (the only one of this kind)")
    return found[entries.index(entry)]


def _entry(name: str, signal: Mapping[str, Any]) -> Entry:
    data = signal["data"]
    return Entry(name, tuple(data.shape), data.dtype.kind, lambda: np.asarray(data))


def _own(signal: Mapping[str, Any]) -> int:
    return sum(not axis.get("navigate") for axis in signal["axes"])


def _check(path: Path) -> None:
    """What can be seen before the library reads: no way out of the file, no more than is there."""
    if path.is_dir() or path.suffix.lower() == ".zspy":
        zarr_folder.check(path)
    elif h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            for dataset in hdf.explore(file, Want(), path.name).arrays.values():
                hdf.check_stored(dataset, path.name)


def write_hspy(X: xr.DataArray, path: Path, *, own: Sequence[str]) -> None:
    """Write an array as a HyperSpy file.

    Parameters
    ----------
    X : xarray.DataArray
    path : path
    own : sequence of str
        Dimensions of one measurement.

    Raises
    ------
    ShapeshiftError
        If RosettaSciIO is not installed.
    """
    writer = library("rsciio.hspy", path.name)
    quantity, units = str(X.attrs.get("long_name", "")), str(X.attrs.get("units", ""))
    told = f"{quantity} ({units})" if units else quantity
    signal = {
        "data": X.values,
        "axes": [_axis_told(X, str(dim), str(dim) not in own) for dim in X.dims],
        "metadata": {
            "General": {"title": str(X.name or "")},
            "Signal": {"signal_type": "", "quantity": told},
        },
        "original_metadata": dict(unpacked(X.attrs)),
        "attributes": {"_lazy": False, "ragged": False},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {"package": "shapeshift", "package_version": __version__},
    }
    writer.file_writer(str(path), signal)


def _axis_told(X: xr.DataArray, dim: str, navigate: bool) -> dict[str, Any]:
    """An axis by offset and scale where these give its values exactly, else by all values."""
    values = np.asarray(X[dim].values)
    if values.dtype.kind not in "iuf":
        values = np.arange(len(values))
    values = values.astype(float)
    told: dict[str, Any] = {"name": dim, "units": str(X[dim].attrs.get("units", "")), "navigate": navigate}
    scale = float(values[1] - values[0]) if len(values) > 1 else 1.0
    if np.array_equal(uniform(len(values), scale, values[0]), values):
        even = {"size": len(values), "offset": float(values[0]), "scale": scale}
        return {"_type": "UniformDataAxis", **told, **even}
    return {"_type": "DataAxis", **told, "axis": values}
