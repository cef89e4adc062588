"""The options of VED, and what of a fitted one goes into a model file and back."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from shapeshift.data.carrier import DAMAGE
from shapeshift.data.pairs import Side
from shapeshift.data.preprocess import Affine
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.held_out import Calibration
from shapeshift.fit.options import plain
from shapeshift.fit.stored import check_pairs, check_start
from shapeshift.fit.train import History
from shapeshift.fit.translate import Starts, build

if TYPE_CHECKING:
    from shapeshift.fit.translation import VED

ENCODERS = ("dense", "conv")
COUNTS = ("n_latent", "n_starts", "epochs", "batch_size", "width", "depth")


def check_choices(model: VED) -> None:
    """Refuse options that mean nothing, in one sentence."""
    if model.encoder not in ENCODERS:
        raise ShapeshiftError(f"got encoder={model.encoder!r}, needed one of {', '.join(ENCODERS)}.")
    for name in COUNTS:
        value = getattr(model, name)
        if not (name == "epochs" and value is None) and not (isinstance(value, Integral) and int(value) > 0):
            raise ShapeshiftError(f"got {name}={value!r}, needed a whole number above 0.")
    if not (isinstance(model.learning_rate, Real) and model.learning_rate > 0):
        raise ShapeshiftError(f"got learning_rate={model.learning_rate!r}, needed a number above 0.")
    for name in ("weight_decay", "kl_weight"):
        value = getattr(model, name)
        if not (isinstance(value, Real) and value >= 0):
            raise ShapeshiftError(f"got {name}={value!r}, needed a number from 0 up.")
    if not (isinstance(model.held_out, Real) and 0 < model.held_out < 1):
        raise ShapeshiftError(
            f"got held_out={model.held_out!r}, needed a share between 0 and 1: pairs kept from training set "
            "the size of the error bars."
        )


def described(model: VED) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a fitted estimator."""
    tensors = {
        f"start{k}.{name}": t
        for k, vae in enumerate(model.starts_.networks)
        for name, t in vae.state_dict().items()
    }
    tensors |= {"calibration." + k: v for k, v in model.calibration_._asdict().items()}
    for name, scaling in (("x", model.x_scaling_), ("y", model.y_scaling_)):
        tensors[f"{name}.offset"], tensors[f"{name}.gain"] = map(
            torch.as_tensor, (scaling.offset, scaling.gain)
        )
    description: dict[str, Any] = {
        "kind": "VED",
        "options": model.options_,
        "n_pairs": model.n_pairs_,
        "fit_seconds": model.fit_seconds_,
        "names": [str(n) for n in getattr(model, "feature_names_in_", ())],
        "histories": [{"columns": h.columns, "stopped": h.stopped} for h in model.history_],
    }
    for name, side in (("x_side", model.x_side_), ("y_side", model.y_side_)):
        description[name], arrays = _side_told(side)
        tensors |= {f"{name}.{k}": v for k, v in arrays.items()}
    return tensors, description


def restored(model: VED, tensors: dict[str, Tensor], description: dict[str, Any]) -> VED:
    """The fresh estimator, filled with what a file holds."""
    try:
        check_pairs(tensors, description)
        options = {k: v for k, v in description["options"].items() if k in model.get_params()}
        shapes = {k: v if v is None else tuple(v) for k, v in options.items() if k in ("x_shape", "y_shape")}
        model.set_params(**(options | shapes | {"progress": False}))
        check_choices(model)
        model.options_ = description["options"]
        model.n_pairs_, model.fit_seconds_ = description["n_pairs"], description["fit_seconds"]
        model.x_side_ = _side_of(description["x_side"], _part(tensors, "x_side."))
        model.y_side_ = _side_of(description["y_side"], _part(tensors, "y_side."))
        model.n_features_in_ = model.x_side_.size
        if description["names"]:
            model.feature_names_in_ = np.array(description["names"], dtype=object)
        model.x_scaling_, model.y_scaling_ = (
            Affine(tensors[f"{k}.offset"].numpy(), tensors[f"{k}.gain"].numpy()) for k in ("x", "y")
        )
        model.calibration_ = Calibration(**_part(tensors, "calibration."))
        model.starts_ = _starts_of(model, tensors, description["histories"])
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"the model file is incomplete or damaged ({error}): fit again or take another copy."
        ) from error
    return model


def _starts_of(model: VED, tensors: dict[str, Tensor], histories: list[dict[str, Any]]) -> Starts:
    networks = []
    for k in range(len(histories)):
        check_start(model._pattern, tensors, f"start{k}.")
        vae = build(model._pattern, torch.Generator().manual_seed(0))
        vae.load_state_dict(_part(tensors, f"start{k}."))
        networks.append(vae.eval())
    return Starts(tuple(networks), tuple(History(h["columns"], h["stopped"]) for h in histories))


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _side_told(side: Side) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A side as JSON, its numeric coordinates as tensors."""
    told: dict[str, Any] = {
        "shape": list(map(int, side.shape)),
        "given": list(map(int, side.given)),
        "dims": side.dims and list(map(str, side.dims)),
        "leading": side.leading,
        "name": None if side.name is None else str(side.name),
        "attrs": {str(k): plain(v) for k, v in side.attrs.items()},
        "coords": [],
    }
    arrays = {}
    for k, (dims, values, attrs) in side.coords.items():
        numeric = values.dtype.kind in "iufb"
        entry = {
            "name": str(k),
            "dims": list(map(str, dims)),
            "attrs": {str(a): plain(v) for a, v in attrs.items()},
        }
        told["coords"].append(entry | {"words": None if numeric else [str(v) for v in values.ravel()]})
        if numeric:
            arrays[f"coords.{k}"] = torch.from_numpy(np.array(values))
    return told, arrays


def _side_of(told: dict[str, Any], arrays: dict[str, Tensor]) -> Side:
    coords = {}
    for c in told["coords"]:
        words = c["words"]
        values = arrays[f"coords.{c['name']}"].numpy() if words is None else np.array(words)
        coords[c["name"]] = (tuple(c["dims"]), values, c["attrs"])
    return Side(
        tuple(told["shape"]),
        tuple(told["given"]),
        told["dims"] and tuple(told["dims"]),
        coords,
        told["leading"],
        told["name"],
        told["attrs"],
    )
