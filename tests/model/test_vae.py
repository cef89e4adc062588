"""The one model: equivariant by construction, and its bound is a bound."""

import pytest
import torch
from known import LENGTH, PRIOR_SD, SAMPLE, Fixed, log_evidence, model
from laws import normal

from shapeshift.model.likelihoods import BernoulliBits, Gaussian, PoissonCounts
from shapeshift.model.objective import elbo


@pytest.mark.parametrize("decoder", ["template", "net"])
@pytest.mark.parametrize("likelihood", [Gaussian, PoissonCounts, BernoulliBits])
def test_a_pose_more_is_a_signal_moved(decoder, likelihood):
    vae = model(decoder, likelihood=likelihood())
    pose, z, noise = normal(4, 1, scale=0.1), normal(4, 2, seed=1), torch.full((4, 2), 0.1).double()
    rest = vae.generate(pose, z, noise).mean
    moved = vae.generate(pose + 5 * SAMPLE, z, noise).mean
    assert torch.allclose(moved[:, 5:], rest[:, :-5], atol=1e-9)
    assert not torch.allclose(moved, rest, atol=1e-3)


def test_both_ways_to_read_the_template_agree():
    vae = model()
    pose, z = normal(4, 1, scale=0.1), normal(4, 2, seed=1)
    quick = vae.values(pose, z)
    vae._on_lattice = False
    assert torch.allclose(quick, vae.values(pose, z), atol=1e-9)


@pytest.mark.parametrize("decoder", ["template", "net"])
@pytest.mark.parametrize("moves", [False, True])
def test_the_jacobian_is_the_derivative(decoder, moves):
    vae = model(decoder, moves=moves)
    g, h = vae.n_pose, 1e-6
    theta = normal(4, g + 2, scale=0.1)
    with torch.no_grad():
        values, jacobian = vae.values_and_jacobian(theta)
        assert torch.allclose(values, vae.values(theta[:, :g], theta[:, g:]))
        for k in range(g + 2):
            d = torch.zeros(g + 2, dtype=theta.dtype)
            d[k] = h
            ends = [vae.values((theta + s)[:, :g], (theta + s)[:, g:]) for s in (d, -d)]
            assert torch.allclose(jacobian[:, k], (ends[0] - ends[1]) / (2 * h), atol=1e-5)


def test_the_lag_is_given_back_to_the_pose():
    vae = model(encoder=Fixed(torch.zeros(3).double(), torch.ones(3).double()))
    q = vae.encode(normal(3, LENGTH), torch.tensor([-2, 0, 5]))
    assert torch.allclose(q.pose[:, 0], SAMPLE * torch.tensor([-2.0, 0, 5]).double())


def test_the_prior_is_that_of_the_warps_and_of_unit_latents():
    expected = torch.tensor([PRIOR_SD**-2, 1, 1], dtype=torch.float64)
    assert torch.allclose(model().prior_precision(), expected, rtol=1e-6)


@torch.no_grad()
def test_the_elbo_stays_below_the_evidence_and_is_tight_at_the_posterior():
    vae = model(n_latent=1)
    noise = torch.tensor([[0.15, 0.0]]).double()
    x = vae.values(torch.tensor([[0.1]]).double(), torch.tensor([[0.7]]).double())
    x = x + 0.15 * normal(1, LENGTH, seed=4)
    evidence, mean, sd = log_evidence(vae, x, noise)
    n, gaps = 4000, []
    for off in (0.0, 1.0):
        vae.encoder = Fixed(mean + off * sd, sd)
        terms = elbo(
            vae,
            x.expand(n, -1),
            torch.zeros(n, dtype=torch.long),
            noise.expand(n, -1),
            torch.Generator().manual_seed(0),
        )
        gaps.append(evidence - float(terms.total().mean()))
    error = float(terms.total().std()) / n**0.5
    assert -3 * error < gaps[0] < 0.15  # the posterior is nearly Gaussian, but not independent
    assert gaps[1] > 0.7  # KL of two Gaussians one sd apart in both: 1 nat


@torch.no_grad()
def test_weights_multiply_their_own_term():
    vae = model(encoder=Fixed(torch.full((3,), 0.1).double(), torch.full((3,), 0.2).double()))
    x = normal(3, LENGTH)
    terms = elbo(
        vae, x, torch.zeros(3, dtype=torch.long), torch.ones(3, 2).double(), torch.Generator().manual_seed(0)
    )
    assert set(terms.kl) == {"shift", "z"}
    plain, weighted = terms.total(), terms.total({"shift": 3.0, "z": 0.5})
    assert torch.allclose(weighted - plain, -2 * terms.kl["shift"] + 0.5 * terms.kl["z"])


@torch.no_grad()
def test_latents_not_yet_free_cost_and_draw_nothing():
    vae = model(encoder=Fixed(torch.full((3,), 0.4).double(), torch.full((3,), 0.2).double()))
    x, lag, noise = normal(3, LENGTH), torch.zeros(3, dtype=torch.long), torch.ones(3, 2).double()
    vae.n_free = 0
    terms = elbo(vae, x, lag, noise, torch.Generator().manual_seed(0))
    assert torch.allclose(terms.kl["z"], torch.zeros(3).double())
    vae.decoder.linear.normal_()  # would change the values if any latent were drawn
    again = elbo(vae, x, lag, noise, torch.Generator().manual_seed(0))
    assert torch.equal(terms.log_px, again.log_px)
