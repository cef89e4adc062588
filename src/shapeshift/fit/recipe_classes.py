"""The fit where signals are of several kinds that nobody, or hardly anybody, has told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from shapeshift.fit.align import Alignment
from shapeshift.fit.bank import Bank, Reach, bank_of
from shapeshift.fit.choose import filled
from shapeshift.fit.classes import (
    bank_of_classes,
    enumerated_bound,
    learned_prior,
    log_priors,
    look_again,
    temper_from,
)
from shapeshift.fit.kinds import excluded, find_kinds
from shapeshift.fit.search import infer
from shapeshift.fit.start import Design, aligned_mean, build
from shapeshift.fit.start_given import shown_on_line, shown_on_plane, start_classes
from shapeshift.fit.start_kinds import (
    displaced,
    lags_of,
    members,
    places_of_kinds,
    views_on_line,
    views_on_plane,
)
from shapeshift.fit.start_line import decided, lags_within, reach_of
from shapeshift.fit.start_plane import build_plane, plane_start
from shapeshift.fit.train import History, Plan, Signals, train
from shapeshift.model.gaps import bridged, well_seen
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Warp

SOME = 512  # signals that fix the likelihood, the bank and the temper
OnEpoch: TypeAlias = Callable[[int, dict[str, float]], None]

HOLD = (0.1, 0.03, 0.0, 0.0)  # power of the start's probabilities, at one look at all classes after the other
LOOKS = (0.15, 0.3, 0.6)  # when that is, as a share of the training


class Learned(NamedTuple):
    """A model of classes, its bank, theta (m, G + K + Y) of some signals, log p(y) (Y,)."""

    vae: PoseVAE
    bank: Bank
    theta: Tensor
    history: History
    log_prior: Tensor
    temper: float


def fit_classes(
    design: Design,
    plan: Plan,
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    labels: Tensor | None,
    on_epoch: OnEpoch | None,
) -> Learned:
    """Fit where signals are of Y kinds and nobody, or hardly anybody, has told them apart.

    Training starts with the classes of the start and lets go of them step by step: released at once, the
    class that is best drawn first would draw its neighbours' members too.
    """
    labels = torch.full((len(x),), -1) if labels is None else labels
    begin = _kinds_on_plane if design.image else _kinds_on_line
    vae, used, noise, place, reach, share = begin(design, x, noise, generator, labels)
    x, known = x[used], excluded(labels[used], design.n_classes)
    start, memory = share, {"share": share, "looks": torch.tensor(0)}

    def look(vae: PoseVAE, data: Signals) -> Signals:
        hold, own = HOLD[int(memory["looks"])], learned_prior(memory["share"])
        bank = bank_of_classes(vae, data, memory["share"], reach)
        share, found = look_again(vae, bank, data, own + hold * start.log() + known)
        memory.update(share=share, looks=memory["looks"] + 1)
        prior = log_priors(share, learned_prior(share), hold, start)
        return data._replace(place=found, given=prior)

    data = Signals(x, noise, place, log_priors(share, learned_prior(share), 1.0, start), x[:, :0])
    plan = replace(plan, searches=LOOKS)
    history = train(
        *(vae, data, plan, generator),
        search=look,
        on_epoch=on_epoch,
        bound=enumerated_bound,
        memory=memory,
    )
    data = look(vae, data)  # with the final weights
    return _concluded(vae, data, memory["share"], reach, history)


def _concluded(vae: PoseVAE, data: Signals, share: Tensor, reach: int | Reach, history: History) -> Learned:
    """The likelihood, the bank and the temper, from signals refined under the classes of the last look."""
    some = torch.linspace(0, len(data.x) - 1, min(SOME, len(data.x))).long()
    bank = bank_of_classes(vae, data, share, reach)
    x, noise = data.x[some], data.noise[some]
    given = torch.eye(share.shape[1])[share[some].argmax(1)]
    found = infer(vae, bank, x, noise, given)
    vae.likelihood.settle(x, found.refined.values, noise)
    found = infer(vae, bank, x, noise, given)
    bank = bank_of(found.refined.theta, vae.n_pose, reach, n_given=vae.n_given, kinds=True)
    log_prior, temper = learned_prior(share), temper_from(vae, x, noise, found)
    return Learned(vae, bank, found.refined.theta, history, log_prior, temper)


class BegunKinds(NamedTuple):
    """A model before training; places (n, Y, ...) and probabilities (n, Y) of every class."""

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
    core, gapped = well_seen(x), x
    x = bridged(x, noise[:, 0], generator)
    design = decided(design, x, noise, generator, core)
    free = design.freed(x.shape[1])
    if free is not None and design.channels > 1:
        x = bridged(free.cleared(gapped), noise[:, 0], generator)
    noise = noise if free is None else free.seen(x, noise)
    tame = design.likelihood.tamed(x)
    start = lags_within(design, free, tame, noise, generator, core)
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
    own = place[torch.arange(len(x)), kinds.share.argmax(1)]
    start_classes(vae, members(kinds.share), lambda r: shown_on_line(vae, x[r], own[r], reach))
    return BegunKinds(vae, used, noise, place, reach, kinds.share)


def _kinds_on_plane(
    design: Design, x: Tensor, noise: Tensor, generator: torch.Generator, labels: Tensor
) -> BegunKinds:
    """Images of several kinds: displacements by one alignment, turns and scales by pairs."""
    start = plane_start(design, x, generator, [torch.arange(len(x))])
    vae = build_plane(design, x, start, generator)
    warps: list[Warp] = list(vae.warps)  # type: ignore[arg-type]
    views = views_on_plane(design, x, start, warps, vae.sample)
    kinds = find_kinds(views, len(x), design.n_classes, generator, labels)
    place = places_of_kinds(kinds, displaced(start.place, warps), warps)
    own = place[torch.arange(len(x)), kinds.share.argmax(1)]
    start_classes(vae, members(kinds.share), lambda r: shown_on_plane(vae, x[r], own[r], start))
    return BegunKinds(vae, torch.arange(len(x)), noise, place, start.reach, kinds.share)
