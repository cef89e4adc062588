"""Decoders: shape latents z -> a field, a function on canonical coordinates.

A field never sees the pose: warps act on the coordinates at which it is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

Field: TypeAlias = Callable[[Tensor], Tensor]  # coordinates (B, P, D) -> values (B, P)


class Decoder(nn.Module, ABC):
    """z (B, K) -> Field over B shapes."""

    @abstractmethod
    def forward(self, z: Tensor) -> Field:
        """The canonical fields of the shapes z (B, K)."""


def dense(sizes: list[int]) -> nn.Sequential:
    """Fully connected layers with SiLU between them (the last one is linear)."""
    layers: list[nn.Module] = []
    for a, b in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


@final
class CoordinateNet(Decoder):
    """The article's decoder: a network of the coordinate and the latents, f(u; z).

    Source: Bepler et al. 2019, arXiv:1909.11663, section 2; arXiv:2104.10207.

    Parameters
    ----------
    n_latent, n_dims : int
        K and D.
    width, depth : int
        Hidden units of a layer, hidden layers.
    """

    def __init__(self, n_latent: int, n_dims: int = 1, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.coordinate = nn.Linear(n_dims, width)
        self.latent = nn.Linear(n_latent, width, bias=False)
        self.layers = dense([width] * depth + [1])
        with torch.no_grad():
            # features much narrower than the window: spread the first layer's ramps over it
            self.coordinate.weight.mul_(6.0)
            self.coordinate.bias.mul_(6.0)

    def forward(self, z: Tensor) -> Field:
        h = self.latent(z)[:, None, :]
        return lambda u: self.layers(torch.tanh(self.coordinate(u) + h)).squeeze(-1)


@final
class Template(Decoder):
    """A canonical signal on a grid wider than the window, read by cubic B-splines.

    f(u; z) = sum_c a_c(z) B3((u - u_c) / h), a = base + network(z). The network runs once a
    signal, not once a sample. Source of the basis: Unser 1999, IEEE Signal Process. Mag. 16, 22.

    Parameters
    ----------
    base : Tensor (C,)
        Spline coefficients at z = 0 before training (from the aligned mean).
    half_width : float
        The grid spans [-half_width, half_width] in canonical units.
    n_latent, width, depth : int
    """

    base: Tensor

    def __init__(
        self, base: Tensor, half_width: float, n_latent: int, width: int = 128, depth: int = 2
    ) -> None:
        super().__init__()
        self.half_width = half_width
        self.base = nn.Parameter(base.clone())
        self.network = dense([n_latent] + [width] * depth + [len(base)])
        with torch.no_grad():
            last = self.network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.3)
            last.bias.zero_()

    def coefficients(self, z: Tensor) -> Tensor:
        """Spline coefficients a (B, C) of the canonical signals of z (B, K)."""
        return self.base + self.network(z)

    def forward(self, z: Tensor) -> SplineField:
        return SplineField(self.coefficients(z), self.half_width)


@final
class SplineField:
    """Field of uniform cubic B-splines: coefficients a (B, C) on [-half_width, half_width].

    Outside it the field is held at its edge.
    """

    def __init__(self, a: Tensor, half_width: float) -> None:
        self.a, self.half_width = a, half_width

    def __call__(self, u: Tensor) -> Tensor:
        """Values at any coordinates u (B, P, 1): (B, P)."""
        left, taps = self._split(u[..., 0])
        columns = (torch.gather(self.a[:, k:], 1, left) for k in range(4))
        return sum(taps[..., k] * column for k, column in enumerate(columns))  # type: ignore[return-value]

    def on_lattice(self, first: Tensor, length: int) -> Tensor:
        """Values at ``length`` samples from ``first`` (B,) on, in steps of the spline's own grid.

        The same as reading the field at those coordinates, with one set of weights a signal.
        """
        left, taps = self._split(first[:, None], room=length - 1)
        a = torch.gather(self.a, 1, left + torch.arange(length + 3))
        return sum(taps[..., k] * a[:, k : k + length] for k in range(4))  # type: ignore[return-value]

    def _split(self, u: Tensor, room: int = 0) -> tuple[Tensor, Tensor]:
        """Index of the first of four coefficients, and the weights (..., 4) of the four."""
        n = self.a.shape[-1]
        s = (u + self.half_width) * ((n - 1) / (2 * self.half_width))
        s = s.clamp(1.0, n - 2.001 - room)
        left = s.detach().floor()
        f = s - left
        powers = torch.stack([torch.ones_like(f), f, f * f, f * f * f], dim=-1)
        return left.long() - 1, powers @ CUBIC.to(f.dtype)


# weights of the four neighbouring coefficients as polynomials of the fraction of a step
CUBIC = torch.tensor(
    [[1.0, 4.0, 1.0, 0.0], [-3.0, 0.0, 3.0, 0.0], [3.0, -6.0, 3.0, 0.0], [-1.0, 3.0, -3.0, 1.0]],
    dtype=torch.float64,
).div(6.0)
