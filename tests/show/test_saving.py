"""What is saved opens to the same, whole or not at all."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.show import saving, tasks
from shapeshift.show.cli import app
from shapeshift.show.run import table

RNG = np.random.default_rng(3)
ENDINGS = ["nc", "zarr", "csv", "hspy"]


def stack() -> xr.DataArray:
    """Named signals in single precision; the axis falls, unevenly, and has a name no file may hold."""
    coords = {
        "m/z": ("m/z", np.linspace(9.0, 1.0, 16) ** 2, {"units": "Da"}),
        "signal": ("signal", ["a", "b, c", 'd "e"', "f", "g"]),
        "dose": ("signal", np.arange(5.0), {"units": "mJ"}),
    }
    values = RNG.normal(size=(5, 16)).astype("f4")
    return xr.DataArray(values, dims=("signal", "m/z"), coords=coords, attrs={"units": "counts"})


def cube() -> xr.DataArray:
    """A map with a gap, along a dimension that looks like the axis of signals and is none."""
    coords = {
        "time": ("time", [0.0, 1.0, 5.0], {"units": "s"}),
        "x": ("x", RNG.normal(size=4).cumsum(), {"units": "um"}),
        "B": ("B", 0.1 * np.arange(16) + 0.3, {"units": "T"}),
        "heat": (("time", "x"), RNG.normal(size=(3, 4)), {"units": "K"}),
    }
    values = RNG.normal(size=(3, 4, 16)) * 10.0 ** RNG.integers(-300, 300, (3, 4, 16))
    values[1, 2, 3] = np.nan
    return xr.DataArray(values, dims=("time", "x", "B"), coords=coords)


def plain() -> xr.DataArray:
    return xr.DataArray(RNG.normal(size=(6, 9)), dims=("signal", "sample"))


def same(a: xr.DataArray, b: xr.DataArray, *, kept: bool = True) -> None:
    """Values, dimensions and what is known along each; in HyperSpy's files only what is an axis is kept."""
    assert a.dims == b.dims
    np.testing.assert_array_equal(a.values, b.values)
    names = [n for n in b.coords if kept or (n in b.dims and b[n].dtype.kind == "f")]
    assert {*names} <= {*a.coords}
    for name in names:
        np.testing.assert_array_equal(a[name].values, b[name].values)
        assert a[name].dims == b[name].dims
        assert a[name].attrs.get("units", "") == b[name].attrs.get("units", "")
    assert a.attrs.get("units") == b.attrs.get("units")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("made", [stack, cube, plain])
def test_what_is_saved_opens_to_the_same(tmp_path: Path, ending: str, made) -> None:
    X = made()
    ss.save(X, tmp_path / f"a.{ending}")
    again = ss.open(tmp_path / f"a.{ending}")
    same(again, X, kept=ending != "hspy")
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{ending}"]
    ss.save(again, tmp_path / f"b.{ending}")  # and what was opened, too
    same(ss.open(tmp_path / f"b.{ending}"), again, kept=ending != "hspy")


@pytest.mark.parametrize("ending", ["nc", "zarr", "hspy"])
def test_images_open_to_the_same(tmp_path: Path, ending: str) -> None:
    side = {n: (n, 0.25 * np.arange(k) + 1, {"units": "nm"}) for n, k in (("row", 6), ("column", 8))}
    X = xr.DataArray(
        RNG.normal(size=(5, 6, 8)), dims=("signal", "row", "column"), coords=side, attrs={"kind": "image"}
    )
    ss.save(X, tmp_path / f"a.{ending}")
    same(ss.open(tmp_path / f"a.{ending}", kind="image"), X)
    with pytest.raises(ShapeshiftError, match="--kind image"):
        ss.open(tmp_path / f"a.{ending}")


def test_images_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(ShapeshiftError, match="got images"):
        ss.save(
            xr.DataArray(np.zeros((2, 6, 8)), dims=("n", "y", "x"), attrs={"kind": "image"}),
            tmp_path / "a.csv",
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_metadata_survive(tmp_path: Path, ending: str) -> None:
    X = plain().assign_attrs(metadata='{"who": "someone", "laser.power": 0.5}')
    ss.save(X, tmp_path / f"a.{ending}")
    told = ss.open(tmp_path / f"a.{ending}").attrs["metadata"]
    assert '"someone"' in told
    assert "laser.power" in told


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_there_is_replaced_only_when_asked_for(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    first, second = plain(), plain()
    ss.save(first, path)
    with pytest.raises(ShapeshiftError, match=r"overwrite=True"):
        ss.save(second, path)
    np.testing.assert_array_equal(ss.open(path).values, first.values)
    ss.save(second, path, overwrite=True)
    np.testing.assert_array_equal(ss.open(path).values, second.values)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_is_no_zarr_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.tex").write_text("all of it")
    with pytest.raises(ShapeshiftError, match="choose another name"):
        ss.save(plain(), tmp_path / "a.zarr", overwrite=True)
    assert (tmp_path / "a.zarr" / "thesis.tex").read_text() == "all of it"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{ending}"
    X = plain()
    ss.save(X, path)

    def full(data: object, part: Path) -> None:
        (part / "half" if part.is_dir() else part).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving, "_writers", lambda: {f".{ending}": full})
    with pytest.raises(ss.ShapeshiftError, match="the disk took no more"):
        ss.save(plain(), path, overwrite=True)
    np.testing.assert_array_equal(ss.open(path).values, X.values)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    for X, name, needed in [
        (plain(), "a.xlsx", r"'\.xlsx', needed \.nc"),
        (np.zeros(5), "a.nc", "needed signals"),
        (np.array([["a", "b"]]), "a.nc", "needed signals"),
        (plain().to_dataset(name="X"), "a.hspy", "several arrays"),
    ]:
        with pytest.raises(ShapeshiftError, match=needed):
            ss.save(X, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_table_that_was_edited_is_refused_or_read_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    X = stack()
    ss.save(X, path)
    first, head, *rows = path.read_text().splitlines()
    twice = ['# shapeshift: {"dims": ["a", "a"], "shape": [2, 2], "coords": {}}', "a,1,2", "0,1,2", "1,3,4"]
    for lines in (
        [first, head, *rows[:-1]],
        [first, head, *rows[:-1], rows[-1] + ",1"],
        [first + "}", head, *rows],
        ["# shapeshift: " + "[" * 10_000, head, *rows],
        twice,
    ):
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(ShapeshiftError, match="not what its first line tells"):
            ss.open(path)
    path.write_text("\n".join([head, *rows[3:]]) + "\n")
    np.testing.assert_array_equal(ss.open(path).values.astype("f4"), X.values[3:])


@pytest.fixture(scope="module")
def fitted() -> tuple:
    X, _ = ss.synthetic.article(n=30, seed=1)
    grid = X.values.reshape(3, 10, 100)
    coords = {"y": ("y", 0.5 * np.arange(3), {"units": "um"}), "pos": ("pos", X["x"].values, {"units": "nm"})}
    X = xr.DataArray(grid, dims=("y", "col", "pos"), coords=coords)
    m = ss.ShiftVAE(n_latent=2, epochs=2, random_state=0).fit(X)
    return m, X, m.posterior(X)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_a_posterior_keeps_its_map(tmp_path: Path, ending: str, fitted) -> None:
    _, _, p = fitted
    ss.save(p, tmp_path / f"a.{ending}")
    options = {"engine": "zarr", "consolidated": False} if ending == "zarr" else {"engine": "h5netcdf"}
    with xr.open_dataset(tmp_path / f"a.{ending}", **options) as again:
        xr.testing.assert_equal(again.load(), p.to_dataset())
        assert again["y"].attrs["units"] == "um"
        assert again["shift"].attrs["units"] == p.axis_units


def test_a_posterior_as_a_table_has_one_row_a_signal(tmp_path: Path, fitted) -> None:
    _, _, p = fitted
    ss.save(p, tmp_path / "a.csv")
    rows, known = pd.read_csv(tmp_path / "a.csv", keep_default_na=False, na_values=["nan"]), table(p)
    for name in ("y", "col", "shift", "shift_sd", "z1", "z2_sd", "noise_sd", "log_evidence"):
        np.testing.assert_allclose(rows[name].astype(float), known[name], rtol=1e-12)


def test_transform_writes_a_zarr_store(tmp_path: Path, fitted) -> None:
    m, X, p = fitted
    m.save(tmp_path / "m.safetensors")
    ss.save(X, tmp_path / "x.nc")
    args = [
        "transform",
        str(tmp_path / "m.safetensors"),
        str(tmp_path / "x.nc"),
        "--out",
        str(tmp_path / "p.zarr"),
    ]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.stderr
    with xr.open_dataset(tmp_path / "p.zarr", engine="zarr", consolidated=False) as again:
        np.testing.assert_array_equal(again["shift"].values, p.to_dataset()["shift"].values)
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 1
    assert "--force" in done.stderr
    assert CliRunner().invoke(app, [*args, "--force"]).exit_code == 0


def test_a_folder_has_a_digest_like_a_file(tmp_path: Path) -> None:
    ss.save(plain(), tmp_path / "x.zarr")
    shutil.copytree(tmp_path / "x.zarr", tmp_path / "y.zarr")
    assert tasks._digest(tmp_path / "x.zarr") == tasks._digest(tmp_path / "y.zarr")
    chunk = next(p for p in (tmp_path / "y.zarr" / "signals").iterdir() if p.name[0].isdigit())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    assert tasks._digest(tmp_path / "x.zarr") != tasks._digest(tmp_path / "y.zarr")
    chunk.rename(chunk.with_name("9.9"))
    assert len({tasks._digest(tmp_path / n) for n in ("x.zarr", "y.zarr")}) == 2


def test_info_tells_coordinates_units_and_metadata(tmp_path: Path) -> None:
    ss.save((cube() * 0 + 1).assign_attrs(units="nA", metadata='{"operator": "someone"}'), tmp_path / "a.nc")
    said = CliRunner().invoke(app, ["info", str(tmp_path / "a.nc")]).stdout
    for words in ("time: 0.0 to 5.0 s", "units T", "units nA", "operator: someone"):
        assert words in said
