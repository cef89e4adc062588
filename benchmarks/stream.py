"""Posterior of more signals than memory need hold: peak memory, signals a second, and how both grow.

Writes a Zarr store of peaks as the article has them, block by block, into a temporary folder; fits a model to
what it draws from it; then measures each size in a process of its own. The table is written to
benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from measures import machine, table, write

from shapeshift.data.synthetic import sample

WORKER = Path(__file__).with_name("_stream_worker.py")
SHARES = (0.125, 0.25, 0.5, 1.0)
CHUNK = 8192  # signals of a chunk


def write_store(path: Path, n: int, length: int) -> None:
    """Peaks of unknown place and width, float32, with their axis, a chunk at a time."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    dims = {"_ARRAY_DIMENSIONS": ["signal", "x"]}
    X = group.create_array("X", shape=(n, length), chunks=(CHUNK, length), dtype="f4", attributes=dims)
    for k, begin in enumerate(range(0, n, CHUNK)):
        block, _ = sample("article", min(CHUNK, n - begin), seed=k, length=length)
        X[begin : begin + len(block)] = block.values.astype(np.float32)
    about = {"_ARRAY_DIMENSIONS": ["x"], "units": ""}
    group.create_array("x", shape=(length,), dtype="f8", attributes=about)[:] = block["x"].values


def measured(task: str, store: Path, model: Path, n: int) -> dict[str, Any]:
    """One task in a process of its own."""
    command = [sys.executable, str(WORKER), task, str(store), str(model), str(n)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(found, file=sys.stderr, flush=True)
    return found


def slope(rows: list[dict[str, Any]], key: str) -> float:
    """By how much a figure grows with a million signals: least squares."""
    n = np.array([row["n"] for row in rows]) / 1e6
    return float(np.polyfit(n, [row[key] for row in rows], 1)[0])


def measure(folder: Path, n: int, length: int, in_memory: int) -> dict[str, Any]:
    """All figures; signals in memory before, between and after the streams."""
    store, model = folder / "signals.zarr", folder / "model.safetensors"
    write_store(store, n, length)
    sizes = [int(n * share) for share in SHARES]
    fits = [measured("fit", store, model, size) for size in sizes]
    base = measured("nothing", store, model, n)
    loaded, streams = [measured("memory", store, model, in_memory)], []
    for size in sizes:
        streams.append(measured("stream", store, model, size))
        loaded.append(measured("memory", store, model, in_memory))
    rate = float(np.mean([row["rate"] for row in loaded[-2:]]))
    cpu = {
        key: float(np.mean([row["cpu"] / row["n"] * 1e6 for row in rows]))
        for key, rows in (("streamed", streams[-1:]), ("in_memory", loaded[-2:]))
    }
    return {
        "bytes": n * length * 4,
        "packages_alone_mb": base["peak_mb"],
        "peak_mb": streams[-1]["peak_mb"],
        "rate": streams[-1]["rate"],
        "rate_in_memory": rate,
        "ratio": streams[-1]["rate"] / rate,
        "cpu_seconds_per_million": cpu,
        "cpu_ratio": cpu["in_memory"] / cpu["streamed"],
        "peak_mb_per_million": slope(streams, "peak_mb"),
        "seconds_per_million": slope(streams, "seconds"),
        "fit_peak_mb_per_million": slope(fits, "peak_mb"),
        "fit_seconds_per_million": slope(fits, "seconds"),
        "streams": streams,
        "in_memory": loaded,
        "fits": fits,
    }


def page(found: Mapping[str, Any], command: str) -> str:
    """The table to read."""
    tasks = {"posterior, store to store": "streams", "posterior, loaded": "in_memory", "fit": "fits"}
    rows = [
        {
            "task": task,
            "signals": int(row["n"]),
            "peak memory, MB": f"{row['peak_mb']:.0f}",
            "seconds": f"{row['seconds']:.1f}",
            "signals a second": f"{row['rate']:.0f}" if "rate" in row else "-",
            "processor, ms a signal": f"{1e3 * row['cpu'] / row['n']:.4f}" if "cpu" in row else "-",
        }
        for task, key in tasks.items()
        for row in found[key]
    ]
    told = (
        "Signals a second from store to store over those of an array in memory, measured just before and "
        f"after: {found['ratio']:.2f}; by time of the processor {found['cpu_ratio']:.2f}.\n"
        f"Packages and model alone: {found['packages_alone_mb']:.0f} MB. A million signals more: "
        f"{found['peak_mb_per_million']:+.1f} MB and {found['seconds_per_million']:.1f} s; to a fit "
        f"{found['fit_peak_mb_per_million']:+.1f} MB and {found['fit_seconds_per_million']:+.1f} s."
    )
    return "\n\n".join([table(rows), told, f"`{command}`"])


def asked(words: list[str]) -> list[str]:
    """What was asked for, but for the place of the store."""
    at = words.index("--folder") if "--folder" in words else len(words)
    return words[:at] + words[at + 2 :]


def main() -> None:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2_000_000, help="signals, %(default)s")
    parser.add_argument("--length", type=int, default=128, help="samples, %(default)s")
    parser.add_argument("--in-memory", type=int, default=200_000, help="signals that are loaded, %(default)s")
    parser.add_argument("--folder", type=Path, help="where the store is made; by default a temporary folder")
    parser.add_argument("--name", default="stream", help="of the files in benchmarks/results, %(default)s")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=o.folder) as folder:
        found = measure(Path(folder), o.n, o.length, min(o.in_memory, o.n))
    command = " ".join(["python", "benchmarks/stream.py", *asked(sys.argv[1:])])
    text = page(found, command)
    print(text)
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    write(o.name, {"command": command, "machine": machine(threads), **found}, text)


if __name__ == "__main__":
    main()
