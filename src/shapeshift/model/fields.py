"""Fields: functions on canonical coordinates, given by the coefficients of cubic B-splines.

f(u) = sum_c a_c B3((u - u_c) / h), on the line, or the product of two such bases on the plane. Source: Unser
1999, IEEE Signal Process. Mag. 16, 22.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor

Field: TypeAlias = Callable[[Tensor], Tensor]  # coordinates (B, P, D) -> values (B, channels P)


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


class Lattice(NamedTuple):
    """Where the coefficients of a surface lie: channels x rows x columns, over [-half, half] on both axes."""

    channels: int
    rows: int
    columns: int
    half_rows: float
    half_columns: float

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.channels * self.rows * self.columns


@final
class SplineSurface:
    """Field of cubic B-splines on the plane: coefficients a (B, C), or (B, R, C) for stacks, C in the order
    channel, row, column. Outside the lattice the field is held at its edge."""

    def __init__(self, a: Tensor, lattice: Lattice) -> None:
        self.lattice = lattice
        self.layers = a.reshape(a.shape[0], -1, lattice.rows * lattice.columns)

    def __call__(self, u: Tensor) -> Tensor:
        """Values at coordinates u (B, P, 2): (B, channels P)."""
        down, across = self._steps(u)
        return self._read(self.layers, _pairs(down), _pairs(across)).flatten(1)

    def with_gradient(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Values of all stacks (B, R, channels P), and of the first the gradient (B, 2, channels P)."""
        c = self.lattice
        down, across = self._steps(u)
        pairs = _pairs(down), _pairs(across)
        values = self._read(self.layers, *pairs)
        first = self.layers[:, : c.channels]
        by_down = self._read(first, _pairs(down, derivative=True), pairs[1]).flatten(1)
        by_across = self._read(first, pairs[0], _pairs(across, derivative=True)).flatten(1)
        per_unit = (c.rows - 1) / (2 * c.half_rows), (c.columns - 1) / (2 * c.half_columns)
        gradient = torch.stack([per_unit[0] * by_down, per_unit[1] * by_across], 1)
        return values.reshape(u.shape[0], -1, gradient.shape[2]), gradient

    def _steps(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (B, P, 2) in steps of the lattice along both axes."""
        c = self.lattice
        down = (u[..., 0] + c.half_rows) * ((c.rows - 1) / (2 * c.half_rows))
        across = (u[..., 1] + c.half_columns) * ((c.columns - 1) / (2 * c.half_columns))
        return down.clamp(1.0, c.rows - 2.001), across.clamp(1.0, c.columns - 2.001)

    def _read(self, layers: Tensor, down: Sequence[_Pair], across: Sequence[_Pair]) -> Tensor:
        """sum_jk w_j(down) w_k(across) a[j, k], layer by layer: (B, L, P).

        Two neighbours of like sign are one linear interpolation between them, so that 4 x 4 neighbours are
        2 x 2 bilinear ones, which torch reads fast (Sigg & Hadwiger 2005, GPU Gems 2, ch. 20).
        """
        rows, columns = self.lattice.rows, self.lattice.columns
        images = layers.reshape(layers.shape[0], -1, rows, columns)
        total: Tensor | None = None
        for v in down:
            y = v.at * (2 / (rows - 1)) - 1
            for w in across:
                points = torch.stack([w.at * (2 / (columns - 1)) - 1, y], -1)[:, None]
                part = F.grid_sample(images, points, padding_mode="border", align_corners=True)[:, :, 0]
                part = (v.weight * w.weight)[:, None] * part
                total = part if total is None else total + part
        assert total is not None
        return total


class _Pair(NamedTuple):
    """The weight of two neighbouring coefficients together, and where between them to read."""

    weight: Tensor
    at: Tensor


def _pairs(steps: Tensor, *, derivative: bool = False) -> tuple[_Pair, _Pair]:
    """The four weights of a cubic B-spline at coordinates in steps, or their derivatives, as two pairs."""
    left = steps.detach().floor()
    f = steps - left
    g = 1 - f
    if derivative:
        a, b, c, d = -0.5 * g * g, (1.5 * f - 2) * f, 0.5 + (1 - 1.5 * f) * f, 0.5 * f * f
    else:
        a, d = g * g * g / 6, f * f * f / 6
        b, c = 2 / 3 + (0.5 * f - 1) * f * f, 1 / 6 + 0.5 * f * (1 + f * g)
    low, high = a + b, c + d
    return _Pair(low, left - 1 + b / low), _Pair(high, left + 1 + d / high)


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
