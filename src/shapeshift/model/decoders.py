"""Decoders: shape latents z -> a field, a function on canonical coordinates.

A field never sees the pose: warps act on the coordinates at which it is read. What is given besides (a
condition, a class) comes as further columns of z that no prior binds: z (B, K + c).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from shapeshift.model.fields import Field, Lattice, SplineField, SplineSurface

LEAST = 16  # columns of a product from which on a row's sums do not depend on its place among others


class Decoder(nn.Module, ABC):
    """z (B, K) -> Field over B shapes."""

    @abstractmethod
    def forward(self, z: Tensor) -> Field:
        """The canonical fields of the shapes z (B, K)."""


def dense(sizes: list[int]) -> nn.Sequential:
    """Fully connected layers with SiLU between them (the last one is linear)."""
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def dense_with_slopes(layers: Iterable[nn.Module], h: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of dense layers at h (B, P), and their derivatives from those of h, d (B, K, P)."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            h, d = layer(h), d @ layer.weight.T
        else:  # SiLU: y = h s, y' = s + y (1 - s)
            s = torch.sigmoid(h)
            h = h * s
            d = d * (s + h * (1 - s))[:, None]
    return h, d


@final
class CoordinateNet(Decoder):
    """The article's decoder: a network of the coordinate and the latents, f(u; z).

    Source: Bepler et al. 2019, arXiv:1909.11663, section 2; arXiv:2104.10207.

    Parameters
    ----------
    n_latent, n_dims, n_channels : int
        K (with what is given: K + c), D and the number of channels of a field.
    width, depth : int
        Hidden units of a layer, hidden layers.
    """

    def __init__(
        self, n_latent: int, n_dims: int = 1, width: int = 64, depth: int = 2, n_channels: int = 1
    ) -> None:
        super().__init__()
        self.coordinate = nn.Linear(n_dims, width)
        self.latent = nn.Linear(n_latent, width, bias=False)
        self.layers = dense([width] * depth + [n_channels])
        with torch.no_grad():
            # features much narrower than the window: spread the first layer's ramps over it
            self.coordinate.weight.mul_(6.0)
            self.coordinate.bias.mul_(6.0)

    def forward(self, z: Tensor) -> Field:
        h = self.latent(z)[:, None, :]
        return lambda u: self.layers(torch.tanh(self.coordinate(u) + h)).movedim(-1, 1).flatten(1)


@final
class Template(Decoder):
    """A canonical pattern on a grid wider than the window, read by cubic B-splines.

    f(u; z) = sum_c a_c(z) B3((u - u_c) / h), a = floor + exp(z' log_gain) (base - floor + z' linear +
    network(z)): an amplitude that cannot turn negative, times a shape. The network runs once a pattern,
    not once a sample. What is given, y, adds y' linear and, as every class has shapes of its own,
    sum_jk y_j z_k own_jk.

    Parameters
    ----------
    base : Tensor (C,)
        Spline coefficients at z = 0 before training (from the aligned mean).
    half_width : float
        The grid of signals spans [-half_width, half_width] in canonical units.
    n_latent, width, depth : int
    n_given : int
        Numbers c that are given.
    lattice : Lattice, optional
        The grid of images.
    """

    base: Tensor

    def __init__(
        self,
        base: Tensor,
        half_width: float,
        n_latent: int,
        width: int = 64,
        depth: int = 2,
        *,
        n_given: int = 0,
        lattice: Lattice | None = None,
    ) -> None:
        super().__init__()
        self.half_width, self.lattice, self.n_latent = half_width, lattice, n_latent
        self.base = nn.Parameter(base.clone())
        self.linear = nn.Parameter(torch.zeros(n_latent + n_given, len(base)))
        self.log_gain = nn.Parameter(torch.zeros(n_latent + n_given))
        self.floor = nn.Parameter(torch.quantile(base, 0.1 if base.mean() > base.median() else 0.9))
        self.own = nn.Parameter(torch.zeros(n_given * n_latent, len(base))) if n_given else None
        self.network = dense([n_latent + n_given] + [width] * depth + [len(base)])
        with torch.no_grad():
            last = self.network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.3)
            last.bias.zero_()

    def coefficients(self, z: Tensor) -> Tensor:
        """Spline coefficients a (B, C) of the canonical patterns of z (B, K + c)."""
        gain = torch.exp((z @ self.log_gain)[:, None])
        shape = self.base - self.floor + z @ self.linear + self.network(z)
        if self.own is not None:
            shape = shape + self._products(z) @ self.own
        return self.floor + gain * shape

    def field(self, a: Tensor) -> SplineField | SplineSurface:
        """The field of coefficients (B, C), or (B, R, C) for stacks."""
        if self.lattice is not None:
            return SplineSurface(a, self.lattice)
        return SplineField(a, self.half_width)

    def forward(self, z: Tensor) -> Field:
        return self.field(self.coefficients(z))

    def _products(self, z: Tensor) -> Tensor:
        """y_j z_k of z (B, K + c), (B, c K)."""
        k = self.n_latent
        return (z[:, k:, None] * z[:, None, :k]).flatten(1)

    def with_slopes(self, z: Tensor) -> Tensor:
        """Coefficients above the floor of the shapes z (B, K + c) and of their K derivatives: (B, 1 + K, C).

        Everything before the last product is as narrow as the network, not as long as a signal.
        """
        free = self.n_latent
        unit = torch.eye(z.shape[1], dtype=z.dtype)[:free].expand(z.shape[0], -1, -1)
        *hidden, last = self.network
        h, d = dense_with_slopes(hidden, z, unit)
        assert isinstance(last, nn.Linear)
        ones = z.new_ones(z.shape[0], 1)
        parts, slopes = [h, z, ones], [d, unit, 0 * ones[:, None].expand(-1, free, 1)]
        rows = [last.weight.T, self.linear, (self.base - self.floor + last.bias)[None]]
        if self.own is not None:
            parts.append(self._products(z))
            slopes.append((z[:, None, free:, None] * unit[:, :, None, :free]).flatten(2))
            rows.append(self.own)
        h, d = torch.cat(parts, 1)[:, None], torch.cat(slopes, 2)
        features = torch.cat([h, d + self.log_gain[:free, None] * h], 1)
        features = features * torch.exp(z @ self.log_gain)[:, None, None]
        table = torch.cat(rows)
        wide = nn.functional.pad(table, (0, max(0, LEAST - table.shape[1])))
        return (features @ wide)[..., : table.shape[1]]

    def read_with_slopes(self, z: Tensor, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Values (B, P) at ``length`` samples from ``first`` (B,) on, in steps of the spline's own grid, and
        their derivatives by ``first`` and z: (B, 1 + K, P)."""
        field = SplineField(self.with_slopes(z), self.half_width)
        out, by_first = field.on_lattice_with_slope(first, length)
        values = out[:, 0] + self.floor
        out[:, 0] = by_first[:, 0]
        return values, out

    def read_with_gradient(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """On the plane, at coordinates u (B, P, 2): values (B, P), their gradient by u (B, 2, P), their
        derivatives by z (B, K, P)."""
        assert self.lattice is not None
        stacks, gradient = SplineSurface(self.with_slopes(z), self.lattice).with_gradient(u)
        return stacks[:, 0] + self.floor, gradient, stacks[:, 1:]
