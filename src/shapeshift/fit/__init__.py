"""How it is fitted: alignment, training, refinement, the zero, files of models, estimators."""
