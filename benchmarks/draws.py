"""How many signals of a large store a fit needs: evidence of new signals, and accuracy on held-out pairs.

Writes a Zarr store of peaks as the article has them into a temporary folder, and fits to draws of several
sizes.
The table is written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from measures import Estimates, machine, pair_measures, table, write
from stream import asked, write_store

import shapeshift as ss
from shapeshift.data.blocks import Source, drawn_rows, even_rows
from shapeshift.data.carrier import Want
from shapeshift.data.stored import stored
from shapeshift.data.synthetic import pairs, sample

HELD_OUT = 10**6  # seeds from here on are of no chunk of the store


def fitted(source: Source, rows: int, seed: int) -> dict[str, object]:
    """A fit to so many rows, and how good it is."""
    X = drawn_rows(source, even_rows(len(source), rows, source.unit))
    m = ss.ShiftVAE(random_state=seed).fit(X)
    p = pairs("article", 2000, seed=HELD_OUT, length=source.width)
    new, _ = sample("article", 4000, seed=HELD_OUT + 1, length=source.width)
    told = (Estimates(q.shift, q.shift_sd, q.z, q.z_sd) for q in map(m.posterior, (p.first, p.second)))
    found = pair_measures(*told, p.moved, p.bound)
    row = {
        "signals drawn": len(X),
        "seed": seed,
        "log evidence, nats": f"{m.score(new):.2f}",
        "error / bound": found["efficiency"],
        "within 1 sd, %": f"{100 * found['coverage68']:.1f}",
        "epochs": m.options_["epochs"],
        "seconds": f"{m.fit_seconds_:.0f}",
    }
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Fit, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2_000_000, help="signals of the store, %(default)s")
    parser.add_argument("--length", type=int, default=128, help="samples, %(default)s")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 5000, 20_000, 60_000])
    parser.add_argument("--seeds", type=int, default=3, help="%(default)s")
    parser.add_argument("--folder", type=Path, help="where the store is made; by default a temporary folder")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=o.folder) as folder:
        store = Path(folder) / "signals.zarr"
        write_store(store, o.n, o.length)
        with stored(store, Want()) as found:
            rows = [fitted(found.source, n, seed) for n in o.rows for seed in range(o.seeds)]
    command = " ".join(["python", "benchmarks/draws.py", *asked(sys.argv[1:])])
    text = "\n".join([table(rows), "", f"`{command}`"])
    print(text)
    write("draws", {"command": command, "machine": machine(1), "table": rows}, text)


if __name__ == "__main__":
    main()
