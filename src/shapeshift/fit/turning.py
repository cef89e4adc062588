"""Global alignment of images: turned, scaled and displaced onto templates that are their own mean.

Every image is compared with the templates on a grid of poses; the templates are then the means of the images
moved back, and the two are refined in turns (:mod:`shapeshift.fit.align` does the same on the line). Several
templates start from images that the others explain least.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.bank import Reach
from shapeshift.fit.poses import Cells, PoseTable, cells_of, places_of, table_from
from shapeshift.fit.threads import side_by_side
from shapeshift.model.fields import Lattice, SplineSurface
from shapeshift.model.frames import Plane, half_window
from shapeshift.model.warps import Warp, push_forward, wrapped

CHUNK = 256
ROUNDS = 6
TURNED = 5.0  # times the harmonics that chance leaves in the mean of images turned at random


class Placed(NamedTuple):
    """Places (n, G), the template each image belongs to (n,), and the share of squares left unexplained."""

    place: Tensor
    kind: Tensor
    unexplained: float


def lattice_for(frame: Plane, grid: Tensor, warps: list[Warp], reach: Reach) -> Lattice:
    """The canonical lattice, of one pixel's step, that every pose within reach reads from."""
    pixel = float((grid[1] - grid[0]).abs().max())
    half = grid.abs().amax(0)
    named = {w.name for w in warps}
    if "rotation" in named:
        half = half.norm().expand(2)
    half = half + (reach.shift if "shift" in named else 0.0)
    half = half * (math.exp(reach.scale) if "scale" in named else 1.0)
    rows, columns = (
        2 * math.ceil(float(h) / pixel) + 3 + (n % 2 == 0) for h, n in zip(half, frame.shape[1:], strict=True)
    )
    return Lattice(frame.shape[0], rows, columns, (rows - 1) / 2 * pixel, (columns - 1) / 2 * pixel)


def points_of(lattice: Lattice) -> Tensor:
    """Canonical coordinates (rows columns, 2) of a lattice."""
    lines = (
        torch.linspace(-lattice.half_rows, lattice.half_rows, lattice.rows),
        torch.linspace(-lattice.half_columns, lattice.half_columns, lattice.columns),
    )
    return torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)


def moved_back(
    x: Tensor, place: Tensor, frame: Plane, grid: Tensor, warps: list[Warp], lattice: Lattice
) -> tuple[Tensor, Tensor]:
    """Images x (n, M) at pose 0 on a lattice, (n, channels, rows, columns), and where they were seen."""
    at = push_forward(warps, points_of(lattice), place) / half_window(grid)
    points = at.flip(-1).reshape(len(x), lattice.rows, lattice.columns, 2)
    images = x.reshape(len(x), *frame.shape)
    moved = F.grid_sample(images, points, mode="bicubic", padding_mode="border", align_corners=True)
    seen = (at.abs() <= 1 + 1e-4).all(-1).reshape(len(x), 1, lattice.rows, lattice.columns)
    return moved * seen, seen.to(x.dtype)


def mean_image(moved: Tensor, seen: Tensor, weight: Tensor) -> Tensor:
    """Mean of moved-back images, (channels, rows, columns); continued smoothly where too few were seen."""
    weight = weight[:, None, None, None]
    total, count = (weight * moved).sum(0), (weight * seen).sum(0)
    known = (count > 0.02 * count.max()).to(total.dtype)
    mean = known * total / count.clamp_min(1e-9)
    while known.any() and not known.all():
        near = F.avg_pool2d(known[None], 3, 1, 1)[0]
        filled = F.avg_pool2d((known * mean)[None], 3, 1, 1)[0] / near.clamp_min(1e-9)
        mean = torch.where(known > 0, mean, filled)
        known = torch.maximum(known, (near > 0).to(known.dtype))
    return mean


def turned_at_random(x: Tensor, frame: Plane, grid: Tensor) -> bool:
    """Whether images (n, M) are turned to all sides alike: then their mean is round, but for chance."""
    turns = torch.linspace(0, 2 * math.pi, 33)[:-1]
    radii = torch.linspace(0.2, 1.0, 9) * float(grid.abs().amax(0).min())
    at = torch.stack([radii[:, None] * turns.cos(), radii[:, None] * turns.sin()], -1)
    points = (at / half_window(grid)).flip(-1).expand(len(x), -1, -1, -1)
    rings = F.grid_sample(x.reshape(len(x), *frame.shape), points, align_corners=True)
    rings = rings - rings.mean(-1, keepdim=True)
    ratio = rings.mean(0).square().sum() / rings.square().mean(0).sum().clamp_min(1e-12)
    return bool(ratio < TURNED / len(x))


@torch.no_grad()
def aligned(
    x: Tensor,
    frame: Plane,
    grid: Tensor,
    warps: list[Warp],
    reach: Reach,
    generator: torch.Generator,
    *,
    templates: int = 1,
    gain: bool = True,
    rounds: int = ROUNDS,
) -> Placed:
    """Places of images (n, M) by turns of search and means.

    The first template is the mean of the images as they are; each further one starts as the image that those
    before it explain least.
    """
    lattice = lattice_for(frame, grid, warps, reach)
    cells = cells_of(frame, grid, warps)
    n, size = len(x), sum(w.size for w in warps)
    place, kind = torch.zeros(n, size), torch.zeros(n, dtype=torch.long)
    images = mean_image(*moved_back(x, place, frame, grid, warps, lattice), torch.ones(n))[None]
    left = 1.0
    for turn in range(rounds + templates - 1):
        table = table_of_images(images, lattice, warps, cells, reach)
        place, kind, share = searched(table, x, gain=gain)
        left = float(1 - share.mean())
        moved, seen = moved_back(x, place, frame, grid, warps, lattice)
        means = [
            mean_image(moved[kind == k], seen[kind == k], torch.ones(int((kind == k).sum())))
            for k in range(len(images))
            if (kind == k).any()
        ]
        if len(means) < templates and turn < rounds + templates - 2:
            worst = int(share.argmin())
            means.append(mean_image(moved[worst : worst + 1], seen[worst : worst + 1], torch.ones(1)))
        images = torch.stack(means)
    return Placed(place, kind, left)


def table_of_images(
    images: Tensor, lattice: Lattice, warps: list[Warp], cells: Cells, reach: Reach
) -> PoseTable:
    """The table of templates (m, channels, rows, columns) on a lattice, constants left out."""
    field = SplineSurface(images.flatten(1), lattice)  # values for coefficients: a little smoother
    return table_from(lambda u: field(u.expand(len(images), *u.shape)), warps, cells, reach, centred=True)


def searched(table: PoseTable, x: Tensor, *, gain: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The best place of images (n, M) in a table, (n, G); which template; share of squares explained."""
    places = places_of(table).flatten(0, 1)

    def part(begin: int) -> tuple[Tensor, Tensor, Tensor]:
        y = x[begin : begin + CHUNK]
        best, which = table.explained(y, gain=gain)
        score, top = best.flatten(1).max(1)
        cells = table.cells.of(y)
        power = (cells - cells.mean((1, 2, 3), keepdim=True)).square().sum((1, 2, 3))
        share = 2 * score / (table.cells.side**2 * power).clamp_min(1e-9)
        return places[top], which.flatten(1).gather(1, top[:, None])[:, 0].long(), share

    parts = side_by_side(part, range(0, len(x), CHUNK))
    place, kind, share = (torch.cat(column) for column in zip(*parts, strict=True))
    return place, kind, share


def centred(place: Tensor, warps: list[Warp]) -> Tensor:
    """Places (n, G) about their middle: what all have in common is the canonical pattern's."""
    out, begin = place.clone(), 0
    for warp in warps:
        columns = slice(begin, begin + warp.size)
        part = place[:, columns]
        if warp.name == "rotation":
            middle = torch.atan2(part.sin().mean(0), part.cos().mean(0))
            out[:, columns] = wrapped(part - middle)
        else:
            out[:, columns] = part - part.median(0).values
        begin += warp.size
    return out
