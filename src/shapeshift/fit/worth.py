"""Do these signals shift at all? A small shift is also a shape: f(u - t) = f(u) - t f'(u) + ...

So the question is asked with equal means: signals moved by a shift each and drawn by r components
leave less unexplained than signals at rest drawn by r + 1 components, or the shift is not worth its
while, and what looks like one is a change of shape.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.start import spline_matrix
from shapeshift.model.fields import SplineField

SIGNALS = 500
ROUNDS = 8


class Worth(NamedTuple):
    """Share of the signals' squares left unexplained with a shift each, and with one component more."""

    moved: float
    still: float

    @property
    def shifts(self) -> bool:
        """Whether a shift explains more than one more shape component would."""
        return self.moved < self.still


def worth_of_shift(x: Tensor, noise: Tensor, lag: Tensor, n_latent: int) -> Worth | None:
    """Compare both explanations on signals x (n, P) whose alignment said ``lag`` (n,).

    Returns None where signals move by more than a quarter of the window: a few components cannot
    mimic that, and there is no common window to compare on.
    """
    length = x.shape[1]
    near = torch.nonzero(lag.abs() <= length // 4)[:, 0]
    rank = n_latent + 1
    if len(near) < 0.9 * len(x) or length < 16 or len(near) < 4 * rank:
        return None
    rows = near[torch.linspace(0, len(near) - 1, min(SIGNALS, len(near))).long()]
    floor = 0.05 * noise[:, 1].square().mean().clamp_min(1e-12)
    weight = (noise[rows, 0].square() + floor).rsqrt()
    y = (x[rows] - x[rows].mean(1, keepdim=True)).double() * weight[:, None]
    inside = slice(margin := int(lag[rows].abs().max()) + 3, length - margin)
    moved = min(
        _moved_residual(y, start, inside, rank) for start in (lag[rows].double(), 0.0 * lag[rows].double())
    )
    return Worth(moved, _residual(y[:, inside], rank + 1))


def _residual(y: Tensor, rank: int) -> float:
    """Share of the squares of y (n, P) outside its first ``rank`` principal components, not centred."""
    squares = torch.linalg.svdvals(y).square()
    return float(squares[rank:].sum() / squares.sum().clamp_min(1e-300))


def _moved_residual(y: Tensor, shift: Tensor, inside: slice, rank: int) -> float:
    """The same after every signal was moved back by a shift of its own, found by Gauss-Newton in turns."""
    length = y.shape[1]
    spline = SplineField(y @ spline_matrix(length).T, 1.0)
    unit = 2.0 / (length - 1)
    bound = torch.maximum(shift.abs().max() + 2, torch.tensor(4.0))
    best = 1.0
    for _ in range(ROUNDS):
        u = torch.linspace(-1, 1, length, dtype=y.dtype)[None, :, None] + (shift * unit)[:, None, None]
        z = spline(u)[:, inside]
        _, s, v = torch.linalg.svd(z, full_matrices=False)
        best = min(best, float(s[rank:].square().sum() / s.square().sum().clamp_min(1e-300)))
        v = v[:rank]
        drawn = (z @ v.T) @ v
        slope = torch.gradient(drawn, dim=1)[0]
        across = slope - (slope @ v.T) @ v  # what of a move the components cannot draw
        power = across.square().sum(1)
        step = -((z - drawn) * across).sum(1) / (power + 0.02 * power.mean() + 1e-300)
        shift = (shift + step.clamp(-1.5, 1.5)).clamp(-bound, bound)
        shift = shift - shift.median()
    return best
