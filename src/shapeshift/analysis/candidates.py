"""Five explanations of a stack of signals, each fitted to some and judged on others by one figure.

Every candidate describes a held-out signal by a few free numbers. Its figure is the error with which
each sample is predicted from all the others, over the noise: 1 is the noise itself. It follows from
one fit of the numbers to the whole signal,

    e_p = r_p / (1 - h_p),      h = diag J (J'J + sigma^2 Lambda)^-1 J',

with the residual r, the derivatives J of the described signal by its numbers and their prior
precision Lambda (none but for the two autoencoders): exact for linear candidates (PRESS; Allen 1974,
Technometrics 16, 125) and to first order for the others (St. Laurent & Cook 1992, J. Am. Stat. Assoc.
87, 985). A number spent for nothing raises the leverage h, so that more numbers are no advantage as
such. Signals and samples are both held out, as by Owen & Perry 2009, Ann. Appl. Stat. 3, 564.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from shapeshift.analysis.baselines import nmf, pca
from shapeshift.analysis.tangent import described, leverages, prior_precision
from shapeshift.analysis.template import moved_template, moving_template
from shapeshift.data.preprocess import noise_and_contrast

if TYPE_CHECKING:
    from shapeshift.fit.estimators import ShiftVAE

RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30)
NMF_RANKS, NMF_SIGNALS = (1, 2, 3, 4, 6, 8, 12, 16), 400  # non-negative components are dear to find
EXACT = 1e-3  # of a signal's contrast: differences below are never told apart


@dataclass(frozen=True, eq=False)
class Candidate:
    """One explanation and how well it predicts signals it was not fitted to.

    Parameters
    ----------
    kind : {"correlation", "pca", "nmf", "vae", "shift-vae"}
    size : int
        Components or shape latents; 1 for correlation, which has one shape.
    numbers : int
        Free numbers of every signal.
    cost : float
        Nats of a signal: P ln(error) + numbers ln(P) / 2 for P samples; the least is the best.
    error : float
        Error of a sample predicted from the others, over the noise: root mean square of a signal,
        geometric mean of all held-out signals. 1 is the limit.
    log_evidence : float or None
        Mean of the held-out signals, nats; None where it is not defined.
    seconds : float
        To fit and judge.
    errors : ndarray (n,)
        Of every held-out signal.
    model : ShiftVAE or None

    Examples
    --------
    >>> import shapeshift as ss
    >>> import numpy as np
    >>> one = ss.analysis.Candidate("pca", 2, 2, 14.2, 1.1, None, 0.1, np.array([1.0, 1.2]))
    >>> one.kind, one.cost
    ('pca', 14.2)
    """

    kind: str
    size: int
    numbers: int
    cost: float
    error: float
    log_evidence: float | None
    seconds: float
    errors: np.ndarray = field(repr=False)
    model: ShiftVAE | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Split:
    """Signals to fit (n, P), signals held out (m, P) and the noise sd of these (m,), never zero."""

    fit: np.ndarray
    held: np.ndarray
    noise: np.ndarray


def split_of(values: np.ndarray, most_fit: int, most_held: int, seed: int) -> Split:
    """A quarter of signals (n, P) held out, at most so many; the rest fitted, at most so many."""
    order = np.random.default_rng(seed).permutation(len(values))
    m = min(most_held, len(values) // 4)
    held = values[order[:m]]
    noise, contrast = noise_and_contrast(held).T
    floor = EXACT * np.where(contrast > 0, contrast, max(float(contrast.max()), 1e-300))
    return Split(values[order[m:][:most_fit]], held, np.hypot(noise, floor))


def left_out(rest: np.ndarray, leverage: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Error (n,) of samples predicted from the others, over the noise: residuals and leverages (n, P)."""
    predicted = rest / np.maximum(1 - leverage, 0.05)
    return np.maximum(np.sqrt((predicted**2).mean(1)) / noise, 1e-3)


def mean_error(errors: np.ndarray) -> float:
    """Geometric mean."""
    return float(np.exp(np.log(errors).mean()))


def cost_of(error: float, numbers: int, samples: int) -> float:
    """Nats of a signal, P ln(error) + numbers ln(P) / 2 (Schwarz 1978, Ann. Stat. 6, 461)."""
    return samples * float(np.log(error)) + 0.5 * numbers * float(np.log(samples))


def by_correlation(split: Split) -> Candidate:
    """One shape that moves, with a gain and an offset."""
    begin = time.perf_counter()
    template = moving_template(split.fit)
    drawn, jacobian = moved_template(template, split.held)
    h = leverages(jacobian, np.zeros((len(drawn), 3, 3)))
    return _candidate("correlation", 1, 3, left_out(split.held - drawn, h, split.noise), split, begin)


def _candidate(
    kind: str,
    size: int,
    numbers: int,
    errors: np.ndarray,
    split: Split,
    begin: float,
    evidence: float | None = None,
    model: ShiftVAE | None = None,
) -> Candidate:
    error, seconds = mean_error(errors), time.perf_counter() - begin
    cost = cost_of(error, numbers, split.held.shape[1])
    return Candidate(kind, size, numbers, cost, error, evidence, seconds, errors, model)


def by_pca(split: Split, few: int) -> list[Candidate]:
    """Principal components: as many as an autoencoder has numbers, ``few``, and as many as cost least."""
    begin = time.perf_counter()
    ranks = sorted({*_ranks(split), min(few, max(_ranks(split)))})
    found = pca(split.fit, ranks[-1])
    centred = split.held - found.mean
    scores = centred @ found.components.T
    tried = []
    for k in ranks:
        v = found.components[:k]
        rest, h = centred - scores[:, :k] @ v, np.broadcast_to((v**2).sum(0), centred.shape)
        tried.append(_candidate("pca", k, k, left_out(rest, h, split.noise), split, begin))
    best = min(tried, key=lambda c: c.cost)
    return sorted({tried[ranks.index(min(few, ranks[-1]))], best}, key=lambda c: c.size)


def by_nmf(split: Split) -> Candidate:
    """As many non-negative components as predict best; the smallest value is taken off first."""
    begin = time.perf_counter()
    low = min(0.0, float(split.fit.min()), float(split.held.min()))
    tried: list[np.ndarray] = []
    ranks = [k for k in _ranks(split) if k in NMF_RANKS]
    for k in ranks:
        tried.append(_nmf_errors(split, k, low))
        costs = [cost_of(mean_error(e), j, split.held.shape[1]) for j, e in zip(ranks, tried, strict=False)]
        if len(costs) > 2 and min(costs[-2:]) > min(costs[:-2]):
            break
    found = [_candidate("nmf", k, k, e, split, begin) for k, e in zip(ranks, tried, strict=False)]
    return min(found, key=lambda c: c.cost)


def _nmf_errors(split: Split, k: int, low: float) -> np.ndarray:
    parts = nmf(split.fit[:NMF_SIGNALS] - low, k).components
    scores = np.array([nnls(parts.T, y)[0] for y in split.held - low])
    used = parts.T[None] * (scores > 0)[:, None]  # a score held at zero is not free
    h = leverages(used, np.zeros((len(scores), k, k)))
    return left_out(split.held - low - scores @ parts, h, split.noise)


def _ranks(split: Split) -> list[int]:
    most = min(len(split.fit) // 2, split.fit.shape[1] // 2, RANKS[-1])
    return [k for k in RANKS if k <= most] or [1]


def autoencoders(
    split: Split, x: np.ndarray, warps: tuple[str, ...], most: int, seed: int
) -> Iterator[Candidate]:
    """Autoencoders with 1, 2, ... latents, until two more do not make up for themselves."""
    costs: list[float] = []
    for k in range(1, most + 1):
        candidate = autoencoder(split, x, warps, k, seed)
        yield candidate
        costs.append(candidate.cost)
        if len(costs) > 2 and min(costs[-2:]) > min(costs[:-2]):
            return


def autoencoder(split: Split, x: np.ndarray, warps: tuple[str, ...], k: int, seed: int) -> Candidate:
    """One autoencoder of k shape latents, with or without a shift."""
    from shapeshift.fit.estimators import ShiftVAE

    begin = time.perf_counter()
    # all candidates are judged in the same noise
    model = ShiftVAE(k, warps=warps, likelihood="gaussian", random_state=seed).fit(split.fit, x=x)
    p = model.posterior(split.held)
    pattern, jacobian = described(model, p.shift, p.z)
    free = model.fitted_.vae.nuisance
    if free is not None:  # what every signal has of its own was fitted, too, and counts
        rows = np.broadcast_to(free.basis.numpy().T, (len(pattern), *free.basis.T.shape))
        rows = np.concatenate([pattern[..., None], rows], -1) if free.gain else rows
        jacobian = np.concatenate([jacobian * p.gain[:, None, None], rows], -1)
    precision = np.zeros((jacobian.shape[-1],) * 2)
    precision[: k + len(warps), : k + len(warps)] = prior_precision(model, k)
    h = leverages(jacobian, p.noise_sd[:, None, None] ** 2 * precision)
    errors = left_out(split.held - model.reconstruct(split.held), h, split.noise)
    kind, evidence = "shift-vae" if warps else "vae", float(p.log_evidence.mean())
    return _candidate(kind, k, jacobian.shape[-1], errors, split, begin, evidence, model)
