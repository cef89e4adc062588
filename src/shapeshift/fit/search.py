"""Global search over lags with the learned shapes, and the posterior of every signal.

Three kinds of evidence, each only as dear as needed: correlations with a bank of learned shapes
name candidate lags; the encoder and a few refinement steps from each name the best; the refinement
finishes that one and says how close the runner-up came.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.align import correlate, window_sums
from shapeshift.fit.refine import Refined, in_chunks, joint_loss, refine
from shapeshift.model.vae import PoseVAE

CANDIDATES = 3
SHORT = 3  # refinement steps that tell candidates apart
CLOSE = 30.0  # nats within which the second best may turn out to be the best


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


@torch.no_grad()
def bank_signals(vae: PoseVAE, bank: Bank) -> Tensor:
    """Expected signals of the bank's shapes on a grid wider than the window: (m, P + 2 reach)."""
    steps = torch.arange(-bank.reach, len(vae.grid) + bank.reach, dtype=vae.grid.dtype)
    wide = (steps * vae.sample - 1.0)[None, :, None].expand(len(bank.z), -1, -1)
    return vae.likelihood.mean(vae.decoder(bank.z)(wide))


def candidate_lags(
    vae: PoseVAE, bank: Bank, signals: Tensor, x: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """The best lags of every signal and the bank shape that goes with each: (n, CANDIDATES) twice.

    Local maxima over lags of max_m [-||x - T_m(. - lag)||^2 / (2 sigma^2)] + log prior(lag).
    """
    length = x.shape[1]
    gain = correlate(x, signals) - 0.5 * window_sums(signals.square(), length)
    gain = gain / vae.likelihood.rough_sd(x, noise).square()[:, None, None]
    best, shape = gain.max(1)
    best, shape = best.flip(1), shape.flip(1)  # lags increase
    lags = torch.arange(-bank.reach, bank.reach + 1, device=x.device)
    precision = vae.prior_precision()[0]
    best = best - 0.5 * precision * (lags * vae.sample).square()
    padded = torch.nn.functional.pad(best, (1, 1), value=-torch.inf)
    peak = (best >= padded[:, 2:]) & (best >= padded[:, :-2])
    top = torch.where(peak, best, -torch.inf).topk(min(CANDIDATES, len(lags)), dim=1).indices
    return lags[top], shape.gather(1, top)


@torch.no_grad()
def infer(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, *, steps: int = 12) -> Found:
    """Posterior of signals (n, P): candidates, a short refinement of each, a full one of the best."""
    if not vae.n_pose:
        (z,) = in_chunks(lambda part: (vae.encode(part, torch.zeros(len(part), dtype=torch.long)).z,), x)
        never = x.new_full((len(x),), torch.nan)
        return Found(refine(vae, x, noise, z, steps=steps), never, torch.full_like(never, torch.inf))
    signals = bank_signals(vae, bank)
    starts = in_chunks(lambda *part: _starts(vae, bank, signals, *part), x, noise)
    first, second = (refine(vae, x, noise, theta, steps=SHORT) for theta in starts[:2])
    swap = second.loss < first.loss
    best, other = pick(swap, second, first), pick(swap, first, second)
    best = refine(vae, x, noise, best.theta, steps=steps)
    close = torch.nonzero(other.loss - best.loss < CLOSE)[:, 0]
    if len(close):  # what may yet turn out better, or as good, is refined to the end as well
        rival = refine(vae, x[close], noise[close], other.theta[close], steps=steps)
        leader = Refined(*(t[close] for t in best))
        better = rival.log_evidence > leader.log_evidence
        put(best, close, pick(better, rival, leader))
        put(other, close, pick(better, leader, rival))
    apart = (best.theta[:, 0] - other.theta[:, 0]).abs() > vae.sample
    gap = torch.where(apart, best.log_evidence - other.log_evidence, torch.inf)
    return Found(best, torch.where(apart, other.theta[:, 0], torch.nan), gap)


def pick(rows: Tensor, a: Refined, b: Refined) -> Refined:
    """a where ``rows`` (n,) is true, b elsewhere."""
    return Refined(
        *(torch.where(rows.view(-1, *[1] * (s.dim() - 1)), s, t) for s, t in zip(a, b, strict=True))
    )


def put(whole: Refined, rows: Tensor, part: Refined) -> None:
    """Write ``part`` into the ``rows`` of ``whole``."""
    for s, t in zip(whole, part, strict=True):
        s[rows] = t


def _starts(vae: PoseVAE, bank: Bank, signals: Tensor, x: Tensor, noise: Tensor) -> list[Tensor]:
    """The two best starts theta (n, G + K): at every candidate lag, the encoder's or the bank's shape."""
    lags, shapes = candidate_lags(vae, bank, signals, x, noise)
    thetas, losses = [], []
    for lag, shape in zip(lags.T, shapes.T, strict=True):
        q = vae.encode(x, lag)
        drawn = torch.cat([vae.sample * lag[:, None].to(x.dtype), bank.z[shape]], 1)
        pair = [torch.cat([q.pose, q.z], 1), drawn]
        loss = torch.stack([joint_loss(vae, x, noise, t, vae.values(t[:, :1], t[:, 1:])) for t in pair])
        thetas.append(torch.where((loss[1] < loss[0])[:, None], pair[1], pair[0]))
        losses.append(loss.amin(0))
    order = torch.stack(losses).argsort(0)
    rows = torch.arange(len(x))
    return [torch.stack(thetas)[order[min(place, len(order) - 1)], rows] for place in range(2)]


@torch.no_grad()
def better_lags(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, lag: Tensor) -> Tensor:
    """Lags for training: of the current one and the search's candidates, the one that explains best.

    Cheaper than :func:`infer`: every candidate is encoded and decoded once, nothing is refined.
    """
    signals = bank_signals(vae, bank)

    def best(x: Tensor, noise: Tensor, lag: Tensor) -> tuple[Tensor]:
        lags = torch.cat([lag[:, None], candidate_lags(vae, bank, signals, x, noise)[0]], 1)
        losses = []
        for column in lags.T:
            q = vae.encode(x, column)
            theta = torch.cat([q.pose, q.z], 1)
            losses.append(joint_loss(vae, x, noise, theta, vae.values(q.pose, q.z)))
        return (lags.gather(1, torch.stack(losses, 1).argmin(1)[:, None])[:, 0],)

    return in_chunks(best, x, noise, lag)[0]
