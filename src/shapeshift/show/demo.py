"""The experiment of "Mastering the Shifts with Variational Autoencoders" (arXiv:2104.10207), judged.

Peaks of unknown place and width, with a Gaussian line shape and with mixtures of a Gaussian and a
Lorentzian; fitted by an ordinary VAE and by the shift-VAE. All numbers come from signals that no fit
has seen: pairs of one shape at two positions, of another seed.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import shapeshift
from shapeshift.analysis.baselines import Decomposition, nmf, pca
from shapeshift.analysis.calibration import Calibration, calibration_of
from shapeshift.analysis.collapse import active_latents
from shapeshift.data import synthetic
from shapeshift.data.families import ARTICLE_SHAPES
from shapeshift.show.figures_fit import components_for
from shapeshift.show.place import new_folder

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.fit.posterior import Posterior

SHAPES = ("gaussian", "mixed")
N_LATENT = 2
HELD_OUT = 1500  # pairs that no fit has seen
NMF_PARTS = 8


@dataclass(frozen=True, eq=False)
class Trial:
    """One variant of the experiment: its signals, both fits, and held-out pairs as both see them."""

    shape: str
    X: xr.DataArray
    pairs: synthetic.Pairs
    linear: tuple[Decomposition, Decomposition]
    m: Any
    vae: Any
    first: Posterior
    vae_first: Posterior
    judged: Calibration


def run_demo(
    out: Path | str,
    *,
    n: int = 5000,
    seed: int = 1,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run the article's experiment and write `summary.json`, `report.html` and the figures to a folder.

    Parameters
    ----------
    out : path
        The folder; it appears when everything is done.
    n : int
        Number of signals to fit.
    seed : int
        Of the signals and the fits; the signals that judge are of the next one.
    force : bool
        Replace the folder of an earlier run.
    progress : callable, optional
        Told what is being done, in a few words.

    Returns
    -------
    dict
        What `summary.json` holds.

    Raises
    ------
    ShapeshiftError
        If the folder exists and `force` is not given, or is not one of an earlier run.
    """
    from shapeshift.show.demo_page import demo_page
    from shapeshift.show.page import write_page

    tell = progress or (lambda words: None)
    begin = time.perf_counter()
    with new_folder(out, force=force) as folder:
        trials = [run_trial(shape, n, seed, tell) for shape in SHAPES]
        summary: dict[str, Any] = {"n_signals": n, "n_latent": N_LATENT}
        for trial in trials:
            summary |= {_key(trial.shape, name): value for name, value in judge(trial).items()}
        tell("drawing")
        page = demo_page(trials, summary)
        write_page(page, folder / "report.html", figures=folder / "figures")
        summary |= {"seconds_total": time.perf_counter() - begin, "versions": versions()}
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def run_trial(shape: str, n: int, seed: int, tell: Callable[[str], None]) -> Trial:
    """Both fits of one variant, and what they say of held-out pairs."""
    from shapeshift.fit.estimators import ShiftVAE

    X, _ = synthetic.article(n, seed, shape=shape)
    pairs = synthetic.article_pairs(HELD_OUT, seed + 1, shape=shape, like=X)
    tell(f"{shape}: linear decompositions")
    linear = pca(X, min(n, X.shape[1])), nmf(X, NMF_PARTS)
    tell(f"{shape}: ordinary VAE")
    vae = ShiftVAE(N_LATENT, warps=(), random_state=seed).fit(X)
    tell(f"{shape}: shift-VAE")
    m = ShiftVAE(N_LATENT, random_state=seed).fit(X)
    first, second, again = (m.posterior(x) for x in (pairs.first, pairs.second, redrawn(pairs, shape, seed)))
    judged = calibration_of(first, second, pairs.moved, pairs.bound, again)
    return Trial(shape, X, pairs, linear, m, vae, first, vae.posterior(pairs.first), judged)


def redrawn(pairs: synthetic.Pairs, shape: str, seed: int) -> xr.DataArray:
    """The first signals of the pairs in another draw of noise."""
    X = pairs.first
    clean = ARTICLE_SHAPES[shape].values(X["x"].values, pairs.shift_first, pairs.params)
    noise = np.random.default_rng((seed, 2)).normal(size=X.shape)
    scaled = (clean - X.attrs["offset"]) / X.attrs["scale"]
    return X.copy(data=scaled + pairs.noise[:, None] * noise)


def judge(t: Trial) -> dict[str, float]:
    """The numbers of one variant, from held-out signals (see `analysis.Calibration`)."""
    return {
        "fit_seconds": float(t.m.fit_seconds_),
        "vae_seconds": float(t.vae.fit_seconds_),
        "efficiency": t.judged.efficiency,
        "slope": float(np.polyfit(t.pairs.shift_first, t.first.shift, 1)[0]),
        "active_latents": active_latents(t.first).n_active,
        "coverage68": t.judged.coverage68,
        "coverage95": t.judged.coverage95,
        "leak": t.judged.leak,
        "lost": t.judged.lost,
        "pca_components_95": components_for(t.linear[0].explained),
    }


def versions() -> str:
    """The versions that made the numbers."""
    import torch

    named = {"shapeshift": shapeshift.__version__, "torch": torch.__version__, "numpy": np.__version__}
    return ", ".join(f"{k} {v}" for k, v in (named | {"python": platform.python_version()}).items())


def _key(shape: str, name: str) -> str:
    return name if shape == SHAPES[0] else f"{shape}_{name}"
