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

NAMES = ("gain", "offset", "baseline")
CURVE = 2  # degree of the polynomial that is called baseline
SMALLEST_GAIN = 1e-3


class Solved(NamedTuple):
    """Gain (n,) and coefficients of the baseline (n, m), and their standard deviations."""

    gain: Tensor
    gain_sd: Tensor
    baseline: Tensor
    baseline_sd: Tensor


@final
class Nuisance(nn.Module):
    """Gain and baseline of every signal.

    Parameters
    ----------
    basis : Tensor (m, P)
        Rows whose span is the baseline, orthonormal; m may be 0.
    gain : bool
        Whether every signal has a gain of its own (else it is 1).
    """

    basis: Tensor

    def __init__(self, basis: Tensor, *, gain: bool) -> None:
        super().__init__()
        self.register_buffer("basis", basis)
        self.gain = gain

    @property
    def size(self) -> int:
        """Numbers a signal spends on it."""
        return len(self.basis) + self.gain

    def cleared(self, y: Tensor) -> Tensor:
        """What of y (..., P) no baseline can explain."""
        return y - (y @ self.basis.T) @ self.basis

    def plain(self, x: Tensor) -> Tensor:
        """Signals (B, P) without baseline and, where there is a gain, of unit size: what an encoder sees."""
        y = self.cleared(x)
        return y / y.square().mean(1, keepdim=True).sqrt().clamp_min(1e-9) if self.gain else y

    def fitted(self, x: Tensor, values: Tensor) -> Tensor:
        """The values that come nearest to x: g v + B' beta, (B, P)."""
        v = self.cleared(values)
        return x - self.cleared(x) + self._gain(x, v) * v

    def fitted_with_slopes(self, x: Tensor, values: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and its derivatives (B, d, P) from those of the values."""
        v, dv = self.cleared(values), self.cleared(slopes)
        g = self._gain(x, v)
        if self.gain:  # what of a slope is along v itself changes the gain, not the fit
            along = (dv @ v[..., None]) / v.square().sum(1).clamp_min(1e-12)[:, None, None]
            dv = g[:, None] * (dv - along * v[:, None])
        return x - self.cleared(x) + g * v, dv

    def solved(self, x: Tensor, values: Tensor, scale: Tensor) -> Solved:
        """Gain and baseline at values (n, P), with error bars for noise of sd ``scale`` (n,)."""
        v = self.cleared(values)
        g = self._gain(x, v)
        gain_sd = scale / v.square().sum(1).sqrt().clamp_min(1e-12) if self.gain else torch.zeros_like(scale)
        overlap = values @ self.basis.T
        beta = x @ self.basis.T - g * overlap
        beta_sd = (scale.square()[:, None] + (gain_sd[:, None] * overlap).square()).sqrt()
        return Solved(g[:, 0].expand(len(x)), gain_sd, beta, beta_sd)

    def _gain(self, x: Tensor, v: Tensor) -> Tensor:
        if not self.gain:
            return x.new_ones(1, 1)
        product = (x * v).sum(1, keepdim=True)
        return (product / v.square().sum(1, keepdim=True).clamp_min(1e-9)).clamp_min(SMALLEST_GAIN)


def nuisance(names: tuple[str, ...], grid: Tensor) -> Nuisance | None:
    """The nuisance of these names on a grid (P, 1), None for none.

    "gain"; "offset", a constant; "baseline", a polynomial of degree 2, its constant included.
    """
    degree = CURVE if "baseline" in names else 0 if "offset" in names else -1
    if not names:
        return None
    powers = torch.stack([grid[:, 0].double() ** k for k in range(degree + 1)], 1) if degree >= 0 else None
    basis = torch.linalg.qr(powers)[0].T if powers is not None else torch.zeros(0, len(grid))
    return Nuisance(basis.to(grid.dtype).contiguous(), gain="gain" in names)
