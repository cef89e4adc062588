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
from itertools import chain
from pathlib import Path
from queue import Empty, Queue
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import Any

from fuzz_seeds import endings
from measures import machine, table, write

BATCH = 500
STARTING = 900  # seconds for imports and the models that the loader's files are made from
FAULTS = ("wrong", "crash", "hang", "memory")


def batch(command: list[str], seconds: float, starting: float = STARTING) -> Iterator[dict[str, Any]]:
    """What a process that reads inputs says of them, up to the first that ends or stops it."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    with NamedTemporaryFile() as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | one)
        lines: Queue[str] = Queue()
        reader = Thread(target=lambda: [lines.put(line) for line in chain(child.stdout, [""])], daemon=True)
        reader.start()
        now, started, end = -1, False, ""
        try:
            while line := _next(lines, child.pid, seconds if started else starting):
                found, started = json.loads(line), True
                now = -1 if "what" in found else found["index"]
                if "what" in found:
                    yield found
            end = f"status {child.wait(timeout=seconds)}: {Path(log.name).read_text()[-400:]}"
        except Empty:
            end = "no answer"
        finally:
            child.kill()
            child.wait()
            reader.join()
            child.stdout.close()
        if not started:
            sys.exit(f"{' '.join(command)} did not start: {end}")
        if now >= 0:
            yield {"index": now, "what": "hang" if end == "no answer" else "crash", "said": end}


def _next(lines: Queue[str], process: int, seconds: float) -> str:
    """The next line, once it comes within so many seconds of the processor's time, or ten times by the clock:
    others may want the processor too."""
    before = _used(process)
    for _ in range(9):
        try:
            return lines.get(timeout=seconds)
        except Empty:
            if _used(process) - before > seconds:
                raise
    return lines.get(timeout=seconds)


def _used(process: int) -> float:
    """Seconds of the processor's time that a process has had."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def fuzzed(ending: str, n: int, o: argparse.Namespace) -> list[dict[str, Any]]:
    """What came of n inputs of an ending; after one that ended its process the next goes on."""
    out: list[dict[str, Any]] = []
    worker = Path(__file__).with_name("_fuzz_worker.py")
    while len(out) < n:
        numbers = (o.seed, len(out), min(BATCH, n - len(out)), o.megabytes)
        command = [sys.executable, str(worker), ending, *map(str, numbers)]
        out += [{"ending": ending, **record} for record in batch(command, o.seconds)]
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
        f"hang: more than {o.seconds:g} s of the processor's time; memory: more than {o.megabytes} MB beyond "
        "what the imports take was asked for."
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
