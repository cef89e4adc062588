"""The fit from signals to model: alignment, training with renewed searches, the zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shapeshift.fit.align import Alignment, align
from shapeshift.fit.bank import Bank, Reach, bank_of
from shapeshift.fit.choose import filled, look_spiked, nuisances_for
from shapeshift.fit.classes import (
    bank_of_classes,
    enumerated_bound,
    learned_prior,
    log_priors,
    look_again,
    temper_from,
)
from shapeshift.fit.gauge import Reference, fit_reference
from shapeshift.fit.kinds import excluded, find_kinds
from shapeshift.fit.phases import Home, home_of
from shapeshift.fit.search import better_places, infer
from shapeshift.fit.start import Design, aligned_mean, build, canonical_grid, start_latents
from shapeshift.fit.start_kinds import (
    displaced,
    lags_of,
    places_of_kinds,
    shown_on_line,
    shown_on_plane,
    start_classes,
    views_on_line,
    views_on_plane,
)
from shapeshift.fit.start_plane import build_plane, plane_start, start_latents_plane, tightened
from shapeshift.fit.subspace import by_subspace
from shapeshift.fit.threads import one_each
from shapeshift.fit.train import History, Plan, Signals, train
from shapeshift.fit.worth import Worth, worth_of_shift
from shapeshift.model.likelihoods import StudentTNoise
from shapeshift.model.nuisance import Nuisance, nuisance
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Warp

STEPS = 900  # optimiser steps when the number of epochs is not given
STILL = 0.02  # prior sd, in samples, where a shift explains less than one more shape component
SAMPLE = 1024  # signals that fix the bank and the zero


OnEpoch: TypeAlias = Callable[[int, dict[str, float]], None]


class Fitted(NamedTuple):
    """A fitted model and what inference needs besides it."""

    vae: PoseVAE
    bank: Bank
    reference: Reference
    history: History
    worth: Worth | None
    home: Home | None = None  # of a set of several patterns
    log_prior: Tensor | None = None  # log p(y) of the classes (Y,), where there are any
    temper: float = 1.0  # what a nat of evidence is worth where classes are told apart


def epochs_for(n: int, batch_size: int, held_out: float, n_classes: int = 0) -> int:
    """Epochs that make up about STEPS steps, at least 4 and at most 400; with classes, which start at shapes
    of their own, half as many."""
    steps = STEPS / 2 if n_classes else STEPS
    return min(400, max(4, math.ceil(steps / math.ceil((1 - held_out) * n / batch_size))))


class Begun(NamedTuple):
    """A model before training, the places of its signals, how far places go, and what the start has shown.

    used: the signals that hold a pattern, (n,) | noise: as the model sees it.
    """

    vae: PoseVAE
    used: Tensor
    noise: Tensor
    place: Tensor
    reach: int | Reach
    plan: Plan
    worth: Worth | None = None
    still: bool = False


@one_each()
def fit(
    design: Design,
    plan: Plan,
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    *,
    given: Tensor | None = None,
    labels: Tensor | None = None,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Fit the design to signals x (n, P) with noise sd and contrast (n, 2), in model units.

    given (n, c): what is known of every signal. labels (n,): where the design has classes, those that are
    known, 0 .. Y - 1, and -1 for the others.
    """
    if design.n_classes:
        return _fit_with_classes(design.with_classes(), plan, x, noise, generator, labels, on_epoch)
    given = x.new_zeros(len(x), 0) if given is None else given
    begin = _begun_on_plane if design.image else _begun_on_line
    vae, used, noise, place, reach, plan, worth, still = begin(design, plan, x, noise, given, generator)
    x, given = x[used], given[used]

    def bank(rows: Tensor, place: Tensor) -> Bank:
        theta = encoded(vae, x[rows], place[rows], given[rows])
        return bank_of(theta, vae.n_pose, reach, n_given=vae.n_given, kinds=design.kinds)

    def search(vae: PoseVAE, data: Signals) -> Tensor:
        some = torch.arange(min(SAMPLE, len(x)))
        return better_places(vae, bank(some, data.place), data.x, data.noise, data.place, data.given)

    data = Signals(x, noise, place, given, x[:, :0])
    history = train(vae, data, plan, generator, search=search if vae.n_pose else None, on_epoch=on_epoch)
    some = torch.linspace(0, len(x) - 1, min(SAMPLE, len(x))).long()  # the same for every seed
    theta = settled(vae, x[some], noise[some], given[some], bank(some, place))
    if isinstance(reach, Reach):
        reach = tightened(vae, theta, reach)
    line = design.image is None and vae.n_pose > 0
    return Fitted(
        vae,
        bank_of(theta, vae.n_pose, reach, n_given=vae.n_given, kinds=design.kinds),
        fit_reference(vae, theta, rigid=still) if line else _no_reference(vae),
        history,
        worth,
        home_of(theta[:, : vae.n_pose + vae.n_latent]) if line and not still else None,
    )


def _begun_on_line(
    design: Design, plan: Plan, x: Tensor, noise: Tensor, given: Tensor, generator: torch.Generator
) -> Begun:
    """Signals: what was left to the data decided, lags by correlation, networks around the aligned mean."""
    held = filled(x, noise)
    x, noise, used = x[held], noise[held], torch.nonzero(held)[:, 0]
    design = _chosen(design, x, noise, generator)
    free = nuisance(design.nuisance or (), canonical_grid(x.shape[1]))
    noise = noise if free is None else free.seen(x, noise)
    start = starting_lags(design, free, design.likelihood.tamed(x), noise, generator)
    worth = worth_of_shift(x, noise, start.lag, design.n_latent) if "shift" in design.warps else None
    still = worth is not None and not worth.shifts and design.prior_sd.get("shift") is None
    if still:
        start = start._replace(lag=torch.zeros_like(start.lag), reach=max(4, x.shape[1] // 12))
        design = design._replace(prior_sd={"shift": STILL * 2 / (x.shape[1] - 1)})
    if start.turned:  # one latent alone would make do with false shifts
        plan = replace(plan, release=(0.0, 0.0))
    vae = build(design, x, start, generator)
    start_latents(vae, x, noise, start)
    return Begun(vae, used, noise, start.lag, start.reach, plan, worth, still)


def _begun_on_plane(
    design: Design, plan: Plan, x: Tensor, noise: Tensor, given: Tensor, generator: torch.Generator
) -> Begun:
    """Images: poses by comparison with their own mean, networks around it."""
    start = plane_start(design, x, generator)
    vae = build_plane(design, x, start, generator)
    start_latents_plane(vae, x, given, start)
    return Begun(vae, torch.arange(len(x)), noise, start.place, start.reach, plan)


HOLD = (0.1, 0.03, 0.0, 0.0)  # power of the start's probabilities, at one look at all classes after the other
LOOKS = (0.15, 0.3, 0.6)  # when that is, as a share of the training


def _fit_with_classes(
    design: Design,
    plan: Plan,
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    labels: Tensor | None,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """The same where signals are of Y kinds and nobody, or hardly anybody, has told them apart.

    Training starts with the classes of the start and lets go of them step by step: released at once, the
    class that is best drawn first would draw its neighbours' members too.
    """
    labels = torch.full((len(x),), -1) if labels is None else labels
    begin = _kinds_on_plane if design.image else _kinds_on_line
    vae, used, noise, place, reach, share = begin(design, x, noise, generator, labels)
    x, known = x[used], excluded(labels[used], design.n_classes)
    start, holds = share, iter(HOLD)

    def look(vae: PoseVAE, data: Signals) -> Signals:
        nonlocal share
        hold, own = next(holds), learned_prior(share)
        bank = bank_of_classes(vae, data, share, reach)
        share, found = look_again(vae, bank, data, own + hold * start.log() + known)
        prior = log_priors(share, learned_prior(share), hold, start)
        return data._replace(place=found, given=prior)

    data = Signals(x, noise, place, log_priors(share, learned_prior(share), 1.0, start), x[:, :0])
    plan = replace(plan, searches=LOOKS)
    history = train(vae, data, plan, generator, search=look, on_epoch=on_epoch, bound=enumerated_bound)
    data = look(vae, data)  # with the final weights
    return _concluded(vae, data, share, reach, history)


def _concluded(vae: PoseVAE, data: Signals, share: Tensor, reach: int | Reach, history: History) -> Fitted:
    """The likelihood, the bank and the temper, from signals refined under the classes of the last look."""
    some = torch.linspace(0, len(data.x) - 1, min(SAMPLE, len(data.x))).long()
    bank = bank_of_classes(vae, data, share, reach)
    x, noise = data.x[some], data.noise[some]
    given = torch.eye(share.shape[1])[share[some].argmax(1)]
    found = infer(vae, bank, x, noise, given)
    vae.likelihood.settle(x, found.refined.values, noise)
    found = infer(vae, bank, x, noise, given)
    bank = bank_of(found.refined.theta, vae.n_pose, reach, n_given=vae.n_given, kinds=True)
    log_prior, temper = learned_prior(share), temper_from(vae, x, noise, found)
    return Fitted(vae, bank, _no_reference(vae), history, None, None, log_prior, temper)


class BegunKinds(NamedTuple):
    """The same as :class:`Begun` with places (n, Y, ...) and probabilities (n, Y) of every class."""

    vae: PoseVAE
    used: Tensor
    noise: Tensor
    place: Tensor
    reach: int | Reach
    share: Tensor


def _kinds_on_line(
    design: Design, x: Tensor, noise: Tensor, generator: torch.Generator, labels: Tensor
) -> BegunKinds:
    """Signals of several kinds: lags about those of one alignment, a class at a time."""
    held = filled(x, noise)
    x, noise, used = x[held], noise[held], torch.nonzero(held)[:, 0]
    design = _chosen(design, x, noise, generator)
    free = nuisance(design.nuisance or (), canonical_grid(x.shape[1]))
    noise = noise if free is None else free.seen(x, noise)
    tame = design.likelihood.tamed(x)
    start = starting_lags(design, free, tame, noise, generator)
    plain = tame if free is None else free.cleared(design.likelihood.observed(tame))
    moves = "shift" in design.warps
    views = views_on_line(plain, start.lag, moves=moves)
    kinds = find_kinds(views, len(x), design.n_classes, generator, labels[used])
    place = lags_of(kinds, start.lag)
    lag = place.gather(1, kinds.share.argmax(1)[:, None])[:, 0]
    reach = reach_of(lag, x.shape[1]) if moves else start.reach
    place = torch.where(place.abs() > reach, 0, place)
    lag = torch.where(lag.abs() > reach, 0, lag)
    wide = aligned_mean(plain, lag, reach, plain.new_ones(len(x)))
    vae = build(design, x, Alignment(lag, wide, reach, start.unexplained), generator)
    start_classes(vae, kinds.share, lambda r, c: shown_on_line(vae, x[r], place[r, c], reach))
    return BegunKinds(vae, used, noise, place, reach, kinds.share)


def _kinds_on_plane(
    design: Design, x: Tensor, noise: Tensor, generator: torch.Generator, labels: Tensor
) -> BegunKinds:
    """Images of several kinds: displacements by one alignment, turns and scales by pairs."""
    start = plane_start(design, x, generator)
    vae = build_plane(design, x, start, generator)
    warps: list[Warp] = list(vae.warps)  # type: ignore[arg-type]
    views = views_on_plane(design, x, start, warps, vae.sample)
    kinds = find_kinds(views, len(x), design.n_classes, generator, labels)
    place = places_of_kinds(kinds, displaced(start.place, warps), warps)
    start_classes(vae, kinds.share, lambda r, c: shown_on_plane(vae, x[r], place[r, c], start))
    return BegunKinds(vae, torch.arange(len(x)), noise, place, start.reach, kinds.share)


@torch.no_grad()
def encoded(vae: PoseVAE, x: Tensor, place: Tensor, given: Tensor) -> Tensor:
    """theta (n, G + K + c) that the encoder sees in signals (n, P) at known places."""
    return vae.encode(x, place, given).theta(given)


def settled(vae: PoseVAE, x: Tensor, noise: Tensor, given: Tensor, bank: Bank) -> Tensor:
    """theta (n, G + K + c) of signals, after the likelihood has settled on what the refinement leaves."""
    refined = infer(vae, bank, x, noise, given).refined
    vae.likelihood.settle(x, refined.values, noise)
    return infer(vae, bank, x, noise, given).refined.theta


def _chosen(design: Design, x: Tensor, noise: Tensor, generator: torch.Generator) -> Design:
    """The design with what was left to the data decided."""
    moves = "shift" in design.warps
    if design.robust is None and moves and look_spiked(x, noise, generator):
        design = design._replace(likelihood=StudentTNoise())
    if design.nuisance is None:
        found = nuisances_for(design.likelihood, x, noise, generator) if moves else ()
        design = design._replace(nuisance=found)
    return design


def starting_lags(
    design: Design, free: Nuisance | None, x: Tensor, noise: Tensor, generator: torch.Generator
) -> Alignment:
    """Lags by correlation, centred on their median; none where nothing may move."""
    length = x.shape[1]
    if "shift" not in design.warps:
        return Alignment(torch.zeros(len(x), dtype=torch.long), x.mean(0), 2, 1.0)
    if not design.likelihood.linear:  # bits have no bends that tell their noise
        noise = torch.stack([design.likelihood.rough_sd(x, noise), noise[:, 1]], 1)
    rows = None if free is None or not len(free.basis) else free.basis
    found = align(x, noise, generator, basis=rows)
    found = by_subspace(x, noise, found, generator, rows) or found
    middle = int(found.lag.median())
    lag = found.lag - middle
    reach = reach_of(lag, length)
    at = torch.arange(length + 2 * reach) + found.reach - reach - middle
    template = found.template[at.clamp(0, len(found.template) - 1)]
    return found._replace(lag=torch.where(lag.abs() > reach, 0, lag), reach=reach, template=template)


def reach_of(lag: Tensor, length: int) -> int:
    """How far a search goes, in samples: a stray lag must not decide how far all may go."""
    return min(length, int(1.2 * torch.quantile(lag.abs().double(), 0.99)) + max(4, length // 12))


def _no_reference(vae: PoseVAE) -> Reference:
    """delta = 0, where nothing moves."""
    k = vae.n_latent + vae.n_given
    one = torch.ones(k)
    none, knots, bounds = torch.zeros(1), torch.zeros(1, k), torch.zeros(2)
    return Reference(none, knots, 0 * one, one, torch.tensor(0.0), torch.tensor(False), bounds)
