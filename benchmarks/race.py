"""Speed: shapeshift and pyroVED fitted to one set in one run, and signals a second through the posterior."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

import rows
import torch
from cases import CASES, make_task

import shapeshift as ss
from shapeshift.data.synthetic import sample

RATE_LENGTH, RATE_N = 100, 20_000


def race(name: str, options: rows.Options, n: int) -> dict[str, Any]:
    """shapeshift, pyroVED, shapeshift again, so that neither has the cooler machine; then the rates."""
    task = make_task(CASES[name], 1, n, n_pairs=200)
    before = rows.shapeshift(task, options).fit_seconds
    peer = rows.pyroved(task, options).fit_seconds
    after = rows.shapeshift(task, options).fit_seconds
    ours = (before + after) / 2
    return {
        "case": name,
        "n": len(task.train),
        "threads": options.threads,
        "peer_epochs": options.peer_epochs,
        "fit_seconds": ours,
        "peer_fit_seconds": peer,
        "ratio": peer / ours,
        **rates(options.threads),
    }


def rates(threads: int, n_fit: int = 3000, n: int = RATE_N) -> dict[str, float]:
    """Signals a second, with refinement and (where the package has it) by the encoder alone."""
    torch.set_num_threads(threads)
    X, _ = sample("article", n_fit, 1, length=RATE_LENGTH)
    new, _ = sample("article", n, 2, length=RATE_LENGTH)
    model = ss.ShiftVAE(random_state=1).fit(X)
    found = {"posterior_rate": n / _best(lambda: model.posterior(new))}
    if "refine" in inspect.signature(model.posterior).parameters:
        found["encoder_rate"] = n / _best(lambda: model.posterior(new, refine=False))
    return found


def _best(action: Callable[[], object], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
