"""Classes that nobody has told: every one of them tried, in training and after it.

A class is a latent with Y values, so nothing has to be drawn of it: the bound and the evidence are sums over all of
them. In training most classes of most signals are out of the question, and the sum leaves them out: exact but for
what it leaves out, which is looked at again now and then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.bank import Bank, Reach, spread
from shapeshift.fit.kinds import temper_of
from shapeshift.fit.refine import Refined, in_chunks, joint_loss
from shapeshift.fit.search import Found, better_places, infer
from shapeshift.fit.start_kinds import members
from shapeshift.fit.train import Signals
from shapeshift.model.objective import Elbo, elbo, over_classes
from shapeshift.model.vae import PoseVAE

LEAST = 1e-4  # probability below which training leaves a class out, until the next look at all
SIZE = 16


def class_rows(kind: int, n_classes: int, n: int) -> Tensor:
    """What is given of n signals of one class, (n, Y)."""
    return torch.eye(n_classes)[kind].expand(n, -1)


def enumerated_bound(vae: PoseVAE, batch: Signals, generator: torch.Generator) -> Elbo:
    """The bound over the class, every class of a signal tried that its log prior does not exclude."""
    rows, kinds = torch.nonzero(torch.isfinite(batch.given), as_tuple=True)
    given = torch.eye(batch.given.shape[1], dtype=batch.x.dtype)[kinds]
    target = batch.target[rows] if batch.target.shape[1] else None
    place = batch.place[rows, kinds]
    each = elbo(vae, batch.x[rows], place, batch.noise[rows], generator, given, target)

    def table(terms: Tensor) -> Tensor:
        return terms.new_zeros(batch.given.shape).index_put((rows, kinds), terms)

    bounds = Elbo(table(each.log_px), {name: table(kl) for name, kl in each.kl.items()})
    return over_classes(bounds, batch.given)


def log_priors(share: Tensor, log_prior: Tensor, hold: float, start: Tensor) -> Tensor:
    """log p(y) of every signal (n, Y) as training sees it: the classes' own (Y,) and, as long as they are held, the
    start's probabilities (n, Y) to the power ``hold``; minus infinity for classes left out."""
    out = log_prior + hold * start.log()
    best = torch.nn.functional.one_hot(share.argmax(1), share.shape[1]).bool()
    return out.masked_fill((share < LEAST) & ~best, -torch.inf)


def learned_prior(share: Tensor) -> Tensor:
    """log p(y), (Y,): the mean of the probabilities, one signal added to each so that no class dies of it."""
    counts = share.sum(0) + 1
    return (counts / counts.sum()).log()


@torch.no_grad()
def bank_of_classes(vae: PoseVAE, data: Signals, share: Tensor, reach: int | Reach) -> Bank:
    """Shapes of every class, spread over those of its members."""
    banks, n_classes = [], share.shape[1]
    for kind, rows in enumerate(members(share)):
        given = class_rows(kind, n_classes, len(rows))
        z = vae.encode(data.x[rows], data.place[rows, kind], given).z
        banks.append(torch.cat([spread(z, SIZE), given[: min(SIZE, len(z))]], 1))
    return Bank(torch.cat(banks), reach, n_classes, True)


class Looked(NamedTuple):
    """Probabilities (n, Y) and places (n, Y, ...) of all classes, at a look in the middle of the training."""

    share: Tensor
    place: Tensor


@torch.no_grad()
def look_again(vae: PoseVAE, bank: Bank, data: Signals, log_prior: Tensor) -> Looked:
    """Places and probabilities under every class by the encoder, log_prior (n, Y) with what is held of the start.

    The temper is told by what the best class leaves over (see :func:`shapeshift.fit.kinds.temper_of`).
    """
    n_classes = log_prior.shape[1]
    place, log_px, square = data.place.clone(), torch.empty_like(log_prior), torch.empty_like(log_prior)
    for kind in range(n_classes):
        given = class_rows(kind, n_classes, len(data.x))
        rows = torch.nonzero(torch.isfinite(log_prior[:, kind]))[:, 0]
        part = data.x[rows], data.noise[rows], place[rows, kind], given[rows]
        if vae.n_pose and len(rows):
            part = (*part[:2], better_places(vae, bank.of(given[0]), *part), part[3])
            place[rows, kind] = part[2]
        log_px[:, kind], square[:, kind] = -torch.inf, torch.inf
        if len(rows):
            log_px[rows, kind], square[rows, kind] = in_chunks(lambda *p: _by_encoder(vae, *p), *part)
    temper = temper_of(square.amin(1), data.x.shape[1])
    return Looked((temper * log_px + log_prior).softmax(1), place)


def _by_encoder(
    vae: PoseVAE, x: Tensor, noise: Tensor, place: Tensor, given: Tensor
) -> tuple[Tensor, Tensor]:
    """log p(x) by the encoder's Gaussian in the place of the posterior, and the squares left over: (n,) each."""
    q = vae.encode(x, place, given)
    q = q._replace(pose=vae.within(q.pose))
    theta = q.theta(given)
    values = vae.values(q.pose, theta[:, vae.n_pose :])
    sds = torch.cat([q.pose_sd, q.z_sd], 1)
    volume = sds.log().sum(1) + 0.5 * sds.shape[1] * math.log(2 * math.pi)
    square = residual_squares(vae, x, noise, vae.fitted(x, values))
    return volume - joint_loss(vae, x, noise, theta, values), square


def residual_squares(vae: PoseVAE, x: Tensor, noise: Tensor, values: Tensor) -> Tensor:
    """Squares (n,) of what fitted values leave over of signals, in units of their noise."""
    tame = vae.likelihood.tamed(x)
    sd = vae.likelihood.rough_sd(x, noise)
    return (tame - vae.likelihood.mean(values)).square().sum(1) / sd.square().clamp_min(1e-12)


class ClassPosterior(NamedTuple):
    """Posterior of n signals over class, pose and shape.

    found : Found
        Pose and shape under the likeliest class, theta (n, G + K + Y).
    kind : Tensor (n,) long
        That class.
    probability : Tensor (n, Y)
        p(y | x) with the tempered evidence.
    log_evidence : Tensor (n, Y)
        Laplace's approximation of log p(x | y), nats; minus infinity where the prior excludes a class.
    """

    found: Found
    kind: Tensor
    probability: Tensor
    log_evidence: Tensor

    def log_total(self, log_prior: Tensor) -> Tensor:
        """log p(x), (n,), of all classes together."""
        return (self.log_evidence + log_prior).logsumexp(1)


@torch.no_grad()
def class_posterior(
    vae: PoseVAE,
    bank: Bank,
    x: Tensor,
    noise: Tensor,
    log_prior: Tensor,
    temper: float = 1.0,
    *,
    steps: int = 12,
) -> ClassPosterior:
    """Posterior of signals (n, P) under every class, and of the class.

    Parameters
    ----------
    x, noise : Tensor (n, P), (n, 2)
    log_prior : Tensor (Y,) or (n, Y)
        log p(y); minus infinity for classes that are out of the question.
    temper : float
        p(y | x) is proportional to p(y) p(x | y)^temper: as many nats as the residuals are worth.
    """
    prior = log_prior.expand(len(x), -1)
    log_evidence = torch.full(prior.shape, -torch.inf, dtype=x.dtype)
    best: Found | None = None
    score = x.new_full((len(x),), -torch.inf)
    kind = torch.zeros(len(x), dtype=torch.long)
    for c in range(prior.shape[1]):
        rows = torch.nonzero(torch.isfinite(prior[:, c]))[:, 0]
        if not len(rows):
            continue
        given = class_rows(c, prior.shape[1], len(rows))
        found = infer(vae, bank.of(given[0]), x[rows], noise[rows], given, steps=steps)
        log_evidence[rows, c] = found.refined.log_evidence
        now = temper * log_evidence[rows, c] + prior[rows, c]
        best = _like(found, len(x)) if best is None else best
        _lead(best, rows, now > score[rows], found)
        kind[rows[now > score[rows]]] = c
        score[rows] = torch.maximum(now, score[rows])
    assert best is not None
    return ClassPosterior(best, kind, (temper * log_evidence + prior).softmax(1), log_evidence)


def _columns(found: Found) -> Iterator[Tensor]:
    yield from (*found.refined, found.rival_pose, found.rival_gap)


def _like(found: Found, n: int) -> Found:
    """Room for the posteriors of n signals."""
    room = [t.new_zeros(n, *t.shape[1:]) for t in _columns(found)]
    return Found(Refined(*room[:-2]), room[-2], room[-1])


def _lead(best: Found, rows: Tensor, better: Tensor, found: Found) -> None:
    """Write what is better of the ``rows`` into the best so far."""
    for whole, part in zip(_columns(best), _columns(found), strict=True):
        whole[rows[better]] = part[better]


def temper_from(vae: PoseVAE, x: Tensor, noise: Tensor, found: Found) -> float:
    """The temper that the residuals of fitted signals (n, P) call for."""
    return temper_of(residual_squares(vae, x, noise, found.refined.values), x.shape[1])
