"""The comparison on the command line: a table and a sentence, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shapeshift.analysis.candidates import Candidate
from shapeshift.analysis.compare import Comparison, compare, label
from shapeshift.show.tasks import read
from shapeshift.show.terminal import log, show


def compare_file(data: Path, reading: Mapping[str, Any], *, n_latent: int, seed: int, as_json: bool) -> None:
    """Compare explanations of the signals in a file and print what came of it.

    Raises
    ------
    ShapeshiftError
        If the file cannot be used, or holds too few signals.
    """
    found = compare(read(data, reading), n_latent=n_latent, random_state=seed, progress=log)
    if as_json:
        show(summary_of(found), as_json=True)
    else:
        print_comparison(found)


def summary_of(found: Comparison) -> dict[str, Any]:
    """A comparison in plain values."""
    return {
        "recommended": {"kind": found.recommended.kind, "size": found.recommended.size},
        "sentence": found.sentence,
        "shifts": found.shifts,
        "rigid": found.rigid,
        "advantage": found.advantage,
        "stands_still": found.rigidity.still,
        "moves": found.rigidity.moving,
        "signals": {"fitted": found.n_fit, "held_out": found.n_held},
        "candidates": found.to_frame().to_dict("records"),
    }


def print_comparison(found: Comparison) -> None:
    """A table of the candidates, and the recommendation under it."""
    from rich.console import Console
    from rich.table import Table

    table = Table(caption=_CAPTION.format(found.n_held), caption_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("explanation")
    for name in ("numbers", "error", "nats", "evidence", "seconds"):
        table.add_column(name, justify="right")
    for c in found.candidates:
        chosen = c is found.recommended
        table.add_row("→" if chosen else "", *_row(c), style="bold" if chosen else None)
    console = Console()
    console.print(table)
    console.print(f"\n{found.sentence}", highlight=False, markup=False, soft_wrap=True)


_CAPTION = (
    "{} signals held out. numbers: free ones of a signal; error: of a sample predicted from the others, "
    "over the noise; nats: what error and numbers cost together, the less the better; evidence: mean "
    "log evidence. The arrow marks the simplest that does the job."
)


def _row(c: Candidate) -> tuple[str, ...]:
    evidence = "" if c.log_evidence is None else f"{c.log_evidence:.1f}"
    return label(c), str(c.numbers), f"{c.error:.3g}", f"{c.cost:.1f}", evidence, f"{c.seconds:.1f}"
