"""shapeshift and pyroVED side by side on signals whose shift and shape are known.

Both fit the same set with the same number of threads, one after the other (shapeshift, pyroVED,
shapeshift again, so that neither has the cooler machine), and encode the same held-out pairs. The
printed table and everything behind it are written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from _peers import PYROVED, peer_python
from measures import Estimates, leak, machine, pair_measures, slope, table, write

import shapeshift as ss
from shapeshift.analysis.collapse import active_latents
from shapeshift.data.families import ARTICLE_SHAPES, FAMILIES
from shapeshift.data.synthetic import Pairs, Range, pairs, sample

SETS = FAMILIES | {"article-mixed": ARTICLE_SHAPES["mixed"]}
DX_PRIOR = 0.3  # prior sd of pyroVED's offset, as in the article: share of the half axis
QUIET = Range(1e-3, 1e-3)  # noise of the pairs that show the leak


@dataclass(frozen=True)
class Task:
    """Signals to fit with their true shifts, and held-out pairs: all scaled to (0, 1) over the set."""

    name: str
    train: xr.DataArray
    shift: np.ndarray
    noisy: Pairs
    quiet: Pairs

    @property
    def arrays(self) -> dict[str, xr.DataArray]:
        """What both estimators get to see."""
        return {
            "train": self.train,
            "first": self.noisy.first,
            "second": self.noisy.second,
            "quiet_first": self.quiet.first,
            "quiet_second": self.quiet.second,
        }


@dataclass(frozen=True)
class Run:
    """Estimates by the name of the array, nominal slope, and seconds spent."""

    estimates: dict[str, Estimates]
    slope: float
    fit_seconds: float
    encode_seconds: float


def make_task(name: str, n: int, n_pairs: int, seed: int) -> Task:
    """The set ``name`` and pairs of the same family from other seeds, scaled as the article does."""
    family = SETS[name]
    raw, truth = sample(family, n, seed)
    low, high = float(raw.min()), float(raw.max())

    def scaled(X: xr.DataArray) -> xr.DataArray:
        return (X - low) / (high - low)

    held_out = [
        replace(p, first=scaled(p.first), second=scaled(p.second))
        for p in (
            pairs(family, n_pairs, seed + 1000),
            pairs(replace(family, noise=QUIET), n_pairs, seed + 2000),
        )
    ]
    return Task(name, scaled(raw), truth["shift"].values, *held_out)


def run_shapeshift(task: Task, seed: int) -> Run:
    """Fit with default options; shifts come in axis units."""
    start = time.perf_counter()
    model = ss.ShiftVAE(random_state=seed).fit(task.train)
    fitted = time.perf_counter()
    posteriors = {name: model.posterior(X) for name, X in task.arrays.items()}
    encoded = time.perf_counter()
    estimates = {name: Estimates(p.shift, p.shift_sd, p.z, p.z_sd) for name, p in posteriors.items()}
    nominal = slope(estimates["first"].shift, task.noisy.shift_first)
    return Run(estimates, nominal, fitted - start, encoded - fitted)


def run_pyroved(task: Task, python: Path, options: dict[str, object]) -> Run:
    """Fit in pyroVED's own environment.

    Its offsets are turned into axis units, for its benefit, by the regression of the true shifts of
    the training set on them; the slope is of the nominal conversion, offset x prior x half axis.
    """
    worker = Path(__file__).with_name("_pyroved_worker.py")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **{name: X.values.astype(np.float32) for name, X in task.arrays.items()})
        subprocess.run([python, worker, source, target, json.dumps(options)], check=True)
        with np.load(target) as arrays:
            out = dict(arrays)
    per_unit, zero = np.polyfit(out["train_mean"][:, 0], task.shift, 1)
    estimates = {
        name: Estimates(
            zero + per_unit * out[f"{name}_mean"][:, 0],
            abs(per_unit) * out[f"{name}_sd"][:, 0],
            out[f"{name}_mean"][:, 1:],
            out[f"{name}_sd"][:, 1:],
        )
        for name in task.arrays
    }
    axis = task.train.x.values
    nominal = float(DX_PRIOR * np.ptp(axis) / 2) * slope(out["first_mean"][:, 0], task.noisy.shift_first)
    return Run(estimates, nominal, float(out["fit_seconds"]), float(out["encode_seconds"]))


def measure(task: Task, run: Run) -> dict[str, float]:
    """All figures of one run."""
    e = run.estimates
    used = active_latents(e["train"]).active
    n_encoded = sum(len(X) for X in task.arrays.values())
    return {
        **pair_measures(e["first"], e["second"], task.noisy.moved, task.noisy.bound),
        "slope": run.slope,
        "active_latents": int(used.sum()),
        "leak": leak(e["quiet_first"].z, e["quiet_second"].z, used),
        "fit_seconds": run.fit_seconds,
        "encode_ms_per_signal": 1e3 * run.encode_seconds / n_encoded,
    }


ROWS = {
    "efficiency": "RMS error / matched-filter bound (1 is the limit)",
    "lost": "share of pairs off by more than 10 bounds",
    "slope": "slope of shift against truth, nominal units",
    "coverage68": "68 % intervals that hold the truth",
    "coverage95": "95 % intervals that hold the truth",
    "active_latents": "active latents of 2",
    "leak": "change of shape latents when a signal moves (0 none, 1 all)",
    "fit_seconds": "fit, s",
    "encode_ms_per_signal": "encode, ms a signal",
}


def as_text(record: dict) -> str:
    """The table and what it was made with."""
    ours, peer = record["shapeshift"], record["pyroved"]
    rows = [{"": label, "shapeshift": ours[key], "pyroVED": peer[key]} for key, label in ROWS.items()]
    o, m = record["options"], record["machine"]
    return "\n".join(
        [
            table(rows),
            "",
            f"Set `{o['set']}`: {o['n']} signals fitted, {o['pairs']} held-out pairs, seed {o['seed']}. "
            f"pyroVED: {o['peer_epochs']} epochs, batches of {o['peer_batch_size']}, sampler "
            f"{o['peer_sampler']}. Time to fit, pyroVED / shapeshift: {record['time_ratio']:.0f}. "
            f"{m['processor']}, {m['threads']} threads each, torch {m['torch']}.",
            "",
            f"`{record['command']}`",
        ]
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=list(SETS), default="article", help="default: %(default)s")
    parser.add_argument("--n", type=int, default=5000, help="signals to fit (%(default)s)")
    parser.add_argument("--pairs", type=int, default=2000, help="held-out pairs (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of data and both estimators (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of both estimators (%(default)s)")
    parser.add_argument("--peer-epochs", type=int, default=250, help="%(default)s")
    parser.add_argument("--peer-batch-size", type=int, default=100, help="pyroVED's own default, %(default)s")
    parser.add_argument(
        "--peer-sampler", default="bernoulli", help="bernoulli (the article's), gaussian, ..."
    )
    parser.add_argument(
        "--peer-python", type=Path, help="interpreter with pyroVED; default: .venv-peers, made here"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Run both, print the table, write the results."""
    o = parse()
    python = o.peer_python or peer_python()
    torch.set_num_threads(o.threads)
    task = make_task(o.set, o.n, o.pairs, o.seed)
    options = {
        "n_latent": 2,
        "dx_prior": DX_PRIOR,
        "sampler": o.peer_sampler,
        "seed": o.seed,
        "batch_size": o.peer_batch_size,
        "epochs": o.peer_epochs,
        "threads": o.threads,
    }
    before = run_shapeshift(task, o.seed)
    peer = run_pyroved(task, python, options)
    after = run_shapeshift(task, o.seed)
    seconds = [before.fit_seconds, after.fit_seconds]
    ours = replace(after, fit_seconds=float(np.mean(seconds)))
    record = {
        "command": " ".join(["python", "benchmarks/against_pyroved.py", *sys.argv[1:]]),
        "options": {k: v for k, v in vars(o).items() if k != "peer_python"},
        "machine": machine(o.threads) | {"peer": PYROVED},
        "shapeshift": measure(task, ours) | {"fit_seconds_each": seconds},
        "pyroved": measure(task, peer),
        "time_ratio": peer.fit_seconds / ours.fit_seconds,
    }
    text = as_text(record)
    print(text)
    write("against_pyroved" + ("" if o.set == "article" else f"_{o.set}"), record, text)


if __name__ == "__main__":
    main()
