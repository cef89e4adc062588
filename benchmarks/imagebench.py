"""Images whose angle, place, size and class are known, and labels for a few: shapeshift beside pyroVED.

Every row draws its data for a seed, lets each method fit them and measures what it says of images held
out. Figures are kept for every row, method and seed in benchmarks/results/imagebench.json, and what is
kept is not run again unless asked to; every run makes the tables (.md) anew from all that is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import imagebench_page as page
import imagerows
import imagerows_labels
import imagerows_spectra
import measures
import numpy as np
import torch
from imagerows import THREADS, Row

#: The rows by name, in the order of the page.
ROWS: dict[str, Row] = imagerows.ROWS | imagerows_labels.ROWS | imagerows_spectra.ROWS
METHODS = {name.lower(): name for row in ROWS.values() for name in row.by}


def kept() -> dict:
    """What was measured so far."""
    path = measures.RESULTS / "imagebench.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": {}}


def keep(row: str, method: str, seed: int, figures: dict) -> None:
    """Add one cell to what is kept; other rows may be running at the same time."""
    record = kept()
    cell = record["runs"].setdefault(row, {}).setdefault(method, {})
    cell[str(seed)] = measures._plain(figures)
    record["machine"] = measures.machine(THREADS)
    measures.RESULTS.mkdir(exist_ok=True)
    path = measures.RESULTS / "imagebench.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    publish()


def publish() -> None:
    """Tables of everything kept."""
    (measures.RESULTS / "imagebench.md").write_text(page.text(kept()) + "\n", encoding="utf-8")


def run(name: str, method: str, seed: int) -> dict:
    """Figures of one method on one row."""
    began, row = time.perf_counter(), ROWS[name]
    task = row.make(seed)
    figures = row.measure(task, row.by[method](task, seed))
    shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
    took = time.perf_counter() - began
    print(f"{name} {method} seed {seed} ({took:.0f} s): {shown}", file=sys.stderr, flush=True)
    return figures


def run_all(o: argparse.Namespace) -> None:
    """Every row, method and seed asked for that is not kept yet."""
    for seed in range(1, 1 + o.seeds):
        for name in o.rows:
            for method in ROWS[name].by:
                wanted = not o.peers or method.lower() in o.peers
                have = str(seed) in kept()["runs"].get(name, {}).get(method, {})
                if wanted and (o.again or not have):
                    keep(name, method, seed, run(name, method, seed))


def report_checks() -> bool:
    """Print every aim; whether all that was measured is met."""
    found = list(page.checks(kept()["runs"]))
    words = {True: "pass", False: "FAIL", None: "-"}
    for c in found:
        number = "not measured" if c.found is None else f"{c.found:.4g}"
        print(f"{words[c.passed]:5} {c.what:64} {number:>12}   {c.needed}")
    return all(c.passed is not False for c in found)


def _names(known: dict[str, object]):
    """A converter of comma-separated names."""

    def convert(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return convert


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=_names(ROWS), default=list(ROWS), help=f"of {','.join(ROWS)}; default: all"
    )
    parser.add_argument(
        "--peers", type=_names(METHODS), help="methods, e.g. pyroved,shapeshift; default: all of a row"
    )
    parser.add_argument("--seeds", type=int, default=3, help="%(default)s")
    parser.add_argument("--again", action="store_true", help="measure anew what is kept")
    parser.add_argument("--results", type=Path, help="folder of results; default: benchmarks/results")
    parser.add_argument("--check", action="store_true", help="run nothing; hold what is kept to the aims")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run, keep, publish; 1 where a check fails."""
    o = parse(arguments)
    if o.results:
        measures.RESULTS = o.results
    if o.check:
        return int(not report_checks())
    torch.set_num_threads(THREADS)
    run_all(o)
    publish()  # also where all was kept already
    print(page.text(kept()))
    return 0


if __name__ == "__main__":
    np.seterr(over="ignore")
    sys.exit(main())
