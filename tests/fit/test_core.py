"""Laws of alignment, refinement, training and the question whether a shift is worth it."""

import numpy as np
import pytest
import torch

from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit.align import align, correlate
from shapeshift.fit.recipe import fit
from shapeshift.fit.refine import refine
from shapeshift.fit.start import Design
from shapeshift.fit.train import Plan
from shapeshift.fit.worth import worth_of_shift
from shapeshift.model.likelihoods import Gaussian


def beats(n=200, length=90, seed=0, spread=20, gain=0.0):
    """Narrow patterns at known whole-sample lags."""
    rng = np.random.default_rng(seed)
    lag = rng.integers(-spread, spread + 1, n)
    u = np.arange(length)[None] - length / 2 - lag[:, None]
    shape = np.exp(-(u**2) / 8) - 0.4 * np.exp(-((u - 5) ** 2) / 12)
    x = shape * np.exp(gain * rng.uniform(0, 1, (n, 1))) + 0.03 * rng.normal(size=(n, length))
    return torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32), lag


def noise_of(x):
    return torch.tensor(noise_and_contrast(x.numpy().astype(float)), dtype=torch.float32)


def design():
    return Design(2, ("shift",), "template", None, Gaussian(), {})


@pytest.fixture(scope="module")
def fitted():
    x, lag = beats()
    return fit(design(), Plan(epochs=25), x, noise_of(x), torch.Generator().manual_seed(0)), x, lag


def test_correlate_is_the_sliding_product():
    generator = torch.Generator().manual_seed(0)
    x, t = torch.randn(3, 10, generator=generator), torch.randn(2, 17, generator=generator)
    expected = np.stack([[np.correlate(b, a, "valid") for b in t.numpy()] for a in x.numpy()])
    assert np.allclose(correlate(x, t).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("gain", [0.0, 3.0])  # amplitudes alike, and over a factor of 20
def test_alignment_finds_known_lags(gain):
    x, lag = beats(gain=gain)
    found = align(x, noise_of(x), torch.Generator().manual_seed(0)).lag.numpy()
    error = found - lag - np.median(found - lag)
    assert np.mean(np.abs(error) <= 1) > 0.99


def test_refinement_does_not_depend_on_start_or_neighbours(fitted):
    f, x, _ = fitted
    noise = noise_of(x)
    with torch.no_grad():
        lag = torch.round((refine(f.vae, x, noise, start(f, x)).theta[:, 0]) / f.vae.sample).long()
        q = f.vae.encode(x, lag)
    theta = torch.cat([q.pose, q.z], 1)
    one = refine(f.vae, x, noise, theta, steps=40, tol=1e-6)
    other = refine(f.vae, x, noise, theta + 0.3 * f.vae.sample, steps=40, tol=1e-6)
    sd = one.covariance[:, 0, 0].sqrt()
    near = (one.theta[:, 0] - other.theta[:, 0]).abs() < 0.1 * sd
    assert near.float().mean() > 0.98
    few = refine(f.vae, x[:5], noise[:5], theta[:5], steps=40, tol=1e-6)
    assert torch.equal(few.theta, one.theta[:5])


def start(f, x):
    from shapeshift.fit.search import infer

    return infer(f.vae, f.bank, x, noise_of(x)).refined.theta


def test_laplace_error_bars_match_the_scatter(fitted):
    f, _, _ = fitted
    with torch.no_grad():
        theta = torch.zeros(1, 3)
        clean = f.vae.values(theta[:, :1], theta[:, 1:])
        generator = torch.Generator().manual_seed(1)
        x = clean + 0.2 * torch.randn(600, clean.shape[1], generator=generator)
    noise = torch.tensor([[0.2, 0.0]]).expand(600, -1)
    found = refine(f.vae, x, noise, theta.expand(600, -1).clone(), steps=20)
    ratio = found.theta[:, 0].std() / found.covariance[:, 0, 0].sqrt().mean()
    assert abs(float(ratio) - 1) < 0.12


def test_same_seed_same_bits_and_no_global_state():
    x, _ = beats(n=60)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = (fit(design(), Plan(epochs=3), x, noise_of(x), torch.Generator().manual_seed(5)) for _ in range(2))
    for p, q in zip(a.vae.parameters(), b.vae.parameters(), strict=True):
        assert torch.equal(p, q)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_an_interrupt_keeps_what_was_learned():
    x, _ = beats(n=60)

    def stop(epoch, record):
        if epoch == 6:
            raise KeyboardInterrupt

    plan = Plan(epochs=10)
    f = fit(design(), plan, x, noise_of(x), torch.Generator().manual_seed(0), on_epoch=stop)
    assert f.history.stopped == "interrupted"
    assert all(torch.isfinite(p).all() for p in f.vae.parameters())


def test_a_loss_that_is_not_finite_is_survived():
    x, _ = beats(n=60)
    plan = Plan(epochs=10, kl_weight=lambda done: {"z": float("nan") if done > 0.5 else 1.0})
    f = fit(design(), plan, x, noise_of(x), torch.Generator().manual_seed(0))
    assert f.history.stopped == "not finite"
    assert all(torch.isfinite(p).all() for p in f.vae.parameters())


def test_a_shift_is_worth_it_only_where_signals_move():
    rng = np.random.default_rng(0)
    u = np.linspace(-12, 12, 100)[None]
    width = rng.uniform(0.8, 2.5, (300, 1))
    for sd, moves in ((0.0, False), (1.0, True)):
        x = np.exp(-((u - sd * rng.normal(size=(300, 1))) ** 2) / (2 * width**2))
        x = torch.tensor(x + 0.02 * rng.normal(size=x.shape), dtype=torch.float32)
        x = (x - x.mean()) / x.std()
        lag = align(x, noise_of(x), torch.Generator().manual_seed(0)).lag
        assert worth_of_shift(x, noise_of(x), lag - lag.median(), 2).shifts is moves
