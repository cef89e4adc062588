"""Reading a fitted model of images: poses in degrees and axis units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from shapeshift.fit.bank import Reach
from shapeshift.fit.gauge_plane import PlaneZero, posed, read, relative
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.reading import AMBIGUOUS, MISFIT, _empty, _numbers, gains, sharpened
from shapeshift.fit.refine import seen_by
from shapeshift.fit.search import infer
from shapeshift.fit.threads import one_each
from shapeshift.model.frames import Plane
from shapeshift.model.latents import Factors
from shapeshift.model.warps import parts_of, pull_back

if TYPE_CHECKING:
    from shapeshift.data.images import ImageStack, Raster
    from shapeshift.fit.estimators import ImageVAE
    from shapeshift.fit.recipe import Fitted
    from shapeshift.fit.search import Found

DEGREES = 180 / np.pi


def columns_of(fitted: Fitted, pose: Tensor, sd: Tensor, raster: Raster) -> dict[str, Any]:
    """Rotation (degrees), scale and shift (axis units) with their sds, of poses (n, G); what no warp moves is
    0, and 1 for the scale."""
    n = len(pose)
    out = {"rotation": np.zeros(n), "rotation_sd": np.zeros(n), "scale": np.ones(n), "scale_sd": np.zeros(n)}
    out |= {"shift": np.zeros((n, 2)), "shift_sd": np.zeros((n, 2))}
    warps = fitted.vae.named_warps
    for (warp, mean), (_, error) in zip(parts_of(warps, pose), parts_of(warps, sd), strict=True):
        value, bar = _numbers(mean), _numbers(error)
        if warp.name == "rotation":
            out["rotation"], out["rotation_sd"] = value[:, 0] * DEGREES, bar[:, 0] * DEGREES
        elif warp.name == "scale":
            out["scale"] = np.exp(value[:, 0])
            out["scale_sd"] = out["scale"] * bar[:, 0]
        else:
            out["shift"], out["shift_sd"] = value * raster.half * raster.signs, bar * raster.half
    return out


@one_each()
@torch.no_grad()
def image_posterior_of(
    fitted: Fitted,
    x: Tensor,
    noise: Tensor,
    given: Tensor,
    gain: np.ndarray,
    stack: ImageStack,
    found: Found | None = None,
) -> Posterior:
    """Posterior of images (n, M) in model units, of which (n, c) is given; ``gain`` (n,) is data units per
    model unit."""
    vae, zero, raster = fitted.vae, fitted.reference, stack.raster
    assert isinstance(zero, PlaneZero)
    noise = seen_by(vae, x, noise)
    found = found or infer(vae, fitted.bank, x, noise, given)
    covariance, excess = sharpened(fitted.vae, x, noise, found)
    theta, g = found.refined.theta, vae.n_pose
    sample_sd = vae.likelihood.rough_sd(x, noise) * excess.sqrt()
    ambiguous = found.rival_gap / excess < AMBIGUOUS
    own, own_sd = gains(vae, x, theta, covariance, sample_sd)
    columns = columns_of(fitted, *read(vae, zero, theta, covariance), raster)
    return Posterior(
        **columns,
        **_rivals(fitted, found, ambiguous, raster),
        z=_numbers(theta[:, g : g + vae.n_latent]),
        z_sd=_numbers(torch.diagonal(covariance[:, g:, g:], dim1=1, dim2=2).sqrt()),
        noise_sd=_numbers(sample_sd) * gain,
        log_evidence=found.refined.log_evidence.double().numpy() - x.shape[1] * np.log(gain),
        flags=_flags(fitted, theta, excess, ambiguous, _empty(vae, x, noise, found, excess)),
        gain=_numbers(own),
        gain_sd=_numbers(own_sd),
        **names_of(stack),
    )


def names_of(stack: ImageStack) -> dict[str, Any]:
    """Names and units of the axes, and the stack itself."""
    raster = stack.raster
    return {
        "axis_name": f"{raster.rows.name}, {raster.columns.name}",
        "axis_units": raster.columns.units,
        "stack": stack,
    }


def _rivals(fitted: Fitted, found: Found, ambiguous: Tensor, raster: Raster) -> dict[str, Any]:
    """Rotation and shift of the other explanation of ambiguous images, nan elsewhere."""
    vae, zero = fitted.vae, fitted.reference
    assert isinstance(zero, PlaneZero)
    none = found.rival_pose.new_zeros(found.rival_pose.shape)
    pose = torch.where(ambiguous[:, None], found.rival_pose, torch.nan)
    columns = columns_of(
        fitted, relative(vae, pose - zero.pose(found.refined.theta[:, vae.n_pose :])), none, raster
    )
    return {"rival_shift": columns["shift"], "rival_rotation": columns["rotation"]}


def _flags(fitted: Fitted, theta: Tensor, excess: Tensor, ambiguous: Tensor, empty: Tensor) -> np.ndarray:
    """Codes of what to doubt, joined by ";", one string an image."""
    vae, reach = fitted.vae, fitted.bank.reach
    assert isinstance(reach, Reach)
    marks = {"ambiguous": ambiguous, "faint": empty, "misfit": excess > MISFIT}
    edge = torch.zeros(len(theta), dtype=torch.bool)
    for warp, part in parts_of(vae.named_warps, theta[:, : vae.n_pose]):
        if warp.name != "rotation" or bool(torch.isfinite(warp.bound).all()):
            edge |= (part.abs() > getattr(reach, warp.name) - 0.5 * vae.sample).any(1)
    marks["edge"] = edge
    codes = sorted(marks)
    told = zip(*(marks[c].tolist() for c in codes), strict=True)
    return np.array([";".join(c for c, on in zip(codes, row, strict=True) if on) for row in told])


def plane_poses(
    fitted: Fitted, shapes: Tensor, rotation: Any, shift: Any, scale: Any, raster: Raster
) -> Tensor:
    """Raw poses (m, G) of rotations (degrees), shifts (axis units) and scales relative to the zero."""
    vae, zero = fitted.vae, fitted.reference
    assert isinstance(zero, PlaneZero)
    m = len(shapes)
    turned = torch.as_tensor(np.broadcast_to(np.asarray(rotation, dtype=np.float32) / DEGREES, (m,)).copy())
    grown = torch.as_tensor(np.log(np.broadcast_to(np.asarray(scale, dtype=np.float32), (m,))))
    moved = np.asarray(shift, dtype=np.float32) / raster.half * np.array(raster.signs, dtype=np.float32)
    parts = {
        "rotation": turned[:, None],
        "scale": grown[:, None],
        "shift": torch.as_tensor(np.broadcast_to(moved, (m, 2)).astype(np.float32)),
    }
    pose = torch.cat([parts[w.name] for w in vae.named_warps] + [shapes[:, :0]], 1)
    return posed(vae, zero, pose, shapes)


@one_each()
@torch.no_grad()
def image_glance(fitted: Fitted, q: Factors, given: Tensor, stack: ImageStack) -> Posterior:
    """The same as :func:`image_posterior_of` of what the encoder alone says."""
    vae, zero = fitted.vae, fitted.reference
    assert isinstance(zero, PlaneZero)
    theta = q.theta(given)
    spread = torch.diag_embed(torch.cat([q.pose_sd, q.z_sd], 1).square())
    unknown = np.full(len(theta), np.nan)
    return Posterior(
        **columns_of(fitted, *read(vae, zero, theta, spread), stack.raster),
        z=_numbers(q.z),
        z_sd=_numbers(q.z_sd),
        noise_sd=unknown,
        log_evidence=unknown.copy(),
        flags=np.full(len(theta), "", dtype="<U1"),
        rival_shift=np.full((len(theta), 2), np.nan),
        rival_rotation=unknown.copy(),
        gain=unknown.copy(),
        gain_sd=unknown.copy(),
        **names_of(stack),
    )


def upright(model: ImageVAE, stack: ImageStack, p: Posterior, given: Tensor) -> np.ndarray:
    """Images (n, M), of which (n, c) is given, moved back by their poses; nan where nothing was measured."""
    vae = model.fitted_.vae
    shapes = torch.cat([torch.as_tensor(p.z, dtype=torch.float32), given], 1)
    there = plane_poses(model.fitted_, shapes, p.rotation, p.shift, p.scale, stack.raster)
    home = plane_poses(model.fitted_, shapes, 0.0, (0.0, 0.0), 1.0, stack.raster)
    if not vae.n_pose:
        return stack.values.copy()
    frame = vae.frame
    assert isinstance(frame, Plane)
    canonical = pull_back(vae.named_warps, vae.grid, home)
    at = canonical
    for warp, part in parts_of(vae.named_warps, there):
        at = warp(at, part)
    moved, seen = frame.read(torch.from_numpy(stack.values).float(), at, vae.grid)
    return np.where(seen.numpy() > 0, moved.double().numpy(), np.nan)
