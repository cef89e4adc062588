"""Samples that were not measured: nan in the data (..., P), and what is counted and bridged around them."""

from __future__ import annotations

import torch
from torch import Tensor

WELL = 0.75  # of the signals that measured the best-seen sample


def seen_in(x: Tensor) -> Tensor | None:
    """Which samples of x were measured, as 0 and 1; None where all were, as in an exported graph."""
    if torch.compiler.is_exporting():
        return None
    gaps = torch.isnan(x)
    return (~gaps).to(x.dtype) if bool(gaps.any()) else None


def count_seen(x: Tensor) -> Tensor:
    """How many samples of every signal (n, P) were measured, (n,)."""
    return (~torch.isnan(x)).sum(-1).to(x.dtype)


def mean_seen(x: Tensor) -> Tensor:
    """Mean over the measured samples, (..., 1); 0 where there is none."""
    total = torch.nansum(x, -1, keepdim=True)
    return total / count_seen(x).clamp_min(1)[..., None]


def with_zeros(x: Tensor) -> Tensor:
    """0 where nothing was measured."""
    return torch.nan_to_num(x, nan=0.0)


def well_seen(x: Tensor) -> slice:
    """The samples, of signals (n, P), from the first to the last that about as many measured as any other."""
    share = (~torch.isnan(x)).to(x.dtype).mean(0)
    inside = torch.nonzero(share >= WELL * share.max())[:, 0]
    return slice(int(inside[0]), int(inside[-1]) + 1)


def rest(x: Tensor, values: Tensor) -> Tensor:
    """x - values where x was measured, else 0."""
    return torch.where(torch.isnan(x), 0.0, x - values)


def bridged(x: Tensor, sd: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
    """Gaps of signals (n, P) bridged by straight lines between neighbours, and held at the ends; 0 where a
    signal has no sample.

    With a noise ``sd`` (n,), a bridge gets the noise that it lacks, so that what is learned of noise and
    squares is learned of it too. For whatever only has to come near: a search, a start.
    """
    if seen_in(x) is None:
        return x
    seen = ~torch.isnan(x)
    length = x.shape[1]
    index = torch.arange(length).expand(x.shape)
    before = torch.where(seen, index, -1).cummax(1).values
    after = length - 1 - torch.where(seen, length - 1 - index, -1).flip(1).cummax(1).values.flip(1)
    left = torch.where(before < 0, after, before).clamp(0, length - 1)
    right = torch.where(after >= length, before, after).clamp(0, length - 1)
    y, share = with_zeros(x), ((index - left) / (right - left).clamp_min(1)).to(x.dtype)
    bridge = torch.lerp(y.gather(1, left), y.gather(1, right), share)
    if sd is not None:
        own = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        lacks = torch.where(left == right, 1.0, 2 * share * (1 - share))  # 1 - share^2 - (1 - share)^2
        bridge = bridge + sd[:, None] * lacks.sqrt() * own
    return torch.where(seen, y, bridge)
