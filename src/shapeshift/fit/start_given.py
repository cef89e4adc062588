"""Networks where something is given of every signal: a class starts at its own mean and its own components,
a number at its linear effect.

A class is also aligned by itself: one template cannot hold patterns that have nothing in common, and lags
against a neighbour's pattern would have a zero of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.align import Alignment
from shapeshift.fit.start import (
    Design,
    _settled,
    aligned_mean,
    prepared,
    spline_coefficients,
    start_latents,
)
from shapeshift.fit.start_plane import PlaneStart, start_latents_plane, surface_coefficients
from shapeshift.fit.turning import mean_image
from shapeshift.fit.turning import moved_back as turned_back
from shapeshift.fit.worth import Worth
from shapeshift.model.decoders import Template
from shapeshift.model.encoders import Encoder
from shapeshift.model.frames import Plane, moved_back
from shapeshift.model.vae import PoseVAE

RIDGE = 1e-3  # of the regression on numbers that are given, of their own variance


def rows_of_kinds(given: Tensor) -> list[Tensor]:
    """Rows of every kind of what is given (n, c), in the order of its columns."""
    kinds, which = given.unique(dim=0, return_inverse=True)
    order = kinds.argmax(1).argsort()
    return [torch.nonzero(which == k)[:, 0] for k in order.tolist()]


# --- what every kind says by itself -------------------------------------------------------------------


def agreed(designs: list[Design], rows: list[Tensor]) -> Design:
    """The design that most signals ask for, of those that every kind asks for by itself."""
    asked = [(type(d.likelihood), d.nuisance) for d in designs]
    votes = {a: sum(len(r) for b, r in zip(asked, rows, strict=True) if b == a) for a in asked}
    return designs[asked.index(max(votes, key=lambda a: votes[a]))]


def together(x: Tensor, kinds: list[Tensor], lags_of: Callable[[Tensor], Alignment]) -> Alignment:
    """Lags of signals (n, P), every kind (its rows) aligned by itself; the template is the mean of all."""
    found = [lags_of(r) for r in kinds]
    if len(kinds) == 1:
        return found[0]
    reach, lag = max(a.reach for a in found), torch.zeros(len(x), dtype=torch.long)
    for r, a in zip(kinds, found, strict=True):
        lag[r] = a.lag
    left = sum(len(r) * a.unexplained for r, a in zip(kinds, found, strict=True)) / len(x)
    template = aligned_mean(x, lag, reach, x.new_ones(len(x)))
    return Alignment(lag, template, reach, left, any(a.turned for a in found))


def worth_of_all(found: list[Worth | None]) -> Worth | None:
    """What a shift is worth to the kind that gains most by it; None where one of them must shift."""
    known = [w for w in found if w is not None]
    return min(known, key=lambda w: w.moved / max(w.still, 1e-12)) if len(known) == len(found) else None


# --- classes -------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """Members of a class at rest (n, M), where they were seen, what they tell (n, 1), and their mean as the
    decoder's coefficients (C,)."""

    y: Tensor
    seen: Tensor
    strength: Tensor
    mean: Tensor


def shown_on_line(vae: PoseVAE, x: Tensor, lag: Tensor, reach: int) -> Shown:
    """Of signals (n, P) at lags (n,)."""
    plain = vae.likelihood.observed(vae.likelihood.tamed(x))
    first = plain if vae.nuisance is None else vae.nuisance.cleared(plain)
    template = aligned_mean(first, lag, reach, x.new_ones(len(x)))
    ready = prepared(vae.likelihood, vae.nuisance, x, Alignment(lag, template, reach, 0.0))
    mean = aligned_mean(ready.x, lag, reach, ready.weight)
    mean = vae.likelihood.values_at(mean) if vae.nuisance is None else mean
    y, seen = moved_back(ready.x, lag)
    return Shown(y, seen, ready.weight.sqrt()[:, None], spline_coefficients(mean))


def shown_on_plane(vae: PoseVAE, x: Tensor, place: Tensor, start: PlaneStart) -> Shown:
    """Of images (n, M) at places (n, G)."""
    frame, warps = vae.frame, list(vae.named_warps)
    assert isinstance(frame, Plane)
    moved, there = turned_back(x, place, frame, vae.grid, warps, start.lattice)
    mean = mean_image(moved, there, x.new_ones(len(x)))
    mean = vae.likelihood.values_at(mean) if vae.nuisance is None else mean
    y, seen = frame.moved_back(x, place, warps, vae.grid)
    return Shown(y, seen, x.new_ones(len(x), 1), surface_coefficients(mean).flatten())


def wider(vae: PoseVAE, component: Tensor) -> Tensor:
    """Coefficients (C,) of a component (M,) that is 0 outside the window."""
    decoder = vae.decoder
    assert isinstance(decoder, Template)
    if decoder.lattice is None:
        reach = (len(decoder.base) - len(component)) // 2
        return spline_coefficients(F.pad(component, (reach, reach)))
    assert isinstance(vae.frame, Plane)
    shape = vae.frame.shape
    rows, columns = (decoder.lattice.rows - shape[1]) // 2, (decoder.lattice.columns - shape[2]) // 2
    wide = F.pad(component.reshape(shape), (columns, columns, rows, rows))
    return surface_coefficients(wide).flatten()


@torch.no_grad()
def start_classes(vae: PoseVAE, members: list[Tensor], show: Callable[[Tensor], Shown]) -> None:
    """Give the decoder every class's mean and principal components, and the encoder the maps to them.

    Parameters
    ----------
    members : list of Tensor
        The rows of every class.
    show : rows -> Shown
        The members of a class in its own frame.
    """
    decoder, encoder, k = vae.decoder, vae.encoder, vae.n_latent
    if not (isinstance(decoder, Template) and isinstance(encoder, Encoder)):
        return
    decoder.log_gain.requires_grad_(not (vae.nuisance is not None and vae.nuisance.gain))
    shown = [show(rows) for rows in members]
    means = torch.stack([s.mean for s in shown])
    share = means.new_tensor([len(rows) for rows in members])
    decoder.base.copy_(share @ means / share.sum())
    decoder.linear[k:] = means - decoder.base
    for c, members_of in enumerate(shown):
        _start_class(vae, c, members_of)


def _start_class(vae: PoseVAE, c: int, shown: Shown) -> None:
    """The components of one class, without what a small change of the pose would explain."""
    decoder, encoder, k, g = vae.decoder, vae.encoder, vae.n_latent, vae.n_pose
    assert isinstance(decoder, Template)
    assert isinstance(encoder, Encoder)
    assert decoder.own is not None
    theta = shown.y.new_zeros(1, g + k + vae.n_given)
    theta[0, g + k + c] = 1
    values, jacobian = vae.values_and_jacobian(theta)
    mean = vae.likelihood.mean(values) if vae.nuisance is None else values
    y = _settled(shown.y, shown.seen, mean) if decoder.lattice is None and g else shown.y
    rest = (y - mean) * shown.seen * shown.strength
    slopes = torch.linalg.qr(jacobian[0, :g].T)[0]
    rest = rest - (rest @ slopes) @ slopes.T
    _, s, v = torch.linalg.svd(rest - rest.mean(0), full_matrices=False)
    per_unit = values.std() / mean.std().clamp_min(1e-9)  # data to field values
    seen = mean if vae.nuisance is None else vae.nuisance.plain(mean)  # as the encoder sees it
    gain = vae.nuisance is not None and vae.nuisance.gain
    size = mean.std() / seen.std().clamp_min(1e-9) if gain else 1.0
    for j in range(min(k, len(v) - 1)):
        component, sd = v[j], (s[j] / len(rest) ** 0.5).clamp_min(1e-3)
        decoder.own[c * k + j] = per_unit * sd * wider(vae, component)
        if encoder.own is not None:
            row = size * torch.cat([component, seen[0] * component, component.new_zeros(1)])
            encoder.own.weight[c * k + j] = row / sd
            encoder.own.bias[c * k + j] = -size * (seen[0] * component).sum() / sd


# --- numbers -------------------------------------------------------------------------------------


def effect_of(y: Tensor, seen: Tensor, given: Tensor) -> Tensor:
    """Coefficients (c, M) of the regression of data at rest (n, M) on numbers (n, c), where seen."""
    rows = torch.cat([given.new_ones(len(given), 1), given], 1)
    normal = torch.einsum("nm,na,nb->mab", seen, rows, rows)
    normal = normal + RIDGE * len(given) * torch.diag(rows.new_tensor([0.0] + [1.0] * given.shape[1]))
    normal = normal + 1e-6 * torch.eye(rows.shape[1])
    return torch.linalg.solve(normal, torch.einsum("nm,na->ma", seen * y, rows))[:, 1:].T


@torch.no_grad()
def start_signals(vae: PoseVAE, x: Tensor, noise: Tensor, given: Tensor, start: Alignment) -> None:
    """Latents of signals (n, P), and the effect of the numbers (n, c) that are given of them."""
    if not vae.n_given:
        return start_latents(vae, x, noise, start)
    y, seen = moved_back(prepared(vae.likelihood, vae.nuisance, x, start).x, start.lag)
    effect = effect_of(y, seen, given)
    start_latents(vae, x, noise, start, given @ effect)
    start_effect(vae, effect)


@torch.no_grad()
def start_images(vae: PoseVAE, x: Tensor, given: Tensor, start: PlaneStart) -> None:
    """The same of images (n, M)."""
    if not vae.n_given:
        return start_latents_plane(vae, x, start)
    y, seen = vae.frame.moved_back(x, start.place, vae.named_warps, vae.grid)
    effect = effect_of(y, seen, given)
    start_latents_plane(vae, x, start, given @ effect)
    start_effect(vae, effect)


@torch.no_grad()
def start_effect(vae: PoseVAE, effect: Tensor) -> None:
    """Give the decoder the effect (c, M) of what is given, and let the encoder take it off what it sees."""
    decoder, encoder, k = vae.decoder, vae.encoder, vae.n_latent
    if not (isinstance(decoder, Template) and isinstance(encoder, Encoder)):
        return
    zero = effect.new_zeros(1, vae.n_pose), effect.new_zeros(1, k + vae.n_given)
    values = vae.values(*zero)
    mean = vae.likelihood.mean(values) if vae.nuisance is None else values
    per_unit = values.std() / mean.std().clamp_min(1e-9)  # data to field values
    for j, row in enumerate(effect):
        decoder.linear[k + j] = per_unit * wider(vae, row)
    seen = encoder.linear.weight[:, : effect.shape[1]]
    encoder.linear.weight[:, -vae.n_given :] -= seen @ effect.T
