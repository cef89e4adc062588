"""Many fits side by side: seeds and settings in processes of their own, judged by signals none has seen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from shapeshift.errors import ShapeshiftError
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.options import plain

FEWEST = 10  # signals


@dataclass(frozen=True, eq=False)
class Fits:
    """What came of many fits.

    Attributes
    ----------
    best : estimator
        The fitted one of most evidence.
    table : pandas.DataFrame
        One row a fit, in the order they were asked for: the settings by their names, seed, evidence (mean log
        evidence of the held-out signals, nat), seconds, and error, a sentence where the fit failed.
    held_out : ndarray (h,)
        Rows of the signals that no fit has seen.
    """

    best: Any
    table: pd.DataFrame
    held_out: np.ndarray


class _Run(NamedTuple):
    """One fit, and what came of it."""

    place: int
    model: Any
    evidence: float
    seconds: float
    error: str


class _Data(NamedTuple):
    """Signals, and what is known of each, as `fit` takes them."""

    X: Any
    y: Any
    x: Any
    condition: Any

    def take(self, rows: np.ndarray, n: int) -> _Data:
        """Some of n signals."""
        parts = {"X": self.X, "y": self.y, "condition": self.condition}
        return self._replace(**{k: _rows(part, rows, n) for k, part in parts.items() if part is not None})


def fit_many(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    seeds: int | Sequence[int] = 4,
    settings: Sequence[Mapping[str, Any]] = ({},),
    workers: int | None = None,
    held_out: float = 0.1,
    x: Any = None,
    condition: Any = None,
) -> Fits:
    """Fit every setting with every seed, and keep the fit that explains held-out signals best.

    Evidence is that of the posterior, in the units of the data, so that settings of any kind compare: other
    likelihoods, latents, warps. All fits are judged by the same signals, which take no part in any of them.

    Parameters
    ----------
    estimator : ShiftVAE, ImageVAE, or one of their classifiers and regressors
        Left as it is; fits are made by copies of it.
    X, y, x, condition : as the estimator's ``fit`` takes them
    seeds : int or sequence of int
        Values of ``random_state``; a number stands for 0, 1, 2, ...
    settings : sequence of mappings
        Options of the estimator, each mapping a fit with every seed.
    workers : int, optional
        Processes at a time, each with one thread; by default one a processor. With 1 all is done in this
        process.
    held_out : float
        Share of the signals that judges.

    Returns
    -------
    Fits

    Raises
    ------
    ShapeshiftError
        Before anything is fitted: data or options that cannot be used. Later only if all fits failed.

    Notes
    -----
    Between processes, data and models travel by pickle, as joblib does it; no file of it is kept.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, _ = ss.synthetic.article(n=80, seed=0)
    >>> settings = [{"warps": ()}, {"warps": ("shift",)}]
    >>> fits = ss.fit_many(ss.ShiftVAE(1, epochs=20), X, seeds=1, settings=settings, workers=1)
    >>> fits.best.warps
    ('shift',)
    >>> list(fits.table.columns)
    ['warps', 'seed', 'evidence', 'seconds', 'error']
    """
    seeds = range(seeds) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    _check(estimator, seeds, settings, workers, held_out)
    n = len(clone(estimator)._taken(X, x, reset=True).values)
    if n < FEWEST:
        raise ShapeshiftError(
            f"got {n} signals, needed at least {FEWEST}: some are held out to judge the fits."
        )
    rows = np.random.default_rng(0).permutation(n)
    out, own = np.split(rows, [max(1, round(held_out * n))])
    data = _Data(X, y, x, condition)
    seen, unseen = data.take(np.sort(own), n), data.take(np.sort(out), n)
    models = [
        clone(estimator).set_params(**setting, random_state=seed) for setting in settings for seed in seeds
    ]
    best: _Run | None = None
    runs: list[_Run] = []
    for run in _all(models, seen, unseen, workers or _processors()):
        if best is None or (run.evidence, -run.place) > (best.evidence, -best.place):
            best = run
        runs.append(run._replace(model=None))  # of models, only the best takes memory
    assert best is not None
    runs.sort(key=lambda run: run.place)
    if best.error:
        raise ShapeshiftError(f"all {len(runs)} fits failed, the first with: {runs[0].error}")
    return Fits(best.model, _table(models, settings, runs), np.sort(out))


def _check(
    estimator: Any,
    seeds: Sequence[int],
    settings: Sequence[Mapping[str, Any]],
    workers: int | None,
    held_out: float,
) -> None:
    """Refuse what means nothing before any process starts."""
    if not isinstance(estimator, PoseEstimator):
        raise ShapeshiftError(
            f"got a {type(estimator).__name__}, needed a ShiftVAE or an ImageVAE, or a classifier or "
            "regressor of them: their evidence judges the fits."
        )
    if isinstance(settings, Mapping) or not len(settings) or not len(seeds):
        raise ShapeshiftError(
            f"got settings={settings!r} and {len(seeds)} seeds, needed a list of mappings and at least one "
            "of each: settings=[{'n_latent': 1}, {'n_latent': 2}], seeds=3."
        )
    known = estimator.get_params(deep=False).keys() - {"random_state"}
    for name in {name for setting in settings for name in setting} - known:
        raise ShapeshiftError(
            f"got a setting of {name!r}, needed options of {type(estimator).__name__}: "
            f"{', '.join(sorted(known))}; seeds have an argument of their own."
        )
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ShapeshiftError(f"got workers={workers!r}, needed a whole number above 0.")
    if not 0 < held_out < 1:
        raise ShapeshiftError(f"got held_out={held_out!r}, needed a share between 0 and 1.")


def _rows(given: Any, rows: np.ndarray, n: int) -> Any:
    """Some of n signals, or of what is known of them; maps are laid out in a row."""
    if hasattr(given, "iloc"):
        return given.iloc[rows]
    values = np.asarray(given)
    lead = next(k for k in range(1, values.ndim + 1) if np.prod(values.shape[:k]) == n)
    some = values.reshape(n, *values.shape[lead:])[rows]
    if not hasattr(given, "dims"):
        return some
    import xarray as xr

    dims = given.dims[lead:]
    kept = {name: c for name, c in given.coords.items() if c.dims and set(c.dims) <= set(dims)}
    return xr.DataArray(some, dims=("signal", *dims), coords=kept, attrs=given.attrs)


def _all(models: list[Any], seen: _Data, unseen: _Data, workers: int) -> Iterator[_Run]:
    """All runs as they end; where a process dies, those that it took along are run again, each by itself."""
    tasks = list(enumerate(models))
    if workers == 1:
        yield from (_run(*task, seen, unseen) for task in tasks)
        return
    left = dict(tasks)
    try:
        for run in _side_by_side(tasks, seen, unseen, min(workers, len(tasks))):
            del left[run.place]
            yield run
    except BrokenExecutor:
        for task in left.items():
            try:
                yield from _side_by_side([task], seen, unseen, 1)
            except BrokenExecutor:
                yield _Run(task[0], None, -np.inf, np.nan, "its process died, perhaps for want of memory")


def _side_by_side(tasks: list[tuple[int, Any]], seen: _Data, unseen: _Data, workers: int) -> Iterator[_Run]:
    from joblib import Parallel, delayed, parallel_config

    with parallel_config("loky", n_jobs=max(2, workers), inner_max_num_threads=1):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
        yield from parallel(delayed(_run)(*task, seen, unseen) for task in tasks)


def _run(place: int, model: Any, seen: _Data, unseen: _Data) -> _Run:
    """One fit and its evidence; whatever goes wrong is told and does not stop the others."""
    begin = time.perf_counter()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        evidence, error = _evidence(model, seen, unseen), ""
    except Exception as failure:  # whatever it is, it is this fit's
        evidence, error = -np.inf, f"{type(failure).__name__}: {' '.join(str(failure).split())}"
    finally:
        torch.set_num_threads(before)
    return _Run(place, None if error else model, evidence, time.perf_counter() - begin, error)


def _evidence(model: Any, seen: _Data, unseen: _Data) -> float:
    """Fit the model to what it may see; mean log evidence of the rest, nat."""
    known = {"x": seen.x, "condition": seen.condition}
    model.fit(seen.X, seen.y, **{name: value for name, value in known.items() if value is not None})
    found = float(model.posterior(unseen.X, condition=unseen.condition).log_evidence.mean())
    if model.history_.stopped == "not finite" or not np.isfinite(found):
        raise ShapeshiftError("training came to numbers that are not finite: use a smaller learning_rate.")
    return found


def _table(models: list[Any], settings: Sequence[Mapping[str, Any]], runs: list[_Run]) -> pd.DataFrame:
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    rows = [
        {name: plain(getattr(model, name)) for name in names}
        | {"seed": model.random_state, "evidence": run.evidence if not run.error else np.nan}
        | {"seconds": run.seconds, "error": run.error}
        for model, run in zip(models, runs, strict=True)
    ]
    return pd.DataFrame(rows)


def _processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
