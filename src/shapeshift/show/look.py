"""Everything that linked views show of a fit: results, some of the signals, and the decoder on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.errors import ShapeshiftError, printable
from shapeshift.show.by_channel import each_channel, sample_of
from shapeshift.show.decoding import Decoded, decoded
from shapeshift.show.labels import curves, spread
from shapeshift.show.mosaic import planes, side_label, values_label
from shapeshift.show.packing import along, packed, quantised
from shapeshift.show.palettes import to_all_sides
from shapeshift.show.report_words import name_of
from shapeshift.show.results import Column, Results, Side, results_of
from shapeshift.show.selection import made_of, rows_of, some_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior

NUMBERS = 400_000  # samples of signals that a page holds
MARKS = 4000  # that a view draws, of signals one by one
FEWEST = 100  # signals that are shown, however long


@dataclass(frozen=True)
class Shown:
    """Signals (n, P) of one channel, or images as rows.

    raw, drawn : as measured, and as the model draws them
    aligned : images moved back to pose 0; signals are moved by the page
    """

    name: str
    label: str
    raw: NDArray[np.float64]
    drawn: NDArray[np.float64]
    aligned: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Canvas:
    """What a signal is drawn on: one side of signals, rows and columns of images."""

    sides: tuple[Side, ...]
    origin: float = 0.0  # where on the axis of signals a shift of 0 is marked


@dataclass(frozen=True)
class Look:
    """What linked views are made of.

    numbers : ndarray (n,)
        Which of all ``total`` signals these are.
    channels : list of Shown
        Empty where signals are asked for one by one.
    labels : list of str
        Along the values of every channel, and its name.
    """

    title: str
    results: Results
    numbers: NDArray[np.intp]
    total: int
    frame: Canvas
    labels: list[tuple[str, str]]
    decoder: Decoded | None
    channels: list[Shown]

    @property
    def told(self) -> str:
        """How many are shown, where that is not all."""
        n, words = len(self.results), []
        what = "images" if len(self.frame.sides) == 2 else "signals"
        if n < self.total:
            words.append(f"{n} of the {self.total} {what}, evenly spread; `shapeshift explore` shows all.")
        if n > MARKS:
            words.append(f"{MARKS} marks, evenly spread, stand for {n} {what}, each of which can be chosen.")
        return " ".join(words)

    def as_dict(self) -> dict[str, Any]:
        """In plain values, for a script."""
        r = self.results
        return {
            "title": printable(self.title, 200),
            "n": len(r),
            "total": self.total,
            "numbers": None if len(r) == self.total else packed(self.numbers),
            "columns": [self.about(c, packed(c.values)) for c in r.columns],
            "angles": to_all_sides() if any(c.angle for c in r.columns) else None,
            "marks": MARKS,
            "latents": r.latents,
            "flags": packed(r.flags),
            "words": list(r.words),
            "sides": [_side(s) for s in r.sides],
            **self.about_signals(),
            "channels": [
                {
                    "raw": quantised(c.raw),
                    "drawn": quantised(c.drawn),
                    "aligned": None if c.aligned is None else quantised(c.aligned),
                }
                for c in self.channels
            ],
        }

    @staticmethod
    def about(column: Column, values: dict[str, Any]) -> dict[str, Any]:
        """A column in plain values; its numbers packed, or where they are."""
        return {"name": column.name, "label": column.label, "angle": column.angle, "values": values}

    def about_signals(self) -> dict[str, Any]:
        """What a signal is drawn on, and the decoder."""
        d = self.decoder
        return {
            "frame": [_side(s) for s in self.frame.sides],
            "origin": self.frame.origin,
            "labels": [{"name": name, "label": label} for name, label in self.labels],
            "decoder": None
            if d is None
            else {
                "axes": [a.tolist() for a in d.axes],
                "classes": list(d.classes),
                "values": [quantised(v) for v in d.values],
            },
        }


def look_at(m: Any, X: Any, p: Posterior, *, title: str | None = None) -> Look:
    """What a page that holds everything shows of a fit: as many signals as it has room for.

    Parameters
    ----------
    m : ShiftVAE or ImageVAE
        Fitted.
    X : signals or images as it takes them
    p : Posterior
        `m.posterior(X)`.
    title : str, optional
        By default the name of the file.
    """
    whole = results_of(p.to_dataset())
    _check_count(m, X, len(whole))
    rows, sides = thinned(whole, most_of(m))
    some, frame = some_of(p, rows), frame_of(m)
    channels = _images(m, X, some, rows) if hasattr(m, "raster_") else _signals(m, X, some, rows)
    return Look(
        title or name_of(X),
        whole.at(rows, sides),
        rows,
        len(whole),
        frame,
        [(c.name, c.label) for c in channels],
        decoded(m, p.z),
        channels,
    )


def _check_count(m: Any, X: Any, n: int) -> None:
    """Refuse signals that are not those of the results."""
    size = int(np.prod([len(s.values) for s in frame_of(m).sides])) * _count(m)
    size *= m.raster_.channels if hasattr(m, "raster_") else 1
    found = int(np.prod(np.shape(X))) // size
    if found != n:
        raise ShapeshiftError(
            f"got {found} signals and results of {n}, needed those of these: use model.posterior(X)"
        )


def most_of(m: Any) -> int:
    """Signals that a page has room for."""
    return max(FEWEST, NUMBERS // int(np.prod([len(s.values) for s in frame_of(m).sides])) // _count(m))


def _count(m: Any) -> int:
    lanes = getattr(m, "lanes_", None)
    return lanes.count if lanes else 1


def frame_of(m: Any) -> Canvas:
    """The axis of a model's signals, or rows and columns of its images."""
    raster = getattr(m, "raster_", None)
    if raster is not None:
        axes = (raster.rows, raster.columns)
        return Canvas(tuple(Side(a.name, side_label(a.name, a.values, a.units), a.values) for a in axes))
    name = f"{m.axis_name_} ({m.axis_units_})" if m.axis_units_ else m.axis_name_
    return Canvas((Side(m.axis_name_, printable(name, 80), np.asarray(m.axis_, dtype=float)),), m.origin_)


def thinned(results: Results, most: int) -> tuple[NDArray[np.intp], tuple[Side, ...]]:
    """Rows of at most so many signals, evenly spread, and their places; a map stays one."""
    n, sides = len(results), results.sides
    if len(sides) != 2 or n <= most:
        rows = spread(n, most)
        at = sides[0].values[rows] if len(sides) == 1 else None
        return rows, sides if at is None else (Side(sides[0].name, sides[0].label, at),)
    step = int(np.ceil((n / most) ** 0.5))
    kept = [np.arange(0, len(s.values), step) for s in sides]
    rows = (kept[0][:, None] * len(sides[1].values) + kept[1]).ravel()
    return rows, tuple(Side(s.name, s.label, s.values[k]) for s, k in zip(sides, kept, strict=True))


def _signals(m: Any, X: Any, some: Posterior, rows: NDArray[np.intp]) -> list[Shown]:
    sample = sample_of(m, X, rows)
    kind = getattr(some, "kind", None)  # known already: not to be told apart once more
    drawn = m.reconstruct(sample) if kind is None else m.reconstruct(sample, condition=kind)
    both = zip(each_channel(m, sample), each_channel(m, drawn), strict=True)
    return [Shown(name, curves(a).signal_label, a.values, b.values) for (name, a), (_, b) in both]


def _images(m: Any, X: Any, some: Posterior, rows: NDArray[np.intp]) -> list[Shown]:
    sample = rows_of(X, rows, m.raster_)
    aligned, drawn = made_of(m, sample, some)
    raw, moved, made = (planes(a, m.raster_)[0].reshape(len(rows), -1) for a in (sample, aligned, drawn))
    return [Shown("", values_label(sample, m.raster_.channels), raw, made, moved)]


def _side(side: Side) -> dict[str, Any]:
    return {"name": printable(side.name, 80), "label": side.label, "values": along(side.values)}
