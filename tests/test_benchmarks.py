"""The measures behind the published figures: an estimator with known faults gets the figures it deserves."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from shapeshift.data.synthetic import pairs

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def measures():
    spec = importlib.util.spec_from_file_location("benchmark_measures", FOLDER / "measures.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def made():
    """Pairs, and an estimator's answers to them that err by exactly the bound."""
    p = pairs("doublet", 20_000, seed=0)
    error = p.bound * np.random.default_rng(1).normal(size=len(p.bound))
    return p, error


def estimates(measures, p, error, sd):
    z = np.zeros((len(error), 1))
    first = measures.Estimates(p.shift_first + 0.7, sd / np.sqrt(2), z, z)  # a constant zero cancels
    return first, measures.Estimates(p.shift_second + 0.7 + error, sd / np.sqrt(2), z, z)


def test_an_ideal_estimator_stands_at_one_and_covers_as_it_says(measures, made):
    p, error = made
    found = measures.pair_measures(*estimates(measures, p, error, p.bound), p.moved, p.bound)
    assert found["efficiency"] == pytest.approx(1, abs=0.02)
    assert found["coverage68"] == pytest.approx(0.68, abs=0.01)
    assert found["coverage95"] == pytest.approx(0.95, abs=0.005)
    assert found["lost"] == 0


def test_twice_the_error_is_seen_as_twice_the_error(measures, made):
    p, error = made
    found = measures.pair_measures(*estimates(measures, p, 2 * error, p.bound), p.moved, p.bound)
    assert found["efficiency"] == pytest.approx(2, abs=0.04)
    assert found["coverage68"] == pytest.approx(0.381, abs=0.01)


def test_signals_that_got_lost_are_counted(measures, made):
    p, error = made
    wrong = np.where(np.arange(len(error)) % 50 == 0, 20 * p.bound, error)
    found = measures.pair_measures(*estimates(measures, p, wrong, p.bound), p.moved, p.bound)
    assert found["lost"] == pytest.approx(0.02, abs=1e-3)


def test_a_turned_or_stretched_axis_shows_in_the_slope(measures):
    truth = np.linspace(-3, 3, 50)
    assert measures.slope(5 - 0.3 * truth, truth) == pytest.approx(-0.3)


def test_latents_that_ignore_position_do_not_leak_and_others_do(measures):
    rng = np.random.default_rng(0)
    shape, first, second = rng.normal(size=(3, 20_000))
    idle = 100 * rng.normal(size=20_000)  # whatever is in a latent that is not used does not count

    def latents(mix, at):
        return np.column_stack([np.sqrt(1 - mix) * shape + np.sqrt(mix) * at, idle])

    for mix in (0.0, 0.25, 1.0):
        one, other = latents(mix, first), latents(mix, second)
        assert measures.leak(one, other, np.array([True, False])) == pytest.approx(np.sqrt(mix), abs=0.01)


def test_agreement_forgives_a_constant_and_nothing_else(measures):
    reference = np.random.default_rng(0).normal(0, 5, 1000)
    same = measures.agreement(reference + 40, reference, step=0.5)
    assert same == pytest.approx({"r": 1, "median_error": 0, "off_by_10": 0})
    off = reference + np.where(np.arange(1000) % 20 == 0, 6.0, 0.1 * (np.arange(1000) % 2))
    found = measures.agreement(off, reference, step=0.5)
    assert found["off_by_10"] == pytest.approx(0.05)
    assert 0 < found["median_error"] <= 0.2
    good = np.arange(1000) % 20 != 0
    assert measures.agreement(off, reference, step=0.5, good=good)["off_by_10"] == 0


def test_agreement_says_nothing_where_nothing_is_left(measures):
    shift, reference = np.arange(5.0), np.arange(5.0)
    few = measures.agreement(shift, reference, step=1, good=np.arange(5) < 2)
    assert few == {"r": None, "median_error": None, "off_by_10": None}
    still = measures.agreement(np.zeros(5), reference, step=1)
    assert (still["r"], still["median_error"]) == (None, 1)
    assert measures.table([few]).splitlines()[2].split() == ["|", "-", "|", "-", "|", "-", "|"]


def test_the_table_is_markdown_with_one_row_per_record(measures):
    text = measures.table([{"a": 1, "b": 0.123456}, {"a": 22, "b": "x"}]).splitlines()
    assert len(text) == 4
    assert [c.strip() for c in text[2].split("|")[1:-1]] == ["1", "0.1235"]
    assert len({len(line) for line in text}) == 1


def test_results_are_strict_json(measures, tmp_path, monkeypatch):
    monkeypatch.setattr(measures, "RESULTS", tmp_path)
    no_latent = measures.leak(np.ones((3, 1)), np.ones((3, 1)), np.array([False]))
    measures.write("x", {"leak": no_latent, "rows": [{"r": float("inf"), "n": 2}]}, "text")
    read = json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail)
    assert read == {"leak": None, "rows": [{"r": None, "n": 2}]}
    assert (tmp_path / "x.md").read_text() == "text\n"
