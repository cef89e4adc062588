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
    Measured,
    Stack,
    as_stack,
    refuse_constant,
    refuse_other_length,
)
from shapeshift.data.grids import are_several, on_axis, refuse_numbered, same_axis, stacked
from shapeshift.data.images import as_images, refuse_other_raster
from shapeshift.data.kin import in_kind
from shapeshift.data.lanes import Lanes, are_channels, channels_of, lanes_of
from shapeshift.data.resampling import noise_kept
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.choose import look_like_counts
from shapeshift.model.likelihoods import LIKELIHOODS

if TYPE_CHECKING:
    from shapeshift.data.images import ImageStack
    from shapeshift.fit.base import PoseEstimator
    from shapeshift.fit.estimators import ImageVAE, ShiftVAE


def axis_of(model: ShiftVAE) -> Axis:
    """The axis an estimator was fitted on."""
    return Axis(model.axis_, model.axis_name_, model.axis_units_)


def taken(model: ShiftVAE, X: Any, x: Any = None, *, reset: bool = False) -> Stack:
    """Checked signals on the model's axis; with ``reset`` their own axis is to become the model's."""
    if are_several(X):
        return _several(model, X, x, reset=reset)
    lanes = None if reset else getattr(model, "lanes_", None)
    if lanes is not None or are_channels(X):
        return _channelled(model, X, x, lanes, reset=reset)
    framed = hasattr(X, "columns") and not hasattr(X, "coords")
    if framed and not reset:
        validate_data(model, X, reset=False, skip_check_array=True)  # names before values
    fitted = hasattr(model, "axis_") and not reset
    plain = not framed and in_kind(X) is None
    if fitted and plain and x is None and model.sampled_ is not None:
        x = model.sampled_ if np.shape(X)[-1:] == model.sampled_.shape else None
    stack = as_stack(X, x, gaps=True)
    located = x is not None or (stack.given is not None and stack.given.dims[-1] in stack.given.coords)
    if fitted and located and not same_axis(stack.axis, axis_of(model)):
        if x is None and len(stack.axis.values) == len(model.axis_):
            refuse_numbered(stack.axis, axis_of(model))
        if x is not None or not np.array_equal(stack.axis.values, np.arange(len(stack.axis.values))):
            return on_axis(stack, axis_of(model))
    if fitted:
        refuse_other_length(stack.values.shape[1], axis_of(model), type(model).__name__)
    shown = X if framed else stack.values
    least: dict[str, Any] = {"ensure_min_samples": 2, "ensure_min_features": 2} if reset else {}
    finite = {"ensure_all_finite": "allow-nan"}  # a gap
    validate_data(model, shown, reset=reset, dtype=[np.float64, np.float32], **least, **finite)
    if reset:
        refuse_constant(stack.values)
        return stack
    return replace(stack, axis=axis_of(model))


def _several(model: ShiftVAE, X: Any, x: Any, *, reset: bool) -> Stack:
    """Stacks on axes of their own, as one."""
    if not reset:
        return stacked(X, x, axis_of(model))
    stack = stacked(X, x)
    least: dict[str, Any] = {"ensure_min_samples": 2, "ensure_min_features": 2}
    validate_data(model, stack.values, reset=True, ensure_all_finite="allow-nan", **least)
    refuse_constant(stack.values)
    return stack


def _channelled(model: ShiftVAE, X: Any, x: Any, lanes: Lanes | None, *, reset: bool) -> Stack:
    """Signals of several channels, side by side on one line."""
    who = type(model).__name__
    if not reset and hasattr(model, "axis_") and lanes is None:
        raise ShapeshiftError(
            f"got signals of several channels, but {who} was fitted with one: give (n, length), or fit anew."
        )
    if not are_channels(X):
        told = f"{lanes.count} channels ({', '.join(lanes.names)})" if lanes else "several channels"
        raise ShapeshiftError(f"got signals without channels, but {who} is expecting {told}: give them all.")
    every, one, names = channels_of(X)
    stack = as_stack(every, x, gaps=True)
    axis = stack.axis
    if stack.measured:
        raise ShapeshiftError(
            "got channels on an axis without equal steps, needed a uniform one: resample them, or fit one."
        )
    values = np.stack(np.split(stack.values, len(names)), 1)
    if lanes is None:
        lanes = lanes_of(values, names, axis, scaled=_may_scale(model, values))
    else:
        refuse_other_length(values.shape[2], lanes.axis, who)
        placed = x is not None or hasattr(X, "dims")
        if names != lanes.names or (placed and not same_axis(axis, lanes.axis)):
            raise ShapeshiftError(
                f"got {_told(names, axis)}, but {who} is expecting {_told(lanes.names, lanes.axis)}: "
                "give it these, or fit anew."
            )
    least: dict[str, Any] = {"ensure_min_samples": 2} if reset else {}
    validate_data(model, values.reshape(len(values), -1), reset=reset, ensure_all_finite="allow-nan", **least)
    if reset:
        refuse_constant(values.reshape(len(values), -1))
    return Stack(lanes.laid(values), lanes.line, one, stack.notes, lanes=lanes)


def _told(names: tuple[str, ...], axis: Axis) -> str:
    ends = f"from {axis.values[0]:.6g} to {axis.values[-1]:.6g} {axis.units}".strip()
    return f"channels {', '.join(names)} on an axis {ends}"


def _may_scale(model: ShiftVAE, values: np.ndarray) -> bool:
    """Whether channels (n, C, P) may be brought to one size: not counts and bits."""
    if model.likelihood != "auto":
        return LIKELIHOODS[model.likelihood].affine
    return not all(look_like_counts(values[:, k]) for k in range(values.shape[1]))


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
    noise = preprocess.noise_and_contrast(values.numpy())
    if isinstance(stack, Stack):
        for own in stack.measured:  # second differences know nothing of resampled noise
            noise[own.rows] = own_noise(model, stack, own) * [noise_kept(own.axis, stack.axis.values), 1.0]
    return values, torch.from_numpy(noise).float()


def own_noise(model: PoseEstimator, stack: Stack, own: Measured) -> np.ndarray:
    """Noise and contrast (n, 2) of signals on their own axis, in model units."""
    return preprocess.noise_and_contrast(as_measured(model, stack, own).numpy())


def as_measured(model: PoseEstimator, stack: Stack, own: Measured) -> Tensor:
    """Signals (n, P') on their own axis, in model units."""
    values = preprocess.per_signal(stack.values[own.rows], model.normalise).apply(own.values)
    return torch.from_numpy(model.scaling_.apply(values)).float()


def units(model: PoseEstimator, stack: Stack | ImageStack) -> np.ndarray:
    """Data units per model unit, of every signal (n,)."""
    return preprocess.per_signal(stack.values, model.normalise).gain[:, 0] * float(model.scaling_.gain)
