"""Shapes as the fitted signals have them.

The prior of the latents is a standard normal, but the shapes of real signals often lie on a curve or a sheet
in it: between them the model was never taught. New shapes are therefore drawn between neighbours that were
found (Chawla et al. 2002, J. Artif. Intell. Res. 16, 321, section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from shapeshift.model.latents import KNOTS, Factors, Spread

NEAR = 5  # neighbours in shape to one of which a draw goes part of the way
LIKE = 32  # signals of the most similar numbers, among which a draw begins


def drawn_shapes(shapes: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
    """Latents (n, K), one row for what is given (n, c), between neighbours of the shapes found (m, K + c)."""
    if given.shape[1] == 0:
        return _between(shapes, len(given), generator)
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


# --- the prior of a kind ---------------------------------------------------------------------------

NODES = (-1.6, -0.75, -0.25, 0.25, 0.75, 1.6)  # of a normal distribution, each for a sixth of it
RISE = 0.02  # least slope of the first latent's function
STIFF = 0.3  # weight of the second differences of a mean, against one signal a knot
NEAR_KNOT = 0.4  # sd of the window of a scale, in units of the prior


def settle(spread: Spread, q: Factors, given: Tensor) -> None:
    """Let every kind fill the prior: S of the factors of many signals, of which (n, c) is given."""
    for k in range(given.shape[1]):
        own = given[:, k] == 1
        z, sd = q.z[own], q.z_sd[own]
        if len(z) < 2 * KNOTS:
            continue
        spread.first[k] = _quantiles(z[:, 0], sd[:, 0], spread.knots) - spread.knots
        here = spread.inverse(q, given).z[own, 0]
        spread.middle[k], spread.log_scale[k] = _along(spread, here, z[:, 1:], sd[:, 1:])


def _quantiles(z: Tensor, sd: Tensor, knots: Tensor) -> Tensor:
    """Where the mixture of N(z, sd^2) (n,) has the quantiles of a standard normal at the knots (J,)."""
    all_of = (z[:, None] + sd[:, None] * z.new_tensor(NODES)).flatten()
    found = torch.quantile(all_of, torch.special.ndtr(knots))
    least = RISE * (knots[1] - knots[0])
    steps = torch.diff(found).clamp_min(least)
    return torch.cat([found[:1], found[0] + steps.cumsum(0)])


def _along(spread: Spread, here: Tensor, w: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log sd (K - 1, J) of the further latents w (n, K - 1) as functions of the first, here (n,)."""
    on, _ = spread.hats(here)
    eye = torch.eye(on.shape[1], dtype=on.dtype)
    bend = torch.diff(eye, n=2, dim=0)
    middle = torch.linalg.solve(on.T @ on + STIFF * bend.T @ bend + 1e-3 * eye, on.T @ w)
    near = torch.exp(-0.5 * ((here[:, None] - spread.knots) / NEAR_KNOT).square()) + 1e-6
    square = (w - on @ middle).square() + sd.square()
    return middle.T, 0.5 * (near.T @ square / near.sum(0)[:, None]).log().T
