"""Runs of the command line killed (SIGKILL) at random moments and resumed: the same numbers, to the bit?

Moments are uniform over the life of a run, from the start of the process to its end, told by the processor
time it has used, so that a busy machine does not matter (Linux). The first run of a case is never killed;
every other one is killed once, resumed, and compared with it: all tensors of the model file, the table of
signals, every variable of posterior.nc, the history. The printed table is written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from measures import machine, table, write

import shapeshift as ss
from shapeshift.fit import checkpoint

COMMAND = (sys.executable, "-m", "shapeshift.show.cli", "fit")


class Case(NamedTuple):
    """Data in a file, and the options they are fitted with."""

    name: str
    data: Path
    options: tuple[str, ...]

    def command(self, out: Path, *more: str) -> list[str]:
        """The command line of a run."""
        return [*COMMAND, str(self.data), "--out", str(out), "--no-progress", *self.options, *more]


class Kill(NamedTuple):
    """One killed run: the moment, what was there then, and what came of it."""

    case: str
    moment: float  # as a share of the life of a run
    found: str
    resumed: str
    equal: bool
    left: int  # things in the folder besides the run


def article(folder: Path, n: int, epochs: int, every: int = 5) -> Case:
    """The article's signals."""
    X, _ = ss.synthetic.article(n=n, seed=1)
    X.to_pandas().to_csv(folder / "article.csv", index=False)
    return Case("article", folder / "article.csv", options_of(epochs, every))


def bars(folder: Path, n: int, epochs: int, every: int = 5) -> Case:
    """Images of bars of several lengths, turned and displaced."""
    rng = np.random.default_rng(1)
    r, c = np.mgrid[-9:10, -9:10]
    turn, long = rng.uniform(-0.5, 0.5, (n, 1, 1)), rng.uniform(2, 4, (n, 1, 1))
    down, right = rng.uniform(-2, 2, (2, n, 1, 1))
    along = np.cos(turn) * (c - right) + np.sin(turn) * (r - down)
    across = np.cos(turn) * (r - down) - np.sin(turn) * (c - right)
    images = np.exp(-((along / long) ** 2) - across**2 / 2) + 0.05 * rng.normal(size=(n, 19, 19))
    np.save(folder / "bars.npy", images)
    return Case("images", folder / "bars.npy", ("--kind", "image", *options_of(epochs, every)))


def options_of(epochs: int, every: int) -> tuple[str, ...]:
    """How long to train, and how often to write the state down."""
    return ("--epochs", str(epochs), "--checkpoint-every", str(every))


def killed(case: Case, whole: Path, moment: float, seconds: float, above: Path) -> Kill:
    """Kill a run at a moment of its life, resume it, and compare it with the whole one."""
    folder = Path(tempfile.mkdtemp(dir=above))
    out = folder / "run"
    process = subprocess.Popen(case.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and used(process.pid) < moment * seconds:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = what_is_there(out)
    again = subprocess.run(case.command(out, "--resume"), capture_output=True, text=True)
    equal = again.returncode == 0 and same(out, whole)
    left = len([path for path in folder.iterdir() if path != out])
    shutil.rmtree(folder)
    said = {"nothing to go on": "begun", "going on": "gone on", "is complete": "left as it was"}
    resumed = next((w for k, w in said.items() if k in again.stderr), "-")
    return Kill(case.name, moment, found, resumed, equal, left)


def used(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def what_is_there(out: Path) -> str:
    """What a killed run has left, in words."""
    state = out.with_name("run.checkpoint") / "stage-1.safetensors"
    if out.exists():
        return "the run"
    if not state.exists():
        return "nothing yet"
    _, told = checkpoint.read(state, "shapeshift-training")
    return f"{len(told['records'])} epochs" + (", training over" if told["stopped"] else "")


def same(one: Path, two: Path) -> bool:
    """Whether two runs hold the same numbers, to the bit."""
    tables = ("signals.csv", "history.csv")
    (a, _), (b, _) = (checkpoint.read(run / "model.safetensors") for run in (one, two))
    p, q = (xr.load_dataset(run / "posterior.nc", engine="h5netcdf") for run in (one, two))
    return (
        all((one / name).read_bytes() == (two / name).read_bytes() for name in tables)
        and a.keys() == b.keys()
        and all(bits(t.numpy()) == bits(b[name].numpy()) for name, t in a.items())
        and p.variables.keys() == q.variables.keys()
        and all(bits(v.values) == bits(q[name].values) for name, v in p.variables.items())
    )


def bits(array: np.ndarray) -> bytes:
    """Type and bytes of an array; of texts, the texts."""
    return repr((array.dtype.str, array.shape)).encode() + (
        repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    )


def kills_of(case: Case, times: int, seed: int, above: Path) -> list[Kill]:
    """So many killed runs of a case."""
    whole, rng = above / f"whole-{case.name}", random.Random(f"{case.name} {seed}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(case.command(whole), capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [killed(case, whole, rng.random(), seconds, above) for _ in range(times)]


def page(kills: list[Kill]) -> str:
    """The table of all kills, and what they come to."""
    rows = [
        {
            "data": k.case,
            "killed at, % of the life of a run": round(100 * k.moment),
            "what was there": k.found,
            "resumed": k.resumed,
            "bit-equal": "yes" if k.equal else "NO",
        }
        for k in kills
    ]
    equal, left = sum(k.equal for k in kills), sum(k.left for k in kills)
    return f"{table(rows)}\n\n{equal} of {len(kills)} bit-equal; {left} other files left behind."


def main() -> int:
    """Kill, resume, compare; print the table and write the results. Status 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=15, help="killed runs of signals (%(default)s)")
    parser.add_argument("--images", type=int, default=5, help="killed runs of images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        above = Path(name)
        kills = kills_of(article(above, 1000, 300), o.signals, o.seed, above)
        kills += kills_of(bars(above, 300, 120), o.images, o.seed, above)
    command = " ".join(["python", "benchmarks/kills.py", *sys.argv[1:]])
    text = f"{page(kills)}\n\n`{command}`"
    print(text)
    write("kills", {"command": command, "machine": machine(1), "table": [k._asdict() for k in kills]}, text)
    return 0 if all(k.equal and not k.left for k in kills) else 1


if __name__ == "__main__":
    raise SystemExit(main())
