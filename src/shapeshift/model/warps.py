"""Warps: group elements that act on coordinates, and on nothing else.

A warp g moves a field f by ``(g . f)(u) = f(g^-1 u)``. Sign convention of the whole package: a positive
shift moves a feature towards larger axis values, a positive rotation turns it from the first axis towards
the second (of an image shown with its first row at the top: counter-clockwise), a positive log scale
enlarges it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, Uniform

from shapeshift.model.latents import gaussian_divergence


class Warp(nn.Module, ABC):
    """A group that acts on coordinates, with a prior over its parameters.

    Attributes
    ----------
    name : str
        How the factor is called in results.
    size : int
        Number of parameters G of one group element.
    prior_sd : Tensor (G,)
        Standard deviation of the zero-mean Gaussian prior; infinite for the uniform one of a compact group.
    bound : Tensor (G,)
        Beyond it, to both sides, the prior is 0.
    """

    name: str
    size: int
    prior_sd: Tensor
    bound: Tensor

    def prior(self) -> Distribution:
        """Prior of the parameters, batch shape (G,)."""
        return Normal(torch.zeros_like(self.prior_sd), self.prior_sd, validate_args=False)

    def log_volume(self) -> Tensor:
        """Minus the logarithm of the prior's density at 0."""
        return (self.prior_sd * math.sqrt(2 * math.pi)).log().sum()

    def divergence(self, mean: Tensor, sd: Tensor) -> Tensor:
        """KL of the posterior N(mean, sd^2), each (B, G), from the prior: (B,)."""
        return gaussian_divergence(mean, sd, self.prior_sd).sum(-1)

    @abstractmethod
    def forward(self, u: Tensor, g: Tensor) -> Tensor:
        """``u -> g u``: coordinates (B, P, D) and parameters (B, G) to coordinates (B, P, D)."""

    @abstractmethod
    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        """``u -> g^-1 u``, of the same shapes."""


@final
class Shift(Warp):
    """Translation: ``g^-1 u = u - t``.

    Parameters
    ----------
    prior_sd : float
        Standard deviation of the zero-mean Gaussian prior of t, in canonical units.
    n_dims : int
        D.

    Examples
    --------
    >>> import torch
    >>> u = torch.zeros(1, 3, 1)
    >>> Shift(0.3).inverse(u, torch.tensor([[0.5]])).flatten().tolist()
    [-0.5, -0.5, -0.5]
    """

    name = "shift"

    def __init__(self, prior_sd: float, n_dims: int = 1) -> None:
        super().__init__()
        self.size = n_dims
        self.register_buffer("prior_sd", torch.full((n_dims,), float(prior_sd)))
        self.register_buffer("bound", torch.full((n_dims,), math.inf), persistent=False)

    def forward(self, u: Tensor, g: Tensor) -> Tensor:
        return u + g[:, None, :]

    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        return u - g[:, None, :]


@final
class Rotation(Warp):
    """Turning of the plane about its origin by an angle a, in radians: ``g^-1 u = R(-a) u``.

    Parameters
    ----------
    prior_sd : float, optional
        Standard deviation of the zero-mean prior of the angle; None for the uniform prior on the circle.
    bound : float
        The largest angle, to both sides: upside down a pattern may look like another, which no Gaussian
        forbids.

    Examples
    --------
    >>> import math, torch
    >>> first_axis = torch.tensor([[[1.0, 0.0]]])
    >>> Rotation().forward(first_axis, torch.tensor([[math.pi / 2]])).round().abs().flatten().tolist()
    [0.0, 1.0]
    """

    name = "rotation"
    size = 1

    def __init__(self, prior_sd: float | None = None, bound: float = math.inf) -> None:
        super().__init__()
        self.register_buffer("prior_sd", torch.tensor([math.inf if prior_sd is None else float(prior_sd)]))
        self.register_buffer("bound", torch.tensor([math.inf if prior_sd is None else float(bound)]))

    @property
    def uniform(self) -> bool:
        return bool(torch.isinf(self.prior_sd))

    def prior(self) -> Distribution:
        edge = torch.full_like(self.prior_sd, math.pi)
        return Uniform(-edge, edge, validate_args=False) if self.uniform else super().prior()

    def log_volume(self) -> Tensor:
        return self.prior_sd.new_tensor(2 * math.pi).log() if self.uniform else super().log_volume()

    def divergence(self, mean: Tensor, sd: Tensor) -> Tensor:
        """KL on the circle, for posteriors much narrower than it."""
        if not self.uniform:
            return super().divergence(wrapped(mean), sd)
        return (self.log_volume() - sd.log() - 0.5 * math.log(2 * math.pi * math.e)).clamp_min(0).sum(-1)

    def forward(self, u: Tensor, g: Tensor) -> Tensor:
        c, s = g.cos(), g.sin()  # (B, 1), against (B, P)
        return torch.stack([c * u[..., 0] - s * u[..., 1], s * u[..., 0] + c * u[..., 1]], -1)

    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        return self.forward(u, -g)


@final
class Scale(Warp):
    """Enlargement about the origin by exp(a): ``g^-1 u = exp(-a) u``, which cannot turn negative.

    Parameters
    ----------
    prior_sd : float
        Standard deviation of the zero-mean Gaussian prior of a.

    Examples
    --------
    >>> import math, torch
    >>> Scale(0.2).forward(torch.ones(1, 1, 2), torch.tensor([[math.log(3.0)]])).round().flatten().tolist()
    [3.0, 3.0]
    """

    name = "scale"
    size = 1

    def __init__(self, prior_sd: float) -> None:
        super().__init__()
        self.register_buffer("prior_sd", torch.tensor([float(prior_sd)]))
        self.register_buffer("bound", torch.full((1,), math.inf), persistent=False)

    def forward(self, u: Tensor, g: Tensor) -> Tensor:
        return u * g[:, None, :].exp()

    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        return self.forward(u, -g)


def wrapped(angle: Tensor) -> Tensor:
    """The same angle between -pi and pi."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def parts_of(warps: Sequence[Warp], pose: Tensor) -> list[tuple[Warp, Tensor]]:
    """Every warp with its own columns of the pose (B, G)."""
    parts = torch.split(pose, [w.size for w in warps], dim=1)
    return list(zip(warps, parts, strict=True))


def push_forward(warps: Sequence[Warp], u: Tensor, pose: Tensor) -> Tensor:
    """``g u`` of the composed warp: where a point of the canonical field is found in the measured one."""
    v = u.expand(pose.shape[0], *u.shape)
    for warp, g in parts_of(warps, pose):
        v = warp(v, g)
    return v


def pull_back(warps: Sequence[Warp], u: Tensor, pose: Tensor) -> Tensor:
    """Coordinates at which the canonical field is read: ``g^-1 u`` of the composed warp.

    Parameters
    ----------
    warps : sequence of Warp
        Applied to the field in this order, so inverted in the reverse order.
    u : Tensor (P, D)
        The measured grid, canonical units.
    pose : Tensor (B, G)
        Parameters of all warps, one after the other.

    Returns
    -------
    Tensor (B, P, D)
    """
    v = u.expand(pose.shape[0], *u.shape)
    for warp, g in reversed(parts_of(warps, pose)):
        v = warp.inverse(v, g)
    return v


def composed(warps: Sequence[Warp], outer: Tensor, inner: Tensor) -> Tensor:
    """Parameters (B, G) of ``outer . inner``, the inner warp applied first.

    For a shift that comes after all other warps, as here: angles and log scales add, and the inner shift is
    turned and scaled by the outer ones.
    """
    linear = [(w, g) for w, g in parts_of(warps, outer) if not isinstance(w, Shift)]
    moved = []
    for warp, g in parts_of(warps, inner):
        if isinstance(warp, Shift):
            for other, o in linear:
                g = other(g[:, None, :], o)[:, 0]
        moved.append(g)
    return outer + torch.cat(moved, 1) if moved else outer
