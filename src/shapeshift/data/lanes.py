"""Signals of several channels that move together: laid side by side on one line, and parted again.

A shift that all channels share is a shift of that line. Between two channels the line holds as many samples
as a channel has, which were not measured (nan), so that no pattern reaches its neighbour's lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shapeshift.data.coordinates import Axis
from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.errors import ShapeshiftError, printable

NAME = "channel"  # the dimension of a DataArray that holds channels
MOST = 16


@dataclass(frozen=True)
class Lanes:
    """Channels of a set of signals: value = offset + gain * what lies on the line.

    Parameters
    ----------
    names : tuple of str
    axis : Axis
        Of every channel.
    offset, gain : arrays (C,)
        By the gains all channels have the noise of the first, so that each counts by what it tells.
    """

    names: tuple[str, ...]
    axis: Axis
    offset: np.ndarray
    gain: np.ndarray

    @property
    def count(self) -> int:
        """C."""
        return len(self.names)

    def as_dict(self) -> dict[str, Any]:
        """All but the axis, as plain values for a file."""
        return {"names": list(self.names), "offset": self.offset.tolist(), "gain": self.gain.tolist()}

    @classmethod
    def from_dict(cls, told: dict[str, Any], axis: Axis) -> Lanes:
        """The inverse."""
        names = tuple(printable(name) for name in told["names"])
        return cls(names, axis, np.array(told["offset"]), np.array(told["gain"]))

    def laid(self, values: np.ndarray) -> np.ndarray:
        """Signals (n, C, P) on the line, (n, (2 C - 1) P)."""
        n, channels, length = values.shape
        line = np.full((n, 2 * channels - 1, length), np.nan)
        line[:, ::2] = (values - self.offset[:, None]) / self.gain[:, None]
        return line.reshape(n, -1)

    def parted(self, line: np.ndarray) -> np.ndarray:
        """The inverse."""
        lanes = line.reshape(len(line), 2 * self.count - 1, -1)[:, ::2]
        return lanes * self.gain[:, None] + self.offset[:, None]

    @property
    def line(self) -> Axis:
        """The axis of the line, about the centre of the channels' axis."""
        axis, size = self.axis, (2 * self.count - 1) * len(self.axis.values)
        along = axis.centre + axis.step * (np.arange(size) - (size - 1) / 2)
        return Axis(along, axis.name, axis.units)

    def nats(self, line: np.ndarray) -> np.ndarray:
        """By how much log densities are less in the units of the channels than on the line, (n,)."""
        return (~np.isnan(self.parted(line))).sum(2) @ np.log(self.gain)

    def together(self, channels: Sequence[Any]) -> Any:
        """Channels in kind as one array (..., C, P)."""
        if not hasattr(channels[0], "dims"):
            return np.stack(channels, 1)
        import xarray as xr

        whole = xr.concat(channels, dim=xr.Variable(NAME, list(self.names)))
        return whole.transpose(..., NAME, channels[0].dims[-1])


def lanes_of(values: np.ndarray, names: Sequence[str], axis: Axis, *, scaled: bool) -> Lanes:
    """Lanes of signals (n, C, P) on an axis (P,); ``scaled``: with medians at 0 and noise alike.

    Raises
    ------
    ShapeshiftError
        One channel, more than there can be, or one without a number.
    """
    count = values.shape[1]
    if not 2 <= count <= MOST:
        raise ShapeshiftError(
            f"got {count} channels, needed 2 to {MOST}: give signals (n, length) for one, and check that "
            "dimensions are in the order (n, channel, length) for many."
        )
    dead = np.isnan(values).all((0, 2))
    if dead.any():
        raise ShapeshiftError(
            f"got channel {names[int(dead.argmax())]!r} without a single number, needed measured samples: "
            "leave it out."
        )
    if not scaled:
        return Lanes(tuple(names), axis, np.zeros(count), np.ones(count))
    offset = np.nanmedian(values, axis=(0, 2))
    noise = np.array([_noise(values[:, k]) for k in range(count)])
    return Lanes(tuple(names), axis, offset, noise / noise[0])


def _noise(values: np.ndarray) -> float:
    """Noise of a channel (n, P): its median over the signals, or a trace of its size where there is none."""
    sd = float(np.nanmedian(noise_and_contrast(values)[:, 0]))
    return max(sd, 1e-6 * float(np.nanstd(values)), 1e-30)


def channels_of(X: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """Of what :func:`are_channels` all signals of the first, the second ... channel in one stack; one channel
    in kind, None for plain arrays; and their names."""
    if not hasattr(X, "dims"):
        return X.swapaxes(0, 1).reshape(-1, X.shape[2]), None, tuple(str(k) for k in range(X.shape[1]))
    if X.dims[-1] == NAME:
        raise ShapeshiftError(
            f"got channels in the last dimension, needed the axis of the signals there: use "
            f"X.transpose(..., {X.dims[-2]!r})."
        )
    names = X[NAME].values.tolist() if NAME in X.coords else range(X.sizes[NAME])
    return X.transpose(NAME, ...), X.isel({NAME: 0}, drop=True), tuple(map(str, names))


def are_channels(X: Any) -> bool:
    """Whether X holds several channels: a dimension of that name, or a plain array (n, C, P)."""
    if hasattr(X, "dims") and hasattr(X, "coords"):
        return NAME in X.dims
    return isinstance(X, np.ndarray) and X.ndim == 3
