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
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.checkpoint import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = "shapeshift-onnx"
VERSION = 1
PACKAGES = ("onnx", "onnxscript")
ROWS = 3  # of the example that is traced; any number of rows runs


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
            f"{path}: got a place where nothing can be written, needed a folder of your own: choose another one"
        )
    return path


def write(path: Path, graph: Graph) -> None:
    """Write a graph and what is to be known about it to one ONNX file, whole or not at all."""
    import onnx_ir

    with _in_silence():
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            dynamo=True,
            external_data=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=(({0: "batch"},) * len(graph.inputs)),
            custom_translation_table={torch.ops.aten.median.dim: _median},
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
    write_whole(path, onnx_ir.to_proto(model).SerializeToString())


def _median(x: Any, dim: int, keepdim: bool = False) -> Any:
    """torch's median (the lower of two) along a dimension in ONNX's operations, and where it stands."""
    from onnxscript import opset18 as op

    count = (x.shape[dim] - 1) // 2 + 1
    smallest = op.TopK(x, op.Constant(value_ints=[count]), axis=dim, largest=0, sorted=1)
    last = op.Constant(value_ints=[count - 1]) if keepdim else op.Constant(value_int=count - 1)
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
