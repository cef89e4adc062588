"""What is said about signals is true of signals that are known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from shapeshift.show.info import describe


def signals(values: np.ndarray) -> xr.DataArray:
    axis = ("energy", np.linspace(10, 20, values.shape[-1]), {"units": "eV"})
    dims = ("row", "column", "energy")[-values.ndim :]
    return xr.DataArray(
        values, dims=dims, coords={"energy": axis}, attrs={"source": "a.csv", "notes": "one; two"}
    )


def test_it_tells_dimensions_axis_and_range() -> None:
    values = np.linspace(-1, 3, 3 * 4 * 21).reshape(3, 4, 21)
    found = describe(signals(values))
    assert found["signals"] == 12
    assert found["dims"] == {"row": 3, "column": 4, "energy": 21}
    assert found["axis"] == {
        **{"name": "energy", "units": "eV", "first": 10.0, "last": 20.0, "uniform": True},
        "step": pytest.approx(0.5),
    }
    assert (found["values"]["min"], found["values"]["max"], found["notes"]) == (-1.0, 3.0, ["one", "two"])


def test_it_measures_the_noise_and_not_the_signal() -> None:
    rng = np.random.default_rng(0)
    smooth = 5 * np.sin(np.linspace(0, 3, 400)) + np.zeros((50, 1))
    found = describe(signals(smooth + 0.1 * rng.normal(size=smooth.shape)))
    assert found["noise_sd"] == pytest.approx(0.1, rel=0.05)
    assert found["peak_to_noise"] == pytest.approx(50, rel=0.15)


def test_missing_numbers_are_counted_and_hide_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(9, 30))
    whole = describe(signals(values))
    values[0, 4], values[3] = np.inf, np.nan
    found = describe(signals(values))
    assert found["values"]["missing"] == 31
    assert found["noise_sd"] == pytest.approx(whole["noise_sd"], rel=0.3)
    assert describe(signals(np.full((2, 8), np.nan)))["values"]["max"] is None


def test_an_uneven_axis_is_told() -> None:
    X = signals(np.zeros((2, 8))).assign_coords(energy=np.arange(8.0) ** 2)
    assert describe(X)["axis"]["uniform"] is False
