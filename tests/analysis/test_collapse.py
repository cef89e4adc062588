"""How many latents carry shape."""

from types import SimpleNamespace

import numpy as np
import pytest

from shapeshift.analysis import active_latents


def posterior(z, sd):
    z = np.column_stack(z)
    return SimpleNamespace(z=z, z_sd=np.broadcast_to(np.asarray(sd, float), z.shape))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_latent_at_its_prior_is_not_active(rng):
    n = 600
    found = active_latents(posterior([rng.normal(size=n), 0.02 * rng.normal(size=n)], [0.05, 1.0]))
    assert found.active.tolist() == [True, False]
    assert found.kl[1] < 0.01


def test_kl_and_variance_are_the_formulas(rng):
    z, sd = rng.normal(size=(50, 2)), rng.uniform(0.1, 0.9, size=(50, 2))
    found = active_latents(SimpleNamespace(z=z, z_sd=sd))
    assert np.allclose(found.kl, np.mean(0.5 * (z**2 + sd**2 - 1) - np.log(sd), axis=0))
    assert np.allclose(found.variance, z.var(0))


@pytest.mark.parametrize(
    "bend", [lambda t: 0.6 * t**2, lambda t: np.sin(2 * t), lambda t: np.abs(t), lambda t: 0.9 * t]
)
def test_a_curve_through_two_latents_is_one_factor(rng, bend):
    t = rng.normal(size=800)
    z = [t + 0.02 * rng.normal(size=800), bend(t) + 0.05 * rng.normal(size=800)]
    assert active_latents(posterior(z, [0.02, 0.05])).n_active == 1
    assert active_latents(posterior(z[::-1], [0.05, 0.02])).n_active == 1  # whatever their order


def test_two_factors_are_two(rng):
    a, b = rng.normal(size=(2, 800))
    assert active_latents(posterior([a, b], 0.1)).n_active == 2
    assert active_latents(posterior([a, a**2 / 2 + 0.7 * b], [0.05, 0.1])).n_active == 2


def test_three_latents_on_a_surface_are_two_factors(rng):
    a, b = rng.normal(size=(2, 3000))
    z = [a, b, 0.4 * a * b + 0.08 * rng.normal(size=3000)]
    assert active_latents(posterior(z, [0.03, 0.03, 0.08])).n_active == 2


def test_what_the_error_bars_explain_is_no_factor(rng):
    t, noise = rng.normal(size=(2, 800))
    loose = active_latents(posterior([t, t + 0.3 * noise], [0.02, 0.3]))
    tight = active_latents(posterior([t, t + 0.3 * noise], [0.02, 0.02]))
    assert (loose.n_active, tight.n_active) == (1, 2)


def test_nothing_is_active_where_all_is_prior(rng):
    assert active_latents(posterior([np.zeros(50), np.zeros(50)], 1.0)).n_active == 0


def test_certain_latents_are_survived(rng):
    found = active_latents(posterior([rng.normal(size=50), np.zeros(50)], 0.0))
    assert np.isfinite(found.kl).all()
    assert found.active[0]
