"""TOML, read and written: as much of it as a record of a run needs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Tables of TOML text.

    Examples
    --------
    >>> loads("[a]\\nb = 1\\n")
    {'a': {'b': 1}}
    """
    return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


def dumps(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of plain values as TOML text, which `tomllib` reads back; None becomes "none".

    Parameters
    ----------
    tables : mapping of mappings
        Values are strings, numbers, truth values, None, and sequences or mappings of them.

    Examples
    --------
    >>> print(dumps({"options": {"epochs": 30, "shift_sd": None, "warps": ["shift"]}}), end="")
    [options]
    epochs = 30
    shift_sd = "none"
    warps = ["shift"]
    """
    return "\n".join(f"[{_key(name)}]\n{_lines(table)}" for name, table in tables.items())


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{_key(str(key))} = {_value(value)}\n" for key, value in table.items())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    """A value on one line."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()  # a numpy number
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)  # nan and inf are TOML as they are
    if value is None:
        return '"none"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(str(value))


def _text(text: str) -> str:
    """A quoted string; JSON's escapes are TOML's, but for the delete character."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")
