"""The one model: equivariant by construction, and its bound is a bound."""

import pytest
import torch
from laws import normal

from shapeshift.model.decoders import CoordinateNet, Template
from shapeshift.model.latents import Factors
from shapeshift.model.likelihoods import BernoulliBits, Gaussian, PoissonCounts
from shapeshift.model.objective import elbo
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Shift

LENGTH, REACH = 24, 8
SAMPLE = 2 / (LENGTH - 1)
GRID = torch.linspace(-1, 1, LENGTH, dtype=torch.float64)[:, None]
PRIOR_SD = 0.15


class Fixed(torch.nn.Module):
    """An encoder that says the same of every signal."""

    def __init__(self, mean, sd):
        super().__init__()
        self.mean, self.sd = mean, sd

    def forward(self, moved, seen):
        n, g = len(moved), 1
        mean, sd = self.mean.expand(n, -1), self.sd.expand(n, -1)
        return Factors(mean[:, :g], sd[:, :g], mean[:, g:], sd[:, g:])


def peak():
    at = torch.linspace(-1 - REACH * SAMPLE, 1 + REACH * SAMPLE, LENGTH + 2 * REACH)
    return torch.exp(-(at**2) / 0.03)


def model(decoder="template", n_latent=2, likelihood=None, encoder=None, moves=True):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if decoder == "template":
            decoder = Template(peak(), 1 + REACH * SAMPLE, n_latent, width=16)
            torch.nn.init.normal_(decoder.linear, std=0.2)
            torch.nn.init.normal_(decoder.log_gain, std=0.3)
        else:
            decoder = CoordinateNet(n_latent, width=16)
        warps = [Shift(PRIOR_SD)] if moves else []
        vae = PoseVAE(warps, encoder, decoder, likelihood or Gaussian(), GRID, n_latent)
        return vae.double()


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
            assert torch.allclose(jacobian[..., k], (ends[0] - ends[1]) / (2 * h), atol=1e-5)


def test_the_lag_is_given_back_to_the_pose():
    vae = model(encoder=Fixed(torch.zeros(3).double(), torch.ones(3).double()))
    q = vae.encode(normal(3, LENGTH), torch.tensor([-2, 0, 5]))
    assert torch.allclose(q.pose[:, 0], SAMPLE * torch.tensor([-2.0, 0, 5]).double())


def test_the_prior_is_that_of_the_warps_and_of_unit_latents():
    expected = torch.tensor([PRIOR_SD**-2, 1, 1], dtype=torch.float64)
    assert torch.allclose(model().prior_precision(), expected, rtol=1e-6)


def log_evidence(vae, x, noise):
    """log p(x) by quadrature over the pose and one latent."""
    t, z = torch.linspace(-5 * PRIOR_SD, 5 * PRIOR_SD, 601), torch.linspace(-5, 5, 301)
    theta = torch.cartesian_prod(t.double(), z.double())
    prior = torch.distributions.Normal(0.0, PRIOR_SD).log_prob(theta[:, 0])
    prior = prior + torch.distributions.Normal(0.0, 1.0).log_prob(theta[:, 1])
    n = len(theta)
    log = vae.likelihood.log_prob(
        x.expand(n, -1), vae.values(theta[:, :1], theta[:, 1:]), noise.expand(n, -1)
    )
    cell = (t[1] - t[0]) * (z[1] - z[0])
    joint = log + prior
    weight = joint.softmax(0)
    mean = (weight[:, None] * theta).sum(0)
    sd = (weight[:, None] * (theta - mean) ** 2).sum(0).sqrt()
    return float(joint.logsumexp(0) + cell.log()), mean, sd


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
