"""Warps: group elements that act on coordinates, and on nothing else.

A warp g moves a field f by ``(g . f)(u) = f(g^-1 u)``, so only the inverse action on coordinates is
ever needed. Sign convention of the whole package: a positive shift moves a feature towards larger
axis values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from shapeshift.model.latents import gaussian_divergence


class Warp(nn.Module, ABC):
    """A group that acts on coordinates, with a Gaussian prior over its parameters.

    Attributes
    ----------
    name : str
        How the factor is called in results.
    size : int
        Number of parameters G of one group element.
    """

    name: str
    size: int

    @abstractmethod
    def prior(self) -> Normal:
        """Prior of the parameters, batch shape (G,)."""

    @abstractmethod
    def divergence(self, mean: Tensor, sd: Tensor) -> Tensor:
        """KL of the posterior N(mean, sd^2), each (B, G), from the prior: (B,)."""

    @abstractmethod
    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        """``u -> g^-1 u``: coordinates (B, P, D) and parameters (B, G) to coordinates (B, P, D)."""


@final
class Shift(Warp):
    """Translation of the axis: ``g^-1 u = u - t``.

    Parameters
    ----------
    prior_sd : float
        Standard deviation of the zero-mean Gaussian prior of t, in canonical units (half-windows).

    Examples
    --------
    >>> import torch
    >>> u = torch.zeros(1, 3, 1)
    >>> Shift(0.3).inverse(u, torch.tensor([[0.5]])).flatten().tolist()
    [-0.5, -0.5, -0.5]
    """

    name = "shift"
    size = 1
    prior_sd: Tensor

    def __init__(self, prior_sd: float) -> None:
        super().__init__()
        self.register_buffer("prior_sd", torch.tensor([float(prior_sd)]))

    def prior(self) -> Normal:
        return Normal(torch.zeros_like(self.prior_sd), self.prior_sd, validate_args=False)

    def divergence(self, mean: Tensor, sd: Tensor) -> Tensor:
        return gaussian_divergence(mean, sd, self.prior_sd).sum(-1)

    def inverse(self, u: Tensor, g: Tensor) -> Tensor:
        return u - g[:, None, :]


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
    v = u.expand(len(pose), *u.shape)
    parts = torch.split(pose, [w.size for w in warps], dim=1)
    for warp, g in reversed(list(zip(warps, parts, strict=True))):
        v = warp.inverse(v, g)
    return v
