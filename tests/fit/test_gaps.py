"""Samples that were not measured count for nothing: in noise, fit, posterior and all around."""

import numpy as np
import pytest
import torch
from known import GRID, LENGTH, REACH, SAMPLE, model
from sklearn.datasets import make_blobs

import shapeshift as ss
from shapeshift.analysis import calibrate
from shapeshift.data.coordinates import resample
from shapeshift.data.preprocess import noise_and_contrast, per_signal, whole_set
from shapeshift.data.synthetic import FAMILIES
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.bank import Bank
from shapeshift.fit.choose import look_like_counts
from shapeshift.fit.lags import lag_candidates, lag_table
from shapeshift.fit.refine import refine
from shapeshift.model.frames import moved_back
from shapeshift.model.gaps import bridged
from shapeshift.model.likelihoods import LIKELIHOODS
from shapeshift.model.nuisance import nuisance

SHARE = 0.3  # of the samples that are missing


def holed(values, seed, share=SHARE):
    out = np.array(values, dtype=float)
    out[np.random.default_rng(seed).random(out.shape) < share] = np.nan
    return out


def data_of(name, generator):
    """Data (6, LENGTH) inside the support of a likelihood."""
    uniform = torch.rand(6, LENGTH, generator=generator, dtype=torch.double)
    return {"poisson": (9 * uniform).round(), "bernoulli": uniform.round()}.get(name, uniform)


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_the_probability_of_a_signal_is_that_of_its_measured_samples(name):
    generator, likelihood = torch.Generator().manual_seed(0), LIKELIHOODS[name]().double()
    x = data_of(name, generator)
    v, noise = likelihood.values_at(data_of("", generator) * 0.9 + 0.05), torch.tensor([[0.2, 0.7]]).double()
    keep = torch.rand(LENGTH, generator=generator) > 0.4
    gaps = torch.where(keep, x, torch.nan)
    noise = noise.expand(6, 2)
    for told, rest in zip(
        (likelihood.log_prob(gaps, v, noise), likelihood.excess(gaps, v, noise, 3)),
        (
            likelihood.log_prob(x[:, keep], v[:, keep], noise),
            likelihood.excess(x[:, keep], v[:, keep], noise, 3),
        ),
        strict=True,
    ):
        assert torch.allclose(told, rest)
    score = likelihood.score(gaps, v, noise)
    assert (score[:, ~keep] == 0).all()
    assert torch.allclose(score[:, keep], likelihood.score(x, v, noise)[:, keep])


@pytest.mark.parametrize("free", [(), ("gain", "offset"), ("baseline",)])
def test_what_stands_in_a_gap_changes_no_posterior(free):
    """The best theta and its curvature are those of the measured samples, by least squares on them alone."""
    vae, generator = model(free=free), torch.Generator().manual_seed(1)
    theta = torch.tensor([[0.05, 0.3, -0.4]]).double().expand(8, 3)
    x = 1.3 * vae.values(theta[:, :1], theta[:, 1:]) + 0.2
    x = x + 0.02 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    gap = torch.rand(LENGTH, generator=generator) < 0.25
    x = torch.where(gap, torch.nan, x)
    noise = torch.tensor([[0.02, 0.3]]).double().expand(8, 2)
    found = refine(vae, x, noise, theta + 0.02, steps=40, tol=1e-9)
    v, j = vae.values_and_jacobian(found.theta)
    v, j, y = v[:, ~gap], j[:, :, ~gap], x[:, ~gap]
    rows = [] if vae.nuisance is None else list(vae.nuisance.basis[:, ~gap])
    for i in range(len(x)):  # the derivative of the loss, every free number solved for on what was measured
        columns = [*rows, v[i]] if "gain" in free else rows
        target = y[i] if "gain" in free else y[i] - v[i]
        design = torch.stack(columns, 1) if columns else v.new_zeros(len(target), 0)
        free_of = torch.linalg.lstsq(design, target[:, None]).solution[:, 0] if columns else v.new_zeros(0)
        left = target - design @ free_of
        gain = free_of[-1] if "gain" in free else 1.0
        slope = -(gain * j[i]) @ left / vae.likelihood.scale(noise[i : i + 1]).square()[0]
        slope = slope + found.theta[i] * vae.prior_precision()
        assert slope.abs().max() < 1e-3 * found.hessian[i].diagonal().sqrt().max()


def test_baselines_are_taken_off_what_was_measured():
    own, x = nuisance(("baseline",), GRID), torch.zeros(2, LENGTH).double()
    x[0], x[1] = 3 + GRID[:, 0] - GRID[:, 0] ** 2, 1.0
    x[:, 4:9] = torch.nan
    cleared = own.double().cleared(x)
    assert torch.isnan(cleared).equal(torch.isnan(x))
    assert cleared.nan_to_num().abs().max() < 1e-5
    assert torch.allclose(own.baseline(x)[0], 3 + GRID[:, 0] - GRID[:, 0] ** 2, atol=1e-5)


def test_the_search_judges_lags_by_what_was_measured():
    """Every lag by brute force: squares of what the bank leaves over of the measured samples."""
    vae, generator = model(), torch.Generator().manual_seed(2)
    bank = Bank(torch.randn(5, 2, generator=generator).double(), REACH)
    lags = torch.tensor([-5, 0, 3, 6])
    x = vae.values(SAMPLE * lags[:, None].double(), bank.z[:4])
    x = x + 0.01 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    x[:, 8:13] = torch.nan
    noise = torch.tensor([[0.01, 0.3]]).double().expand(4, 2)
    found = lag_candidates(vae, bank, lag_table(vae, bank), x, noise)
    assert found.place[:, 0].equal(lags)
    assert found.shape[:, 0].equal(torch.arange(4))
    x[:, 8:13] = 50.0  # as if it were measured
    assert not lag_candidates(vae, bank, lag_table(vae, bank), x, noise).place[:, 0].equal(lags)


def test_moving_back_moves_the_gaps_too():
    x = torch.arange(12.0)[None].repeat(2, 1)
    x[:, 3] = torch.nan
    y, seen = moved_back(x, torch.tensor([2, -1]))
    assert torch.nonzero(seen == 0).tolist() == [[0, 1], [0, 10], [0, 11], [1, 0], [1, 4]]
    assert (y[seen == 0] == 0).all()


def test_bridges_are_straight_and_get_the_noise_they_lack():
    line = torch.arange(9.0)[None].repeat(3, 1)
    x = line.clone()
    x[0, 2:5], x[1, :3], x[2] = torch.nan, torch.nan, torch.nan
    y = bridged(x)
    assert y[0].equal(line[0])
    assert y[1].tolist() == [3, 3, 3, 3, 4, 5, 6, 7, 8]
    assert (y[2] == 0).all()
    noise = torch.randn(4000, 60, generator=torch.Generator().manual_seed(0))
    gaps = torch.where(
        torch.rand(noise.shape, generator=torch.Generator().manual_seed(1)) < 0.3, torch.nan, noise
    )
    full = bridged(gaps, torch.ones(4000), torch.Generator().manual_seed(2))
    assert full.var().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("pattern", ["random", "every other", "mostly"])
def test_noise_is_told_around_gaps(pattern):
    rng = np.random.default_rng(3)
    x = np.sin(np.arange(240) / 25)[None] + rng.normal(0, 0.1, (500, 240))
    if pattern == "every other":
        x[:, ::2] = np.nan
    else:
        x = holed(x, 4, 0.3 if pattern == "random" else 0.8)
    noise, contrast = noise_and_contrast(x).T
    assert np.median(noise) == pytest.approx(0.1, rel=0.06)
    assert np.median(contrast) == pytest.approx(np.sin(np.arange(240) / 25).std(), rel=0.1)
    x[0] = np.nan
    assert noise_and_contrast(x)[0].tolist() == [0, 0]


@pytest.mark.parametrize("how", ["max", "area", "sd", "minmax"])
def test_steps_before_the_model_see_what_was_measured(how):
    x = np.random.default_rng(5).normal(2, 1, (4, 50))
    gaps = x.copy()
    gaps[:, 30:] = np.nan
    a, b = per_signal(gaps, how), per_signal(x[:, :30], how)
    assert a.gain == pytest.approx(b.gain)
    assert a.offset == pytest.approx(b.offset)
    assert float(whole_set(gaps).gain) == pytest.approx(float(whole_set(x[:, :30]).gain))


def test_counts_are_known_as_such_through_gaps():
    rng = np.random.default_rng(6)
    counts = rng.poisson(5 + 60 * np.exp(-((np.arange(80) - 40) ** 2) / 100), (200, 80))
    assert look_like_counts(holed(counts, 7, 0.2))
    assert not look_like_counts(holed(7 * counts, 7, 0.2))


def test_resampled_gaps_stay_gaps():
    old, new = np.sort(np.random.default_rng(8).uniform(0, 10, 60)), np.linspace(0.5, 9.5, 50)
    y = np.sin(old)[None].repeat(2, 0)
    y[1, 20:30] = np.nan
    out = resample(y, old, new)
    inside = (new > old[20]) & (new < old[29])
    assert np.isnan(out[1]).sum() == pytest.approx(inside.sum(), abs=2)
    assert np.nanmax(np.abs(out[1] - np.sin(new))) < 0.1
    assert not np.isnan(out[0]).any()


# --- the whole ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    """The article's signals with 30 % of the samples missing, one dead channel, one dead signal."""
    X, truth = ss.synthetic.sample("article", 1300, seed=4)
    values = holed(X.values, 1)
    values[:, 20] = values[7] = np.nan
    x = X["x"].values
    return ss.ShiftVAE().fit(values[:800], x=x), values, x, truth


def test_a_fit_to_what_is_left_comes_near_the_bound_of_what_is_left(fitted):
    model, values, x, truth = fitted
    held = values[800:]
    p = model.posterior(held)
    family, shift = FAMILIES["article"], truth["shift"].values[800:]
    params = {"width": truth["width"].values[800:]}
    step = 1e-4
    slope = (family.values(x, shift + step, params) - family.values(x, shift, params)) / step
    bound = truth["noise"].values[800:] / np.sqrt((slope**2 * ~np.isnan(held)).sum(1))
    error = p.shift - shift
    error -= np.median(error)
    assert np.sqrt(np.mean(error**2) / np.mean(bound**2)) < 1.2
    assert 0.6 < np.mean(np.abs(error) < 0.9945 * p.shift_sd) < 0.76
    assert "samples are missing" in model.notes_[0]


def test_a_signal_without_a_sample_is_told_and_not_invented(fitted):
    model, values, _, _ = fitted
    p = model.posterior(values[:20])
    assert p.flagged("faint").tolist() == [k == 7 for k in range(20)]
    assert p.shift_sd[7] == pytest.approx(model.shift_sd_, rel=0.05)
    assert np.isfinite([p.shift, p.log_evidence, p.noise_sd]).all()
    assert p.log_evidence[7] == pytest.approx(0, abs=0.5)


def test_masked_arrays_and_nan_are_the_same(fitted):
    model, values, _, _ = fitted
    masked = np.ma.masked_array(np.nan_to_num(values[:50], nan=1e6), np.isnan(values[:50]))
    assert np.array_equal(model.posterior(masked).shift, model.posterior(values[:50]).shift)


def test_reconstruction_fills_gaps_and_alignment_leaves_them(fitted):
    model, values, x, truth = fitted
    drawn, aligned = model.reconstruct(values[:50]), model.align(values[:50])
    assert np.isfinite(drawn).all()
    family = FAMILIES["article"]
    true = family.values(x, truth["shift"].values[:50], {"width": truth["width"].values[:50]})
    rows = np.arange(50) != 7
    assert np.sqrt(np.mean((drawn - true)[rows] ** 2)) < 0.5 * np.median(truth["noise"])
    assert np.isnan(aligned).mean() > SHARE


def test_calibration_keeps_the_gaps_of_the_signals(fitted):
    model, values, _, _ = fitted
    told = calibrate(model, values[:800], n=400)
    assert 0.9 < told.efficiency < 1.25
    assert 0.58 < told.coverage68 < 0.76


def test_a_model_of_gaps_comes_back_from_its_file(fitted, tmp_path):
    model, values, _, _ = fitted
    model.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors").posterior(values[:30])
    assert np.array_equal(again.shift, model.posterior(values[:30]).shift)


def test_infinities_and_nothing_at_all_are_refused():
    X = np.random.default_rng(0).normal(size=(30, 40))
    X[3, 5] = np.inf
    with pytest.raises(ShapeshiftError, match=r"infinity in 1 of 30 signals \(rows 3; samples 5\)"):
        ss.ShiftVAE().fit(X)
    with pytest.raises(ShapeshiftError, match="without a single number"):
        ss.ShiftVAE().fit(np.full((30, 40), np.nan))


@pytest.mark.parametrize("kind", ["classes", "few labels", "numbers", "condition"])
def test_gaps_are_taken_by_all_estimators_of_signals(kind):
    X, truth = ss.synthetic.article(300, seed=2)
    values, width = holed(X.values, 3), truth["width"].values
    wide, some = (width > np.median(width)).astype(int), np.arange(300) % 5 == 0
    if kind == "classes":
        found = ss.ShiftVAE(n_classes=2, epochs=8).fit(values).predict_proba(values)
        assert np.isfinite(found).all()
    elif kind == "few labels":
        model = ss.ShiftVAEClassifier(epochs=20).fit(values, np.where(some, wide, -1))
        assert np.mean(model.predict(values) == wide) > 0.75
    elif kind == "numbers":
        model = ss.ShiftVAERegressor(epochs=60).fit(values, np.where(some, width, np.nan))
        assert np.corrcoef(model.predict(values), width)[0, 1] > 0.97
    else:
        model = ss.ShiftVAE(epochs=30).fit(values, condition=wide)
        p = model.posterior(values, condition=wide)
        assert np.corrcoef(p.shift, truth["shift"])[0, 1] > 0.995


def test_two_samples_without_noise_leave_error_bars_and_evidence():
    """One number measured to nine digits leaves rounding, not curvature, in the other directions."""
    X = make_blobs(30, centers=[[0, 0, 0], [1, 1, 1]], random_state=0, cluster_std=0.1)[0]
    X.reshape(-1)[np.random.RandomState(42).choice(X.size, 10, replace=False)] = np.nan
    p = ss.ShiftVAE(epochs=2).fit(X).posterior(X)
    for told in (p.shift_sd, p.z_sd, p.log_evidence):
        assert np.isfinite(told).all()
    assert (p.z_sd > 0).all()
