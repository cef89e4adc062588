"""The rows of shiftbench: every estimator behind one signature, task in, outcome out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import formula
import numpy as np
import torch
from _peers import aligner_python, elsewhere, peer_python
from cases import Task
from measures import Estimates
from threadpoolctl import threadpool_limits

import shapeshift as ss
from shapeshift.analysis import correlation

DX_PRIOR = 0.3  # prior sd of pyroVED's offset, as in the article: share of the half axis


@dataclass(frozen=True)
class Options:
    """What the command line says of every run."""

    threads: int = 1
    peer_epochs: int = 100


@dataclass(frozen=True)
class Outcome:
    """What an estimator makes of a task.

    Parameters
    ----------
    estimates : mapping of str to Estimates
        Of ``first``, ``second``, and where there are latents ``again``. What it does not tell is nan.
    fit_seconds : float
        nan for what is not fitted beforehand.
    ms_per_signal : float
    notes : mapping of str to anything JSON knows
    """

    estimates: dict[str, Estimates]
    fit_seconds: float
    ms_per_signal: float
    notes: dict[str, object] = field(default_factory=dict)


def shapeshift(task: Task, options: Options) -> Outcome:
    """All defaults."""
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    model = ss.ShiftVAE(random_state=task.seed).fit(task.train)
    fitted = time.perf_counter()
    posteriors = {name: model.posterior(X) for name, X in task.arrays.items()}
    done = time.perf_counter()
    told = ss.analysis.doubts(model, task.held_out.first, posteriors["first"])
    flagged = float(np.mean(np.concatenate([posteriors[k].flags for k in ("first", "second")]) != ""))
    return Outcome(
        {name: Estimates(p.shift, p.shift_sd, p.z, p.z_sd) for name, p in posteriors.items()},
        fitted - start,
        1e3 * (done - fitted) / (3 * len(task.held_out.bound)),
        {"doubts": [d.code for d in told], "flagged": flagged},
    )


def pyroved(task: Task, options: Options) -> Outcome:
    """pyroVED with its defaults and the article's prior and sampler, scaled to (0, 1) over the set.

    Its offsets become axis units by the regression of the true shifts of the training set on them, a
    help that no user has; where nothing shifts, by offset x prior x half axis.
    """
    low, high = float(task.train.min()), float(task.train.max())
    arrays = {"train": task.train, **task.arrays}
    scaled = {name: ((X.values - low) / (high - low)).astype(np.float32) for name, X in arrays.items()}
    chosen = {
        "n_latent": 2,
        "dx_prior": DX_PRIOR,
        "sampler": "bernoulli",
        "seed": task.seed,
        "batch_size": 100,
        "epochs": options.peer_epochs,
        "threads": options.threads,
    }
    out = elsewhere(peer_python(), "_pyroved_worker.py", scaled, json.dumps(chosen), options.threads)
    per_unit, zero = DX_PRIOR * np.ptp(task.train.x.values) / 2, 0.0
    if np.ptp(task.truth["shift"].values) > 0:
        per_unit, zero = np.polyfit(out["train_mean"][:, 0], task.truth["shift"].values, 1)
    estimates = {}
    for name in task.arrays:
        mean, sd = out[f"{name}_mean"], out[f"{name}_sd"]
        shift = zero + per_unit * mean[:, 0]
        estimates[name] = Estimates(shift, abs(per_unit) * sd[:, 0], mean[:, 1:], sd[:, 1:])
    total = sum(map(len, scaled.values()))
    return Outcome(
        estimates,
        float(out["fit_seconds"]),
        1e3 * float(out["encode_seconds"]) / total,
        {"epochs": options.peer_epochs},
    )


def iterated_correlation(task: Task, options: Options) -> Outcome:
    """Woody's method on the held-out pairs as one batch."""
    x = task.train.x.values

    def align(signals: np.ndarray) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        shift = correlation(signals, x)
        return shift, time.perf_counter() - start

    return _aligned(task, align)


def _aligner(method: str) -> Callable[[Task, Options], Outcome]:
    """A peer that aligns a batch and knows no other way: both members of all pairs are one batch."""

    def run(task: Task, options: Options) -> Outcome:
        def align(signals: np.ndarray) -> tuple[np.ndarray, float]:
            arrays = {"x": task.train.x.values, "signals": signals}
            out = elsewhere(aligner_python(), "_batch_worker.py", arrays, method, options.threads)
            return out["shift"], float(out["seconds"])

        return _aligned(task, align)

    return run


def _aligned(task: Task, align: Callable[[np.ndarray], tuple[np.ndarray, float]]) -> Outcome:
    held, n = task.held_out, len(task.held_out.bound)
    shift, seconds = align(np.concatenate([held.first.values, held.second.values]))
    estimates = {"first": _shift_only(shift[:n]), "second": _shift_only(shift[n:])}
    return Outcome(estimates, float("nan"), 1e3 * seconds / (2 * n))


def formula_fit(task: Task, options: Options) -> Outcome:
    """The true formula, signal by signal; time is that of one processor."""
    held, n = task.held_out, len(task.held_out.bound)
    both = np.concatenate([held.first.values, held.second.values])
    with threadpool_limits(1):
        found = formula.fit(task.case.variant, held.first.x.values, both)
    halves = {"first": slice(0, n), "second": slice(n, None)}
    estimates = {k: _shift_only(found.shift[rows], found.shift_sd[rows]) for k, rows in halves.items()}
    return Outcome(estimates, float("nan"), found.ms_per_signal)


def _shift_only(shift: np.ndarray, sd: np.ndarray | None = None) -> Estimates:
    none = np.empty((len(shift), 0))
    return Estimates(shift, np.full(len(shift), np.nan) if sd is None else sd, none, none)


#: The rows by name, in the order of the table.
ROWS: dict[str, Callable[[Task, Options], Outcome]] = {
    "shapeshift": shapeshift,
    "formula fit": formula_fit,
    "pyroVED": pyroved,
    "correlation": iterated_correlation,
    "hyperspy": _aligner("hyperspy"),
    "affinewarp": _aligner("affinewarp"),
    "scikit-fda": _aligner("scikit-fda"),
}
