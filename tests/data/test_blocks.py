"""Signals that lie elsewhere, block by block: every row once, in order, and no more in memory than said."""

import doctest
from math import prod
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from shapeshift.data import blocks
from shapeshift.data.blocks import Source, drawn_rows, even_rows, pieces, rows_of, source_of
from shapeshift.data.stored import Mapped
from shapeshift.errors import ShapeshiftError


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(blocks)
    assert result.attempted >= 6
    assert result.failed == 0


@pytest.mark.parametrize("shape", [(7,), (4, 5), (1, 9), (9, 1), (3, 4, 5), (2, 1, 3, 2)])
def test_rectangles_hold_every_element_of_a_run_once_and_in_order(shape):
    whole = np.arange(prod(shape)).reshape(shape)
    for begin in range(prod(shape)):
        for end in range(begin + 1, prod(shape) + 1):
            found = np.concatenate([whole[at].ravel() for at in pieces(shape, begin, end)])
            assert found.tolist() == list(range(begin, end))


def test_rows_of_a_map_are_read_in_the_order_of_their_numbers():
    cube = np.random.default_rng(0).normal(size=(4, 5, 3))
    rows = rows_of((4, 5), 3, 17, lambda at: cube[at], 1)
    assert np.array_equal(rows, cube.reshape(20, 3)[3:17])


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_blocks_are_all_rows_once(rows, monkeypatch):
    monkeypatch.setattr(blocks, "NUMBERS", 5 * rows)
    X = np.arange(500.0).reshape(100, 5)
    found = list(source_of(X, images=False).blocks())
    assert [begin for begin, _ in found] == list(range(0, 100, rows))
    assert np.array_equal(np.concatenate([block for _, block in found]), X)


def test_no_more_than_the_next_block_is_read_ahead(monkeypatch):
    monkeypatch.setattr(blocks, "NUMBERS", 10)
    asked = []
    source = Source(
        (6,), ("signal",), lambda begin, end: asked.append(begin) or np.zeros((end - begin, 10)), 10
    )
    for begin, _ in source.blocks():
        assert max(asked) <= begin + 1
    assert asked == list(range(6))


def test_whole_chunks_are_read_unless_they_are_too_large(monkeypatch):
    def source(chunk: int) -> Source:
        return source_of(da.zeros((10**6, 128), chunks=(chunk, 128), dtype="f4"), images=False)

    assert source(1000).rows_read % 1000 == 0
    assert source(1000).rows_read >= source(1000).rows_computed == blocks.NUMBERS // 128
    assert source(100_000).rows_read == 100_000
    assert source(400_000).rows_read * 128 * 4 <= blocks.MOST_BYTES


def test_a_draw_is_even_and_touches_few_chunks():
    runs = even_rows(1_000_000, 5000, 1000)
    rows = np.concatenate(runs)
    assert len(rows) == len(np.unique(rows)) == 5000
    assert np.all(np.diff(rows) > 0)
    assert len(runs) <= blocks.PLACES
    assert all(run[-1] - run[0] < 1000 for run in runs)
    share = np.histogram(rows, bins=8, range=(0, 1_000_000))[0] / 5000
    assert share == pytest.approx(np.full(8, 1 / 8), abs=0.01)


def test_a_draw_takes_the_rows_it_names():
    X = np.arange(3000.0).reshape(1000, 3)
    runs = even_rows(1000, 100, 10)
    assert np.array_equal(drawn_rows(source_of(X, images=False), runs), X[np.concatenate(runs)])


def test_names_and_axes_come_along():
    X = xr.DataArray(np.arange(24.0).reshape(2, 3, 4), dims=("y", "x", "E"))
    X = X.assign_coords(E=("E", np.linspace(1, 2, 4), {"units": "eV"}), y=[5, 7])
    source = source_of(X, images=False)
    assert (source.shape, source.dims, list(source.coords)) == ((2, 3), ("y", "x"), ["y"])
    rows = source.read(1, 5)
    assert np.array_equal(rows.values, X.values.reshape(6, 4)[1:5])
    xr.testing.assert_identical(rows["E"].drop_vars("E"), X["E"].drop_vars("E"))
    assert rows["E"].attrs == {"units": "eV"}


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros(5), "2D array"),
        (np.zeros((0, 5)), "empty"),
        (da.zeros((10**6, 2048), chunks=-1), "chunks of"),
        (da.zeros((9, 4), chunks=3)[da.zeros(9, chunks=3) > 0], "compute_chunk_sizes"),
    ],
)
def test_what_cannot_be_read_block_by_block_is_refused(X, words):
    with pytest.raises(ShapeshiftError, match=words):
        source_of(X, images=False)


def resident(path) -> int:
    """Kilobytes of a file that count as this process's memory."""
    parts = Path("/proc/self/smaps").read_text().split(str(path))[1:]
    return sum(int(part.split("\nRss:")[1].split()[0]) for part in parts)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="memory is told of a file by Linux alone")
def test_a_file_takes_no_memory_for_what_was_read_before(tmp_path):
    values = np.random.default_rng(0).normal(size=(2000, 500))
    np.save(tmp_path / "a.npy", values)
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    mapped = Mapped(array)
    for begin in range(0, 2000, 100):
        np.testing.assert_array_equal(mapped[begin : begin + 100], values[begin : begin + 100])
    assert resident(tmp_path / "a.npy") < 100
    assert array.sum() == pytest.approx(values.sum())  # the other way it does
    assert resident(tmp_path / "a.npy") > 1000
