"""Lags by a plane of shapes: where no single template leads, and only there."""

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit.align import Alignment, align, constant, fitting_weight
from shapeshift.fit.subspace import (
    _at_lags,
    _next_component,
    best_lags,
    by_subspace,
    fit_basis_at,
    unexplained,
    with_quadrature,
)
from shapeshift.model.nuisance import nuisance

SEEDS = [0, 1, 2, 3]


def ready(values):
    """Signals in model units, and their noise."""
    x = torch.tensor((values - values.mean()) / values.std()).float()
    return x, torch.tensor(noise_and_contrast(x.numpy().astype(float))).float()


def right(lag, truth):
    """Share of lags within a sample of the truth, up to one constant for all."""
    error = lag.numpy() - truth
    return np.mean(np.abs(error - np.median(error)) <= 1.01)


def family(name, n=300, seed=1):
    X, truth = ss.synthetic.sample(name, n, seed)
    return *ready(X.values), truth["shift"].values / float(X["x"][1] - X["x"][0])


def mixtures(n=200, length=90, spread=20, noise=0.02, seed=0):
    """Two patterns with weights of either sign, moved together by whole samples."""
    rng = np.random.default_rng(seed)
    lag = rng.integers(-spread, spread + 1, n)
    u = np.arange(length) - length / 2 - lag[:, None]
    a, b = np.exp(-((u / 3) ** 2)), u * np.exp(-((u / 4) ** 2)) / 2
    c = rng.normal(size=(2, n, 1))
    return c[0] * a + c[1] * b + noise * rng.normal(size=(n, length)), lag


def both(x, noise, seed, basis=None):
    """What one template finds and what a plane of shapes does."""
    generator = torch.Generator().manual_seed(seed)
    single = align(x, noise, generator, basis=basis)
    return single, by_subspace(x, noise, single, generator, basis)


@pytest.mark.parametrize("seed", SEEDS)
def test_resonances_that_turn_from_dip_to_peak_find_their_lags(seed):
    x, noise, truth = family("fano")
    single, plane = both(x, noise, seed)
    assert right(single.lag, truth) < 0.5  # no one template does
    assert right(plane.lag, truth) > 0.99
    assert plane.turned


@pytest.mark.parametrize("seed", SEEDS)
def test_mixtures_of_either_sign_find_their_lags(seed):
    values, lag = mixtures()
    _, plane = both(*ready(values), seed)
    assert right(plane.lag, lag) > 0.97
    assert plane.turned


def test_mixtures_on_slopes_find_their_lags_once_the_slope_is_told():
    values, lag = mixtures()
    u = np.linspace(-1, 1, values.shape[1])
    x, noise = ready(values + 10 * np.random.default_rng(1).normal(size=(len(values), 1)) * u)
    basis = nuisance(("baseline",), torch.tensor(u).float()[:, None]).basis
    _, told = both(x, noise, 0, basis)
    assert right(told.lag, lag) > 0.95
    _, untold = both(x, noise, 0)
    assert untold is None or right(untold.lag, lag) < 0.5


@pytest.mark.parametrize("name", ["article", "resonance"])
def test_no_plane_where_one_template_does(name):
    x, noise, truth = family(name)
    single, plane = both(x, noise, 0)
    assert plane is None
    assert right(single.lag, truth) > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_second_shape_explains_of_noise_is_no_plane(seed):
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-8, 8, (250, 1))
    clean = np.exp(-0.5 * ((np.arange(64) - 32 - shift) / 5) ** 2)
    x, noise = ready(clean + 0.6 * rng.normal(size=clean.shape))
    assert both(x, noise, seed)[1] is None


def test_too_few_signals_are_no_plane():
    values, _ = mixtures(n=19)
    assert both(*ready(values), 0)[1] is None


def test_quadrature_of_an_absorptive_line_is_the_dispersive_one():
    v = torch.linspace(-80, 80, 4001)
    absorptive, dispersive = 1 / (1 + v**2), v / (1 + v**2)
    line, turned = with_quadrature(absorptive)
    assert torch.equal(line, absorptive)
    near = v.abs() < 10
    assert torch.allclose(turned[near], dispersive[near], atol=0.01)
    back = with_quadrature(turned)[1]
    assert torch.allclose(-back[near], (absorptive - absorptive.mean())[near], atol=0.01)


def test_at_true_lags_only_noise_is_left_over():
    values, lag = mixtures(noise=0.3)
    x, noise = ready(values)
    weight, reach, flat = fitting_weight(noise), 30, constant(x.shape[1])
    sd = 0.3 / values.std()
    share = sd**2 * x.shape[1] * weight.sum() / ((x - x.mean(1, keepdim=True)).square().sum(1) * weight).sum()
    left = unexplained(x, weight, torch.tensor(lag), reach, 2, flat)
    assert 0.85 < left / float(share) < 1.0  # two shapes and two weights a signal take their part
    off = torch.tensor(lag) + torch.randint(-6, 7, lag.shape, generator=torch.Generator().manual_seed(0))
    assert unexplained(x, weight, off, reach, 2, flat) > 1.25 * left
    assert unexplained(x, weight, torch.tensor(lag), reach, 1, flat) > 1.25 * left


def test_the_next_component_is_what_the_first_leaves_over():
    values, lag = mixtures(spread=8)
    x, _ = ready(values)
    reach, u = 20, np.arange(130) - 65.0
    first = torch.tensor(np.exp(-((u / 3) ** 2))).float()[None]
    flat, lag = constant(90), torch.tensor(lag)
    found = _at_lags(x, first, reach, lag, flat)
    second = _next_component(x, torch.ones(len(x)), first, found, reach, flat)[0].numpy()
    assert abs(np.corrcoef(second, u * np.exp(-((u / 4) ** 2)))[0, 1]) > 0.97


def test_the_basis_at_known_lags_and_weights_is_least_squares():
    generator = torch.Generator().manual_seed(0)
    n, length, reach = 60, 15, 4
    truth = torch.randn(2, length + 2 * reach, generator=generator)
    lag = torch.randint(-reach, reach + 1, (n,), generator=generator)
    lag[:8] = torch.tensor([-reach, reach]).repeat(4)  # every sample is seen
    c = torch.randn(n, 2, generator=generator)
    at = torch.arange(length)[None] - lag[:, None] + reach
    x = (c.T[..., None] * truth[:, at]).sum(0)
    found = fit_basis_at(x, torch.ones(n), lag, c, reach)
    left = (truth - truth.mean(1, keepdim=True)) / truth.std(1, correction=0, keepdim=True)
    assert torch.allclose(found, left, atol=0.05)


def test_the_best_lag_is_that_of_a_regression_at_every_lag():
    values, _ = mixtures(n=12, length=40, spread=8, noise=0.2)
    x, _ = ready(values)
    reach, basis = 10, torch.randn(2, 60, generator=torch.Generator().manual_seed(3))
    found = best_lags(x, basis, reach, torch.full((12,), 1e6), constant(40))
    for i, signal in enumerate(x.double().numpy()):
        gained = {}
        for lag in range(-reach, reach + 1):
            window = basis[:, reach - lag : reach - lag + 40].double().numpy()
            columns = (window - window.mean(1, keepdims=True)).T
            y = signal - signal.mean()
            gained[lag] = np.sum((columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2)
        assert gained[int(found.lag[i])] > 0.98 * max(gained.values())  # the ridge may tip a near tie
        assert abs(float(found.explained[i]) / gained[int(found.lag[i])] - 1) < 0.05


def test_lags_of_the_plane_are_on_the_reach_of_the_first_alignment():
    x, noise, _ = family("fano", n=60)
    single, plane = both(x, noise, 0)
    assert isinstance(plane, Alignment)
    assert plane.reach == single.reach
    assert len(plane.template) == x.shape[1] + 2 * plane.reach
