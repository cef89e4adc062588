"""The Gaussian factors and their divergence."""

import torch
from laws import check_gaussian_divergence

from shapeshift.model.latents import Factors


def test_divergence_agrees_with_monte_carlo():
    mean, sd = torch.tensor([0.0, 0.4, -1.5]).double(), torch.tensor([1.0, 0.1, 2.0]).double()
    check_gaussian_divergence(mean, sd, torch.tensor([1.0, 0.3, 1.7]).double())


def test_latents_not_in_use_are_the_prior():
    ones = torch.ones(2, 3)
    q = Factors(ones[:, :1], ones[:, :1], 2 * ones, 0.1 * ones).without_shape_after(1)
    assert q.z.tolist() == [[2, 0, 0]] * 2
    assert torch.allclose(q.z_sd, torch.tensor([0.1, 1.0, 1.0]))
