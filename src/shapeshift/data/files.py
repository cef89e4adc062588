"""Files of signals: a path in, a labelled array out.

To add a format, write a module with `read(path, want) -> xarray.DataArray` and name it in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from shapeshift.data.libraries import EXTRA, reading
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.carrier import Kind, Orientation

# ending -> the function `read`, or a module of this folder that has it and is loaded when a file asks for it
READERS: dict[str, str | Callable[..., xr.DataArray]] = {
    ".npy": "numpy_files",
    ".npz": "numpy_files",
    ".csv": "table",
    ".tsv": "table",
    ".txt": "table",
    ".csv.gz": "table",
    ".tsv.gz": "table",
    ".txt.gz": "table",
    ".h5": "sid",
    ".hdf5": "sid",
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".mat": "matlab",
    ".zarr": "zarr_folder",
    ".zarr.zip": "zarr_folder",
    ".jdx": "jcamp",
    ".dx": "jcamp",
    ".jcamp": "jcamp",
    ".wdf": "wdf",
}
_TWO_PARTS = (".gz", ".zip")  # endings in front of which another one counts
_FOLDERS = (".zarr", ".zspy")  # formats that are folders


def open(
    path: str | PathLike[str],
    *,
    array: str | None = None,
    axis: str | None = None,
    orientation: Orientation | None = None,
    single: bool = False,
    kind: Kind = "signal",
    image_shape: tuple[int, ...] | None = None,
) -> xr.DataArray:
    """Read a stack of signals, or of images, from a file.

    Parameters
    ----------
    path : path
        `.npy`, `.npz`, `.csv`, `.tsv`, `.txt` (these three also `.gz`), `.h5`, `.hdf5` (NSID and USID among
        them), `.nc`, `.mat`, `.zarr` (also `.zarr.zip`), `.jdx`, `.dx`, `.wdf`, and with RosettaSciIO
        installed what it reads, for instance `.dm3`, `.dm4`, `.hspy`, `.msa`, `.emd`, `.bcf`.
    array : str, optional
        Which array, where a file holds several and none is plainly the signals.
    axis : str, optional
        Which 1-D array, or which column of a table, is the axis. `"none"` numbers the samples instead; in a
        table `"row"` and `"column"` take the first one.
    orientation : {"rows", "columns"}, optional
        Whether each row or each column is one signal; `"columns"` of a map means that the axis comes first.
        By default it is found out.
    single : bool
        Whether one signal will do, as for a model that was fitted before; a fit needs more.
    kind : {"signal", "image"}
        What one measurement is. Images are read from `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` of 2 to 4
        channels, a map `(rows, columns, h, w)`, or flattened from `(n, h*w)`; the last two dimensions of a
        NetCDF variable are an image's own.
    image_shape : (h, w) or (c, h, w), optional
        Of images that come flattened; by default they are square.

    Returns
    -------
    xarray.DataArray
        `(signal, axis)`, or `(y, x, axis)` for a map; of images `(signal, row, column)`, or `(y, x, row,
        column)` for a map, `channel` before the rows where there are several: real numbers, a coordinate
        with its `units` along the last dimension (for images, the last two), and in `attrs` the `source`, the
        `reader` and, in `notes`, what was found out or changed; where the file tells them, `units` of the
        values and `metadata`, one string of JSON: words of strangers, to be escaped where they are shown.
        Values are left as they are, missing ones included.

    Raises
    ------
    ShapeshiftError
        If the file is missing, damaged, of another kind, or holds no stack of real signals.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = Path(folder) / "lines.npz"
    ...     np.savez(name, X=np.eye(3, 5), x=np.arange(5.0), axis="energy (eV)")
    ...     signals = open(name)
    >>> signals.dims, signals.energy.attrs["units"]
    (('signal', 'energy'), 'eV')
    """
    from shapeshift.data.carrier import Want
    from shapeshift.data.pictures import image_want
    from shapeshift.data.probe import check_sound
    from shapeshift.data.tidy import tidy

    if orientation not in (None, "rows", "columns"):
        raise ShapeshiftError(
            f"got the orientation {orientation!r}, needed 'rows' or 'columns': say what one signal is"
        )
    path, want = Path(path), Want(array, axis, orientation, single, kind, image_shape)
    if kind == "image":
        want = image_want(want)
    reader = _reader(path)
    _check(path)
    if path.is_file():
        check_sound(path)
    try:
        if callable(reader):
            with reading(path.name, f"{_ending(path)} file"):
                return tidy(reader(path, want))
        return tidy(import_module(f"shapeshift.data.{reader}").read(path, want))
    except OSError as error:
        raise ShapeshiftError(
            f"{path.name}: got a file that cannot be read ({error}), needed a whole {_ending(path)} file: "
            "copy it again or check who may read it"
        ) from error


def _reader(path: Path) -> str | Callable[..., xr.DataArray]:
    """What reads files of this ending."""
    ending = _ending(path)
    if path.is_dir() and ending not in _FOLDERS:
        raise ShapeshiftError(f"{path}: got a folder, needed a file: name one of the files in it")
    if ending in READERS:
        return READERS[ending]
    from shapeshift.data import rosetta

    if ending not in (others := rosetta.endings()):
        also = "those of RosettaSciIO" if others else f"after {EXTRA} those of RosettaSciIO, as .dm3 or .hspy"
        raise ShapeshiftError(
            f"{path.name}: got the ending {ending or 'none'!r}, needed one of {', '.join(READERS)}, or "
            f"{also}: convert the file, for instance to .csv"
        )
    return "rosetta"


def _ending(path: Path) -> str:
    """The ending in small letters, both parts of it in front of `.gz`; a `.zip` is a packed `.zarr`."""
    parts = path.suffixes[-2:] if path.suffix.lower() in _TWO_PARTS else path.suffixes[-1:]
    return "".join(parts).lower()


def _check(path: Path) -> None:
    """A file with something in it."""
    if not path.exists():
        raise ShapeshiftError(f"{path}: got no such file, needed one that exists: check the path")
    if path.is_dir():
        return
    if not path.is_file():
        raise ShapeshiftError(f"{path}: got something that is no file, needed one: copy the data into a file")
    if path.stat().st_size == 0:
        raise ShapeshiftError(f"{path.name}: got an empty file, needed signals: write or copy it again")
