"""What shiftbench measures of one run, and what it requires of shapeshift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from cases import CASES, FAMILY_NAMES
from measures import Estimates, rms

from shapeshift.analysis import active_latents

FAILED = 10  # bounds
ONE_SD, TWO_SD = 1.0, 1.96  # nominally 68.27 % and 95 %
LARGER_IS_WORSE = ("efficiency", "failures", "leak", "fit_seconds", "ms_per_signal", "spread", "flagged")
NOMINAL = {"coverage68": 0.6827, "coverage95": 0.95}
PEERS = ("pyroVED", "correlation", "hyperspy", "affinewarp", "scikit-fda")

Figures = dict[str, object]
Runs = Mapping[str, Mapping[str, Mapping[str, Figures]]]  # row -> case -> seed


def figures(estimates: Mapping[str, Estimates], moved: np.ndarray, bound: np.ndarray) -> Figures:
    """Accuracy, honesty and leak on pairs; nan for what the estimator does not tell.

    Parameters
    ----------
    estimates : mapping
        ``first`` and ``second`` of every pair, and ``again`` where there are latents.
    moved, bound : ndarray (n,)
        True displacement and the bound on the sd of its estimate.

    Returns
    -------
    dict
        ``efficiency`` RMS error / RMS bound; ``failures`` share of errors over 10 bounds; ``coverage68``
        and ``coverage95`` share of errors within 1 and 1.96 reported sd; ``leak``, see `leak`;
        ``spread`` sd of all shifts and ``error_bar`` their median sd.
    """
    first, second = estimates["first"], estimates["second"]
    error = second.shift - first.shift - moved
    sd = np.hypot(first.shift_sd, second.shift_sd)
    told = bool(np.isfinite(sd).all())
    return {
        "efficiency": rms(error) / rms(bound),
        "failures": float(np.mean(np.abs(error) > FAILED * bound)),
        "coverage68": float(np.mean(np.abs(error) < ONE_SD * sd)) if told else float("nan"),
        "coverage95": float(np.mean(np.abs(error) < TWO_SD * sd)) if told else float("nan"),
        "leak": leak(first, second, estimates["again"]) if "again" in estimates else float("nan"),
        "spread": float(np.std(np.concatenate([first.shift, second.shift]))),
        "error_bar": float(np.median(np.concatenate([first.shift_sd, second.shift_sd]))),
    }


def leak(first: Estimates, second: Estimates, again: Estimates) -> float:
    """(<dz^2 when moved> - <dz^2 between two draws of noise>) / (2 var z), the largest over active latents.

    0 is none, 1 is all; 0 where no latent is active.
    """
    used = active_latents(first).active
    if not used.any():
        return 0.0
    moved, at_rest = (((other.z - first.z) ** 2).mean(0) for other in (second, again))
    return float(((moved - at_rest) / np.maximum(2 * first.z.var(0), 1e-12))[used].max())


def worst(seeds: Mapping[str, Figures]) -> Figures:
    """Of every figure the worst over seeds: the largest, or for coverage the one farthest from nominal."""
    out: Figures = {}
    for name in dict.fromkeys(k for one in seeds.values() for k in one):
        values = [one[name] for one in seeds.values() if one.get(name) is not None]
        numbers = [v for v in values if isinstance(v, (int, float))]
        if name in NOMINAL and numbers:
            out[name] = max(numbers, key=lambda v, aim=NOMINAL[name]: abs(v - aim))
        elif name in LARGER_IS_WORSE and numbers:
            out[name] = max(numbers)
        elif values:
            out[name] = values[0]
    return out


def usual(seeds: Mapping[str, Figures], name: str) -> float:
    """Median over seeds of one figure: for times, where the worst tells of the machine."""
    return float(np.median([one[name] for one in seeds.values() if one.get(name) is not None]))


@dataclass(frozen=True)
class Check:
    """One requirement and what was found; ``found`` is None where it was not measured."""

    what: str
    found: float | None
    needed: str
    passed: bool | None


def checks(runs: Runs) -> Iterator[Check]:
    """Every requirement that the runs can answer."""
    ours = {case: worst(seeds) for case, seeds in runs.get("shapeshift", {}).items()}
    for case in CASES.values():
        yield _at_most(f"efficiency, {case.name}", _get(ours, case.name, "efficiency"), case.efficiency)
    yield from _against_formula(runs, ours)
    for case in CASES:
        most = 0.0 if case == "few" else 0.001
        if case != "still":
            yield _at_most(f"failures, {case}", _get(ours, case, "failures"), most)
    for case in FAMILY_NAMES:
        yield _within(f"coverage of 1 sd, {case}", _get(ours, case, "coverage68"), 0.66, 0.70)
        yield _within(f"coverage of 1.96 sd, {case}", _get(ours, case, "coverage95"), 0.94, 0.96)
        yield _at_most(f"leak, {case}", _get(ours, case, "leak"), 0.01)
    yield from _against_peers(runs, ours)
    yield from _still(runs)


def race_checks(race: Mapping[str, Any]) -> Iterator[Check]:
    """What is required of speed, from a run with --race."""
    yield _at_most("fit of one family, s", race.get("fit_seconds"), 8)
    yield _at_least("fit: times faster than pyroVED", race.get("ratio"), 15)
    yield _at_least("posterior, signals a second", race.get("posterior_rate"), 20_000)
    yield _at_least("encoder alone, signals a second", race.get("encoder_rate"), 300_000)


def _against_formula(runs: Runs, ours: Mapping[str, Figures]) -> Iterator[Check]:
    """As accurate as the fit of the formula on the same signals, and how many times faster."""
    ratios = []
    theirs = {case: worst(seeds) for case, seeds in runs.get("formula fit", {}).items()}
    for case in FAMILY_NAMES:
        a, b = _get(ours, case, "efficiency"), _get(theirs, case, "efficiency")
        yield _at_most(f"efficiency / formula fit, {case}", a / b if a and b else None, 1.04)
        a, b = (_ms(runs, row, case) for row in ("shapeshift", "formula fit"))
        ratio = b / a if a and b else None
        ratios.append(ratio)
        yield _at_least(f"times faster than formula fit, {case}", ratio, 10)
    known = [r for r in ratios if r is not None]
    yield _at_least("times faster than formula fit, median", float(np.median(known)) if known else None, 60)


def _against_peers(runs: Runs, ours: Mapping[str, Figures]) -> Iterator[Check]:
    for case in FAMILY_NAMES:
        others = [worst(runs[p][case])["efficiency"] for p in PEERS if case in runs.get(p, {})]
        mine = _get(ours, case, "efficiency")
        ratio = mine / min(others) if others and mine else None
        yield _at_most(f"efficiency / best peer, {case}", ratio, 1.02)


def _still(runs: Runs) -> Iterator[Check]:
    """Every seed: spread of the shifts below their error bar, and the words for it."""
    seeds = runs.get("shapeshift", {}).get("still", {})
    ratio = max((one["spread"] / max(one["error_bar"], 1e-12) for one in seeds.values()), default=None)
    yield _at_most("still: spread of shifts / their error bar", ratio, 1.0)
    said = min((float("hardly-shift" in one["doubts"]) for one in seeds.values()), default=None)
    yield _at_least("still: says 'hardly-shift' (1 yes)", said, 1)


def _ms(runs: Runs, row: str, case: str) -> float | None:
    seeds = runs.get(row, {}).get(case, {})
    timed = {k: one for k, one in seeds.items() if one.get("ms_per_signal") is not None}
    return usual(timed, "ms_per_signal") if timed else None


def _get(table: Mapping[str, Figures], case: str, name: str) -> float | None:
    return table.get(case, {}).get(name)


def _at_most(what: str, found: float | None, most: float | None) -> Check:
    if most is None:
        return Check(what, found, "no target", None)
    return Check(what, found, f"<= {most:g}", None if found is None else found <= most)


def _at_least(what: str, found: float | None, least: float) -> Check:
    return Check(what, found, f">= {least:g}", None if found is None else found >= least)


def _within(what: str, found: float | None, low: float, high: float) -> Check:
    return Check(what, found, f"{low:g} to {high:g}", None if found is None else low <= found <= high)
