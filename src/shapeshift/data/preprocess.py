"""Frozen, invertible steps between the data and the model, and the noise of a signal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shapeshift.errors import ShapeshiftError

TWO_STEPS = 2  # samples
_STARTS: dict[Callable, dict] = {np.max: {"initial": -np.inf}, np.min: {"initial": np.inf}}
NORMALISATIONS = ("max", "area", "sd", "minmax")


@dataclass(frozen=True)
class Affine:
    """y = (x - offset) / gain, per signal or for all; ``undo`` is its inverse."""

    offset: np.ndarray
    gain: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return (x - self.offset) / self.gain

    def undo(self, y: np.ndarray) -> np.ndarray:
        return y * self.gain + self.offset


def per_signal(x: np.ndarray, how: str | None) -> Affine:
    """Normalisation of every signal (n, P) by itself.

    Parameters
    ----------
    how : None, "max", "area", "sd" or "minmax"
        None leaves amplitudes alone (they are then part of the shape). "max": largest value 1;
        "area": mean absolute value 1; "sd": mean 0, sd 1; "minmax": from 0 to 1.
    """
    one = np.ones((len(x), 1))
    if how is None:
        return Affine(0 * one, one)
    if how not in NORMALISATIONS:
        raise ShapeshiftError(f"got normalise={how!r}, needed None or one of {', '.join(NORMALISATIONS)}.")
    if how == "max":
        offset, gain = 0 * one, _seen(np.max, x)
    elif how == "area":
        offset, gain = 0 * one, _seen(np.mean, np.abs(x))
    elif how == "sd":
        offset, gain = _seen(np.mean, x), _seen(np.std, x)
    else:
        offset = _seen(np.min, x)
        gain = _seen(np.max, x) - offset
    return Affine(offset, np.where(gain > 0, gain, 1.0))


def _seen(statistic: Callable[..., np.ndarray], x: np.ndarray) -> np.ndarray:
    """A statistic of every signal (n, P) over what was measured of it, (n, 1); 0 where that is nothing."""
    gap = np.isnan(x)
    if not gap.any():
        return statistic(x, axis=1, keepdims=True)
    seen = ~gap | gap.all(1, keepdims=True)
    return statistic(np.where(gap, 0.0, x), axis=1, keepdims=True, where=seen, **_STARTS.get(statistic, {}))


def whole_set(x: np.ndarray) -> Affine:
    """Mean 0 and sd 1 over the whole set: amplitudes keep their ratios."""
    told = x[~np.isnan(x)]
    sd = float(told.std())
    return Affine(np.array(float(told.mean())), np.array(sd if sd > 0 else 1.0))


def noise_sd(x: np.ndarray) -> np.ndarray:
    """Noise of every signal (n,), from the median absolute second difference.

    sd = median |x_{p-1} - 2 x_p + x_{p+1}| / (0.6745 sqrt 6), for white Gaussian noise on a signal
    that is smooth on the scale of a sample (the robust estimator of Donoho & Johnstone 1994,
    Biometrika 81, 425, on second differences).
    """
    if x.shape[1] < 5:
        return np.zeros(len(x))
    gaps = np.isnan(x).any(1)
    if gaps.any():
        out = np.zeros(len(x))
        out[~gaps] = noise_sd(x[~gaps])
        out[gaps] = _noise_around_gaps(x[gaps])
        return out
    return _medians(np.abs(np.diff(x.astype(np.float32), 2, axis=1))) / (0.6745 * np.sqrt(6.0))


def _noise_around_gaps(x: np.ndarray) -> np.ndarray:
    """The same of signals with gaps: every measured sample against the line through its measured neighbours,
    of which it is a + b = 1 parts; the variance of the difference is 1 + a^2 + b^2 times the noise's.

    Neighbours more than TWO_STEPS apart on either side are left out, where there are others.
    """
    length = x.shape[1]
    order = np.argsort(np.isnan(x), axis=1, kind="stable")  # measured samples first, in their order
    y, at = np.take_along_axis(x, order, 1), order.astype(float)
    left, right = at[:, 1:-1] - at[:, :-2], at[:, 2:] - at[:, 1:-1]
    a = right / (left + right)
    bend = np.abs(y[:, 1:-1] - a * y[:, :-2] - (1 - a) * y[:, 2:]) / np.sqrt(1 + a**2 + (1 - a) ** 2)
    inside = np.arange(2, length)[None] < (~np.isnan(x)).sum(1)[:, None]
    near = inside & (np.maximum(left, right) <= TWO_STEPS)
    used = np.where(near.sum(1, keepdims=True) >= 3, near, inside)
    found = np.zeros(len(x))
    some = used.any(1)
    if some.any():
        found[some] = np.nanmedian(np.where(used, bend, np.nan)[some], axis=1) / 0.6745
    return found


def _medians(x: np.ndarray) -> np.ndarray:
    """Median of every row: a partition of float32 is several times faster than numpy's median."""
    half = x.shape[1] // 2
    places = [half] if x.shape[1] % 2 else [half - 1, half]
    return np.partition(x, places, axis=1)[:, places].mean(1, dtype=np.float64)


def noise_and_contrast(x: np.ndarray) -> np.ndarray:
    """Noise sd and contrast, the sd of the signal about its mean with the noise taken off: (n, 2)."""
    noise = noise_sd(x)
    return np.stack([noise, np.sqrt(np.maximum(_seen(np.var, x)[:, 0] - noise**2, 0.0))], axis=1)


def moved_back(values: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Signals moved by -samples (n,), linear interpolation, nan outside what was measured."""
    length = values.shape[1]
    at = np.arange(length) + samples[:, None]
    left = np.clip(np.floor(at).astype(int), 0, length - 2)
    rest = at - left
    rows = np.arange(len(values))[:, None]
    out = (1 - rest) * values[rows, left] + rest * values[rows, left + 1]
    return np.where((at >= 0) & (at <= length - 1), out, np.nan)
