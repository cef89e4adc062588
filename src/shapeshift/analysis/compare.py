"""Which explanation do these signals need? Five of them raced on signals held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.analysis.baselines import correlation
from shapeshift.analysis.candidates import (
    Candidate,
    Split,
    autoencoders,
    by_correlation,
    by_nmf,
    by_pca,
    split_of,
)
from shapeshift.analysis.rigidity import Rigidity, rigidity
from shapeshift.data.coordinates import Axis, as_stack, refuse_constant
from shapeshift.data.lanes import are_channels
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    import pandas as pd

ORDER = ("correlation", "pca", "nmf", "vae", "shift-vae")  # the simplest first
MOVING, STILL = ("correlation", "shift-vae"), ("pca", "nmf", "vae")
TIE = 0.03  # of the error, and one number more: no reason to prefer the less simple one
WORDY = 2  # times as many numbers a signal: no longer the simpler one
RESOLVED = 1.5  # error bars that the spread of the shifts must exceed to be more than noise
FEWEST = 24  # signals


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was tried on a set of signals, and what is recommended.

    Parameters
    ----------
    candidates : tuple of Candidate
        From the simplest to the least simple kind; autoencoders with 1, 2, ... latents each.
    recommended : Candidate
        The simplest that does the job.
    sentence : str
        The recommendation, with its reason in numbers.
    shifts : bool or None
        Whether held-out signals are explained better with a shift each than without; None where
        these signals cannot tell a shift from a change of shape.
    rigid : bool
        Whether one shift moves all there is: False where a part stands still while another moves. That
        is doubted only where more than a few fixed components are needed: those cannot move a thing.
    advantage : float
        Nats of a signal by which the best explanation with a shift beats the best without one that
        takes no more numbers than the autoencoders.
    rigidity : Rigidity
        How far every part of the window follows the shift of the whole.
    n_fit, n_held : int
        Signals the candidates were fitted to, and judged by.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> told = ss.analysis.compare(X, n_latent=1)
    >>> told.recommended in told.candidates, told.n_fit + told.n_held
    (True, 80)
    """

    candidates: tuple[Candidate, ...]
    recommended: Candidate
    sentence: str
    shifts: bool | None
    rigid: bool
    advantage: float
    rigidity: Rigidity
    n_fit: int
    n_held: int

    def to_frame(self) -> pd.DataFrame:
        """One row a candidate: kind, size, numbers, error, cost, log_evidence, seconds, recommended."""
        import pandas as pd

        names = ("kind", "size", "numbers", "error", "cost", "log_evidence", "seconds")
        rows = [{n: getattr(c, n) for n in names} for c in self.candidates]
        return pd.DataFrame(rows).assign(recommended=[c is self.recommended for c in self.candidates])


def compare(
    X: Any,
    x: Any = None,
    *,
    n_latent: int = 2,
    n_fit: int = 1500,
    n_held: int = 500,
    random_state: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Race correlation, PCA, NMF, VAE and shift-VAE on held-out signals and recommend the simplest.

    Every candidate is fitted to the same signals and judged by the same others: by how well it
    predicts each of their samples from the rest of them, and by how many free numbers of each signal
    it needs for that (:mod:`shapeshift.analysis.candidates` has the formulas and their sources). The
    cost in nats weighs both, P ln(error) + numbers ln(P) / 2 (Schwarz 1978, Ann. Stat. 6, 461), so
    that explanations with and without a shift meet at equal means: an ordinary VAE may spend on one
    more latent what the shift-VAE spends on the shift.

    Parameters
    ----------
    X : ndarray (n, length) or xarray.DataArray (..., length)
        At least 24 signals.
    x : array (length,), optional
        Axis of plain arrays.
    n_latent : int
        Most shape latents of the shift-VAE; the VAE may have one more.
    n_fit, n_held : int
        At most so many signals are fitted, and judge; drawn at random, a quarter of all judges.
    random_state : int
    progress : callable, optional
        Told what is being tried.

    Returns
    -------
    Comparison

    Raises
    ------
    ShapeshiftError
        Signals that cannot be used, or too few of them.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> at = rng.uniform(20, 40, size=(80, 1))
    >>> line = np.exp(-((np.arange(60) - at) ** 2) / 8) + 0.03 * rng.normal(size=(80, 60))
    >>> found = compare(line, n_latent=1)
    >>> found.recommended.kind, found.shifts
    ('correlation', True)
    """
    if are_channels(X):
        raise ShapeshiftError("got signals of several channels, needed one: compare them channel by channel.")
    stack = as_stack(X, x)
    _check(stack.values, n_latent)
    split = split_of(stack.values, n_fit, n_held, random_state)
    found = _race(split, stack.axis.values, n_latent, random_state, progress or (lambda _: None))
    rigid = _rigidity(split, found, stack.axis)
    samples = split.held.shape[1]
    advantage, margin = _advantage(found, samples)
    shifts = _shifts(advantage, margin, found, split)
    chosen = _simplest(found, samples, still=shifts is False or not rigid.rigid)
    parts = not rigid.rigid and not _few_components(chosen, n_latent)
    sentence = _sentence_of_parts(chosen, rigid, stack.axis) if parts else _sentence(chosen, found, shifts)
    kept = {id(c): replace(c, model=None) for c in found}
    counts = len(split.fit), len(split.held)
    return Comparison(
        tuple(kept.values()), kept[id(chosen)], sentence, shifts, not parts, advantage, rigid, *counts
    )


def _check(values: np.ndarray, n_latent: int) -> None:
    refuse_constant(values)
    if len(values) < FEWEST:
        raise ShapeshiftError(
            f"got {len(values)} signals, needed at least {FEWEST} to fit some and hold out others: "
            "measure more, or fit ShiftVAE without comparison."
        )
    if n_latent < 1:
        raise ShapeshiftError(f"got n_latent={n_latent}, needed at least 1: pass n_latent=2.")


def _race(
    split: Split, x: np.ndarray, n_latent: int, seed: int, progress: Callable[[str], None]
) -> list[Candidate]:
    """All candidates, fitted and judged."""
    found: list[Candidate] = []
    progress("correlation, PCA and NMF ...")
    found += [by_correlation(split), *by_pca(split, n_latent + 1), by_nmf(split)]
    for warps, most in (((), n_latent + 1), (("shift",), n_latent)):
        progress("shift-VAE ..." if warps else "VAE ...")
        found += autoencoders(split, x, warps, most, seed)
    return found


def cheapest(candidates: Sequence[Candidate], kinds: Sequence[str]) -> Candidate:
    """The candidate of the least cost among some kinds."""
    return min((c for c in candidates if c.kind in kinds), key=lambda c: c.cost)


def _rivals(found: Sequence[Candidate]) -> tuple[Candidate, Candidate]:
    """The best with a shift, and the best without that takes no more numbers than the candidates there.

    With many numbers a linear decomposition mimics anything, a shift too.
    """
    moving = cheapest(found, MOVING)
    most = max(c.numbers for c in found if c.kind in ("vae", *MOVING))
    return moving, cheapest([c for c in found if c.numbers <= most], STILL)


def _advantage(found: Sequence[Candidate], samples: int) -> tuple[float, float]:
    """Nats of a signal by which moving beats standing still, and by how many it has to."""
    moving, still = _rivals(found)
    gains = samples * np.log(still.errors / moving.errors)
    scatter = 2 * float(gains.std()) / np.sqrt(len(gains))
    return still.cost - moving.cost, max(_one_number(samples), scatter)


def _one_number(samples: int) -> float:
    """Nats that a free number of a signal costs."""
    return 0.5 * float(np.log(samples))


def _tie(samples: int) -> float:
    """Nats within which two candidates explain a signal about equally."""
    return TIE * samples + _one_number(samples)


def _shifts(advantage: float, margin: float, found: Sequence[Candidate], split: Split) -> bool | None:
    """Whether signals shift; None where it cannot be told."""
    samples = split.held.shape[1]
    if cheapest(found, STILL).cost < cheapest(found, MOVING).cost - _tie(samples):
        return False  # at any number of numbers
    if advantage > margin:
        return True
    p = cheapest(found, ["shift-vae"]).model.posterior(split.held)  # type: ignore[union-attr]
    low, high = np.percentile(p.shift, (10, 90))
    resolved = (high - low) / 2.563 > RESOLVED * np.median(p.shift_sd)
    return None if resolved and advantage > -_one_number(samples) else False


def _simplest(found: Sequence[Candidate], samples: int, *, still: bool) -> Candidate:
    """The first kind, in order of simplicity, that explains about as well as the best."""
    kinds = [k for k in ORDER if not (still and k in MOVING)]
    best = [cheapest(found, [k]) for k in kinds]
    first = min(best, key=lambda c: c.cost)
    limit, most = first.cost + _tie(samples), WORDY * first.numbers
    return next(c for c in best if c is first or (c.cost <= limit and c.numbers <= most))


def _rigidity(split: Split, found: Sequence[Candidate], axis: Axis) -> Rigidity:
    """Of two ideas of what the shift is - the model's, and that of what is left of the signals when
    their median is taken off - the one that speaks more clearly against a rigid shift."""
    signals = np.concatenate([split.fit, split.held])
    model = cheapest(found, ["shift-vae"]).model
    shifts = [
        model.posterior(signals).shift / axis.step,  # type: ignore[union-attr]
        correlation(signals - np.median(signals, axis=0)),
    ]
    tried = [rigidity(signals, shift) for shift in shifts]
    return max(tried, key=lambda r: min(r.still, r.moving))


def label(c: Candidate) -> str:
    """A candidate in words."""
    if c.kind in ("pca", "nmf"):
        return f"{c.kind.upper()} with {c.size} component{'s' * (c.size != 1)}"
    if c.kind == "correlation":
        return "iterated correlation"
    name = "the VAE" if c.kind == "vae" else "the shift-VAE"
    return f"{name} with {c.size} {'shape ' * (c.kind != 'vae')}latent{'s' * (c.size != 1)}"


def _figures(c: Candidate) -> str:
    return f"{c.error:.2f} times the noise with {c.numbers} number{'s' * (c.numbers != 1)} a signal"


def _few_components(c: Candidate, n_latent: int) -> bool:
    """Whether so few fixed components do that nothing can be moving among them."""
    return c.kind in ("pca", "nmf") and c.size <= n_latent + 1


def _sentence_of_parts(chosen: Candidate, found: Rigidity, axis: Axis) -> str:
    """What to do where a part stands still while another moves."""
    at = axis.values[0] + axis.step * found.still_centre
    place = f"{at:.4g} {axis.units or 'on the axis'}"
    return (
        f"A rigid shift is the wrong model: {100 * found.still:.0f} % of the structure (around {place}) "
        f"stands still while {100 * found.moving:.0f} % moves, so crop the axis to the part that moves, "
        f"or describe the whole without a shift: use {label(chosen)} ({_figures(chosen)})."
    )


def _sentence(chosen: Candidate, found: Sequence[Candidate], shifts: bool | None) -> str:
    """The recommendation and its reason."""
    moving, still = _rivals(found)
    use = f"use {label(chosen)} ({_figures(chosen)})"
    if shifts is False:
        rival = f"{label(moving)} has {_figures(moving)}"
        return f"Nothing shifts that a change of shape would not explain: {use}; {rival}."
    if shifts is None:
        return (
            f"{use[0].upper()}{use[1:]}, but do not read its shifts or shapes as the only truth: with a "
            f"shift ({label(moving)}) and without ({label(still)}) these signals are explained about equally."
        )
    rival = f"without a shift the best with about as few is {label(still)}, {_figures(still)}"
    if chosen.kind == "correlation":
        return f"One shape that moves and scales is all there is: {use}; {rival}."
    return f"The signals shift: {use}; {rival}."
