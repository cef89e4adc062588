"""Signals that were measured on other axes than the model's: searched for on its axis, read on their own.

Resampling correlates noise and bends narrow features; what a signal says is therefore told by the samples
that were taken, at the coordinates they were taken at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from shapeshift.data.coordinates import Axis, Measured, Stack
from shapeshift.fit.intake import as_measured, own_noise, tensors, units
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.reading import posterior_of, seen_by
from shapeshift.fit.refine import Refined, refine
from shapeshift.fit.search import Found, infer
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    from shapeshift.fit.estimators import ShiftVAE


def read_on(vae: PoseVAE, axis: Axis, at: np.ndarray) -> PoseVAE:
    """The model of signals on an axis, read at axis values (P',)."""
    grid = (at - axis.centre) / axis.half
    return vae.on(torch.from_numpy(grid).to(vae.grid.dtype)[:, None])


def parts(stack: Stack) -> Iterator[tuple[slice, Measured | None]]:
    """The rows of a stack, those of one axis together, in their order."""
    done = 0
    for own in stack.measured:
        if own.rows.start > done:
            yield slice(done, own.rows.start), None
        yield own.rows, own
        done = own.rows.stop
    if done < len(stack.values):
        yield slice(done, len(stack.values)), None


def posterior_as_measured(
    model: ShiftVAE, stack: Stack, given: torch.Tensor, found: Found | None = None
) -> Posterior:
    """Posterior of signals of which (n, c) is given, every part of the stack on its own axis."""
    x, noise = tensors(model, stack)
    gain, axis = units(model, stack), model._axis
    out = []
    for rows, own in parts(stack):
        measured = None
        if own is not None:
            signals, sds = as_measured(model, stack, own), own_noise(model, stack, own)
            measured = read_on(model.fitted_.vae, axis, own.axis), signals, torch.from_numpy(sds).float()
        part = x[rows], noise[rows], given[rows], model.zero, gain[rows], axis, stack, taken(found, rows)
        out.append(posterior_of(model.fitted_, *part, measured))
    return joined(out, stack)


def taken(found: Found | None, rows: slice) -> Found | None:
    """Some rows of what was found."""
    if found is None:
        return None
    return Found(Refined(*(t[rows] for t in found.refined)), found.rival_pose[rows], found.rival_gap[rows])


def joined(parts: list[Posterior], stack: Stack) -> Posterior:
    """Posteriors of the parts of a stack as one."""
    columns = {f.name: [getattr(p, f.name) for p in parts] for f in fields(Posterior)}
    arrays: dict[str, Any] = {
        k: np.concatenate(v) for k, v in columns.items() if isinstance(v[0], np.ndarray)
    }
    return replace(parts[0], stack=stack, **arrays)


@torch.no_grad()
def drawn_as_measured(model: ShiftVAE, stack: Stack, given: torch.Tensor) -> tuple[Stack, np.ndarray]:
    """Expected signals (n, P') at the posterior, in model units, of a stack that was measured on one other
    axis, and the stack as it is there."""
    (own,), vae = stack.measured, model.fitted_.vae
    x, noise = tensors(model, stack)
    noise = seen_by(vae, x, noise)
    theta = infer(vae, model.fitted_.bank, x, noise, given).refined.theta
    there, signals = read_on(vae, model._axis, own.axis), as_measured(model, stack, own)
    sds = seen_by(there, signals, torch.from_numpy(own_noise(model, stack, own)).float())
    values = refine(there, signals, sds, theta).values
    axis = Axis(own.axis, stack.axis.name, stack.axis.units)
    return replace(stack, axis=axis), vae.likelihood.mean(values).double().numpy()
