"""Where fitting starts where signals are of several kinds: classes, and places in a frame for each of them.

Gradient descent sorts nothing: whichever class draws a pattern first keeps it. So classes come from a graph
of neighbours over poses, of which there are several (how far a pair may be turned against each other, how
many neighbours); each starts a mixture of linear models with the pose summed out, and the one of the highest
evidence is kept. What few labels there are spread along the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from shapeshift.fit.graph import graph, pairwise, spectral, spread, synchronised
from shapeshift.fit.mixture import FACTORS, Mixture, fitted, told
from shapeshift.fit.views import Grid, Views

MOST = 2000  # signals that make up the graph
REACHES = (2 / 3, 1.0)  # shares of the search's reach that two patterns may lie apart
NEIGHBOURS = (5, 7)
SHARP = 4  # power of the spread labels that the mixture is held near
LABELLED_TEMPER = 0.1
SMALLEST = 1e-6  # probability

ViewsOf: TypeAlias = Callable[[Tensor, Tensor | None], Views]  # rows, components -> their views


class Kinds(NamedTuple):
    """What the start says of n signals: probabilities (n, Y) of the classes, and poses (n, Y, G) in the frame
    of each, about the known places; the mixture that says so."""

    share: Tensor
    pose: Tensor
    mixture: Mixture
    evidence: float


@torch.no_grad()
def find_kinds(
    views_of: ViewsOf,
    n: int,
    n_classes: int,
    generator: torch.Generator,
    labels: Tensor | None = None,
    *,
    factors: int = FACTORS,
) -> Kinds:
    """Classes of n signals from their views, some with labels (n,), -1 where unknown.

    Of many signals, MOST make up the graph and the mixture, all labelled ones among them; the others are told
    by it.
    """
    labels = torch.full((n,), -1) if labels is None else labels.long()
    some = _some(labels, generator)
    views = views_of(some, None)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    known = labels[some]
    with_labels = bool((known >= 0).any())
    starts = _from_labels if with_labels else _from_spectrum
    best = max(starts(views, n_classes, seed, known, factors), key=lambda found: found.evidence)
    parts = [views if len(some) == n else views_of(r, views.basis) for r in torch.arange(n).split(MOST)]
    temper = LABELLED_TEMPER if with_labels else temper_of(squares(best.mixture, views), views.z.shape[2])
    log_joint, pose = (
        torch.cat(c) for c in zip(*(told(best.mixture, v, temper) for v in parts), strict=True)
    )
    if with_labels:
        held = log_joint.new_zeros(n, n_classes)
        held[some] = best.log_known
        log_joint = log_joint + held
    share = (log_joint + excluded(labels, n_classes)).softmax(1).clamp_min(SMALLEST)
    return Kinds(share, pose, best.mixture, best.evidence)


def excluded(labels: Tensor, n_classes: int) -> Tensor:
    """Minus infinity where a label (n,) says that it is another class, else 0: (n, Y)."""
    other = (labels >= 0)[:, None] & (labels[:, None] != torch.arange(n_classes))
    return torch.zeros(other.shape).masked_fill(other, -torch.inf)


def _some(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Rows that make up the graph, in their order."""
    n = len(labels)
    if n <= MOST:
        return torch.arange(n)
    order = torch.randperm(n, generator=generator)
    order = order[(labels[order] < 0).long().argsort(stable=True)]
    return order[:MOST].sort().values


class _Start(NamedTuple):
    mixture: Mixture
    evidence: float
    log_known: Tensor


def _from_spectrum(views: Views, n_classes: int, seed: int, labels: Tensor, factors: int) -> list[_Start]:
    """Mixtures from the spectra of several graphs."""
    out = []
    for reach in _reaches(views.grid):
        pairs = pairwise(views, reach)
        for k in NEIGHBOURS:
            weights = graph(pairs.distance, k)
            classes = spectral(weights, n_classes, seed)
            pose = synchronised(weights, pairs.pose, classes, views.grid)
            one = torch.nn.functional.one_hot(torch.from_numpy(classes).long(), n_classes).float()
            out.append(_Start(*fitted(views, one, pose, factors=factors), excluded(labels, n_classes)))
    return out


def _reaches(grid: Grid) -> Sequence[Tensor]:
    """Where nothing turns or all turns are alike there is one; large grids are tried once."""
    bounded = bool(((grid.step > 0) & ~grid.circle).any()) and len(grid.poses) <= 64
    return [torch.where(grid.circle, 1.0, share) * grid.reach for share in REACHES[0 if bounded else 1 :]]


def _from_labels(views: Views, n_classes: int, seed: int, labels: Tensor, factors: int) -> list[_Start]:
    """The mixture held near the labels as they spread along the graph."""
    pairs = pairwise(views, _reaches(views.grid)[0])
    weights = graph(pairs.distance, NEIGHBOURS[0])
    likely = torch.from_numpy(spread(weights, labels.numpy(), n_classes)).float() ** SHARP
    likely = likely / likely.sum(1, keepdim=True)
    classes = likely.argmax(1).numpy().astype(np.int64)
    pose = synchronised(weights, pairs.pose, classes, views.grid)
    log_known = (likely + 1e-30).log() + excluded(labels, n_classes)
    return [
        _Start(
            *fitted(views, likely, pose, log_known, temper=LABELLED_TEMPER, rounds=8, factors=factors),
            log_known,
        )
    ]


def squares(mixture: Mixture, views: Views) -> Tensor:
    """Squares (n,) that the likeliest class at the likeliest pose leaves over."""
    joint = mixture.joint(views)
    best = joint.transpose(0, 1).flatten(1).argmax(1)
    t = len(views.z)
    off = views.z[best % t, torch.arange(len(best))] - mixture.mean[best // t]
    along = torch.einsum("nd,ndq->nq", off, mixture.axes[best // t])
    return off.square().sum(1) - along.square().sum(1)


def temper_of(square: Tensor, size: int) -> float:
    """The power of a likelihood of ``size`` independent residuals that is worth what the residuals are.

    Sums of squares (n,) of nu independent numbers scatter as chi-squared variates do, var = 2 mean^2 / nu
    (Satterthwaite 1946, Biometrics Bull. 2, 110); what the model leaves over of an image comes in strokes and
    not in pixels, so that evidence adds up to far less than a product over pixels would have it.
    """
    square = square.double()
    freedom = 2 * square.mean().square() / square.var().clamp_min(1e-300)
    return float((freedom / size).clamp(1e-3, 1.0))


class HeldOut(NamedTuple):
    """Log evidence (S, m) of m held-out signals for each of S numbers of classes, nats, tempered."""

    n_classes: tuple[int, ...]
    each: Tensor

    @property
    def evidence(self) -> Tensor:
        """Its mean, (S,)."""
        return self.each.mean(1)

    @property
    def error(self) -> Tensor:
        """The standard error of that mean, (S,)."""
        return self.each.std(1) / self.each.shape[1] ** 0.5

    def best(self) -> int:
        """The smallest number that falls short of the best by less than one standard error of the difference
        (Breiman et al. 1984, Classification and Regression Trees, section 3.4.3)."""
        short = self.each[self.evidence.argmax()] - self.each
        enough = short.mean(1) <= short.std(1) / short.shape[1] ** 0.5
        return min(k for k, good in zip(self.n_classes, enough.tolist(), strict=True) if good)


@torch.no_grad()
def held_out_evidence(
    views_of: ViewsOf,
    n: int,
    n_classes: Sequence[int],
    generator: torch.Generator,
    *,
    n_latent: int = 2,
    share: float = 0.25,
) -> HeldOut:
    """How well mixtures of several numbers of classes foretell signals that they were not fitted to.

    The mixture of linear models is judged, in the components of its views, and not the network that starts
    from it: seconds, not minutes. Every class has as many linear components as the model has latents, for one
    class of many draws what several of few do. The evidence is tempered as the residuals call for.
    """
    order = torch.randperm(n, generator=generator)[:MOST]
    cut = round(share * len(order))
    held, used = order[:cut].sort().values, order[cut:].sort().values
    views = views_of(used, None)
    found = (find_kinds(lambda *_: views, len(used), k, generator, factors=n_latent) for k in n_classes)
    fits = [kinds.mixture for kinds in found]
    temper = min(temper_of(squares(m, views), views.z.shape[2]) for m in fits)
    unseen = views_of(held, views.basis)
    each = [told(m, unseen, temper).log_joint.logsumexp(1).double() for m in fits]
    return HeldOut(tuple(n_classes), torch.stack(each))
