"""Latent factors: named Gaussians and their divergence from the prior."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Factors(NamedTuple):
    """Independent Gaussians over the pose (B, G) and the shape (B, K)."""

    pose: Tensor
    pose_sd: Tensor
    z: Tensor
    z_sd: Tensor

    def theta(self, given: Tensor) -> Tensor:
        """The means and what is given (B, c), in one row: (B, G + K + c)."""
        return torch.cat([self.pose, self.z, given], 1)

    def without_shape_after(self, k: int) -> Factors:
        """The same with the latents after the k-th at their prior, mean 0 and sd 1."""
        used = (torch.arange(self.z.shape[1]) < k).to(self.z.dtype)
        return self._replace(z=self.z * used, z_sd=self.z_sd * used + (1 - used))


def gaussian_divergence(mean: Tensor, sd: Tensor, prior_sd: Tensor | float = 1.0) -> Tensor:
    """KL(N(mean, sd^2) || N(0, prior_sd^2)), elementwise, in nats."""
    ratio = sd / prior_sd
    return 0.5 * ((mean / prior_sd).square() + ratio.square() - 1) - ratio.log()
