"""From the user's options, names and numbers in axis units, to the objects they stand for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from shapeshift.data.coordinates import Axis
from shapeshift.data.preprocess import NORMALISATIONS, Affine, whole_set
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.choose import look_like_counts
from shapeshift.fit.gauge import ZEROS
from shapeshift.fit.recipe import RELEASE_OF_KINDS, epochs_for
from shapeshift.fit.start import Design
from shapeshift.fit.train import Plan, Weight
from shapeshift.model.likelihoods import LIKELIHOODS, Likelihood, PoissonCounts
from shapeshift.model.nuisance import NAMES as NUISANCES

if TYPE_CHECKING:
    from shapeshift.data.images import Raster
    from shapeshift.fit.base import PoseEstimator
    from shapeshift.fit.estimators import ImageVAE, ShiftVAE

DECODERS = ("template", "coordinate")
WARPS = ((), ("shift",))
IMAGE_WARPS = ("rotation", "shift", "scale")
ENCODERS = ("dense", "conv")
FACTORS = ("shift", "rotation", "scale", "z", "class")
DEGREE = np.pi / 180


def check_choices(model: ShiftVAE) -> None:
    """Refuse options that mean nothing, in one sentence."""
    _one_of("warps", tuple(model.warps), WARPS)
    _one_of("zero", model.zero, ZEROS)
    check_shared(model)
    if model.shift_sd is not None:
        _positive("shift_sd", model.shift_sd, Real)


def check_image_choices(model: ImageVAE) -> None:
    """The same of a model of images."""
    if isinstance(model.warps, str):
        raise ShapeshiftError(
            f"got warps={model.warps!r}, needed a tuple of names: use warps=({model.warps!r},)."
        )
    for name in model.warps:
        _one_of("warps", name, IMAGE_WARPS)
    if len(set(model.warps)) < len(model.warps):
        raise ShapeshiftError(f"got warps={model.warps!r}, needed every name once.")
    own = isinstance(model.encoder, torch.nn.Module)
    _one_of("encoder", "own" if own else model.encoder, (*ENCODERS, "own"))
    check_shared(model)
    if "baseline" in (model.nuisance or ()):
        raise ShapeshiftError(
            f"got nuisance={model.nuisance!r}, needed 'gain' or 'offset' for images: subtract a background "
            "before the fit."
        )
    for name in ("rotation_sd", "shift_sd", "scale_sd"):
        if getattr(model, name) is not None:
            _positive(name, getattr(model, name), Real)


def check_shared(model: PoseEstimator) -> None:
    """Refuse what means nothing of the options that all models have."""
    own = isinstance(model.decoder, torch.nn.Module)
    _one_of("decoder", "own" if own else model.decoder, (*DECODERS, "own"))
    _one_of("likelihood", model.likelihood, ("auto", *LIKELIHOODS))
    if isinstance(model.nuisance, str):
        raise ShapeshiftError(
            f"got nuisance={model.nuisance!r}, needed a tuple of names: use nuisance=({model.nuisance!r},)."
        )
    for name in model.nuisance or ():
        _one_of("nuisance", name, NUISANCES)
    if model.nuisance and model.likelihood != "auto" and not LIKELIHOODS[model.likelihood].linear:
        raise ShapeshiftError(
            f"got nuisance={model.nuisance!r} with likelihood={model.likelihood!r}, needed one that is "
            "linear in the signal: use 'gaussian', 'student-t' or 'poisson', or nuisance=()."
        )
    _one_of("normalise", model.normalise, (None, *NORMALISATIONS))
    for name in ("n_latent", "batch_size", "width", "depth"):
        _positive(name, getattr(model, name), Integral)
    for name in ("epochs", "patience", "n_classes"):
        if getattr(model, name) is not None:
            _positive(name, getattr(model, name), Integral)
    _positive("learning_rate", model.learning_rate, Real)
    _positive("n_starts", model.n_starts, Integral)
    if not 0 <= model.averaging <= 1:
        raise ShapeshiftError(f"got averaging={model.averaging!r}, needed a share of the training, 0 to 1.")
    if not 0 <= model.held_out < 1:
        raise ShapeshiftError(f"got held_out={model.held_out!r}, needed a share from 0 to below 1.")


def _one_of(name: str, got: Any, allowed: tuple[Any, ...]) -> None:
    if got not in allowed:
        raise ShapeshiftError(f"got {name}={got!r}, needed one of {', '.join(map(repr, allowed))}.")


def _positive(name: str, got: Any, kind: type) -> None:
    if not isinstance(got, kind) or isinstance(got, bool) or not got > 0:  # type: ignore[operator]
        what = "whole number" if kind is Integral else "number"
        raise ShapeshiftError(f"got {name}={got!r}, needed a {what} above 0.")


def likelihood_name(asked: str, values: np.ndarray) -> str:
    """The likelihood's name; "auto": counts that scatter as such are counts, all else starts as Gaussian."""
    if asked != "auto":
        return asked
    return "poisson" if look_like_counts(values) else "gaussian"


def likelihood_of(name: str, values: np.ndarray) -> Likelihood:
    """The likelihood, after a check that all data are in its support."""
    size, values = values.size, values[~np.isnan(values)]
    likelihood = PoissonCounts(max(float(values.mean()), 1e-6)) if name == "poisson" else LIKELIHOODS[name]()
    outside = int((~likelihood.inside(torch.from_numpy(values))).sum())
    if outside:
        raise ShapeshiftError(
            f"got {outside} of {size} values outside the support of likelihood={name!r} (the data run "
            f"from {values.min():.4g} to {values.max():.4g}), needed {likelihood.support}: use "
            "likelihood='gaussian', or rescale the data."
        )
    return likelihood


def scaling_of(name: str, values: np.ndarray) -> Affine:
    """Data units to model units: only where the likelihood allows it."""
    return whole_set(values) if LIKELIHOODS[name].affine else Affine(np.array(0.0), np.array(1.0))


def design_of(model: ShiftVAE, likelihood: Likelihood, axis: Axis, *, undecided: bool) -> Design:
    """The model to build; own modules are copied, so that fitting leaves the user's untouched."""
    decoder = model.decoder if isinstance(model.decoder, str) else copy.deepcopy(model.decoder)
    return Design(
        model.n_latent,
        tuple(model.warps),
        decoder,
        copy.deepcopy(model.encoder),
        likelihood,
        {"shift": None if model.shift_sd is None else model.shift_sd / axis.half},
        model.width,
        model.depth,
        None if model.nuisance is None else tuple(model.nuisance),
        None if undecided else False,
        channels=model.lanes_.count if model.lanes_ else 1,
    )


def image_design_of(model: ImageVAE, likelihood: Likelihood, raster: Raster) -> Design:
    """The model of images to build; priors in radians, log scale and canonical units."""
    units = {"rotation": DEGREE, "shift": 1 / raster.half, "scale": 1.0}
    given = {name: getattr(model, f"{name}_sd") for name in units}
    return Design(
        model.n_latent,
        tuple(name for name in ("rotation", "scale", "shift") if name in model.warps),
        model.decoder if isinstance(model.decoder, str) else copy.deepcopy(model.decoder),
        model.encoder if isinstance(model.encoder, str) else copy.deepcopy(model.encoder),
        likelihood,
        {name: None if sd is None else float(sd) * units[name] for name, sd in given.items()},
        model.width,
        model.depth,
        tuple(model.nuisance or ()),
        image=raster.shape,
    )


def plan_of(model: PoseEstimator, n: int, n_classes: int = 0) -> Plan:
    """How to train n signals."""
    images = hasattr(model, "raster_")
    kinds = not (n_classes or images or model.condition_ is None) and model.condition_.kinds
    sizes = (n, model.batch_size, model.held_out, n_classes)
    epochs = model.epochs or epochs_for(*sizes, images=images, kinds=kinds)
    return Plan(
        epochs=epochs,
        batch_size=model.batch_size,
        learning_rate=model.learning_rate,
        held_out=model.held_out,
        patience=model.patience or max(10, epochs // 3),
        kl_weight=_weights(model.kl_weight),
        averaging=float(model.averaging),
        release=RELEASE_OF_KINDS if kinds else Plan.release,
    )


def _weights(given: Any) -> Mapping[str, Weight] | Callable[[float], dict[str, float]]:
    if callable(given):
        return lambda done: dict(_weights(given(done)))  # type: ignore[arg-type]
    if isinstance(given, Real):
        return _weights(dict.fromkeys(FACTORS, float(given)))
    unknown = set(given) - set(FACTORS)
    if unknown:
        needed = ", ".join(map(repr, FACTORS))
        raise ShapeshiftError(f"got kl_weight for {', '.join(sorted(unknown))}, needed some of {needed}.")
    for name, weight in given.items():
        if not callable(weight) and not (isinstance(weight, Real) and float(weight) >= 0):
            raise ShapeshiftError(
                f"got kl_weight {weight!r} for {name!r}, needed a number of at least 0 or a function of the "
                "share of training done."
            )
    return dict(given)


def plain(value: Any) -> Any:
    """An option as a value that a text file can hold."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return type(value).__name__
