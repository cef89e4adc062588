"""What a file says about its measurement: words of strangers, kept as plain values of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shapeshift.errors import printable

Plain = str | int | float | bool

MOST_ENTRIES, MOST_LETTERS, MOST_DEPTH = 500, 300, 12


def clean(text: Any, most: int = MOST_LETTERS) -> str:
    """Text of one line without signs that a terminal would obey, cut where it grows too long.

    Examples
    --------
    >>> clean("laser\\x1b[31m 532\\nnm")
    'laser�[31m 532 nm'
    """
    if isinstance(text, bytes | np.bytes_):
        text = bytes(text).decode("utf-8", "replace")
    return printable(" ".join(str(text)[: 4 * most].split()), most)


def plain(metadata: Mapping[Any, Any]) -> dict[str, Plain]:
    """Nested metadata as one level of names, joined by dots, with plain values.

    Arrays of numbers are told by their first few members; what is no text, number or list of them is left
    out, as is what goes beyond 500 entries.

    Examples
    --------
    >>> plain({"General": {"title": "map", "size": np.int64(3)}, "none": None})
    {'General.title': 'map', 'General.size': 3}
    """
    found: dict[str, Plain] = {}
    for name, value in _leaves(metadata, "", 0):
        if len(found) == MOST_ENTRIES:
            break
        found[name] = value
    return found


def _leaves(value: Any, name: str, depth: int) -> Iterator[tuple[str, Plain]]:
    if isinstance(value, Mapping):
        if depth < MOST_DEPTH:
            for key, member in value.items():
                yield from _leaves(member, f"{name}.{clean(key, 80)}" if name else clean(key, 80), depth + 1)
        return
    told = _told(value)
    if told is not None and told != "":
        yield name, told


def _told(value: Any) -> Plain | None:
    """A value in plain form, None for what has none."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biufSU":
        value = value[()]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else str(float(value))
    if isinstance(value, str | bytes):
        return clean(value)
    if isinstance(value, list | tuple | np.ndarray):
        return _listed(value)
    return clean(value.isoformat()) if hasattr(value, "isoformat") else None


def _listed(values: Any, shown: int = 20) -> str | None:
    """A list or array in one line."""
    members = [_told(v) for v in (values.ravel() if isinstance(values, np.ndarray) else values)[:shown]]
    if not members or any(member is None for member in members):
        return None
    size = values.size if isinstance(values, np.ndarray) else len(values)
    return clean(", ".join(map(str, members)) + (f", ... ({size} values)" if size > shown else ""))


def packed(metadata: Mapping[Any, Any]) -> dict[str, str]:
    """Metadata as an attribute of an array: one string of JSON under "metadata", or nothing."""
    found = plain(metadata)
    return {"metadata": json.dumps(found, ensure_ascii=False)} if found else {}


def unpacked(attrs: Mapping[Any, Any]) -> dict[str, Plain]:
    """The inverse of :func:`packed`; what is no such string is none.

    Examples
    --------
    >>> unpacked(packed({"a": {"b": 1.5}}))
    {'a.b': 1.5}
    """
    try:
        found = json.loads(str(attrs.get("metadata", "{}")))
    except (ValueError, RecursionError):
        return {}
    return plain(found) if isinstance(found, dict) else {}


def measured(attrs: Mapping[Any, Any]) -> dict[str, str]:
    """Name and units of the values themselves, where a file tells them."""
    told = {"units": attrs.get("units"), "long_name": attrs.get("long_name") or attrs.get("standard_name")}
    return {key: clean(value) for key, value in told.items() if isinstance(value, str | bytes) and value}
