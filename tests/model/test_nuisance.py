"""Gain and baseline in closed form: the least-squares optimum, and what it leaves of the derivatives."""

import numpy as np
import pytest
import torch
from known import GRID, LENGTH, PRIOR_SD, model
from laws import normal

from shapeshift.fit.reading import gains
from shapeshift.fit.refine import refine
from shapeshift.model.nuisance import nuisance

KINDS = [("gain",), ("offset",), ("baseline",), ("gain", "offset"), ("gain", "baseline")]
DEGREE = {"offset": 0, "baseline": 2}


@pytest.fixture(params=KINDS, ids="+".join)
def names(request):
    return request.param


@pytest.fixture
def free(names):
    return nuisance(names, GRID)


@pytest.fixture(params=[False, True], ids=["alike", "weighted"])
def weight(request):
    return normal(6, LENGTH, seed=9).exp() if request.param else None


def columns(names, values):
    """What is fitted freely to every signal, (n, m, P): polynomials, and the values if there is a gain."""
    degree = max([DEGREE.get(name, -1) for name in names])
    rows = [(GRID[:, 0] ** k).expand_as(values) for k in range(degree + 1)]
    return torch.stack([values, *rows] if "gain" in names else rows, 1)


def field(theta):
    """Values (n, P) of a line of its own position and width, and their derivatives (n, 2, P)."""
    at, width = theta[:, :1], 0.3 * torch.exp(theta[:, 1:])
    u = (GRID[:, 0] - at) / width
    v = torch.exp(-0.5 * u**2)
    return v, torch.stack([v * u / width, v * u**2], 1)


def drawn(names, theta, noise_sd):
    """Signals of the lines at theta, each with a gain and a baseline of its own."""
    v, _ = field(theta)
    gain = 4 ** torch.rand(len(theta), 1, generator=torch.Generator().manual_seed(2), dtype=v.dtype)
    degree = max([DEGREE.get(name, -1) for name in names])
    x = gain * v if "gain" in names else v.clone()
    for k in range(degree + 1):
        x = x + normal(len(theta), 1, seed=3 + k) * GRID[:, 0] ** k
    return x + noise_sd * normal(*x.shape, seed=8)


def test_fitted_values_are_the_least_squares_optimum(names, free, weight):
    theta = normal(6, 2, scale=0.2)
    x, (v, _) = drawn(names, theta + 0.1, 0.1), field(theta)
    found = free.fitted(x, v, weight)
    for i, rows in enumerate(columns(names, v).numpy()):
        root = 1.0 if weight is None else weight[i].sqrt().numpy()
        fixed = 0.0 if "gain" in names else v[i].numpy()
        best = np.linalg.lstsq((rows * root).T, (x[i].numpy() - fixed) * root, rcond=None)[0]
        assert np.allclose(found[i], fixed + best @ rows, atol=1e-4 if weight is not None else 1e-9)


def test_slopes_are_derivatives_where_nothing_is_left_over(names, free, weight):
    theta = normal(6, 2, scale=0.2)
    x = drawn(names, theta, 0.0)
    found, slopes = free.fitted_with_slopes(x, *field(theta), weight)
    assert torch.allclose(found, x, atol=1e-4)
    assert torch.allclose(slopes, numeric(free, x, theta, weight), atol=1e-4)


def numeric(free, x, theta, weight, h=1e-5):
    steps = h * torch.eye(2, dtype=theta.dtype)
    ends = [[free.fitted(x, field(theta + s * d)[0], weight) for s in (1, -1)] for d in steps]
    return torch.stack([(a - b) / (2 * h) for a, b in ends], 1)


def test_what_slopes_leave_out_lies_along_gain_and_baseline(names, free):
    theta = normal(6, 2, scale=0.2)
    x, (v, _) = drawn(names, theta + 0.1, 0.1), field(theta)
    _, slopes = free.fitted_with_slopes(x, *field(theta))
    dropped = numeric(free, x, theta, None) - slopes
    if "gain" in names:
        assert dropped.abs().max() > 1e-3  # there is such a term
    basis = torch.linalg.qr(columns(names, v).mT)[0]
    assert torch.allclose(dropped, (dropped @ basis) @ basis.mT, atol=1e-6)
    assert torch.allclose(slopes @ basis, torch.zeros_like(slopes @ basis), atol=1e-9)


def test_curvature_is_that_of_the_full_problem_with_its_linear_part_marginalised(names, free, weight):
    theta = normal(6, 2, scale=0.2)
    x, (v, dv) = drawn(names, theta, 0.0), field(theta)
    _, slopes = free.fitted_with_slopes(x, v, dv, weight)
    w = torch.ones_like(x) if weight is None else weight
    rows = columns(names, v)
    best = torch.linalg.lstsq(rows.mT, x[..., None])[0][:, 0] if "gain" in names else torch.ones(6, 1)
    full = torch.cat([best[:, :, None] * dv, rows], 1)
    hessian = (full * w[:, None]) @ full.mT
    a, b, c = hessian[:, :2, :2], hessian[:, :2, 2:], hessian[:, 2:, 2:]
    expected = a - b @ torch.linalg.solve(c, b.mT)
    found = (slopes * w[:, None]) @ slopes.mT
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_cleared_leaves_no_baseline_and_takes_nothing_twice(names, free):
    y = normal(5, LENGTH)
    once = free.cleared(y)
    assert torch.allclose(free.cleared(once), once, atol=1e-12)
    for power in range(max([DEGREE.get(name, -1) for name in names]) + 1):
        assert torch.allclose(free.cleared(y + 3 * GRID[:, 0] ** power), once, atol=1e-10)


@pytest.mark.parametrize("length", [64, 65, 101, 257])
def test_what_is_cleared_does_not_depend_on_other_signals(names, length):
    free = nuisance(names, torch.linspace(-1, 1, length)[:, None])
    y = torch.randn(512, length, generator=torch.Generator().manual_seed(0))
    for turn in (1, 2, 7):
        assert torch.equal(free.cleared(y.roll(turn, 0)).roll(-turn, 0), free.cleared(y))


def test_names_lead_back_to_the_nuisance(names):
    assert nuisance(names, GRID).names == names
    assert nuisance((), GRID) is None


def known_signals(vae, n, noise_sd, seed=0):
    """Signals of the model with gains and baselines, their noise, theta, the gains and the baselines."""
    sd = torch.tensor([PRIOR_SD] + [1.0] * vae.n_latent, dtype=torch.float64)
    theta = sd * normal(n, 1 + vae.n_latent, seed=seed)
    gain = 3 ** torch.rand(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    baseline = (
        normal(n, 1, seed=5) + normal(n, 1, seed=6) * GRID[:, 0] + normal(n, 1, seed=7) * GRID[:, 0] ** 2
    )
    with torch.no_grad():
        x = gain * vae.values(theta[:, :1], theta[:, 1:]) + baseline
    x = x + noise_sd * normal(*x.shape, seed=seed + 20)
    return x, torch.tensor([[noise_sd, 0.0]], dtype=torch.float64).repeat(n, 1), theta, gain, baseline


def test_gain_and_baseline_of_a_signal_change_nothing_else():
    vae = model(free=("gain", "baseline"))
    x, noise, theta, _, _ = known_signals(vae, 30, 0.02)
    added = 5 - 3 * GRID[:, 0] + 2 * GRID[:, 0] ** 2
    one = refine(vae, x, noise, theta, steps=40, tol=1e-10)
    other = refine(vae, 7 * x + added, 7 * noise, theta, steps=40, tol=1e-10)
    assert torch.allclose(one.theta, other.theta, atol=1e-5)
    assert torch.allclose(one.hessian, other.hessian, rtol=1e-3)
    solved = [
        vae.nuisance.solved(y, *vae.values_and_jacobian(r.theta), r.covariance, s[:, 0])
        for y, r, s in ((x, one, noise), (7 * x + added, other, 7 * noise))
    ]
    assert torch.allclose(solved[1].gain, 7 * solved[0].gain, rtol=1e-4)
    assert torch.allclose(solved[1].gain_sd, 7 * solved[0].gain_sd, rtol=1e-3)
    flat = vae.nuisance.basis
    moved = (solved[1].baseline - 7 * solved[0].baseline - added) @ flat.T
    assert moved.abs().max() < 1e-3


@pytest.mark.parametrize("noise_sd", [0.005, 0.02])
def test_error_bars_of_the_gain_are_its_scatter(noise_sd):
    vae = model(n_latent=1, free=("gain", "baseline"))
    x, noise, theta, gain, baseline = known_signals(vae, 1500, noise_sd)
    found = refine(vae, x, noise, theta, steps=40, tol=1e-6)
    own, sd = gains(vae, x, found.theta, found.covariance, noise[:, 0])
    error = (own - gain[:, 0]) / sd
    middle = error[error.abs() < 4]  # an edge of the window is not Laplace's matter
    assert len(middle) > 0.97 * len(error)
    assert abs(float(middle.std()) - 1) < 0.12
    solved = vae.nuisance.solved(x, *vae.values_and_jacobian(found.theta), found.covariance, noise[:, 0])
    assert (solved.baseline - baseline).abs().median() < 5 * noise_sd


def test_without_a_gain_it_is_one_and_sure():
    vae = model(free=("baseline",))
    x, noise, theta, _, _ = known_signals(vae, 5, 0.02)
    found = refine(vae, x, noise, theta)
    own, sd = gains(vae, x, found.theta, found.covariance, noise[:, 0])
    assert torch.equal(own, torch.ones_like(own))
    assert torch.equal(sd, torch.zeros_like(sd))
