"""The picture of the README: the article's peaks before and after alignment, and what is known of them.

Run as `python docs/overview.py`; writes docs/overview.png. All signals shown are held out from the fit.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

import shapeshift as ss
from shapeshift.data.synthetic import Pairs, article_pairs
from shapeshift.fit.posterior import Posterior
from shapeshift.show import style

CURVES, MARKS = 50, 120
POSITION, WIDTH = "viridis", "cividis"


@style.styled
def overview(m: ss.ShiftVAE, held_out: Pairs) -> Figure:
    """Four panels: as measured, moved back, shift against truth with error bars, latents by width."""
    X, true, p = held_out.first, held_out.shift_first, m.posterior(held_out.first)
    figure = style.sheet(style.DOUBLE * 1.45, style.DOUBLE * 0.36)
    raw, moved, truth, latent = figure.subplots(1, 4)
    norm = Normalize(true.min(), true.max())
    for ax, signals, title in ((raw, X, "signals as measured"), (moved, m.align(X), "moved back to shift 0")):
        _curves(ax, signals, true, norm)
        ax.set_title(title)
    moved.sharey(raw)
    moved.tick_params(labelleft=False)
    raw.set_ylabel("signal (scaled to 0 ... 1)")
    style.bar(figure, [moved], ScalarMappable(norm, POSITION), "true position (units of x)")
    _truth(truth, p, true)
    width = held_out.params["width"]
    marks = latent.scatter(p.z[:, 0], p.z[:, 1], c=width, s=3, cmap=WIDTH, linewidths=0)
    latent.set(xlabel="z1 (prior sd)", ylabel="z2 (prior sd)", title="shape: one factor, found by itself")
    latent.set(ylim=(-4, 4))
    style.bar(figure, [latent], marks, "true width (units of x)")
    return figure


def _curves(ax: Axes, signals: object, true: np.ndarray, norm: Normalize) -> None:
    x, rows = signals["x"].values, signals.values[:CURVES]
    lines = [np.column_stack([x, row]) for row in rows]
    ax.add_collection(LineCollection(lines, array=true[:CURVES], cmap=POSITION, norm=norm, linewidths=0.6))
    ax.set(xlim=(x[0], x[-1]), ylim=(0, 1), xlabel="x")


def _truth(ax: Axes, p: Posterior, true: np.ndarray) -> None:
    """Shift against true position; the differences, with their error bars, enlarged in an inset."""
    zero = np.median(p.shift - true)
    ax.plot([-3, 3], [-3, 3], color=style.INK, lw=0.7, ls="--")
    ax.plot(true, p.shift - zero, ".", ms=2, color=style.BLUE)
    ax.set(xlabel="true position (units of x)", ylabel="shift (units of x)", title="shift against truth")
    inset = ax.inset_axes((0.6, 0.13, 0.38, 0.3))
    left, sd = (p.shift - zero - true)[:MARKS], p.shift_sd[:MARKS]
    inset.axhline(0, color=style.INK, lw=0.6, ls="--")
    inset.errorbar(true[:MARKS], left, sd, fmt=".", ms=2, lw=0.5, color=style.BLUE, ecolor=style.ORANGE)
    inset.set(ylim=(-0.25, 0.25), xticks=(), yticks=(-0.2, 0, 0.2))
    inset.tick_params(labelsize=6)
    inset.set_title("difference ± 1 sd", fontsize=6.5, pad=2)


def main() -> None:
    """Fit, draw, write."""
    X, _ = ss.synthetic.article(n=5000, seed=1)
    m = ss.ShiftVAE(n_latent=2, random_state=1).fit(X)
    figure = overview(m, article_pairs(1000, 7, like=X))
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    few = Image.open(buffer).convert("RGB").quantize(256)  # colours: half the bytes
    few.save(Path(__file__).with_name("overview.png"), optimize=True)


if __name__ == "__main__":
    main()
