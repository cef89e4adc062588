"""Frames: how measured data are moved back by a pose, so that an encoder sees them near pose 0.

A *place* is what a global search says of the pose: on the line a whole number of samples, so that moving
back needs no interpolation; on the plane the parameters of all warps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.model.gaps import with_zeros
from shapeshift.model.warps import Rotation, Warp, composed, parts_of, push_forward, wrapped


class Frame(ABC):
    """Geometry of the measured grid.

    Attributes
    ----------
    elsewhere : float
        How far apart two poses must lie, in samples, to be two answers and not one.
    """

    elsewhere: float

    @abstractmethod
    def apart(self, a: Tensor, b: Tensor, warps: Sequence[Warp]) -> Tensor:
        """How far poses (B, G) lie apart, (B,): canonical units, at the edge of the window."""

    @abstractmethod
    def moved_back(
        self, x: Tensor, place: Tensor, warps: Sequence[Warp], grid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Data x (B, M) at pose 0 by its place, and the mask (B, M) of what was measured there."""

    @abstractmethod
    def pose(self, place: Tensor, rest: Tensor, warps: Sequence[Warp], sample: float) -> Tensor:
        """The pose (B, G) that is ``rest`` (B, G) at a place."""

    @abstractmethod
    def jittered(self, place: Tensor, amount: int, sample: float, generator: torch.Generator) -> Tensor:
        """Places (n, ...) moved at random by up to ``amount`` samples."""

    @abstractmethod
    def nowhere(self, n: int, n_pose: int) -> Tensor:
        """The places of n signals that do not move."""


@final
class Line(Frame):
    """Signals: a place is a lag (B,), in whole samples.

    Parameters
    ----------
    channels : int
        Lanes C of P samples that lie side by side, P apart: all move by one shift, and none that moves by
        less than half a lane can reach another. What lies between was not measured.
    """

    elsewhere = 1.0

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels

    @property
    def window(self) -> float:
        """Half a lane, in canonical units."""
        return 1 / (2 * self.channels - 1)

    def each(self, signal: Tensor) -> Tensor:
        """The channels (..., C, P) of what lies on the line (..., (2 C - 1) P)."""
        return signal.unflatten(-1, (2 * self.channels - 1, -1))[..., ::2, :]

    def own(self, signal: Tensor) -> Tensor:
        """What was measured of it: its channels one after the other, (..., C P)."""
        return signal if self.channels == 1 else self.each(signal).flatten(-2)

    def apart(self, a: Tensor, b: Tensor, warps: Sequence[Warp]) -> Tensor:
        return (a - b).abs().amax(1)

    def moved_back(
        self, x: Tensor, place: Tensor, warps: Sequence[Warp], grid: Tensor
    ) -> tuple[Tensor, Tensor]:
        return moved_back(x, place)

    def pose(self, place: Tensor, rest: Tensor, warps: Sequence[Warp], sample: float) -> Tensor:
        return rest + sample * place[:, None].to(rest.dtype) if len(warps) else rest

    def jittered(self, place: Tensor, amount: int, sample: float, generator: torch.Generator) -> Tensor:
        return place + torch.randint(-amount, amount + 1, place.shape, generator=generator)

    def nowhere(self, n: int, n_pose: int) -> Tensor:
        return torch.zeros(n, dtype=torch.long)


@final
class Plane(Frame):
    """Images: a place is a pose (B, G).

    Parameters
    ----------
    channels, rows, columns : int
    """

    elsewhere = 3.0

    def apart(self, a: Tensor, b: Tensor, warps: Sequence[Warp]) -> Tensor:
        moved = [wrapped(d) if isinstance(w, Rotation) else d for w, d in parts_of(warps, a - b)]
        return torch.cat(moved, 1).abs().amax(1)

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        self.shape = (channels, rows, columns)

    def moved_back(
        self, x: Tensor, place: Tensor, warps: Sequence[Warp], grid: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not len(warps):
            return x, torch.ones_like(x)
        moved, seen = self.read(x, push_forward(warps, grid, place), grid)
        return moved * seen, seen

    def read(self, x: Tensor, at: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Images x (B, M) at coordinates (B, P, 2), and the mask of those inside the window: (B, M) each."""
        channels, rows, columns = self.shape
        at = at / half_window(grid)  # the window is [-1, 1]
        images, points = x.reshape(-1, *self.shape), at.flip(-1).reshape(-1, rows, columns, 2)
        values = F.grid_sample(images, points, mode="bicubic", padding_mode="border", align_corners=True)
        seen = (at.abs() <= 1 + 1e-4).all(-1).to(x.dtype)
        return values.flatten(1), seen.repeat(1, channels)

    def pose(self, place: Tensor, rest: Tensor, warps: Sequence[Warp], sample: float) -> Tensor:
        return composed(warps, place, rest)

    def jittered(self, place: Tensor, amount: int, sample: float, generator: torch.Generator) -> Tensor:
        unit = 2 * torch.rand(place.shape, generator=generator, dtype=place.dtype) - 1
        return place + amount * sample * unit

    def nowhere(self, n: int, n_pose: int) -> Tensor:
        return torch.zeros(n, n_pose)


def lane_of(grid: Tensor, channels: int, sample: float) -> Tensor:
    """The lane 0 .. C - 1 in which coordinates (P, 1) of a line lie, (P,); -1 between two."""
    cell = ((grid[:, 0] + 1 + sample / 2) / (2 + sample) * (2 * channels - 1)).floor().long()
    return torch.where(cell % 2 == 0, cell.clamp(0, 2 * channels - 2) // 2, -1)


def half_window(grid: Tensor) -> Tensor:
    """Half the window of a grid (P, 2) along both axes, (2,); of a single row or column, half a pixel."""
    pixel = (grid[1] - grid[0]).abs().max()
    return grid.abs().amax(0).maximum(0.5 * pixel)


def moved_back(x: Tensor, lag: Tensor) -> tuple[Tensor, Tensor]:
    """Signals x (B, P) moved by -lag samples (B,), and the mask (B, P) of what was measured there."""
    p = torch.arange(x.shape[1], device=x.device) + lag[:, None]
    y = torch.gather(x, 1, p.clamp(0, x.shape[1] - 1))
    seen = (p >= 0) & (p < x.shape[1]) & ~torch.isnan(y)
    return with_zeros(y) * seen, seen.to(x.dtype)
