"""What the data say of themselves before a fit: counts or not, amplitudes that vary, baselines that slope.

Whoever knows better says so; where nothing is said, these rules decide, and the choice is told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from shapeshift.fit.align import align, fitting_weight, without
from shapeshift.fit.subspace import unexplained
from shapeshift.model.gaps import count_seen
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.nuisance import nuisance
from shapeshift.model.spikes import without_spikes

SOME = 400  # signals that are asked
RANK = 3  # components that must not explain what a baseline does
SLOPING = 0.35  # of what is unexplained above the noise without a baseline; with one, less is left
FOLLOWING = 0.85  # of the variance of baselines that lags explain from which on they are the pattern's own
WIDE = 0.4  # sd of the log height from which on signals have gains of their own
EMPTY = 4.0  # sd by which the variance of a signal exceeds that of its noise
SPIKED = 0.003  # share of the samples that are spikes from which on noise has heavy tails
FEWEST = 2.0  # mean counts below which their scatter says too little
SCATTER = (0.6, 1.6)  # variance of counts over their mean, as second differences tell it


def look_like_counts(x: np.ndarray) -> bool:
    """Whether signals (n, P) are whole numbers >= 0 that scatter as counts do, by the root of their mean.

    The local variance is told by second differences, whose square has the mean m_{-1} + 4 m_0 + m_1 for
    counts of means m: in the faint half of the samples and in all, its median over 0.455 (that of a
    chi-squared variate) must agree with it.
    """
    told = x[~np.isnan(x)]
    if x.shape[1] < 8 or not len(told) or told.min() < 0 or (told != np.rint(told)).any() or told.max() < 3:
        return False
    seen_here = ~np.isnan(x)
    near = uniform_filter1d(seen_here.astype(float), 5, axis=1)
    smooth = uniform_filter1d(np.where(seen_here, x, 0.0), 5, axis=1) / np.maximum(near, 0.2)
    smooth = smooth[:, 1:-1]
    square = np.diff(x, 2, axis=1) ** 2 / 6
    seen = (smooth >= FEWEST) & ~np.isnan(square)
    if seen.mean() < 0.02:
        return False
    ratio = square[seen] / smooth[seen] / 0.4549
    faint = ratio[smooth[seen] <= np.median(smooth[seen])]
    return all(SCATTER[0] < float(np.median(r)) < SCATTER[1] for r in (ratio, faint))


def filled(x: Tensor, noise: Tensor) -> Tensor:
    """Which signals (n, P) hold more than noise, bool (n,): the others teach nothing about shape, and a fit
    to them would invent one. All of them, where fewer than a quarter do."""
    scatter = (
        noise[:, 0].square() * (2 / count_seen(x).clamp_min(1)) ** 0.5
    )  # sd of the variance of pure noise
    held = noise[:, 1].square() > EMPTY * scatter
    return held if held.double().mean() >= 0.25 else torch.ones_like(held)


def look_spiked(x: Tensor, noise: Tensor, generator: torch.Generator) -> bool:
    """Whether signals (n, P) hold spikes: samples far off their neighbours, and not always at the same place
    of the pattern, as those of a narrow feature are."""
    n, length = min(SOME, len(x)), x.shape[1]
    if n < 40 or length < 32:
        return False
    some = torch.randperm(len(x), generator=generator)[:n]
    y, tame = x[some], without_spikes(x[some])
    signal, sample = torch.nonzero(y != tame, as_tuple=True)
    if len(signal) < SPIKED * y.numel():
        return False
    own = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    found = align(tame, noise[some], own, starts=2)
    place = torch.bincount(sample - found.lag[signal] + found.reach, minlength=length)
    usual = place.sort(descending=True).values[: length // 8].sum()
    return int(place.sum() - usual) > SPIKED * y.numel()


def nuisances_for(
    likelihood: Likelihood, x: Tensor, noise: Tensor, generator: torch.Generator, lane: Tensor | None = None
) -> tuple[str, ...]:
    """The nuisances that signals (n, P) ask for: a baseline if it explains most of what three components
    of shape leave over and is no part of what moves, a gain (with an offset) if their heights span more than
    a factor of about four."""
    if not likelihood.linear or x.shape[1] < 16 or len(x) < 40:
        return ()
    some = torch.randperm(len(x), generator=generator)[:SOME]
    y, noise = likelihood.tamed(x[some]), noise[some]
    grid = torch.linspace(-1, 1, x.shape[1])[:, None]
    curved, flat = nuisance(("baseline",), grid, lane), nuisance(("offset",), grid, lane)
    assert curved is not None
    assert flat is not None
    sloping = likelihood.affine and _drifts(y, noise, curved.basis, flat.basis, generator)
    names = ("baseline",) if sloping else ("offset",)
    gain = varied(without(y, curved.basis) if sloping else y, noise)
    return ("gain", *names) if gain else names if sloping else ()


def varied(x: Tensor, noise: Tensor) -> bool:
    """Whether the heights of signals (n, P) span more than a factor of about four."""
    heights = log_heights(x, noise)
    return len(heights) > len(x) / 4 and float(heights.std()) > WIDE


def log_heights(x: Tensor, noise: Tensor) -> Tensor:
    """Logarithm of how far signals (n, P), smoothed over three samples, go from their median: (m,), of
    those that rise above the noise and have their highest point well inside the window."""
    if x.shape[1] < 3:
        return x.new_zeros(0)
    smooth = (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3
    height, top = (smooth - x.median(1, keepdim=True).values).abs().max(1)
    margin = x.shape[1] // 16
    inside = (top >= margin) & (top < smooth.shape[1] - margin) & (height > 4 * noise[:, 0])
    height = height[inside]
    return height.clamp_min(0.02 * height.median().clamp_min(1e-9)).log() if len(height) else height


def _drifts(x: Tensor, noise: Tensor, curved: Tensor, flat: Tensor, generator: torch.Generator) -> bool:
    """Whether signals (n, P) have baselines in the span of ``curved`` that are more than ``flat`` ones."""
    found, level = (_aligned(x, noise, basis, generator) for basis in (curved, flat))
    return found.left < SLOPING * level.left and follows(without(x, flat) @ curved.T, found.lag) < FOLLOWING


def follows(baseline: Tensor, lag: Tensor) -> float:
    """Share of the variance of baselines, coefficients (n, m), that a polynomial of fifth degree in the lags
    (n,) explains.

    Drifts know nothing of where the pattern lies. A step that moves is tilted to one side and then to the
    other as it does, and tilted by nothing else.
    """
    place = (lag - lag.double().mean()) / lag.double().std().clamp_min(1e-9)
    powers = place[:, None] ** torch.arange(6)
    c = baseline.double()
    rest = c - powers @ torch.linalg.lstsq(powers, c).solution
    return float(1 - rest.var(0).sum() / c.var(0).sum().clamp_min(1e-30))


class _Aligned(NamedTuple):
    left: float  # squares above the noise that RANK components leave over, baselines taken off
    lag: Tensor  # (n,)


def _aligned(x: Tensor, noise: Tensor, basis: Tensor, generator: torch.Generator) -> _Aligned:
    """Signals aligned with baselines of their own."""
    weight = fitting_weight(noise)
    own = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
    found = align(x, noise, own, starts=2, basis=basis)
    share = unexplained(x, weight, found.lag, found.reach, RANK, basis)
    total = (without(x, basis).square().sum(1) * weight).sum()
    floor = (noise[:, 0].square() * x.shape[1] * weight).sum()
    return _Aligned(max(float(share * total - 0.97 * floor), 1e-3 * float(floor)), found.lag)
