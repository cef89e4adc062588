"""Error bars that held-out pairs have put right.

The variance of an error is a s_q^2 + b v: the noise of the point, and the variance of what the networks do
not know. Both are off by factors that training pairs cannot tell - networks explain those better - and
held-out pairs can. What is left of the shape of the errors is told by their quantiles (as in Kuleshov et al.
2018, arXiv:1807.00263, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEVELS = 1001  # quantiles of the errors that are kept
ONE_SD = 0.6827
FACTORS = 8.0  # the logarithms of a and b stay within so much of 0


class Calibration(NamedTuple):
    """noise a s^2 (Q,) | b, of the spread | |error| / sd at LEVELS shares from 0 to 1, with 1 at ONE_SD."""

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


def calibrated(noise: Tensor, spread: Tensor, error: Tensor) -> Calibration:
    """The factors a and b that explain held-out errors (n, Q) best as Gaussian ones, then scaled to ONE_SD.

    Parameters
    ----------
    noise : Tensor (Q,)
        Variance of every point.
    spread, error : Tensor (n, Q)
        Variance of what the networks do not know, and what they were off by.
    """
    noise, spread, square = noise.double(), spread.double(), error.double().square()
    a, b = _factors(noise, spread, square)
    sd = (a * noise + b * spread).sqrt()
    ratio = (square.sqrt() / sd).flatten().sort().values
    levels = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    unit = _quantiles(ratio, torch.tensor([ONE_SD], dtype=torch.float64)).clamp_min(1e-9)
    return Calibration(a * unit.square() * noise, b * unit[0].square(), _quantiles(ratio, levels) / unit)


def _factors(noise: Tensor, spread: Tensor, square: Tensor) -> Tensor:
    """The a and b of largest likelihood, (2,)."""
    log = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        a, b = log.clamp(-FACTORS, FACTORS).exp()
        variance = a * noise + b * spread
        value = 0.5 * (square / variance + variance.log()).mean()
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    return log.detach().clamp(-FACTORS, FACTORS).exp()


def _quantiles(ordered: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of ordered numbers (m,), between neighbours by a straight line."""
    at = levels * (len(ordered) - 1)
    low = at.floor().long().clamp(max=max(0, len(ordered) - 2))
    return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], at - low)
