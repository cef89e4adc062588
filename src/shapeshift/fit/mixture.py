"""A mixture of factor analysers over views: classes, with the pose summed out over its grid.

    p(view at pose t | class c) = N(mean_c, U_c diag(lambda_c - s^2) U_c' + s^2 I),   p(t) = N(0, tau^2),

fitted by expectation and maximisation (Ghahramani & Hinton 1996, CRG-TR-96-1; with hidden transformations,
Frey & Jojic 2003, IEEE Trans. Pattern Anal. 25, 1). It is the model's own likelihood with shapes kept linear:
cheap enough to choose between starts, and to start the networks from.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.views import Grid, Views
from shapeshift.model.warps import wrapped

FACTORS = 12
SHRINK = 20.0  # signals' worth of the classes' common covariance that each class starts from
LEAST = 1e-4  # responsibilities below it count as none


class Mixture(NamedTuple):
    """mean (C, D) | axes (C, D, q) and variances (C, q) along them | rest: variance of every other direction
    | log_prior (C,) of the classes | spread (G,) of the poses."""

    mean: Tensor
    axes: Tensor
    variances: Tensor
    rest: Tensor
    log_prior: Tensor
    spread: Tensor

    def log_pose(self, grid: Grid) -> Tensor:
        """log p(t) of the grid's poses, (T,)."""
        free = (grid.step > 0) & ~grid.circle
        return (-0.5 * (grid.poses / self.spread)[:, free].square().sum(1)).log_softmax(0)

    def joint(self, views: Views, temper: float = 1.0) -> Tensor:
        """log p(view, pose, class), (C, n, T), the likelihood raised to ``temper``."""
        t, n, d = views.z.shape
        out = views.z.new_empty(len(self.mean), n, t)
        for c, (mean, axes, variances) in enumerate(zip(self.mean, self.axes, self.variances, strict=True)):
            off = (views.z - mean).reshape(-1, d)
            along = (off @ axes).square() @ (1 / self.rest - 1 / variances)
            volume = (
                variances.log().sum() + (d - len(variances)) * self.rest.log() + d * math.log(2 * math.pi)
            )
            out[c] = (-0.5 * (off.square().sum(1) / self.rest - along + volume)).reshape(t, n).T
        return temper * out + self.log_pose(views.grid) + self.log_prior[:, None, None]


class Told(NamedTuple):
    """What a mixture says of n signals: log p(x, class) (n, C), poses under every class (n, C, G)."""

    log_joint: Tensor
    pose: Tensor


def told(mixture: Mixture, views: Views, temper: float = 1.0) -> Told:
    """Classes and poses of the views."""
    joint = mixture.joint(views, temper)
    share = joint.softmax(2)
    columns = []
    for g, values in enumerate(views.grid.poses.T):
        if views.grid.circle[g]:
            columns.append(torch.atan2(share @ values.sin(), share @ values.cos()))
        else:
            columns.append(share @ values)
    pose = torch.stack(columns, 2) if columns else joint.new_zeros(*joint.shape[:2], 0)
    return Told(joint.logsumexp(2).T, pose.transpose(0, 1))


def maximised(views: Views, share: Tensor, factors: int = FACTORS) -> Mixture:
    """The mixture of given responsibilities (C, n, T)."""
    d = views.z.shape[2]
    rows = views.z.transpose(0, 1).reshape(-1, d)
    weight = share.sum((1, 2))
    means, scatter = [], []
    for part, total in zip(share.flatten(1), weight, strict=True):
        kept = part > LEAST
        w, v = part[kept], rows[kept]
        means.append(w @ v / total.clamp_min(1e-6))
        v = v - means[-1]
        scatter.append((w[:, None] * v).T @ v)
    sums = torch.stack(scatter)
    common = sums.sum(0) / weight.sum()
    cov = (sums + SHRINK * common) / (weight + SHRINK)[:, None, None]
    q = min(factors, max(0, d - 1))
    values, vectors = torch.linalg.eigh(cov.double())
    values, vectors = values[:, d - q :].to(rows.dtype), vectors[:, :, d - q :].to(rows.dtype)
    left = (cov.diagonal(dim1=1, dim2=2).sum(1) - values.sum(1)) / (d - q)
    rest = ((weight / weight.sum()) @ left).clamp_min(1e-9)
    log_prior = ((weight + 1) / (weight + 1).sum()).log()
    return Mixture(
        torch.stack(means), vectors, values.clamp_min(rest), rest, log_prior, _spread(views.grid, share)
    )


def _spread(grid: Grid, share: Tensor) -> Tensor:
    """Root mean square of the poses (G,), never under half a step."""
    mean = torch.einsum("cnt,tg->g", share, grid.poses.square()) / share.sum().clamp_min(1e-6)
    return torch.maximum(mean.sqrt(), 0.5 * grid.step).clamp_min(1e-9)


def responsible(classes: Tensor, pose: Tensor, grid: Grid) -> Tensor:
    """Responsibilities (C, n, T) of classes (n, C) at poses (n, G), spread over neighbours on the grid."""
    apart = pose[:, None] - grid.poses  # (n, T, G)
    apart = torch.where(grid.circle, wrapped(apart), apart)
    near = (-0.5 * (apart / (0.7 * grid.step).clamp_min(1e-9)).square())[..., grid.step > 0].sum(2).softmax(1)
    return classes.T[:, :, None] * near


def fitted(
    views: Views,
    classes: Tensor,
    pose: Tensor,
    log_known: Tensor | None = None,
    *,
    temper: float = 1.0,
    rounds: int = 10,
    factors: int = FACTORS,
) -> tuple[Mixture, float]:
    """The mixture from a start, classes (n, C) and poses (n, G), and the mean log evidence of the last round.

    log_known (n, C): what is known besides of the classes, minus infinity where a label excludes one.
    """
    mixture, evidence = maximised(views, responsible(classes, pose, views.grid), factors), 0.0
    for _ in range(rounds):
        joint = mixture.joint(views, temper)
        joint = joint if log_known is None else joint + log_known.T[:, :, None]
        flat = joint.transpose(0, 1).flatten(1)
        evidence = float(flat.logsumexp(1).mean())
        share = flat.softmax(1).unflatten(1, (len(joint), -1)).transpose(0, 1)
        mixture = maximised(views, share, factors)
    return mixture, evidence
