"""The fit from signals to model: alignment, training with renewed searches, the zero."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.bank import Bank, Reach, bank_of
from shapeshift.fit.choose import filled
from shapeshift.fit.gauge import Reference, References, fit_reference, fit_references
from shapeshift.fit.gauge_plane import PlaneZero, fit_plane_zero
from shapeshift.fit.phases import Home, home_of
from shapeshift.fit.recipe_classes import OnEpoch, fit_classes
from shapeshift.fit.refine import refine
from shapeshift.fit.search import better_places, infer
from shapeshift.fit.spread import settle
from shapeshift.fit.start import Design, build
from shapeshift.fit.start_given import (
    agreed,
    rows_of_kinds,
    shown_on_line,
    shown_on_plane,
    start_classes,
    start_images,
    start_signals,
    together,
    worth_of_all,
)
from shapeshift.fit.start_line import decided, lags_within
from shapeshift.fit.start_plane import build_plane, plane_start, tightened
from shapeshift.fit.threads import one_each
from shapeshift.fit.train import History, Plan, Signals, train
from shapeshift.fit.worth import Worth, worth_of_shift
from shapeshift.model.frames import Plane
from shapeshift.model.gaps import bridged, well_seen
from shapeshift.model.vae import PoseVAE

STEPS = 900  # optimiser steps when the number of epochs is not given
IMAGE_STEPS = 600
# A kind often has one factor, and its first latent time to bend around it: released early, two latents hold
# it on an arc, off which draws from the prior look like nothing.
RELEASE_OF_KINDS = (0.05, 0.6)
STILL = 0.02  # prior sd, in samples, where a shift explains less than one more shape component
SAMPLE = 1024  # signals that fix the bank and the zero
FEW_IMAGES = 512


class Fitted(NamedTuple):
    """A fitted model and what inference needs besides it."""

    vae: PoseVAE
    bank: Bank
    reference: Reference | References | PlaneZero
    history: History
    worth: Worth | None
    home: Home | None = None  # of a set of several patterns
    shapes: Tensor | None = None  # z and what is given (m, K + c) of some of the signals
    log_prior: Tensor | None = None  # log p(y) of the classes (Y,), where there are any
    temper: float = 1.0  # what a nat of evidence is worth where classes are told apart


def epochs_for(
    n: int,
    batch_size: int,
    held_out: float,
    n_classes: int = 0,
    *,
    images: bool = False,
    kinds: bool = False,
) -> int:
    """Epochs that make up about STEPS steps (of images IMAGE_STEPS), at least 4 and at most 400; with classes
    to be found, which start at shapes of their own, half as many as of signals, and twice as many where
    signals are of known kinds, whose shapes are released later."""
    steps = STEPS / 2 if n_classes else IMAGE_STEPS if images else STEPS * (2 if kinds else 1)
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
        return _with_classes(design, plan, x, noise, generator, labels, on_epoch)
    given = x.new_zeros(len(x), 0) if given is None else given
    begin = _begun_on_plane if design.image else _begun_on_line
    vae, used, noise, place, reach, plan, worth, still = begin(design, plan, x, noise, given, generator)
    x, given = x[used], given[used]

    def bank(rows: Tensor, place: Tensor) -> Bank:
        theta = encoded(vae, x[rows], place[rows], given[rows])
        return bank_of(theta, vae.n_pose, reach, n_given=vae.n_given, kinds=design.kinds)

    def search(vae: PoseVAE, data: Signals) -> Tensor:
        some = of_every_kind(data.given) if design.kinds else torch.arange(min(SAMPLE, len(x)))
        return better_places(vae, bank(some, data.place), data.x, data.noise, data.place, data.given)

    data = Signals(x, noise, place, given, x[:, :0])
    history = train(vae, data, plan, generator, search=search if vae.n_pose else None, on_epoch=on_epoch)
    enough = SAMPLE if design.image is None else FEW_IMAGES
    some = torch.linspace(0, len(x) - 1, min(enough, len(x))).long()  # the same for every seed
    if design.kinds:
        some = of_every_kind(given, enough)
        with torch.no_grad():
            settle(vae.spread, vae.encode(x[some], place[some], given[some]), given[some])
    theta = settled(vae, x[some], noise[some], given[some], bank(some, place))
    if isinstance(reach, Reach):
        reach = tightened(vae, theta, reach)
    line = design.image is None and vae.n_pose > 0
    return Fitted(
        vae,
        bank_of(theta, vae.n_pose, reach, n_given=vae.n_given, kinds=design.kinds),
        _zero_of(vae, theta, still, design.kinds),
        history,
        worth,
        home_of(theta) if line and not (still or vae.n_given) else None,
        theta[:, vae.n_pose :],
    )


def _begun_on_line(
    design: Design, plan: Plan, x: Tensor, noise: Tensor, given: Tensor, generator: torch.Generator
) -> Begun:
    """Signals: what was left to the data decided, lags by correlation, networks around the aligned mean."""
    held = filled(x, noise)
    x, noise, given, used = x[held], noise[held], given[held], torch.nonzero(held)[:, 0]
    core, gapped = well_seen(x), x
    x = bridged(x, noise[:, 0], generator)  # a start has only to come near
    kinds = rows_of_kinds(given) if design.kinds else [torch.arange(len(x))]
    design = agreed([decided(design, x[r], noise[r], generator, core) for r in kinds], kinds)
    free = design.freed(x.shape[1])
    if free is not None and design.channels > 1:  # no bridge leads from one channel's level to another's
        x = bridged(free.cleared(gapped), noise[:, 0], generator)
    noise = noise if free is None else free.seen(x, noise)
    tame = design.likelihood.tamed(x)
    start = together(tame, kinds, lambda r: lags_within(design, free, tame[r], noise[r], generator, core))
    worth = worth_of_all([worth_of_shift(x[r, core], noise[r], start.lag[r], design.n_latent) for r in kinds])
    worth = worth if "shift" in design.warps else None
    still = worth is not None and not worth.shifts and design.prior_sd.get("shift") is None
    if still:
        start = start._replace(lag=torch.zeros_like(start.lag), reach=max(4, x.shape[1] // 12))
        design = design._replace(prior_sd={"shift": STILL * 2 / (x.shape[1] - 1)})
    if start.turned and not design.kinds:  # one latent alone would make do with false shifts
        plan = replace(plan, release=(0.0, 0.0))
    vae = build(design, x, start, generator)
    if design.kinds:
        start_classes(vae, kinds, lambda r: shown_on_line(vae, x[r], start.lag[r], start.reach))
    else:
        start_signals(vae, x, noise, given, start)
    return Begun(vae, used, noise, start.lag, start.reach, plan, worth, still)


def _begun_on_plane(
    design: Design, plan: Plan, x: Tensor, noise: Tensor, given: Tensor, generator: torch.Generator
) -> Begun:
    """Images: poses by comparison with their own mean, networks around it."""
    kinds = rows_of_kinds(given) if design.kinds else [torch.arange(len(x))]
    start = plane_start(design, x, generator, kinds)
    vae = build_plane(design, x, start, generator)
    if design.kinds:
        start_classes(vae, kinds, lambda r: shown_on_plane(vae, x[r], start.place[r], start))
    else:
        start_images(vae, x, given, start)
    return Begun(vae, torch.arange(len(x)), noise, start.place, start.reach, plan)


def _with_classes(
    design: Design,
    plan: Plan,
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    labels: Tensor | None,
    on_epoch: OnEpoch | None,
) -> Fitted:
    """The same where signals are of several kinds, each with a zero of its own."""
    vae, bank, theta, history, log_prior, temper = fit_classes(
        design.with_classes(), plan, x, noise, generator, labels, on_epoch
    )
    zero = _zero_of(vae, theta, False, True)
    return Fitted(vae, bank, zero, history, None, None, theta[:, vae.n_pose :], log_prior, temper)


def _zero_of(vae: PoseVAE, theta: Tensor, still: bool, kinds: bool) -> Reference | References | PlaneZero:
    if isinstance(vae.frame, Plane):
        return fit_plane_zero(vae, theta, kinds=kinds)
    if not vae.n_pose:
        return _no_reference(vae)
    return (fit_references if kinds else fit_reference)(vae, theta, rigid=still)


def of_every_kind(given: Tensor, most: int = SAMPLE) -> Tensor:
    """At most so many rows, of every kind of what is given (n, c) alike, evenly over its own."""
    kinds, which = given.unique(dim=0, return_inverse=True)
    each = max(1, most // len(kinds))
    rows = [torch.nonzero(which == k)[:, 0] for k in range(len(kinds))]
    return torch.cat([r[torch.linspace(0, len(r) - 1, min(each, len(r))).long()] for r in rows])


@torch.no_grad()
def encoded(vae: PoseVAE, x: Tensor, place: Tensor, given: Tensor) -> Tensor:
    """theta (n, G + K + c) that the encoder sees in signals (n, P) at known places."""
    return vae.encode(x, place, given).theta(given)


def settled(vae: PoseVAE, x: Tensor, noise: Tensor, given: Tensor, bank: Bank) -> Tensor:
    """theta (n, G + K + c) of signals, after the likelihood has settled on what the refinement leaves."""
    refined = infer(vae, bank, x, noise, given).refined
    vae.likelihood.settle(x, refined.values, noise)
    if isinstance(vae.frame, Plane):  # a search over poses is dear, and has just been made
        return refine(vae, x, noise, refined.theta).theta
    return infer(vae, bank, x, noise, given).refined.theta


def _no_reference(vae: PoseVAE) -> Reference:
    """delta = 0, where nothing moves."""
    k = vae.n_latent + vae.n_given
    one = torch.ones(k)
    none, knots, bounds = torch.zeros(1), torch.zeros(1, k), torch.zeros(2)
    return Reference(none, knots, 0 * one, one, torch.tensor(0.0), torch.tensor(False), bounds)
