"""Signals on axes of their own: several in one fit, one that is not uniform, one that the model never saw."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import shapeshift as ss
from shapeshift.data.coordinates import Axis, as_stack
from shapeshift.data.grids import are_several, on_axis, stacked
from shapeshift.data.resampling import noise_kept, resample
from shapeshift.data.synthetic import FAMILIES
from shapeshift.errors import ShapeshiftError

FAMILY = FAMILIES["article"]
FEW, MANY = np.linspace(-12, 7, 100), np.linspace(-8, 12, 160)


def drawn(n, x, seed):
    """Signals of the article's family on any axis, and what is true of them."""
    rng = np.random.default_rng(seed)
    shift, width, noise = (r.draw(rng, n) for r in (FAMILY.shift, FAMILY.params["width"], FAMILY.noise))
    values = FAMILY.values(x, shift, {"width": width}) + noise[:, None] * rng.normal(size=(n, len(x)))
    return (
        xr.DataArray(values, dims=("signal", "x"), coords={"x": ("x", x, {"units": "nm"})}),
        shift,
        width,
        noise,
    )


def bound(x, shift, width, noise, h=1e-4):
    after, before = (FAMILY.values(x, shift + s, {"width": width}) for s in (h, -h))
    return noise / np.sqrt((((after - before) / (2 * h)) ** 2).sum(1))


@pytest.fixture(scope="module")
def two():
    return ss.ShiftVAE().fit([drawn(500, FEW, 1)[0], drawn(500, MANY, 2)[0]])


def uneven(length, seed):
    steps = np.random.default_rng(seed).uniform(0.3, 1.7, length)
    return np.interp(np.cumsum(steps), [steps[0], steps.sum()], [-12, 12])


def test_both_grids_of_one_fit_come_near_their_bounds_and_share_a_zero(two):
    errors = []
    for x, seed in ((FEW, 3), (MANY, 4)):
        X, *truth = drawn(400, x, seed)
        p = two.posterior(X)
        error = p.shift - truth[0]
        errors.append(np.median(error))
        assert np.sqrt(np.mean((error - errors[-1]) ** 2) / np.mean(bound(x, *truth) ** 2)) < 1.2
        assert 0.58 < np.mean(np.abs(error - errors[-1]) < 0.9945 * p.shift_sd) < 0.77
    assert errors[0] == pytest.approx(errors[1], abs=0.02)


def test_a_list_is_read_as_its_parts_are(two):
    a, b = drawn(40, FEW, 5)[0], drawn(30, MANY, 6)[0]
    p, parts = two.posterior([a, b]), (two.posterior(a), two.posterior(b))
    for name in ("shift", "shift_sd", "z", "noise_sd", "log_evidence", "flags"):
        assert np.array_equal(getattr(p, name), np.concatenate([getattr(q, name) for q in parts]))
    plain = two.posterior([a.values, b.values], x=[FEW, MANY])
    assert np.array_equal(plain.shift, p.shift)
    assert two.transform([a, b]).shape == (70, 2)
    drawn_back = two.reconstruct([a, b])
    assert [d.shape for d in drawn_back] == [(40, 100), (30, 160)]
    for X, back, q in zip((a, b), drawn_back, parts, strict=True):
        assert np.allclose(back.x, X.x)
        assert np.median((X.values - back.values).std(1) / q.noise_sd) == pytest.approx(1, abs=0.1)
    assert [v.dims for v in two.align([a, b])] == [("signal", "x")] * 2


def test_an_uneven_axis_is_read_where_its_samples_lie():
    x = uneven(110, 7)
    X, *_ = drawn(700, x, 8)
    held, *truth = drawn(400, x, 9)
    model = ss.ShiftVAE().fit(X)
    p = model.posterior(held)
    error = p.shift - truth[0]
    error -= np.median(error)
    assert np.sqrt(np.mean(error**2) / np.mean(bound(x, *truth) ** 2)) < 1.2
    assert 0.6 < np.mean(np.abs(error) < 0.9945 * p.shift_sd) < 0.77
    assert np.array_equal(model.posterior(held.values).shift, p.shift)  # the axis is the model's own


def test_a_model_reads_signals_on_a_grid_that_it_never_saw(two, tmp_path):
    x = uneven(90, 10)[10:]
    X, *truth = drawn(300, x, 11)
    p = two.posterior(X)
    error = p.shift - truth[0]
    assert np.median(np.abs(error - np.median(error))) < 1.3 * 0.6745 * np.sqrt(
        np.mean(bound(x, *truth) ** 2)
    )
    two.save(tmp_path / "m.safetensors")
    assert np.array_equal(ss.load(tmp_path / "m.safetensors").posterior(X).shift, p.shift)
    wide = X.assign_coords(x=X.x * 3)  # most of it off the model's window
    assert np.isfinite(two.posterior(wide).shift).all()
    with pytest.raises(ShapeshiftError, match="overlaps the model's, from -12 to 12"):
        two.posterior(X.assign_coords(x=X.x + 500))


def test_time_stamps_are_seconds_from_the_first():
    stamps = np.datetime64("2026-11-24T12:00:00") + (np.arange(64) * 250).astype("timedelta64[ms]")
    X = xr.DataArray(
        np.random.default_rng(0).normal(size=(5, 64)), dims=("beat", "time"), coords={"time": stamps}
    )
    axis = as_stack(X).axis
    assert axis.units == "s"
    assert axis.values == pytest.approx(0.25 * np.arange(64))
    assert as_stack(X.values, stamps).axis.values == pytest.approx(axis.values)


def test_resampling_is_exact_on_lines_and_tells_what_noise_it_leaves():
    old, new = uneven(60, 12), np.linspace(-14, 14, 200)
    out = resample((2 * old + 1)[None], old, new)[0]
    inside = np.abs(new) <= 12
    assert np.isnan(out[~inside]).all()
    assert out[inside] == pytest.approx((2 * new + 1)[inside])
    noise = np.random.default_rng(13).normal(size=(4000, 60))
    left = np.nanstd(resample(noise, old, new))
    assert noise_kept(old, new) == pytest.approx(left, rel=0.06)


def test_a_common_axis_has_the_finest_step_and_all_windows():
    a, b = drawn(4, FEW, 1)[0], drawn(5, MANY, 2)[0]
    stack = stacked([a, b])
    assert stack.axis.step == pytest.approx(20 / 159)
    assert stack.axis.values[[0, -1]] == pytest.approx([-12, 12], abs=0.07)
    assert [m.rows for m in stack.measured] == [slice(0, 4), slice(4, 9)]
    assert np.isnan(stack.values[:4, -1]).all()
    assert np.isnan(stack.values[4:, 0]).all()
    same = stacked([a, a])
    assert not same.measured
    assert np.array_equal(same.values, np.concatenate([a, a]))
    far = on_axis(as_stack(a), Axis(FEW + 10))
    assert "samples lie outside the window" in far.notes[-1]


@pytest.mark.parametrize(
    ("stacks", "axes", "told"),
    [
        ([np.zeros((3, 20)), np.ones((3, 30))], None, "different lengths without axes"),
        ([np.zeros((3, 20))], [FEW, MANY], "2 axes for 1 stacks"),
        ([drawn(3, FEW, 1)[0], drawn(3, FEW + 1e4, 1)[0]], None, "fit them apart"),
        (
            [drawn(3, FEW, 1)[0], drawn(3, FEW, 1)[0].assign_coords(x=("x", FEW, {"units": "eV"}))],
            None,
            "eV, nm",
        ),
    ],
)
def test_stacks_that_do_not_go_together_are_refused(stacks, axes, told):
    with pytest.raises(ShapeshiftError, match=told):
        stacked(stacks, axes)


def test_a_list_of_rows_is_one_stack():
    assert not are_several([[1.0, 2.0], [3.0, 4.0]])
    assert not are_several([np.zeros(5), np.zeros(5)])
    assert are_several([np.zeros((2, 5)), np.zeros((2, 6))])


def test_the_page_on_gaps_and_grids_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "gaps.md").read_text(encoding="utf-8")
    names: dict = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S):
        exec(compile(code, "gaps.md", "exec"), names)
    assert np.isfinite(names["filled"]).all()
    assert len(names["p"]) == 400
