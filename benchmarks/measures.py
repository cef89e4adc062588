"""What is measured of an estimator of shifts, and how it is written down."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from shapeshift import __version__

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Estimates:
    """What an estimator says of n signals: shift (n,), shape latents z (n, K), and the sd of each."""

    shift: np.ndarray
    shift_sd: np.ndarray
    z: np.ndarray
    z_sd: np.ndarray


def pair_measures(
    first: Estimates, second: Estimates, moved: np.ndarray, bound: np.ndarray
) -> dict[str, float]:
    """Accuracy and honesty on pairs: one shape at two positions, two draws of noise.

    Parameters
    ----------
    first, second : Estimates
    moved, bound : ndarray (n,)
        True shift_second - shift_first, and the matched-filter bound on the sd of its estimate.

    Returns
    -------
    dict
        ``efficiency`` = RMS error / RMS bound (1 is the physical limit for a known shape), ``lost`` =
        share of errors over 10 bounds, ``coverage68`` and ``coverage95`` = share of central intervals
        of that nominal probability that hold the truth.
    """
    error = second.shift - first.shift - moved
    sd = np.hypot(first.shift_sd, second.shift_sd)
    return {
        "efficiency": rms(error) / rms(bound),
        "lost": float(np.mean(np.abs(error) > 10 * bound)),
        "coverage68": float(np.mean(np.abs(error) < 0.9945 * sd)),
        "coverage95": float(np.mean(np.abs(error) < 1.96 * sd)),
    }


def slope(shift: np.ndarray, truth: np.ndarray) -> float:
    """Slope of the least-squares line of estimated against true shift; 1 is right, in sign too."""
    return float(np.polyfit(truth, shift, 1)[0])


def leak(first: np.ndarray, second: np.ndarray, used: np.ndarray) -> float:
    """How much the shape latents change when a signal only moves.

    Parameters
    ----------
    first, second : ndarray (n, K)
        Latents of nearly noise-free signals at one position and at another.
    used : ndarray (K,) of bool
        The active latents.

    Returns
    -------
    float
        RMS change relative to that between two signals drawn at random: 0 is none, 1 is all.
    """
    if not used.any():
        return float("nan")
    return rms((second - first)[:, used]) / (2**0.5 * rms((first - first.mean(0))[:, used]))


def agreement(
    shift: np.ndarray, reference: np.ndarray, step: float, good: np.ndarray | None = None
) -> dict[str, float | None]:
    """Shifts against a reference that may differ by a constant; lengths in samples of size ``step``.

    Returns
    -------
    dict
        ``r``, ``median_error`` (samples, after removing the median offset), ``off_by_10`` (share more
        than 10 samples off). All None where fewer than 3 signals are left; r is None where one side is
        constant.
    """
    good = np.isfinite(reference) & np.isfinite(shift) & (True if good is None else good)
    if good.sum() < 3:
        return dict.fromkeys(("r", "median_error", "off_by_10"))
    error = (shift[good] - reference[good]) / step
    error = np.abs(error - np.median(error))
    varied = np.ptp(shift[good]) > 0 and np.ptp(reference[good]) > 0
    return {
        "r": float(np.corrcoef(shift[good], reference[good])[0, 1]) if varied else None,
        "median_error": float(np.median(error)),
        "off_by_10": float(np.mean(error > 10)),
    }


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def machine(threads: int) -> dict[str, str | int]:
    """Where the figures come from."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count() or 0,
        "threads": threads,
        "python": platform.python_version(),
        "shapeshift": __version__,
        **{name: version(name) for name in ("torch", "numpy")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A Markdown table whose columns are padded, so that it reads well in a terminal too."""
    head = list(rows[0])
    cells = [head, *([_text(row[name]) for name in head] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(name: str, record: Mapping[str, object], text: str) -> None:
    """results/NAME.json with everything, results/NAME.md to read."""
    RESULTS.mkdir(exist_ok=True)
    strict = json.dumps(_plain(record), indent=1, allow_nan=False)
    (RESULTS / f"{name}.json").write_text(strict + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    """null for what is not a number: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
