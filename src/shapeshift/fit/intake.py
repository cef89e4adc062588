"""What an estimator is handed: checked against its own axis, and turned into tensors in model units."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from shapeshift.data import preprocess
from shapeshift.data.coordinates import (
    Axis,
    Stack,
    as_stack,
    refuse_constant,
    refuse_other_axis,
    refuse_other_length,
)
from shapeshift.data.images import as_images, refuse_other_raster
from shapeshift.data.kin import in_kind

if TYPE_CHECKING:
    from shapeshift.data.images import ImageStack
    from shapeshift.fit.base import PoseEstimator
    from shapeshift.fit.estimators import ShiftVAE
    from shapeshift.fit.images import ImageVAE


def axis_of(model: ShiftVAE) -> Axis:
    """The axis an estimator was fitted on."""
    return Axis(model.axis_, model.axis_name_, model.axis_units_)


def taken(model: ShiftVAE, X: Any, x: Any = None, *, reset: bool = False) -> Stack:
    """Checked signals on the model's axis; with ``reset`` their own axis is to become the model's."""
    framed = hasattr(X, "columns") and not hasattr(X, "coords")
    if framed and not reset:
        validate_data(model, X, reset=False, skip_check_array=True)  # names before values
    stack = as_stack(X, x)
    if not reset and hasattr(model, "axis_"):
        refuse_other_length(stack.values.shape[1], axis_of(model), type(model).__name__)
    shown = X if framed else stack.values
    least: dict[str, Any] = {"ensure_min_samples": 2, "ensure_min_features": 2} if reset else {}
    validate_data(model, shown, reset=reset, dtype=[np.float64, np.float32], **least)
    if reset:
        refuse_constant(stack.values)
        return stack
    if x is not None or (stack.given is not None and stack.given.dims[-1] in stack.given.coords):
        refuse_other_axis(stack.axis, axis_of(model))
    return replace(stack, axis=axis_of(model))


def taken_images(model: ImageVAE, X: Any, *, reset: bool = False) -> ImageStack:
    """Checked images on the model's raster; with ``reset`` their own raster is to become the model's."""
    framed = hasattr(X, "columns") and not hasattr(X, "coords")
    if framed and not reset:
        validate_data(model, X, reset=False, skip_check_array=True)  # names before values
    named = not framed and in_kind(X, inner=2) is not None
    fitted = not reset and hasattr(model, "raster_")
    shape = model.raster_.shape if fitted and model.image_shape is None else model.image_shape
    if fitted and not named and len(flat := np.asarray(X).shape) == 2 and flat[1] != model.raster_.size:
        shape = (1, 1, flat[1])  # refused below, in scikit-learn's words
    stack = as_images(X, shape)
    if fitted:
        refuse_other_raster(stack.raster, model.raster_, type(model).__name__)
    shown = X if framed else stack.values
    least: dict[str, Any] = {"ensure_min_samples": 2, "ensure_min_features": 2} if reset else {}
    validate_data(model, shown, reset=reset, dtype=[np.float64, np.float32], **least)
    if reset:
        refuse_constant(stack.values)
    return stack


def scaled(model: PoseEstimator, stack: Stack | ImageStack) -> Tensor:
    """Signals in model units, (n, P)."""
    values = stack.values
    if model.normalise is not None:
        values = preprocess.per_signal(values, model.normalise).apply(values)
    return torch.from_numpy(model.scaling_.apply(values)).float()


def tensors(model: PoseEstimator, stack: Stack | ImageStack) -> tuple[Tensor, Tensor]:
    """Signals (n, P), their noise and contrast (n, 2), in model units."""
    values = scaled(model, stack)
    return values, torch.from_numpy(preprocess.noise_and_contrast(values.numpy())).float()


def units(model: PoseEstimator, stack: Stack | ImageStack) -> np.ndarray:
    """Data units per model unit, of every signal (n,)."""
    return preprocess.per_signal(stack.values, model.normalise).gain[:, 0] * float(model.scaling_.gain)
