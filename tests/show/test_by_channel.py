"""Runs and reports of signals of several channels tell of each, in its own units."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.by_channel import parts
from shapeshift.show.cli import app
from shapeshift.show.info import describe
from shapeshift.show.page import Picture
from shapeshift.show.report import write_report

NOISE = {"amplitude": 0.05, "phase <b>": 2.0}
ROWS, COLUMNS, LENGTH = 9, 10, 80


def made() -> xr.DataArray:
    """A map of two channels that turn at one place, one in units of forty times the other's."""
    rng, x = np.random.default_rng(0), np.linspace(-8, 8, LENGTH)
    u = x - rng.normal(0, 1.5, (ROWS, COLUMNS, 1))
    clean = np.stack([np.exp(-(u**2) / 2), 40 + 30 * np.arctan(u)], 2)
    values = clean + np.array(list(NOISE.values()))[:, None] * rng.normal(size=clean.shape)
    coords = {
        "y": ("y", 0.5 * np.arange(ROWS), {"units": "um"}),
        "x": ("x", 0.25 * np.arange(COLUMNS), {"units": "um"}),
        "channel": list(NOISE),
        "bias": ("bias", x, {"units": "V"}),
    }
    return xr.DataArray(values, dims=("y", "x", "channel", "bias"), coords=coords)


@pytest.fixture(scope="module")
def X() -> xr.DataArray:
    return made()


@pytest.fixture(scope="module")
def m(X) -> ss.ShiftVAE:
    return ss.ShiftVAE(n_latent=1, epochs=20, random_state=0).fit(X)


@pytest.fixture(scope="module")
def p(X, m) -> ss.Posterior:
    return m.posterior(X)


@pytest.mark.parametrize("order", [("y", "x", "channel", "bias"), ("channel", "y", "x", "bias")])
def test_each_channel_is_drawn_with_noise_of_its_own(X, m, p, order) -> None:
    shown = parts(m, X.transpose(*order), p, 1000)
    assert [part.name for part in shown] == [f"channel {name}" for name in NOISE]
    for k, (part, noise) in enumerate(zip(shown, NOISE.values(), strict=True)):
        assert np.array_equal(part.sample.values, X.values[:, :, k].reshape(-1, LENGTH))
        left = (part.sample - part.drawn).values
        assert np.median(part.some.noise_sd) == pytest.approx(noise, rel=0.15)
        assert np.sqrt(np.mean((left / part.some.noise_sd[:, None]) ** 2)) == pytest.approx(1, abs=0.15)
        assert np.nanstd(part.aligned.values, axis=0).max() < 5 * noise  # all lie on one another


def test_the_manifold_of_a_channel_is_a_part_of_the_whole(X, m, p) -> None:
    whole = m.manifold(5)
    for k, part in enumerate(parts(m, X, p, 10)):
        assert np.array_equal(part.m.manifold(5).values, whole.isel(channel=k).values)


def test_a_report_tells_of_all_channels(X, m, p, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Picture, "png", b"PNG")
    monkeypatch.setattr(Picture, "source", "data:,")
    told = write_report(m, X.values.reshape(-1, 2, LENGTH), p, tmp_path / "r.html").read_text("utf-8")
    assert "2 channels of 80 samples each" in told
    assert f"a map of {ROWS} x {COLUMNS}".capitalize() in told
    for name in ("signals", "alignment", "heatmap", "manifold", "residuals"):
        assert {f'id="{name}_{k}"' in told for k in (1, 2)} == {True}
    assert "channel phase &lt;b&gt;" in told
    assert "phase <b>" not in told


def test_what_is_in_a_file_of_channels(X) -> None:
    found = describe(X)
    assert found["signals"] == ROWS * COLUMNS
    for name, noise in NOISE.items():
        assert found["channels"][name]["noise_sd"] == pytest.approx(noise, rel=0.1)
    assert (
        found["channels"]["phase <b>"]["values"]["max"] > 60 > found["channels"]["amplitude"]["values"]["max"]
    )


def test_a_file_of_channels_is_fitted_and_transformed(X, tmp_path) -> None:
    X.to_netcdf(tmp_path / "a.nc")

    def call(*words: object) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    run = tmp_path / "run"
    told = json.loads(call("fit", tmp_path / "a.nc", "--out", run, "--epochs", 5, "--json"))
    assert told["signals"] == ROWS * COLUMNS
    assert told["calibration"] is None
    table = pd.read_csv(run / "signals.csv")
    assert len(table) == ROWS * COLUMNS
    assert {"manifold_1.png", "manifold_2.png"} <= {path.name for path in (run / "figures").iterdir()}
    call("transform", run, tmp_path / "a.nc", "--out", tmp_path / "again.csv")
    again = pd.read_csv(tmp_path / "again.csv")
    assert np.array_equal(again["shift"], table["shift"])
    people = call("info", tmp_path / "a.nc")
    assert "phase <b>: " in people
    assert "noise sd 2" in people or "noise sd 1.9" in people
