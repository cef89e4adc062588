"""A fitted estimator back from its file."""

from __future__ import annotations

import os
from typing import Any

from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint, translation_file
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.estimators import ImageVAE, ShiftVAE
from shapeshift.fit.labelled import ImageVAEClassifier, ShiftVAEClassifier
from shapeshift.fit.restore import restored
from shapeshift.fit.translation import VED

MODELS = (ShiftVAE, ImageVAE, ShiftVAEClassifier, ImageVAEClassifier)
KINDS: dict[str, type[PoseEstimator]] = {cls.__name__: cls for cls in MODELS}


def load(path: str | os.PathLike[str], *, encoder: Any = None, decoder: Any = None) -> Any:
    """Read a model that its ``save`` wrote.

    Parameters
    ----------
    path : path
    encoder, decoder : torch module, optional
        The own modules the model was fitted with, if any: the file holds their weights, not their code.

    Returns
    -------
    ShiftVAE, ImageVAE or VED
        What was saved.

    Raises
    ------
    ShapeshiftError
        No such file, damaged, foreign, or own modules missing.

    Examples
    --------
    >>> import os, tempfile, shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=60, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ss.ShiftVAE(epochs=2).fit(X).save(os.path.join(folder, "m.safetensors"))
    ...     model = ss.load(os.path.join(folder, "m.safetensors"))
    >>> type(model).__name__, model.n_signals_
    ('ShiftVAE', 60)
    """
    tensors, description = checkpoint.read(path)
    kind = description.get("kind")
    if kind == VED.__name__:
        return translation_file.restored(VED(), tensors, description)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ShapeshiftError(
            f"got a model of kind {str(kind)[:60]!r}, needed one of {', '.join((*KINDS, VED.__name__))}: "
            "update shapeshift or fit again."
        )
    model = KINDS[kind]()
    restored(model, tensors, description, encoder=encoder, decoder=decoder)
    return model
