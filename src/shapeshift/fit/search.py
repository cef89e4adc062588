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
from shapeshift.fit.refine import CHUNK, Refined, joint_loss, refine
from shapeshift.model.vae import PoseVAE

CANDIDATES = 3


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


def bank_of(theta: Tensor, n_pose: int, reach: int, size: int = 12) -> Bank:
    """Shapes spread over those that were found: farthest-point sampling of z (Gonzalez 1985)."""
    z = theta[:, n_pose:]
    centre = z.mean(0)
    spread = z.std(0, correction=0).clamp_min(1e-6)
    inside = ((z - centre).abs() < 2.5 * spread).all(1)
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
    vae: PoseVAE, bank: Bank, signals: Tensor, x: Tensor, noise_sd: Tensor
) -> tuple[Tensor, Tensor]:
    """The best lags of every signal and the bank shape that goes with each: (n, CANDIDATES) twice.

    Local maxima over lags of max_m [-||x - T_m(. - lag)||^2 / (2 sigma^2)] + log prior(lag).
    """
    length = x.shape[1]
    gain = correlate(x, signals) - 0.5 * window_sums(signals.square(), length)
    gain = gain / vae.likelihood.rough_sd(x, noise_sd).square()[:, None, None]
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
def infer(vae: PoseVAE, bank: Bank, x: Tensor, noise_sd: Tensor, *, steps: int = 12) -> Found:
    """Posterior of signals (n, P), whatever their number: in chunks of one size, so that a signal's
    numbers do not depend on its neighbours."""
    if not len(x):
        raise ValueError("no signals")
    signals = bank_signals(vae, bank) if vae.n_pose else x.new_zeros(0)
    parts = []
    for begin in range(0, len(x), CHUNK):
        rows = torch.arange(begin, begin + CHUNK).clamp(max=len(x) - 1)
        found = _infer_chunk(vae, bank, signals, x[rows], noise_sd[rows], steps)
        kept = min(CHUNK, len(x) - begin)
        parts.append([t[:kept] for t in (*found.refined, *found[1:])])
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    return Found(Refined(*columns[:-2]), *columns[-2:])


def _infer_chunk(vae: PoseVAE, bank: Bank, signals: Tensor, x: Tensor, noise_sd: Tensor, steps: int) -> Found:
    nothing = torch.full((len(x),), torch.nan), torch.full((len(x),), torch.inf)
    if not vae.n_pose:
        q = vae.encode(x, torch.zeros(len(x), dtype=torch.long))
        return Found(refine(vae, x, noise_sd, q.z, steps=steps), *nothing)
    lags, shapes = candidate_lags(vae, bank, signals, x, noise_sd)
    tries = []
    for lag, shape in zip(lags.T, shapes.T, strict=True):
        q = vae.encode(x, lag)
        encoded = torch.cat([q.pose, q.z], 1)
        drawn = torch.cat([vae.sample * lag[:, None].to(x.dtype), bank.z[shape]], 1)
        theta = _better(vae, x, noise_sd, encoded, drawn)
        tries.append(refine(vae, x, noise_sd, theta, steps=3))
    best, second = _two_best(tries)
    refined = refine(vae, x, noise_sd, best.theta, steps=steps)
    apart = (best.theta[:, 0] - second.theta[:, 0]).abs() > vae.sample
    gap = torch.where(apart, refined.log_evidence - second.log_evidence, torch.inf)
    return Found(refined, torch.where(apart, second.theta[:, 0], torch.nan), gap)


def _better(vae: PoseVAE, x: Tensor, noise_sd: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Of two starts, the one with the lower joint loss, signal by signal."""
    loss_a, loss_b = (refine(vae, x, noise_sd, t, steps=0).loss for t in (a, b))
    return torch.where((loss_b < loss_a)[:, None], b, a)


def _two_best(tries: list[Refined]) -> tuple[Refined, Refined]:
    order = torch.stack([t.loss for t in tries]).argsort(0)
    rows = torch.arange(order.shape[1])
    picked = []
    for place in (0, min(1, len(tries) - 1)):
        picked.append(
            Refined(*(torch.stack(column)[order[place], rows] for column in zip(*tries, strict=True)))
        )
    return picked[0], picked[1]


@torch.no_grad()
def better_lags(vae: PoseVAE, bank: Bank, x: Tensor, noise_sd: Tensor, lag: Tensor) -> Tensor:
    """Lags for training: of the current one and the search's candidates, the one that explains best.

    Cheaper than :func:`infer`: every candidate is encoded and decoded once, nothing is refined.
    """
    signals = bank_signals(vae, bank)
    parts = []
    for part in zip(x.split(CHUNK), noise_sd.split(CHUNK), lag.split(CHUNK), strict=True):
        lags, _ = candidate_lags(vae, bank, signals, *part[:2])
        lags = torch.cat([part[2][:, None], lags], 1)
        losses = []
        for column in lags.T:
            q = vae.encode(part[0], column)
            theta = torch.cat([q.pose, q.z], 1)
            losses.append(joint_loss(vae, *part[:2], theta, vae.values(q.pose, q.z)))
        best = torch.stack(losses, 1).argmin(1)
        parts.append(lags.gather(1, best[:, None])[:, 0])
    return torch.cat(parts)
