"""Global search over places with the learned shapes, and the posterior of every signal.

Three kinds of evidence, each only as dear as needed: correlations with a bank of learned shapes name
candidate places; the refinement starts at the best, from the encoder's shape or the bank's, and finishes it;
other places are tried where the correlations leave them a chance, and told where they come close.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shapeshift.fit.bank import CLOSE, Bank, Candidates
from shapeshift.fit.lags import LagTable, lag_candidates, lag_table
from shapeshift.fit.poses import PoseTable, pose_candidates, pose_table
from shapeshift.fit.refine import CHUNK, Refined, in_chunks, joint_loss, refine
from shapeshift.model.frames import Plane
from shapeshift.model.vae import PoseVAE

FEW = 64  # images that are compared with all poses at a time
SHORT = 3  # refinement steps that tell candidates apart


class Found(NamedTuple):
    """Posterior of n signals in canonical units.

    refined: see :class:`Refined` | rival_pose (n, G): pose of the best other explanation |
    rival_gap (n,): by how many nats of evidence it falls short (inf: there is none).
    """

    refined: Refined
    rival_pose: Tensor
    rival_gap: Tensor


Table: TypeAlias = LagTable | PoseTable


def table_of(vae: PoseVAE, bank: Bank) -> Table:
    """The bank's patterns, ready for comparison at every place."""
    return pose_table(vae, bank) if isinstance(vae.frame, Plane) else lag_table(vae, bank)


def candidates(vae: PoseVAE, bank: Bank, table: Table, x: Tensor, noise: Tensor) -> Candidates:
    """The places of signals (n, P) that the bank's shapes explain best."""
    if isinstance(table, PoseTable):
        return pose_candidates(vae, bank, table, x, noise)
    return lag_candidates(vae, bank, table, x, noise)


def start_at(
    vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, given: Tensor, place: Tensor, shape: Tensor
) -> tuple[Tensor]:
    """theta (n, G + K + c) at given places: of the encoder's and the bank's the one that explains better."""
    g = vae.n_pose
    q = vae.encode(x, place, given)
    seen = q._replace(pose=vae.within(q.pose)).theta(given)
    there = vae.frame.pose(place, x.new_zeros(len(x), g), vae.named_warps, vae.sample)
    drawn = torch.cat([there, bank.z[shape, : vae.n_latent], given], 1)
    loss = [joint_loss(vae, x, noise, t, vae.values(t[:, :g], t[:, g:])) for t in (seen, drawn)]
    return (torch.where((loss[1] < loss[0])[:, None], drawn, seen),)


@torch.no_grad()
def infer(
    vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, given: Tensor | None = None, *, steps: int = 12
) -> Found:
    """Posterior of signals (n, P): the best place refined to the end, and any other that has a chance."""
    given = x.new_zeros(len(x), 0) if given is None else given
    if bank.kinds:
        return _kind_by_kind(vae, bank, x, noise, given, steps)
    if not vae.n_pose:
        nowhere = vae.frame.nowhere(len(x), 0)
        (theta,) = in_chunks(lambda *part: (vae.encode(*part).theta(part[2]),), x, nowhere, given)
        return Found(refine(vae, x, noise, theta, steps=steps), theta[:, :0], _alone(x))
    table = table_of(vae, bank)
    most = CHUNK if isinstance(table, LagTable) else FEW
    named = Candidates(*in_chunks(lambda *part: candidates(vae, bank, table, *part), x, noise, most=most))

    def refined(rows: Tensor, rank: int, steps: int) -> Refined:
        part = x[rows], noise[rows], given[rows], named.place[rows, rank], named.shape[rows, rank]
        (theta,) = in_chunks(lambda *p: start_at(vae, bank, *p), *part)
        return refine(vae, *part[:2], theta, steps=steps)

    best = refined(torch.arange(len(x)), 0, steps)
    rival = Rival(x.new_full((len(x), vae.n_pose), torch.nan), -_alone(x))
    excess = vae.likelihood.excess(x, best.values, noise, best.hessian.shape[1])  # what a nat is worth
    close = CLOSE * excess.clamp_min(1.0)
    for rank in range(1, named.chance.shape[1]):
        rows = torch.nonzero(named.chance[:, rank])[:, 0]
        if len(rows):
            other = refined(rows, rank, SHORT)
            near = torch.nonzero(other.loss - best.loss[rows] < close[rows])[:, 0]
            if len(near):
                rows = rows[near]
                other = refine(vae, x[rows], noise[rows], other.theta[near], steps=steps)
                _compete(vae, rows, other, best, rival)
    return Found(best, rival.pose, best.log_evidence - rival.log_evidence)


def _alone(x: Tensor) -> Tensor:
    """The gap to a rival that is not there, (n,)."""
    return x.new_full((len(x),), torch.inf)


def _kind_by_kind(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, given: Tensor, steps: int) -> Found:
    """The posterior where signals of every kind have a bank of their own."""
    kinds, which = given.unique(dim=0, return_inverse=True)
    rows = [torch.nonzero(which == k)[:, 0] for k in range(len(kinds))]
    parts = [
        infer(vae, bank.of(kind), x[r], noise[r], given[r], steps=steps)
        for kind, r in zip(kinds, rows, strict=True)
    ]
    back = torch.cat(rows).argsort()
    refined = Refined(*(torch.cat(c)[back] for c in zip(*(p.refined for p in parts), strict=True)))
    rival, gap = (torch.cat([p[k] for p in parts])[back] for k in (1, 2))  # type: ignore[misc]
    return Found(refined, rival, gap)


class Rival(NamedTuple):
    """The best explanation at another pose, so far: that pose (n, G) and its evidence (n,)."""

    pose: Tensor
    log_evidence: Tensor


def _compete(vae: PoseVAE, rows: Tensor, other: Refined, best: Refined, rival: Rival) -> None:
    """The better of two explanations of every row leads; the worse is its rival if it lies elsewhere."""
    leader = Refined(*(t[rows] for t in best))
    better = other.log_evidence > leader.log_evidence
    winner, loser = pick(better, other, leader), pick(better, leader, other)
    put(best, rows, winner)
    g = vae.n_pose
    moved = vae.frame.apart(winner.theta[:, :g], loser.theta[:, :g], vae.named_warps)
    told = (moved > vae.frame.elsewhere * vae.sample) & (loser.log_evidence > rival.log_evidence[rows])
    rival.pose[rows[told]] = loser.theta[told, :g]
    rival.log_evidence[rows[told]] = loser.log_evidence[told]


def pick(rows: Tensor, a: Refined, b: Refined) -> Refined:
    """a where ``rows`` (n,) is true, b elsewhere."""
    return Refined(
        *(torch.where(rows.view(-1, *[1] * (s.dim() - 1)), s, t) for s, t in zip(a, b, strict=True))
    )


def put(whole: Refined, rows: Tensor, part: Refined) -> None:
    """Write ``part`` into the ``rows`` of ``whole``."""
    for s, t in zip(whole, part, strict=True):
        s[rows] = t


@torch.no_grad()
def better_places(
    vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, place: Tensor, given: Tensor | None = None
) -> Tensor:
    """Places for training: of the current one and the search's candidates, the one that explains best.

    Cheaper than :func:`infer`: every candidate is encoded and decoded once, nothing is refined.
    """
    given = x.new_zeros(len(x), 0) if given is None else given
    if bank.kinds:
        out = place.clone()
        for kind in given.unique(dim=0):
            rows = torch.nonzero((given == kind).all(1))[:, 0]
            out[rows] = better_places(vae, bank.of(kind), x[rows], noise[rows], place[rows], given[rows])
        return out
    table = table_of(vae, bank)

    def best(x: Tensor, noise: Tensor, place: Tensor, given: Tensor) -> tuple[Tensor]:
        places = torch.cat([place[:, None], candidates(vae, bank, table, x, noise).place], 1)
        losses = []
        for column in places.unbind(1):
            q = vae.encode(x, column, given)
            theta = q.theta(given)
            losses.append(joint_loss(vae, x, noise, theta, vae.values(q.pose, theta[:, vae.n_pose :])))
        return (places[torch.arange(len(x)), torch.stack(losses, 1).argmin(1)],)

    return in_chunks(best, x, noise, place, given, most=CHUNK if isinstance(table, LagTable) else FEW)[0]
