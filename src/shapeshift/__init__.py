"""shapeshift tells *where* from *what* in stacks of signals.

The public names are loaded on first use, so that ``import shapeshift`` does not import torch.
"""

from importlib import import_module

from shapeshift.errors import ShapeshiftError

__version__ = "0.1.0"

# public name -> module that holds it ("" where the name is the module itself)
_HOMES = {
    "open": "shapeshift.data.files",
    "save": "shapeshift.show.saving",
    "synthetic": "shapeshift.data.synthetic",
    "datasets": "shapeshift.data.datasets",
    "ShiftVAE": "shapeshift.fit.estimators",
    "ImageVAE": "shapeshift.fit.estimators",
    "VED": "shapeshift.fit.translation",
    "ShiftVAEClassifier": "shapeshift.fit.labelled",
    "ImageVAEClassifier": "shapeshift.fit.labelled",
    "ShiftVAERegressor": "shapeshift.fit.labelled",
    "ImageVAERegressor": "shapeshift.fit.labelled",
    "Checkpoint": "shapeshift.fit.journal",
    "fit_many": "shapeshift.fit.many",
    "Posterior": "shapeshift.fit.posterior",
    "Property": "shapeshift.fit.property",
    "load": "shapeshift.fit.loading",
    "compare": "shapeshift.analysis.compare",
    "analysis": "shapeshift.analysis",
    "explore": "shapeshift.show.look_alone",
    "plot": "shapeshift.show.plots",
    "stream": "shapeshift.show.stream",
}
_MODULES = {"synthetic", "datasets", "analysis", "plot"}

__all__ = ["ShapeshiftError", "__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'shapeshift' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
