"""Decoders: shape latents z -> a field, a function on canonical coordinates.

A field never sees the pose: warps act on the coordinates at which it is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

LEAST = 16  # columns of a product from which on a row's sums do not depend on its place among others

Field: TypeAlias = Callable[[Tensor], Tensor]  # coordinates (B, P, D) -> values (B, P)


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

    def __init__(self, n_latent: int, n_dims: int = 1, width: int = 64, depth: int = 2) -> None:
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

    f(u; z) = sum_c a_c(z) B3((u - u_c) / h), a = floor + exp(z' log_gain) (base - floor + z' linear +
    network(z)): an amplitude that cannot turn negative, times a shape. The network runs once a signal,
    not once a sample. Source of the basis: Unser 1999, IEEE Signal Process. Mag. 16, 22.

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
        self, base: Tensor, half_width: float, n_latent: int, width: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        self.half_width = half_width
        self.base = nn.Parameter(base.clone())
        self.linear = nn.Parameter(torch.zeros(n_latent, len(base)))
        self.log_gain = nn.Parameter(torch.zeros(n_latent))
        self.floor = nn.Parameter(torch.quantile(base, 0.1 if base.mean() > base.median() else 0.9))
        self.network = dense([n_latent] + [width] * depth + [len(base)])
        with torch.no_grad():
            last = self.network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.3)
            last.bias.zero_()

    def coefficients(self, z: Tensor) -> Tensor:
        """Spline coefficients a (B, C) of the canonical signals of z (B, K)."""
        gain = torch.exp((z @ self.log_gain)[:, None])
        return self.floor + gain * (self.base - self.floor + z @ self.linear + self.network(z))

    def forward(self, z: Tensor) -> SplineField:
        return SplineField(self.coefficients(z), self.half_width)

    def with_slopes(self, z: Tensor) -> Tensor:
        """Coefficients above the floor of the shapes z (B, K) and of their K derivatives: (B, 1 + K, C).

        Everything before the last product is as narrow as the network, not as long as a signal.
        """
        unit = torch.eye(z.shape[1], dtype=z.dtype)
        h, d = z, unit.expand(len(z), -1, -1)
        *hidden, last = self.network
        for layer in hidden:
            if isinstance(layer, nn.Linear):
                h, d = layer(h), d @ layer.weight.T
            else:  # SiLU: y = h s, y' = s + y (1 - s)
                s = torch.sigmoid(h)
                h = h * s
                d = d * (s + h * (1 - s))[:, None]
        assert isinstance(last, nn.Linear)
        ones = z.new_ones(len(z), 1)
        h = torch.cat([h, z, ones], 1)[:, None]
        d = torch.cat([d, unit.expand(len(z), -1, -1), 0 * ones[:, None].expand(-1, z.shape[1], 1)], 2)
        features = torch.cat([h, d + self.log_gain[:, None] * h], 1)
        features = features * torch.exp(z @ self.log_gain)[:, None, None]
        rows = torch.cat([last.weight.T, self.linear, (self.base - self.floor + last.bias)[None]])
        wide = nn.functional.pad(rows, (0, max(0, LEAST - rows.shape[1])))
        return (features @ wide)[..., : rows.shape[1]]

    def read_with_slopes(self, z: Tensor, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Values (B, P) at ``length`` samples from ``first`` (B,) on, in steps of the spline's own grid, and
        their derivatives by ``first`` and z: (B, 1 + K, P)."""
        field = SplineField(self.with_slopes(z), self.half_width)
        out, by_first = field.on_lattice_with_slope(first, length)
        values = out[:, 0] + self.floor
        out[:, 0] = by_first[:, 0]
        return values, out


@final
class SplineField:
    """Field of uniform cubic B-splines: coefficients a (B, C) on [-half_width, half_width].

    Outside it the field is held at its edge.
    """

    def __init__(self, a: Tensor, half_width: float) -> None:
        self.a, self.half_width = a, half_width  # a (B, C), or (B, R, C) for stacks

    def __call__(self, u: Tensor) -> Tensor:
        """Values at any coordinates u (B, P, 1): (B, P)."""
        left, fraction = self._split(u[..., 0])
        taps = _polynomials(fraction)
        columns = (torch.gather(self.a[:, k:], 1, left) for k in range(4))
        return sum(w * column for w, column in zip(taps, columns, strict=True))  # type: ignore[return-value]

    def on_lattice(self, first: Tensor, length: int) -> Tensor:
        """Values at ``length`` samples from ``first`` (B,) on, in steps of the spline's own grid.

        The same as reading the field at those coordinates, with one set of weights a signal.
        """
        left, fraction = self._split(first[:, None], room=length - 1)
        return _combine(self._windows(left, length), _polynomials(fraction))

    def on_lattice_with_slope(self, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """The same of stacks of fields, a (B, R, C): values (B, R, P); of the first field of each stack also
        the derivative by ``first``, (B, 1, P)."""
        left, fraction = self._split(first[:, None], room=length - 1)
        windows = self._windows(left[:, None], length)
        taps, slopes = _polynomials(fraction[:, None]), _polynomials(fraction[:, None], derivative=True)
        slopes = tuple(s * self._per_unit for s in slopes)
        return _combine(windows, taps), _combine(windows[:, :1], slopes)

    @property
    def _per_unit(self) -> float:
        return (self.a.shape[-1] - 1) / (2 * self.half_width)

    def _windows(self, left: Tensor, length: int) -> Tensor:
        at = left + torch.arange(length + 3)
        return torch.gather(self.a, -1, at.expand(*self.a.shape[:-1], -1))

    def _split(self, u: Tensor, room: int = 0) -> tuple[Tensor, Tensor]:
        """Index of the first of four coefficients, and the fraction of a step beyond the second."""
        n = self.a.shape[-1]
        s = ((u + self.half_width) * self._per_unit).clamp(1.0, n - 2.001 - room)
        left = s.detach().floor()
        return left.long() - 1, s - left


def _combine(windows: Tensor, taps: Sequence[Tensor]) -> Tensor:
    """sum_k w_k (..., 1) a_{p + k} of windows a (..., P + 3): (..., P)."""
    length = windows.shape[-1] - 3
    total = taps[0] * windows[..., :length]
    for k in (1, 2, 3):
        total = torch.addcmul(total, taps[k], windows[..., k : k + length])
    return total


def _polynomials(f: Tensor, *, derivative: bool = False) -> tuple[Tensor, ...]:
    """The four weights of a cubic B-spline at a fraction f of a step, or their derivatives by f."""
    powers = [0 * f, 1 + 0 * f, 2 * f, 3 * f * f] if derivative else [1 + 0 * f, f, f * f, f * f * f]
    return (torch.stack(powers, -1) @ CUBIC.to(f.dtype)).unbind(-1)


# weights of the four neighbouring coefficients as polynomials of the fraction of a step
CUBIC = torch.tensor(
    [[1.0, 4.0, 1.0, 0.0], [-3.0, 0.0, 3.0, 0.0], [3.0, -6.0, 3.0, 0.0], [-1.0, 3.0, -3.0, 1.0]],
    dtype=torch.float64,
).div(6.0)
