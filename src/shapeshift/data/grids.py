"""Signals on several axes in one stack, and signals on another axis than a model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shapeshift.data.coordinates import Axis, Measured, Stack, as_stack
from shapeshift.data.resampling import resample
from shapeshift.errors import ShapeshiftError

WIDEST = 20  # samples of the common axis for one of the longest signal
SAME = 0.02  # of a step, by which samples of one axis may lie off


def are_several(X: Any) -> bool:
    """Whether X is a list of stacks, and not one stack given as a list of rows."""
    return (
        isinstance(X, (list, tuple))
        and len(X) > 0
        and all(hasattr(v, "dims") or (hasattr(v, "shape") and len(v.shape) == 2) for v in X)
    )


def each_of(function: Callable[..., Any], Xs: Sequence[Any], xs: Any, condition: Any) -> list[Any]:
    """``function(X, x=..., condition=...)`` of every stack, with its rows of the condition."""
    out, first = [], 0
    whole = condition is None or np.ndim(condition) == 0
    for k, X in enumerate(Xs):
        n = int(np.prod(np.shape(X)[:-1]))
        own = {} if condition is None else {"condition": condition if whole else condition[first : first + n]}
        out.append(function(X, x=None if xs is None else xs[k], **own))
        first += n
    return out


def stacked(Xs: Sequence[Any], xs: Sequence[Any] | None = None, axis: Axis | None = None) -> Stack:
    """Several stacks as one, on an axis: by default the finest of their steps over all of their windows.

    Parameters
    ----------
    Xs : sequence of arrays (n_k, P_k) or DataArrays (..., P_k)
    xs : sequence of arrays (P_k,), optional
        Axes of plain arrays.
    axis : Axis, optional

    Raises
    ------
    ShapeshiftError
        As of :func:`~shapeshift.data.coordinates.as_stack`; axes of different units, or so far apart that
        nothing common is left; plain arrays of different lengths without axes.
    """
    xs = [None] * len(Xs) if xs is None else list(xs)
    if len(xs) != len(Xs):
        raise ShapeshiftError(f"got {len(xs)} axes for {len(Xs)} stacks of signals: give one for each.")
    parts = [as_stack(X, x, gaps=True) for X, x in zip(Xs, xs, strict=True)]
    named = [hasattr(X, "dims") or x is not None for X, x in zip(Xs, xs, strict=True)]
    if len({len(p.axis.values) for p in parts}) > 1 and not all(named):
        raise ShapeshiftError(
            "got stacks of different lengths without axes, needed to know where their samples lie: give "
            "x=[x1, x2, ...], or DataArrays with coordinates."
        )
    if axis is None:
        axis = _common([p.axis for p in parts])
    else:
        for part in parts:
            if not same_axis(part.axis, axis):
                refuse_numbered(part.axis, axis)
    placed, first = [], 0
    for part in parts:
        placed.append(on_axis(part, axis, first))
        first += len(part.values)
    return Stack(
        np.concatenate([p.values for p in placed]),
        axis,
        None,
        tuple(dict.fromkeys(note for p in placed for note in p.notes)),
        tuple(m for p in placed for m in p.measured),
    )


def _common(axes: Sequence[Axis]) -> Axis:
    """The finest step over all windows."""
    units = {a.units for a in axes if a.units}
    if len(units) > 1:
        raise ShapeshiftError(f"got axes in {', '.join(sorted(units))}, needed one unit: convert them first.")
    step = min(a.step for a in axes)
    low, high = min(a.values[0] for a in axes), max(a.values[-1] for a in axes)
    n, most = round((high - low) / step) + 1, max(len(a.values) for a in axes)
    if n > WIDEST * most:
        raise ShapeshiftError(
            f"got axes from {low:.6g} to {high:.6g}, of which none covers more than {most} samples, needed "
            "windows that have something in common: fit them apart."
        )
    told = max(axes, key=lambda a: bool(a.units))
    return Axis(low + step * np.arange(n), told.name, told.units)


def same_axis(a: Axis, b: Axis) -> bool:
    """Whether samples lie at the same places."""
    return len(a.values) == len(b.values) and bool(
        np.allclose(a.values, b.values, rtol=0, atol=SAME * b.step)
    )


def refuse_numbered(got: Axis, needed: Axis) -> None:
    """Refuse samples that are merely numbered where a model has another axis: they do not lie on it.

    Raises
    ------
    ShapeshiftError
    """
    if np.array_equal(got.values, np.arange(len(got.values))):
        raise ShapeshiftError(
            f"got samples numbered from 0 to {len(got.values) - 1}, needed the model's axis, from "
            f"{needed.values[0]:.6g} to {needed.values[-1]:.6g} {needed.units}: give the signals their axis, "
            "or fit a model to them."
        )


def on_axis(stack: Stack, axis: Axis, first: int = 0) -> Stack:
    """The stack on another axis, rows counted from ``first``; what was measured off its window is left out.

    Raises
    ------
    ShapeshiftError
        Not two samples lie inside the window.
    """
    rows = slice(first, first + len(stack.values))
    if same_axis(stack.axis, axis):
        own = tuple(replace(m, rows=rows) for m in stack.measured)
        return replace(stack, axis=axis, measured=own)
    own = stack.measured or (Measured(rows, stack.axis.values, stack.values),)
    at, values = own[0].axis, own[0].values
    inside = (at >= axis.values[0] - axis.step / 2) & (at <= axis.values[-1] + axis.step / 2)
    if inside.sum() < 2:
        raise ShapeshiftError(
            f"got an axis from {at[0]:.6g} to {at[-1]:.6g}, needed one that overlaps the model's, from "
            f"{axis.values[0]:.6g} to {axis.values[-1]:.6g} {axis.units}: check the units, or fit anew."
        )
    notes = stack.notes
    if not inside.all():
        notes = (
            *notes,
            f"{(~inside).sum()} of {len(at)} samples lie outside the window and count for nothing",
        )
    kept = Measured(rows, at[inside], np.ascontiguousarray(values[:, inside]))
    return Stack(resample(kept.values, kept.axis, axis.values), axis, stack.given, notes, (kept,), stack.back)
