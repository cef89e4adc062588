"""What was learned: arrays in, numbers out."""

from shapeshift.analysis.baselines import Decomposition, correlation, nmf, pca
from shapeshift.analysis.calibration import Calibration, calibrate, calibration_of, matched_filter_bound
from shapeshift.analysis.collapse import Activity, active_latents
from shapeshift.analysis.doubts import Doubt, doubts

__all__ = [
    "Activity",
    "Calibration",
    "Decomposition",
    "Doubt",
    "active_latents",
    "calibrate",
    "calibration_of",
    "correlation",
    "doubts",
    "matched_filter_bound",
    "nmf",
    "pca",
]
