"""Reads hostile files one after the other, with little memory, and prints what came of each: run by fuzz.py.

python _fuzz_worker.py ENDING SEED FIRST COUNT MEGABYTES SEEDS
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from random import Random

import torch
from fuzz_seeds import seeds
from fuzzing import Input, hostile, outcome

MEGABYTE = 2**20


def status(name: str) -> float:
    """A line of this process's own accounts, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def main() -> None:
    """One line of JSON for each input; a line without "what" says which one is being read."""
    results, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no result
    ending, seed, first, count, megabytes = sys.argv[1], *map(int, sys.argv[2:6])
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sound in seeds(ending):  # everything that is imported late is in memory then
            found = outcome(Input(sound, ending, {}), folder)
            assert found.what == "read", found
        limit = int((status("VmSize") + megabytes) * MEGABYTE)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for index in range(first, first + count):
            given = hostile(ending, Random(f"{seed} {ending} {index}"))
            print(json.dumps({"index": index}), file=results, flush=True)
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
            before, start = status("VmRSS"), time.perf_counter()
            found = outcome(given, folder)
            told = {"seconds": time.perf_counter() - start, "megabytes": status("VmHWM") - before}
            record = {"index": index, "what": found.what, "said": found.said[:300], **told}
            print(json.dumps(record), file=results, flush=True)


if __name__ == "__main__":
    main()
