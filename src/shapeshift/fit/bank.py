"""The bank: shapes that were found in the training data and that a search tries, and what it names."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

CANDIDATES = 3
CHANCE = 4.0  # a place may win if the bank leaves so many times the best one's squares over there, or less
CLOSE = 30.0  # nats, of the noise that the residuals show, within which the second best may be the best
SIZE = 16


class Reach(NamedTuple):
    """How far a pose on the plane may go: radians, log scale, canonical units."""

    rotation: float
    scale: float
    shift: float


class Bank(NamedTuple):
    """Shapes the search tries: latents with what was given (m, K + c), and how far the places may go.

    reach: on the line in samples. n_given: c. kinds: what is given is one of few kinds, and a signal of one
    kind is compared with shapes of that kind alone.
    """

    z: Tensor
    reach: int | Reach
    n_given: int = 0
    kinds: bool = False

    def of(self, given: Tensor) -> Bank:
        """The shapes of one kind, given (c,)."""
        own = (self.z[:, self.z.shape[1] - self.n_given :] == given).all(1)
        return self._replace(z=self.z[own], kinds=False)


class Candidates(NamedTuple):
    """Best first: places (n, c, ...), the bank shape that goes with each, and whether it may win."""

    place: Tensor
    shape: Tensor
    chance: Tensor


def bank_of(
    theta: Tensor, n_pose: int, reach: int | Reach, size: int = SIZE, n_given: int = 0, *, kinds: bool = False
) -> Bank:
    """Shapes spread over those that were found, theta (n, G + K + c), of every kind alike."""
    z = theta[:, n_pose:]
    if not kinds:
        return Bank(spread(z, size), reach, n_given)
    given, which = z[:, z.shape[1] - n_given :].unique(dim=0, return_inverse=True)
    return Bank(torch.cat([spread(z[which == k], size) for k in range(len(given))]), reach, n_given, True)


def spread(z: Tensor, size: int) -> Tensor:
    """Rows of z (n, K) far from each other, the most central first: farthest points (Gonzalez 1985)."""
    centre = z.mean(0)
    spread = z.std(0, correction=0).clamp_min(1e-6)
    inside = ((z - centre).abs() < 6 * spread).all(1)
    z = z[inside] if inside.any() else z
    chosen = [int(((z - centre) / spread).square().sum(1).argmin())]
    distance = torch.full((len(z),), torch.inf)
    for _ in range(min(size, len(z)) - 1):
        distance = torch.minimum(distance, ((z - z[chosen[-1]]) / spread).square().sum(1))
        chosen.append(int(distance.argmax()))
    return z[chosen].clone()


def with_a_chance(left: Tensor) -> Tensor:
    """Which candidates (n, c), by the squares they leave over in nats, best first, may turn out the best."""
    return left < CHANCE * left[:, :1].clamp_min(0) + CLOSE
