"""Words of the command line turned into options of a model; what means nothing is a wrong usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

NUISANCES = ("gain", "offset", "baseline")
WARPS = {"signal": ("shift",), "image": ("rotation", "shift", "scale")}

# options that only one kind of data has, as they are called on the command line
ONLY = {
    "signal": ("axis", "orientation", "zero"),
    "image": ("image_shape", "encoder", "rotation_sd", "scale_sd"),
}


def names(given: str) -> tuple[str, ...]:
    """Names between commas; "none" is none of them.

    Examples
    --------
    >>> names("rotation, shift"), names("none")
    (('rotation', 'shift'), ())
    """
    return () if given == "none" else tuple(name.strip() for name in given.split(","))


def check_nuisance(given: str | None) -> str | None:
    """A callback: names that are nuisances."""
    return _known(given, NUISANCES)


def check_warps(given: str | None) -> str | None:
    """A callback: names that are warps."""
    return _known(given, WARPS["image"])


def _known(given: str | None, known: tuple[str, ...]) -> str | None:
    wrong = [name for name in names(given or "none") if name not in known]
    if wrong:
        raise typer.BadParameter(f"got {', '.join(wrong)!r}, needed {', '.join(known)} or none.")
    return given


def check_shape(given: str | None) -> str | None:
    """A callback: the sides of an image, as 28,28 or 3,28,28."""
    sides = (given or "4,4").replace("x", ",").split(",")
    if len(sides) not in (2, 3) or not all(side.strip().isdigit() and int(side) for side in sides):
        raise typer.BadParameter(f"got {given!r}, needed rows,columns or channels,rows,columns as in 28,28.")
    return given


def shape_of(given: str | None) -> tuple[int, ...] | None:
    """The sides of an image in numbers.

    Examples
    --------
    >>> shape_of("28x20"), shape_of(None)
    ((28, 20), None)
    """
    return None if given is None else tuple(int(side) for side in given.replace("x", ",").split(","))


def reading_of(kind: str | None, **given: Any) -> dict[str, Any]:
    """How to read a file, as `shapeshift.open` takes it; the kind None is left to the model.

    Raises
    ------
    typer.BadParameter
        If an option is given that the kind does not have.
    """
    refuse_foreign(kind or "signal", given if kind else {})
    shape = shape_of(given.pop("image_shape", None))
    return given | {"kind": kind} | ({"image_shape": shape} if kind == "image" else {})


def refuse_foreign(kind: str, given: Mapping[str, Any]) -> None:
    """Refuse options that only the other kind of data has."""
    other = "image" if kind == "signal" else "signal"
    for name in ONLY[other]:
        if given.get(name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(
                f"got {option} with --kind {kind}, needed --kind {other} for it: add that, or leave it out."
            )


def options_of(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the model of a kind of data; those left open are left to the model.

    Parameters
    ----------
    kind : {"signal", "image"}
    given : mapping
        By the names that the models have; None where nothing was said, names between commas as such.

    Raises
    ------
    typer.BadParameter
        If an option is given that the kind does not have.

    Examples
    --------
    >>> options_of("image", {"warps": "rotation", "nuisance": None, "encoder": None, "epochs": 3})
    {'warps': ('rotation',), 'epochs': 3}
    """
    refuse_foreign(kind, given)
    options = {name: value for name, value in given.items() if value is not None}
    for name in ("warps", "nuisance"):
        if name in options:
            options[name] = names(options[name])
    if "image_shape" in options:
        options["image_shape"] = shape_of(options["image_shape"])
    if options.get("normalise") == "none":
        options["normalise"] = None
    foreign = [name for name in options.get("warps", ()) if name not in WARPS[kind]]
    if foreign:
        raise typer.BadParameter(
            f"got --warps {','.join(options['warps'])} with --kind signal, needed shift or none: signals do "
            f"not know {' or '.join(foreign)}, add --kind image if these are images."
        )
    return options
