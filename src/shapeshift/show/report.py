"""The report on a fit: doubts first, then what was found and fitted, and figures that say how to be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import shapeshift
from shapeshift.analysis.collapse import active_latents
from shapeshift.analysis.doubts import doubts
from shapeshift.analysis.poses import of_images
from shapeshift.show import plots
from shapeshift.show.by_channel import Part, parts
from shapeshift.show.labels import label
from shapeshift.show.look import look_at
from shapeshift.show.look_page import part_of
from shapeshift.show.page import Fact, Page, Picture, Section, write_page
from shapeshift.show.report_images import image_page
from shapeshift.show.report_words import name_of, short, time_row

if TYPE_CHECKING:
    from shapeshift.analysis.baselines import Decomposition
    from shapeshift.analysis.calibration import Calibration
    from shapeshift.fit.posterior import Posterior

SHOWN = 2000  # signals that curves, heat maps and residuals are drawn from
MAPS = 4  # latents that get a map of their own


def write_report(
    m: Any,
    X: Any,
    p: Posterior,
    path: Path | str,
    *,
    figures: Path | str | None = None,
    format: str = "png",
    calibration: Calibration | None = None,
    baselines: Sequence[Decomposition] | None = None,
    title: str | None = None,
) -> Path:
    """Write the report on a fit as one self-contained HTML file.

    Parameters
    ----------
    m : ShiftVAE or ImageVAE
        The fitted model.
    X : array or DataArray
        Signals or images; a map where they form one.
    p : Posterior
        `m.posterior(X)`.
    path : path
        The HTML file to write.
    figures : path, optional
        A folder for the figures as PNG, and in `format` too.
    format : {"png", "svg", "pdf"}
    calibration : Calibration, optional
        From `analysis.calibrate`.
    baselines : sequence of Decomposition, optional
        Linear decompositions to compare with.
    title : str, optional
        By default the name of the file the signals came from.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ShapeshiftError
        If `X` and `p` do not belong together, or the format is none of these.
    """
    if of_images(p):
        page = image_page(m, X, p, title)
        return write_page(page, Path(path), figures=Path(figures) if figures else None, format=format)
    found = doubts(m, X, p, calibration=calibration)
    shown = parts(m, X, p, SHOWN)
    sections = [
        Section("What was found", facts=tuple(_facts(m, p))),
        Section("What was fitted", rows=tuple(_fitted(m, X, p))),
        Section("How far to trust the shifts", rows=tuple(_trust(calibration))),
        Section("Signals before and after alignment", _drawn(shown, p), pictures=tuple(_signals(shown))),
        Section("Where: the shift", pictures=tuple(_where(m, p))),
        Section("What: the shape", pictures=tuple(_what(m, p, shown))),
        Section("How good the fit is", pictures=tuple(_quality(m, shown, calibration))),
        Section("Linear decompositions, to compare with", pictures=tuple(_linear(baselines or ()))),
        Section("Every option", options=tuple((k, str(v)) for k, v in m.options_.items())),
    ]
    filled = tuple(s for s in sections if s.pictures or s.facts or s.rows or s.options)
    page = Page(
        title or name_of(X),
        _lead(m, X, p),
        found,
        filled,
        foot=f"Written by shapeshift {shapeshift.__version__}.",
        look=part_of(look_at(m, X, p, title=title)),
    )
    return write_page(page, Path(path), figures=Path(figures) if figures else None, format=format)


def _lead(m: Any, X: Any, p: Posterior) -> str:
    axis = label(m.axis_name_, m.axis_units_)
    lanes = getattr(m, "lanes_", None)
    leading, length = p.to_dataset()["shift"].shape, np.shape(X)[-1]
    place = f"a map of {leading[0]} x {leading[1]}" if len(leading) == 2 else f"{math.prod(leading)} signals"
    each = f"{lanes.count} channels of {length} samples" if lanes else f"{length} samples"
    return f"{place[0].upper()}{place[1:]}, {each} each along {axis}, fitted in {m.fit_seconds_:.1f} s."


def _facts(m: Any, p: Posterior) -> Iterator[Fact]:
    """Numbers that are read at a glance."""
    units = m.axis_units_ or f"units of {m.axis_name_}"
    if m.shift_sd_ > 0:
        low, high = np.nanmin(p.shift), np.nanmax(p.shift)
        yield Fact("shifts from ... to", f"{short(low)} ... {short(high)}", units)
        yield Fact("sd of the shifts", short(np.nanstd(p.shift)), units)
        yield Fact("median error bar of a shift", short(np.nanmedian(p.shift_sd), 2), units)
    activity = active_latents(p)
    yield Fact("latents that carry shape", f"{int(activity.n_active)} of {len(activity.active)}")
    of = "units of the first channel" if getattr(m, "lanes_", None) else "units of the signal"
    yield Fact("median noise sd", short(np.nanmedian(p.noise_sd), 2), of)
    flagged = int(np.sum(np.asarray(p.flags) != ""))
    yield Fact("flagged signals", f"{flagged} of {len(p.flags)}")


def _fitted(m: Any, X: Any, p: Posterior) -> Iterator[tuple[str, str]]:
    """What was fitted to what, and how long it took."""
    axis = m.axis_
    attrs = getattr(X, "attrs", {})
    yield "signals", f"{m.n_signals_} used for the fit, {len(p.shift)} described here"
    if lanes := getattr(m, "lanes_", None):
        yield "channels", f"{', '.join(lanes.names)}: one shift for all, each by its own noise"
    yield (
        "axis",
        (
            f"{label(m.axis_name_, m.axis_units_)}: {len(axis)} samples from {axis[0]:.6g} to "
            f"{axis[-1]:.6g}, one step is {(axis[-1] - axis[0]) / (len(axis) - 1):.4g}"
        ),
    )
    if attrs.get("source"):
        yield "file", str(attrs["source"])
    if attrs.get("notes"):
        yield "noticed while reading", str(attrs["notes"])
    if getattr(m, "notes_", ()):
        yield "done to the signals", "; ".join(m.notes_)
    if m.shift_sd_ > 0:
        yield "zero", m.zero_
        yield "prior of the shift", f"normal, sd {m.shift_sd_:.4g} {m.axis_units_}".strip()
    yield "solved for in each signal", ", ".join(m.nuisance_) or _NOTHING
    yield time_row(m)


_NOTHING = "nothing: every difference of height and background is part of the shape"


def _trust(c: Calibration | None) -> Iterator[tuple[str, str]]:
    """What the model made of known displacements."""
    if c is None:
        return
    yield "tested on", f"{c.n} pairs of signals like these: one shape at two places, two draws of noise"
    yield (
        "error bars",
        f"68 % intervals of the displacement hold it in {100 * c.coverage68:.1f} %, 95 % intervals in "
        f"{100 * c.coverage95:.1f} % of the pairs",
    )
    yield "error", f"{c.efficiency:.3g} times the least that the noise allows for a known shape"
    yield "lost", f"{100 * c.lost:.2g} % of the pairs are off by more than ten times that"
    yield "leak", f"{100 * c.leak:.2g} % of the spread of a shape latent comes from a move"
    if c.leak_back is not None:
        yield "leak back", f"{100 * c.leak_back:.2g} % of the squared error of a shift comes from the shape"


def _drawn(shown: Sequence[Part], p: Posterior) -> str:
    """How many signals the pictures are drawn from, where that is not all."""
    few, all_of_them = len(shown[0].some.shift), len(p.shift)
    if few == all_of_them:
        return ""
    return f"Drawn, like the residuals below, from {few} of the {all_of_them} signals, evenly spread."


def _signals(shown: Sequence[Part]) -> Iterator[Picture]:
    for part in shown:
        yield Picture(
            f"signals{part.slug}",
            plots.signals(part.sample),
            _of("Sample signals", part),
            "Evenly spread over the data set, all on one scale: what the model was given.",
        )
        if part.aligned is None:
            continue
        yield Picture(
            f"alignment{part.slug}",
            plots.alignment(part.sample, part.aligned, part.some),
            _of("Signals before and after alignment", part),
            "Each signal is moved back by its own shift, which gives it its colour. On the right, features "
            "should stand above each other and the mean of all (black) should be sharp.",
        )
        yield Picture(
            f"heatmap{part.slug}",
            plots.heatmap(part.sample, part.aligned, part.some),
            _of("Signals sorted by shift", part),
            "One row a signal. A ridge that slants on the left and stands upright on the right is a shift "
            "that was found; rows that stick out were not. Grey: moved in from where nothing was measured.",
        )


def _of(title: str, part: Part) -> str:
    return f"{title}, {part.name}" if part.name else title


def _where(m: Any, p: Posterior) -> Iterator[Picture]:
    if m.shift_sd_ == 0:
        return
    yield Picture(
        "shifts",
        plots.shift_histogram(p),
        "Shifts and their error bars",
        f"Error bars are one standard deviation. Zero: {m.zero_}. A positive shift is one towards larger "
        "axis values.",
    )
    if p.to_dataset()["shift"].ndim != 2:
        yield Picture(
            "sequence",
            plots.sequence(p),
            "Shifts in the order of the signals",
            "Crosses are flagged signals.",
        )
        return
    yield Picture("map_shift", plots.map(p), "Map of the shift", "Colours span 99 % of the values.")
    yield Picture(
        "map_shift_sd",
        plots.map(p, "shift_sd"),
        "Map of the error bar",
        "Bright places are those whose shift is least certain.",
    )


def _what(m: Any, p: Posterior, shown: Sequence[Part]) -> Iterator[Picture]:
    active = np.flatnonzero(active_latents(p).active)
    if m.shift_sd_ > 0:
        yield Picture(
            "latent",
            plots.latent(p),
            "Shape latents and shift",
            "One mark a signal. Mixed colours: shape and position vary on their own. Ordered colours: "
            "they go together in these data. A latent that stays near 0 carries nothing.",
        )
    yield Picture(
        "latent_noise",
        plots.latent(p, "noise_sd"),
        "Shape latents and noise",
        "One mark a signal. A group of its own with high noise is often a group that the model cannot draw.",
    )
    for part in shown:
        yield Picture(
            f"manifold{part.slug}",
            plots.manifold(part.m, p=p),
            _of("The learned manifold", part),
            "The signal that the model makes for every pair of latents, all at shift 0. Features should stay "
            "in place (grey line) and change in shape only. Pale: no signal lies near, so the model guesses.",
        )
    if p.to_dataset()["shift"].ndim == 2:
        if "gain" in m.nuisance_:
            caption = "The factor that each signal has on the pattern of its shape; no latent holds it."
            yield Picture("map_gain", plots.map(p, "gain"), "Map of the gain", caption)
        for k in active[:MAPS]:
            name = f"z{k + 1}"
            caption = (
                "Where the shape is what; compare with the manifold. Its sign and scale are the model's."
            )
            yield Picture(f"map_{name}", plots.map(p, name), f"Map of the latent {name}", caption)


def _quality(m: Any, shown: Sequence[Part], c: Calibration | None) -> Iterator[Picture]:
    for part in shown:
        yield Picture(
            f"residuals{part.slug}",
            plots.residuals(part.sample, part.drawn, part.some),
            _of("What the model leaves over", part),
            "In units of each signal's noise. Stripes or patches on the left, or wings that leave the dashed "
            "line on the right, are structure that the model cannot draw.",
        )
    if c is not None:
        yield Picture(
            "calibration",
            plots.calibration(c),
            "Honesty of the error bars",
            "How often intervals hold a known added shift. Marks below the line: error bars too narrow; "
            "above: too wide.",
        )
    yield Picture(
        "loss",
        plots.loss(m),
        "The fit's history",
        "Loss on signals used and held out should fall together and level off. A factor whose "
        "information stays at 0 is not in use.",
    )


def _linear(decompositions: Sequence[Decomposition]) -> Iterator[Picture]:
    for d in decompositions:
        yield Picture(
            d.kind,
            plots.components(d),
            f"{d.kind.upper()}: components and explained variance",
            "A linear decomposition needs many components for one feature that moves, and none of them "
            "is the feature.",
        )
