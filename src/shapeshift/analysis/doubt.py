"""One doubt, in a sentence, and those that signals and images share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shapeshift.analysis.collapse import active_latents
from shapeshift.data.preprocess import noise_sd

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

Severity = Literal["stop", "look", "note"]
ORDER = ("stop", "look", "note")

FEW = 0.01  # share of the signals beyond which a flag is more than a note
RESOLVED = 1.5  # error bars that the spread of the shifts must exceed to be more than noise
STRUCTURED = 1.5  # residuals over noise, median of all signals


@dataclass(frozen=True)
class Doubt:
    """One reason to look twice.

    Parameters
    ----------
    code : str
        A short name for programs.
    sentence : str
        What is doubtful, with numbers, and what to do.
    severity : {"stop", "look", "note"}
        Do not use the result; look before using it; good to know.

    Examples
    --------
    >>> import shapeshift as ss
    >>> ss.analysis.Doubt("ambiguous", "2 of 80 signals fit about as well elsewhere.", "note").code
    'ambiguous'
    """

    code: str
    sentence: str
    severity: Severity


def training(m: Any, found: str = "shifts") -> Iterator[Doubt]:
    """How training ended."""
    how = m.history_.stopped
    if how == "interrupted":
        yield Doubt(
            "interrupted",
            f"The fit was stopped by hand after {len(m.history_.to_frame())} epochs: {found} and error "
            "bars are those of an unfinished model. Fit again and let it end.",
            "look",
        )
    elif how == "not finite":
        yield Doubt(
            "not-finite",
            "Training broke down (the loss was no longer a number) and the last good state was kept. "
            "Look for extreme values in the data, or fit again with a smaller learning_rate.",
            "stop",
        )
    elif not m.converged_:
        yield Doubt("not-converged", "The fit did not converge. Fit again with more epochs.", "stop")


def latents(p: Posterior, noun: str = "signals", place: str = "position") -> Iterator[Doubt]:
    """How many latents carry shape: a finding more than a doubt."""
    activity = active_latents(p)
    total, used = len(activity.active), int(activity.n_active)
    if used == 0:
        yield Doubt(
            "collapsed",
            f"None of the {total} latents carries shape: up to noise, the {noun} differ in {place} "
            "alone. If you can see other differences, the fit missed them: fit again with more epochs.",
            "look",
        )
    elif used < total:
        factors = "one shape factor" if used == 1 else f"{used} shape factors"
        verb = "carries" if used == 1 else "carry"
        yield Doubt(
            "collapsed",
            f"{used} of {total} latents {verb} shape: these data have {factors}. The other latents hold "
            f"nothing, and n_latent={used} would do.",
            "note",
        )


def flagged(p: Posterior, code: str, text: str, noun: str = "signal", name: str = "") -> Iterator[Doubt]:
    """What a flag means, where any is set; in the text {share} says how many carry it and {which} who."""
    marked = p.flagged(code)
    if marked.any():
        sentence = text.format(share=share(marked, f"{noun}s"), which=which(marked, noun))
        yield Doubt(name or code, sentence, "look" if marked.mean() > FEW else "note")


def misfit(values: np.ndarray, p: Posterior, advice: str, noun: str = "signal") -> Iterator[Doubt]:
    """Signals (n, P) whose residuals are more than noise, and what may help."""
    noise = noise_sd(values)
    ratio = np.divide(p.noise_sd, noise, out=np.ones_like(noise), where=noise > 0)
    marked, typical = p.flagged("misfit"), float(np.median(ratio))
    many = bool(marked.mean() > FEW)
    if many or typical > STRUCTURED:
        shown = float(np.median(ratio[marked])) if many else typical
        near = "pixels" if noun == "image" else "samples"
        yield Doubt(
            "misfit",
            f"The model leaves structure over: {share(marked, f'{noun}s')} misfit badly, and residuals are "
            f"{shown:.2g} times the noise between neighbouring {near} (median of "
            f"{'these' if many else 'all'}). Look at the residuals; {advice} Error bars allow for it.",
            "look",
        )
    else:
        yield from flagged(p, "misfit", "Unlike the rest: {share}; check {which}.", noun)


def amount(value: float, p: Posterior) -> str:
    """A length along the axis, with its units."""
    return f"{value:.3g} {p.axis_units}".strip()


def share(marked: np.ndarray, noun: str = "signals") -> str:
    """How many are marked, and of how many."""
    k, n = int(marked.sum()), len(marked)
    percent = 100 * k / n
    return f"{k} of {n} {noun} ({percent:.{1 if percent < 10 else 0}f} %)"


def which(marked: np.ndarray, noun: str = "signal") -> str:
    """The numbers of the first few signals marked."""
    rows = np.flatnonzero(marked)
    shown = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    return f"{noun}{'s' if len(rows) > 1 else ''} {shown}"
