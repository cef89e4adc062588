"""The cases of shiftbench: what is fitted, what is held out, how many signals."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from shapeshift.data.families import FAMILIES
from shapeshift.data.variants import VARIANTS, Triples, Variant, triples, variant_sample

LENGTH = 128
N = 3000
HELD_OUT_SEED = 1000  # added to the seed of the training set


@dataclass(frozen=True)
class Case:
    """Signals of one kind.

    Parameters
    ----------
    name : str
    variant : Variant
    efficiency : float or None
        What shapeshift's is to be at most.
    n : int, optional
        Signals to fit, where that is part of the case.
    """

    name: str
    variant: Variant
    efficiency: float | None
    n: int | None = None


def _plain(name: str) -> Variant:
    return Variant(name, (FAMILIES[name],))


_FAMILIES = {
    "article": 1.05,
    "pseudo-voigt": 1.07,
    "doublet": 1.10,
    "fano": 1.20,
    "resonance": 1.07,
    "qrs": 1.07,
}
_HARD = {"counts": 1.15, "spikes": 1.15, "gain": 1.15, "edge": 1.15, "two-phase": None, "still": None}

#: The cases by name: six families, seven hard variants.
CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *(Case(name, _plain(name), most) for name, most in _FAMILIES.items()),
        *(Case(name, VARIANTS[name], most) for name, most in _HARD.items()),
        Case("few", _plain("doublet"), 1.3, n=100),
    )
}
FAMILY_NAMES = tuple(_FAMILIES)


@dataclass(frozen=True)
class Task:
    """One case of one seed: signals to fit, their true shifts, held-out pairs."""

    case: Case
    seed: int
    train: xr.DataArray
    truth: xr.Dataset
    held_out: Triples

    @property
    def arrays(self) -> dict[str, xr.DataArray]:
        """The held-out signals by name."""
        return {name: getattr(self.held_out, name) for name in ("first", "second", "again")}


def make_task(case: Case, seed: int, n: int = N, n_pairs: int = 2000) -> Task:
    """Draw a case; training and held-out signals have different seeds."""
    train, truth = variant_sample(case.variant, case.n or n, seed, length=LENGTH)
    held_out = triples(case.variant, n_pairs, seed + HELD_OUT_SEED, length=LENGTH)
    return Task(case, seed, train, truth, held_out)
