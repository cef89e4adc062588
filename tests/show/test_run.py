"""A run's folder holds what was computed, with names and units, and can be used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import shapeshift as ss
from shapeshift.show.run import table, write_run


@pytest.fixture(scope="module")
def signals() -> xr.DataArray:
    """A map of 8 x 15 signals on an axis with units."""
    X, _ = ss.synthetic.article(n=120, seed=2)
    axis = ("energy", X["x"].values + 100, {"units": "eV"})
    coords = {"energy": axis, "y": ("y", 0.5 * np.arange(8), {"units": "um"})}
    attrs = {"source": "a.npz", "reader": "npz", "notes": "one; two"}
    return xr.DataArray(X.values.reshape(8, 15, 100), dims=("y", "x", "energy"), coords=coords, attrs=attrs)


@pytest.fixture(scope="module")
def model(signals: xr.DataArray) -> ss.ShiftVAE:
    return ss.ShiftVAE(epochs=3, normalise="max", width=16).fit(signals)


@pytest.fixture(scope="module")
def folder(signals: xr.DataArray, model: ss.ShiftVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    reading = {"array": "X", "axis": None}
    write_run(
        out, model, signals, model.posterior(signals), format="svg", reading=reading, timings={"read": 0.5}
    )
    return out


def test_everything_is_there(folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert files >= {
        "model.safetensors",
        "signals.csv",
        "posterior.nc",
        "history.csv",
        "run.toml",
        "report.html",
    }
    assert any(path.suffix == ".svg" for path in (folder / "figures").iterdir())


def test_one_row_a_signal_with_its_place_in_the_map(folder: Path, model, signals) -> None:
    rows = pd.read_csv(folder / "signals.csv", keep_default_na=False)
    assert list(rows) == [
        *("y", "x", "shift", "shift_sd", "z1", "z2", "z1_sd", "z2_sd", "noise_sd", "log_evidence", "flags")
    ]
    p = model.posterior(signals)
    np.testing.assert_allclose(rows["shift"], p.shift, rtol=1e-12)
    np.testing.assert_allclose(rows["z2_sd"], p.z_sd[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(rows["flags"], p.flags)
    np.testing.assert_array_equal(rows["y"], np.repeat(0.5 * np.arange(8), 15))
    np.testing.assert_array_equal(rows["x"], np.tile(np.arange(15), 8))


def test_gains_are_told_where_signals_have_their_own(signals, tmp_path: Path) -> None:
    m = ss.ShiftVAE(epochs=2, nuisance=("gain", "offset"), width=16).fit(signals)
    p = m.posterior(signals)
    rows = table(p, gain=True)
    assert list(rows)[-5:] == ["gain", "gain_sd", "noise_sd", "log_evidence", "flags"]
    np.testing.assert_array_equal(rows["gain"], p.gain)
    np.testing.assert_array_equal(rows["gain_sd"], p.gain_sd)


def test_a_stack_is_numbered_and_keeps_its_names(model, signals) -> None:
    stack = signals.values.reshape(120, 100)[:5]
    named = xr.DataArray(
        stack,
        dims=("signal", "energy"),
        coords={
            "energy": signals["energy"],
            "signal": list("abcde"),
            "temperature": ("signal", np.arange(5.0)),
        },
    )
    rows = table(model.posterior(named))
    assert rows["index"].tolist() == [0, 1, 2, 3, 4]
    assert (rows["signal"].tolist(), rows["temperature"].tolist()) == (list("abcde"), [0, 1, 2, 3, 4])
    assert list(table(model.posterior(stack)))[:2] == ["index", "shift"]


def test_the_posterior_comes_back_as_a_map_with_units(folder: Path, model, signals) -> None:
    with xr.open_dataset(folder / "posterior.nc", engine="h5netcdf") as data:
        assert data["shift"].dims == ("y", "x")
        assert data["shift"].attrs["units"] == "eV"
        np.testing.assert_array_equal(data["y"].values, 0.5 * np.arange(8))
        np.testing.assert_array_equal(data["shift"].values.ravel(), model.posterior(signals).shift)


def test_names_that_netcdf_cannot_hold_are_respelled(model, signals, tmp_path: Path) -> None:
    p = model.posterior(signals.rename(y="m/s"))
    ss.save(p, tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        assert data["shift"].dims == ("m per s", "x")


def test_the_model_in_the_folder_gives_the_same_numbers(folder: Path, model, signals) -> None:
    again = ss.load(folder / "model.safetensors").posterior(signals)
    np.testing.assert_allclose(again.shift, model.posterior(signals).shift, rtol=1e-6, atol=1e-6)


def test_the_history_has_a_row_an_epoch(folder: Path) -> None:
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2]
    assert {"loss", "val_loss", "kl_shift"} <= set(history)


def test_the_record_tells_how_it_came_about(folder: Path, model) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    record = tomllib.loads((folder / "run.toml").read_text(encoding="utf-8"))
    assert set(record["options"]) == set(model.get_params())
    assert record["options"]["normalise"] == "max"
    assert record["options"]["epochs"] == 3
    assert record["options"]["shift_sd"] == model.shift_sd_  # as it was found, not as it was left open
    assert record["data"]["source"] == "a.npz"
    assert record["data"]["reading"] == {"array": "X", "axis": "none"}
    assert record["data"]["notes"][:2] == ["one", "two"]
    assert record["axis"] == {"name": "energy", "units": "eV", "first": 88.0, "last": 112.0, "samples": 100}
    assert set(record["timings"]) == {"read", "report", "fit"}
    assert record["versions"]["shapeshift"] == ss.__version__
