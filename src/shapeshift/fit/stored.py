"""Whether the tensors in a model file belong to what its description says, checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shapeshift.data.carrier import monotonic
from shapeshift.data.lanes import MOST
from shapeshift.fit.gauge import Reference
from shapeshift.fit.schema import (
    CHANNELS,
    CONDITION,
    COORDINATE,
    HISTORY,
    PAIRS,
    conform,
    imagined,
    numeric,
    refuse,
    shaped,
    sizes,
)
from shapeshift.fit.translate import Pattern
from shapeshift.fit.translate import networks as networks_of_pairs
from shapeshift.model.latents import Spread

if TYPE_CHECKING:
    from shapeshift.fit.base import PoseEstimator

Tensors = Mapping[str, Tensor]

_FAR = 4  # a search on the line reaches no further than so many windows
_WIDE = 100.0  # radians, log scale, canonical units


def check_pose(model: PoseEstimator, tensors: Tensors, told: dict[str, Any]) -> None:
    """Refuse a description of signals or images that is none, and tensors that do not belong to it.

    Raises
    ------
    ShapeshiftError
    """
    conform(told, model._schema)
    own = [f"vae.{name}." for name in ("encoder", "decoder") if told["own"][name]]
    numeric(tensors, lambda name: None if name.startswith(tuple(own)) else _kind(name))
    n_given = _check_condition(told, tensors)
    if "axis" in told:
        _check_line(told, tensors)
    else:
        _check_plane(told, tensors)
    k = told["options"].get("n_latent", 2)
    sizes(k)
    _check_rows(tensors, ("bank.z", "shapes"), k + n_given)
    _check_zero(tensors, k, n_given)


def _kind(name: str) -> torch.dtype:
    if name in ("axis", "sampled"):
        return torch.float64
    return torch.bool if name.endswith("symmetric") and name.startswith("reference.") else torch.float32


def _check_condition(told: dict[str, Any], tensors: Tensors) -> int:
    """The numbers c that are given of every signal."""
    condition, n_given = told.get("condition"), told["bank"]["n_given"]
    if condition is None:
        if n_given or told["bank"]["kinds"] or "log_prior" in tensors:
            refuse("condition", "nothing", "what the model was fitted with")
        return 0
    conform(condition, CONDITION, "condition")
    size, labels = len(condition["names"]), condition["levels"]
    lengths = {name: len(condition[name]) for name in ("levels", "centre", "spread")}
    needed = (
        {"levels": size, "centre": 0, "spread": 0}
        if labels
        else {"levels": 0, "centre": size, "spread": size}
    )
    if lengths != needed or n_given != size or size == 0 or told["bank"]["kinds"] != bool(labels):
        refuse("condition", lengths, f"as many as its {size} names, {n_given} of which are given")
    if "log_prior" in tensors:
        shaped(tensors, {"log_prior": (size,)})
    return size


def _check_line(told: dict[str, Any], tensors: Tensors) -> None:
    for name in ("axis", *(["sampled"] if "sampled" in tensors else [])):
        axis = tensors.get(name)
        if axis is None or axis.ndim != 1 or len(axis) < 2 or not monotonic(axis.numpy()):
            refuse(name, "nothing" if axis is None else tuple(axis.shape), "numbers that rise or fall")
    length = len(tensors["axis"]) * (2 * _check_channels(told.get("channels")) - 1)
    shaped(tensors, {"vae.grid": (length, 1)})
    if told["reach"] > _FAR * length:
        refuse("reach", told["reach"], f"{_FAR * length} samples at most")
    if "home.low" in tensors:
        shaped(tensors, {"home.low": (), "home.high": ()})


def _check_channels(told: dict[str, Any] | None) -> int:
    """How many channels lie on the line."""
    if told is None:
        return 1
    conform(told, CHANNELS, "channels")
    lengths = [len(told[name]) for name in CHANNELS]
    if len(set(lengths)) > 1 or not 2 <= lengths[0] <= MOST:
        refuse("channels", lengths, f"2 to {MOST} names, offsets and gains")
    return lengths[0]


def _check_plane(told: dict[str, Any], tensors: Tensors) -> None:
    sides = [told["raster"][name]["values"] for name in ("rows", "columns")]
    for values in sides:
        if not values or (len(values) > 1 and not monotonic(values)):
            refuse("raster", values, "numbers that rise or fall")
    shaped(tensors, {"vae.grid": (len(sides[0]) * len(sides[1]), 2)})
    if not all(0 <= far <= _WIDE for far in told["reach"]):
        refuse("reach", told["reach"], f"numbers from 0 to {_WIDE:g}")
    if told["lattice"]:
        channels, rows, columns = told["lattice"][:3]
        sizes(channels, rows, columns)
        if channels != told["raster"]["channels"]:
            refuse("lattice", told["lattice"], "as many channels as the raster has")


def _check_rows(tensors: Tensors, names: tuple[str, ...], columns: int) -> None:
    """Rows of latents and of what is given with them; the first must be there."""
    for name in names:
        if name in tensors and (tensors[name].ndim != 2 or not len(tensors[name])):
            refuse(name, tuple(tensors[name].shape), f"rows of {columns}")
        if name in tensors or name == names[0]:
            rows = len(tensors[name]) if name in tensors else 1
            shaped(tensors, {name: (rows, columns)})


def _check_zero(tensors: Tensors, k: int, c: int) -> None:
    """One zero, or one for every kind; of images the pose that is called 0, and the centre."""
    if "reference.middle" in tensors:
        middle = tensors["reference.middle"]
        if middle.ndim != 2 or len(middle) not in (1, 1 + c):
            refuse("reference.middle", tuple(middle.shape), f"1 or {1 + c} poses")
        shaped(tensors, {"reference.coefficients": (1 + k + c, 2)})
        return
    if "reference.given" not in tensors:
        _check_reference(tensors, "reference.", k + c)
        return
    given = tensors["reference.given"]
    if given.ndim != 2 or given.shape[1] != c or len(given) > max(c, 1):
        refuse("reference.given", tuple(given.shape), f"at most {c} rows of {c}")
    for kind in range(len(given)):
        _check_reference(tensors, f"reference.{kind}.", k)


def _check_reference(tensors: Tensors, prefix: str, k: int) -> None:
    """delta(z) = constant + bumps((z - centre) / spread) @ coefficients."""
    knots = tensors.get(prefix + "knots")
    count = len(knots) if knots is not None and knots.ndim else 0
    shapes = {"coefficients": (count,), "knots": (count, k), "centre": (k,), "spread": (k,)}
    shapes |= {"constant": (), "symmetric": (), "bounds": (2,)}
    shaped(tensors, {prefix + name: shapes[name] for name in Reference._fields})


def check_pairs(tensors: Tensors, told: dict[str, Any]) -> None:
    """The same of a model of pairs.

    Raises
    ------
    ShapeshiftError
    """
    conform(told, PAIRS)
    histories = told.get("histories")
    if not isinstance(histories, list) or not 0 < len(histories) <= len(tensors):
        refuse("histories", histories, "one a start")
    for history in told["histories"]:
        conform(history, HISTORY, "histories")
    numeric(tensors, lambda name: torch.float32 if name.startswith("start") else _any_or_double(name))
    x, y = (_check_layout(told, name, tensors) for name in ("x_side", "y_side"))
    if told["names"] and len(told["names"]) != x:
        refuse("names", len(told["names"]), f"{x}, one a number of X")
    if not x:
        refuse("x_side.shape", told["x_side"]["shape"], "a spectrum or an image")
    levels = tensors["calibration.quantiles"].numel() if "calibration.quantiles" in tensors else 0
    shaped(
        tensors, {"calibration.b": (), "calibration.noise": (y,), "calibration.quantiles": (max(levels, 2),)}
    )
    for name, size in (("x", x), ("y", y)):
        for part in (f"{name}.offset", f"{name}.gain"):
            if part not in tensors or tuple(tensors[part].shape) not in ((), (size,)):
                refuse(
                    part, "nothing" if part not in tensors else tuple(tensors[part].shape), f"one or {size}"
                )


def _any_or_double(name: str) -> torch.dtype | None:
    """Coordinates come as they were."""
    return None if ".coords." in name else torch.float64


def _check_layout(told: dict[str, Any], name: str, tensors: Tensors) -> int:
    """Numbers of one side of a pair, once its coordinates lie along it."""
    side = told[name]
    size, given = 1, 1
    for length in side["shape"]:
        size *= length
    for length in side["given"]:
        given *= length
    if size != given or (side["dims"] is not None and len(side["dims"]) != len(side["given"])):
        refuse(f"{name}.given", side["given"], f"as many numbers as in {side['shape']}")
    lengths = dict(zip(side["dims"] or (), side["given"], strict=bool(side["dims"])))
    for coordinate in side["coords"]:
        conform(coordinate, COORDINATE, f"{name}.coords")
        words, part = coordinate["words"], f"{name}.coords.{coordinate['name']}"
        shape = tuple(lengths.get(dim, -1) for dim in coordinate["dims"])
        if words is None:
            shaped(tensors, {part: shape})
        elif len(shape) != 1 or len(words) != shape[0]:
            refuse(part, len(words), f"labels along {', '.join(coordinate['dims'])}")
    return size


def check_start(pattern: Pattern, tensors: Tensors, prefix: str) -> None:
    """Refuse tensors that are not those of one start's networks, before these are built.

    Raises
    ------
    ShapeshiftError
    """
    sizes(pattern.width, pattern.depth, pattern.n_latent)
    if pattern.depth > len(tensors):
        refuse("depth", pattern.depth, "as many layers as there are weights for")
    if pattern.encoder == "conv" and len(pattern.shape) != 2:
        refuse("encoder", "conv", "images, if it is 'conv'")
    shaped(tensors, {f"{prefix}likelihood.log_sd": (pattern.n_points,)})
    imagined(lambda: Spread(pattern.n_latent, 0), tensors, f"{prefix}spread.")
    for name, make in networks_of_pairs(pattern).items():
        imagined(make, tensors, f"{prefix}{name}.")
