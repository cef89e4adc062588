"""Same data, other seeds: how far a signal's shift wanders from fit to fit, in its own error bars.

The printed table is written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import xarray as xr
from cases import CASES, make_task
from measures import machine, table, write
from real_data import SETS, data_folder

import shapeshift as ss

DEFAULT = ("article", "doublet", "fano", "bepfm_resonance")


def signals(name: str) -> xr.DataArray:
    """The training signals of a case of shiftbench, or a measured set."""
    return make_task(CASES[name], 1).train if name in CASES else ss.open(data_folder() / f"{name}.npz")


def spread(name: str, seeds: int) -> dict[str, object]:
    """Sd over seeds of unflagged signals' shifts, over their error bars: median, 90 %, share below 1."""
    X = signals(name)
    found = [ss.ShiftVAE(random_state=seed).fit(X).posterior(X) for seed in range(seeds)]
    good = np.all([p.flags == "" for p in found], axis=0)
    shift, bar = np.array([p.shift for p in found]), np.mean([p.shift_sd for p in found], axis=0)
    ratio = (shift.std(0, ddof=1) / bar)[good]
    return {
        "set": name,
        "seeds": seeds,
        "signals": int(good.sum()),
        "spread / error bar, median": float(np.median(ratio)),
        "90 % of signals": float(np.quantile(ratio, 0.9)),
        "below their error bar, %": 100 * float(np.mean(ratio < 1)),
    }


def main() -> None:
    """Fit every set with all seeds, print the table, write the results."""
    names = [*CASES, *(s.name for s in SETS)]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=names, default=DEFAULT, help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=10, help="%(default)s")
    o = parser.parse_args()
    rows = [spread(name, o.seeds) for name in o.sets]
    command = " ".join(["python", "benchmarks/seeds.py", *sys.argv[1:]])
    text = "\n".join([table(rows), "", f"`{command}`"])
    print(text)
    write("seeds", {"command": command, "machine": machine(1), "table": rows}, text)


if __name__ == "__main__":
    main()
