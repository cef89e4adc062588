"""Refinement: from the encoder's guess to the maximum a posteriori and its Laplace covariance.

A few damped Gauss-Newton steps (Levenberg 1944; Marquardt 1963) per signal on theta = (pose, z),

    minimise  L(theta) = -log p(x | v(theta)) + theta' Lambda theta / 2,
    H = J' F J + Lambda,   J = dv / dtheta,   F = Fisher information of the likelihood,

which closes the amortisation gap of the encoder. H^-1 at the optimum is the covariance of the
posterior in Laplace's approximation (MacKay 2003, Information Theory, ch. 27).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp, vmap

from shapeshift.model.vae import PoseVAE

CHUNK = 256


class Refined(NamedTuple):
    """Maximum a posteriori of n signals and what surrounds it.

    theta (n, G + K) | hessian (n, G + K, G + K) | loss (n,) = -log p(x, theta) | values (n, P) |
    settled (n,) bool: the steps came to rest.
    """

    theta: Tensor
    hessian: Tensor
    loss: Tensor
    values: Tensor
    settled: Tensor

    @property
    def covariance(self) -> Tensor:
        return torch.linalg.inv(self.hessian)

    @property
    def log_evidence(self) -> Tensor:
        """Laplace's approximation of log p(x), (n,)."""
        d = self.theta.shape[1]
        return -self.loss + 0.5 * d * math.log(2 * math.pi) - 0.5 * torch.logdet(self.hessian)


def values_and_jacobian(vae: PoseVAE, theta: Tensor) -> tuple[Tensor, Tensor]:
    """v (n, P) and J = dv / dtheta (n, P, G + K), by one forward-mode pass per parameter."""

    def read(t: Tensor) -> Tensor:
        return vae.values(t[:, : vae.n_pose], t[:, vae.n_pose :])

    tangents = torch.eye(theta.shape[1], dtype=theta.dtype)[:, None, :].expand(-1, *theta.shape)
    values, columns = vmap(lambda d: jvp(read, (theta,), (d,)), out_dims=(None, -1))(tangents)
    return values, columns


def joint_loss(vae: PoseVAE, x: Tensor, noise_sd: Tensor, theta: Tensor, values: Tensor) -> Tensor:
    """-log p(x, theta) of every signal, with the constants of the Gaussian prior."""
    precision = vae.prior_precision()
    prior = 0.5 * (theta.square() * precision).sum(1) + 0.5 * (2 * math.pi / precision).log().sum()
    return prior - vae.likelihood.log_prob(x, values, noise_sd)


@torch.no_grad()
def refine(
    vae: PoseVAE, x: Tensor, noise_sd: Tensor, theta: Tensor, *, steps: int = 12, tol: float = 1e-3
) -> Refined:
    """Levenberg-Marquardt on every signal by itself.

    Parameters
    ----------
    vae : PoseVAE
    x, noise_sd, theta : Tensor (n, P), (n,), (n, G + K)
        Signals, their noise, the start.
    steps : int
        At most so many.
    tol : float
        A signal has settled when its next step would gain less than this many nats.
    """
    parts = [
        _refine_chunk(vae, *part, steps, tol)
        for part in zip(x.split(CHUNK), noise_sd.split(CHUNK), theta.split(CHUNK), strict=True)
    ]
    return Refined(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _refine_chunk(
    vae: PoseVAE, x: Tensor, noise_sd: Tensor, theta: Tensor, steps: int, tol: float
) -> Refined:
    precision = vae.prior_precision()
    damping = theta.new_full((len(theta),), 1e-3)
    settled = torch.zeros(len(theta), dtype=torch.bool)
    values, hessian, gradient = _normal_equations(vae, x, noise_sd, theta, precision)
    loss = joint_loss(vae, x, noise_sd, theta, values)
    for _ in range(steps):
        diagonal = torch.diagonal(hessian, dim1=1, dim2=2)
        step, _ = torch.linalg.solve_ex(hessian + torch.diag_embed(damping[:, None] * diagonal), -gradient)
        settled |= -(step * gradient).sum(1) < tol
        if settled.all():
            break
        trial = theta + step
        new_values, new_hessian, new_gradient = _normal_equations(vae, x, noise_sd, trial, precision)
        new_loss = joint_loss(vae, x, noise_sd, trial, new_values)
        taken = (new_loss < loss) & ~settled
        damping = torch.where(taken, damping * 0.1, damping * 10).clamp(1e-9, 1e6)
        theta, values, hessian, gradient, loss = (
            _where(taken, new, old)
            for new, old in (
                (trial, theta),
                (new_values, values),
                (new_hessian, hessian),
                (new_gradient, gradient),
                (new_loss, loss),
            )
        )
    return Refined(theta, hessian, loss, values, settled)


def _normal_equations(
    vae: PoseVAE, x: Tensor, noise_sd: Tensor, theta: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Values, Gauss-Newton Hessian and gradient of the joint loss."""
    values, jacobian = values_and_jacobian(vae, theta)
    information = vae.likelihood.fisher(values, noise_sd)
    hessian = jacobian.mT @ (information[..., None] * jacobian) + torch.diag(precision)
    score = vae.likelihood.score(x, values, noise_sd)
    return values, hessian, theta * precision - (jacobian.mT @ score[..., None])[..., 0]


def _where(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (new.dim() - 1)), new, old)
