"""The decoder on a grid of latents, so that a page can draw any shape between them by itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AXES = 4  # latents that are sampled; the others stay at 0
_NUMBERS = 150_000  # that a grid may hold
_FEWEST, _MOST = 3, 17  # samples along a latent


@dataclass(frozen=True)
class Decoded:
    """The decoder on a grid.

    axes : tuple of ndarray
        Samples along each latent, evenly spaced, in prior sd.
    values : list of ndarray (Y, G, P)
        Of every channel the signals, or images as rows, of every class (Y, one where there are none), the
        last latent running fastest.
    classes : tuple of str
    """

    axes: tuple[NDArray[np.float64], ...]
    values: list[NDArray[np.float32]]
    classes: tuple[str, ...] = ()


def decoded(m: Any, z: NDArray) -> Decoded | None:
    """The decoder over the range in which latents z (n, K) lie; None where it needs a condition.

    Of more than four latents those that spread most are sampled.
    """
    classes = getattr(m, "classes_", None)
    if getattr(m, "condition_", None) is not None and classes is None:
        return None
    order = np.arange(min(z.shape[1], _AXES))
    per = _size(m) * (1 if classes is None else len(classes))
    count = int(np.clip((_NUMBERS / per) ** (1 / len(order)), _FEWEST, _MOST))
    axes = tuple(_range(z[:, k], count) for k in order)
    grid = np.zeros((count ** len(order), z.shape[1]), dtype=np.float32)
    grid[:, order] = np.array(list(product(*axes)))
    found = [
        _generated(m, grid, None if classes is None else c) for c in ([0] if classes is None else classes)
    ]
    parts = [np.stack([f[k] for f in found]).astype(np.float32) for k in range(len(found[0]))]
    return Decoded(axes, parts, () if classes is None else tuple(map(str, classes)))


def exactly(m: Any, z: NDArray, kind: str = "") -> list[NDArray[np.float32]]:
    """The signal, or image, of one shape z (K,) in every channel: (P,) each."""
    classes = getattr(m, "classes_", None)
    chosen = None if classes is None else next((c for c in classes if str(c) == kind), classes[0])
    return [part[0].astype(np.float32) for part in _generated(m, np.asarray(z)[None], chosen)]


def _size(m: Any) -> int:
    raster = getattr(m, "raster_", None)
    lanes = getattr(m, "lanes_", None)
    return (
        raster.rows.values.size * raster.columns.values.size
        if raster
        else len(m.axis_) * (lanes.count if lanes else 1)
    )


def _range(z: NDArray, count: int) -> NDArray[np.float64]:
    """Evenly over 99 % of the values, and over the middle of the prior at least."""
    low, high = np.nanpercentile(z, [0.5, 99.5])
    return np.linspace(min(low, -1.0), max(high, 1.0), count)


def _generated(m: Any, z: NDArray, kind: Any) -> list[NDArray]:
    """Shapes (G, K) at pose 0: (G, P) of each channel, images as the mean of theirs."""
    drawn = np.asarray(m.generate(z, condition=None if kind is None else [kind] * len(z)))
    raster = getattr(m, "raster_", None)
    if raster is not None:
        return [drawn.reshape(len(z), raster.channels, -1).mean(1)]
    return [drawn] if drawn.ndim == 2 else [drawn[:, k] for k in range(drawn.shape[1])]
