"""Signals with missing samples, and signals on two grids in one fit: errors over the bound of what is left.

The article's signals; held-out errors of the shift, less their median (the zero is a convention), over the
root mean square of the matched-filter bounds of the samples that were measured. Worst of the seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

import shapeshift as ss
from shapeshift.data.synthetic import FAMILIES

RESULTS = Path(__file__).parent / "results"
FAMILY = FAMILIES["article"]
WHOLE = FAMILY.grid(None)
SHARE = 0.3  # of the samples missing
GRIDS = {"100 samples": np.linspace(-12, 7, 100), "160 samples": np.linspace(-8, 12, 160)}
FITTED, HELD = 3000, 2000
LOST = 10  # bounds


class Drawn(NamedTuple):
    """Signals on an axis, and what is true of them."""

    X: xr.DataArray
    shift: np.ndarray
    bound: np.ndarray


def drawn(n: int, x: np.ndarray, rng: np.random.Generator, share: float = 0.0) -> Drawn:
    """Signals of the article's family on an axis, a share of their samples missing."""
    shift, width, noise = (r.draw(rng, n) for r in (FAMILY.shift, FAMILY.params["width"], FAMILY.noise))
    clean = [FAMILY.values(x, shift + h, {"width": width}) for h in (0, -1e-4, 1e-4)]
    seen = rng.random(clean[0].shape) >= share
    values = np.where(seen, clean[0] + noise[:, None] * rng.normal(size=seen.shape), np.nan)
    slope = np.where(seen, (clean[2] - clean[1]) / 2e-4, 0)
    X = xr.DataArray(values, dims=("signal", "x"), coords={"x": x})
    return Drawn(X, shift, noise / np.sqrt((slope**2).sum(1)))


def judged(model: ss.ShiftVAE, held: Drawn) -> dict[str, float]:
    """Efficiency, coverage of 68 % intervals, share of signals lost."""
    p = model.posterior(held.X)
    error = p.shift - held.shift
    error = error - np.median(error)
    return {
        "efficiency": float(np.sqrt(np.mean(error**2) / np.mean(held.bound**2))),
        "coverage68": float(np.mean(np.abs(error) < 0.9945 * p.shift_sd)),
        "lost": float(np.mean(np.abs(error) > LOST * held.bound)),
    }


def run(seed: int) -> dict[str, dict[str, float]]:
    """All cases for one seed."""
    rng, out = np.random.default_rng(seed), {}
    for name, share in (("nothing missing", 0.0), (f"{SHARE:.0%} of the samples missing", SHARE)):
        model = ss.ShiftVAE(random_state=seed).fit(drawn(FITTED, WHOLE, rng, share).X)
        out[name] = judged(model, drawn(HELD, WHOLE, rng, share))
    parts = [drawn(FITTED // 2, x, rng).X for x in GRIDS.values()]
    model = ss.ShiftVAE(random_state=seed).fit(parts)
    for name, x in GRIDS.items():
        out[f"two grids in one fit: {name}, {x[0]:g} to {x[-1]:g}"] = judged(model, drawn(HELD, x, rng))
    return out


def page(runs: dict[str, dict[str, dict[str, float]]]) -> str:
    """The worst of the seeds, as a table."""
    told = f"Worst of {len(runs)} seeds; {FITTED} signals to fit, {HELD} held out."
    lines = ["# Gaps and grids", "", told, ""]
    lines += ["| signals | efficiency | 68 % intervals | lost |", "|---|---|---|---|"]
    for name in next(iter(runs.values())):
        each = [r[name] for r in runs.values()]
        covered = max((e["coverage68"] for e in each), key=lambda c: abs(c - 0.68))
        worst = [max(e[k] for e in each) for k in ("efficiency", "lost")]
        lines.append(f"| {name} | {worst[0]:.3f} | {covered:.1%} | {worst[1]:.2%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, keep, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    runs = {str(s): run(s) for s in range(1, 1 + parser.parse_args().seeds)}
    (RESULTS / "gaps.json").write_text(json.dumps(runs, indent=1) + "\n")
    (RESULTS / "gaps.md").write_text(page(runs))
    print(page(runs))


if __name__ == "__main__":
    main()
