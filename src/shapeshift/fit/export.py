"""A fitted model as one ONNX file, for machines that have neither Python's scientific packages nor PyTorch.

The file holds everything from data units to axis units: scaling, alignment, encoder and zero, and in its
metadata what a program needs to know about them. Format: onnx.ai; written by torch's exporter.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from shapeshift import __version__
from shapeshift.data.disk import write_whole
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.edge import PoseGraph, SignalGraph
from shapeshift.fit.edge_plane import ImageGraph, PairGraph
from shapeshift.model.decoders import Template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapeshift.data.coordinates import Axis
    from shapeshift.data.pairs import Side
    from shapeshift.fit.base import PoseEstimator
    from shapeshift.fit.images import ImageModel
    from shapeshift.fit.signals import SignalModel
    from shapeshift.fit.translation import VED

FORMAT = "shapeshift-onnx"
VERSION = 1
PACKAGES = ("onnx", "onnxscript")
ROWS = 211  # of the example that is traced, unlike any other size; any number of rows runs
TRUST = (
    "false where the model cannot draw the signal, where it holds next to nothing but noise, where its pose "
    "lies at the edge of what is searched, or where a sample is not finite"
)


class Graph(NamedTuple):
    """A module, examples of its inputs by name (first dimension: signals), names of its outputs, and what is
    to be known about it."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: Sequence[str]
    told: dict[str, Any]


def check_place(path: str | os.PathLike[str], *, force: bool) -> Path:
    """Refuse a place that is taken or cannot be written to, and to work without the packages."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ShapeshiftError(
            f"export needs {' and '.join(missing)}, which is not installed: pip install 'shapeshift[edge]'."
        )
    path = Path(path)
    if path.is_dir():
        raise ShapeshiftError(f"{path}: got a folder, needed the name of a file: add a name to it")
    if path.exists() and not force:
        raise ShapeshiftError(
            f"{path}: got a file that exists, needed a new one: choose another name, or force=True"
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ShapeshiftError(
            f"{path}: got a place where nothing can be written, needed a folder of your own: choose another"
        )
    return path


def write(path: Path, graph: Graph) -> None:
    """Write a graph and what is to be known about it to one ONNX file, whole or not at all."""
    import onnx
    import onnx_ir

    with _in_silence():
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            dynamo=True,
            external_data=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=({0: "batch"},) * len(graph.inputs),
            custom_translation_table={
                torch.ops.aten.median.dim: _median,
                torch.ops.aten.nanmedian.dim: _median,
            },
            verbose=False,
        )
    assert program is not None
    model = program.model
    for node in model.graph.all_nodes():  # where in the source an operation stands is nobody's business
        node.metadata_props.clear()
    told = {"format": FORMAT, "format_version": VERSION, "shapeshift": __version__} | graph.told
    model.metadata_props.clear()
    model.metadata_props.update(
        {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in told.items()}
    )
    model.producer_name, model.producer_version = "shapeshift", __version__
    proto = onnx_ir.to_proto(model)
    onnx.checker.check_model(proto)
    write_whole(path, proto.SerializeToString())


def _median(x: Any, dim: int, keepdim: bool = False) -> Any:
    """torch's median (the lower of two) along a dimension in ONNX's operations, and where it stands.

    Of finite numbers: the graph lets no others in.
    """
    from onnxscript import opset18 as op

    count = (x.shape[dim] - 1) // 2 + 1
    most: Any = op.Constant(value_ints=[count])
    smallest = op.TopK(x, most, axis=dim, largest=0, sorted=1)
    last: Any = op.Constant(value_ints=[count - 1]) if keepdim else op.Constant(value_int=count - 1)
    return tuple(op.Gather(part, last, axis=dim) for part in smallest)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Without the exporter's remarks on packages that are not needed and on its own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def check_kind(model: PoseEstimator) -> None:
    """Refuse models that are more than their encoder can tell.

    Raises
    ------
    ShapeshiftError
        Labels, classes, own networks.
    """
    kind = type(model).__name__
    _refuse(
        kind not in ("ShiftVAE", "ImageVAE"),
        f"got a {kind}, needed a ShiftVAE, an ImageVAE or a VED: labels are told in Python only.",
    )
    for what in ("encoder", "decoder"):
        own = getattr(model, what)
        _refuse(
            own is not None and not isinstance(own, str),
            f"got a model with an own {what}, needed one of shapeshift's: fit without {what}=... to export.",
        )
    _refuse(
        model.classes_ is not None,
        f"got a model with n_classes={model.n_classes}, needed one without: fit a model to the signals of "
        "each class to export them.",
    )
    _refuse(
        model.condition_ is not None and model.condition_.kinds,
        "got a model whose condition is a label, needed none or numbers: fit a model to the signals of each "
        "label to export them.",
    )


def _refuse(wrong: bool, sentence: str) -> None:
    if wrong:
        raise ShapeshiftError(sentence)


def signal_graph(model: SignalModel, steps: int) -> Graph:
    """The graph of a model of signals."""
    check_kind(model)
    _refuse(
        not isinstance(steps, int) or isinstance(steps, bool) or steps < 0,
        f"got steps={steps!r}, needed a whole number from 0 on: 2 are nearly all.",
    )
    vae = model.fitted_.vae
    fits = vae.likelihood.name == "gaussian" and isinstance(vae.decoder, Template) and vae.n_pose == 1
    _refuse(
        steps > 0 and not fits,
        f"got steps={steps} and a model with likelihood={vae.likelihood.name!r}, decoder={model.decoder!r}, "
        f"warps={model.warps!r}, needed gaussian, template and shift to refine: use steps=0.",
    )
    axis = model._axis
    told = {
        "axis": _axis(axis),
        "shift_units": axis.units,
        "zero": model.zero,
        "zero_sentence": model.zero_,
        "positive_shift": "towards larger axis values",
    }
    return _graph(model, SignalGraph(model, steps), (len(axis.values),), told | {"refining_steps": steps})


def image_graph(model: ImageModel) -> Graph:
    """The graph of a model of images."""
    check_kind(model)
    raster = model.raster_
    told = {
        "rows": _axis(raster.rows),
        "columns": _axis(raster.columns),
        "channels": raster.channels,
        "shift_units": raster.columns.units,
        "rotation_units": "degree",
        "zero_sentence": model.zero_,
        "positive_rotation": "counter-clockwise with the first row at the top",
    }
    shape = raster.shape if raster.channels > 1 else raster.shape[1:]
    return _graph(model, ImageGraph(model), shape, told, name="images")


def _graph(
    model: PoseEstimator,
    module: PoseGraph,
    shape: tuple[int, ...],
    told: dict[str, Any],
    name: str = "signals",
) -> Graph:
    inputs = {name: torch.randn(ROWS, *shape)}
    if model.condition_ is not None:
        inputs["condition"] = torch.randn(ROWS, model.condition_.size)
        told |= {"condition": list(model.condition_.names)}
    own = {
        "kind": type(model).__name__,
        "n_latent": model.n_latent,
        "likelihood": model.likelihood_,
        "nuisance": list(model.nuisance_),
        "normalise": model.normalise or "none",
        "n_signals": model.n_signals_,
        "trust": TRUST,
    }
    return Graph(module, inputs, module.outputs, told | own)


def pair_graph(model: VED) -> Graph:
    """The graph of a model of pairs."""
    told = {
        "kind": "VED",
        "x": _side(model.x_side_),
        "y": _side(model.y_side_),
        "sd": "68.27 % of the errors of held-out pairs are within one",
    }
    inputs = {"x": torch.randn(ROWS, *model.x_side_.shape)}
    return Graph(PairGraph(model), inputs, PairGraph.outputs, told)


def _axis(axis: Axis) -> dict[str, Any]:
    ends = {"first": float(axis.values[0]), "last": float(axis.values[-1]), "samples": len(axis.values)}
    return {"name": axis.name, "units": axis.units} | ends


def _side(side: Side) -> dict[str, Any]:
    units = {str(k): str(attrs.get("units", "")) for k, (_, _, attrs) in side.coords.items()}
    return {"shape": list(side.shape), "name": side.name or "", "units": units}
