"""Families of line shapes made hard: counts, spikes, gains and baselines, edges, no shift, two phases.

The expected signal is ``gain * f(x - shift; shape) + offset + slope * u``: the pattern moves, the
baseline stays on the axis (u runs from -1 to 1 over the window). A noise model says how samples
scatter about that and, through its Fisher information, how well any estimator can do.

The bound on the sd of a shift is the Cramer-Rao bound for a *known shape*. What varies beside shape and
shift (gain, offset, slope) is unknown to whoever measures, so it is projected out: with the derivatives
J and the information W of the samples, bound^2 = [(J' W J)^-1]_shift. Where nothing but the shape varies
in white noise, that is the matched-filter bound ``sigma / ||df / dshift||``. One variant has the shape
projected out too: a feature cut by the *edge* of the window cannot tell its width from its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

import numpy as np
import xarray as xr

from shapeshift.data.families import FAMILIES, Family, Range
from shapeshift.data.noises import Counts, Noise, Spiked, White
from shapeshift.data.synthetic import as_signals, check_count

__all__ = ["VARIANTS", "LogRange", "Triples", "Variant", "triples", "variant_sample"]

STEP = 1e-3  # of a factor of shape, for derivatives


class Drawn(Protocol):
    """Something that values can be drawn from."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Values (n,), independent."""
        ...


@final
@dataclass(frozen=True)
class LogRange:
    """Values whose logarithm is uniform: as many between 1 and 2 as between 10 and 20.

    Examples
    --------
    >>> LogRange(1, 20).draw(np.random.default_rng(0), 3).round(2)
    array([6.74, 2.24, 1.13])
    """

    low: float
    high: float

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Values (n,), independent."""
        return np.exp(rng.uniform(np.log(self.low), np.log(self.high), n))


ALWAYS_ONE, ALWAYS_ZERO = Range(1, 1), Range(0, 0)
WHITE = White()


@final
@dataclass(frozen=True)
class Variant:
    """Signals of one or several families, with gain, baseline and a noise model.

    Parameters
    ----------
    name : str
    phases : tuple of Family
        Every signal is of one of them, drawn with equal chances. Axis, positions and noise level are
        those of the first.
    noise : Noise
    gain, offset, slope : Range or LogRange
        Of every signal; what varies counts as unknown in the bound.
    shape_unknown : bool
        The factors of shape count as unknown in the bound, too.
    widest : float
        Pairs have bounds of at most so many samples at either position.
    """

    name: str
    phases: tuple[Family, ...]
    noise: Noise = WHITE
    gain: Drawn = ALWAYS_ONE
    offset: Drawn = ALWAYS_ZERO
    slope: Drawn = ALWAYS_ZERO
    shape_unknown: bool = False
    widest: float = np.inf

    @property
    def linear(self) -> tuple[str, ...]:
        """Those of gain, offset and slope that vary."""
        return tuple(n for n in ("gain", "offset", "slope") if getattr(self, n).high > getattr(self, n).low)

    def grid(self, length: int | None = None) -> np.ndarray:
        """The axis (length,)."""
        return self.phases[0].grid(length)

    def draw(self, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
        """Everything about n signals but their positions: factors, phase, noise level, each (n,)."""
        shapes = {name: r.draw(rng, n) for phase in self.phases for name, r in phase.params.items()}
        linear = {name: getattr(self, name).draw(rng, n) for name in ("gain", "offset", "slope")}
        phase = rng.integers(len(self.phases), size=n)
        return shapes | linear | {"phase": phase, "noise": self.phases[0].noise.draw(rng, n)}

    def place(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Positions (n,), axis units."""
        return self.phases[0].shift.draw(rng, n)

    def pattern(self, x: np.ndarray, shift: np.ndarray, truth: Mapping[str, np.ndarray]) -> np.ndarray:
        """The moving part (n, P) of gain 1."""
        return self._by_phase("values", x, shift, truth)

    def mean(self, x: np.ndarray, shift: np.ndarray, truth: Mapping[str, np.ndarray]) -> np.ndarray:
        """Expected signals (n, P)."""
        gain, offset, slope = (truth[name][:, None] for name in ("gain", "offset", "slope"))
        return gain * self.pattern(x, shift, truth) + offset + slope * window(x)

    def noisy(self, mean: np.ndarray, truth: Mapping[str, np.ndarray], rng: np.random.Generator) -> Any:
        """One draw of noise about expected signals."""
        return self.noise.draw(mean, truth["noise"][:, None], rng)

    def bound(self, x: np.ndarray, shift: np.ndarray, truth: Mapping[str, np.ndarray]) -> np.ndarray:
        """Cramer-Rao bound (n,) on the sd of a shift, axis units; infinite where nothing is to be seen."""
        weight = self.noise.information(self.mean(x, shift, truth), truth["noise"][:, None])
        along = truth["gain"][:, None] * self._by_phase("slope", x, shift, truth)
        information = (weight * along**2).sum(1)
        if nuisances := self._nuisances(x, shift, truth):
            rest = np.stack(nuisances, 1)
            inner = np.einsum("nip,np,njp->nij", rest, weight, rest)
            cross = np.einsum("nip,np,np->ni", rest, weight, along)
            information -= np.einsum(
                "ni,nij,nj->n", cross, np.linalg.pinv(inner, 1e-12, hermitian=True), cross
            )
        return np.maximum(information, 1e-300) ** -0.5

    def _by_phase(self, what: str, x: np.ndarray, shift: np.ndarray, truth: Mapping[str, Any]) -> np.ndarray:
        """``values`` or ``slope`` of every signal's own phase (n, P)."""
        out = np.empty((len(shift), len(x)))
        for k, family in enumerate(self.phases):
            rows = truth["phase"] == k
            out[rows] = getattr(family, what)(x, shift[rows], {p: truth[p][rows] for p in family.params})
        return out

    def _nuisances(self, x: np.ndarray, shift: np.ndarray, truth: Mapping[str, Any]) -> list[np.ndarray]:
        """Derivatives (n, P) of the mean along all that counts as unknown beside the shift."""
        by_name = {
            "gain": lambda: self.pattern(x, shift, truth),
            "offset": lambda: np.ones((len(shift), len(x))),
            "slope": lambda: np.broadcast_to(window(x), (len(shift), len(x))),
        }
        found = [by_name[name]() for name in self.linear]
        if self.shape_unknown:
            for name in {p for phase in self.phases for p in phase.params}:
                up, down = (self.mean(x, shift, {**truth, name: truth[name] + h}) for h in (STEP, -STEP))
                found.append((up - down) / (2 * STEP))
        return found


def window(x: np.ndarray) -> np.ndarray:
    """The axis from -1 to 1."""
    return (2 * x - x[0] - x[-1]) / (x[-1] - x[0])


@final
@dataclass(frozen=True, eq=False)
class Triples:
    """Pairs of one shape at two positions, and the first of each once more in another draw of noise.

    Parameters
    ----------
    first, second, again : xarray.DataArray (n, P)
        At the first position, at the second, and at the first again.
    shift_first, shift_second : ndarray (n,)
        True positions, axis units.
    truth : mapping of str to ndarray (n,)
        All else that is true of each pair.
    bound : ndarray (n,)
        Root sum of squares of the bounds at the two positions, axis units.
    """

    first: xr.DataArray
    second: xr.DataArray
    again: xr.DataArray
    shift_first: np.ndarray
    shift_second: np.ndarray
    truth: Mapping[str, np.ndarray]
    bound: np.ndarray

    @property
    def moved(self) -> np.ndarray:
        """True move from the first to the second of each pair (n,), axis units."""
        return self.shift_second - self.shift_first


def variant_sample(
    variant: Variant, n: int, seed: int, *, length: int | None = None
) -> tuple[xr.DataArray, xr.Dataset]:
    """Noisy signals, each with its own position, shape, gain, baseline and noise level.

    Examples
    --------
    >>> X, truth = variant_sample(VARIANTS["counts"], 3, seed=0)
    >>> X.shape, bool((X % 1 == 0).all())
    ((3, 128), True)
    """
    check_count(n)
    rng, x = np.random.default_rng(seed), variant.grid(length)
    truth, shift = variant.draw(rng, n), variant.place(rng, n)
    values = variant.noisy(variant.mean(x, shift, truth), truth, rng)
    columns = {name: ("signal", value) for name, value in {"shift": shift, **truth}.items()}
    return as_signals(values, x, f"synthetic {variant.name}, seed {seed}"), xr.Dataset(columns)


def triples(variant: Variant, n: int, seed: int, *, length: int | None = None) -> Triples:
    """Pairs with known displacement and bound; those wider than the variant's `widest` are drawn anew.

    Examples
    --------
    >>> t = triples(VARIANTS["edge"], 50, seed=0)
    >>> t.first.shape, bool(np.isfinite(t.bound).all())
    ((50, 128), True)
    """
    check_count(n)
    rng, x = np.random.default_rng(seed), variant.grid(length)
    truth, shifts, bounds = _eligible(variant, n, x, rng)
    first, second = (variant.mean(x, shift, truth) for shift in shifts)
    noisy = [as_signals(variant.noisy(y, truth, rng), x, variant.name) for y in (first, second, first)]
    return Triples(noisy[0], noisy[1], noisy[2], shifts[0], shifts[1], truth, np.hypot(*bounds))


def _eligible(variant: Variant, n: int, x: np.ndarray, rng: np.random.Generator) -> tuple[dict, Any, Any]:
    """Truth, two positions (2, n) and their bounds (2, n), none above the widest allowed."""
    most = variant.widest * (x[1] - x[0])
    chunks: list[tuple[dict, np.ndarray, np.ndarray]] = []
    while sum(len(shifts[0]) for _, shifts, _ in chunks) < n:
        truth, shifts = variant.draw(rng, n), np.stack([variant.place(rng, n) for _ in range(2)])
        bounds = np.stack([variant.bound(x, shift, truth) for shift in shifts])
        good = (bounds <= most).all(0)
        chunks.append(({k: v[good] for k, v in truth.items()}, shifts[:, good], bounds[:, good]))
    truth = {k: np.concatenate([t[k] for t, _, _ in chunks])[:n] for k in chunks[0][0]}
    shifts, bounds = (np.concatenate([c[k] for c in chunks], axis=1)[:, :n] for k in (1, 2))
    return truth, shifts, bounds


_AXIS = (-12.0, 12.0, 128)
_NOISE = Range(0.01, 0.06)
_PEAK = replace(FAMILIES["article"], name="peak", axis=_AXIS, noise=_NOISE, params={"width": Range(0.5, 2)})
_DOUBLET = FAMILIES["doublet"]

#: The hard variants by name.
VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(
            "counts",
            (replace(_PEAK, shift=Range(-6, 6)),),
            Counts(),
            gain=LogRange(5, 200),
            offset=Range(0.5, 2),
        ),
        Variant("spikes", (_DOUBLET,), Spiked()),
        Variant(
            "gain",
            (FAMILIES["pseudo-voigt"],),
            gain=LogRange(0.5, 10),
            offset=Range(-1, 1),
            slope=Range(-1, 1),
        ),
        Variant("edge", (replace(_PEAK, shift=Range(-20, 20)),), shape_unknown=True, widest=1),
        Variant("still", (replace(_DOUBLET, shift=Range(0, 0)),)),
        Variant("two-phase", (_DOUBLET, replace(_PEAK, params={"width": Range(0.25, 1)}))),
    )
}
