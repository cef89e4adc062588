"""Objects of other libraries come back as such, with their axes; numbers are those of plain arrays."""

from __future__ import annotations

from typing import Any

import hyperspy.api as hs
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import shapeshift as ss
from shapeshift.errors import ShapeshiftError

X, _ = ss.synthetic.article(n=30, seed=2)
VALUES = X.values
ENERGY = 200 + 0.1 * np.arange(100)
OPTIONS: dict[str, Any] = {"n_latent": 1, "epochs": 2, "random_state": 0}


class Dimension:
    """sidpy's dimension, as far as it is looked at."""

    def __init__(self, values: Any, name: str, quantity: str, units: str, dimension_type: str) -> None:
        self.values, self.name, self.quantity, self.units = np.asarray(values), name, quantity, units
        self.dimension_type = dimension_type


class Dataset:
    """sidpy's dataset, as far as it is looked at: an array of dask's with `_axes`, and `like_data` for one
    like it."""

    dask = chunks = __getitem__ = map_blocks = None

    def __init__(self, data: np.ndarray, axes: dict[int, Dimension]) -> None:
        self._data, self._axes, self.title = data, axes, "kept"
        self.ndim, self.shape, self.dtype = data.ndim, data.shape, data.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._data, dtype)

    def like_data(self, data: np.ndarray) -> Dataset:
        return Dataset(data, dict(self._axes))

    def set_dimension(self, k: int, axis: Dimension) -> None:
        self._axes[k] = axis


def small_sidpy(values: np.ndarray, axes: list[tuple]) -> Any:
    return Dataset(values, {k: Dimension(v, n, n, u, t) for k, (n, v, u, t) in enumerate(axes)})


def real_sidpy(values: np.ndarray, axes: list[tuple]) -> Any:
    sidpy = pytest.importorskip("sidpy")
    data = sidpy.Dataset.from_array(values)
    for k, (n, v, u, t) in enumerate(axes):
        data.set_dimension(k, sidpy.Dimension(v, n, n, u, dimension_type=t))
    return data


def hyperspy_map() -> Any:
    signal = hs.signals.Signal1D(VALUES.reshape(5, 6, 100))
    told = [("x", "um", 0.25, 1.0), ("y", "um", 0.5, 0.0), ("Energy", "eV", 0.1, 200.0)]
    for axis, (name, units, scale, offset) in zip(
        signal.axes_manager._get_axes_in_natural_order(), told, strict=True
    ):
        axis.name, axis.units, axis.scale, axis.offset = name, units, scale, offset
    signal.metadata.General.title = "kept"
    return signal


def fitted(data: Any) -> ss.ShiftVAE:
    return ss.ShiftVAE(**OPTIONS).fit(data)


@pytest.fixture(scope="module")
def known() -> ss.ShiftVAE:
    """The same fit from a plain array."""
    return ss.ShiftVAE(**OPTIONS).fit(VALUES, x=ENERGY)


def test_hyperspys_signals_come_back_with_their_axes(known) -> None:
    signal = hyperspy_map()
    m = fitted(signal)
    assert (m.axis_name_, m.axis_units_) == ("Energy", "eV")
    for result, plain in (
        (m.align(signal), known.align(VALUES)),
        (m.reconstruct(signal), known.reconstruct(VALUES)),
    ):
        np.testing.assert_array_equal(result.data, plain.reshape(5, 6, 100))
        assert type(result) is type(signal)
        assert result.axes_manager.as_dictionary() == signal.axes_manager.as_dictionary()
        assert result.metadata.General.title == "kept"
    np.testing.assert_array_equal(signal.data, VALUES.reshape(5, 6, 100))
    np.testing.assert_array_equal(m.transform(signal), known.transform(VALUES))
    told = m.posterior(signal).to_dataset()
    np.testing.assert_array_equal(told["shift"], known.posterior(VALUES).shift.reshape(5, 6))
    assert told["shift"].dims == ("y", "x")
    np.testing.assert_array_equal(told["x"], 1 + 0.25 * np.arange(6))
    assert (told["x"].attrs["units"], told["shift"].attrs["units"]) == ("um", "eV")


def test_hyperspys_lazy_signals_stay_lazy(known) -> None:
    signal = hyperspy_map().as_lazy()
    result = fitted(signal).align(signal)
    assert result._lazy
    np.testing.assert_array_equal(result.data.compute(), known.align(VALUES).reshape(5, 6, 100))


def test_hyperspys_signal_axis_may_be_in_front(known) -> None:
    signal = hs.signals.Signal1D(VALUES.T.copy(), axes=[
        {"size": 100, "name": "Energy", "units": "eV", "scale": 0.1, "offset": 200.0, "navigate": False},
        {"size": 30, "name": "n", "navigate": True},
    ])  # fmt: skip
    m = fitted(signal)
    assert m.axis_name_ == "Energy"
    np.testing.assert_array_equal(m.align(signal).data, known.align(VALUES).T)


def test_hyperspys_uneven_axis_is_that_of_the_result() -> None:
    uneven = np.linspace(1, 2, 100) ** 2
    signal = hs.signals.Signal1D(
        VALUES, axes=[{"size": 30, "name": "n"}, {"axis": uneven, "name": "e", "units": "eV"}]
    )
    m = fitted(signal)
    np.testing.assert_array_equal(m.align(signal).axes_manager[-1].axis, m.axis_)


def test_hyperspys_axis_that_falls() -> None:
    signal = hs.signals.Signal1D(VALUES[:, ::-1].copy())
    axis = signal.axes_manager[-1]
    axis.name, axis.offset, axis.scale = "Energy", ENERGY[-1], -0.1
    result = fitted(signal).align(signal)
    np.testing.assert_allclose(result.axes_manager[-1].axis, ENERGY)


def test_hyperspys_images_and_signals_are_not_mixed_up() -> None:
    with pytest.raises(ShapeshiftError, match="2 signal axes, that is images"):
        fitted(hs.signals.Signal2D(np.zeros((5, 6, 8))))
    with pytest.raises(ShapeshiftError, match="1 signal axes, that is signals"):
        ss.ImageVAE(epochs=1).fit(hs.signals.Signal1D(np.zeros((5, 6, 8))))


def test_hyperspys_images_come_back_with_their_axes() -> None:
    images = np.random.default_rng(0).normal(size=(12, 10, 8)) + np.hanning(10)[:, None] * np.hanning(8) * 9
    signal = hs.signals.Signal2D(images.reshape(3, 4, 10, 8))
    for axis, name in zip(
        signal.axes_manager._get_axes_in_natural_order(), ("a", "b", "px", "py"), strict=True
    ):
        axis.name, axis.units, axis.scale = name, "nm", 0.5
    options: dict[str, Any] = {"n_latent": 1, "epochs": 1, "random_state": 0, "warps": ("shift",)}
    m = ss.ImageVAE(**options).fit(signal)
    assert (m.raster_.rows.name, m.raster_.columns.units) == ("py", "nm")
    result = m.align(signal)
    assert result.axes_manager.as_dictionary() == signal.axes_manager.as_dictionary()
    named = xr.DataArray(images, dims=("n", "py", "px"), coords={
        n: (n, 0.5 * np.arange(k), {"units": "nm"}) for n, k in (("py", 10), ("px", 8))
    })  # fmt: skip
    known = ss.ImageVAE(**options).fit(named)
    np.testing.assert_array_equal(result.data.reshape(12, 10, 8), known.align(named).values)
    assert m.posterior(signal).to_dataset()["rotation"].dims == ("b", "a")


@pytest.mark.parametrize("made", [small_sidpy, real_sidpy])
@pytest.mark.parametrize("front", [False, True])
def test_sidpys_datasets_come_back_as_such(known, made, front: bool) -> None:
    axes = [("y", 0.5 * np.arange(5), "um", "SPATIAL"), ("x", 0.25 * np.arange(6), "um", "SPATIAL"),
            ("Energy", ENERGY, "eV", "SPECTRAL")]  # fmt: skip
    values, order = VALUES.reshape(5, 6, 100), [2, 0, 1] if front else [0, 1, 2]
    data = made(np.ascontiguousarray(values.transpose(order)), [axes[k] for k in order])
    m = fitted(data)
    assert (m.axis_name_, m.axis_units_) == ("Energy", "eV")
    result = m.align(data)
    assert type(result) is type(data)
    np.testing.assert_array_equal(np.asarray(result), known.align(VALUES).reshape(5, 6, 100).transpose(order))
    for k in range(3):
        assert result._axes[k].name == data._axes[k].name
        np.testing.assert_array_equal(np.asarray(result._axes[k].values), np.asarray(data._axes[k].values))
    told = m.posterior(data).to_dataset()
    assert (told["shift"].dims, told["x"].attrs["units"]) == (("y", "x"), "um")


def test_frames_of_numbers_have_an_axis_and_keep_their_rows(known) -> None:
    rows = pd.Index([f"r{k}" for k in range(30)], name="leaf")
    frame = pd.DataFrame(VALUES, index=rows, columns=pd.Index(ENERGY, name="Energy (eV)"))
    m = fitted(frame)
    assert (m.axis_name_, m.axis_units_) == ("Energy", "eV")
    pd.testing.assert_frame_equal(m.align(frame), pd.DataFrame(known.align(VALUES), rows, frame.columns))
    assert isinstance(m.reconstruct(frame), pd.DataFrame)
    assert list(m.posterior(frame).to_dataset()["leaf"].values) == list(rows)
    with pytest.raises(ShapeshiftError, match="got an axis from 300"):
        m.transform(pd.DataFrame(VALUES, columns=ENERGY + 100))
    np.testing.assert_array_equal(m.transform(pd.DataFrame(VALUES)), m.transform(VALUES))


def test_frames_of_named_columns_are_features() -> None:
    frame = pd.DataFrame(VALUES, columns=[f"c{k}" for k in range(100)])
    m = fitted(frame)
    assert list(m.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(m.axis_, np.arange(100.0))
    assert list(m.align(frame).columns) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        m.transform(frame[frame.columns[::-1]])


def test_frames_of_two_levels_tell_both() -> None:
    rows = pd.MultiIndex.from_product([range(5), range(6)], names=["plate", "well"])
    told = fitted(frame := pd.DataFrame(VALUES, index=rows)).posterior(frame).to_dataset()
    assert told["plate"].dims == told["well"].dims == ("signal",)
    np.testing.assert_array_equal(told["well"], np.tile(np.arange(6), 5))


def test_frames_of_flat_images_come_back_as_frames() -> None:
    images = (
        np.random.default_rng(0).normal(size=(12, 64)) + (np.hanning(8)[:, None] * np.hanning(8)).ravel() * 9
    )
    frame = pd.DataFrame(images, index=[f"i{k}" for k in range(12)])
    m = ss.ImageVAE(n_latent=1, epochs=1, random_state=0, image_shape=(8, 8), warps=("shift",)).fit(frame)
    pd.testing.assert_frame_equal(
        m.align(frame), pd.DataFrame(m.align(images), index=frame.index, columns=frame.columns)
    )
    assert list(m.posterior(frame).to_dataset()["signal"].values) == list(frame.index)


def test_data_sets_of_one_array_come_back_as_data_sets(known) -> None:
    named = xr.DataArray(VALUES, dims=("n", "Energy"), coords={"Energy": ("Energy", ENERGY, {"units": "eV"})})
    data = xr.Dataset({"spectra": named, "dose": ("n", np.arange(30.0))}, attrs={"who": "someone"})
    result = fitted(data).align(data)
    assert isinstance(result, xr.Dataset)
    np.testing.assert_array_equal(result["spectra"], known.align(VALUES))
    assert result.attrs == data.attrs
    with pytest.raises(ShapeshiftError, match=r"2 arrays of signals \(spectra, more\)"):
        fitted(data.assign(more=named))
