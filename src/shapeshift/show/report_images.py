"""The report on a fit to images: doubts first, then what was found and fitted, and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import shapeshift
from shapeshift.analysis.collapse import active_latents
from shapeshift.analysis.doubts import doubts
from shapeshift.analysis.poses import all_round, circular_sd, columns_of, poses_of
from shapeshift.show import plots
from shapeshift.show.labels import first_pose, layout_of, quantity, spread
from shapeshift.show.look import look_at
from shapeshift.show.look_page import part_of
from shapeshift.show.mosaic import side_label
from shapeshift.show.page import Fact, Page, Picture, Section
from shapeshift.show.report_words import name_of, short, time_row
from shapeshift.show.selection import made_of, rows_of, some_of

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

VIEWS = 7  # images that are shown beside what the model makes of them
MAPS = 4  # latents that get a map of their own


def image_page(m: Any, X: Any, p: Posterior, title: str | None = None) -> Page:
    """The page about a fit to images.

    Parameters
    ----------
    m : ImageVAE
        The fitted model.
    X : images as it takes them
    p : Posterior
        `m.posterior(X)`.
    title : str, optional
        By default the name of the file the images came from.
    """
    sections = [
        Section("What was found", facts=tuple(_facts(p))),
        Section("What was fitted", rows=tuple(_fitted(m, X, p))),
        Section("Images, and what the model makes of them", pictures=tuple(_images(m, X, p))),
        Section("Where: rotation, shift and scale", pictures=tuple(_where(p))),
        Section("What: the shape", pictures=tuple(_what(m, p))),
        Section("How good the fit is", pictures=tuple(_quality(m, p))),
        Section("Every option", options=tuple((k, str(v)) for k, v in m.options_.items())),
    ]
    filled = tuple(s for s in sections if s.pictures or s.facts or s.rows or s.options)
    foot = f"Written by shapeshift {shapeshift.__version__}."
    name, look = title or name_of(X, "Poses and shapes"), part_of(look_at(m, X, p, title=title))
    return Page(name, _lead(m, p), doubts(m, X, p), filled, foot=foot, look=look)


def _lead(m: Any, p: Posterior) -> str:
    _, rows, columns = m.raster_.shape
    shape = layout_of(p).shape
    what = f"A map of {shape[0]} x {shape[1]} images" if len(shape) == 2 else f"{len(p)} images"
    return f"{what} of {rows} x {columns} pixels, fitted in {m.fit_seconds_:.1f} s."


def _facts(p: Posterior) -> Iterator[Fact]:
    """Numbers that are read at a glance."""
    for name, (values, bars, units) in columns_of(p).items():
        told = name.replace("_", " along ")
        if name == "rotation" and all_round(values):
            yield Fact("rotations", "to all sides", "uniform, or nearly so")
        elif name == "rotation":
            yield Fact("sd of the rotations", short(circular_sd(values)), "degrees")
        elif name == "scale":
            low, high = np.percentile(values, (2.5, 97.5))
            yield Fact("scales, 95 % of them", f"{short(low)} ... {short(high)}", "of the pattern's size")
        else:
            yield Fact(f"sd of the {told}", short(float(np.std(values))), units)
        yield Fact(f"median error bar, {told}", short(np.median(bars), 2), units.replace("degree", "degrees"))
    activity = active_latents(p)
    yield Fact("latents that carry shape", f"{int(activity.n_active)} of {len(activity.active)}")
    yield Fact("median noise sd", short(np.nanmedian(p.noise_sd), 2), "units of the signal")
    yield Fact("flagged images", f"{int(np.sum(np.asarray(p.flags) != ''))} of {len(p)}")


def _fitted(m: Any, X: Any, p: Posterior) -> Iterator[tuple[str, str]]:
    """What was fitted to what, and how long it took."""
    raster, attrs = m.raster_, getattr(X, "attrs", {})
    yield "images", f"{m.n_signals_} used for the fit, {len(p)} described here"
    sides = [side_label(a.name, a.values, a.units) for a in (raster.rows, raster.columns)]
    channels = f", {raster.channels} channels" if raster.channels > 1 else ""
    yield (
        "pixels",
        f"{'; '.join(sides)}; one step is {raster.step:.4g} {raster.columns.units}{channels}".strip(),
    )
    if attrs.get("source"):
        yield "file", str(attrs["source"])
    told = "; ".join(filter(None, (str(attrs.get("notes", "")), *getattr(m, "notes_", ()))))
    if told:
        yield "noticed while reading", told
    yield "may move the pattern", ", ".join(poses_of(p)) or "nothing: this is the ordinary VAE"
    if poses_of(p):
        yield "zero", m.zero_
        yield "counted", _SENSE
    yield from ((f"prior of the {name}", prior_words(m, name)) for name in m.prior_sd_)
    yield "solved for in each image", ", ".join(m.nuisance_) or "nothing"
    yield "kind of noise", m.likelihood_
    yield time_row(m)


_SENSE = (
    "rotations in degrees, counter-clockwise with the first row at the top; shifts along each axis towards "
    "its larger values; scales as factors"
)


def prior_words(m: Any, name: str) -> str:
    """The prior of a pose, in words with units."""
    sd = m.prior_sd_[name]
    if sd is None:
        return "uniform over the full turn"
    units = {"rotation": "degrees", "shift": f"{m.raster_.columns.units} along each axis"}
    return f"normal, sd {sd:.4g} {units.get(name, 'of the log scale')}".strip()


def _images(m: Any, X: Any, p: Posterior) -> Iterator[Picture]:
    yield Picture(
        "images",
        plots.images(X),
        "Sample images",
        "Evenly spread over the data set, all on one scale: what the model was given.",
    )
    order = np.argsort(quantity(p, first_pose(p))[0], kind="stable")
    rows = order[spread(len(order), VIEWS)]
    few, some = rows_of(X, rows, m.raster_), some_of(p, rows)
    yield Picture(
        "views",
        plots.views(few, *made_of(m, few, some), some, numbers=rows),
        "Images, moved back, and as the model draws them",
        "From the smallest to the largest of the first pose. In the second row all patterns should lie alike "
        "and differ in shape only (grey: not measured); the residual should hold no pattern.",
    )


def _where(p: Posterior) -> Iterator[Picture]:
    drawn = {"rotation": plots.rotations, "shift": plots.displacements, "scale": plots.scales}
    for name in poses_of(p):
        title, caption = _POSES[name]
        yield Picture(f"{name}s", drawn[name](p), title, caption)
    if poses_of(p):
        yield Picture(
            "error_bars",
            plots.error_bars(p),
            "Error bars",
            "One standard deviation of every pose, against the size of the pattern or the noise of the "
            "image. Marks far above their like are images whose pose is not determined.",
        )
    if layout_of(p).ndim == 2:
        for name in columns_of(p):
            told = name.replace("_", " along ")
            caption = "Colours span 99 % of the values; those of angles all round are a circle."
            yield Picture(f"map_{name}", plots.map(p, name), f"Map of the {told}", caption)
    elif poses_of(p):
        name = first_pose(p)
        yield Picture(
            "sequence",
            plots.sequence(p, name),
            f"The {name.replace('_', ' along ')} in the order of the images",
            "Bars are one standard deviation; crosses are flagged images.",
        )


_POSES = {
    "rotation": (
        "Rotations",
        "Counter-clockwise, from the middle of all. Peaks a half or a quarter turn apart are often one "
        "pattern that looks alike when turned.",
    ),
    "shift": (
        "Displacements",
        "Along both axes of the images, positive towards larger values, with error bars.",
    ),
    "scale": ("Scales", "Size over that of the pattern of scale 1; the axis is logarithmic."),
}


def _what(m: Any, p: Posterior) -> Iterator[Picture]:
    shades = [n for n in columns_of(p) if n in ("rotation", "scale")] or [first_pose(p)]
    for name in shades:
        yield Picture(
            f"latent_{name}",
            plots.latent(p, name),
            f"Shape latents and {name.replace('_', ' along ')}",
            "One mark an image. Mixed colours: shape and pose vary on their own. Ordered colours: they go "
            "together in these data.",
        )
    yield Picture(
        "manifold",
        plots.manifold(m, 8, p=p),
        "The learned manifold",
        "The image that the model makes for every pair of latents, all in pose 0: patterns should lie alike "
        "and change in shape only. Pale: no image lies near, so the model guesses.",
    )
    if layout_of(p).ndim == 2:
        for k in np.flatnonzero(active_latents(p).active)[:MAPS]:
            name = f"z{k + 1}"
            caption = "Where the shape is what; compare with the manifold. Sign and scale are the model's."
            yield Picture(f"map_{name}", plots.map(p, name), f"Map of the latent {name}", caption)


def _quality(m: Any, p: Posterior) -> Iterator[Picture]:
    yield Picture(
        "latent_noise",
        plots.latent(p, "noise_sd"),
        "Shape latents and noise",
        "One mark an image. A group of its own with high noise is often a group that the model cannot draw.",
    )
    yield Picture(
        "loss",
        plots.loss(m),
        "The fit's history",
        "Loss on images used and held out should fall together and level off. A factor whose information "
        "stays at 0 is not in use.",
    )
