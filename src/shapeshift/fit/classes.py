"""Classes that nobody has told: every one of them tried, in training and after it.

A class is a latent with Y values, so nothing has to be drawn of it: the bound and the evidence are sums over
all of them. In training most classes of most signals are out of the question, and the sum leaves them out:
exact but for what it leaves out, which is looked at again now and then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.bank import Bank, Reach, spread
from shapeshift.fit.kinds import temper_of
from shapeshift.fit.refine import Refined, in_chunks, joint_loss, refine
from shapeshift.fit.search import Found, better_places, candidates, infer, start_at, table_of
from shapeshift.fit.start_kinds import members
from shapeshift.fit.train import Signals
from shapeshift.model.gaps import rest
from shapeshift.model.objective import Elbo, elbo, over_classes
from shapeshift.model.vae import PoseVAE

LEAST = 1e-4  # probability below which training leaves a class out, until the next look at all
LIKELY = 0.05  # of the likeliest class's probability, from which on a class is refined to the end
GUESS = 2  # steps that tell how likely a class is
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
    """log p(y) of every signal (n, Y) as training sees it: the classes' own (Y,) and, as long as they are
    held, the start's probabilities (n, Y) to the power ``hold``; minus infinity for classes left out."""
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
    """Places and probabilities under every class by the encoder; log_prior (n, Y) with what is held of the
    start. Places are searched again in the classes that are likely where they were.

    The temper is told by what the best class leaves over (see :func:`shapeshift.fit.kinds.temper_of`).
    """
    size = data.x.shape[1]
    everywhere = torch.isfinite(log_prior)
    log_px, square = _by_encoder(vae, data, data.place, everywhere)
    share = (temper_of(square.amin(1), size) * log_px + log_prior).softmax(1)
    if not vae.n_pose:
        return Looked(share, data.place)
    place, likely = data.place.clone(), share > LEAST
    for kind in range(share.shape[1]):
        rows = torch.nonzero(likely[:, kind])[:, 0]
        if len(rows):
            given = class_rows(kind, share.shape[1], len(rows))
            part = data.x[rows], data.noise[rows], place[rows, kind], given
            place[rows, kind] = better_places(vae, bank.of(given[0]), *part)
    again, left = _by_encoder(vae, data, place, likely)
    log_px, square = torch.where(likely, again, log_px), torch.where(likely, left, square)
    return Looked((temper_of(square.amin(1), size) * log_px + log_prior).softmax(1), place)


def _by_encoder(vae: PoseVAE, data: Signals, place: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x | y) with the encoder's Gaussian for the posterior, and the squares left over, (n, Y) each;
    minus infinity and infinity but for ``which`` (n, Y)."""
    rows, kinds = torch.nonzero(which, as_tuple=True)
    given = torch.eye(which.shape[1], dtype=data.x.dtype)[kinds]

    def part(row: Tensor, place: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        x, noise = data.x[row], data.noise[row]
        q = vae.encode(x, place, given)
        q = q._replace(pose=vae.within(q.pose))
        theta, sds = q.theta(given), torch.cat([q.pose_sd, q.z_sd], 1)
        values = vae.values(q.pose, theta[:, vae.n_pose :])
        volume = sds.log().sum(1) + 0.5 * sds.shape[1] * math.log(2 * math.pi)
        square = residual_squares(vae, x, noise, vae.fitted(x, values))
        return volume - joint_loss(vae, x, noise, theta, values), square

    log_px, square = in_chunks(part, rows, place[rows, kinds], given)
    out = torch.full(which.shape, -torch.inf).index_put((rows, kinds), log_px)
    return out, torch.full(which.shape, torch.inf).index_put((rows, kinds), square)


def residual_squares(vae: PoseVAE, x: Tensor, noise: Tensor, values: Tensor) -> Tensor:
    """Squares (n,) of what fitted values leave over of signals, in units of their noise."""
    tame = vae.likelihood.tamed(x)
    sd = vae.likelihood.rough_sd(x, noise)
    return rest(tame, vae.likelihood.mean(values)).square().sum(1) / sd.square().clamp_min(1e-12)


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

    Every class is refined by a few steps from its best place; those then likely, to the end and from other
    places as well.

    Parameters
    ----------
    x, noise : Tensor (n, P), (n, 2)
    log_prior : Tensor (Y,) or (n, Y)
        log p(y); minus infinity for classes that are out of the question.
    temper : float
        p(y | x) is proportional to p(y) p(x | y)^temper: as many nats as the residuals are worth.
    """
    prior = log_prior.expand(len(x), -1)
    n_classes = prior.shape[1]
    log_evidence = torch.full(prior.shape, -torch.inf, dtype=x.dtype)

    def each(which: Tensor) -> Iterator[tuple[Tensor, int, Bank, Tensor]]:
        for c in range(n_classes):
            rows = torch.nonzero(which[:, c])[:, 0]
            if len(rows):
                given = class_rows(c, n_classes, len(rows))
                yield rows, c, bank.of(given[0]), given

    for rows, c, own, given in each(torch.isfinite(prior)):
        log_evidence[rows, c] = first_guess(vae, own, x[rows], noise[rows], given).log_evidence
    share = (temper * log_evidence + prior).softmax(1)
    likely = share > LIKELY * share.amax(1, keepdim=True)
    best: Found | None = None
    score, kind = x.new_full((len(x),), -torch.inf), torch.zeros(len(x), dtype=torch.long)
    for rows, c, own, given in each(likely):
        found = infer(vae, own, x[rows], noise[rows], given, steps=steps)
        log_evidence[rows, c] = torch.maximum(log_evidence[rows, c], found.refined.log_evidence)
        now = temper * found.refined.log_evidence + prior[rows, c]
        best = _like(found, len(x)) if best is None else best
        better = now > score[rows]
        _lead(best, rows, better, found)
        kind[rows[better]], score[rows[better]] = c, now[better]
    assert best is not None
    return ClassPosterior(best, kind, (temper * log_evidence + prior).softmax(1), log_evidence)


def first_guess(vae: PoseVAE, bank: Bank, x: Tensor, noise: Tensor, given: Tensor) -> Refined:
    """A few steps from the place that the bank names first, for signals (n, P) of one class."""
    if not vae.n_pose:
        nowhere = vae.frame.nowhere(len(x), 0)
        (theta,) = in_chunks(lambda *part: (vae.encode(*part).theta(part[2]),), x, nowhere, given)
        return refine(vae, x, noise, theta, steps=GUESS)
    table = table_of(vae, bank)

    def start(x: Tensor, noise: Tensor, given: Tensor) -> tuple[Tensor]:
        named = candidates(vae, bank, table, x, noise)
        return start_at(vae, bank, x, noise, given, named.place[:, 0], named.shape[:, 0])

    return refine(vae, x, noise, in_chunks(start, x, noise, given)[0], steps=GUESS)


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


@torch.no_grad()
def temper_from(vae: PoseVAE, x: Tensor, noise: Tensor, found: Found) -> float:
    """The temper that the residuals of fitted signals (n, P) call for."""
    return temper_of(residual_squares(vae, x, noise, found.refined.values), x.shape[1])
