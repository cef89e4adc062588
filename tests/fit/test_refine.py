"""Refinement on a decoder that is known: the optimum, its error bars and the evidence."""

from itertools import pairwise

import pytest
import torch
from known import LENGTH, PRIOR_SD, log_evidence, model
from laws import normal

from shapeshift.fit.refine import CHUNK, joint_loss, refine
from shapeshift.model.likelihoods import BernoulliBits, Gaussian, PoissonCounts, StudentTNoise


def known_signals(vae, n, noise_sd=0.1, seed=0):
    """Signals, their noise, and the pose and shape they were drawn with."""
    sd = torch.tensor([PRIOR_SD] + [1.0] * vae.n_latent, dtype=torch.float64)
    theta = sd * normal(n, 1 + vae.n_latent, seed=seed)
    noise = torch.tensor([[noise_sd, 0.0]], dtype=torch.float64).repeat(n, 1)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x = vae.likelihood(vae.values(theta[:, :1], theta[:, 1:]), noise).sample()
    return x, noise, theta


@pytest.mark.parametrize("likelihood", [Gaussian, StudentTNoise, PoissonCounts, BernoulliBits])
def test_the_gradient_is_nil_at_the_optimum(likelihood):
    vae = model(likelihood=likelihood(5.0) if likelihood is PoissonCounts else likelihood())
    x, noise, theta = known_signals(vae, 40)
    found = refine(vae, x, noise, theta, steps=80, tol=1e-12)
    at = found.theta.clone().requires_grad_(True)
    joint_loss(vae, x, noise, at, vae.values(at[:, :1], at[:, 1:])).sum().backward()
    sd = torch.diagonal(found.covariance, dim1=1, dim2=2).sqrt()
    slope = (at.grad * sd).abs().amax(1)  # nats an error bar
    assert slope.median() < 1e-4
    assert slope.quantile(0.9) < 0.05


def test_the_loss_never_rises():
    vae = model()
    x, noise, theta = known_signals(vae, 60)
    start = theta + torch.tensor([0.1, 1.0, -1.0], dtype=torch.float64)
    losses = [refine(vae, x, noise, start, steps=k, tol=0.0).loss for k in range(8)]
    assert all((b <= a).all() for a, b in pairwise(losses))
    assert (losses[-1] < losses[0]).all()


def test_error_bars_are_the_scatter_of_pose_and_shape():
    vae = model()
    x, noise, theta = known_signals(vae, 2000, noise_sd=0.05)
    found = refine(vae, x, noise, theta, steps=30, tol=1e-6)
    error = found.theta - theta
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(found.covariance), error[..., None], upper=False
    )[..., 0]
    middle = white[(white.abs() < 4).all(1)]  # a shape on the far side of a ridge is not Laplace's matter
    assert len(middle) > 0.98 * len(white)
    assert torch.allclose(middle.var(0), torch.ones(3).double(), atol=0.1)
    assert (middle.mean(0).abs() < 0.1).all()


def test_without_a_signal_the_posterior_is_the_prior():
    vae = model()
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.zero_()
    x, noise, theta = known_signals(vae, 5)
    found = refine(vae, x, noise, theta, tol=1e-12)
    prior = torch.diag(torch.tensor([PRIOR_SD**2, 1.0, 1.0], dtype=torch.float64))
    assert torch.allclose(found.covariance, prior.expand(5, -1, -1), rtol=1e-6)
    assert (found.theta.abs() < 1e-6).all()


@torch.no_grad()
def test_the_evidence_is_that_of_quadrature():
    vae = model(n_latent=1)
    theta = torch.tensor([[-0.12, -0.4], [0.0, 0.3], [0.03, 0.0], [0.15, 0.8]], dtype=torch.float64)
    x = vae.values(theta[:, :1], theta[:, 1:]) + 0.03 * normal(4, LENGTH, seed=3)
    noise = torch.tensor([[0.03, 0.0]], dtype=torch.float64).repeat(4, 1)
    found = refine(vae, x, noise, theta, steps=40, tol=1e-9)
    for i in range(4):
        exact, mean, sd = log_evidence(vae, x[i : i + 1], noise[i : i + 1])
        assert abs(float(found.log_evidence[i]) - exact) < 0.2
        assert ((found.theta[i] - mean).abs() < 0.25 * sd).all()
        assert torch.allclose(torch.diagonal(found.covariance[i]).sqrt(), sd, rtol=0.2)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 8), slice(250, 270), slice(299, 300)])
def test_neighbours_change_no_bit(rows):
    vae = model().float()
    x, noise, theta = (t.float() for t in known_signals(model(), CHUNK + 44))
    start = theta + 0.05
    whole, part = refine(vae, x, noise, start), refine(vae, x[rows], noise[rows], start[rows])
    for a, b in zip(whole, part, strict=True):
        assert torch.equal(a[rows], b)


def test_what_has_settled_is_left_alone():
    vae = model()
    x, noise, theta = known_signals(vae, 20)
    first = refine(vae, x, noise, theta, steps=60, tol=1e-3)
    assert first.settled.all()
    again = refine(vae, x, noise, first.theta, steps=60, tol=1e-3)
    assert ((again.theta - first.theta).abs() < 1e-12).all(1).double().mean() > 0.9
    assert first.values.shape == (20, LENGTH)
