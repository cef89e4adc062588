"""Several fits from different starts, of which the one that explains unseen signals best is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from shapeshift.fit.recipe import Fitted, fit
from shapeshift.fit.start import Design
from shapeshift.fit.train import Plan


def fit_best(
    design: Design,
    plan: Plan,
    x: Tensor,
    noise: Tensor,
    generator: torch.Generator,
    n_starts: int,
    *,
    given: Tensor | None = None,
    labels: Tensor | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Fitted:
    """:func:`shapeshift.fit.recipe.fit` ``n_starts`` times; all starts hold out the same signals.

    With one start it is the same to the bit. What starts differ in: the signals that serve as first
    templates, the networks' first weights, the order of the batches.
    """
    if n_starts == 1:
        return fit(design, plan, x, noise, generator, given=given, labels=labels, on_epoch=on_epoch)
    seeds = torch.randint(2**31, (n_starts + 1,), generator=generator).tolist()
    plan = replace(plan, split=seeds[-1])
    best: Fitted | None = None
    for seed in seeds[:-1]:
        own = torch.Generator().manual_seed(seed)
        # a fit fills the design's modules: every start takes fresh ones
        fresh = copy.deepcopy(design)
        found = fit(fresh, plan, x, noise, own, given=given, labels=labels, on_epoch=on_epoch)
        if best is None or held_out_loss(found) < held_out_loss(best):
            best = found
    assert best is not None
    return best


def held_out_loss(fitted: Fitted) -> float:
    """The least loss on held-out signals of a fit, nats a signal; infinite where it failed."""
    losses = [v for v in fitted.history.columns.get("val_loss", []) if math.isfinite(v)]
    return min(losses) if losses and fitted.history.stopped != "not finite" else math.inf
