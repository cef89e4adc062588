"""Where zero is.

The data fix a shift only up to a function of the shape: moving every canonical signal by -delta(z)
and every shift by +delta(z) changes nothing that is measured. A declared convention picks delta:

* ``reference``: moving along z at constant shift does not move along the shift,
  <dv/dz - dv/dt grad delta, dv/dt> = 0, so grad delta = <dv/dz, dv/dt> / <dv/dt, dv/dt>. This is
  the choice with the least noise: errors of shape and of shift are then uncorrelated. A polynomial
  is fitted to that gradient where the data are. Its constant puts the pattern's centre of energy,
  over the whole set, at the centre of the axis.
* ``peak``: shift 0 puts the highest point of the signal at the centre of the axis.
* ``centroid``: the same with the centroid of the squared deviation from the median.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jvp, vmap

from shapeshift.fit.refine import CHUNK, values_and_jacobian
from shapeshift.model.vae import PoseVAE

ZEROS = ("reference", "peak", "centroid")
RIDGE = 1e-4


class Reference(NamedTuple):
    """delta(z) = constant + monomials((z - centre) / spread) @ coefficients."""

    coefficients: Tensor
    centre: Tensor
    spread: Tensor
    constant: Tensor


def exponents(n_latent: int) -> list[tuple[int, ...]]:
    """Index tuples of the monomials of degree 1 up to 5 (1-2 latents), 3 (3-4) or 1 (more)."""
    degree = 5 if n_latent <= 2 else 3 if n_latent <= 4 else 1
    return [c for d in range(1, degree + 1) for c in combinations_with_replacement(range(n_latent), d)]


def monomials(y: Tensor) -> Tensor:
    """Monomials of y (n, K), one column each."""
    return torch.stack([y[:, list(c)].prod(1) for c in exponents(y.shape[1])], 1)


def with_gradient(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """f(z) and its gradient, for f that maps (n, K) row by row to (n, ...): (n, ...), (K, n, ...)."""
    directions = torch.eye(z.shape[1], dtype=z.dtype)[:, None].expand(-1, *z.shape)
    return vmap(lambda d: jvp(function, (z,), (d,)), out_dims=(None, 0))(directions)


def centroid(vae: PoseVAE, z: Tensor) -> Tensor:
    """Centroid of the squared deviation from the median, of signals at shift 0: (n,)."""
    signal = _at_rest(vae, z)
    energy = (signal - signal.median(1, keepdim=True).values).square()
    return (energy * vae.grid[:, 0]).sum(1) / energy.sum(1).clamp_min(1e-12)


def peak(vae: PoseVAE, z: Tensor) -> Tensor:
    """Highest point of signals at shift 0, by a parabola through three samples: (n,)."""
    signal = _at_rest(vae, z)
    top = signal[:, 1:-1].argmax(1, keepdim=True) + 1
    a, b, c = (signal.gather(1, top + k)[:, 0] for k in (-1, 0, 1))
    bend = (a - 2 * b + c).clamp_max(-1e-12)
    return vae.grid[0, 0] + vae.sample * (top[:, 0] + (0.5 * (a - c) / bend).clamp(-1, 1))


def _at_rest(vae: PoseVAE, z: Tensor) -> Tensor:
    return vae.likelihood.mean(vae.values(z.new_zeros(len(z), vae.n_pose), z))


@torch.no_grad()
def fit_reference(vae: PoseVAE, theta: Tensor) -> Reference:
    """The reference zero, from the posterior means (n, G + K) of the training signals."""
    z = theta[:, vae.n_pose :]
    wanted, weight = zip(*(_wanted_gradient(vae, part) for part in theta.split(CHUNK)), strict=True)
    gradient, sharp = torch.cat(wanted).double(), torch.cat(weight).double()
    centre, spread = z.mean(0), z.std(0, correction=0).clamp_min(1e-3)
    y = ((z - centre) / spread).double().clamp(-4, 4)
    trust = (sharp / sharp.median().clamp_min(1e-12)).clamp_max(4.0).sqrt()[:, None]
    _, slopes = with_gradient(monomials, y)  # (K, n, M)
    rows = (slopes * trust).flatten(0, 1)
    target = (gradient * spread.double() * trust).T.flatten()
    normal = rows.T @ rows
    normal += RIDGE * len(y) * torch.eye(len(normal), dtype=normal.dtype)
    coefficients = torch.linalg.solve(normal, rows.T @ target)
    middle = torch.cat([centroid(vae, part) for part in z.split(CHUNK)]).double()
    constant = (sharp * (middle - monomials(y) @ coefficients)).sum() / sharp.sum().clamp_min(1e-12)
    return Reference(coefficients.to(z), centre, spread, constant.to(z))


def _wanted_gradient(vae: PoseVAE, theta: Tensor) -> tuple[Tensor, Tensor]:
    """<dv/dz, dv/dt> / <dv/dt, dv/dt> (n, K) and <dv/dt, dv/dt> (n,)."""
    _, jacobian = values_and_jacobian(vae, theta)
    along = jacobian[..., :1]
    sharp = along.square().sum(1)
    return (jacobian[..., 1:] * along).sum(1) / sharp.clamp_min(1e-9), sharp[:, 0]


@torch.no_grad()
def offset(vae: PoseVAE, zero: str, reference: Reference, z: Tensor) -> tuple[Tensor, Tensor]:
    """delta(z) (n,) and its gradient (n, K), canonical units, under the named convention."""
    if zero == "reference":
        scale = reference.spread

        def delta(z: Tensor) -> Tensor:
            y = ((z - reference.centre) / scale).clamp(-4, 4)
            return reference.constant + monomials(y) @ reference.coefficients
    else:
        landmark = peak if zero == "peak" else centroid

        def delta(z: Tensor) -> Tensor:
            return landmark(vae, z)

    values, slopes = zip(*(with_gradient(delta, part) for part in z.split(CHUNK)), strict=True)
    return torch.cat(values), torch.cat(slopes, 1).T
