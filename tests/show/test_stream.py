"""From signals that need not fit into memory to a file: the numbers in memory, whole files, flat memory."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.data import blocks, stored
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import streaming
from shapeshift.show import columns
from shapeshift.show.cli import app
from shapeshift.show.run import table

N = 240


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "NUMBERS", 7000)  # 70 signals of 100 samples
    monkeypatch.setattr(columns, "ROWS", 110)


@pytest.fixture(scope="module")
def X():
    return ss.synthetic.article(n=N, seed=2)[0]


@pytest.fixture(scope="module")
def model(X):
    return ss.ShiftVAE(epochs=3, width=16).fit(X)


@pytest.fixture(scope="module")
def on_map(X):
    names = {
        "x": X["x"],
        "y/um": ("y/um", np.arange(8) * 0.5, {"units": "um"}),
        "day": ("y/um", list("abcdefgh")),
    }
    return xr.DataArray(X.values.reshape(8, 30, -1), dims=("y/um", "col", "x"), coords=names)


def read(path: Path) -> xr.Dataset:
    """A result in memory."""
    opened = xr.open_zarr(path, chunks=None) if path.suffix == ".zarr" else xr.open_dataset(path)
    with opened as data:
        return data.load()


def assert_same(found: xr.Dataset, want: xr.Dataset) -> None:
    """Equal numbers, words, dimensions, coordinates and units, whatever a word's type is."""
    assert set(found.data_vars) == set(want.data_vars)
    assert {k: v for k, v in found.attrs.items() if k not in ("title", "source")} == want.attrs
    for name in want.variables:
        assert found[name].dims == want[name].dims, name
        assert found[name].attrs == want[name].attrs, name
        if want[name].dtype.kind == "f":
            assert np.array_equal(found[name], want[name], equal_nan=True), name
        else:
            assert found[name].values.tolist() == want[name].values.tolist(), name


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_a_stream_writes_the_posterior_in_memory(X, model, tmp_path, ending):
    done = ss.stream(model, X, tmp_path / f"p{ending}")
    assert done.n_signals == N
    assert done.path == tmp_path / f"p{ending}"
    assert_same(read(done.path), model.posterior(X).to_dataset())
    assert [path.name for path in tmp_path.iterdir()] == [f"p{ending}"]


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_maps_keep_their_dimensions_coordinates_and_units(on_map, model, tmp_path, ending):
    found = read(ss.stream(model, on_map.chunk({"col": 7}), tmp_path / f"p{ending}").path)
    want = model.posterior(on_map).to_dataset()
    assert_same(found, want.rename({"y/um": "y per um"}))


@pytest.mark.parametrize("which", ["row", "map"])
def test_tables_are_those_of_a_posterior_in_memory(X, on_map, model, tmp_path, which):
    signals = X.assign_coords(day=("signal", np.arange(N) // 9)) if which == "row" else on_map
    ss.stream(model, signals, tmp_path / "p.csv")
    table(model.posterior(signals)).to_csv(tmp_path / "q.csv", index=False)
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "q.csv").read_text()


def test_flags_and_a_sample_are_told(X, model, tmp_path, monkeypatch):
    values = X.values.copy()
    values[::50] = 0.001 * np.random.default_rng(0).normal(size=(5, 100)) + 0.2
    monkeypatch.setattr("shapeshift.show.stream.SOME", 100)
    done, p = ss.stream(model, values, tmp_path / "p.csv"), model.posterior(values)
    codes = {c for f in p.flags for c in f.split(";") if c}
    assert codes
    assert done.flagged == {c: int(p.flagged(c).sum()) for c in sorted(codes)}
    assert np.array_equal(done.some.shift, p.shift[::3])


# --- files that are read block by block ----------------------------------------------------------


def zarr_file(path: Path, X: xr.DataArray) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("X", data=X.values, chunks=(64, 100))
    group.create_array("x", data=X["x"].values)
    return path


def named_zarr_file(path: Path, X: xr.DataArray) -> Path:
    X.rename("X").to_dataset().to_zarr(path, zarr_format=2)
    return path


def hdf_file(path: Path, X: xr.DataArray) -> Path:
    with h5py.File(path, "w") as file:
        file["X"], file["x"] = X.values, X["x"].values
    return path


def map_file(path: Path, X: xr.DataArray) -> Path:
    with h5py.File(path, "w") as file:
        file["X"], file["x"], file["map_shape"] = X.values, X["x"].values, [8, 30]
    return path


@pytest.mark.parametrize(
    ("write", "name", "dims"),
    [
        (zarr_file, "a.zarr", ("signal",)),
        (named_zarr_file, "a.zarr", ("signal",)),
        (hdf_file, "a.h5", ("signal",)),
        (map_file, "a.h5", ("y", "x")),
    ],
)
def test_files_are_read_as_they_would_be_opened(X, model, tmp_path, write, name, dims):
    done = ss.stream(model, write(tmp_path / name, X), tmp_path / "p.zarr")
    found, p = read(done.path), model.posterior(X)
    assert found["shift"].dims == dims
    assert np.array_equal(found["shift"].values.ravel(), p.shift)
    assert found["flags"].values.ravel().tolist() == p.flags.tolist()


def test_numpy_files_too(X, tmp_path):
    np.save(tmp_path / "a.npy", X.values)
    plain = ss.ShiftVAE(epochs=2, width=16).fit(X.values)
    done = ss.stream(plain, tmp_path / "a.npy", tmp_path / "p.nc")
    assert np.array_equal(read(done.path)["shift"], plain.posterior(X.values).shift)


def test_the_axis_of_the_file_counts(X, model, tmp_path):
    other = hdf_file(tmp_path / "a.h5", X.assign_coords(x=X["x"] + 100))
    with pytest.raises(ShapeshiftError, match="axis from 88 to 112"):
        ss.stream(model, other, tmp_path / "p.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.h5", b"no file of this kind", "cannot be read"),
        ("a.csv", b"1,2\n3,4", "block at a time"),
        ("none.h5", None, "block at a time"),
    ],
)
def test_files_that_cannot_be_read_are_a_sentence(model, tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ShapeshiftError, match=words):
        ss.stream(model, tmp_path / name, tmp_path / "p.zarr")
    assert not (tmp_path / "p.zarr").exists()


def test_signals_along_columns_are_refused(X, model, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"], file["x"] = X.values.T, X["x"].values
    with pytest.raises(ShapeshiftError, match="one signal a column"):
        ss.stream(model, tmp_path / "a.h5", tmp_path / "p.zarr")


def test_zarr_is_large_by_what_it_unpacks_to(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("X", data=np.zeros((2**12, 2**14)), chunks=(2**10, 2**14))
    assert sum(p.stat().st_size for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()) < 2**20
    assert stored.is_stored(tmp_path / "a.zarr")
    assert not stored.is_stored(zarr_file(tmp_path / "b.zarr", ss.synthetic.article(n=9, seed=0)[0]))


def test_hostile_stores_are_refused(X, model, tmp_path):
    path = zarr_file(tmp_path / "a.zarr", X)
    document = path / "X" / ".zarray"
    told = json.loads(document.read_text())
    document.write_text(json.dumps(told | {"compressor": {"id": "pickle"}}))
    with pytest.raises(ShapeshiftError, match="pickle"):
        ss.stream(model, path, tmp_path / "p.nc")
    document.write_text(json.dumps(told | {"shape": [10**12, 100]}))
    with pytest.raises(ShapeshiftError, match="claim to be"):
        ss.stream(model, path, tmp_path / "p.nc")


@pytest.mark.parametrize("read_all", [True, False])
def test_documents_that_were_not_looked_at_do_not_count(X, model, tmp_path, read_all):
    path = zarr_file(tmp_path / "a.zarr", X)
    zarr.consolidate_metadata(path)
    told = json.loads((path / ".zmetadata").read_text())
    told["metadata"]["X/.zarray"]["shape"] = [10**12, 100]
    (path / ".zmetadata").write_text(json.dumps(told))
    if read_all:
        assert ss.open(path).shape == X.shape
    else:
        assert ss.stream(model, path, tmp_path / "p.nc").n_signals == N


def test_a_damaged_chunk_is_a_sentence_and_leaves_nothing(X, model, tmp_path):
    path = zarr_file(tmp_path / "a.zarr", X)
    (path / "X" / "2.0").write_bytes(b"rubbish")
    with pytest.raises(ShapeshiftError, match=r"a\.zarr.*the store is damaged"):
        ss.stream(model, path, tmp_path / "p.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


# --- places --------------------------------------------------------------------------------------


def test_a_failure_leaves_what_was_there(X, model, tmp_path):
    before = ss.stream(model, X, tmp_path / "p.zarr").path
    bad = X.values.copy()
    bad[200, 3] = np.inf
    with pytest.raises(ShapeshiftError, match="signals 140 to 209 of 240"):
        ss.stream(model, bad, tmp_path / "p.zarr", force=True)
    assert np.array_equal(read(before)["shift"], model.posterior(X).shift)
    assert [path.name for path in tmp_path.iterdir()] == ["p.zarr"]


def test_only_results_are_replaced_and_only_if_asked(X, model, tmp_path):
    data = zarr_file(tmp_path / "a.zarr", X)
    with pytest.raises(ShapeshiftError, match="no run wrote"):
        ss.stream(model, data, data, force=True)
    ss.stream(model, X[:50], tmp_path / "p.zarr")
    with pytest.raises(ShapeshiftError, match="exists"):
        ss.stream(model, X, tmp_path / "p.zarr")
    assert read(ss.stream(model, data, tmp_path / "p.zarr", force=True).path).sizes["signal"] == N


def test_other_endings_are_refused(X, model, tmp_path):
    with pytest.raises(ShapeshiftError, match=r"needed one of \.zarr, \.nc, \.csv"):
        ss.stream(model, X, tmp_path / "p.xlsx")


# --- the command line ----------------------------------------------------------------------------


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("large", [True, False])
def test_transform_reads_and_writes_zarr(X, model, tmp_path, monkeypatch, large):
    monkeypatch.setattr(stored, "LARGE", 0 if large else 2**28)
    model.save(tmp_path / "m.safetensors")
    data = zarr_file(tmp_path / "a.zarr", X)
    done = call("transform", tmp_path / "m.safetensors", data, "--out", tmp_path / "p.zarr", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    p = model.posterior(X)
    assert (told["signals"], told["file"]) == (N, str(tmp_path / "p.zarr"))
    assert told["shift"]["median"] == np.median(p.shift)
    assert np.array_equal(read(tmp_path / "p.zarr")["shift"], p.shift)


def test_transform_streams_other_files_when_they_are_large(X, model, tmp_path, monkeypatch):
    model.save(tmp_path / "m.safetensors")
    data, words = hdf_file(tmp_path / "a.h5", X), ("transform", tmp_path / "m.safetensors", tmp_path / "a.h5")
    assert "signals_per_second" not in call(*words, "--out", tmp_path / "p.csv", "--json").stdout
    monkeypatch.setattr(stored, "LARGE", data.stat().st_size - 1)
    assert "signals_per_second" in call(*words, "--out", tmp_path / "q.csv", "--json").stdout
    assert (tmp_path / "p.csv").read_text() == (tmp_path / "q.csv").read_text()


def test_small_files_go_into_zarr_too(X, model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    X.to_pandas().to_csv(tmp_path / "a.csv", index=False)
    done = call("transform", tmp_path / "m.safetensors", tmp_path / "a.csv", "--out", tmp_path / "p.zarr")
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "p.zarr")["shift"].shape == (N,)


def test_fit_draws_from_large_files_and_says_so(X, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "MOST", 100)
    monkeypatch.setattr(stored, "LARGE", 0)
    monkeypatch.setattr("shapeshift.show.report.write_report", lambda m, X, p, path, **_: path.touch())
    data = zarr_file(tmp_path / "a.zarr", X)
    done = call("fit", data, "--out", tmp_path / "run", "--epochs", 2, "--json")
    assert done.exit_code == 0, done.output
    assert "100 of 240 signals, drawn evenly" in done.stderr
    assert len(pd.read_csv(tmp_path / "run" / "signals.csv")) == 100
    assert np.allclose(ss.load(tmp_path / "run" / "model.safetensors").axis_, X["x"])


# --- memory --------------------------------------------------------------------------------------

CHILD = """
import sys
import numpy as np
import shapeshift as ss
from pathlib import Path
from shapeshift.data.blocks import Source

some = np.random.default_rng(0).normal(size=(8192, 128)).astype("f4")

def read(begin, end):
    return some[: end - begin].copy()

model, out, n = ss.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ss.stream(model, Source((n,), ("signal",), read, 128, 8192, 4), out, refine=False)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not tell peaks of memory")
def test_memory_does_not_grow_with_the_number_of_signals(tmp_path):
    signals, _ = ss.synthetic.sample("article", 200, seed=0, length=128)
    ss.ShiftVAE(epochs=2, width=16).fit(signals.values).save(tmp_path / "m")
    peaks = []
    for n in (50_000, 200_000):
        command = [sys.executable, "-c", CHILD, tmp_path / "m", tmp_path / f"{n}.zarr", str(n)]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    assert peaks[1] - peaks[0] < 30  # MB; the signals more take 77 MB as they are stored
