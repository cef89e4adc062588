"""Small sound files of every format, which the fuzzer starts from.

To fuzz a new reader, add one line to `SEEDS`: the ending, and functions that make a small file.
"""

from __future__ import annotations

import gzip
import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import xarray as xr
from scipy.io import netcdf_file, savemat

import shapeshift as ss
from shapeshift.data.files import READERS

MODEL = ".safetensors"  # the model loader stands beside the readers
VALUES = np.round(np.random.default_rng(0).normal(size=(6, 9)), 3)
AXIS = np.linspace(1.0, 5.0, 9)
_MAP = VALUES.reshape(2, 3, 9).astype(np.float32)


def _by_file(write: Callable[[Path], object], name: str) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _npz(save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, X=VALUES, x=AXIS, axis="energy (eV)", map_shape=[2, 3], flag=np.arange(4))
    return buffer.getvalue()


def _text(delimiter: str) -> bytes:
    rows = [delimiter.join(["energy (eV)", *(f"s{k}" for k in range(6))])]
    rows += [delimiter.join(f"{v:.3f}" for v in (a, *column)) for a, column in zip(AXIS, VALUES.T)]  # noqa: B905
    return ("# a comment\n" + "\n".join(rows) + "\n").encode()


def _plain_text(delimiter: str) -> bytes:
    return "\n".join(delimiter.join(f"{v:.3f}" for v in row) for row in (AXIS, *VALUES)).encode()


def _hdf(libver: str, **more: Any) -> Callable[[], bytes]:
    def write(path: Path) -> None:
        with h5py.File(path, "w", libver=libver) as file:
            file["x"] = AXIS
            file["x"].attrs["units"] = "eV"
            file["note"] = "text"
            X = file.create_dataset("group/X", data=VALUES, **more)
            X.dims[1].attach_scale(file["x"])
            file["again"] = h5py.SoftLink("/group")

    return lambda: _by_file(write, "a.h5")


def _netcdf(engine: str) -> Callable[[], bytes]:
    da = xr.DataArray(VALUES, {"energy": ("energy", AXIS, {"units": "eV"})}, ("signal", "energy"), name="X")
    return lambda: _by_file(lambda path: da.to_netcdf(path, engine=engine), "a.nc")  # type: ignore[arg-type]


def _netcdf_classic() -> bytes:
    def write(path: Path) -> None:
        with netcdf_file(path, "w", mmap=False) as file:
            file.createDimension("signal", None)
            file.createDimension("energy", 9)
            file.createVariable("energy", "d", ("energy",))[:] = AXIS
            file.createVariable("X", "f", ("signal", "energy"))[:] = VALUES

    return _by_file(write, "a.nc")


def _mat(**options: Any) -> Callable[[], bytes]:
    content = {"X": VALUES, "x": AXIS, "note": "text"}
    more = {} if options.get("format") == "4" else {"s": {"a": 1.0}, "c": np.array([1, "b"], dtype=object)}
    return lambda: _by_file(lambda path: savemat(path, content | more, **options), "a.mat")


@cache
def models() -> tuple[bytes, ...]:
    """A small fitted model of every kind, as files."""
    X, truth = ss.synthetic.article(n=40, seed=0)
    images = np.random.default_rng(0).normal(size=(24, 8, 9)) + 5 * np.eye(8, 9)
    small: dict[str, Any] = {"epochs": 1, "width": 4}
    labels = np.arange(40) % 2
    fitted = (
        ss.ShiftVAE(**small).fit(X),
        ss.ShiftVAE(**small, warps=(), decoder="coordinate").fit(X, condition=truth["width"].values),
        ss.ShiftVAEClassifier(**small).fit(X.values, labels),
        ss.ImageVAE(**small).fit(images),
        ss.ImageVAE(**small, encoder="conv", warps=("scale",), decoder="coordinate").fit(images),
        ss.VED(**small, n_starts=2).fit(images, X[:24]),
        ss.VED(**small, n_starts=1, encoder="conv").fit(images, X.values[:24]),
    )
    return tuple(_by_file(model.save, "m") for model in fitted)


def _zarr(version: int) -> Callable[[], bytes]:
    """A store in an archive; for the fuzzer that of a folder too, which is unpacked before it is read."""

    def write(path: Path) -> None:
        folder = path.with_name("a.zarr")
        store = xr.Dataset({"X": (("signal", "energy"), VALUES), "energy": AXIS})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store.to_zarr(folder, zarr_format=version, consolidated=False)  # type: ignore[call-overload]
        with zipfile.ZipFile(path, "w") as archive:
            for part in sorted(folder.rglob("*")):
                if part.is_file():
                    archive.write(part, part.relative_to(folder).as_posix())

    return lambda: _by_file(write, "a.zip")


def _jcamp() -> bytes:
    import jcamp

    words = {"title": "one", "xunits": "1/CM", "yunits": "ABSORBANCE", "x": np.arange(400.0, 409.0)}
    return "".join(jcamp.write(words | {"y": row}) for row in VALUES).encode()


def _wdf() -> bytes:
    """By the layout in Renishaw's library: head, spectra, axis and places of a series."""
    import wdf.wdf

    n, length = VALUES.shape
    head = (0x31464457, 1, 512, 0, b"", 0, 0, length, n, n, 2, 1, length, 1, b"WiRE", 5, 1, 0, 0, 2, 2)
    head += (127748948910000000, 127748951350000000, 6, 18797.0, b"someone", b"series")
    axis = struct.pack("<II", 19, 1) + AXIS[::-1].astype("<f4").tobytes()
    places = struct.pack("<III16s", 1, 3 | 0x80000000, 5, b"X") + np.arange(float(n)).astype("<f8").tobytes()
    blocks = ((b"DATA", VALUES.astype("<f4").tobytes()), (b"XLST", axis), (b"ORGN", places))
    packed = [struct.pack("<4sIQ", kind, 0, 16 + len(content)) + content for kind, content in blocks]
    return struct.pack(wdf.wdf.WdfHeader._PACKSTR, *head) + b"".join(packed)


def _rosetta(module: str, ending: str) -> Callable[[], bytes]:
    """A map by a writer of RosettaSciIO."""

    def write(path: Path) -> None:
        shape = {"y": 2, "x": 3, "energy": 9}
        axes = [
            {"_type": "UniformDataAxis", "name": name, "units": "eV" if name == "energy" else "nm",
             "navigate": name != "energy", "size": size, "offset": 1.0, "scale": 0.5}
            for name, size in shape.items()
        ]  # fmt: skip
        about = {"General": {"title": "a map"}, "Signal": {"signal_type": "", "quantity": "Current (nA)"}}
        empty = ("original_metadata", "learning_results", "models", "tmp_parameters")
        told: dict[str, Any] = {"data": _MAP, "axes": axes, "metadata": about} | {name: {} for name in empty}
        told["package_info"] = {"package": "", "package_version": ""}
        told["attributes"] = {"_lazy": False, "ragged": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module(f"rsciio.{module}").file_writer(str(path), told)

    return lambda: _by_file(write, f"a{ending}")


# of what RosettaSciIO reads: formats it writes itself
ROSETTA: dict[str, tuple[Callable[[], bytes], ...]] = {
    ".hspy": (_rosetta("hspy", ".hspy"),),
    ".emd": (_rosetta("emd", ".emd"),),
    ".nxs": (_rosetta("nexus", ".nxs"),),
    ".sur": (_rosetta("digitalsurf", ".sur"),),
}

SEEDS: dict[str, tuple[Callable[[], bytes], ...]] = {
    ".npy": (lambda: _npy(VALUES), lambda: _npy(np.arange(60, dtype=np.int8).reshape(2, 5, 6))),
    ".npz": (lambda: _npz(np.savez), lambda: _npz(np.savez_compressed)),
    ".csv": (lambda: _text(","), lambda: _plain_text(";")),
    ".tsv": (lambda: _text("\t"),),
    ".txt": (lambda: _plain_text(" "), lambda: _text("\t")),
    ".csv.gz": (lambda: gzip.compress(_text(","), mtime=0),),
    ".tsv.gz": (lambda: gzip.compress(_text("\t"), mtime=0),),
    ".txt.gz": (lambda: gzip.compress(_plain_text(" "), mtime=0),),
    ".h5": (_hdf("earliest"), _hdf("latest"), _hdf("earliest", chunks=(2, 3), compression="gzip")),
    ".hdf5": (
        _hdf("earliest", chunks=(2, 3), shuffle=True, fletcher32=True),
        _hdf("earliest", scaleoffset=2),
    ),
    ".nc": (_netcdf("h5netcdf"), _netcdf("scipy"), _netcdf_classic),
    ".nc4": (_netcdf("h5netcdf"),),
    ".zarr": (_zarr(2), _zarr(3)),
    ".zarr.zip": (_zarr(2), _zarr(3)),
    ".jdx": (_jcamp,),
    ".dx": (_jcamp,),
    ".jcamp": (_jcamp,),
    ".wdf": (_wdf,),
    ".mat": (_mat(), _mat(do_compression=True), _mat(format="4"), _hdf("earliest")),
    **ROSETTA,
}


@cache
def seeds(ending: str) -> tuple[bytes, ...]:
    """Small valid files of an ending."""
    return models() if ending == MODEL else tuple(make() for make in SEEDS[ending])


def endings() -> list[str]:
    """All readers of the project's own, the files that RosettaSciIO writes, and model files."""
    return [*READERS, *ROSETTA, MODEL]
