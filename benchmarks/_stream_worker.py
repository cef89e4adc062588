"""One measurement of `stream.py` in a process of its own, so that its peak of memory is its own.

usage: python _stream_worker.py TASK STORE MODEL N

TASK is `stream` (posterior of the first N signals, block by block, to a Zarr group), `memory` (of the first
N, loaded before the clock starts), `fit` (to draws from the first N; writes MODEL) or `nothing` (the packages
and the model alone). Prints one line of JSON; `cpu` are seconds of processor time, all threads together.
"""

import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import zarr

import shapeshift as ss
from shapeshift.data.carrier import Want
from shapeshift.data.stored import stored

WARM_UP = 512  # signals, before the clock starts


def peak() -> float:
    """Largest resident memory so far, MB; the kernel's own count where it is told, as a child's ``ru_maxrss``
    may start from that of its parent."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def stream(store: str, model: str, n: int) -> dict[str, float]:
    """Signals a second from store to store."""
    m = ss.load(model)
    with tempfile.TemporaryDirectory(dir=Path(store).parent) as folder, stored(Path(store), Want()) as found:
        m.posterior(found.source.read(0, WARM_UP))
        busy = time.process_time()
        done = ss.stream(m, replace(found.source, shape=(n,)), Path(folder) / "posterior.zarr")
        busy = time.process_time() - busy
    return {"seconds": done.seconds, "rate": n / done.seconds, "cpu": busy}


def memory(store: str, model: str, n: int) -> dict[str, float]:
    """Signals a second of an array in memory."""
    m, X = ss.load(model), zarr.open_group(store, mode="r")["X"][:n]
    m.posterior(X[:WARM_UP])
    begin, busy = time.perf_counter(), time.process_time()
    m.posterior(X)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    return {"seconds": seconds, "rate": n / seconds, "cpu": busy}


def fit(store: str, model: str, n: int) -> dict[str, float]:
    """Seconds of a fit to what it draws itself."""
    with stored(Path(store), Want()) as found:
        m = ss.ShiftVAE()
        begin = time.perf_counter()
        m.fit(replace(found.source, shape=(n,)))
        seconds = time.perf_counter() - begin
    m.save(model)
    return {"seconds": seconds, "signals_drawn": m.n_signals_}


def nothing(store: str, model: str, n: int) -> dict[str, float]:
    """The packages and the model alone."""
    ss.load(model)
    return {}


if __name__ == "__main__":
    task, store, model, n = sys.argv[1:]
    found = {"stream": stream, "memory": memory, "fit": fit, "nothing": nothing}[task](store, model, int(n))
    print(json.dumps({"task": task, "n": int(n), "peak_mb": peak(), **found}))
