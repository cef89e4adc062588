"""Shapes as the fitted signals have them.

The prior of the latents is a standard normal, but the shapes of real signals often lie on a curve or a sheet
in it: between them the model was never taught. New shapes are therefore drawn between neighbours that were
found (Chawla et al. 2002, J. Artif. Intell. Res. 16, 321, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor

NEAR = 5  # neighbours in shape to one of which a draw goes part of the way
LIKE = 32  # signals of the most similar numbers, among which a draw begins


def drawn_shapes(shapes: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
    """Latents (n, K), one row for what is given (n, c), between neighbours of the shapes found (m, K + c)."""
    k = shapes.shape[1] - given.shape[1]
    out = torch.empty(len(given), k)
    kinds, which = given.unique(dim=0, return_inverse=True)
    for j, kind in enumerate(kinds):
        rows = torch.nonzero(which == j)[:, 0]
        out[rows] = _between(_alike(shapes, kind, k), len(rows), generator)
    return out


def _alike(shapes: Tensor, given: Tensor, k: int) -> Tensor:
    """Latents of the signals of which the same, or nearly the same, was given."""
    apart = (shapes[:, k:] - given).square().sum(1)
    same = apart <= apart.min()
    if same.sum() >= LIKE or same.all():
        return shapes[same, :k]
    near = apart <= apart.kthvalue(min(LIKE, len(apart))).values
    numbers = ((shapes[:, k:] != 0) & (shapes[:, k:] != 1)).any()
    return shapes[near if numbers else same, :k]


def _between(z: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n points between rows of z (m, K) and one of their nearest neighbours each."""
    first = torch.randint(len(z), (n,), generator=generator)
    near = torch.cdist(z[first], z).topk(min(NEAR + 1, len(z)), largest=False).indices
    other = torch.randint(near.shape[1], (n, 1), generator=generator)
    share = torch.rand(n, 1, generator=generator)
    return z[first] + share * (z[near.gather(1, other)[:, 0]] - z[first])
