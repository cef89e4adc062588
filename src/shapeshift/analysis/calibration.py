"""Do the error bars hold? Accuracy and honesty on pairs with a known displacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shapeshift.analysis.collapse import active_latents
from shapeshift.analysis.tangent import described, inverse_of
from shapeshift.data.coordinates import as_stack
from shapeshift.errors import ShapeshiftError

ONE_SIGMA = 0.99446  # a central interval of 68 % is so many sd wide to each side
TWO_SIGMA = 1.95996  # and one of 95 %
STILL = 0.1  # samples of prior sd below which a model moves nothing


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
    leak_back : float or None
        Share of the squared errors of a shift, in units of their error bars, that comes with the
        shape, see `leak_back`; None where the place of the first signals is not known.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> found = ss.analysis.calibrate(ss.ShiftVAE(n_latent=1, epochs=5).fit(X), X, n=50)
    >>> 0 <= found.coverage68 <= found.coverage95 <= 1
    True
    """

    coverage68: float
    coverage95: float
    efficiency: float
    lost: float
    leak: float
    n: int
    leak_back: float | None = None


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
    noise_sd : float, ndarray (n,), or ndarray (n, P) where it differs from sample to sample

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
    sd = np.asarray(noise_sd)
    if sd.ndim == 2:
        return 1 / np.maximum(np.linalg.norm(slope / sd, axis=1), 1e-300)
    return sd / np.maximum(np.linalg.norm(slope, axis=1), 1e-300)


def calibration_of(
    first: Any,
    second: Any,
    moved: np.ndarray,
    bound: np.ndarray,
    again: Any,
    *,
    at: np.ndarray | None = None,
) -> Calibration:
    """Judge posteriors of pairs whose displacement is known.

    Parameters
    ----------
    first, second : Posterior
        Of the two signals of every pair.
    moved, bound : ndarray (n,)
        True displacement, and the bound on the sd of its estimate, in axis units.
    again : Posterior
        Of the first signals in another draw of noise, for the leak.
    at : ndarray (n,), optional
        True shifts of the first signals, for the leak back.

    Returns
    -------
    Calibration

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> model = ss.ShiftVAE(n_latent=1, epochs=5).fit(X)
    >>> pairs = ss.synthetic.article_pairs(40, seed=2, like=X)
    >>> p, q = model.posterior(pairs.first), model.posterior(pairs.second)
    >>> found = ss.analysis.calibration_of(p, q, pairs.shift_second - pairs.shift_first, pairs.bound, p)
    >>> found.n
    40
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
        leak_back=None if at is None else leak_back(first, second, at, at + moved),
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


def leak_back(first: Any, second: Any, at: np.ndarray, to: np.ndarray) -> float:
    """Leak of shape into position: <e e'> / <(e^2 + e'^2) / 2>, with the errors e and e' of a pair's shifts.

    The pair has one shape, two positions and two draws of noise, so that what its errors have in common
    comes with the shape: the intraclass correlation (Fisher 1925, Statistical Methods for Research
    Workers, ch. 7). Errors are those of the shifts themselves, known at ``at`` and ``to`` (n,), less
    their mean and in units of their error bars; those over 10 bars are lost, not leaked, and left out.
    0 is none, 1 is all; with n pairs its own sd is about 1 / sqrt(n).
    """
    errors = np.stack([(first.shift - at) / first.shift_sd, (second.shift - to) / second.shift_sd])
    errors = errors[:, (np.abs(errors - np.median(errors)) < 10).all(0)]
    if errors.shape[1] < 2:
        return 0.0
    errors = errors - errors.mean()
    return float(max((errors[0] * errors[1]).mean() / max((errors**2).mean(), 1e-300), 0.0))


def calibrate(
    m: Any, X: Any, *, n: int = 1000, most: int = 1000, random_state: int = 0
) -> Calibration | None:
    """Known displacements added to the user's own signals, and what the model makes of them.

    Every pair is the reconstruction of one signal at its own place and at one a known displacement
    away (to the place of yet another), each with the noise of another signal of like noise, scaled to
    its own: real noise, its spikes and correlations included. That noise is what the fit left over
    and, drawn anew, what a change of place, shape, gain or offset could explain. Where the
    likelihood says how values scatter (counts, bits), each is a draw from it instead. Either way the
    model has seen none of these signals, even where it was fitted to those they are made of.

    Parameters
    ----------
    m : ShiftVAE
        Fitted, with a warp.
    X : signals as ``m.posterior`` takes them
    n : int
        Number of pairs.
    most : int
        Signals they are made of, at most; drawn at random.

    Returns
    -------
    Calibration, or None for a model that moves nothing, where fewer than 10 signals are fit for it, and
    for the continuous Bernoulli likelihood, whose noise is not known apart from its signal

    Raises
    ------
    ShapeshiftError
        If it is a model of images, or of several channels.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> found = ss.analysis.calibrate(ss.ShiftVAE(n_latent=1, epochs=5).fit(X), X, n=50)
    >>> found.n
    50
    """
    _check(m)
    if m.likelihood_ == "continuous-bernoulli":  # neither a free noise nor a draw of it by its mean
        return None
    if getattr(m, "condition_", None) is not None:  # of classes and conditions it is not told
        return None
    if not m.warps or m.shift_sd_ < STILL * m.axis_step_:
        return None
    rng = np.random.default_rng(random_state)
    values = as_stack(X, gaps=True).values
    values = values[rng.permutation(len(values))[:most]]
    p = m.posterior(values)
    good = np.flatnonzero((p.flags == "") & (p.noise_sd > 0) & np.isfinite(p.shift))
    if len(good) < 10:
        return None
    rows = rng.choice(good, size=n, replace=len(good) < n)
    moved = p.shift[rng.permutation(rows)] - p.shift[rows]
    size, base = _own(m, values, p)
    places = (p.shift[rows], p.shift[rows] + moved, p.shift[rows])
    clean = [m.generate(p.z[rows], shift=s) * size[rows] + base[rows] for s in places]
    if m.likelihood_ in _DRAWS:
        noisy, sd = (
            [_DRAWS[m.likelihood_](c, rng) for c in clean],
            [_SPREADS[m.likelihood_](c) for c in clean],
        )
    else:
        noisy, sd = _with_residuals(m, values, p, good, rows, clean, rng), [p.noise_sd[rows]] * 3
    gap = np.isnan(values[rows])
    if gap.any():  # every signal keeps its own
        noisy = [np.where(gap, np.nan, y) for y in noisy]
        sd = [np.where(gap, np.inf, s if np.ndim(s) == 2 else s[:, None]) for s in sd]
    found = [m.posterior(y) for y in noisy]
    bound = np.hypot(*(matched_filter_bound(c, m.axis_step_, s) for c, s in zip(clean[:2], sd, strict=False)))
    return calibration_of(found[0], found[1], moved, bound, found[2], at=places[0])


def _check(m: Any) -> None:
    """Refuse models that are judged otherwise."""
    if hasattr(m, "raster_"):
        raise ShapeshiftError(
            "got a model of images, needed one of signals: judge it on images of known poses"
        )
    if getattr(m, "lanes_", None):
        raise ShapeshiftError(
            "got a model of several channels, needed one of one: calibrate fits to each channel, or judge it "
            "on signals of known shifts"
        )


def _own(m: Any, values: np.ndarray, p: Any) -> tuple[np.ndarray, np.ndarray]:
    """Size (n, 1) and baseline (n, P) of every signal: size * generate(z, shift) + baseline is what the model
    draws of it. The baseline stays where it is when the pattern moves."""
    own = np.asarray(m.amplitudes(values))
    if not m.nuisance_:
        return own[:, :1], own[:, 1:] + np.zeros_like(values)
    size = own[:, :1] * p.gain[:, None]
    return size, np.asarray(m.reconstruct(values)) - size * m.generate(p.z, shift=p.shift)


def _with_residuals(
    m: Any,
    values: np.ndarray,
    p: Any,
    good: np.ndarray,
    rows: np.ndarray,
    clean: list[np.ndarray],
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Clean signals (n, P) of ``rows`` with the residuals of signals of like noise."""
    size, base = _own(m, values, p)
    drawn, jacobian = described(m, p.shift, p.z)
    drawn, jacobian = drawn * size + base, jacobian * size[..., None]
    drawn, jacobian = np.nan_to_num(drawn), np.nan_to_num(jacobian)
    # residuals lack noise along what a fit can do, and hold misfit along a gain and an offset, which is
    # the signal's own: there, noise is drawn anew
    own = np.concatenate([jacobian, drawn[..., None], np.ones_like(drawn)[..., None]], -1)
    _, root = inverse_of(np.einsum("npi,npj->nij", own, own))
    basis = np.einsum("npi,nij->npj", own, root)  # orthonormal
    noise = (values - drawn) / np.maximum(p.noise_sd, 1e-300)[:, None]
    noise = np.where(np.isnan(values), rng.normal(size=values.shape), np.nan_to_num(noise))
    anew = rng.normal(size=(len(values), basis.shape[2])) - np.einsum("npj,np->nj", basis, noise)
    noise = noise + np.einsum("npj,nj->np", basis, anew)
    like = _alike(p.noise_sd, good, rows, rng)
    return [c + p.noise_sd[rows, None] * noise[k] for c, k in zip(clean, like, strict=True)]


# how values scatter around their expectation, and their sd, where the likelihood leaves nothing free
_DRAWS = {
    "poisson": lambda mean, rng: rng.poisson(np.maximum(mean, 0)).astype(float),
    "bernoulli": lambda mean, rng: (rng.uniform(size=mean.shape) < mean).astype(float),
}
_SPREADS = {
    "poisson": lambda mean: np.sqrt(np.maximum(mean, 1e-6)),
    "bernoulli": lambda mean: np.sqrt(np.maximum(mean * (1 - mean), 1e-2)),
}


def _alike(noise: np.ndarray, good: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For every row three other signals of about the same noise: indices (3, n)."""
    ranked = good[np.argsort(noise[good])]
    place = np.argsort(np.argsort(noise[good]))
    at = place[np.searchsorted(good, rows)]
    reach = max(3, len(good) // 10)
    step = rng.integers(1, reach + 1, size=(3, len(rows))) * rng.choice([-1, 1], size=(3, len(rows)))
    return ranked[(at + step) % len(good)]
