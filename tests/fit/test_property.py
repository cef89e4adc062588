"""A property over the latents: found from few measurements, with error bars that hold."""

from types import SimpleNamespace

import numpy as np
import pytest

import shapeshift as ss
from shapeshift.fit import property as source


def places(n, k=2, seed=0, sd=0.0):
    """Latents (n, k), those that an uncertain posterior would tell, and the posterior."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    own = sd * rng.uniform(0.2, 2, (n, k))
    return z, SimpleNamespace(z=z + own * rng.normal(size=(n, k)), z_sd=own)


def told(values, n, seed=0):
    """The values of n rows, nan for the others."""
    few = np.full(len(values), np.nan)
    rows = np.random.default_rng(seed).choice(len(values), n, replace=False)
    few[rows] = values[rows]
    return few


def covered(mean, sd, truth):
    return float((np.abs(mean - truth) < sd).mean())


def test_a_smooth_property_is_found_from_thirty_values():
    z, _ = places(600)
    truth = 20 + 3 * np.sin(1.5 * z[:, 0])
    found = ss.Property().fit(z, told(truth, 30))
    assert np.abs(found.predict(z) - truth).mean() < 0.15
    assert found.lengths_[1] > 5 * found.lengths_[0]  # it does not depend on the second latent
    assert found.score_left_out_ > 0.95


def test_error_bars_hold_the_noise_of_the_measurement():
    z, _ = places(2000)
    truth = np.sin(z[:, 0]) + 0.2 * np.random.default_rng(1).normal(size=2000)
    found = ss.Property().fit(z, told(truth, 200))
    assert 0.64 < covered(*found.predict(z, return_std=True), truth) < 0.72
    assert found.noise_sd_ == pytest.approx(0.2, rel=0.15)


def test_error_bars_hold_what_the_latents_own_sds_make():
    z, p = places(2000, sd=0.04)
    truth = np.sin(2 * z[:, 0])
    mean, sd = ss.Property().fit(p, told(truth, 200)).predict(p, return_std=True)
    assert 0.6 < covered(mean, sd, truth) < 0.78
    steep = np.abs(np.cos(2 * z[:, 0])) > 0.8
    sure, unsure = p.z_sd[:, 0] < 0.02, p.z_sd[:, 0] > 0.06
    assert np.median(sd[steep & unsure]) > 2 * np.median(sd[steep & sure])
    for part in (steep & sure, steep & unsure):
        assert 0.55 < covered(mean[part], sd[part], truth[part]) < 0.8


def test_predictions_without_a_value_are_those_of_a_process_that_never_saw_it():
    z, _ = places(25)
    found = ss.Property().fit(z, np.sin(z[:, 0]))
    error, sd = source._left_out(found.process_)
    others = source.GaussianProcessRegressor(found.process_.kernel_, alpha=1e-10, optimizer=None)
    y = found.process_.y_train_
    for i in range(25):
        rows = np.arange(25) != i
        mean, own = others.fit(z[rows], y[rows]).predict(z[i : i + 1], return_std=True)
        assert y[i] - mean[0] == pytest.approx(error[i], abs=1e-4)
        assert own[0] == pytest.approx(sd[i], rel=1e-3)


def test_sds_that_errors_contradict_are_scaled():
    z, _ = places(400)
    noisy = z + 0.05 * np.random.default_rng(2).normal(size=z.shape)
    p = SimpleNamespace(z=noisy, z_sd=np.full_like(z, 0.15))  # three times the real ones
    truth = 2 * z[:, 0] + z[:, 1]
    found = ss.Property().fit(p, truth)
    assert found.scale_ < 0.6
    mean, sd = found.predict(p, return_std=True)
    assert 0.6 < covered(mean, sd, truth) < 0.88


def test_the_noise_of_the_latents_is_that_of_draws():
    z, p = places(40, sd=0.05)
    process = ss.Property().fit(z, np.sin(z[:, 0]) * z[:, 1]).process_
    moved = p.z + p.z_sd * np.random.default_rng(1).normal(size=(4000, 40, 2))
    error = process.predict(moved.reshape(-1, 2)).reshape(4000, 40) - process.predict(p.z)
    noise = source._input_noise(process, source.Place(p.z, p.z_sd))
    assert noise == pytest.approx((error**2).mean(0), rel=0.15, abs=1e-4)


def test_suggestions_are_unmeasured_and_apart():
    z = np.vstack([np.random.default_rng(0).normal(size=(100, 2)), [[4.0, 4.0], [4.01, 4.0], [-4.0, -4.0]]])
    y = told(np.sin(z[:, 0]) + z[:, 1], 30)
    y[-3:] = np.nan
    first, second = ss.Property().fit(z, y).suggest(2)
    assert first in (100, 101, 102)
    assert np.linalg.norm(z[first] - z[second]) > 1
    rows = ss.Property().fit(z, y).suggest(int(np.isnan(y).sum()))
    assert sorted(rows) == np.flatnonzero(np.isnan(y)).tolist()


def test_suggestions_teach_more_than_chance():
    z, _ = places(400, seed=3)
    truth = np.sin(2 * z[:, 0]) + np.cos(2 * z[:, 1])
    few = told(truth, 15, seed=3)
    asked, lucky = few.copy(), told(truth, 45, seed=4)
    rows = ss.Property().fit(z, few).suggest(30)
    asked[rows] = truth[rows]
    errors = [np.abs(ss.Property().fit(z, y).predict(z) - truth).mean() for y in (asked, lucky)]
    assert errors[0] < 0.8 * errors[1]


def test_with_a_model_arrays_are_signals():
    z, _ = places(50)
    model = SimpleNamespace(posterior=lambda X: SimpleNamespace(z=X[:, :2], z_sd=np.zeros((len(X), 2))))
    X = np.hstack([z, np.ones((50, 7))])
    found = ss.Property(model).fit(X, z[:, 0])
    assert found.n_features_in_ == 2
    assert found.predict(X) == pytest.approx(z[:, 0], abs=0.05)


@pytest.mark.parametrize(
    ("z", "y", "told"),
    [
        (np.zeros((9, 2)), np.zeros(8), r"\(8,\), needed \(9,\)"),
        (
            np.zeros((9, 2)),
            np.r_[np.zeros(4), np.full(5, np.nan)],
            "got 4 measured signals, needed at least 5",
        ),
        (np.zeros(9), np.zeros(9), r"latents of shape \(9,\)"),
        (np.full((9, 2), np.nan), np.zeros(9), "needed finite numbers"),
    ],
)
def test_what_cannot_be_fitted_is_refused(z, y, told):
    with pytest.raises(ss.ShapeshiftError, match=told):
        ss.Property().fit(z, y)


def test_what_cannot_be_asked_is_refused():
    z, _ = places(12)
    found = ss.Property().fit(z, told(z[:, 0], 10))
    with pytest.raises(ss.ShapeshiftError, match="got n=3, needed 1 to 2"):
        found.suggest(3)
    with pytest.raises(ss.ShapeshiftError, match="got 3 latents, needed 2"):
        found.predict(np.zeros((4, 3)))


def test_a_property_that_does_not_vary_is_predicted_as_it_is():
    z, _ = places(20)
    mean, sd = ss.Property().fit(z, np.full(20, 7.0)).predict(z, return_std=True)
    assert mean == pytest.approx(np.full(20, 7.0))
    assert np.isfinite(sd).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_width_of_a_peak_is_told_by_fifty_labels(seed):
    X, truth = ss.synthetic.article(n=2000, seed=10 + seed)
    width = truth["width"].values
    p = ss.ShiftVAE(random_state=seed).fit(X).posterior(X)
    y = told(width, 50, seed)
    mean, sd = ss.Property().fit(p, y).predict(p, return_std=True)
    rest = np.isnan(y)
    assert 1 - np.var((mean - width)[rest]) / width.var() > 0.99
    assert 0.6 < covered(mean[rest], sd[rest], width[rest]) < 0.76
