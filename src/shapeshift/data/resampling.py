"""From one axis to another, for a start and a search; what signals say is told on their own axis."""

from __future__ import annotations

import numpy as np

TRIALS = 300
SLACK = 1e-6  # of a step, within which a sample still lies in the window


def resample(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Signals (n, P) on ``old``, interpolated to ``new`` by shape-preserving cubics (PCHIP); nan outside the
    old window, and where the nearest old sample is missing."""
    from scipy.interpolate import PchipInterpolator

    gap = np.isnan(values)
    outside = (new < old[0] - SLACK * (old[1] - old[0])) | (new > old[-1] + SLACK * (old[-1] - old[-2]))
    if not gap.any():
        return np.where(outside, np.nan, PchipInterpolator(old, values, axis=1)(new))
    near = np.abs(new[:, None] - old).argmin(1)
    out = np.full((len(values), len(new)), np.nan)
    for row, (y, none) in enumerate(zip(values, gap, strict=True)):
        if (~none).sum() >= 2:
            out[row] = PchipInterpolator(old[~none], y[~none])(new)
    return np.where(gap[:, near] | outside, np.nan, out)


def noise_kept(old: np.ndarray, new: np.ndarray) -> float:
    """Share of the sd of white noise that :func:`resample` leaves of it, on average: by trial."""
    noise = np.random.default_rng(0).normal(size=(TRIALS, len(old)))
    return float(np.sqrt(np.nanmean(resample(noise, old, new) ** 2)))
