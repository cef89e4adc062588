"""JCAMP-DX: labelled text of one or several blocks, with numbers written out or squeezed.

The forms are those of R. S. McDonald and P. A. Wilks, Applied Spectroscopy 42 (1988) 151: AFFN, and ASDF with
its squeezed (SQZ), difference (DIF) and repeated (DUP) digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from shapeshift.data.carrier import Want, check_size
from shapeshift.data.libraries import reading
from shapeshift.data.metadata import clean
from shapeshift.data.named import from_array
from shapeshift.errors import ShapeshiftError

Block = dict[str, str]  # label -> what follows it, further lines included

_SAMPLES = ("XYDATA", "XYPOINTS", "PEAKTABLE")
_AXES = {
    "1/CM": "wavenumber",
    "MICROMETERS": "wavelength",
    "NANOMETERS": "wavelength",
    "SECONDS": "time",
    "HZ": "frequency",
    "M/Z": "m/z",
    "PPM": "chemical shift",
}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SQUEEZED = {c: str(i) for i, c in enumerate("@ABCDEFGHI")} | {
    c: f"-{i}" for i, c in enumerate("abcdefghi", 1)
}
_DIFFERENCE = {c: str(i) for i, c in enumerate("%JKLMNOPQR")} | {
    c: f"-{i}" for i, c in enumerate("jklmnopqr", 1)
}
_REPEATED = {c: str(i) for i, c in enumerate("STUVWXYZs", 1)}
_PSEUDO = re.compile(r"[@%A-DF-Za-df-s]")  # letters that no written-out number has
_FIRST = re.compile(r"\s*[+-]?\d*\.?\d*")
_TOKEN = re.compile(r"([@%A-Za-s+\-]?)(\d*\.?\d*)")


class Spectrum(NamedTuple):
    """One block's numbers."""

    title: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def read(path: Path, want: Want) -> xr.DataArray:
    """The spectra in a JCAMP-DX file, one a block; all of them on one axis.

    Raises
    ------
    ShapeshiftError
        If the file is damaged, holds something else, or its spectra lie on different axes.
    """
    with reading(path.name, "JCAMP-DX file"):
        return _read(_blocks(_text(path)), path, want)


def _read(found: Sequence[Block], path: Path, want: Want) -> xr.DataArray:
    source = path.name
    blocks = [block for block in found if any(label in block for label in _DATA)]
    if not blocks:
        raise ShapeshiftError(f"{source}: got no block of spectra, needed XYDATA or XYPOINTS: check the file")
    claimed = sum(_number(block, "NPOINTS", source, 0.0) for block in blocks)
    check_size(8 * round(claimed), path.stat().st_size, source)
    spectra = [_spectrum(block, f"{source}, block {i + 1}") for i, block in enumerate(blocks)]
    _refuse_other_axes(spectra, blocks, source)
    X = _stacked(spectra, blocks)
    notes = [f"{len(blocks)} blocks, one spectrum each"] if len(blocks) > 1 else []
    told: dict[str, Any] = {"notes": notes, "metadata": _about(blocks), "own": (str(X.dims[-1]),)}
    return from_array(X, want, source=source, reader="jcamp-dx", **told)


_DATA = (*_SAMPLES, "NTUPLES", "PEAKASSIGNMENTS")


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _blocks(text: str) -> list[Block]:
    """The records of every block by label, without comments; a block within another is one more."""
    blocks: list[Block] = []
    label = ""
    for line in text.splitlines():
        line = line.split("$$", 1)[0].rstrip()
        head = re.match(r"\s*##([^=]*)=(.*)", line)
        if head:
            label = re.sub(r"[\s\-/_]", "", head[1]).upper()
            if label == "TITLE" or not blocks:
                blocks.append({})
            blocks[-1].setdefault(label, head[2].strip())
        elif line.strip() and blocks and label:
            blocks[-1][label] += "\n" + line
    return blocks


def _spectrum(block: Block, what: str) -> Spectrum:
    """The numbers of a block."""
    form = next((label for label in _SAMPLES if label in block), None)
    if form is None:
        raise ShapeshiftError(
            f"{what}: got several variables (NTUPLES) or assignments, needed XYDATA or XYPOINTS: export real "
            "spectra"
        )
    head, *lines = block[form].split("\n")
    if re.match(r"\(X\+\+\((\w)\.\.\1\)\)", re.sub(r"\s", "", head), re.IGNORECASE):
        x, y = _evenly(lines, block, what)
    else:
        x, y = _pairs(lines, block, what)
    if len(x) != round(_number(block, "NPOINTS", what, len(x))):
        raise ShapeshiftError(
            f"{what}: got {len(x)} samples, needed the {clean(block['NPOINTS'])} that NPOINTS tells: the "
            "file is damaged, copy or export it again"
        )
    return Spectrum(clean(block.get("TITLE", "")), x, y)


def _evenly(lines: Sequence[str], block: Block, what: str) -> tuple[NDArray, NDArray]:
    """Samples at equal steps: the first number of a line is an abscissa, the others are ordinates."""
    most = round(_number(block, "NPOINTS", what))
    squeezed = any(_PSEUDO.search(line) for line in lines)
    y = _squeezed(lines, most, what) if squeezed else [v for line in lines for v in _written(line, what)[1:]]
    first, last = _number(block, "FIRSTX", what), _number(block, "LASTX", what)
    return np.linspace(first, last, len(y)), np.array(y) * _number(block, "YFACTOR", what, 1.0)


def _pairs(lines: Sequence[str], block: Block, what: str) -> tuple[NDArray, NDArray]:
    """Samples as abscissa and ordinate, one after the other."""
    numbers = [value for line in lines for value in _written(line, what)]
    if len(numbers) % 2:
        raise ShapeshiftError(f"{what}: got {len(numbers)} numbers, needed pairs (x, y): correct the file")
    x, y = np.array(numbers).reshape(-1, 2).T
    return x * _number(block, "XFACTOR", what, 1.0), y * _number(block, "YFACTOR", what, 1.0)


def _written(line: str, what: str) -> list[float]:
    """Numbers as people write them; "?" is a missing one."""
    left = re.sub(r"[\s,;?]+", "", _NUMBER.sub("", line))
    if left:
        raise ShapeshiftError(
            f"{what}: got {clean(left, 20)!r} among numbers, needed digits: correct the file"
        )
    return [np.nan if cell == "?" else float(cell) for cell in re.findall(rf"{_NUMBER.pattern}|\?", line)]


def _squeezed(lines: Sequence[str], most: int, what: str) -> list[float]:
    """Ordinates in ASDF; where a line ends in differences, the next repeats its last value, as a check."""
    y: list[float] = []
    differences = False
    for line in lines:
        values, ends = _unsqueezed(line, most - len(y) + 1, what)
        if differences and values:
            if values[0] != y[-1]:
                raise ShapeshiftError(
                    f"{what}: got {values[0]:g} where the line before ends in {y[-1]:g}, needed them equal: "
                    "the file is damaged, copy or export it again"
                )
            values = values[1:]
        y += values
        differences = ends
    return y


def _unsqueezed(line: str, most: int, what: str) -> tuple[list[float], bool]:
    """Ordinates of one line in ASDF, and whether it ends in differences."""
    values: list[float] = []
    step, differences = 0.0, False
    for sign, digits in _tokens(line, what):
        if sign in _REPEATED and values:
            values += [values[-1] + step * k for k in range(1, min(int(_REPEATED[sign] + digits), most + 1))]
        elif sign in _DIFFERENCE and values:
            step, differences = float(_DIFFERENCE[sign] + digits), True
            values.append(values[-1] + step)
        elif sign in _SQUEEZED or sign in "+-":
            step, differences = 0.0, False
            values.append(float((_SQUEEZED.get(sign) or sign) + digits))
        else:
            raise _not_squeezed(line, what)
        if len(values) > most:
            raise ShapeshiftError(f"{what}: got more samples than NPOINTS tells: the file is damaged")
    return values, differences


def _tokens(line: str, what: str) -> list[tuple[str, str]]:
    """Signs and digits of the ordinates of a line, all that stands there."""
    rest = line[_FIRST.match(line).end() :]  # type: ignore[union-attr]
    found = [(sign, digits) for sign, digits in _TOKEN.findall(rest) if sign or digits]
    if "".join(map("".join, found)) != re.sub(r"\s", "", rest):
        raise _not_squeezed(line, what)
    return found


def _not_squeezed(line: str, what: str) -> ShapeshiftError:
    return ShapeshiftError(f"{what}: got {clean(line, 40)!r}, needed squeezed numbers: correct the file")


def _number(block: Block, label: str, what: str, otherwise: float | None = None) -> float:
    """A number of a block's head."""
    told = block.get(label, "").replace(",", ".").strip()
    if not told and otherwise is not None:
        return otherwise
    if not _NUMBER.fullmatch(told):
        raise ShapeshiftError(f"{what}: got {label}={clean(told, 40)!r}, needed a number: correct the file")
    return float(told)


def _refuse_other_axes(spectra: Sequence[Spectrum], blocks: Sequence[Block], source: str) -> None:
    """Refuse spectra that do not lie on one axis."""
    first = spectra[0]
    for k, (s, block) in enumerate(zip(spectra, blocks, strict=True), start=1):
        units = block.get("XUNITS", ""), blocks[0].get("XUNITS", "")
        step = np.ptp(first.x) / max(len(first.x) - 1, 1)
        if len(s.x) == len(first.x) and units[0] == units[1] and np.allclose(s.x, first.x, 0, 1e-3 * step):
            continue
        raise ShapeshiftError(
            f"{source}: got block {k} ({clean(s.title, 40)!r}) on {_ends(s, units[0])}, needed the axis of "
            f"the first, {_ends(first, units[1])}: resample the spectra to one axis, or give each kind a file"
        )


def _ends(s: Spectrum, units: str) -> str:
    ends = f"{s.x[0]:.6g} to {s.x[-1]:.6g} {clean(units, 20)}".strip() if len(s.x) else "no axis"
    return f"{len(s.x)} samples from {ends}"


def _stacked(spectra: Sequence[Spectrum], blocks: Sequence[Block]) -> xr.DataArray:
    """Spectra (n, length) with their titles, where these tell them apart."""
    units = clean(blocks[0].get("XUNITS", ""), 80)
    name = clean(blocks[0].get("XLABEL", ""), 80) or _AXES.get(units.upper(), "x")
    X = xr.DataArray(
        np.array([s.y for s in spectra]),
        dims=("signal", name),
        coords={name: (name, spectra[0].x, {"units": units})},
        attrs={"units": block_units if (block_units := blocks[0].get("YUNITS", "")) else ""},
    )
    titles = [s.title for s in spectra]
    return X.assign_coords(signal=titles) if len({*titles}) == len(titles) > 1 else X


def _about(blocks: Sequence[Block]) -> dict[str, Any]:
    """What the heads of the blocks tell: of all, or of each where they differ."""
    heads: list[Mapping[str, str]] = [
        {k.lower(): v.strip() for k, v in b.items() if k not in (*_DATA, "END", "NPOINTS")} for b in blocks
    ]
    same = {k: v for k, v in heads[0].items() if all(head.get(k) == v for head in heads)}
    own = {f"block {i}": {k: v for k, v in head.items() if k not in same} for i, head in enumerate(heads, 1)}
    return same | own
