"""How samples scatter about their expectation, and what that leaves to be known: Fisher information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, final

import numpy as np
from scipy.special import ndtr


class Noise(Protocol):
    """Independent scatter of samples about ``mean`` (n, P); ``sd`` (n, 1) is each signal's noise level."""

    def draw(self, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Samples (n, P)."""
        ...

    def information(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Fisher information of one sample about its mean (n, P): E[(d log p / d mean)^2]."""
        ...


@final
@dataclass(frozen=True)
class White:
    """Gaussian noise of one sd per signal; information 1 / sd^2."""

    def draw(self, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return mean + sd * rng.normal(size=mean.shape)

    def information(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.broadcast_to(sd**-2.0, mean.shape)


@final
@dataclass(frozen=True)
class Counts:
    """Poisson counts, whatever ``sd``; information 1 / mean."""

    def draw(self, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.poisson(mean).astype(float)

    def information(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return 1 / mean


@final
@dataclass(frozen=True)
class Spiked:
    """White noise, and on a share of the samples a spike of random sign on top of it.

    Parameters
    ----------
    share : float
        Probability that a sample is hit.
    low, high : float
        Heights of spikes, uniform in between, in units of ``sd``.
    """

    share: float = 0.02
    low: float = 10.0
    high: float = 60.0

    def draw(self, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        hit = rng.random(mean.shape) < self.share
        height = rng.uniform(self.low, self.high, mean.shape) * rng.choice([-1.0, 1.0], mean.shape)
        return mean + sd * (rng.normal(size=mean.shape) + hit * height)

    def information(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.broadcast_to(_unit_information(self) / sd**2, mean.shape)

    def density(self, e: np.ndarray) -> np.ndarray:
        """Probability density of an error e at sd 1: a normal, and two plateaus with soft edges."""
        plateaus = ndtr(self.high - np.abs(e)) - ndtr(self.low - np.abs(e))
        normal = np.exp(-(e**2) / 2) / np.sqrt(2 * np.pi)
        return (1 - self.share) * normal + self.share * plateaus / (2 * (self.high - self.low))


@lru_cache
def _unit_information(noise: Spiked) -> float:
    """Integral of p'^2 / p for sd 1."""
    e = np.linspace(-noise.high - 8, noise.high + 8, 200_001)
    p = noise.density(e)
    slope = np.gradient(p, e)
    return float(np.trapezoid(slope**2 / np.maximum(p, 1e-300), e))
