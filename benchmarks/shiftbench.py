"""Shifts against the physical limit: six families and seven hard variants, shapeshift and its peers.

Every held-out signal is one of a pair: one shape, two positions, two draws of noise. Results are kept
for every row, case and seed in benchmarks/results/shiftbench.json, so that rows can be run again by
themselves; every run makes table (.md) and picture (.png) anew from all that is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import judge
import measures
import numpy as np
import shiftbench_page as page
from cases import CASES, N, Task, make_task
from rows import ROWS, Options

SEEDS = {"shapeshift": 3, "formula fit": 3}  # others: 1


def kept() -> dict:
    """What was measured so far."""
    path = measures.RESULTS / "shiftbench.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": {}}


def keep(changes: dict) -> dict:
    """Merge into what is kept, and write all of it; other rows may be running at the same time."""
    record = kept()
    _merge(record, measures._plain(changes))
    measures.RESULTS.mkdir(exist_ok=True)
    path = measures.RESULTS / "shiftbench.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return record


def _merge(into: dict, changes: dict) -> None:
    """Row, case and seed are branches; what is measured of one seed is replaced as a whole."""
    for key, value in changes.items():
        branch = isinstance(value, dict) and isinstance(into.get(key), dict) and "efficiency" not in value
        if branch:
            _merge(into[key], value)
        else:
            into[key] = value


def run(row: str, task: Task, options: Options) -> dict:
    """Figures of one row on one task."""
    began = time.perf_counter()
    outcome = ROWS[row](task, options)
    found = judge.figures(outcome.estimates, task.held_out.moved, task.held_out.bound)
    found |= {"fit_seconds": outcome.fit_seconds, "ms_per_signal": outcome.ms_per_signal, **outcome.notes}
    found |= {"n": len(task.train), "pairs": len(task.held_out.bound), "threads": options.threads}
    took = time.perf_counter() - began
    print(
        f"{row:12} {task.case.name:13} seed {task.seed}: {found['efficiency']:8.3f} bounds, "
        f"{100 * found['failures']:6.2f} % lost, {took:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    return found


def run_all(o: argparse.Namespace) -> None:
    """Every row, case and seed asked for."""
    options = Options(o.threads, o.peer_epochs)
    for row in o.rows:
        for case in o.cases:
            have = kept()["runs"].get(row, {}).get(case, {})
            for seed in range(1, 1 + (o.seeds or SEEDS.get(row, 1))):
                if not (o.missing and str(seed) in have):
                    found = run(row, make_task(CASES[case], seed, o.n, o.pairs), options)
                    keep({"runs": {row: {case: {str(seed): found}}}, "machine": measures.machine(o.threads)})


def publish() -> None:
    """Table and picture of everything kept."""
    record = kept()
    (measures.RESULTS / "shiftbench.md").write_text(page.text(record) + "\n", encoding="utf-8")
    page.picture(record, measures.RESULTS / "shiftbench.png")


def report_checks() -> bool:
    """Print every requirement; whether all that was measured is met."""
    record = kept()
    found = [*judge.checks(record["runs"]), *judge.race_checks(record.get("race", {}))]
    words = {True: "pass", False: "FAIL", None: "-"}
    for c in found:
        number = "not measured" if c.found is None else f"{c.found:.4g}"
        print(f"{words[c.passed]:5} {c.what:48} {number:>12}   {c.needed}")
    return all(c.passed is not False for c in found)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), help="default: all")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES), help="default: all")
    parser.add_argument("--seeds", type=int, help="default: 3 for shapeshift and formula fit, 1 for others")
    parser.add_argument("--n", type=int, default=N, help="signals to fit (%(default)s)")
    parser.add_argument("--pairs", type=int, default=2000, help="held-out pairs (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every estimator (%(default)s)")
    parser.add_argument("--peer-epochs", type=int, default=100, help="of pyroVED (%(default)s)")
    parser.add_argument("--missing", action="store_true", help="leave out what is kept already")
    parser.add_argument("--results", type=Path, help="folder of results; default: benchmarks/results")
    parser.add_argument("--check", action="store_true", help="run nothing; hold what is kept to the aims")
    parser.add_argument("--page", action="store_true", help="run nothing; table and picture of what is kept")
    parser.add_argument(
        "--race", choices=list(CASES), help="run nothing else: fit times side by side, signals a second"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run, keep, publish; 1 where a check fails."""
    o = parse(arguments)
    if o.results:
        measures.RESULTS = o.results
    if o.race:
        from race import race

        keep({"race": race(o.race, Options(o.threads, o.peer_epochs), o.n)})
    elif not (o.check or o.page):
        run_all(o)
    publish()
    if o.check:
        return int(not report_checks())
    print((measures.RESULTS / "shiftbench.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    np.seterr(over="ignore")
    sys.exit(main())
