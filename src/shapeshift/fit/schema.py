"""What the description in a model file must be, checked before anything is built from it.

A schema is a test of one value, or a mapping from names to schemas; names that end in "?" may be missing.
Networks are first imagined, on torch's meta device, which has shapes and no memory: tensors of other shapes
than theirs are refused before the network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from shapeshift.data.images import MOST_CHANNELS
from shapeshift.errors import ShapeshiftError
from shapeshift.model.likelihoods import LIKELIHOODS
from shapeshift.model.nuisance import NAMES as NUISANCES

Test: TypeAlias = Callable[[Any], bool]
Schema: TypeAlias = "Test | Mapping[str, Schema]"

_MOST, _LETTERS, _DEEP = 2**31, 10_000, 6
_LARGE = 1e9  # no weight is


def count(value: Any) -> bool:
    """a whole number from 0 up"""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def number(value: Any) -> bool:
    """a finite number"""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def positive(value: Any) -> bool:
    """a number above 0"""
    return number(value) and value > 0


def flag(value: Any) -> bool:
    """true or false"""
    return isinstance(value, bool)


def text(value: Any) -> bool:
    """a text"""
    return isinstance(value, str) and len(value) <= _LETTERS


def label(value: Any) -> bool:
    """a text, a number, true or false"""
    return text(value) or flag(value) or number(value)


def plain(value: Any, deep: int = 0) -> bool:
    """plain values, not deeply nested"""
    if isinstance(value, dict):
        return deep < _DEEP and all(text(k) and plain(v, deep + 1) for k, v in value.items())
    if isinstance(value, list):
        return deep < _DEEP and all(plain(v, deep + 1) for v in value)
    return value is None or isinstance(value, (float, bool)) or text(value) or number(value)


def table(value: Any) -> bool:
    """a table of plain values"""
    return isinstance(value, dict) and plain(value)


def maybe(test: Test) -> Test:
    """The same, or nothing."""
    return _told(lambda value: value is None or test(value), f"{test.__doc__}, or null")


def listed(test: Test, *lengths: int) -> Test:
    """A list of such, of one of these lengths if any are given."""

    def holds(value: Any) -> bool:
        fits = isinstance(value, list) and (not lengths or len(value) in lengths)
        return fits and all(map(test, value))

    size = " or ".join(map(str, lengths))
    return _told(holds, f"a list{' of ' + size if size else ''}, each {test.__doc__}")


def one_of(*allowed: Any) -> Test:
    """One of these texts."""
    return _told(lambda value: isinstance(value, str) and value in allowed, f"one of {', '.join(allowed)}")


def _told(test: Test, words: str) -> Test:
    test.__doc__ = words
    return test


def _history(value: Any) -> bool:
    """columns of numbers, all of one length"""
    if not isinstance(value, dict) or not all(isinstance(c, list) for c in value.values()):
        return False
    numbers = all(isinstance(v, (int, float)) for c in value.values() for v in c)
    return numbers and len({len(c) for c in value.values()}) < 2


STOPPED = one_of("finished", "patience", "interrupted", "not finite")
HISTORY: Schema = {"columns": _history, "stopped": STOPPED}
AXIS: Schema = {"name": text, "units": text}
SIDE: Schema = AXIS | {"values": listed(number)}  # type: ignore[operator]
POSE: dict[str, Schema] = {
    "options": table,
    "scaling": {"offset": number, "gain": positive},
    "condition?": maybe(table),
    "bank": {"n_given": count, "kinds": flag},
    "likelihood": _told(lambda value: isinstance(value, str) and value in LIKELIHOODS, "a likelihood's name"),
    "nuisance": listed(one_of(*NUISANCES), *range(len(NUISANCES) + 1)),
    "history": HISTORY,
    "n_signals": count,
    "fit_seconds": number,
    "notes": listed(text),
    "temper?": positive,
    "worth": maybe(listed(number, 2)),
    "own": {"decoder": flag, "encoder": flag},
}
SIGNALS: dict[str, Schema] = POSE | {"axis": AXIS, "reach": count, "channels?": maybe(table)}
CHANNELS: dict[str, Schema] = {"names": listed(text), "offset": listed(number), "gain": listed(positive)}


def _channels(value: Any) -> bool:
    """a number of channels, at most 4"""
    return count(value) and 1 <= value <= MOST_CHANNELS


IMAGES: dict[str, Schema] = POSE | {
    "raster": {"rows": SIDE, "columns": SIDE, "channels": _channels},
    "lattice": listed(positive, 0, 5),
    "reach": listed(number, 3),
}
CONDITION: dict[str, Schema] = {
    "names": listed(text),
    "levels": listed(label),
    "centre": listed(number),
    "spread": listed(positive),
}
LAYOUT: Schema = {
    "shape": listed(count, 0, 1, 2),
    "given": listed(count, 0, 1, 2),
    "dims": maybe(listed(text, 0, 1, 2)),
    "leading": text,
    "name": maybe(text),
    "attrs": table,
    "coords": listed(table),
}
COORDINATE: Schema = {"name": text, "dims": listed(text), "attrs": table, "words": maybe(listed(text))}
PAIRS: dict[str, Schema] = {
    "options": table,
    "n_pairs": count,
    "fit_seconds": number,
    "names": listed(text),
    "x_side": LAYOUT,
    "y_side": LAYOUT,
}


def conform(value: Any, schema: Schema, where: str = "the description") -> None:
    """Refuse a value that is not what its schema says.

    Raises
    ------
    ShapeshiftError

    Examples
    --------
    >>> conform({"width": 8}, {"width": count, "depth?": count})
    >>> conform({"width": "8"}, {"width": count})
    Traceback (most recent call last):
        ...
    shapeshift.errors.ShapeshiftError: the model file is incomplete or damaged: got '8' for width, needed a \
whole number from 0 up: fit again or take another copy.
    """
    if not isinstance(schema, Mapping):
        if not schema(value):
            refuse(where, value, schema.__doc__)
        return
    if not isinstance(value, dict):
        refuse(where, value, "a table")
    for key, part in schema.items():
        name = key.removesuffix("?")
        if name in value:
            conform(value[name], part, name if where == "the description" else f"{where}.{name}")
        elif name == key:
            refuse(name, "nothing", "what save() writes")


def refuse(where: str, got: Any, needed: str | None) -> None:
    """Say what is wrong with a model file."""
    told = got if got == "nothing" else repr(got)[:60]
    raise ShapeshiftError(
        f"the model file is incomplete or damaged: got {told} for {where}, needed {needed}: fit again or "
        "take another copy."
    )


Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


def shaped(tensors: Mapping[str, Tensor], needed: Shapes) -> None:
    """Refuse tensors that are missing or of other shapes.

    Raises
    ------
    ShapeshiftError
    """
    for name, shape in needed.items():
        if name not in tensors:
            refuse(name, "nothing", f"a tensor of shape {shape}")
        if tuple(tensors[name].shape) != tuple(shape):
            refuse(name, tuple(tensors[name].shape), f"the shape {tuple(shape)}")


def imagined(make: Callable[[], nn.Module], tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Refuse tensors that do not fit a network, before memory is taken for it.

    Raises
    ------
    ShapeshiftError
    """
    with torch.device("meta"):
        state = make().state_dict()
    shaped(tensors, {prefix + name: tuple(value.shape) for name, value in state.items()})


def numeric(tensors: Mapping[str, Tensor], kinds: Callable[[str], torch.dtype | None]) -> None:
    """Refuse tensors of another type than they are written with, and those with values that are no numbers.

    kinds: the type of a tensor by its name, None for any. A prior's width may be infinite: a uniform one.
    What is stored in single precision is in the model's own units, where nothing is astronomical.

    Raises
    ------
    ShapeshiftError
    """
    for name, value in tensors.items():
        needed = kinds(name)
        if needed is not None and value.dtype != needed:
            refuse(name, str(value.dtype), str(needed))
        if value.dtype.is_complex or not value.dtype.is_floating_point:
            continue
        uniform = name.endswith((".prior_sd", ".bound"))
        most = (
            torch.inf if uniform else _LARGE if value.dtype == torch.float32 else torch.finfo(value.dtype).max
        )
        wrong = ~(value.abs() <= most)  # of nan too
        if wrong.any():
            refuse(name, f"{int(wrong.sum())} values that are no numbers or beyond {most:.2g}", "finite ones")


def sizes(*values: Any) -> None:
    """Refuse sizes of networks that are no credible ones.

    Raises
    ------
    ShapeshiftError
    """
    for value in values:
        if not count(value) or not 0 < value < 2**20:
            refuse("the size of a network", value, "a whole number above 0 that a network can have")
