"""Conditions: labels and numbers, told to the model the same way every time."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from shapeshift import ShapeshiftError
from shapeshift.data.conditions import Condition


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([True, False, True], (False, True)),
        (np.array([7, 3, 7]), (3, 7)),
        (np.array([7, 3, 7], np.uint8)[:, None], (3, 7)),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b")),
        (pd.Series(["b", "a", "b"], dtype="category"), ("a", "b")),
        (xr.DataArray(["b", "a", "b"], dims="signal"), ("a", "b")),
    ],
)
def test_labels_become_one_column_each(values, levels):
    c = Condition.of(values, 3)
    assert (c.levels, c.kinds, c.size) == (levels, True, 2)
    assert c.encode(values, 3).tolist() == [[0, 1], [1, 0], [0, 1]]
    assert c.encode(levels[0], 2).tolist() == [[1, 0]] * 2


def test_rows_with_a_single_one_are_labels():
    one_hot = np.eye(3)[[2, 0, 1, 1]]
    c = Condition.of(one_hot, 4)
    assert (c.kinds, c.levels) == (True, (0, 1, 2))
    assert np.array_equal(c.encode(one_hot, 4), one_hot)
    assert np.array_equal(c.encode(np.array([2, 0, 1, 1]), 4), one_hot)
    assert np.array_equal(c.encode([0, 0, 1], 2), np.eye(3)[[2, 2]])


def test_numbers_have_mean_zero_and_sd_one():
    values = np.random.default_rng(0).normal([300, -2], [20, 0.1], (50, 2))
    c = Condition.of(values, 50)
    coded = c.encode(values, 50)
    assert not c.kinds
    assert coded.mean(0) == pytest.approx([0, 0], abs=1e-5)
    assert coded.std(0) == pytest.approx([1, 1], abs=1e-5)
    assert c.encode(values[7], 3) == pytest.approx(np.tile(coded[7], (3, 1)))
    assert c.encode(values[:2], 2) == pytest.approx(coded[:2])  # as many rows as columns are rows


def test_columns_keep_their_names():
    table = pd.DataFrame({"T": [1.0, 2.5, 3.0], "B": [0.0, 1.5, 0.5]})
    assert Condition.of(table, 3).names == ("T", "B")
    assert Condition.of(xr.DataArray([1.0, 2.5, 3.0], name="heat"), 3).names == ("heat",)
    assert Condition.of(np.array([1.0, 2.5, 3.0]), 3).names == ("condition",)


@pytest.mark.parametrize("values", [["b", "a", "b"], [1.5, 2.0, 3.0], [3, 1, 3], [True, False, True]])
def test_a_file_gives_the_condition_back(values):
    c = Condition.of(values, 3)
    back = Condition.from_dict(json.loads(json.dumps(c.as_dict())))
    assert back == c
    assert np.array_equal(back.encode(values, 3), c.encode(values, 3))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["a", "b"], r"shape \(2,\), needed \(3,\)"),
        (np.zeros((3, 2, 2)), "needed"),
        ([1.0, np.nan, 2.0], r"missing \(nan or infinite\) for 1 signals"),
        (["a", None, "b"], "no label for 1 signals"),
        (["a", "a", "a"], "'a' for all signals"),
        ([2.0, 2.0, 2.0], "condition the same for all signals"),
        (np.array([["a", 1.0], ["b", 2.0], ["a", 3.0]], dtype=object), "2 columns that are not all numbers"),
    ],
)
def test_what_is_no_condition_is_refused(values, told):
    with pytest.raises(ShapeshiftError, match=told):
        Condition.of(values, 3)


def test_too_many_labels_are_refused():
    with pytest.raises(ShapeshiftError, match="got 99 different labels, needed at most 64"):
        Condition.of(np.arange(99), 99)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("gas", "got the label 'gas', needed one of 'liquid', 'solid'"),
        (["solid"], r"needed \(2,\)"),
        (None, "got no condition, needed one of 'liquid', 'solid'"),
        (["solid", None], "no label for 1"),
        (np.zeros((2, 3)), "got 3 columns, needed one label"),
    ],
)
def test_what_is_no_such_label_is_refused(values, told):
    with pytest.raises(ShapeshiftError, match=told):
        Condition.of(["solid", "liquid", "solid"], 3).encode(values, 2)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((2, 3)), r"got 3 numbers a signal, needed 1 \(condition\)"),
        (["hot", "cold"], "not all numbers"),
        ([np.inf, 1.0], "missing"),
    ],
)
def test_what_is_no_such_number_is_refused(values, told):
    with pytest.raises(ShapeshiftError, match=told):
        Condition.of([1.0, 2.0, 3.0], 3).encode(values, 2)
