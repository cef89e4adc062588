"""A fitted estimator back from its file."""

from __future__ import annotations

import os
from typing import Any

from shapeshift.fit import checkpoint, translation_file
from shapeshift.fit.estimators import ShiftVAE
from shapeshift.fit.restore import restored
from shapeshift.fit.translation import VED


def load(path: str | os.PathLike[str], *, encoder: Any = None, decoder: Any = None) -> Any:
    """Read a model that :meth:`ShiftVAE.save` or :meth:`VED.save` wrote.

    Parameters
    ----------
    path : path
    encoder, decoder : torch module, optional
        The own modules the model was fitted with, if any: the file holds their weights, not their code.

    Returns
    -------
    ShiftVAE or VED
        What was saved.

    Raises
    ------
    ShapeshiftError
        No such file, damaged, foreign, or own modules missing.
    """
    tensors, description = checkpoint.read(path)
    if description.get("kind") == "VED":
        translator = VED()
        translation_file.restored(translator, tensors, description)
        return translator
    model = ShiftVAE()
    restored(model, tensors, description, encoder=encoder, decoder=decoder)
    return model
