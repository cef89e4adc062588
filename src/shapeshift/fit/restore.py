"""What of a fitted estimator goes into a model file, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from shapeshift.data.carrier import DAMAGE
from shapeshift.data.conditions import Condition
from shapeshift.data.preprocess import Affine
from shapeshift.errors import ShapeshiftError, printable
from shapeshift.fit.bank import Bank, Reach
from shapeshift.fit.gauge import Reference, References
from shapeshift.fit.gauge_plane import PlaneZero
from shapeshift.fit.phases import Home
from shapeshift.fit.recipe import Fitted
from shapeshift.fit.stored import check_pose
from shapeshift.fit.train import History
from shapeshift.fit.worth import Worth
from shapeshift.model.likelihoods import LIKELIHOODS

if TYPE_CHECKING:
    from shapeshift.fit.base import PoseEstimator


def described(model: PoseEstimator) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a fitted estimator."""
    fitted = model.fitted_
    tensors = {"vae." + k: v for k, v in fitted.vae.state_dict().items()}
    tensors |= {"reference." + k: v for k, v in _zero_told(fitted.reference).items()}
    if fitted.log_prior is not None:
        tensors["log_prior"] = fitted.log_prior
    if fitted.home is not None:
        tensors |= {"home." + k: v for k, v in fitted.home._asdict().items()}
    geometry, own = model._geometry()
    tensors |= {"bank.z": fitted.bank.z} | own
    if fitted.shapes is not None:
        tensors["shapes"] = fitted.shapes
    encoder = getattr(model, "encoder", None)
    description = {
        "kind": type(model).__name__,
        "options": model.options_ | {"zero": model.zero} if hasattr(model, "zero") else model.options_,
        **geometry,
        "scaling": {"offset": float(model.scaling_.offset), "gain": float(model.scaling_.gain)},
        "reach": fitted.bank.reach if isinstance(fitted.bank.reach, int) else list(fitted.bank.reach),
        "condition": model.condition_ and model.condition_.as_dict(),
        "bank": {"n_given": fitted.bank.n_given, "kinds": fitted.bank.kinds},
        "likelihood": fitted.vae.likelihood.name,
        "nuisance": list(fitted.vae.nuisance.names) if fitted.vae.nuisance else [],
        "history": {"columns": fitted.history.columns, "stopped": fitted.history.stopped},
        "n_signals": model.n_signals_,
        "fit_seconds": model.fit_seconds_,
        "notes": list(model.notes_),
        "temper": fitted.temper,
        "worth": fitted.worth and list(fitted.worth),
        "own": {
            "decoder": not isinstance(model.decoder, str),
            "encoder": encoder is not None and not isinstance(encoder, str),
        },
    }
    return tensors, description


def restored(
    model: PoseEstimator,
    tensors: dict[str, Tensor],
    description: dict[str, Any],
    *,
    encoder: Any,
    decoder: Any,
) -> None:
    """Fill a fresh estimator with what a file holds."""
    try:
        check_pose(model, tensors, description)
        _options(model, description, encoder, decoder)
        scaling = description["scaling"]
        model.scaling_ = Affine(np.array(scaling["offset"]), np.array(scaling["gain"]))
        condition = description.get("condition")
        model.condition_ = condition and Condition.from_dict(condition)
        levels = model.condition_.levels if model.condition_ and "log_prior" in tensors else None
        model.classes_ = None if levels is None else np.array(levels)
        model.notes_ = tuple(printable(note) for note in description["notes"])
        model.fit_seconds_ = float(description["fit_seconds"])
        model._take_geometry(description, tensors)
        reach = description["reach"]
        bank = Bank(
            tensors["bank.z"],
            reach if isinstance(reach, int) else Reach(*reach),
            int(description["bank"]["n_given"]),
            bool(description["bank"]["kinds"]),
        )
        model.fitted_ = _fitted(model, tensors, description, bank)
        model._conclude(int(description["n_signals"]), description["options"]["epochs"])
    except ShapeshiftError:
        raise
    except DAMAGE as error:
        raise ShapeshiftError(
            f"the model file is incomplete or damaged ({error}): fit again or take another copy."
        ) from error


def _fitted(
    model: PoseEstimator, tensors: dict[str, Tensor], description: dict[str, Any], bank: Bank
) -> Fitted:
    """The network, built empty and filled with the stored weights, and what inference needs besides."""
    likelihood = LIKELIHOODS[description["likelihood"]]()
    design = model._design(likelihood, undecided=False)
    design = design._replace(nuisance=tuple(description["nuisance"]), n_given=bank.n_given, kinds=bank.kinds)
    vae = model._empty(design, bank, tensors)
    vae.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("vae.")})
    reference = _zero_from({k[10:]: v for k, v in tensors.items() if k.startswith("reference.")})
    told = "home.low" in tensors
    home = Home(**{k: tensors["home." + k] for k in Home._fields}) if told else None
    worth = description["worth"] and Worth(*description["worth"])
    history = History(description["history"]["columns"], description["history"]["stopped"])
    return Fitted(
        vae.eval(),
        bank,
        reference,
        history,
        worth,
        home,
        tensors.get("shapes"),
        tensors.get("log_prior"),
        float(description.get("temper", 1.0)),
    )


def _zero_told(zero: Reference | References | PlaneZero) -> dict[str, Tensor]:
    return zero.as_tensors() if isinstance(zero, References) else zero._asdict()


def _zero_from(named: dict[str, Tensor]) -> Reference | References | PlaneZero:
    """The zero of tensors by their names."""
    if "given" in named:
        return References.from_tensors(named)
    kind = PlaneZero if "middle" in named else Reference
    return kind(**{k: named[k] for k in kind._fields})


def _options(model: PoseEstimator, description: dict[str, Any], encoder: Any, decoder: Any) -> None:
    if description.get("kind") != type(model).__name__:
        needed = type(model).__name__
        raise ShapeshiftError(f"got a model of kind {description.get('kind')!r}, needed {needed!r}.")
    options = {k: v for k, v in description["options"].items() if k in model.get_params()}
    options["warps"] = tuple(options["warps"])
    options["progress"] = False
    for name, module in (("encoder", encoder), ("decoder", decoder)):
        if description["own"][name] and module is None:
            raise ShapeshiftError(
                f"the model was fitted with an own {name}: give it, load(path, {name}=module)."
            )
        if description["own"][name]:
            options[name] = module
    if not isinstance(options["kl_weight"], (int, float, dict)):
        options["kl_weight"] = 1.0
    for name in ("nuisance", "image_shape"):
        if options.get(name) is not None:
            options[name] = tuple(options[name])
    model.set_params(**options)
    model._check()
