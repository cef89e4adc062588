"""Where fitting starts for images: the mean of the images moved back, and networks around it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.bank import Reach
from shapeshift.fit.start import Design, spline_matrix
from shapeshift.fit.turning import (
    aligned,
    centred,
    lattice_for,
    mean_image,
    moved_back,
    turned_at_random,
)
from shapeshift.model.decoders import CoordinateNet, Decoder, Template
from shapeshift.model.encoders import ConvEncoder, DenseEncoder, Encoder
from shapeshift.model.fields import Lattice
from shapeshift.model.frames import Plane
from shapeshift.model.nuisance import nuisance
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Rotation, Scale, Shift, Warp

QUARTER_TURN = math.pi / 2  # how far a search goes to both sides where images are not turned at random
WIDEST = Reach(math.pi, 0.5, 0.4)  # of a first search, where the user names no prior
MARGIN = 1.2  # by which a reach exceeds the places found


class PlaneStart(NamedTuple):
    """Places of the images (n, G), how far places go, prior sds by the warps' names, the lattice."""

    place: Tensor
    reach: Reach
    prior_sd: dict[str, float | None]
    lattice: Lattice


def pixel_size(rows: int, columns: int) -> float:
    """Side of a pixel in canonical units."""
    return 2.0 / max(rows - 1, columns - 1, 1)


def plane_grid(rows: int, columns: int) -> Tensor:
    """Coordinates of the pixels, (P, 2): isotropic, the longer side is [-1, 1], rows first."""
    pixel = pixel_size(rows, columns)
    lines = ((torch.arange(n) - (n - 1) / 2) * pixel for n in (rows, columns))
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)


def warps_of(
    names: tuple[str, ...], prior_sd: dict[str, float | None], turns: float = math.inf
) -> list[Warp]:
    """The warps of these names in the order of their action: turned (so far at most), scaled, displaced."""
    made: dict[str, Warp] = {}
    if "rotation" in names:
        made["rotation"] = Rotation(prior_sd.get("rotation"), turns)
    if "scale" in names:
        made["scale"] = Scale(prior_sd.get("scale") or 1.0)
    if "shift" in names:
        made["shift"] = Shift(prior_sd.get("shift") or 1.0, 2)
    return list(made.values())


def plane_start(design: Design, x: Tensor, generator: torch.Generator, kinds: list[Tensor]) -> PlaneStart:
    """Align images (n, M), every kind (its rows) by itself, and from their places how far poses go."""
    assert design.image is not None
    frame, grid = Plane(*design.image), plane_grid(*design.image[1:])
    warps = warps_of(design.warps, design.prior_sd)
    turns = design.prior_sd.get("rotation")
    free = "rotation" in design.warps and turns is None and turned_at_random(x, frame, grid)
    reach = WIDEST._replace(rotation=math.pi if free else min(math.pi, 3 * turns if turns else QUARTER_TURN))
    place = torch.zeros(len(x), sum(w.size for w in warps))
    for rows in kinds:
        if warps:
            place[rows] = centred(aligned(x[rows], frame, grid, warps, reach, generator).place, warps)
    return _measured(design, place, warps, grid, free, pixel_size(*design.image[1:]))


def _measured(
    design: Design, place: Tensor, warps: list[Warp], grid: Tensor, free: bool, pixel: float
) -> PlaneStart:
    """Reach and prior sds from the places found, where the user has named none."""
    assert design.image is not None
    sds, reach = dict(design.prior_sd), WIDEST
    begin = 0
    for warp in warps:
        part = place[:, begin : begin + warp.size]
        begin += warp.size
        low, high = torch.quantile(part.flatten().double(), part.new_tensor([0.16, 0.84]).double()).tolist()
        found = sds.get(warp.name) or max(0.6 * (high - low), 2 * pixel)  # a few strays do not sway it
        far = MARGIN * float(torch.quantile(part.abs().double(), 0.99)) + 2 * pixel
        if warp.name == "rotation" and free:
            reach = reach._replace(rotation=math.pi)
        else:
            sds[warp.name] = found
            reach = reach._replace(**{warp.name: min(far, 3 * found, math.pi)})
    lattice = lattice_for(Plane(*design.image), grid, warps, reach)
    return PlaneStart(place, reach, sds, lattice)


def build_plane(design: Design, x: Tensor, start: PlaneStart, generator: torch.Generator) -> PoseVAE:
    """The model of images before training; networks draw from a private random state."""
    assert design.image is not None
    frame, grid = Plane(*design.image), plane_grid(*design.image[1:])
    warps = warps_of(design.warps, start.prior_sd, start.reach.rotation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        encoder = design.encoder if isinstance(design.encoder, torch.nn.Module) else None
        encoder = encoder or _encoder(design, sum(w.size for w in warps))
        decoder = _decoder(design, x, start, frame, grid, warps)
        return PoseVAE(
            warps,
            encoder,
            decoder,
            design.likelihood,
            grid,
            design.n_latent,
            nuisance(design.nuisance or (), grid.repeat(frame.shape[0], 1)[:, :1]),
            frame=frame,
            n_given=design.n_given,
        )


def _encoder(design: Design, n_pose: int) -> torch.nn.Module:
    assert design.image is not None
    channels, rows, columns = design.image
    sizes = (n_pose, design.n_latent, pixel_size(rows, columns), design.n_given)
    if design.encoder == "dense":
        length = channels * rows * columns
        return DenseEncoder(length, *sizes, width=design.width, depth=design.depth, kinds=design.kinds)
    return ConvEncoder(design.image, *sizes, width=design.width, kinds=design.kinds)


def _decoder(
    design: Design, x: Tensor, start: PlaneStart, frame: Plane, grid: Tensor, warps: list[Warp]
) -> torch.nn.Module:
    if not isinstance(design.decoder, str):
        return design.decoder
    total = design.n_latent + design.n_given
    if design.decoder == "coordinate":
        return CoordinateNet(total, 2, design.width, design.depth, frame.shape[0])
    moved, seen = moved_back(x, start.place, frame, grid, warps, start.lattice)
    mean = mean_image(moved, seen, x.new_ones(len(x)))
    base = surface_coefficients(mean if design.nuisance else design.likelihood.values_at(mean))
    decoder: Decoder = Template(
        base.flatten(),
        0.0,
        design.n_latent,
        design.width,
        design.depth,
        n_given=design.n_given,
        lattice=start.lattice,
    )
    return decoder


def surface_coefficients(values: Tensor) -> Tensor:
    """Coefficients of the cubic B-spline surfaces through values (..., rows, columns)."""
    left, right = (spline_matrix(n).to(values.dtype) for n in values.shape[-2:])
    return left @ values @ right.T


@torch.no_grad()
def start_latents_plane(vae: PoseVAE, x: Tensor, start: PlaneStart, effect: Tensor | float = 0.0) -> None:
    """Start the latents at the principal components of what the mean image leaves over, without what a small
    change of the pose would explain; ``effect`` (n, M) is what is explained already, at rest."""
    decoder, encoder, frame = vae.decoder, vae.encoder, vae.frame
    if not (isinstance(decoder, Template) and isinstance(encoder, Encoder) and isinstance(frame, Plane)):
        return
    y, seen = frame.moved_back(x, start.place, vae.named_warps, vae.grid)
    theta = x.new_zeros(1, vae.n_pose + vae.n_latent + vae.n_given)
    values, jacobian = vae.values_and_jacobian(theta)
    mean = vae.likelihood.mean(values) if vae.nuisance is None else values
    rest = (y - effect - mean) * seen
    slopes = torch.linalg.qr(jacobian[0, : vae.n_pose].T)[0]
    rest = rest - (rest @ slopes) @ slopes.T
    _, s, v = torch.linalg.svd(rest - rest.mean(0), full_matrices=False)
    per_unit = values.std() / mean.std().clamp_min(1e-9)  # data to field values
    lattice = start.lattice
    rows, columns = (lattice.rows - frame.shape[1]) // 2, (lattice.columns - frame.shape[2]) // 2
    for k in range(min(vae.n_latent, len(v))):
        sd = (s[k] / len(x) ** 0.5).clamp_min(1e-3)
        wide = F.pad(v[k].reshape(frame.shape), (columns, columns, rows, rows))
        decoder.linear[k] = per_unit * sd * surface_coefficients(wide).flatten()
        more = encoder.linear.weight.shape[1] - 2 * len(v[k])
        encoder.linear.weight[k] = torch.cat([v[k], mean[0] * v[k], v[k].new_zeros(more)]) / sd
        encoder.linear.bias[k] = -(mean[0] * v[k]).sum() / sd


@torch.no_grad()
def tightened(vae: PoseVAE, theta: Tensor, reach: Reach) -> Reach:
    """The reach that the fitted images' poses leave, theta (n, G + K + c), where all share one frame.

    The rotation's prior is set to what was found, if it has a bound: the first alignment had to allow for
    zeros of its own for every kind of pattern.
    """
    turn = next((w for w in vae.named_warps if isinstance(w, Rotation)), None)
    if turn is None or torch.isinf(turn.bound).all():
        return reach
    angle = theta[:, 0].abs().double()  # a rotation comes first
    far = 1.05 * float(torch.quantile(angle, 0.99)) + 2 * vae.sample
    far = min(far, reach.rotation)
    turn.bound.fill_(far)
    turn.prior_sd.fill_(max(1.2 * float(theta[:, 0][angle < far].square().mean().sqrt()), vae.sample))
    return reach._replace(rotation=far)
