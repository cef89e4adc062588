"""What was learned: arrays in, numbers out."""

from shapeshift.analysis.baselines import Decomposition, correlation, nmf, pca

__all__ = ["Decomposition", "correlation", "nmf", "pca"]
