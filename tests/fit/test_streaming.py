"""Arrays of Zarr, HDF5 and dask as they are: the numbers of the posterior in memory, to the bit."""

import copy
import pickle
import subprocess
import sys

import dask
import dask.array as da
import h5py
import numpy as np
import pytest
import torch
import xarray as xr
import zarr

import shapeshift as ss
from shapeshift.data import blocks
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import lazily, streaming, threads

N = 330


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "NUMBERS", 7000)  # 70 signals of 100 samples


@pytest.fixture(scope="module")
def X():
    return ss.synthetic.article(n=N, seed=2)[0]


@pytest.fixture(scope="module")
def model(X):
    return ss.ShiftVAE(epochs=3, width=16).fit(X)


@pytest.fixture(scope="module")
def on_map(X):
    dims, names = ("y", "col", "x"), {"x": X["x"], "y": ("y", np.arange(11) * 0.5, {"units": "um"})}
    return xr.DataArray(X.values.reshape(11, 30, -1), dims=dims, coords=names)


@pytest.fixture
def stored(tmp_path, X):
    """The same signals in a Zarr folder."""
    array = zarr.create_array(tmp_path / "a.zarr", shape=X.shape, chunks=(64, 40), dtype="f8")
    array[:] = X.values
    return array


@pytest.mark.parametrize("chunks", [None, (100, 100), (64, 7)])
def test_signals_in_hdf5_have_the_posterior_of_those_in_memory(tmp_path, X, model, chunks):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        p = model.posterior(file.create_dataset("X", data=X.values, chunks=chunks))
    xr.testing.assert_identical(p.to_dataset(), model.posterior(X.values).to_dataset())


def test_signals_in_zarr_too(stored, X, model):
    xr.testing.assert_identical(model.posterior(stored).to_dataset(), model.posterior(X.values).to_dataset())
    assert np.array_equal(model.transform(stored), model.transform(X.values))


class Watched:
    """An array that lies elsewhere and knows how much of it was asked for at a time."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.chunks, self.most = (
            values,
            values.shape,
            values.dtype,
            None,
            0,
        )

    def __getitem__(self, at):
        found = self.values[at]
        self.most = max(self.most, len(found))
        return found

    def __array__(self, *_, **__):
        raise AssertionError("loaded")


def test_stored_signals_are_never_loaded_as_a_whole(X, model, monkeypatch):
    monkeypatch.setattr(streaming, "MOST", 100)
    array = Watched(X.values)
    assert np.array_equal(model.posterior(array).shift, model.posterior(X.values).shift)
    ss.ShiftVAE(epochs=1, width=16).fit(array)
    assert 0 < array.most <= 70


def test_what_runs_side_by_side_already_takes_one_thread_each():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with threads.one_each():
            assert threads._allowed.get() == 3
        with threads.single(), threads.one_each():
            assert threads._allowed.get() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("length", [41, 101])
def test_neighbours_do_not_matter_to_the_bit_whatever_the_length(length):
    X = ss.synthetic.sample("article", 90, seed=0, length=length)[0].values
    m = ss.ShiftVAE(epochs=2, width=16, nuisance=("gain", "offset") if length == 41 else ()).fit(X)
    whole = m.posterior(X)
    for begin in range(0, 90, 13):
        part = m.posterior(X[begin : begin + 13])
        for name in ("shift", "shift_sd", "z", "z_sd", "noise_sd", "log_evidence", "gain", "gain_sd"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[begin : begin + 13]), name


def test_stored_maps_are_told_as_maps(tmp_path, on_map, model):
    with h5py.File(tmp_path / "map.h5", "w") as file:
        p = model.posterior(file.create_dataset("X", data=on_map.values)).to_dataset()
    want = model.posterior(on_map).to_dataset()
    assert p["shift"].dims == ("y", "x")
    for name in want.data_vars:
        assert np.array_equal(p[name].values, want[name].values, equal_nan=name == "rival_shift"), name


def test_a_dask_array_has_a_lazy_posterior_that_is_equal(X, model):
    lazy = model.posterior(da.from_array(X.values, chunks=(97, 33)))
    assert isinstance(lazy, xr.Dataset)
    assert all(dask.is_dask_collection(column.data) for column in lazy.data_vars.values())
    assert lazy["shift"].chunks == ((97, 97, 97, 39),)
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), model.posterior(X.values).to_dataset())


def test_names_coordinates_and_units_of_a_map_are_kept(on_map, model):
    lazy = model.posterior(on_map.chunk({"y": 4, "col": 13}))
    assert dask.is_dask_collection(lazy["z"].data)
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), model.posterior(on_map).to_dataset())


def test_workers_infer_on_one_thread(X, model, monkeypatch):
    seen = []
    monkeypatch.setattr(lazily, "unpacked", lambda _: seen.append(threads._most.get()) or model)
    model.posterior(da.from_array(X.values, chunks=(200, 100))).compute(scheduler="sync")
    assert set(seen) == {1}


def test_threads_of_one_process_may_share_the_model(X, model):
    lazy = model.posterior(da.from_array(X.values, chunks=(30, 100)))
    before = torch.get_num_threads()
    found = lazy.compute(scheduler="threads", num_workers=4)
    xr.testing.assert_identical(found, model.posterior(X.values).to_dataset())
    assert torch.get_num_threads() == before


def test_nothing_is_computed_before_it_is_asked_for(X, model):
    def fail(block):
        raise AssertionError("computed")

    waiting = da.from_array(X.values, chunks=(97, 100)).map_blocks(fail, dtype=float, meta=X.values[:0])
    lazy = model.posterior(waiting)
    with pytest.raises(AssertionError, match="computed"):
        lazy.compute(scheduler="sync")


def test_the_encoder_alone_is_lazy_too(X, model):
    lazy = model.posterior(da.from_array(X.values, chunks=(97, 100)), refine=False)
    want = model.posterior(X.values, refine=False).to_dataset()
    xr.testing.assert_equal(lazy.compute(scheduler="sync"), want)


def test_a_zero_that_was_changed_after_the_fit_goes_along(X, model):
    other = copy.deepcopy(model)
    other.zero = "peak"
    lazy = other.posterior(da.from_array(X.values, chunks=(97, 100))).compute(scheduler="sync")
    assert np.array_equal(lazy["shift"].values, other.posterior(X.values).shift)
    assert not np.array_equal(lazy["shift"].values, model.posterior(X.values).shift)


@pytest.fixture(scope="module")
def of_two_kinds(X):
    kinds = np.where(np.arange(N) % 3 == 0, "a", "b")
    return ss.ShiftVAE(epochs=3, width=16).fit(X, condition=kinds), kinds


@pytest.mark.parametrize("known", ["of each", "of all"])
def test_what_is_known_of_the_signals_is_cut_as_they_are(of_two_kinds, X, on_map, stored, known):
    m, kinds = of_two_kinds
    condition = kinds if known == "of each" else "b"
    want = m.posterior(X.values, condition=condition).to_dataset()
    xr.testing.assert_identical(m.posterior(stored, condition=condition).to_dataset(), want)
    lazy = m.posterior(on_map.chunk({"y": 4, "col": 13}), condition=condition)
    assert np.array_equal(lazy["shift"].compute(scheduler="sync").values.ravel(), want["shift"].values)


def test_a_condition_of_another_number_of_signals_is_refused_before_the_work(of_two_kinds, X):
    m, kinds = of_two_kinds
    with pytest.raises(ShapeshiftError, match=f"{N - 1}.*needed .{N},"):
        m.posterior(da.from_array(X.values, chunks=(97, 100)), condition=kinds[1:])


def test_classes_are_told_lazily(X):
    m = ss.ShiftVAEClassifier(n_latent=1, epochs=2, width=16)
    m.fit(X.values, np.where(np.arange(N) % 2 == 0, np.arange(N) % 4 // 2, -1))
    lazy = m.posterior(da.from_array(X.values, chunks=(97, 100))).compute(scheduler="sync")
    xr.testing.assert_identical(lazy, m.posterior(X.values).to_dataset())


def test_images_too(tmp_path):
    r, c = np.mgrid[-5:6, -6:7]
    turn = np.random.default_rng(0).uniform(0, 3, (60, 1, 1))
    pictures = np.exp(-((np.cos(turn) * r + np.sin(turn) * c) ** 2) / 2 - (r**2 + c**2) / 30)
    m = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=2, width=16).fit(pictures)
    want = m.posterior(pictures).to_dataset()
    array = zarr.create_array(tmp_path / "a.zarr", shape=pictures.shape, chunks=(9, 11, 13), dtype="f8")
    array[:] = pictures
    xr.testing.assert_identical(m.posterior(array).to_dataset(), want)
    lazy = m.posterior(da.from_array(array, chunks=(25, 5, 5)))
    xr.testing.assert_identical(lazy.compute(scheduler="sync"), want)
    named = xr.DataArray(pictures.reshape(6, 10, 11, 13), dims=("y", "x", "row", "column"))
    xr.testing.assert_identical(
        m.posterior(named.chunk({"y": 4, "row": 3})).compute(scheduler="sync"),
        m.posterior(named).to_dataset(),
    )


def test_a_missing_number_is_told_with_its_rows(tmp_path, X, model):
    array = zarr.create_array(tmp_path / "a.zarr", shape=X.shape, chunks=(64, 100), dtype="f8")
    array[:] = X.values
    array[200, 7] = np.inf
    with pytest.raises(ShapeshiftError, match=r"^signals 198 to 255 of 330: .*infinity.* \(rows 2;"):
        model.posterior(array)


def test_another_axis_is_refused_before_anything_is_computed(on_map, model):
    other = on_map.assign_coords(x=on_map["x"] + 100).chunk({"y": 4})
    with pytest.raises(ShapeshiftError, match="axis from 88 to 112"):
        model.posterior(other)


def test_own_modules_are_not_sent_to_workers(X, model):
    m = copy.deepcopy(model)
    m.encoder = torch.nn.Identity()
    with pytest.raises(ShapeshiftError, match=r"own encoder.*ss\.stream"):
        m.posterior(da.from_array(X.values, chunks=(97, 100)))


# --- fits ----------------------------------------------------------------------------------------


def test_a_fit_to_few_stored_signals_is_that_to_all_of_them(stored, X, model):
    m = ss.ShiftVAE(epochs=3, width=16).fit(stored)
    assert m.n_signals_ == N
    assert m.notes_ == ()
    assert np.array_equal(m.posterior(X.values).z, model.posterior(X).z)


@pytest.mark.parametrize("kind", ["stored", "dask"])
def test_a_fit_to_many_draws_evenly_and_says_so(stored, on_map, monkeypatch, kind):
    monkeypatch.setattr(streaming, "MOST", 100)
    m = ss.ShiftVAE(epochs=2, width=16).fit(stored if kind == "stored" else on_map.chunk({"y": 4}))
    assert m.n_signals_ == 100
    (note,) = m.notes_
    assert "100 of 330 signals, drawn evenly" in note
    rows = np.concatenate(blocks.even_rows(N, 100, blocks.source_of(stored, images=False).unit))
    if kind == "stored":
        same = ss.ShiftVAE(epochs=2, width=16).fit(np.asarray(stored)[rows])
        assert np.array_equal(m.manifold(3).values, same.manifold(3).values)
    else:
        assert np.array_equal(m.axis_, on_map["x"].values)


def test_a_draw_takes_what_is_known_of_its_signals_along(stored, monkeypatch):
    monkeypatch.setattr(streaming, "MOST", 100)
    heat = np.linspace(0, 1, N)
    m = ss.ShiftVAE(epochs=2, width=16).fit(stored, condition=heat)
    rows = np.concatenate(streaming.runs_of(blocks.source_of(stored, images=False)))
    assert m.condition_.centre == pytest.approx([heat[rows].mean()])


def test_a_draw_leaves_no_label_behind(stored, monkeypatch):
    monkeypatch.setattr(streaming, "MOST", 100)
    y = np.full(N, -1)
    y[[3, 111, 222, 329]] = [0, 1, 0, 1]
    kinds = ss.ShiftVAEClassifier(n_latent=1)
    drawn, _, found, _ = streaming.drawn(kinds, stored, None, streaming.Kinds.of(y))
    assert sorted(found.labels[found.labels >= 0].tolist()) == [0, 0, 1, 1]
    place = {int(k): np.flatnonzero((drawn == stored[int(k)]).all(1))[0] for k in (3, 111, 222, 329)}
    assert [int(found.labels[place[k]]) for k in (3, 111, 222, 329)] == [0, 1, 0, 1]


# --- a cluster -----------------------------------------------------------------------------------


def test_two_workers_give_the_same_bits(on_map, model):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", processes=True)
    with cluster, Client(cluster) as client:
        lazy = model.posterior(on_map.chunk({"y": 2, "col": 15}))
        found = client.compute(lazy).result()
        at_work = client.run(lambda: lazily.unpacked.cache_info().misses)
    xr.testing.assert_identical(found, model.posterior(on_map).to_dataset())
    assert list(at_work.values()) == [1, 1]  # both were at work, and read the model once each


def test_importing_needs_none_of_these_packages():
    code = "import sys, shapeshift as ss; ss.ShiftVAE, ss.stream; "
    code += "print(*{'zarr', 'distributed'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_graph_holds_the_model_once(X, model):
    lazy = model.posterior(da.from_array(np.zeros((N, 100)), chunks=(5, 100)))
    tasks = dict(lazy["shift"].__dask_graph__())
    size = len(lazily.packed(model))
    heavy = [k for k, t in tasks.items() if "array-original" not in str(k) and len(pickle.dumps(t)) > size]
    assert len(heavy) == 1
