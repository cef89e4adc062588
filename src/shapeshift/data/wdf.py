"""Renishaw's `.wdf`: spectra of a point, a series or a map, through the maker's own library."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import Want
from shapeshift.data.libraries import library, reading
from shapeshift.data.named import from_array
from shapeshift.errors import ShapeshiftError

_HEAD = 16  # bytes before the content of a block
_UNITS = {
    "RamanShift": "1/cm",
    "Wavenumber": "nm",  # so named in the library, whose comment says nm
    "Nanometre": "nm",
    "ElectronVolt": "eV",
    "Micron": "um",
    "Counts": "counts",
    "Electrons": "electrons",
    "Millimetres": "mm",
    "Metres": "m",
    "Kelvin": "K",
    "Pascal": "Pa",
    "Seconds": "s",
    "Milliseconds": "ms",
    "Microseconds": "us",
    "Hours": "h",
    "Days": "d",
    "Pixels": "pixel",
    "Degrees": "deg",
    "Radians": "rad",
    "Celcius": "degC",
    "Farenheit": "degF",
    "Volts": "V",
    "Amps": "A",
    "MilliAmps": "mA",
    "Ohms": "ohm",
}
_AXES = {"RamanShift": "Raman shift", "Nanometre": "wavelength", "ElectronVolt": "energy"}


def read(path: Path, want: Want) -> xr.DataArray:
    """The spectra in a WDF file: a map with its positions where they are the nodes of one, else a stack.

    Raises
    ------
    ShapeshiftError
        If the file is damaged, or its spectra lie on different axes.
    """
    wdf = library("wdf.wdf", path.name)
    with reading(path.name, "WDF file"):
        _check_blocks(path)
        with wdf.Wdf(str(path)) as file:
            return _read(wdf, file, path, want)


def _check_blocks(path: Path) -> None:
    """Every block begins where the one before ends; the library would follow a chain that runs in circles."""
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        if file.read(4) != b"WDF1":
            raise ValueError("no WDF file")
        while position + _HEAD <= size:
            file.seek(position)
            _, _, length = struct.unpack("<IIQ", file.read(_HEAD))
            if not _HEAD <= length <= size - position:
                raise ValueError(f"a block of {length} bytes at {position}")
            position += length
    if position != size:
        raise ValueError(f"{size - position} bytes behind the last block")


def _read(wdf: Any, file: Any, path: Path, want: Want) -> xr.DataArray:
    head, notes = file.hdr, []
    if head.flags & (wdf.WdfFlags.XYXY | wdf.WdfFlags.Multitrack):
        raise ShapeshiftError(
            f"{path.name}: got spectra on an axis each, needed one axis: export them on a common one"
        )
    if head.xlistcount != head.npoints:
        raise ValueError(f"{head.npoints} samples on an axis of {head.xlistcount}")
    values = _spectra(wdf, file, path)
    if head.ncollected < head.nspectra:
        notes.append(f"{head.ncollected} of {head.nspectra} spectra were collected")
    along = file.xlist()
    name = _AXES.get(along.units.name, "x")
    axis = (name, np.array(along), {"units": _UNITS.get(along.units.name, "")})
    X = xr.DataArray(
        values,
        dims=("signal", name),
        coords={name: axis, **_places(wdf, file, len(values))},
        attrs={"units": _UNITS.get(head.units.name, "")},
    )
    X = _as_map(X, file, notes) if head.type_ == wdf.WdfType.Map else X
    about = _about(head)
    return from_array(X, want, source=path.name, reader="wdf", notes=notes, metadata=about, own=(name,))


def _spectra(wdf: Any, file: Any, path: Path) -> NDArray[np.float32]:
    """All spectra (collected, samples)."""
    block, position = file.find_section(wdf.WdfBlockId.DATA)
    n, length = file.hdr.ncollected, file.hdr.npoints
    if n > file.hdr.nspectra or 4 * n * length > block.size - _HEAD:
        raise ValueError(f"{block.size} bytes that claim to be {n} spectra of {length} samples")
    return np.fromfile(path, "<f4", n * length, offset=position + _HEAD).reshape(n, length)


def _places(wdf: Any, file: Any, n: int) -> dict[str, Any]:
    """Where each spectrum was measured: x, y, z; or time, temperature and so on of a series."""
    block, _ = file.find_section(wdf.WdfBlockId.ORIGIN)
    if block.size < 20 + file.hdr.origincount * (24 + 8 * file.hdr.nspectra):
        raise ValueError(f"{file.hdr.origincount} lists of positions in {block.size} bytes")
    names = {"Spatial_X": "x", "Spatial_Y": "y", "Spatial_Z": "z"}
    found: dict[str, Any] = {}
    for kind, origin in file.origins.items():
        units = origin.dataunit.name
        if (
            units != "FileTime"
            and kind.name not in ("Flags", "Checksum")
            and (origin.is_primary or kind.name in names)
        ):
            values = np.array(origin[:n], dtype=float)
            found[names.get(kind.name) or origin.label or kind.name] = (
                "signal",
                values,
                {"units": _UNITS.get(units, "")},
            )
    return found


def _as_map(X: xr.DataArray, file: Any, notes: list[str]) -> xr.DataArray:
    """Spectra at the nodes of the map's area, in whatever order they were measured."""
    area = file.map_area
    columns, rows = max(area.count.x, 1), max(area.count.y, 1)
    if "x" not in X.coords or "y" not in X.coords or rows * columns != len(X) or max(area.count.z, 1) > 1:
        notes.append("the spectra are not at the nodes of a whole map: read as a stack with positions")
        return X
    i = _nodes(X.y.values, area.start.y, area.step.y, rows)
    j = _nodes(X.x.values, area.start.x, area.step.x, columns)
    order = np.argsort(i * columns + j, kind="stable")
    if not np.array_equal((i * columns + j)[order], np.arange(len(X))):
        notes.append("positions do not fit the map's area: read as a stack with positions")
        return X
    at = {
        n: (n, np.median(X[n].values[order].reshape(rows, columns), axis=k), X[n].attrs)
        for k, n in ((1, "y"), (0, "x"))
    }
    name = str(X.dims[-1])
    values = X.values[order].reshape(rows, columns, -1)
    return xr.DataArray(values, dims=("y", "x", name), coords={**at, name: X[name].variable}, attrs=X.attrs)


def _nodes(places: NDArray, start: float, step: float, count: int) -> NDArray[np.int64]:
    """The nearest node of each place; outside the area it is none, -1."""
    nodes = np.rint((places - start) / step if step else np.zeros(len(places))).astype(int)
    return np.where((nodes >= 0) & (nodes < count), nodes, -(10**9))


def _about(head: Any) -> dict[str, Any]:
    """What the head of the file tells of the measurement."""
    return {
        "title": head.title,
        "user": head.user,
        "application": f"{head.appname} {head.appversion}",
        "laser_wavenumber": head.laser_wavenumber,
        "accumulations": head.naccum,
        "type": head.type.name,
        "scan": head.scantype_,
        "start": head.time_start,
        "end": head.time_end,
    }
