"""A record of PhysioNet in one file of signals (format 212), its header and its annotations.

Source of the formats: the WFDB Applications Guide, header(5), signal(5) and annot(5),
https://physionet.org/physiotools/wag/. The library wfdb reads all formats, but brings aiohttp and soundfile.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapeshift.errors import ShapeshiftError

_SKIP, _NUMBER, _SUBTYPE, _CHANNEL, _AUXILIARY = 59, 60, 61, 62, 63  # codes that are no annotation


class Lead(NamedTuple):
    """A line of the header: what numbers of one lead mean."""

    name: str
    per_unit: float  # numbers a unit of measurement
    zero: int  # the number that stands for 0
    checksum: int


class Record(NamedTuple):
    """Numbers as the converter gave them, (length, leads) int16, at `rate` samples a second."""

    values: NDArray[np.int16]
    rate: float
    leads: tuple[Lead, ...]


class Beats(NamedTuple):
    """Annotations: sample (n,) and code (n,), 1 for a normal beat, 5 and 8 for premature ones."""

    sample: NDArray[np.int32]
    code: NDArray[np.int8]


def read_record(header: Path, signals: Path) -> Record:
    """Both leads of a record in format 212: three bytes for two numbers of twelve bits.

    Raises
    ------
    ShapeshiftError
        If the header tells of another format, or the signals are not those it tells of.
    """
    rate, length, leads = _header(header)
    packed = np.fromfile(signals, np.uint8)
    if len(packed) != 3 * length:
        raise ShapeshiftError(
            f"{signals.name}: got {len(packed)} bytes, needed {3 * length}, three a sample of two leads: "
            "copy it again"
        )
    low, middle, high = packed.reshape(-1, 3).astype(np.int16).T
    values = np.stack([low | (middle & 15) << 8, high | (middle >> 4) << 8], 1)
    values[values > 2047] -= 4096
    sums = values.sum(0, dtype=np.int64).astype(np.int16).tolist()
    if sums != [lead.checksum for lead in leads]:
        raise ShapeshiftError(
            f"{signals.name}: got checksums {sums}, needed those of {header.name}: copy both files again"
        )
    return Record(values, rate, leads)


def read_beats(annotations: Path, codes: tuple[int, ...]) -> Beats:
    """Annotations of some codes: words of six bits of code and ten of samples since the one before.

    Raises
    ------
    ShapeshiftError
        If the file ends in the middle of an annotation.
    """
    data = annotations.read_bytes()
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()
    found, now, at = [], 0, 0
    try:
        while words[at]:
            code, span = words[at] >> 10, words[at] & 1023
            at += 1
            if code == _SKIP:
                step = words[at] << 16 | words[at + 1]
                now, at = now + (step - 2**32 if step >> 31 else step), at + 2
            elif code == _AUXILIARY:
                at += (span + 1) // 2
            elif code not in (_NUMBER, _SUBTYPE, _CHANNEL):
                now += span
                found.append((now, code))
    except IndexError as error:
        raise ShapeshiftError(
            f"{annotations.name}: got annotations that stop in the middle, needed a whole file: copy it again"
        ) from error
    chosen = np.array([pair for pair in found if pair[1] in codes], dtype=np.int64).reshape(-1, 2)
    return Beats(chosen[:, 0].astype(np.int32), chosen[:, 1].astype(np.int8))


def _header(path: Path) -> tuple[float, int, tuple[Lead, ...]]:
    """Samples a second, length and leads."""
    lines = [line.split() for line in path.read_text("latin-1").splitlines() if line.strip()]
    lines = [words for words in lines if not words[0].startswith("#")]
    try:
        count, rate, length = int(lines[0][1]), float(lines[0][2]), int(lines[0][3])
        formats = [words[1] for words in lines[1:]]
        leads = tuple(Lead(w[8], float(w[2]), int(w[4]), int(w[6])) for w in lines[1:])
    except (IndexError, ValueError) as error:
        raise ShapeshiftError(
            f"{path.name}: got a header that cannot be read ({error}), needed one of a WFDB record: copy it "
            "again"
        ) from error
    if count != 2 or formats != ["212", "212"]:
        raise ShapeshiftError(
            f"{path.name}: got {count} leads of format {', '.join(formats)}, needed two of format 212: read "
            "it with the library wfdb"
        )
    return rate, length, leads
