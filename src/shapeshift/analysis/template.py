"""One shape that moves: x = gain T(u - lag) + offset, found by iterated correlation and least squares."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from shapeshift.analysis.baselines import best_lags, correlation

ROUNDS = 3  # of template and lags in turns, after the iterated correlation
STEPS = 6  # Gauss-Newton steps on a lag


def moving_template(signals: np.ndarray) -> CubicSpline:
    """The shape common to signals (n, P), a function of samples on and beyond the window.

    Lags by iterated correlation (Woody 1967, Med. Biol. Eng. 5, 539), then in turns the mean of the
    signals moved back, their gain and offset taken off, and the lags that fit it best.
    """
    lags = correlation(signals)
    gain, offset = signals.std(1), signals.mean(1)
    for _ in range(ROUNDS):
        template = _mean_of(signals, lags, np.where(gain > 0, gain, np.inf), offset)
        lags, gain, offset = _fitted(template, signals, lags)
        middle = np.median(lags)
        lags, template = lags - middle, CubicSpline(template.x - middle, template(template.x))
    return template


def moved_template(template: CubicSpline, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signals as the template has them (n, P), and derivatives by lag, gain and offset (n, P, 3)."""
    inside = template(np.arange(signals.shape[1]))
    start = best_lags(signals - signals.mean(1, keepdims=True), inside - inside.mean())
    lags, gain, offset = _fitted(template, signals, start)
    values, slope = _at(template, lags, signals.shape[1])
    jacobian = np.stack([-gain[:, None] * slope, values, np.ones_like(values)], -1)
    return gain[:, None] * values + offset[:, None], jacobian


def _mean_of(signals: np.ndarray, lags: np.ndarray, gain: np.ndarray, offset: np.ndarray) -> CubicSpline:
    """Least-squares mean of the signals moved back; held constant where fewer than 1 % were seen."""
    length = signals.shape[1]
    wide = np.arange(-length, 2 * length)
    top, bottom = np.zeros(len(wide)), np.zeros(len(wide))
    for y, lag, a, b in zip(signals, lags, gain, offset, strict=True):
        if not np.isfinite(a):
            continue
        inside = np.flatnonzero((wide + lag >= 0) & (wide + lag <= length - 1))
        moved = CubicSpline(np.arange(length), y - b)(wide[inside] + lag)
        top[inside] += a * moved
        bottom[inside] += a * a
    seen = np.flatnonzero(bottom > 0.01 * bottom.max())
    nearest = np.clip(np.arange(len(wide)), seen[0], seen[-1])
    values = (top / np.maximum(bottom, 1e-300))[nearest]
    return CubicSpline(wide, values)


def _at(template: CubicSpline, lags: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Template and its slope under every signal's window, (n, P) each."""
    at = np.clip(np.arange(length) - lags[:, None], template.x[0], template.x[-1])
    return template(at), template(at, 1)


def _linear(values: np.ndarray, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares gain and offset (n,) of template values (n, P)."""
    v, y = values - values.mean(1, keepdims=True), signals - signals.mean(1, keepdims=True)
    gain = (v * y).sum(1) / np.maximum((v * v).sum(1), 1e-300)
    return gain, signals.mean(1) - gain * values.mean(1)


def _fitted(
    template: CubicSpline, signals: np.ndarray, lags: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares lag, gain and offset (n,) of every signal, from lags near them."""
    length = signals.shape[1]
    for _ in range(STEPS):
        values, slope = _at(template, lags, length)
        gain, offset = _linear(values, signals)
        rest = signals - gain[:, None] * values - offset[:, None]
        across = -gain[:, None] * slope
        _, mean = _linear(values, across)
        ratio, _ = _linear(values, across)
        free = across - ratio[:, None] * values - mean[:, None]  # what gain and offset cannot do
        step = (free * rest).sum(1) / np.maximum((free * free).sum(1), 1e-300)
        lags = np.clip(lags + np.clip(step, -1, 1), -0.9 * length, 0.9 * length)
    values, _ = _at(template, lags, length)
    return lags, *_linear(values, signals)
