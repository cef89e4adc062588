"""What is maximised: the evidence lower bound, written down once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.model.latents import Factors, gaussian_divergence
from shapeshift.model.vae import PoseVAE


class Elbo(NamedTuple):
    """Terms of the bound: log_px (B,), and the KL of every factor by its name, each (B,)."""

    log_px: Tensor
    kl: dict[str, Tensor]

    def total(self, weights: dict[str, float] | None = None) -> Tensor:
        """log_px - sum of (weighted) KL terms, (B,)."""
        w = weights or {}
        return self.log_px - sum(w.get(k, 1.0) * v for k, v in self.kl.items())  # type: ignore[return-value]


def elbo(vae: PoseVAE, x: Tensor, lag: Tensor, noise: Tensor, generator: torch.Generator) -> Elbo:
    """E_q[log p(x | pose, z)] - KL(q(pose) | p(pose)) - KL(q(z) | p(z)), with one draw.

    Kingma & Welling 2014, arXiv:1312.6114, eq. 3; with the pose as a factor of its own,
    arXiv:1909.11663, eq. 2.
    """
    q = vae.encode(x, lag)
    pose = q.pose + q.pose_sd * _noise_like(q.pose, generator)
    z = q.z + q.z_sd * _noise_like(q.z, generator)
    z = z * (torch.arange(vae.n_latent) < vae.n_free)  # latents not yet free draw nothing
    log_px = vae.likelihood.log_prob(x, vae.fitted(x, vae.values(pose, z)), noise)
    return Elbo(log_px, divergences(vae, q))


def divergences(vae: PoseVAE, q: Factors) -> dict[str, Tensor]:
    """KL of every factor from its prior: the warps by name, the shape as ``z`` summed over K."""
    sizes = [w.size for w in vae.warps]  # type: ignore[union-attr]
    parts = zip(vae.warps, q.pose.split(sizes, 1), q.pose_sd.split(sizes, 1), strict=True)  # type: ignore[arg-type]
    kl: dict[str, Tensor] = {w.name: w.divergence(mean, sd) for w, mean, sd in parts}  # type: ignore[operator, union-attr, misc]
    return kl | {"z": gaussian_divergence(q.z, q.z_sd).sum(-1)}


def _noise_like(mean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
