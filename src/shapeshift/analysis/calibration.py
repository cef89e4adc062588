"""Do the error bars hold? Accuracy and honesty on pairs with a known displacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shapeshift.analysis.collapse import active_latents

ONE_SIGMA = 0.99446  # a central interval of 68 % is so many sd wide to each side
TWO_SIGMA = 1.95996  # and one of 95 %


@dataclass(frozen=True)
class Calibration:
    """Accuracy and honesty on n pairs: one shape at two positions, two draws of noise.

    Attributes
    ----------
    coverage68, coverage95 : float
        Share of 68 % and 95 % intervals of the displacement that hold the truth.
    efficiency : float
        RMS error over RMS matched-filter bound; 1 is the limit for a known shape.
    lost : float
        Share of errors over 10 bounds.
    leak : float
        How much more the shape latents change when the signal moves than when only the noise does,
        as a share of their spread: 0 is none, 1 is all (largest over active latents).
    n : int
        Number of pairs.
    """

    coverage68: float
    coverage95: float
    efficiency: float
    lost: float
    leak: float
    n: int


def matched_filter_bound(signal: np.ndarray, step: float, noise_sd: Any) -> np.ndarray:
    """Smallest sd of an unbiased estimate of the shift of known signals: sigma / ||df / dshift||.

    The Cramer-Rao bound for a known shape in white Gaussian noise (Kay 1993, Fundamentals of
    Statistical Signal Processing I, example 3.13).

    Parameters
    ----------
    signal : ndarray (n, P)
        Noise-free signals.
    step : float
        Distance of two samples, in the units the bound is wanted in.
    noise_sd : float or ndarray (n,)

    Returns
    -------
    ndarray (n,)

    Examples
    --------
    >>> x = np.linspace(-12, 12, 241)
    >>> bound = matched_filter_bound(np.exp(-x[None]**2 / 2), x[1] - x[0], 0.05)
    >>> round(float(bound[0]), 4)  # sigma / sqrt(sqrt(pi) / 2 / step) = 0.0168
    0.0168
    """
    from scipy.interpolate import CubicSpline

    at = step * np.arange(signal.shape[1])
    slope = CubicSpline(at, signal, axis=1)(at, 1)
    return np.asarray(noise_sd) / np.maximum(np.linalg.norm(slope, axis=1), 1e-300)


def calibration_of(first: Any, second: Any, moved: np.ndarray, bound: np.ndarray, again: Any) -> Calibration:
    """Judge posteriors of pairs whose displacement is known.

    Parameters
    ----------
    first, second : Posterior
        Of the two signals of every pair.
    moved, bound : ndarray (n,)
        True displacement, and the bound on the sd of its estimate, in axis units.
    again : Posterior
        Of the first signals in another draw of noise, for the leak.
    """
    error = second.shift - first.shift - moved
    sd = np.hypot(first.shift_sd, second.shift_sd)
    rms = np.sqrt(np.mean(error**2)), np.sqrt(np.mean(bound**2))
    return Calibration(
        coverage68=float(np.mean(np.abs(error) < ONE_SIGMA * sd)),
        coverage95=float(np.mean(np.abs(error) < TWO_SIGMA * sd)),
        efficiency=float(rms[0] / rms[1]),
        lost=float(np.mean(np.abs(error) > 10 * bound)),
        leak=leak(first, second, again),
        n=len(error),
    )


def leak(first: Any, second: Any, again: Any) -> float:
    """Leak of position into shape, (<dz^2 when moved> - <dz^2 between draws of noise>) / (2 var z).

    The largest over active latents, at least 0; 0 where none is active.
    """
    used = active_latents(first).active
    if not used.any():
        return 0.0
    moved = ((second.z - first.z) ** 2).mean(0)
    at_rest = ((again.z - first.z) ** 2).mean(0)
    shares = (moved - at_rest) / np.maximum(2 * first.z.var(0), 1e-12)
    return float(max(shares[used].max(), 0.0))


def calibrate(m: Any, X: Any, *, n: int = 500, random_state: int = 0) -> Calibration | None:
    """Known displacements added to the user's own signals, and what the model makes of them.

    Every pair is the reconstruction of one signal at its own place and at one a known displacement
    away (to the place of yet another), each with the residuals of another signal of like noise,
    scaled to the noise of its own: real noise, its spikes and correlations included.

    Parameters
    ----------
    m : ShiftVAE
        Fitted, with a warp.
    X : signals as ``m.posterior`` takes them
        Preferably not those it was fitted to.
    n : int
        Number of pairs.

    Returns
    -------
    Calibration, or None for a model that moves nothing
    """
    p = m.posterior(X)
    if not m.warps:
        return None
    rng = np.random.default_rng(random_state)
    good = np.flatnonzero((p.flags == "") & (p.noise_sd > 0))
    if len(good) < 10:
        return None
    rows = rng.choice(good, size=n, replace=len(good) < n)
    values = np.asarray(X, dtype=float).reshape(len(p), -1)
    rest = values - np.asarray(m.reconstruct(X), dtype=float).reshape(values.shape)
    rest = (rest - rest.mean(1, keepdims=True)) / np.maximum(rest.std(1, keepdims=True), 1e-300)
    # a fit's residuals lack what it explained, at their own place: put them back at another
    at = (np.arange(rest.shape[1]) + rng.integers(rest.shape[1], size=(len(rest), 1))) % rest.shape[1]
    rest = np.take_along_axis(rest, at, axis=1)
    like = _alike(p.noise_sd, good, rows, rng)
    moved = p.shift[rng.permutation(rows)] - p.shift[rows]
    gain = np.asarray(m.amplitudes(X))[rows]
    places = (p.shift[rows], p.shift[rows] + moved, p.shift[rows])
    clean = [m.generate(p.z[rows], shift=s) * gain[:, :1] + gain[:, 1:] for s in places]
    noisy = [c + p.noise_sd[rows, None] * rest[k] for c, k in zip(clean, like, strict=True)]
    found = [m.posterior(y) for y in noisy]
    bounds = [matched_filter_bound(c, m.axis_step_, p.noise_sd[rows]) for c in clean[:2]]
    return calibration_of(found[0], found[1], moved, np.hypot(*bounds), found[2])


def _alike(noise: np.ndarray, good: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For every row three other signals of about the same noise: indices (3, n)."""
    ranked = good[np.argsort(noise[good])]
    place = np.argsort(np.argsort(noise[good]))
    at = place[np.searchsorted(good, rows)]
    reach = max(3, len(good) // 10)
    step = rng.integers(1, reach + 1, size=(3, len(rows))) * rng.choice([-1, 1], size=(3, len(rows)))
    return ranked[(at + step) % len(good)]
