"""Table and aims of what imagebench has kept: the worst seed of every row and method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from judge import Check, _at_least, _at_most, _within
from measures import table

Runs = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]  # row -> method -> seed -> figures
RACE = 10.0  # times faster


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Parameters
    ----------
    key, label : str
    worse : {"high", "low"} or float
        Which of several seeds is the worst; a number is nominal, the farthest from it counts.
    aim : float or (float, float), optional
        What shapeshift's is held to: at most, at least, or between.
    percent : bool
        Shown as a percentage.
    """

    key: str
    label: str
    worse: str | float = "high"
    aim: float | tuple[float, float] | None = None
    percent: bool = False

    def worst(self, values: list[float]) -> float:
        """Of several seeds."""
        if isinstance(self.worse, float):
            return max(values, key=lambda v: abs(v - self.worse))
        return max(values) if self.worse == "high" else min(values)

    def show(self, value: float | None) -> str:
        """For the table; blank where it was not measured or is not told."""
        if value is None:
            return ""
        return f"{100 * value:.1f} %" if self.percent else f"{value:.3g}"

    def check(self, row: str, found: float | None) -> Check:
        """Whether the aim is met."""
        what = f"{row}: {self.label}"
        if isinstance(self.aim, tuple):
            return _within(what, found, *self.aim)
        if self.aim is not None and self.worse == "low":
            return _at_least(what, found, self.aim)
        return _at_most(what, found, self.aim)


HONEST = (0.64, 0.72)


def _share(key: str, label: str, worse: str | float = "high", aim: Any = None) -> Figure:
    return Figure(key, label, worse, aim, percent=True)


def _covered(
    key: str = "", what: str = "", aim: tuple[float, float] | None = HONEST
) -> tuple[Figure, Figure]:
    return (
        _share(f"{key}coverage68", f"68 % intervals{what} that hold the truth", 0.68, aim),
        _share(f"{key}coverage95", f"95 % intervals{what} that hold the truth", 0.95),
    )


SECONDS = Figure("fit_seconds", "time to fit, s")

#: What is shown of every row.
FIGURES: dict[str, tuple[Figure, ...]] = {
    "rotation": (
        Figure("rms", "RMS error of a turn, degrees", aim=2.5),
        Figure("median", "median error, degrees", aim=1.0),
        _share("over20", "errors over 20 degrees", aim=0.003),
        Figure("leak", "leak of angle into shape (0 none, 1 all)", aim=0.01),
        *_covered(),
        SECONDS,
    ),
    "turn": (
        _share("within10", "errors below 10 degrees", "low", 0.93),
        Figure("median", "median error, degrees"),
        *_covered(aim=None),
        SECONDS,
    ),
    "similarity": (
        Figure("median", "median error of a turn, degrees", aim=2.0),
        Figure("shift_median", "median error of a displacement, pixels", aim=0.3),
        Figure("own_shift_median", "the same between the points that each model calls a pattern's place"),
        _share("scale_median", "median error of a ratio of sizes", aim=0.03),
        *_covered(what=" of the turn"),
        *_covered("shift_", " of the displacement"),
        *_covered("scale_", " of the ratio"),
        SECONDS,
    ),
    "classes": (_share("accuracy", "right after the best matching", "low", 0.78), SECONDS),
    "labels": (
        _share("accuracy", "right", "low", 0.88),
        Figure("log_loss", "log-loss, nats"),
        SECONDS,
    ),
    "regression": (
        Figure("r2", "R2 of the width", "low", 0.99),
        *_covered(aim=None),
        SECONDS,
    ),
    "ved": (Figure("rmse", "RMS error of a profile", aim=0.042), *_covered(), SECONDS),
    "signals": (
        _share("right", "generated signals recognised", "low", 0.95),
        _share("right_of_prior", "the same, latents from the standard normal prior", "low"),
        SECONDS,
    ),
    "images": (
        _share("right", "generated images recognised", "low", 0.95),
        _share("right_of_prior", "the same, latents from the standard normal prior", "low"),
        SECONDS,
    ),
    "race": (
        Figure("nats", "description of a held-out image, nats"),
        Figure("elbo", "the same by draws (minus the ELBO), nats"),
        SECONDS,
    ),
}
TITLES = {
    "rotation": "Digits turned by up to 60 degrees",
    "turn": "Digits turned by up to 180 degrees",
    "similarity": "Digits turned, displaced and scaled at once",
    "classes": "Ten classes without labels",
    "labels": "Ten labels a class",
    "regression": "Widths of signals from fifty labels",
    "ved": "Turned image to profile of the upright one",
    "signals": "Signals generated of a given family",
    "images": "Images generated of a given digit",
    "race": "The same description in how much time",
}


def worst(runs: Runs, row: str, method: str, figure: Figure) -> float | None:
    """The worst seed of one figure; None where no seed has it."""
    seeds = runs.get(row, {}).get(method, {}).values()
    values = [one[figure.key] for one in seeds if one.get(figure.key) is not None]
    if not values:
        return None
    return float(np.median(values)) if figure is SECONDS else figure.worst(values)


def text(record: Mapping[str, Any]) -> str:
    """All tables, in Markdown."""
    runs, machine = record["runs"], record.get("machine", {})
    parts = [
        "# Images, classes and labels",
        "Held-out figures; of several seeds the worst counts (how many: in brackets), of times the median. "
        "What rows and figures are: [README](../README.md#imagebench). A blank was not measured or is not "
        f"told by the method. {machine.get('processor', '')}, torch {machine.get('torch', '')}, one thread.",
    ]
    for row in FIGURES:
        if runs.get(row):
            parts += [f"## {TITLES[row]} (`{row}`)", _table(runs, row)]
    return "\n\n".join(parts)


def _table(runs: Runs, row: str) -> str:
    order = ["shapeshift", "pyroVED"]
    methods = sorted(runs[row], key=lambda m: order.index(m) if m in order else len(order))
    lines = []
    for figure in FIGURES[row]:
        cells = {f"{m} ({len(runs[row][m])})": figure.show(worst(runs, row, m, figure)) for m in methods}
        if any(cells.values()):
            lines.append({"": figure.label} | cells | {"aim": _aim(figure)})
    return table(lines)


def _aim(figure: Figure) -> str:
    if figure.aim is None:
        return ""
    if isinstance(figure.aim, tuple):
        return " to ".join(figure.show(v) for v in figure.aim)
    return figure.show(figure.aim)


def checks(runs: Runs) -> Iterator[Check]:
    """Every aim and what was found."""
    for row, figures in FIGURES.items():
        for figure in figures:
            if figure.aim is not None:
                yield figure.check(row, worst(runs, row, "shapeshift", figure))
    yield _at_least("race: times faster to pyroVED's nats", race(runs), RACE)


def race(runs: Runs) -> float | None:
    """Time of pyroVED / time of shapeshift, the least over the seeds; 0 where it ends with more nats."""
    ours, peers = (runs.get("race", {}).get(method, {}) for method in ("shapeshift", "pyroVED"))
    ratios = [
        peers[seed]["fit_seconds"] / ours[seed]["fit_seconds"] * (ours[seed]["nats"] <= peers[seed]["nats"])
        for seed in ours.keys() & peers.keys()
    ]
    return min(ratios, default=None)
