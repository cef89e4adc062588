"""What not to trust in a fit, in sentences: the first thing a report says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.analysis.doubt import (
    FEW,
    ORDER,
    RESOLVED,
    Doubt,
    amount,
    flagged,
    latents,
    misfit,
    share,
    training,
    which,
)
from shapeshift.analysis.doubts_images import image_doubts
from shapeshift.analysis.poses import of_images
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    from shapeshift.analysis.calibration import Calibration
    from shapeshift.fit.posterior import Posterior

MANY_FAR = 0.05  # share beyond 2.5 prior sd; a Gaussian has 0.012
WIDE = 0.5  # of the axis
LEAK, LEAK_BACK = 0.02, 0.1  # share of a latent's spread, share of a shift's squared error
FAIR_68, FAIR_95 = (0.60, 0.76), (0.90, 0.98)


def doubts(m: Any, X: Any, p: Posterior, *, calibration: Calibration | None = None) -> tuple[Doubt, ...]:
    """Reasons not to trust a fit, the gravest first; empty where there is none.

    Parameters
    ----------
    m : ShiftVAE or ImageVAE
        The fitted model.
    X : array or DataArray
        The signals, or images, that `p` describes.
    p : Posterior
    calibration : Calibration, optional
        From `analysis.calibrate`: adds a word where error bars do not hold what they promise.

    Returns
    -------
    tuple of Doubt

    Raises
    ------
    ShapeshiftError
        If `X` and `p` differ in their number of signals.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> model = ss.ShiftVAE(n_latent=1, epochs=3).fit(X)
    >>> all(d.severity in ("stop", "look", "note") for d in ss.analysis.doubts(model, X, model.posterior(X)))
    True
    """
    if of_images(p):
        return image_doubts(m, X, p)
    values = np.asarray(X, dtype=float)
    inner = 2 if getattr(m, "lanes_", None) else 1
    values = values.reshape(-1, np.prod(values.shape[-inner:]))
    if len(values) != len(p.shift):
        raise ShapeshiftError(
            f"got {len(values)} signals and the posterior of {len(p.shift)}, needed both of the same "
            "signals: call m.posterior(X) first"
        )
    found = [*training(m)]
    if m.shift_sd_ > 0:
        # where hardly anything shifts, the prior is narrow by right
        found += [
            *(list(_hardly_any_shift(m, p)) or _prior(m, p)),
            *_span(m, p),
            *_ambiguous(p),
            *_faint(p),
            *_phases(p),
        ]
    found += [*_misfit(values, p), *_calibration(calibration), *latents(p)]
    return tuple(sorted(found, key=lambda d: ORDER.index(d.severity)))


def _hardly_any_shift(m: Any, p: Posterior) -> Iterator[Doubt]:
    """Whether there is a shift at all, against the step of the axis and against its error bars."""
    good = ~(p.flagged("faint") | p.flagged("ambiguous") | p.flagged("misfit"))
    good = good if good.sum() > 1 else np.ones_like(good)
    step = abs(float(m.axis_[-1] - m.axis_[0])) / (len(m.axis_) - 1)
    spread, bar = _spread(p.shift[good]), float(np.median(p.shift_sd[good]))
    told = f"the sd of their shifts is {amount(spread, p)} ({spread / step:.2g} samples)"
    told += f" and the median error bar {amount(bar, p)}"
    if spread <= RESOLVED * bar:
        yield Doubt(
            "hardly-shift",
            f"These data hardly shift: {told}. What is left is within {RESOLVED:g} error bars. Do not "
            "read the shifts as a finding; warps=() describes such data with one factor less.",
            "look",
        )
    elif spread < step:
        yield Doubt(
            "hardly-shift",
            f"These data hardly shift: {told}. The shifts are {spread / bar:.2g} times their error bars, "
            "so a part of a sample may be real; but at this scale a change of shape on one side of a "
            "peak looks like a shift: compare with "
            "the shape latents.",
            "look",
        )


def _span(m: Any, p: Posterior) -> Iterator[Doubt]:
    """Shifts over most of the window: where a pattern repeats, it is easily taken for its neighbour."""
    low, high = np.percentile(p.shift, (1, 99))
    share = float(high - low) / abs(float(m.axis_[-1] - m.axis_[0]))
    if share > WIDE:
        yield Doubt(
            "wide-shift",
            f"Shifts span {100 * share:.0f} % of the axis (98 % of them from {low:.3g} to "
            f"{amount(high, p)}). With several features in a signal, one may have been taken for "
            "another: look whether all rows line up in the aligned heat map, or crop the axis to one "
            "feature.",
            "look",
        )


def _spread(shift: np.ndarray) -> float:
    """Standard deviation by the 10 and 90 % points: a few lost signals do not make a shift."""
    low, high = np.percentile(shift, (10, 90))
    return float(high - low) / 2.563


def _prior(m: Any, p: Posterior) -> Iterator[Doubt]:
    """Whether shifts pile up where the prior, or the window, ends."""
    sd = m.shift_sd_
    far = np.abs(p.shift - np.median(p.shift)) > 2.5 * sd
    edge = p.flagged("edge")
    if far.mean() > MANY_FAR or edge.mean() > FEW:
        yield Doubt(
            "narrow-prior",
            f"{share(far | edge)} lie beyond 2.5 sd of the shift's prior (sd {amount(sd, p)}) or at its "
            "edge and may be pulled back by it. Fit again with a wider prior, for instance "
            f"shift_sd={_wider(p, sd):.3g}.",
            "look",
        )
    elif edge.any():
        yield Doubt(
            "edge", f"At the edge of the prior or window: {share(edge)}; check {which(edge)}.", "note"
        )


def _wider(p: Posterior, sd: float) -> float:
    """A prior sd that holds the shifts found, and is wider than the last."""
    return max(1.5 * sd, float(np.std(p.shift)))


def _ambiguous(p: Posterior) -> Iterator[Doubt]:
    """Signals that another shift explains about as well."""
    marked = p.flagged("ambiguous")
    if marked.any():
        yield Doubt(
            "ambiguous",
            f"{share(marked)} fit about as well at a shift elsewhere (rival_shift tells where). Their "
            "error bars hold for the shift given only: leave out those flagged 'ambiguous', or check "
            f"{which(marked)}.",
            "look" if marked.mean() > FEW else "note",
        )


def _phases(p: Posterior) -> Iterator[Doubt]:
    """A set of several patterns."""
    return flagged(
        p,
        "phase",
        "One moving shape is the wrong model for {share}: they look different from the rest, and lie "
        "elsewhere, as another phase does. Their shifts have a zero of their own: leave out those flagged "
        "'phase', or fit every phase by itself.",
        name="phases",
    )


def _faint(p: Posterior) -> Iterator[Doubt]:
    """Signals that say next to nothing."""
    return flagged(
        p,
        "faint",
        "{share} hold next to no pattern above the noise: their shifts are guesses, as wide as the prior. "
        "Leave out those flagged 'faint' before averaging.",
    )


def _misfit(values: np.ndarray, p: Posterior) -> Iterator[Doubt]:
    """Signals whose residuals are more than noise."""
    return misfit(values, p, "more latents may help, and a pattern that moves in parts is not a rigid shift.")


def _calibration(c: Calibration | None) -> Iterator[Doubt]:
    """Error bars that do not hold what they promise."""
    if c is None:
        return
    low = c.coverage68 < FAIR_68[0] or c.coverage95 < FAIR_95[0]
    high = c.coverage68 > FAIR_68[1] or c.coverage95 > FAIR_95[1]
    yield from _leaks(c)
    if low or high:
        kind, advice = _DISHONEST[low, high]
        yield Doubt(
            "coverage",
            f"Error bars are {kind}: 68 % intervals hold the truth in {100 * c.coverage68:.0f} % and 95 % "
            f"intervals in {100 * c.coverage95:.0f} % of {c.n} signals moved by a known shift. {advice}",
            "look",
        )


def _leaks(c: Calibration) -> Iterator[Doubt]:
    """Position that shows in the shape, and shape that shows in the position."""
    if c.leak > LEAK:
        yield Doubt(
            "leak",
            f"Position leaks into shape: {100 * c.leak:.2g} % of the spread of a shape latent comes from "
            "moving the signal alone. Do not read differences of shape between signals far apart; more "
            "epochs or fewer latents may help.",
            "look",
        )
    if c.leak_back is not None and c.leak_back > max(LEAK_BACK, 3 / np.sqrt(max(c.n, 1))):
        yield Doubt(
            "leak-back",
            f"Shape leaks into position: {100 * c.leak_back:.2g} % of the squared error of a shift comes "
            "with the shape, not with the noise. Averages of many signals of one shape keep that error.",
            "look",
        )


# too many errors outside, too few
_DISHONEST = {
    (True, False): ("too narrow", "Widen them before you quote them."),
    (False, True): ("too wide", "They may be quoted as upper bounds."),
    (True, True): (
        "uneven",
        "Most errors are smaller than the bars say and some far larger: quote no single one.",
    ),
}
