"""Networks where signals are of several kinds: every class starts at its own mean and its own components."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.align import Alignment
from shapeshift.fit.kinds import Kinds, ViewsOf
from shapeshift.fit.start import (
    Design,
    aligned_mean,
    prepared,
    settled_lags,
    spline_coefficients,
)
from shapeshift.fit.start_plane import PlaneStart, surface_coefficients
from shapeshift.fit.turning import centred, mean_image, moved_back
from shapeshift.fit.views import (
    Views,
    cell_size,
    image_views,
    lag_grid,
    pose_grid,
    signal_views,
)
from shapeshift.model.decoders import Template
from shapeshift.model.encoders import Encoder
from shapeshift.model.frames import Plane
from shapeshift.model.frames import moved_back as lagged_back
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Warp

FEWEST = 3  # members of a class that tell a shape
NEAR = 8  # the window over the lags beyond those of one alignment that members of a class may have


def views_on_line(x: Tensor, lag: Tensor, *, moves: bool) -> ViewsOf:
    """Views of signals (n, P) about lags (n,)."""
    grid = lag_grid(x.shape[1] // NEAR if moves else 0)
    return lambda rows, basis: signal_views(x[rows], lag[rows], grid, basis)


def views_on_plane(design: Design, x: Tensor, start: PlaneStart, warps: list[Warp], pixel: float) -> ViewsOf:
    """Views of images (n, M) about the displacements found; turns and scales start anew."""
    assert design.image is not None
    frame = Plane(*design.image)
    grid = pose_grid(warps, start.reach, cell_size(frame, pixel))
    place = displaced(start.place, warps)

    def views(rows: Tensor, basis: Tensor | None) -> Views:
        return image_views(x[rows], frame, pixel, warps, place[rows], grid, basis)

    return views


def displaced(place: Tensor, warps: list[Warp]) -> Tensor:
    """Places (n, G) of which only the displacement is kept."""
    kept = torch.cat([torch.full((w.size,), float(w.name == "shift")) for w in warps] + [torch.zeros(0)])
    return place * kept


def lags_of(kinds: Kinds, lag: Tensor) -> Tensor:
    """Lags (n, Y) under every class, in whole samples, about the median of its likeliest members."""
    if not kinds.pose.shape[2]:
        return lag[:, None].expand_as(kinds.share).clone()
    out = lag[:, None] + kinds.pose[..., 0].round().long()
    for c, rows in enumerate(members(kinds.share)):
        out[:, c] -= out[rows, c].median()
    return out


def places_of_kinds(kinds: Kinds, place: Tensor, warps: list[Warp]) -> Tensor:
    """Places (n, Y, G) under every class, about the middle of its likeliest members."""
    out = place[:, None] + kinds.pose
    for c, rows in enumerate(members(kinds.share)):
        middle = out[rows, c] - centred(out[rows, c], warps)
        out[:, c] -= middle[:1] if len(rows) else 0.0
    return out


def members(share: Tensor) -> list[Tensor]:
    """Rows of every class's members by shares (n, Y); of one that nearly died the few that come nearest."""
    best = share.argmax(1)
    found = []
    for c, column in enumerate(share.T):
        rows = torch.nonzero(best == c)[:, 0]
        found.append(
            rows if len(rows) >= FEWEST else column.topk(min(FEWEST, len(column))).indices.sort().values
        )
    return found


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
    y, seen = lagged_back(ready.x, lag)
    return Shown(y, seen, ready.weight.sqrt()[:, None], spline_coefficients(mean))


def shown_on_plane(vae: PoseVAE, x: Tensor, place: Tensor, start: PlaneStart) -> Shown:
    """Of images (n, M) at places (n, G)."""
    frame, warps = vae.frame, list(vae.warps)
    assert isinstance(frame, Plane)
    moved, there = moved_back(x, place, frame, vae.grid, warps, start.lattice)  # type: ignore[arg-type]
    mean = mean_image(moved, there, x.new_ones(len(x)))
    mean = vae.likelihood.values_at(mean) if vae.nuisance is None else mean
    y, seen = frame.moved_back(x, place, warps, vae.grid)  # type: ignore[arg-type]
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
def start_classes(vae: PoseVAE, share: Tensor, show: Callable[[Tensor, int], Shown]) -> None:
    """Give the decoder every class's mean and principal components, and the encoder the maps to them.

    Parameters
    ----------
    share : Tensor (n, Y)
        Probabilities of the classes.
    show : rows, class -> Shown
        The members of a class in its own frame.
    """
    decoder, encoder, k = vae.decoder, vae.encoder, vae.n_latent
    if not (isinstance(decoder, Template) and isinstance(encoder, Encoder)):
        return
    decoder.log_gain.requires_grad_(not (vae.nuisance is not None and vae.nuisance.gain))
    shown = [show(rows, c) for c, rows in enumerate(members(share))]
    means = torch.stack([s.mean for s in shown])
    decoder.base.copy_(share.mean(0) @ means)
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
    y = settled_lags(shown.y, shown.seen, mean) if decoder.lattice is None and g else shown.y
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
