"""shiftbench: its measures, its fit of the formula, its checks, and a run small enough for a test."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shapeshift.data.variants import VARIANTS, triples

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = ("measures", "cases", "judge", "formula", "_peers", "rows", "shiftbench_page", "race", "shiftbench")


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules by name."""
    sys.path.insert(0, str(FOLDER))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        del sys.modules[name]


def answers(bench, shift, sd, z):
    return bench.measures.Estimates(shift, np.full(len(shift), sd), z, np.full_like(z, 0.05))


@pytest.fixture
def told(bench):
    """Estimates of 20000 pairs that err by 0.1 in each shift and say so, with latents that leak a share."""
    rng, n = np.random.default_rng(0), 20_000

    def make(leak=0.0, wrong=1.0):
        moved, shape = rng.normal(size=n), rng.normal(size=(n, 1))
        place = np.sqrt(leak) * rng.normal(size=(2, n, 1))
        z = [np.sqrt(1 - leak) * shape + place[k] + 0.05 * rng.normal(size=(n, 1)) for k in (0, 1, 0)]
        error = wrong * 0.1 * rng.normal(size=(3, n))
        at = (0, moved, 0)
        names = ("first", "second", "again")
        return {k: answers(bench, at[j] + error[j], 0.1, z[j]) for j, k in enumerate(names)}, moved

    return make


def test_an_honest_estimator_gets_honest_figures(bench, told):
    estimates, moved = told()
    found = bench.judge.figures(estimates, moved, np.full(len(moved), 0.1 * np.sqrt(2)))
    assert found["efficiency"] == pytest.approx(1, abs=0.02)
    assert found["coverage68"] == pytest.approx(0.6827, abs=0.01)
    assert found["coverage95"] == pytest.approx(0.95, abs=0.005)
    assert found["failures"] == 0
    assert found["leak"] == pytest.approx(0, abs=2e-3)


def test_a_leak_is_its_share_of_the_variance(bench, told):
    estimates, moved = told(leak=0.25)
    assert bench.judge.figures(estimates, moved, np.ones(len(moved)))["leak"] == pytest.approx(0.25, abs=0.01)


def test_failures_and_small_bars_show(bench, told):
    estimates, moved = told(wrong=2)
    found = bench.judge.figures(estimates, moved, np.full(len(moved), 0.01))
    assert found["failures"] > 0.5
    assert found["coverage68"] < 0.45


def test_what_a_method_does_not_tell_is_not_a_number(bench):
    shift = np.arange(5.0)
    only = bench.rows._shift_only(shift)
    found = bench.judge.figures({"first": only, "second": only}, np.zeros(5), np.ones(5))
    assert np.isnan([found["coverage68"], found["coverage95"], found["leak"]]).all()
    assert found["efficiency"] == 0


def test_the_worst_seed_counts(bench):
    seeds = {"1": {"efficiency": 1.0, "coverage68": 0.60}, "2": {"efficiency": 1.2, "coverage68": 0.71}}
    assert bench.judge.worst(seeds) == {"efficiency": 1.2, "coverage68": 0.60}


def test_checks_pass_fail_and_say_when_nothing_was_measured(bench):
    good = {"efficiency": 1.01, "failures": 0.0, "coverage68": 0.68, "coverage95": 0.95, "leak": 0.001}
    runs = {
        "shapeshift": {
            "article": {"1": good | {"ms_per_signal": 0.02}},
            "qrs": {"1": good, "2": good | {"efficiency": 1.3, "leak": 0.2}},
            "still": {"1": {"efficiency": 1, "spread": 0.01, "error_bar": 0.02, "doubts": ["hardly-shift"]}},
        },
        "formula fit": {"article": {"1": {"efficiency": 1.0, "ms_per_signal": 2.0}}},
        "correlation": {"article": {"1": {"efficiency": 0.9}}},
    }
    found = {c.what: c.passed for c in bench.judge.checks(runs)}
    assert found["efficiency, article"]
    assert found["efficiency, qrs"] is False
    assert found["leak, qrs"] is False
    assert found["efficiency, fano"] is None
    assert found["efficiency / formula fit, article"]
    assert found["times faster than formula fit, article"]
    assert found["efficiency / best peer, article"] is False
    assert found["still: spread of shifts / their error bar"]
    assert found["still: says 'hardly-shift' (1 yes)"]


@pytest.mark.parametrize("name", ["article", "qrs", "counts", "gain", "spikes", "two-phase", "edge"])
def test_the_formula_is_fitted_to_the_bound_with_error_bars(bench, name):
    variant, n = bench.cases.CASES[name].variant, 80
    t = triples(variant, n, seed=3)
    fit = bench.formula.fit(variant, t.first.x.values, np.concatenate([t.first, t.second]))
    error = fit.shift[n:] - fit.shift[:n] - t.moved
    assert np.sqrt(np.mean(error**2) / np.mean(t.bound**2)) < 1.5
    assert np.mean(np.abs(error) < 1.96 * np.hypot(fit.shift_sd[n:], fit.shift_sd[:n])) > 0.85
    assert fit.ms_per_signal > 0


def test_the_jacobian_of_the_deviance_is_right(bench):
    variant = VARIANTS["counts"]
    t = triples(variant, 1, seed=0)
    form = bench.formula.formulas(variant, t.first.x.values)[0]
    residuals, jacobian = bench.formula._deviance(form, t.first.values[0])
    theta = np.array([t.shift_first[0] + 0.1, *(t.truth[k][0] for k in ("width", "gain", "offset"))])
    h = 1e-5
    numeric = np.stack([(residuals(theta + e) - residuals(theta - e)) / (2 * h) for e in h * np.eye(4)], 1)
    assert jacobian(theta) == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_a_small_run_makes_table_picture_and_keeps_other_rows(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench.measures, "RESULTS", bench.measures.RESULTS)
    common = ["--cases", "doublet", "--pairs", "60", "--threads", "1", "--results", str(tmp_path)]
    assert bench.shiftbench.main(["--rows", "correlation", "formula fit", "--seeds", "1", *common]) == 0
    assert bench.shiftbench.main(["--rows", "shapeshift", "--seeds", "1", "--n", "200", *common]) == 0
    runs = json.loads((tmp_path / "shiftbench.json").read_text())["runs"]
    assert set(runs) == {"correlation", "formula fit", "shapeshift"}
    ours = runs["shapeshift"]["doublet"]["1"]
    assert ours["efficiency"] < 3
    assert ours["failures"] < 0.05
    assert ours["n"] == 200
    assert runs["correlation"]["doublet"]["1"]["leak"] is None
    shown = (tmp_path / "shiftbench.md").read_text()
    assert "shapeshift | formula fit | correlation" in shown
    assert (tmp_path / "shiftbench.png").stat().st_size > 10_000
    capsys.readouterr()
    bench.shiftbench.main(["--check", "--results", str(tmp_path)])
    assert "efficiency, doublet" in capsys.readouterr().out


def test_every_file_is_short(bench):
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 350 for path in FOLDER.glob("*.py"))
