"""What not to trust in a fit to images, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.analysis.doubt import (
    FEW,
    ORDER,
    RESOLVED,
    Doubt,
    flagged,
    latents,
    misfit,
    training,
)
from shapeshift.analysis.doubt import share as share_of
from shapeshift.analysis.doubt import which as which_of
from shapeshift.analysis.poses import all_round, circular_sd, columns_of, poses_of
from shapeshift.data.images import as_images
from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

WARP = {"rotation": "turn", "scale": "differ in size"}  # a shift by its axes
share, which = partial(share_of, noun="images"), partial(which_of, noun="image")


def image_doubts(m: Any, X: Any, p: Posterior) -> tuple[Doubt, ...]:
    """Reasons not to trust a fit to images, the gravest first; empty where there is none.

    Parameters
    ----------
    m : ImageVAE
        The fitted model.
    X : images as it takes them
        What `p` describes.
    p : Posterior

    Raises
    ------
    ShapeshiftError
        If `X` and `p` differ in their number of images.
    """
    values = as_images(X, m.raster_.shape).values
    if len(values) != len(p):
        raise ShapeshiftError(
            f"got {len(values)} images and the posterior of {len(p)}, needed both of the same images: call "
            "m.posterior(X) first"
        )
    moved = poses_of(p)
    found = [*training(m, "poses")]
    if moved:
        found += [*_hardly(p), *_edge(m, p, moved), *_ambiguous(p), *_faint(p)]
    found += [*_misfit(values, p), *latents(p, "images", "pose")]
    return tuple(sorted(found, key=lambda d: ORDER.index(d.severity)))


def _hardly(p: Posterior) -> Iterator[Doubt]:
    """Poses that spread no wider than their error bars."""
    good = ~(p.flagged("faint") | p.flagged("ambiguous") | p.flagged("misfit"))
    good = good if good.sum() > 1 else np.ones_like(good)
    still = []
    for name, (values, bars, units) in columns_of(p).items():
        spread, bar = _spread(name, values[good]), float(np.median(bars[good]))
        if spread <= RESOLVED * bar:
            still.append((name, f"{name} has an sd of {_with(spread, units)}, median error bar {bar:.2g}"))
    if sum(name.startswith("shift") for name, _ in still) == 1:  # along one axis alone is still a shift
        still = [s for s in still if not s[0].startswith("shift")]
    for warp in dict.fromkeys(name.split("_")[0] for name, _ in still):
        told = "; ".join(words for name, words in still if name.startswith(warp))
        yield Doubt(
            f"hardly-{warp}",
            f"These images hardly {WARP.get(warp, 'shift')}: {told}. Do not read it as a finding; leave "
            f"{warp!r} out of warps to describe the images with one factor less.",
            "look",
        )


def _spread(name: str, values: np.ndarray) -> float:
    """Spread of a pose: of angles about their middle, of others by the 10 and 90 % points."""
    if name == "rotation":
        return 180.0 if all_round(values) else circular_sd(values)
    low, high = np.percentile(values, (10, 90))
    return float(high - low) / 2.563


def _edge(m: Any, p: Posterior, moved: tuple[str, ...]) -> Iterator[Doubt]:
    """Images at the end of what was searched."""
    edge = p.flagged("edge")
    if not edge.any():
        return
    priors = {f"{k}_sd": v for k, v in m.prior_sd_.items() if k in moved and v is not None}
    if edge.mean() > FEW and priors:
        told = ", ".join(f"{k}={1.5 * v:.3g}" for k, v in priors.items())
        yield Doubt(
            "narrow-prior",
            f"{share(edge)} lie at the edge of the poses that were searched and may belong beyond it. Look "
            f"at {which(edge)}; if they do, fit again with a wider prior, for instance {told}.",
            "look",
        )
    else:
        yield Doubt(
            "edge",
            f"At the edge of the poses that were searched: {share(edge)}; check {which(edge)}.",
            "note",
        )


def _ambiguous(p: Posterior) -> Iterator[Doubt]:
    """Images that another pose explains about as well."""
    marked = p.flagged("ambiguous")
    if not marked.any():
        return
    symmetric = ""
    if marked.mean() > 0.5 and "rotation" in poses_of(p):
        symmetric = (
            " So many are the mark of a pattern that looks alike when it is turned: its rotation then has no "
            "one value. A prior, rotation_sd, keeps to one of them."
        )
    yield Doubt(
        "ambiguous",
        f"{share(marked)} fit about as well in another pose (rival_rotation and rival_shift tell which). "
        "Their error bars hold for the pose given only: leave out those flagged 'ambiguous', or check "
        f"{which(marked)}.{symmetric}",
        "look" if marked.mean() > FEW else "note",
    )


def _faint(p: Posterior) -> Iterator[Doubt]:
    """Images that say next to nothing."""
    return flagged(
        p,
        "faint",
        "{share} hold next to no pattern above the noise: their poses are guesses, as wide as the prior. "
        "Leave out those flagged 'faint' before averaging.",
        "image",
    )


def _misfit(values: np.ndarray, p: Posterior) -> Iterator[Doubt]:
    """Images whose residuals are more than noise."""
    return misfit(values, p, "more latents, or another warp, may help.", "image")


def _with(value: float, units: str) -> str:
    return f"{value:.3g} {units}".strip()
