"""Candidate poses of images: the bank's patterns, turned and scaled, compared at every displacement.

The comparison is made on cells of a few pixels, so that a grid of poses on which nothing moves by more than
about a cell is small enough to try all of it; the encoder and the refinement close the rest. Patterns on the
grid of poses are drawn from few components (their singular vectors), which are what images are correlated
with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.bank import CANDIDATES, Bank, Candidates, Reach, with_a_chance
from shapeshift.model.frames import Plane
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Warp, pull_back

CELLS = 16  # along the longer side of an image whose displacement is searched
FINE = 28  # where only turns and scales are
STEP = 1.5  # cells that a step of the grid of poses moves the edge of the window by
RANK = 64  # components at most
SMALL = 1e-3  # of the largest component, below which the others say nothing


class Cells(NamedTuple):
    """Images in cells of side x side pixels: channels, rows and columns of pixels, side, pixel in canonical
    units, and half the window (2,)."""

    channels: int
    rows: int
    columns: int
    side: int
    pixel: float
    half: tuple[float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return max(1, self.rows // self.side), max(1, self.columns // self.side)

    @property
    def cell(self) -> float:
        return self.side * self.pixel

    def of(self, x: Tensor) -> Tensor:
        """Means over the cells of images (n, M): (n, channels, rows, columns)."""
        images = x.reshape(-1, self.channels, self.rows, self.columns)
        (rows, columns), s = self.shape, self.side
        top, left = (self.rows - rows * s) // 2, (self.columns - columns * s) // 2
        return F.avg_pool2d(images[..., top : top + rows * s, left : left + columns * s], s)

    def wider(self, margin: int) -> tuple[Tensor, tuple[int, int]]:
        """Coordinates (P, 2) of the pixels of all cells and of a margin of cells around, and rows and columns
        of these cells."""
        (rows, columns), s = self.shape, self.side
        lines = []
        for pixels, cells, half in zip((self.rows, self.columns), (rows, columns), self.half, strict=True):
            first = (pixels - cells * s) // 2 - margin * s
            lines.append((first + torch.arange((cells + 2 * margin) * s)) * self.pixel - half)
        grid = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
        return grid, (rows + 2 * margin, columns + 2 * margin)


def cells_of(frame: Plane, grid: Tensor, warps: Sequence[Warp]) -> Cells:
    """Cells coarse enough for a search over displacements, or over turns alone."""
    channels, rows, columns = frame.shape
    pixel = float((grid[1] - grid[0]).abs().max())
    most = CELLS if any(w.name == "shift" for w in warps) else FINE
    half = grid.abs().amax(0)
    side = max(1, math.ceil(max(rows, columns) / most))
    return Cells(channels, rows, columns, side, pixel, (float(half[0]), float(half[1])))


class PoseTable(NamedTuple):
    """Patterns over the grid of poses: mix (m, T, r) @ basis (r, C), C of channels and a window of cells.

    poses (T, G) without displacement | size: how many rotations and scales T consists of | circle: whether
    the rotations close | lags (L, 2): displacements in cells | energy (m, T, L): squares under the window.
    """

    basis: Tensor
    mix: Tensor
    energy: Tensor
    poses: Tensor
    size: tuple[int, int]
    circle: bool
    lags: Tensor
    cells: Cells
    centred: bool

    @property
    def margin(self) -> int:
        return int(self.lags.max())

    def products(self, x: Tensor) -> Tensor:
        """Of images' cells (n, channels, h, w) with every component at every displacement: (n, r, L)."""
        h, w = x.shape[2:]
        side = int(len(self.lags) ** 0.5)
        wide = self.basis.reshape(len(self.basis), x.shape[1], h + side - 1, w + side - 1)
        windows = wide.unfold(2, h, 1).unfold(3, w, 1)  # (r, channels, side, side, h, w)
        # the window at offset (i, j) shows the pattern displaced by margin - (i, j)
        flat = windows.flip(2, 3).permute(2, 3, 0, 1, 4, 5).reshape(len(self.lags) * len(wide), -1)
        return (x.flatten(1) @ flat.T).unflatten(1, (len(self.lags), -1)).transpose(1, 2)

    def explained(self, x: Tensor, *, gain: bool) -> tuple[Tensor, Tensor]:
        """Squares that the best pattern explains of images (n, M) at every pose, (n, T, L), and which."""
        cells = self.cells.of(x)
        cells = cells - cells.mean((1, 2, 3), keepdim=True) if self.centred else cells
        products = self.products(cells)
        best = torch.full((x.shape[0], len(self.poses), len(self.lags)), -torch.inf)
        which = torch.zeros(best.shape, dtype=torch.uint8)
        for k, (mix, energy) in enumerate(zip(self.mix, self.energy, strict=True)):
            product = mix @ products  # (n, T, L)
            now = product.clamp_min(0).square() / (2 * energy + 1e-9) if gain else product - 0.5 * energy
            better = now > best
            best, which = torch.where(better, now, best), which.masked_fill(better, k)
        return best * self.cells.side**2, which


def grid_of(warps: Sequence[Warp], reach: Reach, cell: float) -> tuple[Tensor, tuple[int, int], bool]:
    """Poses (T, G) without displacement, the number of rotations and scales, whether rotations close."""
    step = STEP * cell
    circle = reach.rotation >= math.pi - step / 2
    n = max(1, math.ceil(2 * min(reach.rotation, math.pi) / step))
    turns = torch.arange(n) * (2 * math.pi / n) - math.pi if circle else _evenly(reach.rotation, step)
    axes = {"rotation": turns, "scale": _evenly(reach.scale, step)}
    named = {w.name for w in warps}
    lines = [axes[name] if name in named else torch.zeros(1) for name in ("rotation", "scale")]
    rotation, scale = (t.flatten() for t in torch.meshgrid(*lines, indexing="ij"))
    columns = {"rotation": rotation[:, None], "scale": scale[:, None]}
    parts = [columns[w.name] if w.name in columns else torch.zeros(len(rotation), w.size) for w in warps]
    return torch.cat(parts, 1), (len(lines[0]), len(lines[1])), circle and "rotation" in named


def _evenly(reach: float, step: float) -> Tensor:
    """Values from -reach to reach, 0 among them, not further apart than ``step``."""
    n = math.ceil(reach / step)
    return torch.linspace(-reach, reach, 2 * n + 1) if n else torch.zeros(1)


@torch.no_grad()
def table_from(
    draw: Callable[[Tensor], Tensor],
    warps: Sequence[Warp],
    cells: Cells,
    reach: Reach,
    *,
    centred: bool = False,
) -> PoseTable:
    """The table of patterns that ``draw`` gives: coordinates (P, 2) -> values (m, channels P)."""
    poses, size, circle = grid_of(warps, reach, cells.cell)
    moves = any(w.name == "shift" for w in warps)
    margin = math.ceil(reach.shift / cells.cell) if moves else 0
    grid, (rows, columns) = cells.wider(margin)
    drawn = torch.stack([draw(u) for u in pull_back(warps, grid, poses)], 1)  # (m, T, channels P)
    m, t = drawn.shape[:2]
    images = drawn.reshape(m * t, cells.channels, rows * cells.side, columns * cells.side)
    small = F.avg_pool2d(images, cells.side)
    along = torch.arange(-margin, margin + 1)
    lags = torch.stack(torch.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)
    energy = _energy(small, cells.shape, centred).reshape(m, t, len(lags))
    mix, basis = _components(small.flatten(1))
    return PoseTable(basis, mix.reshape(m, t, -1), energy, poses, size, circle, lags, cells, centred)


def _energy(small: Tensor, shape: tuple[int, int], centred: bool) -> Tensor:
    """Squares of patterns (T, channels, H, W) under the window at every displacement, (T, L)."""
    area = shape[0] * shape[1]
    squares = area * F.avg_pool2d(small.square().sum(1, keepdim=True), shape, stride=1)
    if centred:
        channels = small.shape[1]
        mean = F.avg_pool2d(small.mean(1, keepdim=True), shape, stride=1)
        squares = squares - area * channels * mean.square()
    return squares.flip(2, 3).flatten(1)


def _components(rows: Tensor) -> tuple[Tensor, Tensor]:
    """rows (T, C) as mix (T, r) @ basis (r, C)."""
    square = rows.T @ rows if rows.shape[1] < len(rows) else rows @ rows.T
    values, vectors = torch.linalg.eigh(square.double())
    rank = int((values > SMALL**2 * values[-1]).sum().clamp(1, RANK))
    top = vectors[:, -rank:].to(rows.dtype)
    if rows.shape[1] < len(rows):
        return rows @ top, top.T
    basis = top.T @ rows
    size = basis.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return top * size[:, 0], basis / size


def pose_table(vae: PoseVAE, bank: Bank) -> PoseTable:
    """The table of the bank's shapes."""
    assert isinstance(vae.frame, Plane)
    assert isinstance(bank.reach, Reach)
    warps = vae.named_warps
    field = vae.field(bank.z)
    cells = cells_of(vae.frame, vae.grid, warps)
    centred = vae.nuisance is not None and len(vae.nuisance.basis) > 0
    draw = lambda u: vae.expected(field(u.expand(len(bank.z), *u.shape)))  # noqa: E731
    return table_from(draw, warps, cells, bank.reach, centred=centred)


def pose_candidates(vae: PoseVAE, bank: Bank, table: PoseTable, x: Tensor, noise: Tensor) -> Candidates:
    """Local maxima over poses of max_m [-||x - T_m(pose)||^2 / (2 sigma^2)] + log prior(pose)."""
    y = vae.likelihood.tamed(x)
    gain = vae.nuisance is not None and vae.nuisance.gain
    best, which = table.explained(y, gain=gain)
    weight = vae.likelihood.rough_sd(x, noise).square().reciprocal()[:, None]
    places = places_of(table)
    prior = 0.5 * (places.square() * vae.prior_precision()[: vae.n_pose]).sum(2)
    score, top = peaks(table, best * weight[..., None] - prior).topk(CANDIDATES, dim=1)
    energy = table.cells.side**2 * table.cells.of(y).square().sum((1, 2, 3))
    shape = which.flatten(1).gather(1, top).long()
    left = 0.5 * weight * energy[:, None] - score
    return Candidates(places.flatten(0, 1)[top], shape, with_a_chance(left) & torch.isfinite(score))


def places_of(table: PoseTable) -> Tensor:
    """All poses of the grid with their displacements, (T, L, G); a displacement comes last."""
    t, lags = len(table.poses), len(table.lags)
    poses = table.poses[:, None].expand(t, lags, -1).clone()
    if lags > 1:
        poses[..., -2:] = table.lags * table.cells.cell
    return poses


def peaks(table: PoseTable, score: Tensor) -> Tensor:
    """Scores (n, T, L), flattened, of the local maxima over the grid of poses; minus infinity elsewhere."""
    n, (turns, scales) = len(score), table.size
    side = int(len(table.lags) ** 0.5)
    grid = score.reshape(n, turns, scales, side, side)
    beyond = grid[:, :1] if table.circle else torch.full_like(grid[:, :1], -torch.inf)
    before = grid[:, -1:] if table.circle else beyond
    around = torch.cat([before, grid, beyond], 1)
    high = torch.maximum(torch.maximum(around[:, :-2], around[:, 1:-1]), around[:, 2:])
    high = F.max_pool3d(high.flatten(0, 1), 3, stride=1, padding=1).reshape(grid.shape)
    return torch.where(grid >= high, grid, -torch.inf).flatten(1)
