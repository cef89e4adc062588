"""Alignment: every gain and offset is closed-form, every lag is tried."""

import numpy as np
import pytest
import torch

from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit.align import (
    RIDGE,
    align,
    constant,
    correlate,
    explained,
    fit_template,
    window_sums,
    without,
)
from shapeshift.model.nuisance import nuisance


def drawn(n, length, spread, seed=0, noise=0.02):
    """One pattern at whole-sample lags, with gains over a factor of 20 and offsets of their own."""
    rng = np.random.default_rng(seed)
    lag = rng.integers(-spread, spread + 1, n)
    u = np.arange(length)[None] - length / 2 - lag[:, None]
    shape = np.exp(-(u**2) / 18) - 0.6 * np.exp(-((u - 9) ** 2) / 8)
    gain, offset = 20 ** rng.uniform(0, 1, (n, 1)), rng.normal(scale=30, size=(n, 1))
    return torch.tensor(gain * shape + offset + noise * rng.normal(size=(n, length))).float(), lag


def noise_of(x):
    return torch.tensor(noise_and_contrast(x.numpy().astype(float))).float()


def rows(free, length):
    """Orthonormal rows whose span is the baseline."""
    if free == "offset":
        return constant(length)
    return nuisance(("baseline",), torch.linspace(-1, 1, length)[:, None]).basis


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_lags_under_any_gain_and_offset(seed):
    x, lag = drawn(150, 80, 25, seed)
    found = align(x, noise_of(x), torch.Generator().manual_seed(seed))
    error = found.lag.numpy() - lag
    assert (error == error[0]).mean() > 0.98  # one constant for all: where zero is, is a convention
    assert found.unexplained < 1.1 * RIDGE  # nothing but what the ridge keeps


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sloping_baseline_is_no_pattern(seed):
    x, lag = drawn(150, 80, 25, seed)
    u = torch.linspace(-1, 1, 80)
    generator = torch.Generator().manual_seed(seed)
    x = (
        x
        + 40 * torch.randn(150, 1, generator=generator) * u
        + 40 * torch.randn(150, 1, generator=generator) * u**2
    )
    right = []
    for free in ("offset", "baseline"):
        found = align(x, noise_of(x), torch.Generator().manual_seed(seed), basis=rows(free, 80))
        error = found.lag.numpy() - lag
        right.append((error == np.median(error)).mean())
    assert right[0] < 0.3
    assert right[1] > 0.98


def test_noisy_signals_weigh_less():
    x, lag = drawn(150, 80, 25)
    generator = torch.Generator().manual_seed(7)
    x[::3] += 25 * torch.randn(50, 80, generator=generator)
    error = align(x, noise_of(x), torch.Generator().manual_seed(0)).lag.numpy() - lag
    clear = np.arange(150) % 3 != 0
    assert (error[clear] == np.median(error[clear])).mean() > 0.95


@pytest.mark.parametrize(("length", "wide"), [(10, 17), (32, 61), (7, 7)])
def test_correlate_is_the_sliding_product(length, wide):
    generator = torch.Generator().manual_seed(0)
    x, t = torch.randn(3, length, generator=generator), torch.randn(2, wide, generator=generator)
    expected = np.stack([[np.correlate(b, a, "valid") for b in t.numpy()] for a in x.numpy()])
    assert np.allclose(correlate(x, t).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("free", ["offset", "baseline"])
def test_explained_is_a_regression_at_every_lag(free):
    generator = torch.Generator().manual_seed(1)
    length, reach = 20, 6
    x = torch.randn(4, length, generator=generator)
    template = torch.randn(length + 2 * reach, generator=generator)
    basis = rows(free, length)
    gained, gains = explained(x, template, basis)
    windows = without(template.unfold(0, length, 1), basis)
    ridge = RIDGE * float(windows.square().sum(1).max())
    for place, lag in enumerate(range(-reach, reach + 1)):
        columns = np.column_stack([template[reach - lag : reach - lag + length], *x]).astype(float)
        left = columns - basis.T.numpy() @ np.linalg.lstsq(basis.T.numpy(), columns, rcond=None)[0]
        w, y = torch.tensor(left[:, 0]).float(), torch.tensor(left[:, 1:].T).float()
        gain = ((y @ w) / (w @ w + ridge)).clamp_min(0)
        assert torch.allclose(gains[:, place], gain, atol=1e-4)
        assert torch.allclose(gained[:, place], gain**2 * (w @ w + ridge), atol=1e-3)


def test_window_sums_hold_on_a_large_offset():
    t = 1e4 + torch.randn(5000, generator=torch.Generator().manual_seed(0))
    expected = t.double().unfold(0, 12, 1).sum(1)
    assert torch.allclose(window_sums(t, 12).double(), expected, rtol=1e-6)


def test_the_template_is_least_squares():
    generator = torch.Generator().manual_seed(0)
    n, length, reach = 40, 15, 4
    truth = torch.randn(length + 2 * reach, generator=generator)
    lag = torch.randint(-reach, reach + 1, (n,), generator=generator)
    lag[:2] = torch.tensor([-reach, reach])  # every sample is seen
    gain, offset = 1 + torch.rand(n, generator=generator), torch.randn(n, generator=generator)
    at = torch.arange(length)[None] - lag[:, None] + reach
    x = gain[:, None] * truth[at] + offset[:, None]
    found = fit_template(x - offset[:, None], lag, gain, torch.rand(n, generator=generator) + 0.5, reach)
    assert torch.allclose(found, truth, atol=1e-4)
