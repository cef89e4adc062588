"""A fitted model as one safetensors file: weights, configuration, axis and version.

Tensors are raw bytes and the rest is JSON in the header: nothing in the file is ever executed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from shapeshift.data.carrier import DAMAGE
from shapeshift.data.disk import write_whole
from shapeshift.errors import ShapeshiftError

FORMAT = "shapeshift-model"
VERSION = 1
_HEADER = 4 * 2**20  # bytes; a description is a few thousand


def write(
    path: str | os.PathLike[str],
    tensors: dict[str, Tensor],
    description: dict[str, Any],
    form: str = FORMAT,
) -> None:
    """Write a model file atomically: at any moment there is the old file or the new one."""
    from safetensors.torch import save

    header = {"format": form, "version": str(VERSION), "description": json.dumps(description)}
    own = {k: v.detach().contiguous() for k, v in tensors.items()}
    write_whole(path, save(own, metadata=header))


def read(
    path: str | os.PathLike[str], form: str = FORMAT, what: str = "a shapeshift model"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a model file; a foreign or damaged one is refused."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ShapeshiftError(
            f"no model file at {path}: give the .safetensors file that save() or `shapeshift fit` wrote."
        )
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != form:
                raise ShapeshiftError(f"{path.name} is not {what}: give a file that save() wrote.")
            if header.get("version") != str(VERSION):
                raise ShapeshiftError(
                    f"{path.name} has format version {header.get('version')}, this shapeshift reads "
                    f"{VERSION}: update shapeshift or fit again."
                )
            tensors = {k: file.get_tensor(k).clone() for k in file.keys()}  # noqa: SIM118
            description = json.loads(header["description"])
    except ShapeshiftError:
        raise
    except (*DAMAGE, OSError, SafetensorError) as error:
        raise ShapeshiftError(
            f"{path.name} is damaged or no model file ({error}): fit again or take another copy."
        ) from error
    if not isinstance(description, dict):
        raise ShapeshiftError(
            f"{path.name} is damaged: its description is not a table; fit again or take another copy."
        )
    return tensors, description


def _check_header(path: Path) -> None:
    """Refuse a header that would take more memory than any description does."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _HEADER:
        raise ValueError(f"a header of {size} bytes")
