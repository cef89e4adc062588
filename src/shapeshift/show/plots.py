"""Every figure of the package: each function returns a matplotlib Figure and shows nothing by itself.

``size``, ``style`` and ``save`` are for figures of one's own too: a journal's columns, the same look, files
whose text stays text and whose bytes are the same every time.
"""

from shapeshift.show.figures_fit import components, loss, manifold
from shapeshift.show.figures_images import images, views
from shapeshift.show.figures_map import map
from shapeshift.show.figures_poses import displacements, error_bars, rotations, scales
from shapeshift.show.figures_posterior import latent, sequence, shift_histogram
from shapeshift.show.figures_predictions import predictions
from shapeshift.show.figures_property import property
from shapeshift.show.figures_signals import alignment, heatmap, residuals, signals
from shapeshift.show.figures_truth import against_truth, calibration, latents_against
from shapeshift.show.style import save, size, style

__all__ = [
    "against_truth",
    "alignment",
    "calibration",
    "components",
    "displacements",
    "error_bars",
    "heatmap",
    "images",
    "latent",
    "latents_against",
    "loss",
    "manifold",
    "map",
    "predictions",
    "property",
    "residuals",
    "rotations",
    "save",
    "scales",
    "sequence",
    "shift_histogram",
    "signals",
    "size",
    "style",
    "views",
]
