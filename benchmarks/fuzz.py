"""Damaged and hostile files for every reader and the model loader: all are read or refused in a sentence.

Batches run in a process of their own that may have little more memory than the imports take, with a time
limit for each file. What an input was can be made again from seed, ending and index. The table is written to
benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import Any

from fuzzing import endings
from measures import machine, table, write

BATCH = 500
STARTING = 120  # seconds for imports and the models that the loader's files are made from
FAULTS = ("wrong", "crash", "hang", "memory")


def batch(ending: str, seed: int, first: int, count: int, o: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What came of some inputs, up to the first that ends or stops the process that reads them."""
    worker = Path(__file__).with_name("_fuzz_worker.py")
    command = [sys.executable, str(worker), ending, *map(str, (seed, first, count, o.megabytes))]
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    with NamedTemporaryFile() as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | one)
        lines: Queue[str] = Queue()
        reader = Thread(target=lambda: [lines.put(line) for line in (*child.stdout, "")], daemon=True)
        reader.start()
        now, wait = -1, STARTING
        try:
            while line := lines.get(timeout=wait):
                found = json.loads(line)
                now, wait = found["index"], o.seconds
                if "what" in found:
                    yield found
                    now = -1
        except Empty:
            yield {"index": now, "what": "hang", "said": f"no answer in {wait} s"}
        finally:
            child.kill()
            child.wait()
            reader.join()
        if child.returncode and now >= 0 and wait == o.seconds and not lines.qsize():
            end = Path(log.name).read_text()[-400:]
            yield {"index": now, "what": "crash", "said": f"status {child.returncode}: {end}"}
        elif child.returncode and now < 0 and wait == STARTING:
            sys.exit(Path(log.name).read_text()[-2000:])


def fuzzed(ending: str, n: int, o: argparse.Namespace) -> list[dict[str, Any]]:
    """What came of n inputs of an ending."""
    out: list[dict[str, Any]] = []
    while len(out) < n:
        done = {record["index"] for record in out}
        for record in batch(ending, o.seed, len(out), min(BATCH, n - len(out)), o):
            if record["index"] not in done:
                out.append({"ending": ending, **record})
                done.add(record["index"])
    return out


def row(ending: str, found: list[dict[str, Any]]) -> dict[str, object]:
    """A line of the table."""
    counts = Counter(record["what"] for record in found)
    return {
        "file": ending,
        "inputs": len(found),
        **{what: counts[what] for what in ("read", "refused", *FAULTS)},
        "slowest, s": max(record.get("seconds", 0.0) for record in found),
        "most memory, MB": round(max(record.get("megabytes", 0.0) for record in found)),
    }


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="in all; %(default)s")
    parser.add_argument("--only", nargs="+", choices=endings(), default=endings(), help="default: all")
    parser.add_argument("--seed", type=int, default=0, help="%(default)s")
    parser.add_argument("--seconds", type=float, default=20.0, help="for one file; %(default)s")
    parser.add_argument("--megabytes", type=int, default=500, help="beyond the imports; %(default)s")
    parser.add_argument("--no-write", action="store_true", help="print the table only")
    return parser.parse_args()


def main() -> None:
    """Fuzz all, print the table, write the results; status 1 if anything went wrong."""
    o = parse()
    each = -(-o.inputs // len(o.only))
    rows, faults = [], []
    for ending in o.only:
        found = fuzzed(ending, each, o)
        rows.append(row(ending, found))
        faults += [record for record in found if record["what"] in FAULTS]
        print(rows[-1], file=sys.stderr)
    command = " ".join(["python", "benchmarks/fuzz.py", *sys.argv[1:]])
    total = sum(int(str(r["inputs"])) for r in rows)
    note = (
        f"{total} files, {len(faults)} faults. wrong: another error than a clear refusal, or a warning; "
        f"hang: more than {o.seconds:g} s; memory: more than {o.megabytes} MB beyond what the imports take "
        "was asked for."
    )
    text = "\n".join([table(rows), "", note, "", f"`{command}`"])
    print(text)
    if not o.no_write:
        write("fuzz", {"command": command, "machine": machine(1), "table": rows, "faults": faults}, text)
    for record in faults[:200]:
        print(json.dumps(record), file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
