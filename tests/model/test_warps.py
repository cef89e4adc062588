"""Laws of warps: a group acts on coordinates, and a positive shift moves a feature up the axis."""

import torch

from shapeshift.model.warps import Shift, pull_back

U = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]


def shift(t):
    return torch.full((1, 1), t, dtype=torch.float64)


def test_inverse_undoes_and_identity_does_nothing():
    warp = Shift(0.3)
    u = U[None]
    assert torch.equal(warp.inverse(u, shift(0.0)), u)
    assert torch.allclose(warp.inverse(warp.inverse(u, shift(0.4)), shift(-0.4)), u)


def test_composition_is_the_sum():
    warp = Shift(0.3)
    twice = warp.inverse(warp.inverse(U[None], shift(0.2)), shift(0.5))
    assert torch.allclose(twice, warp.inverse(U[None], shift(0.7)))


def test_positive_shift_moves_a_feature_to_larger_values():
    moved = torch.exp(-50 * pull_back([Shift(0.3)], U, shift(0.25))[0, :, 0] ** 2)
    assert abs(float(U[moved.argmax(), 0]) - 0.25) < 1e-9


def test_no_warps_leave_the_grid():
    assert torch.equal(pull_back([], U, torch.zeros(2, 0))[1], U)


def test_divergence_agrees_with_monte_carlo():
    warp, generator = Shift(0.5), torch.Generator().manual_seed(0)
    mean, sd = torch.tensor([[0.3]]), torch.tensor([[0.2]])
    draws = mean + sd * torch.randn(200_000, 1, generator=generator)
    posterior = torch.distributions.Normal(mean, sd)
    estimate = (posterior.log_prob(draws) - warp.prior().log_prob(draws)).mean()
    assert abs(float(warp.divergence(mean, sd)) - float(estimate)) < 0.01
