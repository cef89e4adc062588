"""What of a fitted estimator goes into a model file, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from shapeshift.data.coordinates import Axis
from shapeshift.data.preprocess import Affine
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.align import Alignment
from shapeshift.fit.bank import Bank
from shapeshift.fit.gauge import Reference
from shapeshift.fit.options import check_choices
from shapeshift.fit.phases import Home
from shapeshift.fit.recipe import Fitted
from shapeshift.fit.start import Design, build
from shapeshift.fit.train import History
from shapeshift.fit.worth import Worth
from shapeshift.model.likelihoods import LIKELIHOODS

if TYPE_CHECKING:
    from shapeshift.fit.estimators import ShiftVAE


def described(model: ShiftVAE) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a fitted estimator."""
    fitted = model.fitted_
    tensors = {"vae." + k: v for k, v in fitted.vae.state_dict().items()}
    tensors |= {"reference." + k: v for k, v in fitted.reference._asdict().items()}
    if fitted.home is not None:
        tensors |= {"home." + k: v for k, v in fitted.home._asdict().items()}
    tensors |= {"bank.z": fitted.bank.z, "axis": torch.tensor(model.axis_)}
    description = {
        "kind": "ShiftVAE",
        "options": model.options_,
        "axis": {"name": model.axis_name_, "units": model.axis_units_},
        "scaling": {"offset": float(model.scaling_.offset), "gain": float(model.scaling_.gain)},
        "reach": fitted.bank.reach,
        "likelihood": fitted.vae.likelihood.name,
        "nuisance": list(fitted.vae.nuisance.names) if fitted.vae.nuisance else [],
        "history": {"columns": fitted.history.columns, "stopped": fitted.history.stopped},
        "n_signals": model.n_signals_,
        "fit_seconds": model.fit_seconds_,
        "notes": list(model.notes_),
        "worth": fitted.worth and list(fitted.worth),
        "own": {"decoder": not isinstance(model.decoder, str), "encoder": model.encoder is not None},
    }
    return tensors, description


def restored(
    model: ShiftVAE, tensors: dict[str, Tensor], description: dict[str, Any], *, encoder: Any, decoder: Any
) -> None:
    """Fill a fresh estimator with what a file holds."""
    try:
        _options(model, description, encoder, decoder)
        axis = tensors["axis"].double().numpy()
        model.axis_, model.n_features_in_ = axis, len(axis)
        model.axis_name_, model.axis_units_ = description["axis"]["name"], description["axis"]["units"]
        scaling = description["scaling"]
        model.scaling_ = Affine(np.array(scaling["offset"]), np.array(scaling["gain"]))
        history = History(description["history"]["columns"], description["history"]["stopped"])
        reference = Reference(**{k: tensors["reference." + k] for k in Reference._fields})
        bank = Bank(tensors["bank.z"], int(description["reach"]))
        vae = _network(model, tensors, description, bank, Axis(axis))
        told = "home.low" in tensors
        home = Home(**{k: tensors["home." + k] for k in Home._fields}) if told else None
        worth = description["worth"] and Worth(*description["worth"])
        model.fitted_ = Fitted(vae, bank, reference, history, worth, home)
        model.notes_, model.fit_seconds_ = tuple(description["notes"]), float(description["fit_seconds"])
        model._conclude(int(description["n_signals"]), description["options"]["epochs"])
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ShapeshiftError(
            f"the model file is incomplete or damaged ({error}): fit again or take another copy."
        ) from error


def _options(model: ShiftVAE, description: dict[str, Any], encoder: Any, decoder: Any) -> None:
    if description.get("kind") != "ShiftVAE":
        raise ShapeshiftError(f"got a model of kind {description.get('kind')!r}, needed 'ShiftVAE'.")
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
    model.set_params(**options)
    check_choices(model)


def _network(
    model: ShiftVAE, tensors: dict[str, Tensor], description: dict[str, Any], bank: Bank, axis: Axis
) -> Any:
    """The network, built empty and filled with the stored weights."""
    likelihood = LIKELIHOODS[description["likelihood"]]()
    design = Design(
        model.n_latent,
        tuple(model.warps),
        model.decoder,
        model.encoder,
        likelihood,
        {"shift": 1.0},
        model.width,
        model.depth,
        tuple(description["nuisance"]),
    )
    length = len(axis.values)
    assert isinstance(bank.reach, int)
    empty = torch.full((1, length), 0.5)
    template = torch.linspace(-1, 1, length + 2 * bank.reach)  # of the right size; the file has the values
    start = Alignment(torch.zeros(1, dtype=torch.long), template, bank.reach, 0.0)
    vae = build(design, empty, start, torch.Generator().manual_seed(0))
    vae.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("vae.")})
    return vae.eval()
