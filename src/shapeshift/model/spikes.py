"""Spikes: single samples that no pattern explains."""

from __future__ import annotations

import torch
from torch import Tensor

from shapeshift.model.gaps import seen_in

SPIKE = 6.0  # noise sd


def without_spikes(x: Tensor) -> Tensor:
    """Samples that lie more than SPIKE noise sd off the median of five neighbours are put there (Hampel); nan
    stays nan."""
    five = torch.nn.functional.pad(x[:, None], (2, 2), mode="replicate")[:, 0].unfold(1, 5, 1)
    median = torch.median if seen_in(x) is None else torch.nanmedian
    middle = median(five, 2).values
    bend = median(torch.diff(x, n=2, dim=1).abs(), 1, keepdim=True).values
    return torch.where((x - middle).abs() > SPIKE * bend / (0.6745 * 6**0.5), middle, x)
