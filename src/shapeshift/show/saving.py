"""Arrays and results into files that open to the same again: NetCDF, text, Zarr, HyperSpy's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from shapeshift.data import own_table, rosetta
from shapeshift.data.kin import in_kind
from shapeshift.data.libraries import library
from shapeshift.errors import ShapeshiftError
from shapeshift.show.place import new_file, new_folder

if TYPE_CHECKING:
    import pandas as pd

_ZARR_MARKS = (".zgroup", ".zarray", "zarr.json")


def save(X: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write signals, images or a posterior to a file, by its ending.

    The file is built beside its place and moved there when it is complete: nothing is ever half-written.

    Parameters
    ----------
    X : xarray.DataArray, or what is taken for one; or a Posterior, or its dataset
        Signals (..., length) or images (..., h, w), with coordinates and units. HyperSpy signals, sidpy
        datasets, pandas frames and plain arrays (n, length) will do.
    path : path
        `.nc` keeps everything; `.zarr`, a folder, too; `.csv` holds signals as one row each, or a posterior
        as a table; `.hspy` (with RosettaSciIO) keeps axes and units, and no further coordinates.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    None

    Raises
    ------
    ShapeshiftError
        If the ending is another, the place is taken, nothing can be written there, or the format cannot
        hold X.

    Examples
    --------
    >>> import tempfile, shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=20, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ss.save(X, Path(folder) / "peaks.nc")
    ...     again = ss.open(Path(folder) / "peaks.nc")
    >>> bool((again == X).all()), again["x"].attrs == X["x"].attrs
    (True, True)
    """
    path = Path(path)
    if path.suffix.lower() not in _writers():
        raise ShapeshiftError(
            f"{path.name}: got the ending {path.suffix!r}, needed .nc, .csv, .zarr or .hspy: choose another"
        )
    data = labelled(X)
    with written(path, overwrite=overwrite) as part:
        fill(data, part, path.suffix)


def fill(data: xr.DataArray | xr.Dataset, part: Path, ending: str) -> None:
    """Write into a place that is free, in the format of an ending."""
    _writers()[ending.lower()](data, part)


def _writers() -> dict[str, Callable[[Any, Path], None]]:
    return {".nc": _netcdf, ".nc4": _netcdf, ".csv": _csv, ".zarr": _zarr, ".hspy": _hspy}


@contextmanager
def written(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """The file, or the folder of a Zarr store, to fill; it takes its place when the block ends well.

    Raises
    ------
    ShapeshiftError
        Before anything is done: if the place is taken, or nothing can be written there.
    """
    if os.path.lexists(path) and not overwrite:
        raise ShapeshiftError(
            f"{path}: got a name that is taken, needed a new one: choose another, or overwrite=True (--force)"
        )
    folder = path.suffix.lower() == ".zarr"
    place = (
        new_folder(path, force=overwrite, marks=_ZARR_MARKS) if folder else new_file(path, force=overwrite)
    )
    with place as part:
        yield part


def labelled(X: Any) -> xr.DataArray | xr.Dataset:
    """Whatever is to be saved as an array or dataset without the encoding of the file it came from."""
    if hasattr(X, "to_dataset") and hasattr(X, "log_evidence") and not isinstance(X, xr.Dataset):
        X = X.to_dataset()  # a Posterior
    if isinstance(X, xr.Dataset):
        return X.drop_encoding()
    kin = in_kind(X) if not _holds_images(X) else in_kind(X, inner=2)
    if kin is not None:
        return kin.array.drop_encoding()
    values = np.asarray(X)
    if values.dtype.kind not in "iufb" or values.ndim != 2:
        raise ShapeshiftError(
            f"got {type(X).__name__} of shape {values.shape}, needed signals (n, length) or an array with "
            "named dimensions: use xarray.DataArray(X, dims=...)"
        )
    return xr.DataArray(values, dims=("signal", "sample"))


def _holds_images(X: Any) -> bool:
    """Whether an object of HyperSpy is one of images."""
    return len(getattr(getattr(X, "axes_manager", None), "signal_axes", ())) == 2


def _netcdf(data: xr.DataArray | xr.Dataset, path: Path) -> None:
    path.write_bytes(_image(_as_dataset(data)))


def _image(data: xr.Dataset) -> bytes:
    """The bytes of a NetCDF file, made in memory: HDF5 brings the process down where a disk is full."""
    import h5netcdf
    import h5py
    from xarray.backends import H5NetCDFStore

    with h5py.File("image", "w", driver="core", backing_store=False, track_order=True) as file:
        with h5netcdf.File(file, "a") as netcdf:
            data.dump_to_store(H5NetCDFStore(netcdf))
        file.flush()
        return file.id.get_file_image()


def _zarr(data: xr.DataArray | xr.Dataset, path: Path) -> None:
    library("zarr", path.name)
    _as_dataset(data).to_zarr(path, mode="w", zarr_format=2, consolidated=False)


def _csv(data: xr.DataArray | xr.Dataset, path: Path) -> None:
    if isinstance(data, xr.Dataset):
        rows_of(data).to_csv(path, index=False)
        return
    if data.attrs.get("kind") == "image":
        raise ShapeshiftError(f"{path.name}: got images, needed signals for a table: choose .nc or .zarr")
    with path.open("w", encoding="utf-8", newline="") as file:
        own_table.write(data, file)


def _hspy(data: xr.DataArray | xr.Dataset, path: Path) -> None:
    if isinstance(data, xr.Dataset):
        raise ShapeshiftError(
            f"{path.name}: got a dataset of several arrays, needed one: choose .nc or .zarr"
        )
    rosetta.write_hspy(data, path, own=_own(data))


def _own(data: xr.DataArray) -> tuple[str, ...]:
    """The dimensions of one measurement."""
    return tuple(str(dim) for dim in data.dims[-2 if data.attrs.get("kind") == "image" else -1 :])


def _as_dataset(data: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """Names and attributes as a file can hold them; it is told which dimensions are a signal's."""
    if not isinstance(data, xr.Dataset):
        own = "|".join(_own(data)).replace("/", " per ")
        data = data.assign_attrs(own_dimensions=own).to_dataset(name=str(data.name or "signals"))
    for name in [*data.variables]:
        data[name].attrs = _storable(data[name].attrs)
    names = {
        name: str(name).replace("/", " per ") for name in [*data.variables, *data.dims] if "/" in str(name)
    }
    for name in names:
        if name in data.variables:
            data[name].attrs["original_name"] = str(name)
    return data.rename(names).assign_attrs(_storable(data.attrs))


def _storable(attrs: Any) -> dict[str, Any]:
    """Attributes that are text or numbers; others are left out."""
    plain = {str(k): int(v) if isinstance(v, bool | np.bool_) else v for k, v in attrs.items()}
    return {k: v for k, v in plain.items() if isinstance(v, str | int | float | np.number)}


def rows_of(data: xr.Dataset) -> pd.DataFrame:
    """A posterior's dataset as a table, one row a signal; of shapes one column each."""
    import pandas as pd

    flat = {str(name): array for name, array in data.data_vars.items() if "latent" not in array.dims}
    columns: dict[str, Any] = dict(places_of(next(iter(flat.values()))))
    columns |= {name: array.values.ravel() for name, array in flat.items()}
    for name in (str(n) for n in data.data_vars if str(n) not in flat):
        for k, latent in enumerate(data["latent"].values):
            told = data[name].transpose("latent", ...).values[k]
            columns[f"{latent}{'_sd' * name.endswith('_sd')}"] = told.ravel()
    return pd.DataFrame(columns)


def places_of(values: xr.DataArray) -> Iterator[tuple[str, Any]]:
    """Where each signal is: counted from 0 and by its other names in a stack, by its coordinates in a map."""
    if values.ndim == 1:
        yield "index", np.arange(values.size)
        for name, coordinate in values.coords.items():
            if coordinate.ndim == 1:
                yield str(name), coordinate.values
        return
    for k, dim in enumerate(values.dims):
        along = values[dim].values  # counted from 0 where there is no coordinate
        shape = [-1 if i == k else 1 for i in range(values.ndim)]
        yield str(dim), np.broadcast_to(along.reshape(shape), values.shape).ravel()
