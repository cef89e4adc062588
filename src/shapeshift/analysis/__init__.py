"""What was learned: arrays in, numbers out."""

from shapeshift.analysis.baselines import Decomposition, correlation, nmf, pca
from shapeshift.analysis.calibration import Calibration, calibrate, calibration_of, matched_filter_bound
from shapeshift.analysis.candidates import Candidate
from shapeshift.analysis.collapse import Activity, active_latents
from shapeshift.analysis.compare import Comparison, compare
from shapeshift.analysis.doubts import Doubt, doubts
from shapeshift.analysis.rigidity import Rigidity, rigidity

__all__ = [
    "Activity",
    "Calibration",
    "Candidate",
    "Comparison",
    "Decomposition",
    "Doubt",
    "Rigidity",
    "active_latents",
    "calibrate",
    "calibration_of",
    "compare",
    "correlation",
    "doubts",
    "matched_filter_bound",
    "nmf",
    "pca",
    "rigidity",
]
