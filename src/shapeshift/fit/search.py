"""Global search over lags with the learned shapes, and the posterior of every signal.

Three kinds of evidence, each only as dear as needed: correlations with a bank of learned shapes
name candidate lags; the refinement starts at the best, from the encoder's shape or the bank's, and
finishes it; other lags are tried where the correlations leave them a chance, and told where they come close.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.align import correlate
from shapeshift.fit.refine import Refined, in_chunks, joint_loss, refine
from shapeshift.model.vae import PoseVAE

CANDIDATES = 3
SHORT = 3  # refinement steps that tell candidates apart
CHANCE = 4.0  # a lag may win if the bank leaves so many times the best lag's squares over there, or less
RANK = 6  # the bank's shapes are drawn from so many components at most
CLOSE = 30.0  # nats, of the noise that the residuals show, within which the second best may be the best


class Bank(NamedTuple):
    """Shapes the search tries: latents (m, K), and how far the lags may go (samples)."""

    z: Tensor
    reach: int


class Found(NamedTuple):
    """Posterior of n signals in canonical units.

    refined: see :class:`Refined` | rival_shift (n,): shift of the best other explanation |
    rival_gap (n,): by how many nats of evidence it falls short (inf: there is none).
    """

    refined: Refined
    rival_shift: Tensor
    rival_gap: Tensor


def bank_of(theta: Tensor, n_pose: int, reach: int, size: int = 16) -> Bank:
    """Shapes spread over those that were found: farthest-point sampling of z (Gonzalez 1985)."""
    z = theta[:, n_pose:]
    centre = z.mean(0)
    spread = z.std(0, correction=0).clamp_min(1e-6)
    inside = ((z - centre).abs() < 6 * spread).all(1)
    z = z[inside] if inside.any() else z
    chosen = [int(((z - centre) / spread).square().sum(1).argmin())]
    distance = torch.full((len(z),), torch.inf)
    for _ in range(min(size, len(z)) - 1):
        distance = torch.minimum(distance, ((z - z[chosen[-1]]) / spread).square().sum(1))
        chosen.append(int(distance.argmax()))
    return Bank(z[chosen].clone(), reach)


class Table(NamedTuple):
    """The bank's signals on a grid wider than the window, as few components: mix (m, r) @ basis (r, C).

    energy (m, L): squares under the window at every lag, lags increasing.
    """

    basis: Tensor
    mix: Tensor
    energy: Tensor


@torch.no_grad()
def table_of(vae: PoseVAE, bank: Bank) -> Table:
    """Expected signals of the bank's shapes, ready for correlation."""
    steps = torch.arange(-bank.reach, len(vae.grid) + bank.reach, dtype=vae.grid.dtype)
    wide = (steps * vae.sample - 1.0)[None, :, None].expand(len(bank.z), -1, -1)
    u, s, v = torch.linalg.svd(vae.expected(vae.decoder(bank.z)(wide)), full_matrices=False)
    rank = min(RANK, len(s))
    basis, mix = v[:rank], u[:, :rank] * s[:rank]
    windows = (mix @ basis).unfold(1, len(vae.grid), 1).flip(1)
    windows = windows if vae.nuisance is None else vae.nuisance.cleared(windows)
    return Table(basis, mix, windows.square().sum(2))


class Candidates(NamedTuple):
    """Best first: lags (n, c), the bank shape that goes with each, and whether it has a chance to win."""

    lag: Tensor
    shape: Tensor
    chance: Tensor


def candidates(vae: PoseVAE, bank: Bank, table: Table, x: Tensor, noise: Tensor) -> Candidates:
    """Local maxima over lags of max_m [-||x - T_m(. - lag)||^2 / (2 sigma^2)] + log prior(lag)."""
    y = vae.likelihood.tamed(x)
    y = y if vae.nuisance is None else vae.nuisance.cleared(y)
    product = table.mix @ correlate(y, table.basis).flip(2)
    if vae.nuisance is not None and vae.nuisance.gain:
        explained = product.clamp_min(0).square() / (2 * table.energy + 1e-9)
    else:
        explained = product - 0.5 * table.energy
    weight = vae.likelihood.rough_sd(x, noise).square().reciprocal()[:, None]
    lags = torch.arange(-bank.reach, bank.reach + 1)
    prior = 0.5 * vae.prior_precision()[0] * (lags * vae.sample).square()
    best = explained.amax(1) * weight - prior
    padded = torch.nn.functional.pad(best, (1, 1), value=-torch.inf)
    peak = (best >= padded[:, 2:]) & (best >= padded[:, :-2])
    score, top = torch.where(peak, best, -torch.inf).topk(min(CANDIDATES, len(lags)), dim=1)
    shape = explained.gather(2, top[:, None].expand(-1, len(bank.z), -1)).argmax(1)
    left = 0.5 * weight * y.square().sum(1, keepdim=True) - score  # squares left over, in nats
    return Candidates(lags[top], shape, left < CHANCE * left[:, :1].clamp_min(0) + CLOSE)


def start_at(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, lag: Tensor, shape: Tensor) -> tuple[Tensor]:
    """theta (n, G + K) at given lags: of the encoder's and the bank's the one that explains better."""
    q = vae.encode(x, lag)
    drawn = torch.cat([vae.sample * lag[:, None].to(x.dtype), bank.z[shape]], 1)
    pair = [torch.cat([q.pose, q.z], 1), drawn]
    loss = [joint_loss(vae, x, noise, t, vae.values(t[:, :1], t[:, 1:])) for t in pair]
    return (torch.where((loss[1] < loss[0])[:, None], pair[1], pair[0]),)


@torch.no_grad()
def infer(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, *, steps: int = 12) -> Found:
    """Posterior of signals (n, P): the best lag refined to the end, and any other that has a chance."""
    never = x.new_full((len(x),), torch.nan)
    if not vae.n_pose:
        (z,) = in_chunks(lambda part: (vae.encode(part, torch.zeros(len(part), dtype=torch.long)).z,), x)
        return Found(refine(vae, x, noise, z, steps=steps), never, torch.full_like(never, torch.inf))
    table = table_of(vae, bank)
    named = Candidates(*in_chunks(lambda *part: candidates(vae, bank, table, *part), x, noise))

    def refined(rows: Tensor, place: int, steps: int) -> Refined:
        part = x[rows], noise[rows], named.lag[rows, place], named.shape[rows, place]
        (theta,) = in_chunks(lambda *p: start_at(vae, bank, *p), *part)
        return refine(vae, *part[:2], theta, steps=steps)

    best = refined(torch.arange(len(x)), 0, steps)
    rival = Rival(never, torch.full_like(never, -torch.inf))
    excess = vae.likelihood.excess(x, best.values, noise, best.theta.shape[1])  # what a nat is worth
    close = CLOSE * excess.clamp_min(1.0)
    for place in range(1, named.lag.shape[1]):
        rows = torch.nonzero(named.chance[:, place])[:, 0]
        if len(rows):
            other = refined(rows, place, SHORT)
            near = torch.nonzero(other.loss - best.loss[rows] < close[rows])[:, 0]
            if len(near):
                rows = rows[near]
                other = refine(vae, x[rows], noise[rows], other.theta[near], steps=steps)
                _compete(vae, rows, other, best, rival)
    return Found(best, rival.shift, best.log_evidence - rival.log_evidence)


class Rival(NamedTuple):
    """The best explanation at another shift, so far: its shift (n,) and evidence (n,)."""

    shift: Tensor
    log_evidence: Tensor


def _compete(vae: PoseVAE, rows: Tensor, other: Refined, best: Refined, rival: Rival) -> None:
    """The better of two explanations of every row leads; the worse is its rival if it lies elsewhere."""
    leader = Refined(*(t[rows] for t in best))
    better = other.log_evidence > leader.log_evidence
    winner, loser = pick(better, other, leader), pick(better, leader, other)
    put(best, rows, winner)
    apart = (winner.theta[:, 0] - loser.theta[:, 0]).abs() > vae.sample
    told = apart & (loser.log_evidence > rival.log_evidence[rows])
    rival.shift[rows[told]] = loser.theta[told, 0]
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
def better_lags(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, lag: Tensor) -> Tensor:
    """Lags for training: of the current one and the search's candidates, the one that explains best.

    Cheaper than :func:`infer`: every candidate is encoded and decoded once, nothing is refined.
    """
    table = table_of(vae, bank)

    def best(x: Tensor, noise: Tensor, lag: Tensor) -> tuple[Tensor]:
        lags = torch.cat([lag[:, None], candidates(vae, bank, table, x, noise).lag], 1)
        losses = []
        for column in lags.T:
            q = vae.encode(x, column)
            theta = torch.cat([q.pose, q.z], 1)
            losses.append(joint_loss(vae, x, noise, theta, vae.values(q.pose, q.z)))
        return (lags.gather(1, torch.stack(losses, 1).argmin(1)[:, None])[:, 0],)

    return in_chunks(best, x, noise, lag)[0]
