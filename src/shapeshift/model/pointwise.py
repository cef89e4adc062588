"""A likelihood whose noise is a property of the point: a detector channel, an edge of the image."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from shapeshift.model.likelihoods import Likelihood

LEAST_SD = 5e-3  # no point is known better than this, in units of the whole set's sd


@final
class PointNoise(Likelihood):
    """y_q = v_q + noise, whose sd s_q is learned: one a point, the same for all signals.

    The variance of point q is exp(2 l_q) + s_min^2, with the parameters l (Q,). What is known of the noise of
    a signal by itself is not asked for: noise and misfit of the outputs are learned together.

    Parameters
    ----------
    n_points : int
        Q.
    sd : float
        Before training, in units of the whole set's sd.

    Examples
    --------
    >>> import torch
    >>> PointNoise(n_points=3, sd=0.5).sd.tolist()
    [0.5, 0.5, 0.5]
    """

    name = "point-noise"
    support = "real numbers"
    affine = True
    linear = True

    def __init__(self, n_points: int, sd: float = 0.4) -> None:
        super().__init__()
        self.log_sd = nn.Parameter(torch.full((n_points,), 0.5 * math.log(sd**2 - LEAST_SD**2)))

    @property
    def sd(self) -> Tensor:
        """Noise of every point, (Q,)."""
        return (torch.exp(2 * self.log_sd) + LEAST_SD**2).sqrt()

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return Normal(values, self.sd, validate_args=False)

    def inside(self, x: Tensor) -> Tensor:
        return torch.isfinite(x)

    def mean(self, values: Tensor) -> Tensor:
        return values

    def values_at(self, mean: Tensor) -> Tensor:
        return mean

    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        return self.sd.pow(-2).expand_as(values)

    def rough_sd(self, x: Tensor, noise: Tensor) -> Tensor:
        return self.sd.square().mean().sqrt().expand(len(x))

    def log_prob(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        sd = self.sd
        square = ((x - values) / sd).square().sum(-1)
        return -0.5 * square - sd.log().sum() - 0.5 * len(sd) * math.log(2 * math.pi)

    def score(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        return (x - values) / self.sd.square()
