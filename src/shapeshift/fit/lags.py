"""Candidate lags of signals: correlation with the bank's shapes at every lag."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.align import correlate
from shapeshift.fit.bank import CANDIDATES, Bank, Candidates, with_a_chance
from shapeshift.model.gaps import seen_in, with_zeros
from shapeshift.model.vae import PoseVAE

RANK = 6  # the bank's shapes are drawn from so many components at most


class LagTable(NamedTuple):
    """The bank's signals on a grid wider than the window, as few components: mix (m, r) @ basis (r, C).

    energy (m, L): squares under the window at every lag, lags increasing. square (m, C): those of every
    sample, for windows of which not all was measured.
    """

    basis: Tensor
    mix: Tensor
    energy: Tensor
    square: Tensor


@torch.no_grad()
def lag_table(vae: PoseVAE, bank: Bank) -> LagTable:
    """Expected signals of the bank's shapes, ready for correlation."""
    assert isinstance(bank.reach, int)
    steps = torch.arange(-bank.reach, len(vae.grid) + bank.reach, dtype=vae.grid.dtype)
    wide = (steps * vae.sample - 1.0)[None, :, None].expand(len(bank.z), -1, -1)
    u, s, v = torch.linalg.svd(vae.expected(vae.field(bank.z)(wide)), full_matrices=False)
    rank = min(RANK, len(s))
    basis, mix = v[:rank], u[:, :rank] * s[:rank]
    windows = (mix @ basis).unfold(1, len(vae.grid), 1).flip(1)
    windows = windows if vae.nuisance is None else vae.nuisance.cleared(windows)
    return LagTable(basis, mix, windows.square().sum(2), (mix @ basis).square())


def energy_seen(table: LagTable, seen: Tensor) -> Tensor:
    """Squares (n, m, L) under the samples that were measured, seen (n, P); a baseline takes of them the share
    it takes of the whole window."""
    part = correlate(seen, table.square).flip(2).clamp_min(0)
    whole = correlate(torch.ones_like(seen[:1]), table.square).flip(2).clamp_min(1e-12)
    return part * (table.energy / whole)


def lag_candidates(vae: PoseVAE, bank: Bank, table: LagTable, x: Tensor, noise: Tensor) -> Candidates:
    """Local maxima over lags of max_m [-||x - T_m(. - lag)||^2 / (2 sigma^2)] + log prior(lag)."""
    assert isinstance(bank.reach, int)
    y = vae.likelihood.tamed(x)
    y = y if vae.nuisance is None else vae.nuisance.cleared(y)
    seen, y = seen_in(y), with_zeros(y)
    product = table.mix @ correlate(y, table.basis).flip(2)
    energy = table.energy if seen is None else energy_seen(table, seen)
    if vae.nuisance is not None and vae.nuisance.gain:
        explained = product.clamp_min(0).square() / (2 * energy + 1e-9)
    else:
        explained = product - 0.5 * energy
    weight = vae.likelihood.rough_sd(x, noise).square().reciprocal()[:, None]
    lags = torch.arange(-bank.reach, bank.reach + 1)
    prior = 0.5 * vae.prior_precision()[0] * (lags * vae.sample).square()
    best = explained.amax(1) * weight - prior
    padded = torch.nn.functional.pad(best, (1, 1), value=-torch.inf)
    peak = (best >= padded[:, 2:]) & (best >= padded[:, :-2])
    score, top = torch.where(peak, best, -torch.inf).topk(min(CANDIDATES, len(lags)), dim=1)
    shape = explained.gather(2, top[:, None].expand(-1, len(bank.z), -1)).argmax(1)
    left = 0.5 * weight * y.square().sum(1, keepdim=True) - score  # squares left over, in nats
    return Candidates(lags[top], shape, with_a_chance(left))
