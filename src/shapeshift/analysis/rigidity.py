"""Does all of the pattern move together, or does a part stand still while another moves?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

GROUPS = 10  # of signals of like shift
SLOPES = np.linspace(-0.5, 1.5, 41)
CLEAR = 0.5  # of the misfit of the other explanation: below, a window has decided
NEAR = 0.3  # of slope 0 or 1
PART = 0.05  # of the structure: less is not held against a rigid shift
FAINT = 0.02  # of the structure of the strongest window: less decides nothing


@dataclass(frozen=True, eq=False)
class Rigidity:
    """How far every part of the window follows the shift of the whole.

    Parameters
    ----------
    centre : ndarray (w,)
        Of windows of the axis, in samples.
    slope, slope_sd : ndarray (w,)
        Displacement of the window's pattern over the shift of the whole: 1 moves along, 0 stands
        still. Its sd is the jackknife's over groups of signals.
    weight : ndarray (w,)
        Share of the structure that lies in the window; they add up to 1.
    decided : ndarray (w,) of bool
        Slope 0 and slope 1 can be told apart there.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> model = ss.ShiftVAE(n_latent=1, epochs=5).fit(X)
    >>> p = model.posterior(X)
    >>> found = ss.analysis.rigidity(X.values, p.shift / model.axis_step_)
    >>> found.slope.shape == found.centre.shape
    True
    """

    centre: np.ndarray
    slope: np.ndarray
    slope_sd: np.ndarray = field(repr=False)
    weight: np.ndarray = field(repr=False)
    decided: np.ndarray = field(repr=False)

    @property
    def still(self) -> float:
        """Share of the structure that stands still."""
        return float(self.weight[self.decided & (np.abs(self.slope) <= NEAR)].sum())

    @property
    def still_centre(self) -> float:
        """Centre of what stands still, in samples; nan where nothing does."""
        still = np.where(self.decided & (np.abs(self.slope) <= NEAR), self.weight, 0.0)
        return float(still @ self.centre / still.sum()) if still.any() else float("nan")

    @property
    def moving(self) -> float:
        """Share of the structure that moves along."""
        return float(self.weight[self.decided & (np.abs(self.slope - 1) <= NEAR)].sum())

    @property
    def rigid(self) -> bool:
        """Whether no part stands still while another moves."""
        return min(self.still, self.moving) < PART


def rigidity(signals: np.ndarray, shift: np.ndarray) -> Rigidity:
    """Slopes of the displacement of parts of the signals against the shift of the whole.

    Signals of like shift are averaged, M_g at shift T_g, so that noise and shape average out. In every
    window of the axis the slope b is the one with the least

        sum over groups g, h and samples p of (M_h(p) - a M_g(p + b (T_g - T_h)) - c)^2,

    with a gain a and an offset c of each pair: least-squares block matching (Lucas & Kanade 1981,
    Proc. IJCAI, 674) for all pairs at once. A rigid shift has slope 1 wherever there is structure.

    Parameters
    ----------
    signals : ndarray (n, P)
    shift : ndarray (n,)
        In samples.

    Returns
    -------
    Rigidity

    Examples
    --------
    >>> shift = np.linspace(-8, 8, 60)
    >>> line = lambda at: np.exp(-((np.arange(80) - at) ** 2) / 8)
    >>> found = rigidity(line(15) + line(50 + shift[:, None]), shift)
    >>> found.rigid, 0.2 < found.still < 0.6 < found.still + found.moving
    (False, True)
    """
    means, at = _group_means(signals, shift)
    length = max(8, signals.shape[1] // 8)
    starts = np.arange(0, signals.shape[1] - length + 1, max(1, length // 2))
    misfit, energy = _misfits(means, at, starts, length)
    total = misfit.sum((0, 1))
    kept = [np.delete(np.delete(misfit, g, 0), g, 1).sum((0, 1)) for g in range(len(at))]
    left = np.array([_lowest(m) for m in kept])
    zero, one = total[:, _place(0)], total[:, _place(1)]
    strong = energy > FAINT * energy.max()
    decided = strong & (np.minimum(zero, one) < CLEAR * np.maximum(zero, one))
    sd = np.sqrt((len(at) - 1) * left.var(0))
    weight = energy / max(float(energy.sum()), 1e-300)
    return Rigidity(starts + (length - 1) / 2, _lowest(total), sd, weight, decided)


def _place(slope: float) -> int:
    return int(np.abs(SLOPES - slope).argmin())


def _group_means(signals: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (G, P) of the signals nearest to evenly spread quantiles of the shift, and their shifts (G,)."""
    order = np.argsort(shift, kind="stable")
    size = max(3, len(order) // (4 * GROUPS))
    first = np.linspace(0.02, 0.98, GROUPS) * max(len(order) - size, 0)
    groups = [order[k : k + size] for k in first.round().astype(int)]
    means = np.array([signals[g].mean(0) for g in groups])
    return means - means.mean(1, keepdims=True), np.array([shift[g].mean() for g in groups])


def _misfits(
    means: np.ndarray, at: np.ndarray, starts: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Squared misfit (G, G, windows, slopes), and the squares of the structure of each window."""
    groups, samples = means.shape
    rows = starts[:, None] + np.arange(length)
    wanted = means[:, rows] - means[:, rows].mean(-1, keepdims=True)  # (G, windows, length)
    squares = (wanted**2).sum(-1)
    misfit = np.zeros((groups, groups, len(starts), len(SLOPES)))
    p = np.arange(samples)
    for g in range(groups):
        for s, slope in enumerate(SLOPES):
            moved = np.array([np.interp(p + slope * (at[g] - t), p, means[g]) for t in at])[:, rows]
            moved = moved - moved.mean(-1, keepdims=True)
            cross, own = (moved * wanted).sum(-1), (moved**2).sum(-1)
            gain = np.clip(cross / np.maximum(own, 1e-300), 1 / 3, 3)
            misfit[:, g, :, s] = squares - 2 * gain * cross + gain**2 * own
    return misfit, squares.mean(0)


def _lowest(misfit: np.ndarray) -> np.ndarray:
    """Slope of the least misfit (windows, slopes), by a parabola through the lowest three."""
    k = np.clip(misfit.argmin(1), 1, len(SLOPES) - 2)
    rows = np.arange(len(k))
    before, lowest, after = (misfit[rows, k + d] for d in (-1, 0, 1))
    bend = before - 2 * lowest + after
    part = np.clip(0.5 * (before - after) / np.where(bend > 0, bend, np.inf), -1, 1)
    return SLOPES[k] + part * (SLOPES[1] - SLOPES[0])
