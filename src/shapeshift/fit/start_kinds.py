"""Views of the data as they were aligned, and places in the frame of every class."""

from __future__ import annotations

import torch
from torch import Tensor

from shapeshift.fit.kinds import Kinds, ViewsOf
from shapeshift.fit.start import (
    Design,
)
from shapeshift.fit.start_plane import PlaneStart
from shapeshift.fit.turning import centred
from shapeshift.fit.views import (
    Views,
    cell_size,
    image_views,
    lag_grid,
    pose_grid,
    signal_views,
)
from shapeshift.model.frames import Plane
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
