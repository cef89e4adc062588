"""Table and picture of what shiftbench has kept: the worst seed of every row and case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, FAMILY_NAMES
from judge import Figures, Runs, usual, worst
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from measures import table

from shapeshift.show.style import (
    BLUE,
    DOUBLE,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    save,
    sheet,
    styled,
)

ORDER = ("shapeshift", "formula fit", "pyroVED", "correlation", "hyperspy", "affinewarp", "scikit-fda")
MARKS = {
    "shapeshift": (BLUE, "o"),
    "formula fit": (INK, "|"),
    "pyroVED": (VERMILLION, "s"),
    "correlation": (GREEN, "^"),
    "hyperspy": (ORANGE, "D"),
    "affinewarp": (PURPLE, "v"),
    "scikit-fda": (GREY, "X"),
}
WITH_BARS, WITH_LATENTS = ORDER[:3], ("shapeshift", "pyroVED")
LOST_AT = 300.0  # efficiency beyond which the picture does not go


def text(record: Mapping[str, Any]) -> str:
    """All tables, in Markdown."""
    runs = record["runs"]
    told = [r for r in WITH_BARS if r in runs]
    latent = [r for r in WITH_LATENTS if r in runs]
    cover = _wide(runs, told, lambda f: _pair(f.get("coverage68"), f.get("coverage95")), skip=("still",))
    parts = [
        "# Shifts against the physical limit",
        _intro(record),
        "## Efficiency: RMS error of the displacement / its RMS bound",
        _wide(runs, ORDER, lambda f: _number(f.get("efficiency"))),
        "## Failures: errors over 10 bounds, %",
        _wide(runs, ORDER, lambda f: _percent(f.get("failures")), skip=("still",)),
        "## Coverage: errors within 1 / 1.96 reported sd, % (68.3 / 95.0 is right)",
        cover,
        "## Leak of position into shape (0 none, 1 all)",
        _wide(runs, latent, lambda f: _number(f.get("leak")), skip=("still",)),
        "## Seconds to fit / milliseconds a signal",
        _times(runs),
        "Wall time, whatever else the machine was doing (formula fit: processor time). The fair comparison "
        "of fit times is that of `--race`.",
        "## Still: nothing shifts",
        _still(runs),
    ]
    if "race" in record:
        parts += ["## Speed, side by side in one run", _race(record["race"])]
    return "\n\n".join(part for part in parts if part)


def _race(race: Mapping[str, Any]) -> str:
    """Fit times of one run, and signals a second."""
    labels = {
        "fit_seconds": "fit, s",
        "peer_fit_seconds": f"pyroVED, {race['peer_epochs']} epochs, s",
        "ratio": "times faster",
        "posterior_rate": "posterior with refinement, signals a second",
        "encoder_rate": "encoder alone, signals a second",
    }
    rows = [{"": label, "found": float(race[key])} for key, label in labels.items() if key in race]
    note = f"`{race['case']}`, {race['n']} signals, {race['threads']} threads each; rates: the article's "
    return table(rows) + "\n\n" + note + "signals of 100 samples, best of three."


def _intro(record: Mapping[str, Any]) -> str:
    machine = record.get("machine", {})
    seeds = {row: max(map(len, cases.values())) for row, cases in record["runs"].items()}
    counted = ", ".join(f"{row} {seeds[row]}" for row in ORDER if row in seeds)
    sizes = sorted(
        {f["pairs"] for cases in record["runs"].values() for s in cases.values() for f in s.values()}
    )
    return (
        "Signals of 128 samples, 3000 to fit (`few`: 100); held-out pairs of one shape at two positions: "
        f"{', '.join(map(str, sizes))}. Of several seeds the worst counts (seeds: {counted}), of times the "
        "median. Every seed draws its own signals. What the cases, columns and rows are: "
        f"[README](../README.md#shiftbench). {machine.get('processor', '')}, "
        f"torch {machine.get('torch', '')}; a blank was not measured or is not told by the method."
    )


def _wide(runs: Runs, rows: Any, cell: Callable[[Figures], str], skip: tuple[str, ...] = ()) -> str:
    """Cases down, methods across."""
    shown = [row for row in rows if row in runs]
    lines = []
    for case in CASES:
        if case not in skip:
            cells = {r: cell(worst(runs[r][case])) if case in runs[r] else "" for r in shown}
            lines.append({"": case} | cells)
    return table(lines) if shown else ""


def _times(runs: Runs) -> str:
    lines = []
    for case in CASES:
        cells = {row: _time(runs[row].get(case, {})) for row in ORDER if row in runs}
        lines.append({"": case} | cells)
    return table(lines)


def _time(seeds: Mapping[str, Figures]) -> str:
    if not seeds:
        return ""
    fitted = [f["fit_seconds"] for f in seeds.values() if f.get("fit_seconds") is not None]
    fit = f"{np.median(fitted):.3g} s / " if fitted else ""
    return f"{fit}{usual(seeds, 'ms_per_signal'):.2g} ms"


def _still(runs: Runs) -> str:
    """Spread of the shifts found against their error bars, the worst seed."""
    lines = []
    for row in (r for r in ORDER if "still" in runs.get(r, {})):
        seeds = runs[row]["still"].values()
        ratios = [f["spread"] / f["error_bar"] for f in seeds if f.get("error_bar")]
        said = all("hardly-shift" in f["doubts"] for f in seeds if "doubts" in f)
        lines.append(
            {
                "": row,
                "sd of shifts, axis units": f"{max(f['spread'] for f in seeds):.2g}",
                "over their error bar": f"{max(ratios):.2f}" if ratios else "",
                "says so": ("yes" if said else "no") if row == "shapeshift" else "",
            }
        )
    return table(lines) if lines else ""


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _percent(value: Any) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _pair(a: Any, b: Any) -> str:
    return "" if a is None else f"{100 * a:.1f} / {100 * b:.1f}"


@styled
def picture(record: Mapping[str, Any], path: Path) -> None:
    """Efficiency of every method on the left, coverage of those with error bars on the right."""
    runs = record["runs"]
    figure = sheet(DOUBLE, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2], sharey=True)
    names = [c for c in CASES if c != "still"]
    heights = {case: -k - 0.7 * (case not in FAMILY_NAMES) for k, case in enumerate(names)}
    for ax in (left, right):
        ax.hlines(list(heights.values()), *(0, 1), transform=ax.get_yaxis_transform(), color=FAINT, lw=0.4)
    _efficiencies(left, runs, heights)
    _coverages(right, runs, heights)
    left.set_yticks(list(heights.values()), names)
    left.set_ylim(min(heights.values()) - 0.6, 0.6)
    present = [row for row in ORDER if row in runs]
    handles = [_handle(row) for row in present]
    figure.legend(handles, present, loc="outside upper center", ncols=len(present), columnspacing=1.4)
    save(figure, path)


def _handle(row: str) -> Line2D:
    colour, mark = MARKS[row]
    return Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=6)


def _draw(ax: Axes, row: str, x: float, y: float, filled: bool = True) -> None:
    colour, mark = MARKS[row]
    size = {"shapeshift": 6.5, "formula fit": 10}.get(row, 4.5)
    front = {"shapeshift": 5, "formula fit": 4}.get(row, 3)
    face = colour if filled else "white"
    style = {"markeredgewidth": 2.0} if mark == "|" else {"markeredgewidth": 0.8, "markerfacecolor": face}
    ax.plot(x, y, marker=mark, color=colour, markersize=size, zorder=front, clip_on=False, **style)


def _efficiencies(ax: Axes, runs: Runs, heights: Mapping[str, float]) -> None:
    ax.axvline(1, color=INK, lw=0.8)
    for row in (r for r in ORDER if r in runs):
        for case in (c for c in heights if c in runs[row]):
            _draw(ax, row, min(worst(runs[row][case])["efficiency"], LOST_AT), heights[case])
    ax.set_xscale("log")
    ax.set_xlim(0.85, LOST_AT)
    ticks = [1, 2, 5, 10, 30, 100, LOST_AT]
    ax.set_xticks(ticks, [*(f"{t:g}" for t in ticks[:-1]), f"≥ {LOST_AT:g}"])
    ax.minorticks_off()
    ax.set_xlabel("RMS error / physical limit")
    ax.set_title("How far from the limit (left is better)")


def _coverages(ax: Axes, runs: Runs, heights: Mapping[str, float]) -> None:
    ax.axvline(68.27, color=INK, lw=0.8)
    ax.axvline(95, color=INK, lw=0.8)
    for row in (r for r in WITH_BARS if r in runs):
        for case in (c for c in heights if c in runs[row]):
            found = worst(runs[row][case])
            for name, filled in (("coverage68", True), ("coverage95", False)):
                if found.get(name) is not None:
                    _draw(ax, row, 100 * found[name], heights[case], filled)
    ax.set_xlim(0, 100)
    ax.set_xticks([0, 25, 50, 68.27, 95], ["0", "25", "50", "68", "95"])
    ax.set_xlabel("truth within 1 sd (full), 1.96 sd (hollow), %")
    ax.set_title("Do error bars hold what they say")
    ax.tick_params(axis="y", length=0)
