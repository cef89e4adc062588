"""Outputs that no coordinate binds: what the latents of one measurement say of another.

Where x is explained by a pattern that moves, the decoder returns a field and warps act on its coordinates.
The y that belongs to an x - the spectrum of an image - has points of its own, which nothing moves.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from shapeshift.model.decoders import Decoder, dense
from shapeshift.model.fields import Field


@final
class FreePoints(Decoder):
    """A network from z to the values at Q points, each free of the others; no warp can act on them.

    The field it returns has these values whatever the coordinates at which it is read, so that x and y may
    have grids of different kinds and sizes.

    Parameters
    ----------
    n_points : int
        Q, the numbers of one y.
    n_latent : int
        K.
    width, depth : int
        Hidden units of a layer, hidden layers.

    Examples
    --------
    >>> import torch
    >>> field = FreePoints(n_points=7, n_latent=2)(torch.zeros(3, 2))
    >>> field(torch.zeros(3, 40, 1)).shape
    torch.Size([3, 7])
    """

    def __init__(self, n_points: int, n_latent: int, width: int = 256, depth: int = 2) -> None:
        super().__init__()
        self.network = dense([n_latent] + [width] * depth + [n_points])
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.bias)

    def forward(self, z: Tensor) -> Field:
        values = self.network(z)
        return lambda u: values
