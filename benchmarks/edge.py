"""ONNX files against Python: parity of many kinds of models at many batch sizes; accuracy, time and size by
the number of refining steps."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import xarray as xr

import shapeshift as ss
from shapeshift.data.synthetic import article_pairs

RESULTS = Path(__file__).parent / "results"
BATCHES = (1, 2, 7, 64, 1000)
STEPS = (0, 1, 2, 4)
FITTED, HELD, LOST = 5000, 2000, 10


class Case(NamedTuple):
    """A kind of model: signals of a seed, options, and what is given of them."""

    draw: Callable[[int, int], Any]
    options: dict[str, Any]


def signals(n: int, seed: int, *, scaled: bool = False) -> np.ndarray:
    """Pseudo-Voigt lines; scaled, of unknown height on a slope."""
    values, rng = ss.synthetic.sample("pseudo-voigt", n, seed)[0].values, np.random.default_rng(seed)
    if scaled:
        slope = rng.normal(size=(n, 1)) * np.linspace(-1, 1, values.shape[1])
        values = 4 ** rng.uniform(0, 1, (n, 1)) * values + slope
    return values.astype(np.float32)


def counts(n: int, seed: int) -> np.ndarray:
    mean = np.maximum(signals(n, seed), 0) * 30 + 3
    return np.random.default_rng(seed).poisson(mean).astype(np.float32)


def spikes(n: int, seed: int) -> np.ndarray:
    values, rng = signals(n, seed), np.random.default_rng(seed)
    values[np.arange(n), rng.integers(0, values.shape[1], n)] += 5
    return values


def reversed_axis(n: int, seed: int) -> xr.DataArray:
    values = signals(n, seed)
    energy = np.linspace(50.0, 20.0, values.shape[1])
    return xr.DataArray(values, dims=("n", "E"), coords={"E": ("E", energy, {"units": "eV"})})


SCALED = lambda n, s: signals(n, s, scaled=True)  # noqa: E731
CASES = {
    "article": Case(lambda n, s: ss.synthetic.article(n=n, seed=s)[0].values.astype(np.float32), {}),
    "gain and baseline": Case(SCALED, {"nuisance": ("gain", "baseline")}),
    "Poisson counts": Case(counts, {"likelihood": "poisson"}),
    "spikes": Case(spikes, {"likelihood": "student-t"}),
    "zero at the peak": Case(signals, {"zero": "peak"}),
    "zero at the centroid": Case(signals, {"zero": "centroid"}),
    **{f"normalised by {how}": Case(SCALED, {"normalise": how}) for how in ("max", "area", "sd", "minmax")},
    "axis that falls": Case(reversed_axis, {}),
    "network of the coordinate": Case(signals, {"decoder": "coordinate", "epochs": 10}),
}


def session(path: Path) -> onnxruntime.InferenceSession:
    """A file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def parity(case: Case, folder: Path) -> float:
    """Largest difference of a shift between file and Python, in samples, over all batch sizes."""
    model = ss.ShiftVAE(**case.options).fit(case.draw(1500, 1))
    model.export(folder / "parity.onnx", force=True)
    file, held, worst = session(folder / "parity.onnx"), case.draw(max(BATCHES), 2), 0.0
    for n in BATCHES:
        x = held[:n]
        rising = x.values[:, ::-1].copy() if isinstance(x, xr.DataArray) else x
        shift = file.run(["shift"], {"signals": rising})[0]
        apart = np.abs(shift - model.posterior(x, refine=False).shift) / model.axis_step_
        worst = max(worst, float(apart.max()))
    return worst


def judged(shift: list[np.ndarray], sd: list[np.ndarray], pairs: Any) -> dict[str, float]:
    """Error of a move over the bound, 68 % intervals, moves lost."""
    error = shift[1] - shift[0] - pairs.moved
    lost = np.abs(error) > LOST * pairs.bound
    return {
        "efficiency": float(np.sqrt(np.mean(error[~lost] ** 2) / np.mean(pairs.bound[~lost] ** 2))),
        "coverage68": float(np.mean(np.abs(error) < 0.9945 * np.hypot(*sd))),
        "lost": float(lost.mean()),
    }


def clocked(file: onnxruntime.InferenceSession, x: np.ndarray, n: int) -> float:
    """Median time of a batch of n, in ms a signal."""
    spent = []
    for k in range(1000 if n == 1 else 200):
        at = k * n % (len(x) - n)
        begin = time.perf_counter()
        file.run(None, {"signals": x[at : at + n]})
        spent.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(spent)) / n


def by_steps(folder: Path) -> dict[str, dict[str, float]]:
    """Accuracy, times and size of the article's set."""
    X, _ = ss.synthetic.article(n=FITTED, seed=1)
    model, pairs = ss.ShiftVAE().fit(X), article_pairs(HELD, seed=2, like=X)
    both = [v.values.astype(np.float32) for v in (pairs.first, pairs.second)]
    p = [model.posterior(x) for x in both]
    out = {"posterior(X) in Python": judged([q.shift for q in p], [q.shift_sd for q in p], pairs)}
    for steps in STEPS:
        path = folder / f"{steps}.onnx"
        model.export(path, steps=steps)
        file = session(path)
        shift, sd, trust = zip(
            *(file.run(["shift", "shift_sd", "trust"], {"signals": x}) for x in both), strict=True
        )
        told = judged(list(shift), list(sd), pairs) | {"trust": float(np.mean(trust))}
        times = {f"ms, batch {n}": clocked(file, both[0], n) for n in (1, 100)}
        out[f"steps={steps}"] = told | times | {"kB": path.stat().st_size / 1e3}
    return out


def page(record: dict[str, Any]) -> str:
    """Both tables."""
    lines = ["# ONNX files against Python", ""]
    lines += [f"Largest difference of a shift, batches of {', '.join(map(str, BATCHES))}.", ""]
    lines += ["| model | samples |", "|---|---|"]
    lines += [f"| {name} | {worst:.1e} |" for name, worst in record["parity"].items()]
    told = f"The article's set, {FITTED} signals, judged on {HELD} pairs; one thread, medians."
    lines += [
        "",
        told,
        "",
        "| | error of a move / bound | 68 % intervals | ms, batch 1 | ms, batch 100 | kB |",
    ]
    lines += ["|---|---|---|---|---|---|"]
    for name, row in record["steps"].items():
        times = [f"{row[k]:.3f}" if k in row else "" for k in ("ms, batch 1", "ms, batch 100")]
        size = f"{row['kB']:.0f}" if "kB" in row else ""
        cells = [name, f"{row['efficiency']:.3f}", f"{row['coverage68']:.1%}", *times, size]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, keep, tell."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record: dict[str, Any] = {"steps": by_steps(folder), "parity": {}}
        for kind, case in CASES.items():
            record["parity"][kind] = parity(case, folder)
            print(kind, record["parity"][kind], flush=True)
    (RESULTS / "edge.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "edge.md").write_text(page(record))
    print(page(record))


if __name__ == "__main__":
    main()
