"""The encoder alone: what it says of a signal at the lag where a few learned components explain most.

No refinement and no second lag: a larger error than that of :func:`shapeshift.fit.search.infer`, in a part of
the time. For a first look, for streams, and for small boards.
"""

from __future__ import annotations

import torch
from torch import Tensor

from shapeshift.fit.align import RIDGE
from shapeshift.fit.bank import Bank
from shapeshift.fit.lags import lag_table
from shapeshift.fit.poses import places_of, pose_table
from shapeshift.fit.refine import in_chunks
from shapeshift.model.frames import Plane
from shapeshift.model.gaps import bridged
from shapeshift.model.latents import Factors
from shapeshift.model.vae import PoseVAE

COMPONENTS = 3  # at most
ENOUGH = 0.99  # share of the bank's squares that the components must hold


@torch.no_grad()
def glance(vae: PoseVAE, bank: Bank, x: Tensor, given: Tensor | None = None) -> Factors:
    """q(pose, z | x, y) of signals (n, P) and what is given of them (n, c), by the encoder alone."""
    given = x.new_zeros(len(x), 0) if given is None else given
    if bank.kinds:
        kinds, which = given.unique(dim=0, return_inverse=True)
        rows = [torch.nonzero(which == k)[:, 0] for k in range(len(kinds))]
        parts = [glance(vae, bank.of(y), x[r], given[r]) for y, r in zip(kinds, rows, strict=True)]
        back = torch.cat(rows).argsort()
        return Factors(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))
    if isinstance(vae.frame, Plane):
        return _glance_on_plane(vae, bank, x, given)
    assert isinstance(bank.reach, int)
    reach = bank.reach
    filters = matched_filters(vae, bank).double() if vae.n_pose else None

    def encode(x: Tensor, given: Tensor) -> Factors:
        if filters is None:
            return vae.encode(x, torch.zeros(len(x), dtype=torch.long), given)
        return vae.encode(x, best_lag(bridged(vae.likelihood.tamed(x)), filters, reach), given)

    return Factors(*in_chunks(encode, x, given))


def _glance_on_plane(vae: PoseVAE, bank: Bank, x: Tensor, given: Tensor) -> Factors:
    """The same of images (n, M), at the pose where the bank explains most."""
    if not vae.n_pose:
        return Factors(*in_chunks(lambda x, y: vae.encode(x, x[:, :0], y), x, given))
    table = pose_table(vae, bank)
    places = places_of(table).flatten(0, 1)
    gain = vae.nuisance is not None and vae.nuisance.gain

    def encode(x: Tensor, given: Tensor) -> Factors:
        best, _ = table.explained(vae.likelihood.tamed(x), gain=gain)
        return vae.encode(x, places[best.flatten(1).argmax(1)], given)

    return Factors(*in_chunks(encode, x, given))


def best_lag(x: Tensor, filters: Tensor, reach: int) -> Tensor:
    """Lag (n,) at which the filters explain most of x (n, P).

    In double precision: at a flat maximum two neighbours explain nearly the same, and rounding would choose.
    """
    products = (x.double() @ filters.double()).unflatten(1, (-1, 2 * reach + 1))
    return products.square().sum(1).argmax(1) - reach


def matched_filters(vae: PoseVAE, bank: Bank) -> Tensor:
    """Filters (P, r L): the squares of their products with a signal, summed over r, are what the bank's
    first components explain of it at each of L lags."""
    table = lag_table(vae, bank)
    share = table.mix.square().sum(0).cumsum(0)
    rank = min(COMPONENTS, 1 + int((share < ENOUGH * share[-1]).sum()))
    windows = table.basis[:rank].unfold(1, len(vae.grid), 1).flip(1).transpose(0, 1)  # (L, r, P)
    windows = windows if vae.nuisance is None else vae.nuisance.cleared(windows)
    gram = windows @ windows.mT
    gram = gram + RIDGE * torch.diag(gram.diagonal(dim1=1, dim2=2).amax(0))
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(gram), windows, upper=False)
    return white.permute(2, 1, 0).flatten(1).contiguous()
