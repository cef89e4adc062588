"""Names and units as people write them above a column: "wavelength (nm)", "2theta, deg", "Energy [eV]"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shapeshift.data.metadata import clean

_LONGEST = 500  # characters of a heading that are looked at

# What an axis of signals is called, whole ...
_SHORT = {
    "x",
    "t",
    "q",
    "e",
    "f",
    "w",
    "nu",
    "nm",
    "ev",
    "hz",
    "wl",
    "wn",
    "mz",
    "tth",
    "xs",
    "xx",
    "ppm",
    "xaxis",
}
# ... or by the beginning of one of its words.
_WORDS = (
    *(
        "axis",
        "wavel",
        "lambda",
        "wavenumber",
        "raman",
        "energ",
        "freq",
        "time",
        "theta",
        "2theta",
        "twotheta",
    ),
    *("angle", "bias", "volt", "field", "mass", "bin", "channel", "coord", "position", "distance", "depth"),
)


def axis_like(name: str) -> bool:
    """Whether a name is one that axes of signals have.

    Examples
    --------
    >>> axis_like("x"), axis_like("run/Wavelength (nm)"), axis_like("m/z"), axis_like("ref_center")
    (True, True, True, False)
    """
    if name.strip().lower() == "m/z":
        return True
    name = name[-_LONGEST:]
    plain = split_units(name.rsplit("/", 1)[-1])[0].lower()
    words = [word for word in re.split(r"[^a-z0-9]+", plain) if word]
    return plain in _SHORT or any(word.startswith(known) for word in words for known in _WORDS)


def split_units(text: str) -> tuple[str, str]:
    """The name and the units in a heading; units are "" where none are recognised.

    Examples
    --------
    >>> split_units("2theta, deg"), split_units("time (s), lead MLII, mV"), split_units("m/z")
    (('2theta', 'deg'), ('time', 's'), ('m/z', ''))
    >>> split_units("frequency bin (vector not in the file)")
    ('frequency bin', '')
    """
    text = text.strip()[:_LONGEST]
    bracket = re.match(r"([^(\[]*[^(\[\s])\s*[(\[]([^()\[\]]*)[)\]]", text)
    if bracket:
        name, units = bracket.groups()
        return name, units.strip() if _unit_like(units) else ""
    tail = re.fullmatch(r"([^,]*[^,\s])(?:\s*,\s*|\s+/\s+|\s+in\s+)(\S+)", text)
    if tail and _unit_like(tail[2]):
        return tail[1], tail[2]
    return text, ""


def _unit_like(text: str) -> bool:
    """Short, of one or two words, and without the signs of a sentence."""
    text = text.strip()
    return 0 < len(text) <= 12 and len(text.split()) <= 2 and not re.search(r"[,;:=]", text)


def names_of(names: Sequence[Any], navigate: Sequence[bool]) -> list[str]:
    """Names of all dimensions; a map's and those of one measurement have their own where none is told.

    Examples
    --------
    >>> names_of([None, None, "Energy"], [True, True, False])
    ['y', 'x', 'Energy']
    """
    usual = {True: {1: ["signal"], 2: ["y", "x"]}, False: {1: ["axis"], 2: ["row", "column"]}}
    found: list[str] = []
    for k, (name, moves) in enumerate(zip(names, navigate, strict=True)):
        count, place = list(navigate).count(moves), list(navigate[:k]).count(moves)
        otherwise = usual[moves].get(count) or [f"dimension {i + 1}" for i in range(len(names))]
        chosen = word(name) or otherwise[place]
        found.append(chosen if chosen not in found else f"{chosen} {k + 1}")
    return found


def word(told: Any) -> str:
    """A name or units, "" where they are not told (libraries have their own signs for that)."""
    return clean(told, 80) if isinstance(told, str) and told not in ("<undefined>", "None") else ""
