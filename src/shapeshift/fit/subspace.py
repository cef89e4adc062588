"""Alignment when shapes differ too much for one template: lags and a *subspace* of shapes in turns.

Every signal is explained as ``x_p = sum_k c_k B_{k, p - l} + b_p`` with coefficients c of either sign, a
baseline b and a lag l of its own. At every lag the best c is closed-form, and the sums over samples are
correlations, as with one template (:mod:`shapeshift.fit.align`, which is the case of one c >= 0). The
basis B, on a grid wider than the window, follows by least squares; it grows by one component at a time.
A shape that turns from a dip into a peak lies in a plane, not on a ray: Fano profiles are the sum of an
absorptive and a dispersive line.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.align import (
    RIDGE,
    Alignment,
    constant,
    correlate,
    fitting_weight,
    widen,
    window_sums,
    windows,
    without,
)

TURNS = 4  # of lags and basis, at every rank
TURNED = 0.03  # share of signals opposite to the mean shape from which on the set has no leading shape
SUPPORT = 0.02  # share of the best-seen position's weight below which the basis is not trusted


RANK = 2
STARTS = 3
JUDGED = 3  # components that judge all lags alike: two copies of a feature on one template need no more
COMPACT = 0.1  # of two sets of lags that explain about as well, the one that spreads less
SOME = 400  # signals that find the basis
WORTH = 0.98  # of what lags by one template leave over: only below are these lags taken
SPARE = 4.0  # samples' worth of noise that one coefficient more explains, at the best of many lags


class Subspace(NamedTuple):
    """Lags (n,), the basis (r, P + 2 reach), and the share of the squares left unexplained."""

    lag: Tensor
    basis: Tensor
    unexplained: float


class _Fit(NamedTuple):
    lag: Tensor
    coefficients: Tensor  # (n, r)
    explained: Tensor  # (n,)


def by_subspace(
    x: Tensor, noise: Tensor, single: Alignment, generator: torch.Generator, flat: Tensor | None = None
) -> Alignment | None:
    """Lags by a plane of shapes, or by one template, from several first templates, or None where the given
    ones are about as good.

    One template can hold two features far apart and lay one kind of signal on each: it then leaves less
    over than the true lags do, but not less than they do with a few components of shape.

    Parameters
    ----------
    x, noise : Tensor (n, P), (n, 2)
    single : Alignment
        What one template found; its lags are judged by the same measure, a basis fitted at them.
    generator : torch.Generator
        Picks the signals that serve as first templates.
    flat : Tensor (m, P), optional
        Orthonormal rows whose span is the baseline of a signal; a constant by default.
    """
    flat = constant(x.shape[1]) if flat is None else flat
    if len(x) < 10 * RANK:
        return None
    reach, weight = single.reach, fitting_weight(noise)
    some = torch.randperm(len(x), generator=generator)[:SOME]
    y, w = without(x, flat)[some], weight[some]
    energy = (y.square().mean(1) * w).clamp_min(1e-9)
    strong = torch.multinomial(energy, min(STARTS, len(some)), generator=generator)
    tries = []
    for t in (widen(t, reach) for t in y[strong]):
        for first, rank in ((t[None], 1), (t[None], RANK), (with_quadrature(t), RANK)):
            tries.append(grow(x[some], w, first, reach, rank, flat))

    def cost(lag: Tensor) -> float:
        spread = float(lag.double().std())
        return unexplained(x[some], w, lag, reach, JUDGED, flat) * (1 + spread) ** COMPACT

    costs = [cost(found.lag) for found in tries]
    best = tries[costs.index(min(costs))]
    if min(costs) > min(WORTH, 1 - SPARE / x.shape[1]) * cost(single.lag[some]):
        return None
    found = best_lags(x, best.basis, reach, weight, flat)
    along = found.coefficients @ found.coefficients.mean(0)
    turned = bool((along < 0).double().mean() > TURNED)
    return Alignment(found.lag, best.basis[0], reach, best.unexplained, turned)


def with_quadrature(template: Tensor) -> Tensor:
    """A template (C,) and its Hilbert transform: the plane of the shapes that differ from it by a phase.

    An absorptive line and the dispersive one that causality ties to it (Kramers-Kronig).
    """
    turn = torch.ones(len(template) // 2 + 1, dtype=torch.complex64) * -1j
    turn[0] = 0
    return torch.stack([template, torch.fft.irfft(torch.fft.rfft(template) * turn, len(template))])


def grow(x: Tensor, weight: Tensor, basis: Tensor, reach: int, rank: int, flat: Tensor) -> Subspace:
    """Lags of signals x (n, P) from a first basis (r, P + 2 reach), which is grown to ``rank``."""
    total = (without(x, flat).square().sum(1) * weight).sum().clamp_min(1e-30)
    for size in range(len(basis), rank + 1):
        if size > len(basis):
            found = best_lags(x, basis, reach, weight, flat)
            basis = torch.cat([basis, _next_component(x, weight, basis, found, reach, flat)])
        for _ in range(TURNS):
            found = best_lags(x, basis, reach, weight, flat)
            basis = _centred(fit_basis(x, weight, basis, found, reach, flat), found.lag)
    found = best_lags(x, basis, reach, weight, flat)
    return Subspace(found.lag, basis, float(1 - (found.explained * weight).sum() / total))


def best_lags(x: Tensor, basis: Tensor, reach: int, weight: Tensor, flat: Tensor) -> _Fit:
    """The lag of every signal at which the basis explains most, and the coefficients there."""
    length = x.shape[1]
    gram, y = _grams(basis, length, flat), without(x, flat)
    b = correlate(y, basis).flip(2)  # lags increase
    root = torch.linalg.cholesky(gram)
    white = torch.linalg.solve_triangular(root, b.permute(2, 1, 0), upper=False)  # (L, r, n)
    explained = white.square().sum(1).T
    lags = torch.arange(-reach, reach + 1)
    penalty = 0.5 * (lags / (0.6 * length)).square()
    at = (explained * weight[:, None] - penalty).argmax(1)
    c = torch.cholesky_solve(b.gather(2, at[:, None, None].expand(-1, len(basis), 1)), root[at])
    return _Fit(lags[at], c[..., 0], explained.gather(1, at[:, None])[:, 0])


def unexplained(x: Tensor, weight: Tensor, lag: Tensor, reach: int, rank: int, flat: Tensor) -> float:
    """Share of the squares that the best basis of this rank leaves over at given lags."""
    y = without(x, flat)
    basis = fit_basis_at(y, weight, lag, x.new_ones(len(x), 1), reach)
    total = (y.square().sum(1) * weight).sum()
    while True:
        for _ in range(2):
            found = _at_lags(x, basis, reach, lag, flat)
            basis = fit_basis(x, weight, basis, found, reach, flat)
        found = _at_lags(x, basis, reach, lag, flat)
        if len(basis) == rank:
            return float(1 - (found.explained * weight).sum() / total.clamp_min(1e-30))
        basis = torch.cat([basis, _next_component(x, weight, basis, found, reach, flat)])


def _at_lags(x: Tensor, basis: Tensor, reach: int, lag: Tensor, flat: Tensor) -> _Fit:
    """The same as :func:`best_lags` where the lags are known."""
    window = without(windows(basis, x.shape[1], reach, lag).transpose(0, 1), flat)  # (n, r, P)
    y = without(x, flat)
    gram = window @ window.mT
    gram = gram + RIDGE * gram.diagonal(dim1=1, dim2=2).amax(0).diag()
    b = (window @ y[..., None])[..., 0]
    c = torch.linalg.solve(gram, b)
    return _Fit(lag, c, (b * c).sum(1))


def _grams(basis: Tensor, length: int, flat: Tensor) -> Tensor:
    """Products of the windows of the basis at every lag, lags increasing: (2 reach + 1, r, r)."""
    overlap = correlate(flat, basis)  # (m, r, L)
    products = window_sums(basis[:, None] * basis[None], length) - (
        overlap[:, :, None] * overlap[:, None]
    ).sum(0)
    gram = products.permute(2, 0, 1).flip(0)
    size = gram.diagonal(dim1=1, dim2=2).amax(0).clamp_min(1e-12)
    return gram + RIDGE * torch.diag(size)


def _left(x: Tensor, basis: Tensor, found: _Fit, reach: int) -> tuple[Tensor, Tensor]:
    """What the basis draws of every signal, and the rest: (n, P) each."""
    seen = windows(basis, x.shape[1], reach, found.lag)  # (r, n, P)
    drawn = (found.coefficients.T[..., None] * seen).sum(0)
    return drawn, x - drawn


def fit_basis(x: Tensor, weight: Tensor, basis: Tensor, found: _Fit, reach: int, flat: Tensor) -> Tensor:
    """Least-squares basis (r, P + 2 reach) at known lags and coefficients, its rows of unit size."""
    drawn, rest = _left(x, basis, found, reach)
    return fit_basis_at(drawn + without(rest, flat), weight, found.lag, found.coefficients, reach)


def fit_basis_at(x: Tensor, weight: Tensor, lag: Tensor, c: Tensor, reach: int) -> Tensor:
    """The normal equations of every position by themselves; held constant where little was seen."""
    (n, length), rank = x.shape, c.shape[1]
    at = (torch.arange(length)[None] - lag[:, None] + reach).flatten()
    size = length + 2 * reach
    top, bottom = x.new_zeros(size, rank), x.new_zeros(size, rank * rank)
    rest = x[..., None] * (weight[:, None] * c)[:, None]
    top.index_add_(0, at, rest.flatten(0, 1))
    square = (weight[:, None, None] * c[:, :, None] * c[:, None]).flatten(1)
    bottom.index_add_(0, at, square[:, None].expand(n, length, -1).flatten(0, 1))
    normal = bottom.view(size, rank, rank)
    scale = normal.diagonal(dim1=1, dim2=2).amax(0).clamp_min(1e-30)
    solved = torch.linalg.solve(normal + 1e-3 * torch.diag(scale), top)
    seen = torch.nonzero(normal[:, 0, 0] > SUPPORT * scale[0])[:, 0]
    nearest = torch.arange(size).clamp(int(seen[0]), int(seen[-1]))
    basis = solved[nearest].T
    basis = basis - basis.mean(1, keepdim=True)
    return basis / basis.square().mean(1, keepdim=True).sqrt().clamp_min(1e-12)


def _next_component(
    x: Tensor, weight: Tensor, basis: Tensor, found: _Fit, reach: int, flat: Tensor
) -> Tensor:
    """First principal component of what the moved-back signals leave over, on the wide grid: (1, C)."""
    rest = without(_left(x, basis, found, reach)[1], flat) * weight.sqrt()[:, None]
    wide = x.new_zeros(len(x), x.shape[1] + 2 * reach)
    wide.scatter_(1, torch.arange(x.shape[1])[None] - found.lag[:, None] + reach, rest)
    _, _, v = torch.linalg.svd(wide, full_matrices=False)
    return v[:1] * wide.shape[1] ** 0.5


def _centred(basis: Tensor, lag: Tensor) -> Tensor:
    """The frame follows the signals, not the first guess."""
    return torch.roll(basis, int(lag.double().mean().round()), dims=1)
