"""The Gaussian factors and their divergence; how the shapes of a kind fill the prior."""

import pytest
import torch
from laws import check_gaussian_divergence
from scipy.stats import kstest

from shapeshift.fit.spread import settle
from shapeshift.model.latents import Factors, Spread


def test_divergence_agrees_with_monte_carlo():
    mean, sd = torch.tensor([0.0, 0.4, -1.5]).double(), torch.tensor([1.0, 0.1, 2.0]).double()
    check_gaussian_divergence(mean, sd, torch.tensor([1.0, 0.3, 1.7]).double())


def test_latents_not_in_use_are_the_prior():
    ones = torch.ones(2, 3)
    q = Factors(ones[:, :1], ones[:, :1], 2 * ones, 0.1 * ones).without_shape_after(1)
    assert q.z.tolist() == [[2, 0, 0]] * 2
    assert torch.allclose(q.z_sd, torch.tensor([0.1, 1.0, 1.0]))


@pytest.fixture
def spread():
    """Two kinds: the first on an arc, the second as it was."""
    out = Spread(n_latent=3, n_given=2).double()
    z = out.knots
    out.first[0], out.middle[0, 0] = 0.8 * z.tanh(), z.square() - 1
    out.log_scale[0] = torch.stack([-1 + 0.1 * z, 0.2 * z])
    return out


def draws(n, kind, generator):
    z = torch.randn(n, 3, dtype=torch.double, generator=generator)
    return torch.cat([z, torch.eye(2, dtype=torch.double)[kind].expand(n, 2)], 1)


@pytest.mark.parametrize("kind", [0, 1])
def test_the_spread_of_shapes_can_be_undone(spread, kind):
    z = draws(50, kind, torch.Generator().manual_seed(0))
    w = spread(z)
    assert bool((w != z).any()) == (kind == 0)
    factors = Factors(w[:, :0], w[:, :0], w[:, :3], torch.ones_like(w[:, :3]))
    assert torch.allclose(spread.inverse(factors, z[:, 3:]).z, z[:, :3], atol=1e-9)


def test_slopes_of_the_spread_are_its_derivatives(spread):
    z = draws(20, 0, torch.Generator().manual_seed(1))
    slopes = spread.slopes(z)
    for row in range(3):
        expected = torch.autograd.functional.jacobian(lambda t, r=row: spread(t[None])[0, :3], z[row])[:, :3]
        assert torch.allclose(slopes[row].T, expected, atol=1e-9)
    diagonal = torch.diagonal(slopes, dim1=1, dim2=2)
    told = spread.inverse(Factors(z[:, :0], z[:, :0], spread(z)[:, :3], torch.ones(20, 3).double()), z[:, 3:])
    assert torch.allclose(told.z_sd * diagonal, torch.ones_like(diagonal))


def test_settled_kinds_fill_the_prior():
    generator = torch.Generator().manual_seed(2)
    u, noise = torch.rand(400, generator=generator), torch.randn(400, generator=generator)
    arc = torch.stack([3 + u, (4 * u - 2).square() + 0.1 * noise], 1)  # a parabola far from the prior
    given = torch.eye(2)[torch.zeros(400, dtype=torch.long)]
    q = Factors(arc[:, :0], arc[:, :0], arc, torch.full_like(arc, 0.05))
    spread = Spread(2, 2)
    settle(spread, q, given)
    z = spread.inverse(q, given).z
    assert kstest(z[:, 0].numpy(), "norm").pvalue > 0.01
    assert z[:, 1].mean().abs() < 0.15
    assert 0.7 < z[:, 1].std() < 1.1
    drawn = spread(torch.cat([torch.randn(400, 2, generator=generator), given], 1))[:, :2]
    assert torch.cdist(drawn, arc).amin(1).quantile(0.95) < 0.3  # what the prior draws lies on the arc
    assert spread.inverse(q, given.flip(1)).z.equal(arc)  # the kind that has no signals is as it was
