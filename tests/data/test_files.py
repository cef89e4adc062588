"""Every format gives back what its own library wrote: values, axis, units, map."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr

import shapeshift as ss

ENERGY = np.linspace(10.0, 22.4, 32)


def signals(n: int = 12, seed: int = 0) -> np.ndarray:
    """Peaks at random places, with noise: (n, 32)."""
    rng = np.random.default_rng(seed)
    centre, width = rng.uniform(13, 19, (n, 1)), rng.uniform(0.8, 2, (n, 1))
    return np.exp(-((ENERGY - centre) ** 2) / (2 * width**2)) + 0.02 * rng.normal(size=(n, 32))


def check(da: xr.DataArray, values: np.ndarray, *, name: str = "energy", units: str = "eV") -> None:
    """Values, axis and units as they were written."""
    np.testing.assert_array_equal(da.values, values)
    assert da.dims[-1] == name
    np.testing.assert_array_equal(da[name].values, ENERGY)
    assert da[name].attrs["units"] == units
    assert da[name].dtype == np.float64


# --- round trips: one writer a format


def test_npy_has_no_axis_and_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", signals())
    da = ss.open(tmp_path / "a.npy")
    np.testing.assert_array_equal(da.values, signals())
    assert da.dims == ("signal", "sample")
    np.testing.assert_array_equal(da["sample"].values, np.arange(32.0))
    assert "no axis found" in da.attrs["notes"]
    assert da.attrs["source"] == "a.npy"


def test_a_cube_is_a_map(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", signals().reshape(3, 4, 32))
    assert ss.open(tmp_path / "a.npy").dims == ("y", "x", "sample")


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=signals(), x=ENERGY, axis="energy, eV", label=np.arange(12))
    check(ss.open(tmp_path / "a.npz"), signals())


def test_npz_restores_a_map(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=signals(), x=ENERGY, axis="energy (eV)", map_shape=[3, 4])
    da = ss.open(tmp_path / "a.npz")
    check(da, signals().reshape(3, 4, 32))
    assert da.dims == ("y", "x", "energy")


@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "i2", "u1"])
def test_numbers_of_any_real_type_become_floats(tmp_path: Path, kind: str) -> None:
    values = (100 * np.abs(signals())).astype(kind)
    np.save(tmp_path / "a.npy", values)
    da = ss.open(tmp_path / "a.npy")
    assert da.dtype in (np.float32, np.float64)
    np.testing.assert_array_equal(da.values, values)


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    values = signals()
    values[2, 3] = np.nan
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(ss.open(tmp_path / "a.npy").values, values)


def test_hdf5_with_a_named_axis(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/counts"] = signals()
        file["scan/energy"] = ENERGY
        file["scan/energy"].attrs["units"] = "eV"
        file["other/energy"] = ENERGY + 1
    check(ss.open(tmp_path / "a.h5"), signals())


def test_hdf5_with_a_dimension_scale(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["counts"] = signals()
        file["of_it"] = ENERGY
        file["of_it"].attrs["units"] = "eV"
        file["x"] = np.arange(32.0)
        file["of_it"].make_scale("of_it")
        file["counts"].dims[1].attach_scale(file["of_it"])
    check(ss.open(tmp_path / "a.hdf5"), signals(), name="of_it")


def test_hdf5_with_signals_as_columns(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = signals().T
        file["energy"] = ENERGY
        file["energy"].attrs["units"] = "eV"
    da = ss.open(tmp_path / "a.h5")
    check(da, signals())
    assert "columns" in da.attrs["notes"]


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_netcdf(tmp_path: Path, engine: str) -> None:
    made = xr.DataArray(
        signals().reshape(3, 4, 32),
        dims=("row", "column", "energy"),
        coords={
            "energy": ("energy", ENERGY, {"units": "eV"}),
            "row": ("row", [0.5, 1.0, 1.5], {"units": "um"}),
        },
    )
    made.to_netcdf(tmp_path / "a.nc", engine=engine)
    da = ss.open(tmp_path / "a.nc")
    check(da, made.values)
    assert da.dims == made.dims
    xr.testing.assert_identical(da["row"], made["row"])


def test_netcdf_with_the_axis_in_front(tmp_path: Path) -> None:
    made = xr.DataArray(
        signals().T, dims=("energy", "n"), coords={"energy": ("energy", ENERGY, {"units": "eV"})}
    )
    made.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    check(ss.open(tmp_path / "a.nc"), signals())


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("turned", [False, True])
def test_matlab(tmp_path: Path, version: str, turned: bool) -> None:
    values = signals().T if turned else signals()
    axis = ENERGY[:, None] if turned else ENERGY[None]
    scipy.io.savemat(tmp_path / "a.mat", {"data": values, "energy": axis}, format=version)
    check(ss.open(tmp_path / "a.mat"), signals(), units="")


def test_matlab_7_3(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        for name, values in {"data": signals(), "energy": ENERGY[None]}.items():
            file[name] = values.T  # MATLAB counts the first dimension fastest
            file[name].attrs["MATLAB_class"] = np.bytes_(b"double")
        file["axis"] = np.array([[ord(c)] for c in "energy (eV)"], np.uint16)
        file["axis"].attrs["MATLAB_class"] = np.bytes_(b"char")
    check(ss.open(tmp_path / "a.mat"), signals())


# --- several arrays in a file


def several(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", up=signals(), down=2 * signals(), energy=ENERGY, nm=1240 / ENERGY)
    return tmp_path / "a.npz"


def test_several_arrays_are_listed_with_the_option_that_picks_one(tmp_path: Path) -> None:
    with pytest.raises(ss.ShapeshiftError, match=r"'up' \(12, 32\), 'down' \(12, 32\).*--array NAME"):
        ss.open(several(tmp_path))


def test_array_and_axis_by_name(tmp_path: Path) -> None:
    da = ss.open(several(tmp_path), array="down", axis="nm")
    np.testing.assert_array_equal(da.values, 2 * signals())
    np.testing.assert_array_equal(da["nm"].values, 1240 / ENERGY)


def test_axis_none_numbers_the_samples(tmp_path: Path) -> None:
    da = ss.open(several(tmp_path), array="up", axis="none")
    np.testing.assert_array_equal(da["sample"].values, np.arange(32.0))


@pytest.mark.parametrize("option", ["array", "axis"])
def test_a_name_that_is_not_there(tmp_path: Path, option: str) -> None:
    with pytest.raises(ss.ShapeshiftError, match=r"'nowhere'.*'up'"):
        ss.open(several(tmp_path), **{"array": "up", option: "nowhere"})


def test_an_axis_that_does_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=signals(), short=np.arange(7.0))
    with pytest.raises(ss.ShapeshiftError, match=r"short.*\(7\).*\(12, 32\)"):
        ss.open(tmp_path / "a.npz", axis="short")


def test_an_axis_that_turns_back_is_not_taken_by_itself(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=signals(), x=np.sin(ENERGY))
    assert ss.open(tmp_path / "a.npz").dims == ("signal", "sample")


# --- what cannot be signals


def save(path: Path, values: object) -> Path:
    np.save(path, values)
    return path


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        (np.zeros((1, 32)), "one signal of 32 samples"),
        (np.zeros(32), "one signal"),
        (np.zeros((12, 1)), "one sample"),
        (np.zeros((0, 32)), "without numbers"),
        (np.zeros((2, 3, 4, 5)), "4 dimensions"),
        (np.zeros((3, 4), complex), "complex"),
        (np.array([["a", "b"], ["c", "d"]]), "no numeric array"),
        (np.array([[object(), None]] * 2), "objects are never unpickled"),
    ],
)
def test_arrays_that_are_no_stack_of_signals(tmp_path: Path, values: np.ndarray, needed: str) -> None:
    with pytest.raises(ss.ShapeshiftError, match=needed):
        ss.open(save(tmp_path / "a.npy", values))


def test_no_file_no_format_no_content(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1 2")
    (tmp_path / "empty.csv").touch()
    for path, needed in [
        ("nowhere.csv", "no such file"),
        ("a.xyz", r"'\.xyz'.*\.csv"),
        ("empty.csv", "empty"),
    ]:
        with pytest.raises(ss.ShapeshiftError, match=needed):
            ss.open(tmp_path / path)
    with pytest.raises(ss.ShapeshiftError, match="folder"):
        ss.open(tmp_path)
    with pytest.raises(ss.ShapeshiftError, match="orientation"):
        ss.open(tmp_path / "a.csv", orientation="sideways")  # type: ignore[arg-type]


def written(folder: Path) -> list[Path]:
    """The same signals in every binary format."""
    np.save(folder / "a.npy", signals())
    np.savez(folder / "a.npz", X=signals())
    scipy.io.savemat(folder / "a.mat", {"X": signals()}, do_compression=True)
    xr.DataArray(signals(), dims=("n", "x")).to_netcdf(folder / "a.nc", engine="h5netcdf")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("X", data=signals(), compression="gzip")
    with gzip.open(folder / "a.csv.gz", "wt") as text:
        np.savetxt(text, signals())
    return sorted(folder.iterdir())


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_half_a_file_is_refused_in_every_format(tmp_path: Path, kept: float) -> None:
    for path in written(tmp_path):
        data = path.read_bytes()
        path.write_bytes(data[: int(kept * len(data))])
        with pytest.raises(ss.ShapeshiftError, match=path.name):
            ss.open(path)


def test_another_format_behind_the_ending_is_refused(tmp_path: Path) -> None:
    for path in written(tmp_path):
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0\1\2" * 100)
        with pytest.raises(ss.ShapeshiftError, match=path.name):
            ss.open(path)


# --- measured data, as they are


@pytest.mark.parametrize(
    ("name", "dims", "units"),
    [
        ("bepfm_resonance", ("y", "x", "frequency bin"), ""),
        ("fegapd_xrd", ("signal", "2theta"), "deg"),
        ("hinode_eis_fe12", ("y", "x", "wavelength"), "Angstrom"),
        ("ecg_mitbih100", ("signal", "time"), "s"),
        ("pl_map_control", ("y", "x", "wavelength"), "nm"),
    ],
)
def test_measured_sets_need_no_option(real_path, real_data, name: str, dims: tuple, units: str) -> None:
    da = ss.open(real_path(name))
    arrays = real_data(name)
    assert da.dims == dims
    assert da[dims[-1]].attrs["units"] == units
    np.testing.assert_array_equal(da[dims[-1]].values, arrays["x"])
    np.testing.assert_array_equal(da.values.reshape(arrays["X"].shape), arrays["X"])
    assert da.shape[:-1] == tuple(arrays.get("map_shape", [len(arrays["X"])]))


def test_measured_raw_files(real_path, real_data) -> None:
    spread = ss.open(real_path("raw/FeGaPd_XRD.txt"))
    np.testing.assert_allclose(spread.values, real_data("fegapd_xrd")["X"], rtol=1e-6)
    np.testing.assert_allclose(spread[spread.dims[-1]].values, real_data("fegapd_xrd")["x"])
    cube = ss.open(real_path("raw/bepfm_test_data.npy"))
    np.testing.assert_allclose(cube.values.reshape(-1, 102), real_data("bepfm_resonance")["X"], rtol=1e-6)
    film = ss.open(real_path("raw/map_nm.txt.gz"))
    known = real_data("pl_map_control")
    part = film.sortby("wavelength").sel(wavelength=slice(known["x"][0] - 0.01, known["x"][-1] + 0.01))
    assert (film["wavelength"].attrs["units"], film.dims) == ("nm", ("y", "x", "wavelength"))
    np.testing.assert_allclose(part.values.reshape(400, -1), known["X"], rtol=1e-5)
    with pytest.raises(ss.ShapeshiftError, match="level1/win02"):
        ss.open(real_path("raw/eis_20210306_064444.data.h5"))
    assert ss.open(real_path("raw/eis_20210306_064444.data.h5"), array="win02").shape == (120, 25, 24)
