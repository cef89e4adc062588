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


def elbo(
    vae: PoseVAE,
    x: Tensor,
    place: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    given: Tensor | None = None,
    target: Tensor | None = None,
) -> Elbo:
    """E_q[log p(x | pose, z, y)] - KL(q(pose) | p(pose)) - KL(q(z) | p(z)), with one draw.

    Kingma & Welling 2014, arXiv:1312.6114, eq. 3; with the pose as a factor of its own,
    arXiv:1909.11663, eq. 2; with y given, Sohn et al. 2015, NeurIPS 28, eq. 4. With a ``target`` that, and
    not x, is what the latents of x explain.
    """
    q = vae.encode(x, place, given)
    pose = q.pose + q.pose_sd * _noise_like(q.pose, generator)
    z = q.z + q.z_sd * _noise_like(q.z, generator)
    z = z * (torch.arange(vae.n_latent) < vae.n_free)  # latents not yet free draw nothing
    z = z if given is None else torch.cat([z, given], 1)
    goal = x if target is None else target
    log_px = vae.likelihood.log_prob(goal, vae.fitted(goal, vae.values(pose, z)), noise)
    return Elbo(log_px, divergences(vae, q))


def over_classes(bounds: Elbo, log_prior: Tensor, weights: dict[str, float] | None = None) -> Elbo:
    """log sum_y p(y) exp(L_y): the bound over a class y, every one of them tried.

    Of all q(y | x) the one proportional to p(y) exp(L_y) makes the bound largest (Kingma et al. 2014,
    arXiv:1406.5298, eq. 7, with q(y | x) at its optimum, so that none has to be learned).

    Parameters
    ----------
    bounds : Elbo
        L_y of every signal under every class, terms (B, Y).
    log_prior : Tensor (B, Y)
        log p(y); minus infinity where a label says that it is another class.
    """
    with torch.no_grad():
        log_q = torch.log_softmax(bounds.total(weights) + log_prior, 1)
        q = log_q.exp()
        kl = torch.where(q > 0, q * (log_q - log_prior), 0.0).sum(1)
    return Elbo((q * bounds.log_px).sum(1), {k: (q * v).sum(1) for k, v in bounds.kl.items()} | {"class": kl})


def divergences(vae: PoseVAE, q: Factors) -> dict[str, Tensor]:
    """KL of every factor from its prior: the warps by name, the shape as ``z`` summed over K."""
    sizes = [w.size for w in vae.warps]  # type: ignore[union-attr]
    parts = zip(vae.warps, q.pose.split(sizes, 1), q.pose_sd.split(sizes, 1), strict=True)  # type: ignore[arg-type]
    kl: dict[str, Tensor] = {w.name: w.divergence(mean, sd) for w, mean, sd in parts}  # type: ignore[operator, union-attr, misc]
    return kl | {"z": gaussian_divergence(q.z, q.z_sd).sum(-1)}


def _noise_like(mean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
