"""Error bars that held-out pairs have put right.

The variance of an error is a s_q^2 exp(d_q) + b v: the noise of the point, and the variance of what the
networks do not know. Networks explain the pairs they were trained on better than others, and the noise they
learn also covers draws of z, so that a, d_q and b are told by held-out pairs: maximum a posteriori, with
d_q ~ N(0, DEVIATION^2), so that few pairs leave the pattern of the noise as it was learned. What is left of
the shape of the errors is told by their quantiles (as in Kuleshov et al. 2018, arXiv:1807.00263, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEVELS = 1001  # quantiles of the errors that are kept
ONE_SD = 0.6827
LARGEST = 8.0  # of the logarithms of a and b, to both sides of 0
DEVIATION = 0.7  # sd of d
MOST = 400_000  # errors that tell the factors; quantiles are those of all
LEAST = 1e-6  # variance, in units of the whole set's


class Calibration(NamedTuple):
    """noise a s^2 exp(d) (Q,) | b, of the spread | |error| / sd at LEVELS shares from 0 to 1; 1 at ONE_SD."""

    noise: Tensor
    b: Tensor
    quantiles: Tensor

    def sd(self, spread: Tensor) -> Tensor:
        """One sd (n, Q), which holds ONE_SD of the errors, where the networks' variance is ``spread``."""
        return (self.noise + self.b * spread).sqrt()

    def reach(self, share: float) -> float:
        """How many sds hold a share of the errors."""
        at = torch.tensor(share * (LEVELS - 1), dtype=torch.float64)
        low = int(at.floor().clamp(0, LEVELS - 2))
        return float(torch.lerp(self.quantiles[low], self.quantiles[low + 1], at - low))


def calibrated(noise: Tensor, spread: Tensor, error: Tensor, least: float = 0.0) -> Calibration:
    """What explains held-out errors (n, Q) best as Gaussian ones, then scaled so that one sd holds ONE_SD.

    Parameters
    ----------
    noise : Tensor (Q,)
        Variance of every point, as it was learned.
    spread, error : Tensor (n, Q)
        Variance of what the networks do not know, and what they were off by, of pairs in random order.
    least : float
        The b below which the networks' variance is not discounted: errors far from all that was seen are
        told by it alone, and held-out pairs lie near.
    """
    noise, spread, square = noise.double(), spread.double(), error.double().square()
    some = slice(max(2, MOST // len(noise)))
    noise, b = _explained(noise, spread[some], square[some], least)
    ratio = (square / (noise + b * spread)).sqrt().flatten().sort().values
    levels = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    unit = _quantiles(ratio, torch.tensor([ONE_SD], dtype=torch.float64)).clamp_min(1e-9)
    return Calibration(unit.square() * noise, b * unit[0].square(), _quantiles(ratio, levels) / unit)


def _explained(noise: Tensor, spread: Tensor, square: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """The noise (Q,) and the factor b () of largest posterior."""
    log = torch.zeros(2 + len(noise), dtype=torch.float64, requires_grad=True)  # log a, log b, d
    optimiser = torch.optim.LBFGS([log], max_iter=200, line_search_fn="strong_wolfe")

    def terms() -> tuple[Tensor, Tensor]:
        a, b = log[:2].clamp(-LARGEST, LARGEST).exp()
        return a * noise * log[2:].exp() + LEAST, b + least

    def loss() -> Tensor:
        optimiser.zero_grad()
        point, b = terms()
        variance = point + b * spread
        prior = 0.5 * (log[2:] / DEVIATION).square().sum() / square.numel()
        value = 0.5 * (square / variance + variance.log()).mean() + prior
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    point, b = terms()
    return point.detach(), b.detach()


def _quantiles(ordered: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of ordered numbers (m,), between neighbours by a straight line."""
    at = levels * (len(ordered) - 1)
    low = at.floor().long().clamp(max=max(0, len(ordered) - 2))
    return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], at - low)
