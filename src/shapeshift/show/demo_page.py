"""The page of the article's experiment: linear methods, the ordinary VAE and the shift-VAE side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import shapeshift
from shapeshift.analysis.doubts import Doubt, doubts
from shapeshift.show import plots
from shapeshift.show.figures_fit import components_for
from shapeshift.show.page import Page, Picture, Section

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior
    from shapeshift.show.demo import Trial

_NAMES = {"gaussian": "Gaussian peaks", "mixed": "Gaussian-Lorentzian peaks"}
_HEAD = ("held-out signals", "Gaussian", "mixed", "what it means")


def demo_page(trials: Sequence[Trial], summary: dict[str, Any]) -> Page:
    """The page, from the trials and the numbers of their judgement."""
    numbers = Section("The numbers", text=_JUDGED, head=_HEAD, rows=tuple(_rows(summary)))
    sections = [section for t in trials for section in _sections(t)]
    found = tuple(d for t in trials for d in _doubts(t))
    order = ("stop", "look", "note")
    return Page(
        "Where and what, told apart",
        _LEAD.format(n=summary["n_signals"]),
        tuple(sorted(found, key=lambda d: order.index(d.severity))),
        (numbers, *sections),
        foot=f"Written by shapeshift {shapeshift.__version__}. The experiment: M. Ziatdinov and S. Kalinin, "
        "Mastering the Shifts with Variational Autoencoders, arXiv:2104.10207.",
    )


_LEAD = (
    "{n} peaks of unknown position and width in noise, 100 samples each. An ordinary autoencoder finds "
    "both factors but mixes them; with a latent that can only move the pattern, position comes out in "
    "axis units, and shape is left."
)
_JUDGED = (
    "Judged on pairs of signals that no fit has seen: one shape at two positions, two draws of noise. "
    "The error of the move needs no convention of zero."
)


def _rows(summary: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The table of numbers, one row a measure."""
    for key, name, form, meaning in _MEASURES:
        scale = 100 if form.endswith("%") else 1
        values = [form.format(scale * summary[prefix + key]) for prefix in ("", "mixed_")]
        yield (name, *values, meaning)


_MEASURES = (
    (
        "efficiency",
        "rms error / bound",
        "{:.3f}",
        "1 is the matched-filter bound, the best for a known shape",
    ),
    ("slope", "slope of shift against truth", "{:.4f}", "1: the shift is in axis units"),
    ("coverage68", "truth in 68 % intervals", "{:.1f} %", "error bars are honest at 68 %"),
    ("coverage95", "truth in 95 % intervals", "{:.1f} %", "error bars are honest at 95 %"),
    (
        "active_latents",
        "latents in use, of 2",
        "{:d}",
        "the number of shape factors: width; and line shape if mixed",
    ),
    (
        "leak",
        "leak of position into shape",
        "{:.2f} %",
        "of a shape latent's variance; 0: a move leaves shape alone",
    ),
    ("lost", "lost", "{:.2f} %", "errors beyond ten times the bound"),
    (
        "pca_components_95",
        "PCA components for 95 %",
        "{:d}",
        "what a linear method needs for the same signals",
    ),
    ("fit_seconds", "shift-VAE, seconds", "{:.1f}", "time to fit"),
    ("vae_seconds", "ordinary VAE, seconds", "{:.1f}", "time to fit"),
)


def _doubts(t: Trial) -> Iterator[Doubt]:
    """Doubts on the shift-VAE of one variant, from held-out signals."""
    for doubt in doubts(t.m, t.pairs.first, t.first, calibration=t.judged):
        yield Doubt(doubt.code, f"{_NAMES[t.shape]}: {doubt.sentence}", doubt.severity)


def _sections(t: Trial) -> Iterator[Section]:
    name = _NAMES[t.shape]
    yield Section(f"{name}: the signals, and linear methods", pictures=tuple(_linear(t)))
    yield Section(f"{name}: the ordinary VAE", pictures=tuple(_ordinary(t)))
    yield Section(f"{name}: the shift-VAE", pictures=tuple(_shifted(t)))


def _linear(t: Trial) -> Iterator[Picture]:
    yield Picture(
        f"{t.shape}_signals",
        plots.signals(t.X),
        "64 sample signals",
        "What the methods are given, on one scale.",
    )
    for d in t.linear:
        count, share = components_for(d.explained), 100 * float(np.sum(d.explained))
        enough = (
            f"95 % of the variance take {count}"
            if share >= 95
            else f"{len(d.explained)} explain {share:.1f} %"
        )
        yield Picture(
            f"{t.shape}_{d.kind}",
            plots.components(d),
            f"{d.kind.upper()} components",
            f"One peak that moves takes many components, and none of them is the peak: {enough}.",
        )


def _ordinary(t: Trial) -> Iterator[Picture]:
    yield from _latents(
        t,
        t.vae_first,
        "vae",
        ("Position is in both latents, along a bent path.", "So is width, across it: the two are mixed."),
    )
    yield Picture(
        f"{t.shape}_vae_manifold",
        plots.manifold(t.vae),
        "Manifold of the ordinary VAE",
        "What the model makes for every pair of latents: peaks move and widen together (grey line: a "
        "fixed place).",
    )
    yield Picture(
        f"{t.shape}_vae_latents_truth",
        plots.latents_against(t.vae_first, _known(t)),
        "Latents of the ordinary VAE against the truth",
        "A latent that stood for one factor would draw a line in one column and a shapeless cloud in the "
        "others.",
    )


def _shifted(t: Trial) -> Iterator[Picture]:
    yield from _latents(
        t,
        t.first,
        "shift",
        ("No order in the colours: shape knows nothing of position.", "Width runs along the latents."),
    )
    yield Picture(
        f"{t.shape}_shift_manifold",
        plots.manifold(t.m),
        "Manifold of the shift-VAE",
        "All curves stay in place (grey line) and change in shape only.",
    )
    yield Picture(
        f"{t.shape}_shift_latents_truth",
        plots.latents_against(t.first, _known(t)),
        "Latents of the shift-VAE against the truth",
        "Shape latents are clouds against position and lines against width: they tell what, not where.",
    )
    yield Picture(
        f"{t.shape}_truth",
        plots.against_truth(t.first, t.pairs.shift_first, known="known position"),
        "Shift against the known position",
        "Held-out signals, in axis units, on the diagonal; differences below, with error bars of one sd.",
    )
    yield Picture(
        f"{t.shape}_calibration",
        plots.calibration(t.judged),
        "Honesty of the error bars",
        "How often intervals hold the true move within held-out pairs. On the line: as often as they "
        "promise.",
    )


def _latents(t: Trial, p: Posterior, kind: str, captions: tuple[str, str]) -> Iterator[Picture]:
    which = "ordinary VAE" if kind == "vae" else "shift-VAE"
    factors = ("position", t.pairs.shift_first), ("width", t.pairs.params["width"])
    for (factor, values), caption in zip(factors, captions, strict=True):
        yield Picture(
            f"{t.shape}_{kind}_{factor}",
            plots.latent(p, values, color_label=f"known {factor} (units of x)"),
            f"Latents of the {which}, coloured by {factor}",
            caption,
        )


def _known(t: Trial) -> dict[str, np.ndarray]:
    """The true factors of the held-out signals, by the words on their axes."""
    known = {
        "known position (units of x)": t.pairs.shift_first,
        "known width (units of x)": t.pairs.params["width"],
    }
    if "mixing" in t.pairs.params:
        known["known share of the Lorentzian"] = t.pairs.params["mixing"]
    return known
