"""A fitted estimator back from its file."""

from __future__ import annotations

import os
from typing import Any

from shapeshift.fit import checkpoint
from shapeshift.fit.estimators import ShiftVAE
from shapeshift.fit.restore import restored


def load(path: str | os.PathLike[str], *, encoder: Any = None, decoder: Any = None) -> ShiftVAE:
    """Read a model that :meth:`ShiftVAE.save` wrote.

    Parameters
    ----------
    path : path
    encoder, decoder : torch module, optional
        The own modules the model was fitted with, if any: the file holds their weights, not their code.

    Raises
    ------
    ShapeshiftError
        No such file, damaged, foreign, or own modules missing.
    """
    model = ShiftVAE()
    restored(model, *checkpoint.read(path), encoder=encoder, decoder=decoder)
    return model
