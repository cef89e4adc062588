"""Nuisances: what every signal adds of its own and nobody wants to know, solved in closed form.

A signal is ``x = g v + B' beta + noise``: the field's values v, a gain g > 0, and a baseline in the span
of the rows of B (an offset, a slope, a slow curve) that stays where it is while the pattern moves. For
given v the best g and beta are a linear least-squares problem, so neither costs a latent nor an iteration
(variable projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413; with Kaufman's Jacobian, 1975,
BIT 15, 49, which leaves out a term that vanishes with the residuals).
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from shapeshift.model.gaps import mean_seen, seen_in, with_zeros

NAMES = ("gain", "offset", "baseline")
CURVE = 2  # degree of the polynomial that is called baseline
SMALLEST_GAIN = 1e-3


class Solved(NamedTuple):
    """Gain (n,) and baseline (n, P) of signals, and the standard deviation of the gain (n,)."""

    gain: Tensor
    gain_sd: Tensor
    baseline: Tensor


@final
class Nuisance(nn.Module):
    """Gain and baseline of every signal.

    Parameters
    ----------
    basis : Tensor (m, P)
        Rows whose span is the baseline, orthonormal; m may be 0.
    names : tuple of str
        What it consists of, as :func:`nuisance` takes it; without "gain" the gain is 1.
    """

    basis: Tensor

    def __init__(self, basis: Tensor, names: tuple[str, ...]) -> None:
        super().__init__()
        self.register_buffer("basis", basis)
        self.names, self.gain = names, "gain" in names

    @property
    def size(self) -> int:
        """Numbers a signal spends on it."""
        return len(self.basis) + self.gain

    def cleared(self, y: Tensor) -> Tensor:
        """What of y (..., P) no baseline can explain; nan stays nan."""
        return y - self.baseline(y)

    def baseline(self, y: Tensor) -> Tensor:
        """The baseline nearest to y (..., P) where it was measured."""
        seen = seen_in(y)
        if seen is None or not len(self.basis):
            return (y @ self.basis.T.contiguous()) @ self.basis  # so laid out, rows do not mix
        flat, seen = with_zeros(y).flatten(0, -2), seen.flatten(0, -2)
        rows = self.basis.expand(len(flat), -1, -1)
        free = torch.linalg.solve(_normal(rows, seen), rows @ flat[..., None])[..., 0]
        return (free @ self.basis).view(y.shape)

    def seen(self, x: Tensor, noise: Tensor) -> Tensor:
        """Noise sd and contrast (B, 2) of signals (B, P), the contrast without their baselines."""
        power = mean_seen(self.cleared(x).square())[:, 0] - noise[:, 0].square()
        return torch.stack([noise[:, 0], power.clamp_min(0).sqrt()], 1)

    def plain(self, x: Tensor) -> Tensor:
        """Signals (B, P) without baseline and, where there is a gain, of unit size: what an encoder sees."""
        y = self.cleared(x)
        return y / mean_seen(y.square()).sqrt().clamp_min(1e-9) if self.gain else y

    def fitted(self, x: Tensor, values: Tensor, weight: Tensor | None = None) -> Tensor:
        """The values that come nearest to x: g v + B' beta, (B, P); samples count by ``weight`` (B, P)."""
        if weight is not None:
            return self._weighted(x, values, weight)[0]
        v, y = self.cleared(values), self.cleared(x)
        return x - y + self._gain(y, v) * v

    def fitted_with_slopes(
        self, x: Tensor, values: Tensor, slopes: Tensor, weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same, and its derivatives (B, d, P) from those of the values."""
        if weight is not None:
            fitted, rows, gain = self._weighted(x, values, weight)
            normal, along = _normal(rows, weight), (slopes * weight[:, None]) @ rows.mT
            return fitted, gain[:, :, None] * (slopes - torch.linalg.solve(normal, along.mT).mT @ rows)
        v, dv, y = self.cleared(values), self.cleared(slopes), self.cleared(x)
        g = self._gain(y, v)
        if self.gain:  # what of a slope is along v itself changes the gain, not the fit
            along = (dv @ v[..., None]) / v.square().sum(1).clamp_min(1e-12)[:, None, None]
            dv = g[:, None] * (dv - along * v[:, None])
        return x - y + g * v, dv

    def _weighted(self, x: Tensor, values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fitted values, the rows (B, m + gain, P) that were free, and the gain (B, 1)."""
        rows = self.basis.expand(len(x), -1, -1)
        rows = torch.cat([values[:, None], rows], 1) if self.gain else rows
        target = x if self.gain else x - values
        free = torch.linalg.solve(_normal(rows, weight), rows @ (weight * target)[..., None])[..., 0]
        gain = free[:, :1].clamp_min(SMALLEST_GAIN) if self.gain else x.new_ones(len(x), 1)
        fitted = (free[:, None] @ rows)[:, 0]
        return fitted if self.gain else values + fitted, rows, gain

    def solved(self, x: Tensor, values: Tensor, slopes: Tensor, covariance: Tensor, sd: Tensor) -> Solved:
        """Gain and baseline at the values (n, P) of theta, whose slopes are (n, d, P) and whose covariance is
        (n, d, d), for noise of sd ``sd`` (n,).

        The gain's error bar: what the noise does to it at known theta, and what theta's own error does.
        """
        gap = torch.isnan(x)
        v = with_zeros(self.cleared(values.masked_fill(gap, torch.nan)))
        dv = with_zeros(self.cleared(slopes.masked_fill(gap[:, None], torch.nan)))
        g = self._gain(with_zeros(self.cleared(x)), v)
        baseline = self.baseline(x - g * values)
        if not self.gain:
            return Solved(g[:, 0].expand(len(x)), torch.zeros_like(sd), baseline)
        power = v.square().sum(1).clamp_min(1e-12)
        along = -g * (dv @ v[..., None])[..., 0] / power[:, None]  # d gain / d theta
        variance = sd.square() / power + torch.einsum("ni,nij,nj->n", along, covariance, along)
        return Solved(g[:, 0], variance.sqrt(), baseline)

    def _gain(self, y: Tensor, v: Tensor) -> Tensor:
        """Of cleared signals at cleared values."""
        if not self.gain:
            return y.new_ones(1, 1)
        product = (y * v).sum(1, keepdim=True)
        return (product / v.square().sum(1, keepdim=True).clamp_min(1e-9)).clamp_min(SMALLEST_GAIN)


def _normal(rows: Tensor, weight: Tensor) -> Tensor:
    """Products of rows (B, m, P) weighted by (B, P), a trace of a ridge on the diagonal: (B, m, m)."""
    normal = (rows * weight[:, None]) @ rows.mT
    return normal + torch.diag_embed(1e-6 * normal.diagonal(dim1=1, dim2=2) + 1e-12)


def nuisance(names: tuple[str, ...], grid: Tensor, lane: Tensor | None = None) -> Nuisance | None:
    """The nuisance of these names on a grid (P, 1), None for none.

    "gain"; "offset", a constant; "baseline", a polynomial of degree 2, its constant included. Where samples
    lie in lanes (P,), one gain serves all of them, and every lane has a baseline of its own.
    """
    if not names:
        return None
    degree = CURVE if "baseline" in names else 0 if "offset" in names else -1
    named = tuple(n for n in NAMES if n in names and not (n == "offset" and degree > 0))
    lane = torch.zeros(len(grid), dtype=torch.long) if lane is None else lane
    rows = [_powers(grid, lane == k, degree) for k in lane.unique().tolist() if k >= 0 and degree >= 0]
    basis = torch.cat(rows) if rows else torch.zeros(0, len(grid))
    return Nuisance(basis.to(grid.dtype).contiguous(), named)


def _powers(grid: Tensor, here: Tensor, degree: int) -> Tensor:
    """Orthonormal polynomials up to a degree on some of the samples, (degree + 1, P)."""
    powers = torch.stack([grid[here, 0].double() ** k for k in range(degree + 1)], 1)
    rows = torch.zeros(degree + 1, len(grid), dtype=torch.float64)
    rows[:, here] = torch.linalg.qr(powers)[0].T
    return rows
