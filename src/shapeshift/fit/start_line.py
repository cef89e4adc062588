"""Signals on a line before any network: what was left open decided, lags by correlation."""

from __future__ import annotations

import torch
from torch import Tensor

from shapeshift.fit.align import Alignment, align
from shapeshift.fit.choose import look_spiked, nuisances_for
from shapeshift.fit.start import Design, aligned_mean
from shapeshift.fit.subspace import by_subspace
from shapeshift.model.likelihoods import StudentTNoise
from shapeshift.model.nuisance import Nuisance


def decided(
    design: Design, x: Tensor, noise: Tensor, generator: torch.Generator, core: slice = slice(None)
) -> Design:
    """The design with what was left to the data decided, by some of the samples."""
    lanes, x = design.lanes(x.shape[1])[core], x[:, core]
    moves = "shift" in design.warps
    if design.robust is None and moves and look_spiked(x, noise, generator):
        design = design._replace(likelihood=StudentTNoise())
    if design.nuisance is None:
        found = nuisances_for(design.likelihood, x, noise, generator, lanes) if moves else ()
        design = design._replace(nuisance=found)
    return design


def starting_lags(
    design: Design, free: Nuisance | None, x: Tensor, noise: Tensor, generator: torch.Generator
) -> Alignment:
    """Lags by correlation, centred on their median; none where nothing may move."""
    length = x.shape[1]
    if "shift" not in design.warps:
        return Alignment(torch.zeros(len(x), dtype=torch.long), x.mean(0), 2, 1.0)
    if not design.likelihood.linear:  # bits have no bends that tell their noise
        noise = torch.stack([design.likelihood.rough_sd(x, noise), noise[:, 1]], 1)
    rows = None if free is None or not len(free.basis) else free.basis
    found = align(x, noise, generator, basis=rows)
    found = by_subspace(x, noise, found, generator, rows) or found
    middle = int(found.lag.median())
    lag = found.lag - middle
    reach = reach_of(lag, length)
    at = torch.arange(length + 2 * reach) + found.reach - reach - middle
    template = found.template[at.clamp(0, len(found.template) - 1)]
    return found._replace(lag=torch.where(lag.abs() > reach, 0, lag), reach=reach, template=template)


def lags_within(
    design: Design, free: Nuisance | None, x: Tensor, noise: Tensor, generator: torch.Generator, core: slice
) -> Alignment:
    """The same by the samples that about all signals measured: what only some windows hold would serve a
    template as a place for a copy of the pattern, which the others' bridges do not contradict."""
    whole = torch.arange(x.shape[1])
    inner = whole[core]
    if len(inner) == len(whole):
        return starting_lags(design, free, x, noise, generator)
    own = design.freed(len(whole), core)
    found = starting_lags(design, own, x[:, core], noise, generator)
    return found._replace(template=aligned_mean(x, found.lag, found.reach, x.new_ones(len(x))))


def reach_of(lag: Tensor, length: int) -> int:
    """How far a search goes, in samples: a stray lag must not decide how far all may go."""
    return min(length, int(1.2 * torch.quantile(lag.abs().double(), 0.99)) + max(4, length // 12))
