"""A small model whose every number is known: one peak on 24 samples, moved and deformed."""

import torch

from shapeshift.model.decoders import CoordinateNet, Template
from shapeshift.model.latents import Factors
from shapeshift.model.likelihoods import Gaussian
from shapeshift.model.nuisance import nuisance
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Shift

LENGTH, REACH = 24, 8
SAMPLE = 2 / (LENGTH - 1)
GRID = torch.linspace(-1, 1, LENGTH, dtype=torch.float64)[:, None]
PRIOR_SD = 0.1


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


def model(decoder="template", n_latent=2, likelihood=None, encoder=None, moves=True, free=()):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if decoder == "template":
            decoder = Template(peak(), 1 + REACH * SAMPLE, n_latent, width=16)
            torch.nn.init.normal_(decoder.linear, std=0.2)
            torch.nn.init.normal_(decoder.log_gain, std=0.3)
        else:
            decoder = CoordinateNet(n_latent, width=16)
        warps = [Shift(PRIOR_SD)] if moves else []
        own = nuisance(free, GRID)
        vae = PoseVAE(warps, encoder, decoder, likelihood or Gaussian(), GRID, n_latent, own)
        return vae.double()


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
