"""Least-squares fit of the true formula: what one does who knows what every signal is made of.

Each signal is fitted by itself with scipy's bounded trust-region least squares: shift, factors of shape
(within the ranges they were drawn from), and gain, offset and slope where the case has them. It is
started from several positions: a bank of templates, every position on the axis times a few shapes, is
compared with the signal (linear factors in closed form), and the best positions that do not lie next to
each other are refined in full; the lowest cost wins. Counts are fitted by maximum likelihood (deviance
residuals), signals with spikes by the likelihood of their noise, spikes included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.ndimage import median_filter
from scipy.optimize import least_squares

from shapeshift.data.families import Family
from shapeshift.data.noises import Counts, Spiked
from shapeshift.data.preprocess import noise_sd
from shapeshift.data.variants import Variant, window

STARTS = 5
WORTH = 0.5  # a start is refined if it explains at least so much of what the best explains
SHAPES = 3  # grid values of each factor of shape
STEP = 1e-6  # of a parameter over its range, for the Jacobian


@dataclass(frozen=True)
class Fit:
    """Shifts (n,), their standard deviations (n,), and the processor time of one signal."""

    shift: np.ndarray
    shift_sd: np.ndarray
    ms_per_signal: float


@dataclass(frozen=True)
class Formula:
    """One phase of a case as a function of its parameters: shift, factors of shape, linear factors."""

    family: Family
    x: np.ndarray
    linear: tuple[str, ...]
    place: tuple[float, float]
    ranges: tuple[tuple[float, float], ...]

    @property
    def low(self) -> np.ndarray:
        gain = [1e-6 if name == "gain" else -np.inf for name in self.linear]
        return np.array([self.place[0], *(a for a, _ in self.ranges), *gain])

    @property
    def high(self) -> np.ndarray:
        return np.array([self.place[1], *(b for _, b in self.ranges), *[np.inf] * len(self.linear)])

    def scale(self, theta: np.ndarray) -> np.ndarray:
        """A natural step of every parameter."""
        step = [self.x[1] - self.x[0], *(b - a for a, b in self.ranges)]
        size = max(abs(theta[len(step) + self.linear.index("gain")]), 1e-6) if "gain" in self.linear else 1.0
        return np.array(step + [size] * len(self.linear))

    def mean(self, theta: np.ndarray) -> np.ndarray:
        """Expected signals (m, P) of parameters (m, k)."""
        names = list(self.family.params)
        shapes = {name: theta[:, 1 + j] for j, name in enumerate(names)}
        out = self.family.values(self.x, theta[:, 0], shapes)
        for name, value in zip(self.linear, theta[:, 1 + len(names) :].T, strict=True):
            column = value[:, None]
            out = {"gain": lambda o, c: c * o, "offset": np.add, "slope": self._sloped}[name](out, column)
        return out

    def _sloped(self, out: np.ndarray, slope: np.ndarray) -> np.ndarray:
        return out + slope * window(self.x)

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives (P, k) of one signal by central differences, all in one call."""
        step = np.diag(STEP * self.scale(theta))
        up, down = np.split(self.mean(np.concatenate([theta + step, theta - step])), 2)
        return ((up - down) / (2 * np.diag(step)[:, None])).T


def formulas(variant: Variant, x: np.ndarray) -> list[Formula]:
    """One per phase; positions may be up to a hundredth of their range outside it."""
    reach = variant.phases[0].shift
    margin = max(0.01 * (reach.high - reach.low), 2 * (x[1] - x[0]))
    place = reach.low - margin, reach.high + margin
    return [
        Formula(f, x, variant.linear, place, tuple((r.low, r.high) for r in f.params.values()))
        for f in variant.phases
    ]


class Bank:
    """Templates of one formula at all positions and a grid of shapes, linear factors projected out."""

    def __init__(self, formula: Formula) -> None:
        positions = np.arange(*formula.place, formula.x[1] - formula.x[0])
        edges = [np.linspace(a, b, 2 * SHAPES + 1)[1::2] for a, b in formula.ranges]
        grid = np.array([(s, *shape) for s in positions for shape in product(*edges)])
        bare = Formula(formula.family, formula.x, (), formula.place, formula.ranges)
        self.formula, self.grid, self.n_positions = formula, grid, len(positions)
        self.templates = bare.mean(grid)
        flat = {"offset": np.ones_like(formula.x), "slope": window(formula.x)}
        self.baseline = (
            np.stack([flat[n] for n in formula.linear if n in flat], 1) if _based(formula) else None
        )
        self.pure = self._less_baseline(self.templates)
        self.norm = np.maximum((self.pure**2).sum(1), 1e-12)

    def _less_baseline(self, signals: np.ndarray) -> np.ndarray:
        if self.baseline is None:
            return signals
        q = np.linalg.qr(self.baseline)[0]
        return signals - signals @ q @ q.T

    def span(self, sd: float) -> tuple[float, float]:
        """What a sample can be without a spike."""
        return float(self.templates.min() - 3 * sd), float(self.templates.max() + 3 * sd)

    def starts(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Parameters of the best local maxima over position, best first."""
        product_ = self.pure @ self._less_baseline(signal[None])[0]
        if "gain" in self.formula.linear:
            worth = np.maximum(product_, 0) ** 2 / self.norm
        else:
            worth = 2 * product_ - self.norm
        table = worth.reshape(self.n_positions, -1)
        best = table.max(1)
        padded = np.pad(best, 1, constant_values=-np.inf)
        peaks = np.flatnonzero((best >= padded[:-2]) & (best > padded[2:]))
        peaks = peaks[np.argsort(-best[peaks])][:STARTS]
        top = best[peaks[0]]
        for p in peaks[best[peaks] >= top - (1 - WORTH) * abs(top)]:
            yield self._start(p * table.shape[1] + int(table[p].argmax()), signal)

    def _start(self, row: int, signal: np.ndarray) -> np.ndarray:
        """A row of the grid with its linear factors by ordinary least squares."""
        linear = self.formula.linear
        if not linear:
            return self.grid[row]
        columns = {
            "gain": self.templates[row],
            "offset": np.ones_like(signal),
            "slope": window(self.formula.x),
        }
        design = np.stack([columns[n] for n in linear], 1)
        return np.concatenate([self.grid[row], np.linalg.lstsq(design, signal, rcond=None)[0]])


def _based(formula: Formula) -> bool:
    return bool({"offset", "slope"} & set(formula.linear))


def fit(variant: Variant, x: np.ndarray, signals: np.ndarray) -> Fit:
    """Fit every signal (n, P) by itself."""
    banks = [Bank(f) for f in formulas(variant, x)]
    start = time.thread_time()
    noise = noise_sd(signals)
    found = [_fit_one(variant, banks, y, sd) for y, sd in zip(signals, noise, strict=True)]
    seconds = time.thread_time() - start
    shift, sd = np.array(found).T
    return Fit(shift, sd, 1e3 * seconds / len(signals))


def _fit_one(variant: Variant, banks: list[Bank], y: np.ndarray, sd: float) -> tuple[float, float]:
    """Shift of the lowest cost over phases and starts, and its standard deviation."""
    spiked = isinstance(variant.noise, Spiked)
    seen = median_filter(y, 3) if spiked else y
    best: Any = None
    for bank in banks:
        residuals, jacobian, loss = _problem(variant, bank.formula, y, sd)
        for theta in bank.starts(np.clip(seen, *bank.span(sd)) if spiked else seen):
            got = _descend(bank.formula, residuals, jacobian, loss, theta)
            if best is None or got.cost < best[0].cost:
                best = got, bank.formula
    return best[0].x[0], _shift_sd(variant, *best, y, sd)


Function = Callable[[np.ndarray], np.ndarray]


def _descend(formula: Formula, residuals: Function, jacobian: Function, loss: Any, theta: np.ndarray) -> Any:
    """Bounded least squares; a loss that forgives spikes takes over from one that does not let go."""
    low, high = formula.low, formula.high
    for one in ("linear",) if loss == "linear" else ("soft_l1", loss):
        theta = np.clip(theta, low + 1e-6, high - 1e-6)
        scale = formula.scale(theta)
        got = least_squares(residuals, theta, jacobian, (low, high), x_scale=scale, loss=one, ftol=1e-6)
        theta = got.x
    return got


def _problem(variant: Variant, formula: Formula, y: np.ndarray, sd: float) -> tuple[Function, Function, Any]:
    """Residuals, their Jacobian and the loss of the noise's own likelihood."""
    if isinstance(variant.noise, Counts):
        return *_deviance(formula, y), "linear"
    loss = _spiked_loss(variant.noise) if isinstance(variant.noise, Spiked) else "linear"
    return (
        lambda theta: (formula.mean(theta[None])[0] - y) / sd,
        lambda theta: formula.jacobian(theta) / sd,
        loss,
    )


def _deviance(formula: Formula, y: np.ndarray) -> tuple[Function, Function]:
    """Signed roots of the Poisson deviance: their squares add up to -2 log likelihood, less a constant."""
    constant = np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0)

    def parts(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.maximum(formula.mean(theta[None])[0], 1e-3)
        half = np.maximum(mean - y * np.log(mean) + constant, 0)
        return mean, np.sign(mean - y) * np.sqrt(2 * half)

    def jacobian(theta: np.ndarray) -> np.ndarray:
        mean, root = parts(theta)
        flat = np.abs(root) < 1e-4
        slope = np.where(flat, mean**-0.5, (1 - y / mean) / np.where(flat, 1, root))
        return slope[:, None] * formula.jacobian(theta)

    return lambda theta: parts(theta)[1], jacobian


def _spiked_loss(noise: Spiked) -> Callable[[np.ndarray], np.ndarray]:
    """-2 log density of an error sqrt(z), less its value at 0, and its first two derivatives by z."""
    plain = 1 - noise.share
    spike = noise.share / (2 * (noise.high - noise.low)) * np.sqrt(2 * np.pi)  # taken as flat everywhere

    def loss(z: np.ndarray) -> np.ndarray:
        core = plain * np.exp(-np.minimum(z, 700.0) / 2)
        weight = core / (core + spike)
        value = -2 * np.log((core + spike) / (plain + spike))
        return np.stack([value, weight, -0.5 * weight * (1 - weight)])

    return loss


def _shift_sd(variant: Variant, got: Any, formula: Formula, y: np.ndarray, sd: float) -> float:
    """From the Fisher information at the best fit, with the noise that the residuals show."""
    theta = got.x
    mean = formula.mean(theta[None])
    if isinstance(variant.noise, Counts):
        weight = variant.noise.information(np.maximum(mean, 1e-3), mean)[0]
    else:
        rest = y - mean[0]
        kept = np.abs(rest) < 5 * sd if isinstance(variant.noise, Spiked) else np.ones(len(y), bool)
        level = np.sqrt((rest[kept] ** 2).sum() / max(kept.sum() - len(theta), 1))
        weight = variant.noise.information(mean, np.array([[level]]))[0]
    slopes = formula.jacobian(theta) * formula.scale(theta)
    covariance = np.linalg.pinv((slopes * weight[:, None]).T @ slopes, 1e-12, hermitian=True)
    return float(np.sqrt(covariance[0, 0]) * formula.scale(theta)[0])
