"""Derivatives in forward mode: one tangent a parameter (Baydin et al. 2018, J. Mach. Learn. Res. 18, 153)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor
from torch.func import jvp, vmap

_FORWARD_MODE = Lock()  # torch keeps one level of dual numbers for all threads


def with_slopes(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """f(z) (n, ...) and its derivatives (K, n, ...) by every column of z (n, K); f works row by row."""
    if not z.shape[1]:
        values = function(z)
        return values, values.new_zeros(0, *values.shape)
    directions = torch.eye(z.shape[1], dtype=z.dtype)[:, None].expand(-1, *z.shape)
    with _FORWARD_MODE:
        out: tuple[Tensor, Tensor] = vmap(lambda d: jvp(function, (z,), (d,)), out_dims=(None, 0))(directions)  # type: ignore[arg-type,assignment]
    return out
