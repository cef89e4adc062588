"""What data say of themselves: whether a slope is a drift of its own or a part of what moves."""

import numpy as np
import pytest
import torch

from shapeshift.fit.choose import follows, nuisances_for
from shapeshift.model.likelihoods import LIKELIHOODS

N, LENGTH = 300, 128
U = np.linspace(-1, 1, LENGTH)


def steps(rng):
    """Phases that turn at a place and over a width of their own."""
    at, width = rng.uniform(-0.3, 0.3, (N, 1)), rng.uniform(0.05, 0.15, (N, 1))
    return np.arctan((U - at) / width)


def peaks(rng):
    at, width = rng.uniform(-0.4, 0.4, (N, 1)), rng.uniform(0.05, 0.1, (N, 1))
    return 2 * np.exp(-0.5 * ((U - at) / width) ** 2)


def drifts(rng):
    return rng.normal(size=(N, 1)) * U + rng.normal(size=(N, 1)) * U**2


CASES = [
    (steps, False, ()),
    (steps, True, ("baseline",)),
    (peaks, False, ()),
    (peaks, True, ("baseline",)),
]


@pytest.mark.parametrize(("pattern", "drifting", "needed"), CASES)
@pytest.mark.parametrize("sd", [0.05, 0.2])
def test_a_baseline_is_what_does_not_come_with_the_shift(pattern, drifting, needed, sd):
    rng = np.random.default_rng(0)
    values = pattern(rng) + drifting * drifts(rng) + sd * rng.normal(size=(N, LENGTH))
    x = torch.tensor(values, dtype=torch.float32)
    noise = torch.stack([torch.full((N,), sd), x.std(1)], 1)
    found = nuisances_for(LIKELIHOODS["gaussian"](), x, noise, torch.Generator().manual_seed(0))
    assert found == needed


def test_what_lags_explain_of_baselines():
    rng = np.random.default_rng(1)
    lag = torch.tensor(rng.integers(-30, 31, 500))
    own = torch.tensor(rng.normal(size=(500, 2)))
    given = torch.stack([(lag / 10).sin(), lag / 10.0], 1)
    assert follows(given, lag) > 0.99
    assert follows(own, lag) < 0.1
    assert follows(given + given.std() * own, lag) == pytest.approx(0.5, abs=0.1)
    assert follows(own, torch.zeros(500, dtype=torch.long)) < 1e-6  # nothing moved
