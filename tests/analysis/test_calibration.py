"""Accuracy and honesty on pairs of known displacement."""

from types import SimpleNamespace

import numpy as np
import pytest

import shapeshift as ss
from shapeshift.analysis import calibrate, calibration_of, matched_filter_bound
from shapeshift.analysis.calibration import leak, leak_back

X = np.linspace(-12, 12, 241)
STEP = X[1] - X[0]


@pytest.mark.parametrize("width", [0.8, 2.0])
def test_the_bound_is_the_formula_of_a_gaussian_line(width):
    found = matched_filter_bound(3 * np.exp(-(X[None] ** 2) / (2 * width**2)), STEP, 0.1)
    assert np.isclose(found[0], 0.1 / (3 * np.sqrt(np.sqrt(np.pi) / (2 * width) / STEP)), rtol=1e-3)


def test_no_unbiased_estimate_scatters_less_than_the_bound():
    """Least squares at high signal to noise attains it."""
    rng, noise = np.random.default_rng(0), 0.02
    clean = np.exp(-(X**2) / 2)
    tried = np.linspace(-0.06, 0.06, 241)
    lines = np.exp(-((X - tried[:, None]) ** 2) / 2)
    noisy = clean + noise * rng.normal(size=(3000, len(X)))
    squares = (lines**2).sum(1) - 2 * noisy @ lines.T
    scatter = tried[squares.argmin(1)].std()
    assert np.isclose(scatter, matched_filter_bound(clean[None], STEP, noise)[0], rtol=0.05)


def test_the_bound_scales_with_noise_and_axis():
    signal = np.exp(-(X[None] ** 2) / 2).repeat(2, 0)
    base = matched_filter_bound(signal, STEP, 0.1)
    assert np.allclose(matched_filter_bound(signal, STEP, np.array([0.1, 0.3])), base * [1, 3])
    assert np.allclose(matched_filter_bound(signal, 5 * STEP, 0.1), 5 * base)
    assert matched_filter_bound(np.ones((1, 50)), 1.0, 0.1)[0] > 1e100  # nothing to see, nothing known


def test_noise_may_differ_from_sample_to_sample():
    signal = np.exp(-(X[None] ** 2) / 2)
    same = matched_filter_bound(signal, STEP, np.full((1, len(X)), 0.1))
    assert np.allclose(same, matched_filter_bound(signal, STEP, 0.1))
    half = np.where(X > 0, 0.1, 1e9)  # one flank lost
    assert np.allclose(matched_filter_bound(signal, STEP, half[None]), np.sqrt(2) * same, rtol=1e-3)


def pairs(n=4000, sd=1.0, claimed=1.0, leaked=0.0, lost=0.0, seed=0):
    """Posteriors of pairs whose errors have sd ``sd`` and who claim ``claimed``."""
    rng = np.random.default_rng(seed)
    shape, moved = rng.normal(size=(n, 1)), rng.normal(scale=20, size=n)

    def view(at, z):
        stray = np.where(rng.uniform(size=n) < lost, 1000.0, 0.0)
        z = z + 0.05 * rng.normal(size=(n, 1))
        shift = at + sd * rng.normal(size=n) + stray
        return SimpleNamespace(shift=shift, shift_sd=np.full(n, claimed), z=z, z_sd=np.full((n, 1), 0.05))

    first, again = view(0.0, shape), view(0.0, shape)
    second = view(moved, shape + leaked * moved[:, None] / 20)
    return first, second, moved, np.full(n, np.hypot(1, 1)), again


def test_honest_error_bars_at_the_bound():
    found = calibration_of(*pairs())
    assert abs(found.coverage68 - 0.68) < 0.025
    assert abs(found.coverage95 - 0.95) < 0.012
    assert abs(found.efficiency - 1) < 0.03
    assert found.lost == 0
    assert found.leak < 0.002
    assert found.n == 4000


def test_over_confident_posteriors_cover_too_little():
    found = calibration_of(*pairs(claimed=0.5))
    assert found.coverage68 < 0.45
    assert found.coverage95 < 0.75
    timid = calibration_of(*pairs(claimed=2.0))
    assert timid.coverage68 > 0.9


def test_errors_above_the_bound_show_as_efficiency():
    assert abs(calibration_of(*pairs(sd=1.5, claimed=1.5)).efficiency - 1.5) < 0.05


def test_lost_signals_are_counted():
    assert 0.05 < calibration_of(*pairs(lost=0.05)).lost < 0.14  # either of two may be lost


def test_a_bias_is_an_error_too():
    first, second, moved, bound, again = pairs()
    second.shift += 2.0
    assert calibration_of(first, second, moved, bound, again).efficiency > 1.5


@pytest.mark.parametrize("leaked", [0.1, 0.5])
def test_leak_is_the_share_of_variance_that_came_from_the_move(leaked):
    first, second, _, _, again = pairs(leaked=leaked)
    assert np.isclose(leak(first, second, again), leaked**2 / 2, rtol=0.15)


def test_no_leak_into_latents_that_are_not_used():
    first, second, _, _, again = pairs(leaked=0.5)
    first.z, first.z_sd = 0 * first.z, np.ones_like(first.z_sd)
    assert leak(first, second, again) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_leak_back_is_the_share_of_the_squared_error_that_comes_with_the_shape(share):
    first, second, moved, bound, again = pairs()
    bias = np.sqrt(share) * np.sign(first.z[:, 0])
    for p in (first, second):
        p.shift = np.sqrt(1 - share) * (p.shift - (p is second) * moved) + (p is second) * moved + bias
    found = calibration_of(first, second, moved, bound, again, at=np.zeros(len(moved)))
    assert abs(found.leak_back - share) < 0.04
    assert calibration_of(first, second, moved, bound, again).leak_back is None


def test_another_zero_and_lost_signals_are_no_leak_back():
    first, second, moved, _, _ = pairs(lost=0.05)
    assert leak_back(first, second, np.full_like(moved, 3.0), moved + 3.0) < 0.05
    for p in (first, second):
        p.shift[:100] += 1000.0  # both on the same wrong feature
    assert leak_back(first, second, np.zeros_like(moved), moved) < 0.05


class Known:
    """Stands in for a fitted model of Gaussian lines, with errors of so many bounds and bars of so many."""

    warps, likelihood_, axis_step_, noise, shift_sd_ = ("shift",), "gaussian", STEP, 0.05, 3.0

    nuisance_ = ()

    def __init__(self, error=1.0, claimed=1.0):
        self.error, self.claimed, self.rng = error, claimed, np.random.default_rng(5)

    def generate(self, z, shift=0.0):
        return np.exp(-((X - np.broadcast_to(shift, len(z))[:, None]) ** 2) / 2) + 0 * z[:, :1]

    def reconstruct(self, signals):
        return self.generate(np.zeros((len(signals), 1)), self._at(signals))

    def _at(self, signals):
        tried = np.linspace(-8, 8, 3201)
        lines = np.exp(-((X - tried[:, None]) ** 2) / 2)
        return tried[np.argmax(2 * np.asarray(signals) @ lines.T - (lines**2).sum(1), axis=1)]

    def amplitudes(self, signals):
        return np.tile([1.0, 0.0], (len(signals), 1))

    def posterior(self, signals):
        n, shift = len(signals), self._at(signals)
        bound = matched_filter_bound(self.generate(np.zeros((n, 1)), shift), STEP, self.noise)
        shift = shift + np.sqrt(self.error**2 - 1) * bound * self.rng.normal(size=n)
        return Posterior(shift, self.claimed * bound, n, self.noise)


class Posterior(SimpleNamespace):
    def __init__(self, shift, sd, n, noise):
        super().__init__(shift=shift, shift_sd=sd, z=np.zeros((n, 1)), z_sd=np.ones((n, 1)))
        self.flags, self.noise_sd, self.gain = np.full(n, ""), np.full(n, noise), np.ones(n)

    def __len__(self):
        return len(self.shift)


@pytest.mark.parametrize(("error", "claimed"), [(1.0, 1.0), (2.0, 2.0), (2.0, 1.0)])
def test_calibrate_sees_what_a_model_is_like(error, claimed):
    rng = np.random.default_rng(1)
    model = Known(error, claimed)
    at = rng.uniform(-6, 6, size=250)  # far apart: residuals lack what lies along their own line
    signals = model.generate(np.zeros((250, 1)), at) + model.noise * rng.normal(size=(250, len(X)))
    found = calibrate(model, signals, n=400)
    assert abs(found.efficiency - error) < 0.12 * error
    honest = abs(found.coverage68 - 0.68) < 0.07
    assert honest == (error == claimed)


def test_calibrate_has_nothing_to_say_of_a_model_that_moves_nothing():
    signals, _ = ss.synthetic.article(n=40, seed=0)
    assert calibrate(ss.ShiftVAE(warps=(), epochs=2).fit(signals), signals) is None


def test_a_prior_that_allows_no_move_moves_nothing():
    model = Known()
    model.shift_sd_ = 0.01 * STEP
    assert calibrate(model, model.generate(np.zeros((40, 1)))) is None


def test_a_likelihood_without_free_noise_or_draws_has_none():
    model = Known()
    model.likelihood_ = "continuous-bernoulli"
    assert calibrate(model, model.generate(np.zeros((40, 1)))) is None


def test_counts_are_drawn_anew():
    model = Known()
    model.likelihood_, seen, posterior = "poisson", [], model.posterior
    model.generate = lambda z, shift=0.0: 30 * Known.generate(model, z, shift) + 2
    model.posterior = lambda signals: seen.append(np.asarray(signals)) or posterior(signals)
    counts = np.random.default_rng(3).poisson(model.generate(np.zeros((60, 1)), np.linspace(-5, 5, 60)))
    assert calibrate(model, counts.astype(float), n=100).n == 100
    assert len(seen) == 4
    assert all((s == s.round()).all() and s.min() >= 0 for s in seen)
    assert not np.array_equal(seen[1], seen[3])  # another draw


def test_no_more_signals_are_looked_at_than_asked():
    model, seen = Known(), []
    posterior = model.posterior
    model.posterior = lambda signals: seen.append(len(signals)) or posterior(signals)
    at = np.random.default_rng(1).uniform(-6, 6, size=300)
    signals = model.generate(np.zeros((300, 1)), at) + 0.05 * np.random.default_rng(2).normal(
        size=(300, len(X))
    )
    calibrate(model, signals, n=70, most=50)
    assert seen == [50, 70, 70, 70]


@pytest.mark.parametrize(("family", "normalise"), [("article", None), ("doublet", None), ("article", "max")])
def test_known_displacements_added_to_signals_tell_what_true_pairs_tell(family, normalise):
    signals, _ = ss.synthetic.sample(family, 1000, 0)
    known = ss.synthetic.pairs(family, 1500, 1)
    model = ss.ShiftVAE(normalise=normalise, random_state=0).fit(signals)
    first, second = model.posterior(known.first), model.posterior(known.second)
    truth = calibration_of(first, second, known.moved, known.bound, first)
    found = calibrate(model, signals, n=1500)
    assert abs(found.efficiency / truth.efficiency - 1) < 0.12
    assert abs(found.coverage68 - truth.coverage68) < 0.08
    assert abs(found.coverage95 - truth.coverage95) < 0.03
    assert found.leak < 0.01
    assert found.leak_back < 0.1
