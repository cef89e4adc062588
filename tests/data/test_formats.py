"""A file of each format, made with the format's own library, opens to the values, axes and units it holds."""

from __future__ import annotations

import json
import struct
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import jcamp
import numpy as np
import pytest
import rsciio
import wdf.wdf
import xarray as xr
import zarr
from rsciio.hspy import file_writer as write_hspy
from rsciio.msa import file_writer as write_msa

import shapeshift as ss
from shapeshift.data import libraries, rosetta
from shapeshift.data.metadata import plain, unpacked
from shapeshift.errors import ShapeshiftError

SAMPLES = Path(__file__).parent / "samples"
ENERGY = np.linspace(10.0, 22.4, 32)
UNEVEN = np.linspace(3.0, 5.0, 32) ** 2
Y, X = np.array([0.0, 0.5, 1.0]), np.array([2.0, 2.25, 2.5, 2.75])
VALUES = np.random.default_rng(0).normal(size=(3, 4, 32))


def same(da: xr.DataArray, values: np.ndarray, **axes: tuple[np.ndarray, str]) -> None:
    """Values, names of dimensions, axes and units, all of them exactly."""
    np.testing.assert_array_equal(da.values, values)
    assert da.dims == tuple(axes)
    for name, (along, units) in axes.items():
        np.testing.assert_array_equal(da[name].values, along)
        assert da[name].attrs["units"] == units


def made() -> xr.DataArray:
    """A map with coordinates, units and metadata."""
    coords = {
        "y": ("y", Y, {"units": "um"}),
        "x": ("x", X, {"units": "um"}),
        "energy": ("energy", ENERGY, {"units": "eV"}),
        "temperature": (("y", "x"), VALUES[..., 0], {"units": "K"}),
    }
    attrs = {"units": "counts", "long_name": "intensity", "operator": "someone"}
    return xr.DataArray(VALUES, dims=("y", "x", "energy"), coords=coords, attrs=attrs, name="spectra")


def as_made(da: xr.DataArray) -> None:
    same(da, VALUES, y=(Y, "um"), x=(X, "um"), energy=(ENERGY, "eV"))
    np.testing.assert_array_equal(da["temperature"].values, VALUES[..., 0])
    assert (da["temperature"].dims, da["temperature"].attrs["units"]) == (("y", "x"), "K")
    assert (da.attrs["units"], da.attrs["long_name"]) == ("counts", "intensity")
    assert unpacked(da.attrs)["operator"] == "someone"


# --- Zarr and NetCDF


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_as_xarray_writes_it(tmp_path: Path, version: int) -> None:
    made().to_dataset().to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False)
    as_made(ss.open(tmp_path / "a.zarr"))


def test_zarr_with_a_time_axis(tmp_path: Path) -> None:
    stamps = np.arange("2024-05-01T00:00", "2024-05-01T16:00", 30, dtype="datetime64[m]").astype("M8[ns]")
    da = xr.DataArray(VALUES[0], dims=("station", "time"), coords={"time": stamps}, name="level")
    clock = {"time": {"units": "seconds since 2024-05-01", "dtype": "i8"}}
    da.to_dataset().to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False, encoding=clock)
    back = ss.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(back["time"].values, np.arange(32) * 1800.0)
    assert back["time"].attrs == {"units": "seconds", "since": "2024-05-01"}


def test_zarr_in_an_archive(tmp_path: Path) -> None:
    made().to_dataset().to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
        for file in sorted((tmp_path / "a.zarr").rglob("*")):
            archive.write(file, file.relative_to(tmp_path / "a.zarr"))
    as_made(ss.open(tmp_path / "a.zarr.zip"))


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_of_plain_arrays(tmp_path: Path, version: int) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    group.create_array("scan/counts", data=VALUES.reshape(12, 32), chunks=(5, 7)).attrs["units"] = "counts"
    group.create_array("scan/energy", data=ENERGY).attrs["units"] = "eV"
    da = ss.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(da.values, VALUES.reshape(12, 32))
    np.testing.assert_array_equal(da["energy"].values, ENERGY)
    assert (da["energy"].attrs["units"], da.attrs["units"]) == ("eV", "counts")


def test_zarr_of_one_array_with_names(tmp_path: Path) -> None:
    names = ("energy", "point")
    zarr.create_array(tmp_path / "a.zarr", data=VALUES[0].T, dimension_names=names)
    da = ss.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(da.values, VALUES[0])
    assert da.dims == ("point", "sample")
    zarr.create_array(tmp_path / "b.zarr", data=VALUES)
    np.testing.assert_array_equal(ss.open(tmp_path / "b.zarr").values, VALUES)


def test_netcdf_with_packed_numbers_missing_ones_and_a_time_axis(tmp_path: Path) -> None:
    stamps = np.arange("2024-05-01T00:00", "2024-05-01T16:00", 30, dtype="datetime64[m]").astype("M8[ns]")
    values = np.round(VALUES[0], 2)
    values[1, 3] = np.nan
    da = xr.DataArray(values, dims=("station", "time"), coords={"time": stamps}, name="level")
    packing = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 1.0, "_FillValue": -32768}
    clock = {"units": "seconds since 2024-05-01", "dtype": "i8"}
    da.assign_attrs(units="m").to_netcdf(
        tmp_path / "a.nc", engine="h5netcdf", encoding={"level": packing, "time": clock}
    )
    back = ss.open(tmp_path / "a.nc")
    np.testing.assert_allclose(back.values, values, atol=1e-12)
    np.testing.assert_array_equal(back["time"].values, np.arange(32) * 1800.0)
    assert back["time"].attrs == {"units": "seconds", "since": "2024-05-01"}
    assert back.attrs["units"] == "m"


def test_netcdf_keeps_what_else_is_known_of_every_signal(tmp_path: Path) -> None:
    made().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    as_made(ss.open(tmp_path / "a.nc"))


# --- JCAMP-DX


def spectrum(y: np.ndarray, **more: Any) -> dict[str, Any]:
    """What jcamp's writer wants."""
    return {
        "title": "one",
        "xunits": "1/CM",
        "yunits": "ABSORBANCE",
        "x": np.arange(400.0, 432.0),
        "y": y,
    } | more


def jdx(path: Path, *spectra: dict[str, Any]) -> Path:
    """Blocks written by jcamp, one after the other."""
    path.write_text("".join(jcamp.write(s) for s in spectra))
    return path


def test_jcamp_of_one_spectrum(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    y = np.round(VALUES[0, 0], 4)
    path = jdx(tmp_path / "a.jdx", spectrum(y))
    da = ss.open(path, single=True)
    theirs = jcamp.readfile(str(path))
    np.testing.assert_array_equal(da.values, theirs["y"][None])
    np.testing.assert_array_equal(da["wavenumber"].values, theirs["x"])
    assert (da["wavenumber"].attrs["units"], da.attrs["units"]) == ("1/CM", "ABSORBANCE")
    assert unpacked(da.attrs)["title"] == "one"
    with pytest.raises(ShapeshiftError, match="one signal"):
        ss.open(path)


@pytest.mark.parametrize("linked", [False, True])
def test_jcamp_of_several_blocks(tmp_path: Path, linked: bool) -> None:
    blocks = [spectrum(np.round(y, 4), title=f"leaf {k}") for k, y in enumerate(VALUES[0])]
    path = jdx(tmp_path / "a.dx", *blocks)
    if linked:
        path.write_text(f"##TITLE=all\n##DATA TYPE=LINK\n##BLOCKS=4\n{path.read_text()}##END=\n")
    da = ss.open(path)
    np.testing.assert_allclose(da.values, np.round(VALUES[0], 4), rtol=1e-12)
    assert list(da["signal"].values) == ["leaf 0", "leaf 1", "leaf 2", "leaf 3"]
    assert da["wavenumber"].attrs["units"] == "1/CM"


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"x": np.arange(500.0, 532.0)}, "block 2 .'two'. on 32 samples from 500 to 531 1/CM"),
        ({"xunits": "NANOMETERS"}, "NANOMETERS"),
        ({"x": np.arange(400.0, 430.0), "y": VALUES[0, 1, :30]}, "30 samples"),
    ],
)
def test_jcamp_on_different_axes_is_refused(tmp_path: Path, change: dict, needed: str) -> None:
    path = jdx(tmp_path / "a.jdx", spectrum(VALUES[0, 0]), spectrum(VALUES[0, 1], title="two") | change)
    with pytest.raises(ShapeshiftError, match=needed):
        ss.open(path)


HEAD = "##TITLE=t\n##XUNITS=HZ\n##FIRSTX=0\n##LASTX={last}\n##NPOINTS={n}\n##YFACTOR=0.5\n"
# the same numbers in every form of the standard's own example (McDonald and Wilks 1988, table VII)
FORMS = {
    "AFFN": "0 1 2 3 3 2 1 0 -1 -2 -3",
    "PAC": "0+1+2+3+3+2+1+0-1-2-3",
    "SQZ": "0ABCCBA@abc",
    "DIF": "0AJJ%jjjjjj",
    "DIFDUP": "0AJT%jX",
}
NUMBERS = [1, 2, 3, 3, 2, 1, 0, -1, -2, -3]


def _without_points(head: str, body: str) -> str:
    return head.replace("##NPOINTS={n}\n", "") if "NPOINTS=" in body else head


@pytest.mark.parametrize("form", FORMS)
def test_jcamp_in_every_form_of_the_standard(tmp_path: Path, form: str) -> None:
    text = HEAD.format(last=9, n=10) + f"##XYDATA=(X++(Y..Y)) $$ {form}\n{FORMS[form]}\n##END=\n"
    (tmp_path / "a.jdx").write_text(text + text)
    np.testing.assert_array_equal(ss.open(tmp_path / "a.jdx").values, np.array([NUMBERS] * 2) * 0.5)


def test_jcamp_repeats_of_two_digits_and_the_check_between_lines(tmp_path: Path) -> None:
    block = HEAD.format(last=24, n=25) + "##XYDATA=(X++(Y..Y))\n0A%S9J\n20BJJJJ\n##END=\n"
    (tmp_path / "a.jdx").write_text(block * 2)
    known = [1.0] * 20 + [2.0, 3.0, 4.0, 5.0, 6.0]
    np.testing.assert_array_equal(ss.open(tmp_path / "a.jdx").values[0], 0.5 * np.array(known))
    (tmp_path / "b.jdx").write_text(block.replace("20BJ", "20CJ") * 2)
    with pytest.raises(ShapeshiftError, match="got 3 where the line before ends in 2"):
        ss.open(tmp_path / "b.jdx")


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ("##XYDATA=(X++(Y..Y))\n0 1 2 3\n", "got 3 samples, needed the 10"),
        ("##XYDATA=(X++(Y..Y))\n0 1 2 3;#\n", "'#'"),
        ("##XYDATA=(X++(Y..Y))\n0A%S99999999\n", "more samples than NPOINTS"),
        ("##XYDATA=(X++(Y..Y))\n0AJ?J\n", "squeezed numbers"),
        ("##XYPOINTS=(XY..XY)\n0,1; 2,3; 4\n", "5 numbers"),
        ("##NTUPLES=NMR FID\n##VAR_NAME=R,I\n", "NTUPLES"),
        ("##NOTHING=\n", "no block of spectra"),
        ("##NPOINTS=1e12\n##XYDATA=(X++(Y..Y))\n0A%S999999999999\n", "fill the memory"),
        ("##NPOINTS=1e400\n##XYDATA=(X++(Y..Y))\n0A\n", "damaged"),
        (f"##XYDATA=(X++(Y..Y))\n0A%S{'9' * 5000}\n", "damaged"),
    ],
)
def test_jcamp_that_is_damaged_or_of_another_kind(tmp_path: Path, body: str, needed: str) -> None:
    (tmp_path / "a.jdx").write_text(
        (_without_points(HEAD, body).format(last=9, n=10) + body + "##END=\n") * 2
    )
    with pytest.raises(ShapeshiftError, match=needed):
        ss.open(tmp_path / "a.jdx")


def test_jcamp_of_points_keeps_an_uneven_axis_and_missing_values(tmp_path: Path) -> None:
    points = "\n".join(f"{x!r}, {y!r}" for x, y in zip(UNEVEN.tolist(), VALUES[0, 0].tolist(), strict=True))
    text = f"##TITLE=t\n##XUNITS=S\n##XYPOINTS=(XY..XY)\n{points.rpartition(',')[0]}, ?\n##END=\n"
    (tmp_path / "a.jdx").write_text(text * 2, encoding="latin-1")
    da = ss.open(tmp_path / "a.jdx")
    np.testing.assert_array_equal(da["x"].values, UNEVEN)
    np.testing.assert_array_equal(da.values[0], [*VALUES[0, 0, :-1], np.nan])


# --- Renishaw


def wdf_block(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sIQ", kind, 0, 16 + len(content)) + content


def wdf_bytes(
    values: np.ndarray, x: np.ndarray, y: np.ndarray, area: tuple, collected: int | None = None
) -> bytes:
    """A map by the layout in Renishaw's library: head, spectra, axis, positions, area."""
    n, length = values.shape
    head = struct.pack(
        wdf.wdf.WdfHeader._PACKSTR,
        *(
            0x31464457,
            1,
            512,
            0,
            b"",
            0,
            0,
            length,
            n,
            n if collected is None else collected,
            3,
            1,
            length,
            2,
        ),
        *(b"WiRE", 5, 1, 0, 0, 2, 3, 127748948910000000, 127748951350000000, 6, 18797.0),
        *(b"someone", "Müller's map".encode()),
    )
    axis = np.linspace(900, 100, length).astype("<f4")
    origins = b"".join(
        struct.pack("<II16s", kind | 0x80000000, 5, name) + places.astype("<f8").tobytes()
        for kind, name, places in ((3, b"X", x), (4, b"Y", y))
    )
    (x0, dx, columns), (y0, dy, rows) = area
    place = struct.pack("<II6f3LI", 0, 0, x0, y0, 0, dx, dy, 0, columns, rows, 1, 0)
    return b"".join([
        head,
        wdf_block(b"DATA", values.astype("<f4").tobytes()),
        wdf_block(b"XLST", struct.pack("<II", 19, 1) + axis.tobytes()),
        wdf_block(b"ORGN", struct.pack("<I", 2) + origins),
        wdf_block(b"WMAP", place),
    ])  # fmt: skip


COLUMNS, ROWS = np.tile([1.0, 1.5, 2.0, 2.5], 3), np.repeat([5.0, 3.0, 1.0], 4)
AREA = ((1.0, 0.5, 4), (5.0, -2.0, 3))


def test_renishaw_map_in_the_order_of_its_positions(tmp_path: Path) -> None:
    snake = np.concatenate([np.arange(4), np.arange(4)[::-1] + 4, np.arange(4) + 8])
    values = VALUES.reshape(12, 32)
    (tmp_path / "a.wdf").write_bytes(wdf_bytes(values[snake], COLUMNS[snake], ROWS[snake], AREA))
    with wdf.wdf.Wdf(str(tmp_path / "a.wdf")) as theirs:
        assert theirs.hdr.title == "Müller's map"
        np.testing.assert_array_equal(np.array(theirs[:]), values[snake].astype("f4"))
        axis = np.array(theirs.xlist())
    da = ss.open(tmp_path / "a.wdf")
    places = {"y": (np.array([5.0, 3.0, 1.0]), "um"), "x": (np.array([1.0, 1.5, 2.0, 2.5]), "um")}
    same(da, values.astype("f4").reshape(3, 4, 32), **places, **{"Raman shift": (axis, "1/cm")})
    about = unpacked(da.attrs)
    assert (da.attrs["units"], about["title"], about["laser_wavenumber"]) == (
        "counts",
        "Müller's map",
        18797.0,
    )


def test_renishaw_map_that_was_stopped_is_a_stack_with_positions(tmp_path: Path) -> None:
    (tmp_path / "a.wdf").write_bytes(wdf_bytes(VALUES.reshape(12, 32), COLUMNS, ROWS, AREA, collected=7))
    da = ss.open(tmp_path / "a.wdf")
    np.testing.assert_array_equal(da.values, VALUES.reshape(12, 32)[:7].astype("f4"))
    np.testing.assert_array_equal(da["x"].values, COLUMNS[:7])
    assert "7 of 12 spectra" in da.attrs["notes"]


def test_renishaw_blocks_that_run_in_circles_or_out_of_the_file(tmp_path: Path) -> None:
    whole = wdf_bytes(VALUES.reshape(12, 32), COLUMNS, ROWS, AREA)
    at = 512 + 8  # the length of the first block behind the head
    for length in (0, 8, 2**40):
        (tmp_path / "a.wdf").write_bytes(whole[:at] + struct.pack("<Q", length) + whole[at + 8 :])
        with pytest.raises(ShapeshiftError, match=r"a\.wdf: got a damaged file"):
            ss.open(tmp_path / "a.wdf")
    for kept in (len(whole) - 5, 700, 100, 3):
        (tmp_path / "a.wdf").write_bytes(whole[:kept])
        with pytest.raises(ShapeshiftError, match=r"a\.wdf: got a damaged file"):
            ss.open(tmp_path / "a.wdf")


# --- NSID and USID, by their own libraries: see samples/make.py


@pytest.mark.parametrize(("name", "dims"), [("nsid", ("y", "x", "bias")), ("usid", ("Y", "X", "Bias"))])
def test_nsid_and_usid(name: str, dims: tuple[str, str, str]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 16)).astype("f4")
    precision = "f4" if name == "usid" else "f8"  # USID keeps axes in single precision
    axes = [([0.0, 0.5, 1.5], "nm"), (np.arange(10.0, 14.0) / 4, "nm"), (np.linspace(-3, 3, 16), "V")]
    da = ss.open(SAMPLES / f"{name}.h5")
    same(
        da,
        values,
        **{d: (np.array(along, precision), units) for d, (along, units) in zip(dims, axes, strict=True)},
    )
    assert (da.attrs["units"], da.attrs["long_name"].lower(), da.attrs["reader"]) == ("nA", "current", name)
    if name == "nsid":
        assert unpacked(da.attrs)["metadata.tip"] == "Pt"


def test_usid_in_any_order_and_not_on_a_grid(tmp_path: Path) -> None:
    """Positions may be stored in any order; where some are missing there is no map."""
    path = tmp_path / "a.h5"
    path.write_bytes((SAMPLES / "usid.h5").read_bytes())
    known = ss.open(path)
    with h5py.File(path, "a") as file:
        group = file["Measurement_000/Channel_000"]
        order = np.random.default_rng(1).permutation(12)
        for name in ("Raw_Data", "Position_Indices", "Position_Values"):
            group[name][...] = group[name][()][order]
    xr.testing.assert_identical(ss.open(path), known)
    with h5py.File(path, "a") as file:
        file["Measurement_000/Channel_000/Position_Indices"][0] = [77, 0]
    with pytest.raises(ShapeshiftError, match="not at the nodes of a grid"):
        ss.open(path)


def test_nsid_says_which_dimension_is_the_signals(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["m/main"] = VALUES[0].T
        file["m/main"].attrs.update(units="V", quantity="response", data_type="SPECTRUM")
        for k, (name, along, kind) in enumerate([("d", ENERGY, "SPECTRAL"), ("spot", X, "SPATIAL")]):
            file[f"m/{name}"] = along
            file[f"m/{name}"].make_scale(name)
            file[f"m/{name}"].attrs.update(name=name, units="u", quantity=name, dimension_type=kind)
            file["m/main"].dims[k].attach_scale(file[f"m/{name}"])
    same(ss.open(tmp_path / "a.h5"), VALUES[0], spot=(X, "u"), d=(ENERGY, "u"))


# --- RosettaSciIO


def signal(data: np.ndarray, *axes: dict[str, Any], **general: Any) -> dict[str, Any]:
    """What RosettaSciIO's writers want."""
    kinds = [{"_type": "DataAxis" if "axis" in a else "UniformDataAxis", **a} for a in axes]
    about = {"quantity": "Current (nA)", "signal_type": ""}
    empty: dict[str, Any] = {
        name: {} for name in ("original_metadata", "learning_results", "models", "tmp_parameters")
    }
    return empty | {
        "data": data,
        "axes": kinds,
        "metadata": {"General": {"title": "a map"} | general, "Signal": about},
        "attributes": {"_lazy": False, "ragged": False},
        "package_info": {"package": "", "package_version": ""},
    }


def even(name: str, along: np.ndarray, units: str, navigate: bool) -> dict[str, Any]:
    scale = float(along[1] - along[0])
    told = {"name": name, "units": units, "navigate": navigate, "size": len(along)}
    return told | {"offset": float(along[0]), "scale": scale}


def full(name: str, along: np.ndarray, units: str, navigate: bool) -> dict[str, Any]:
    return {"name": name, "units": units, "navigate": navigate, "axis": along}


def as_zspy(path: Path) -> Path:
    """The same tree as Zarr; RosettaSciIO 0.15 reads it with zarr 3, but writes it with zarr 2 only."""
    root = zarr.open_group(path.with_suffix(".zspy"), mode="w", zarr_format=2)

    def copy(name: str, item: Any) -> None:
        new = (
            root.create_array(name, data=item[()])
            if isinstance(item, h5py.Dataset)
            else root.create_group(name)
        )
        new.attrs.update({k: v.item() if hasattr(v, "item") else v for k, v in item.attrs.items()})

    with h5py.File(path) as file:
        root.attrs.update({k: str(v) for k, v in file.attrs.items()})
        file.visititems(copy)
    return path.with_suffix(".zspy")


@pytest.mark.parametrize("packed", [False, True])
def test_hyperspys_own_files(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.hspy"
    axes = (even("y", Y, "um", True), even("x", X, "um", True), full("energy", UNEVEN, "eV", False))
    write_hspy(str(path), signal(VALUES, *axes))
    da = ss.open(as_zspy(path) if packed else path)
    same(da, VALUES, y=(Y, "um"), x=(X, "um"), energy=(UNEVEN, "eV"))
    assert (da.attrs["units"], da.attrs["long_name"]) == ("nA", "Current")
    assert unpacked(da.attrs)["General.title"] == "a map"


def test_hyperspys_file_with_the_signal_axis_in_front(tmp_path: Path) -> None:
    write_hspy(
        str(tmp_path / "a.hspy"),
        signal(VALUES[0].T, full("e", ENERGY, "eV", False), even("x", X, "um", True)),
    )
    same(ss.open(tmp_path / "a.hspy"), VALUES[0], x=(X, "um"), e=(ENERGY, "eV"))


def test_images_of_hyperspy_are_images(tmp_path: Path) -> None:
    stack = np.random.default_rng(1).normal(size=(5, 6, 8))
    side = np.arange(6) * 0.5, np.arange(8) * 0.5
    axes = (
        even("t", np.arange(5.0), "s", True),
        even("row", side[0], "nm", False),
        even("col", side[1], "nm", False),
    )
    write_hspy(str(tmp_path / "a.hspy"), signal(stack, *axes))
    da = ss.open(tmp_path / "a.hspy", kind="image")
    same(da, stack, t=(np.arange(5.0), "s"), row=(side[0], "nm"), col=(side[1], "nm"))
    with pytest.raises(ShapeshiftError, match=r"got images over 'row', 'col'.*--kind image"):
        ss.open(tmp_path / "a.hspy")


def test_signals_of_hyperspy_are_no_images(tmp_path: Path) -> None:
    write_hspy(
        str(tmp_path / "a.hspy"), signal(VALUES[0], even("x", X, "um", True), full("e", ENERGY, "eV", False))
    )
    with pytest.raises(ShapeshiftError, match=r"got signals along 'e'"):
        ss.open(tmp_path / "a.hspy", kind="image")


def test_emsa_as_rosettasciio_writes_it(tmp_path: Path) -> None:
    axis = even("Energy", np.arange(32) * 0.5, "eV", False)
    write_msa(str(tmp_path / "a.msa"), signal(np.round(VALUES[0, 0], 3), axis))
    da = ss.open(tmp_path / "a.msa", single=True)
    np.testing.assert_array_equal(da.values, np.round(VALUES[0, 0], 3)[None])
    np.testing.assert_array_equal(da[da.dims[-1]].values, np.arange(32) * 0.5)
    assert da[da.dims[-1]].attrs["units"] == "eV"


@pytest.mark.parametrize(
    ("ending", "module", "steps"),
    [("emd", "emd", 0), ("rpl", "ripple", 0), ("nxs", "nexus", 0), ("sur", "digitalsurf", 2**22)],
)
def test_maps_of_other_makers_as_rosettasciio_writes_them(
    tmp_path: Path, ending: str, module: str, steps: int
) -> None:
    energy = np.arange(VALUES.shape[2]) * 0.5 + 100
    axes = (even("y", Y, "um", True), even("x", X, "um", True), even("Energy", energy, "eV", False))
    path = tmp_path / f"a.{ending}"
    values = VALUES if steps else VALUES.astype(np.float32)
    import_module(f"rsciio.{module}").file_writer(str(path), signal(values, *axes))
    da = ss.open(path)
    assert da.dims == ("y", "x", "Energy")
    error = np.ptp(values) / steps if steps else 0.0  # surfaces are stored in so many steps
    np.testing.assert_allclose(da.values, values, rtol=0, atol=error)
    for name, along, units in (("y", Y, "um"), ("x", X, "um"), ("Energy", energy, "eV")):
        np.testing.assert_allclose(da[name].values, along, rtol=1e-6)
        assert da[name].attrs["units"].replace("µ", "u") == units


def test_a_file_of_several_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    axes = (even("x", X, "um", True), full("e", ENERGY, "eV", False))
    write_hspy(str(path), signal(VALUES[0], *axes, title="up"))
    with h5py.File(path, "a") as file:
        file.copy("Experiments/up", "Experiments/down")
        file["Experiments/down/data"][...] = VALUES[1]
        file["Experiments/down/metadata/General"].attrs["title"] = "down"
    with pytest.raises(ShapeshiftError, match=r"several arrays.*'down'.*'up'|several arrays.*'up'.*'down'"):
        ss.open(path)
    np.testing.assert_array_equal(ss.open(path, array="down").values, VALUES[1])


def test_complex_numbers_are_refused_in_every_format(tmp_path: Path) -> None:
    values = VALUES[0] * 1j
    axes = (even("x", X, "um", True), full("e", ENERGY, "eV", False))
    write_hspy(str(tmp_path / "a.hspy"), signal(values, *axes))
    zarr.create_array(tmp_path / "a.zarr", data=values)
    for name in ("a.hspy", "a.zarr"):
        with pytest.raises(ShapeshiftError, match="complex numbers"):
            ss.open(tmp_path / name)


def test_an_axis_told_by_a_formula_is_refused(tmp_path: Path) -> None:
    told = {"_type": "FunctionalDataAxis", "name": "e", "units": "eV", "navigate": False, "size": 32}
    X_axis = even("x", np.arange(32.0), "", False) | {"_type": "UniformDataAxis"}
    axes = (even("x", X, "um", True), told | {"expression": "a / x", "parameters": {"a": 1.0}, "x": X_axis})
    path = tmp_path / "a.hspy"
    described = signal(VALUES[0], *axes)
    described["axes"][1]["_type"] = "FunctionalDataAxis"
    write_hspy(str(path), described)
    with pytest.raises(ShapeshiftError, match="told by a formula"):
        ss.open(path)


# --- what is missing, and what means harm


def test_every_ending_of_rosettasciio_is_known_but_those_that_run_code() -> None:
    taken = set(rosetta.endings())
    assert {".dm3", ".dm4", ".hspy", ".zspy", ".msa", ".emd", ".bcf", ".ser", ".blo", ".sur"} <= taken
    by_name = {p["name"]: {"." + e.lower() for e in p["file_extensions"]} for p in rsciio.IO_PLUGINS}
    assert ".mrcz" in by_name["MRCZ"] - taken  # unpickles
    assert not any(
        "rsciio.netcdf" in modules for modules in rosetta._plugins().values()
    )  # evaluates text of the file


def test_without_the_packages_one_sentence_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name=name)

    monkeypatch.setattr(libraries, "import_module", missing)
    monkeypatch.setattr(rosetta, "import_module", missing)
    monkeypatch.setattr(rosetta, "_plugins", rosetta._plugins.__wrapped__)
    (tmp_path / "a.zarr").mkdir()
    for name in ("a.wdf", "a.dm3"):
        (tmp_path / name).write_bytes(b"x" * 100)
    for name in ("a.zarr", "a.wdf", "a.dm3"):
        with pytest.raises(ShapeshiftError, match=r"pip install 'shapeshift\[formats\]'"):
            ss.open(tmp_path / name)


@pytest.mark.parametrize("modules", [["digitalmicrograph", "hspy"], ["hspy", "digitalmicrograph"]])
def test_an_ending_that_two_makers_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, modules: list[str]
) -> None:
    assert len(rosetta._plugins()[".img"]) == 2
    monkeypatch.setattr(rosetta, "_plugins", lambda: {".two": [f"rsciio.{name}" for name in modules]})
    axes = (even("x", X, "um", True), full("e", ENERGY, "eV", False))
    write_hspy(str(tmp_path / "a.hspy"), signal(VALUES[0], *axes))
    same(ss.open((tmp_path / "a.hspy").rename(tmp_path / "a.two")), VALUES[0], x=(X, "um"), e=(ENERGY, "eV"))


def test_a_package_that_a_format_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.wdf").write_bytes(b"WDF1")

    def missing(name: str) -> None:
        raise ImportError("no such thing", name="tifffile")

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(
        ShapeshiftError, match="needs the package 'tifffile', which is not installed: install it"
    ):
        ss.open(tmp_path / "a.wdf")


def document(folder: Path) -> Path:
    return next(
        path
        for path in folder.rglob("*")
        if path.name in (".zarray", "zarr.json") and b"shape" in path.read_bytes()
    )


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("codec", ["pickle", "spam"])
def test_zarr_is_never_unpickled(tmp_path: Path, version: int, codec: str) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=VALUES, zarr_format=version)
    told = json.loads(document(tmp_path).read_text())
    if version == 2:
        told["filters"] = [{"id": codec}]
    else:
        told["codecs"].append({"name": f"numcodecs.{codec}", "configuration": {}})
    document(tmp_path).write_text(json.dumps(told))
    with pytest.raises(ShapeshiftError, match=f"packed by .*{codec}"):
        ss.open(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_that_claims_terabytes(tmp_path: Path, version: int) -> None:
    zarr.create_array(
        tmp_path / "a.zarr", shape=(10**9, 1000), chunks=(1000, 1000), dtype="f8", zarr_format=version
    )
    with pytest.raises(ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.zarr")
    zarr.create_array(
        tmp_path / "b.zarr", shape=(8_000_000, 1), chunks=(1, 1), dtype="u1", zarr_format=version
    )
    with pytest.raises(ShapeshiftError, match="claim to be 8000000 chunks"):
        ss.open(tmp_path / "b.zarr")


def test_zarr_with_a_way_out(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=VALUES)
    (tmp_path / "secret").write_text("x")
    (tmp_path / "a.zarr" / "c" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ShapeshiftError, match="link or device"):
        ss.open(tmp_path / "a.zarr")


def test_hyperspys_file_with_a_way_out(tmp_path: Path) -> None:
    write_hspy(
        str(tmp_path / "a.hspy"), signal(VALUES[0], even("x", X, "um", True), full("e", ENERGY, "eV", False))
    )
    with h5py.File(tmp_path / "a.hspy", "a") as file:
        file["Experiments/out"] = h5py.ExternalLink("/etc/hostname", "/x")
    with pytest.raises(ShapeshiftError, match="a link into another file"):
        ss.open(tmp_path / "a.hspy")


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_half_a_file_is_refused(tmp_path: Path, kept: float) -> None:
    axes = (even("x", X, "um", True), full("e", ENERGY, "eV", False))
    write_hspy(str(tmp_path / "a.hspy"), signal(VALUES[0], *axes))
    jdx(tmp_path / "a.jdx", spectrum(VALUES[0, 0]), spectrum(VALUES[0, 1]))
    (tmp_path / "a.wdf").write_bytes(wdf_bytes(VALUES.reshape(12, 32), COLUMNS, ROWS, AREA))
    for path in sorted(tmp_path.iterdir()):
        data = path.read_bytes()
        path.write_bytes(data[: int(kept * len(data))])
        with pytest.raises(ShapeshiftError, match=path.name):
            ss.open(path)


def test_metadata_are_plain_bounded_and_obey_nobody() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(2000):
        inner["a"] = {}
        inner = inner["a"]
    told = plain(
        {"deep": deep, "esc": "\x1b]0;x\x07y", "long": "x" * 10_000, "many": {str(k): k for k in range(9999)}}
    )
    assert told["esc"] == "\ufffd]0;x\ufffdy"
    assert len(told) == 500
    assert len(str(told["long"])) == 300
    assert plain({"t": np.float32(0.5), "list": [1, 2], "nan": np.nan, "object": object()}) == {
        "t": 0.5, "list": "1, 2", "nan": "nan"
    }  # fmt: skip
