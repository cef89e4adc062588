"""A fitted model as one safetensors file: weights, configuration, axis and version.

Tensors are raw bytes and the rest is JSON in the header: nothing in the file is ever executed.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from shapeshift.errors import ShapeshiftError

FORMAT = "shapeshift-model"
VERSION = 1


def write(path: str | os.PathLike[str], tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write a model file atomically: at any moment there is the old file or the new one."""
    from safetensors.torch import save

    header = {"format": FORMAT, "version": str(VERSION), "description": json.dumps(description)}
    write_whole(path, save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata=header))


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically: at any moment there is the old file or the new one."""
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a model file; a foreign or damaged one is refused."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ShapeshiftError(
            f"no model file at {path}: give the .safetensors file that save() or `shapeshift fit` wrote."
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ShapeshiftError(
                    f"{path.name} is not a shapeshift model: give a file that save() wrote."
                )
            if header.get("version") != str(VERSION):
                raise ShapeshiftError(
                    f"{path.name} has format version {header.get('version')}, this shapeshift reads "
                    f"{VERSION}: update shapeshift or fit again."
                )
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
            description = json.loads(header["description"])
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise ShapeshiftError(
            f"{path.name} is damaged or no model file ({error}): fit again or take another copy."
        ) from error
    if not isinstance(description, dict):
        raise ShapeshiftError(
            f"{path.name} is damaged: its description is not a table; fit again or take another copy."
        )
    return tensors, description


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
