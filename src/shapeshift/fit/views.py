"""Views: every signal or image moved back by each of a grid of poses, in few components.

Patterns of several kinds have no common frame in which they could be compared. So all views of all of them
are made once, and whatever compares two patterns, or one with a class, does so over the grid of poses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.bank import Reach
from shapeshift.model.frames import Plane
from shapeshift.model.warps import Warp, push_forward

COMPONENTS = 64  # of the views, at most
ROWS = 20_000  # views that tell the components
CELLS = 14  # along the longer side of an image
STEP = 1.2  # cells that a step of the grid moves the edge of the window by
WIDER = 4 / 3  # how much further than the search a class may have its members turned
BLUR = (0.25, 0.5, 0.25)
LAGS = 12  # steps of a signal to both sides


class Grid(NamedTuple):
    """Poses (T, G), of which ``zero`` is the one that leaves all as it is.

    step, reach (G,): between neighbours, and how far two patterns may lie apart, 0 where a column has one
    value | circle (G,): where a full turn is the whole of it.
    """

    poses: Tensor
    zero: int
    step: Tensor
    reach: Tensor
    circle: Tensor


class Views(NamedTuple):
    """Views (T, n, D) over a grid of poses, and the components (D, M) that they are given in."""

    z: Tensor
    grid: Grid
    basis: Tensor

    @property
    def upright(self) -> Tensor:
        """The data as they are, (n, D)."""
        return self.z[self.grid.zero]


def grid_over(lines: Sequence[tuple[Tensor, float, bool]]) -> Grid:
    """The product of values along every column of the pose: values, reach, whether they close to a circle."""
    mesh = torch.meshgrid(*[line for line, _, _ in lines], indexing="ij") if lines else []
    poses = torch.stack([m.flatten() for m in mesh], 1) if lines else torch.zeros(1, 0)
    step = torch.tensor([float(line[1] - line[0]) if len(line) > 1 else 0.0 for line, _, _ in lines])
    reach = torch.tensor([far for _, far, _ in lines])
    circle = torch.tensor([closed for _, _, closed in lines], dtype=torch.bool)
    return Grid(poses, int(poses.square().sum(1).argmin()), step, reach, circle)


def lag_grid(far: int) -> Grid:
    """Lags to both sides of those that are known, in samples."""
    step = max(1, math.ceil(far / LAGS))
    n = math.ceil(far / step)
    return grid_over([(step * torch.arange(-n, n + 1).float(), float(far), False)])


def pose_grid(warps: Sequence[Warp], reach: Reach, cell: float) -> Grid:
    """Turns and scales as far as the search goes; where there are none, displacements by one cell."""
    turned = {w.name for w in warps} & {"rotation", "scale"}
    lines = []
    for warp in warps:
        if warp.name == "rotation":
            lines.append(_turns(reach.rotation, STEP * cell))
        elif warp.name == "scale":
            lines.append((_evenly(reach.scale, 2 * STEP * cell), reach.scale, False))
        else:
            near = torch.zeros(1) if turned else cell * torch.arange(-1.0, 2.0)
            lines += [(near, float(near[-1]), False)] * 2
    return grid_over(lines)


def _turns(far: float, step: float) -> tuple[Tensor, float, bool]:
    if far >= math.pi - step / 2:
        n = math.ceil(2 * math.pi / step)
        return torch.arange(n) * (2 * math.pi / n) - math.pi * (n // 2 * 2 / n), math.pi, True
    return _evenly(min(WIDER * far, math.pi), step), far, False


def _evenly(far: float, step: float) -> Tensor:
    """Values from -far to far, 0 among them."""
    n = math.ceil(far / step)
    return torch.linspace(-far, far, 2 * n + 1) if n else torch.zeros(1)


def views_of(draw: Callable[[Tensor], Tensor], grid: Grid, basis: Tensor | None = None) -> Views:
    """The views that ``draw`` gives, pose (G,) -> (n, M), in components of their own or in those given."""
    raw = [draw(pose) for pose in grid.poses]
    basis = _components(raw) if basis is None else basis
    return Views(torch.stack([r @ basis.T for r in raw]), grid, basis)


def _components(raw: list[Tensor]) -> Tensor:
    """Directions (D, M) that hold most of the views about 0."""
    every = max(1, len(raw) * len(raw[0]) // ROWS)
    rows = torch.cat([r[k % every :: every] for k, r in enumerate(raw)]).double()
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    return vectors[:, -COMPONENTS:].flip(1).T.to(raw[0].dtype).contiguous()


def plain(rows: Tensor) -> Tensor:
    """Rows (n, M) without their mean and of unit length: brightness and contrast are no matter of kind."""
    rows = rows - rows.mean(1, keepdim=True)
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-6)


def signal_views(x: Tensor, lag: Tensor, grid: Grid, basis: Tensor | None = None) -> Views:
    """Views of signals (n, P) about known lags (n,), held at their ends."""
    at = torch.arange(x.shape[1])[None] + lag[:, None]

    def draw(pose: Tensor) -> Tensor:
        return plain(x.gather(1, (at + int(pose[0])).clamp(0, x.shape[1] - 1)))

    return views_of(draw if grid.poses.shape[1] else lambda _: x, grid, basis)


def cell_size(frame: Plane, pixel: float) -> float:
    """Canonical units of a cell, CELLS of which make up the longer side of an image."""
    return pixel * max(frame.shape[1:]) / min(CELLS, max(frame.shape[1:]))


def image_views(
    x: Tensor,
    frame: Plane,
    pixel: float,
    warps: Sequence[Warp],
    place: Tensor,
    grid: Grid,
    basis: Tensor | None = None,
) -> Views:
    """Views of images (n, M), in cells, about known places (n, G)."""
    size = [max(1, round(n * pixel / cell_size(frame, pixel))) for n in frame.shape[1:]]
    half = torch.tensor([n / 2 * pixel for n in frame.shape[1:]])  # to the outer edge of the pixels
    lines = [h * ((2 * torch.arange(n) + 1) / n - 1) for h, n in zip(half.tolist(), size, strict=True)]
    points = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
    if any(w.name == "rotation" for w in warps):  # the corners of one image are outside another
        points = points[(points / half).square().sum(1) <= 1.1]
    images = F.adaptive_avg_pool2d(_blurred(x.reshape(len(x), *frame.shape)), (size[0], size[1]))
    images = images - images.mean((1, 2, 3), keepdim=True)

    def draw(pose: Tensor) -> Tensor:
        at = (push_forward(warps, points, place + pose) / half).flip(-1)[:, None]
        seen = F.grid_sample(images, at.expand(len(x), -1, -1, -1), align_corners=False).flatten(1)
        return plain(seen) if warps else seen

    return views_of(draw, grid, basis)


def _blurred(images: Tensor) -> Tensor:
    """Images smoothed by half a cell's width or so: neighbours need not match to the pixel."""
    row = images.new_tensor(BLUR)
    kernel = (row[:, None] * row).expand(images.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=images.shape[1])
