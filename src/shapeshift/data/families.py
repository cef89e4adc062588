"""Families of line shapes: what a signal looks like, what varies in it, how far it moves.

Every signal is ``f(x - shift; shape)``: a positive shift moves the feature towards larger axis
values. For a known shape in white noise of sd sigma no unbiased estimator of the shift has a smaller
standard deviation than the matched-filter (Cramer-Rao) bound ``sigma / ||df / dshift||``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shapeshift.errors import ShapeshiftError

HALF_WIDTH = np.sqrt(2 * np.log(2))  # half width at half maximum of a Gaussian of sd 1


@dataclass(frozen=True)
class Range:
    """Values drawn uniformly from [low, high), or from ``count`` evenly spaced values of it.

    Parameters
    ----------
    low, high : float
    count : int, optional

    Examples
    --------
    >>> Range(0, 1, count=4).draw(np.random.default_rng(0), 3)
    array([0.75, 0.5 , 0.5 ])
    """

    low: float
    high: float
    count: int | None = None

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Values (n,), independent."""
        if self.count is None:
            return rng.uniform(self.low, self.high, n)
        return rng.choice(np.linspace(self.low, self.high, self.count, endpoint=False), n)


@dataclass(frozen=True)
class Family:
    """Signals of one kind: a line shape, what varies in it, how far it moves, how noisy it is.

    Parameters
    ----------
    name : str
    axis : (float, float, int)
        First and last value of the axis and the number of samples.
    shape : callable
        ``shape(u, params)``: values on coordinates u (n, P) measured from the feature's centre;
        ``params`` maps names to arrays (n, 1).
    params : mapping of str to Range
        The factors of shape.
    shift : Range
        Positions, in axis units.
    noise : Range
        Standard deviation of the additive Gaussian noise, one draw per signal.

    Examples
    --------
    >>> import shapeshift as ss
    >>> family = ss.synthetic.FAMILIES["doublet"]
    >>> x = family.grid()
    >>> shapes = {name: r.draw(np.random.default_rng(0), 3) for name, r in family.params.items()}
    >>> family.values(x, np.zeros(3), shapes).shape == (3, len(x))
    True
    """

    name: str
    axis: tuple[float, float, int]
    shape: Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]
    params: Mapping[str, Range]
    shift: Range
    noise: Range

    def grid(self, length: int | None = None) -> np.ndarray:
        """The axis (length,): the family's own number of samples unless told."""
        low, high, count = self.axis
        if length is not None and length < 2:
            raise ShapeshiftError(
                f"got length={length}; signals need at least 2 samples: pass a larger length."
            )
        return np.linspace(low, high, count if length is None else length)

    def values(self, x: np.ndarray, shift: np.ndarray, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """Noise-free signals (n, P) at positions ``shift`` (n,) with shape ``params`` (n,) each.

        Examples
        --------
        >>> y = FAMILIES["article"].values(np.array([0.0, 1.0]), np.array([1.0]), {"width": np.array([1.0])})
        >>> y.round(3)
        array([[0.607, 1.   ]])
        """
        return self.shape(x - shift[:, None], {name: value[:, None] for name, value in params.items()})

    def slope(self, x: np.ndarray, shift: np.ndarray, params: Mapping[str, np.ndarray]) -> np.ndarray:
        """df / dshift (n, P), by central differences of fourth order."""
        step = 1e-3

        def across(h: float) -> np.ndarray:
            return (self.values(x, shift + h, params) - self.values(x, shift - h, params)) / (2 * h)

        return (4 * across(step) - across(2 * step)) / 3

    def bound(
        self, x: np.ndarray, shift: np.ndarray, params: Mapping[str, np.ndarray], noise: np.ndarray
    ) -> np.ndarray:
        """Matched-filter bound (n,) on the sd of a shift, axis units: sigma / ||df / dshift||."""
        return noise / np.linalg.norm(self.slope(x, shift, params), axis=1)


def _gaussian(u, p):
    return np.exp(-((u / p["width"]) ** 2) / 2)


def _gaussian_lorentzian(u, p):
    """One centre and one half width at half maximum for both parts."""
    lorentzian = 1 / (1 + (u / (HALF_WIDTH * p["width"])) ** 2)
    return (1 - p["mixing"]) * _gaussian(u, p) + p["mixing"] * lorentzian


def _pseudo_voigt(u, p):
    """``width`` is the half width at half maximum (Wertheim et al. 1974, Rev. Sci. Instrum. 45, 1369)."""
    v = (u / p["width"]) ** 2
    return p["mixing"] / (1 + v) + (1 - p["mixing"]) * np.exp(-np.log(2) * v)


def _doublet(u, p):
    """Two Gaussian lines of sd 0.5 around a common centre."""
    left, right = u + p["splitting"] / 2, u - p["splitting"] / 2
    return np.exp(-2 * left**2) + p["ratio"] * np.exp(-2 * right**2)


def _fano(u, p):
    """Fano (1961), Phys. Rev. 124, 1866, eq. 21, less its background and of about unit size."""
    v, q = u / 0.8, p["q"]
    return ((q + v) ** 2 / (1 + v**2) - 1) / (1 + q**2)


def _resonance(u, p):
    """Amplitude of a damped harmonic oscillator against frequency; resonance at 20, height 1."""
    f = 1 + u / 20
    return (1 / p["quality"]) / np.sqrt((1 - f**2) ** 2 + (f / p["quality"]) ** 2)


def _beat(u, p):
    """A spike between two dips, and a low, broad wave after it."""

    def wave(centre, sd):
        return np.exp(-(((u - centre) / sd) ** 2) / 2)

    return wave(0, 0.2) - p["dips"] * (wave(-0.5, 0.2) + wave(0.5, 0.25)) + p["wave"] * wave(4, 0.9)


_WIDE = (-12.0, 12.0, 128)
_NOISE = Range(0.01, 0.06)
_ARTICLE_RANGES = {"width": Range(0.5, 5, count=450)}
_ARTICLE_REST = (Range(-3, 3, count=60), Range(0.001, 0.1, count=99))

#: The families by name.
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("article", (-12.0, 12.0, 100), _gaussian, _ARTICLE_RANGES, *_ARTICLE_REST),
        Family(
            "pseudo-voigt",
            _WIDE,
            _pseudo_voigt,
            {"width": Range(0.25, 0.6), "mixing": Range(0, 1)},
            Range(-8, 8),
            _NOISE,
        ),
        Family(
            "doublet",
            _WIDE,
            _doublet,
            {"ratio": Range(0.3, 1), "splitting": Range(1, 3)},
            Range(-5, 5),
            _NOISE,
        ),
        Family("fano", _WIDE, _fano, {"q": Range(-2.5, 2.5)}, Range(-5, 5), _NOISE),
        Family("resonance", _WIDE, _resonance, {"quality": Range(8, 40)}, Range(-4, 4), _NOISE),
        Family("qrs", _WIDE, _beat, {"dips": Range(0.1, 0.4), "wave": Range(0.1, 0.4)}, Range(-6, 6), _NOISE),
    )
}

#: The two variants of the article's experiment.
ARTICLE_SHAPES: dict[str, Family] = {
    "gaussian": FAMILIES["article"],
    "mixed": Family(
        "article, mixed",
        (-12.0, 12.0, 100),
        _gaussian_lorentzian,
        _ARTICLE_RANGES | {"mixing": Range(0, 1)},
        *_ARTICLE_REST,
    ),
}
