"""shapeshift on measured sets, run with nothing but the file, against published or earlier estimates.

The sets are looked for in the folder named by SHAPESHIFT_DATA, or else in ../shared/data beside the
repository. The printed table is written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measures import agreement, machine, table, write

import shapeshift as ss
from shapeshift.analysis.doubts import doubts

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class RealSet:
    """A measured set: the column of reference positions, whether it is in samples, seeds to run."""

    name: str
    reference: str
    in_samples: bool = False
    good: Callable[[Mapping[str, np.ndarray]], np.ndarray] | None = None
    seeds: int = 1


SETS = (
    RealSet("bepfm_resonance", "ref_center"),
    RealSet("ecg_mitbih100", "true_shift_samples", in_samples=True, seeds=10),
    RealSet("hinode_eis_fe12", "fit_center_raw", good=lambda d: ~d["bad_pixel"].any(axis=1)),
    RealSet("pl_map_control", "ref_center"),  # its peak stands still: r with the centroid should be low
    RealSet("fegapd_xrd", "ref_center_44"),
)


def data_folder() -> Path:
    """Where the sets are; ends the program with a sentence where they are not."""
    folder = Path(os.environ.get("SHAPESHIFT_DATA", SHARED))
    if not folder.is_dir():
        sys.exit(f"no folder {folder}: set SHAPESHIFT_DATA to the folder that holds the measured sets")
    return folder


def run(which: RealSet, path: Path, seed: int) -> dict[str, object]:
    """One fit and what came of it; lengths in samples."""
    X = ss.open(path)
    with np.load(path) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    start = time.perf_counter()
    model = ss.ShiftVAE(random_state=seed).fit(X)
    fitted = time.perf_counter()
    p = model.posterior(X)
    done = time.perf_counter()
    step = float(np.diff(model.axis_).mean())
    reference = data[which.reference].ravel().astype(float) * (step if which.in_samples else 1)
    good = None if which.good is None else which.good(data)
    flagged = p.flags != ""
    return {
        "set": which.name,
        "seed": seed,
        **agreement(p.shift, reference, step, good),
        "r_unflagged": agreement(p.shift, reference, step, ~flagged if good is None else good & ~flagged)[
            "r"
        ],
        "flagged": float(np.mean(flagged)),
        "shift_sd": float(np.std(p.shift) / step),
        "fit_seconds": fitted - start,
        "posterior_seconds": done - fitted,
        "doubts": [d.code for d in doubts(model, X, p)],
    }


def worst(runs: list[dict]) -> dict[str, object]:
    """One row for the table: the worst of several seeds, the mean of the times; None where unknown."""

    def known(name: str) -> list[float]:
        return [r[name] for r in runs if r[name] is not None]

    return {
        "set": runs[0]["set"],
        "seeds": len(runs),
        "r": min(known("r"), default=None),
        "r, unflagged": min(known("r_unflagged"), default=None),
        "median error, samples": max(known("median_error"), default=None),
        "off by > 10 samples, %": max((100 * share for share in known("off_by_10")), default=None),
        "flagged, %": 100 * max(r["flagged"] for r in runs),
        "sd of shift, samples": max(r["shift_sd"] for r in runs),
        "fit, s": float(np.mean([r["fit_seconds"] for r in runs])),
        "posterior, s": float(np.mean([r["posterior_seconds"] for r in runs])),
        "doubts": ", ".join(sorted({code for r in runs for code in r["doubts"]})) or "none",
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [s.name for s in SETS]
    parser.add_argument("--set", nargs="+", choices=names, default=names, help="default: all")
    parser.add_argument(
        "--seeds", type=int, help="seeds per set; default: 10 for the heartbeats, 1 elsewhere"
    )
    parser.add_argument("--threads", type=int, default=2, help="%(default)s")
    return parser.parse_args()


def main() -> None:
    """Run all sets, print the table, write the results."""
    o = parse()
    torch.set_num_threads(o.threads)
    folder, rows, runs = data_folder(), [], []
    for which in (s for s in SETS if s.name in o.set):
        of_set = [run(which, folder / f"{which.name}.npz", seed) for seed in range(o.seeds or which.seeds)]
        rows.append(worst(of_set))
        runs += of_set
        print(rows[-1], file=sys.stderr)
    command = " ".join(["python", "benchmarks/real_data.py", *sys.argv[1:]])
    made_on = machine(o.threads)
    text = "\n".join(
        [
            table(rows),
            "",
            "Of several seeds the worst is given; times are means. "
            f"{made_on['processor']}, {o.threads} threads, torch {made_on['torch']}.",
            "",
            f"`{command}`",
        ]
    )
    print(text)
    write("real_data", {"command": command, "machine": made_on, "table": rows, "runs": runs}, text)


if __name__ == "__main__":
    main()
