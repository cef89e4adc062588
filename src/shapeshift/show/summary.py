"""What came of a fit, in a few plain values: what the commands print."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.analysis.collapse import active_latents
from shapeshift.analysis.doubts import doubts
from shapeshift.analysis.poses import all_round, columns_of, of_images

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.analysis.calibration import Calibration
    from shapeshift.fit.posterior import Posterior


def summary(m: Any, X: xr.DataArray, p: Posterior, c: Calibration | None) -> dict[str, Any]:
    """A fit in a few lines."""
    found = doubts(m, X, p, calibration=c)
    prior = {"prior_sd": m.prior_sd_} if of_images(p) else {"shift_prior_sd": m.shift_sd_}
    return {
        **numbers(p),
        "zero": m.zero_,
        **prior,
        "active_latents": active_latents(p).n_active,
        "latents": p.z.shape[1],
        "converged": m.converged_,
        "fit_seconds": m.fit_seconds_,
        "calibration": None if c is None else asdict(c),
        "doubts": [{"severity": d.severity, "code": d.code, "sentence": d.sentence} for d in found],
    }


def numbers(p: Posterior) -> dict[str, Any]:
    """Shifts or poses and what is wrong with them, in a few numbers."""
    codes = sorted({code for flag in p.flags for code in flag.split(";") if code})
    poses = _poses(p) if of_images(p) else _shift(p)
    return {
        "images" if of_images(p) else "signals": len(p.z),
        **poses,
        "flagged": {code: int(p.flagged(code).sum()) for code in codes},
        "notes": list(notes_of(p)),
    }


def notes_of(p: Posterior) -> tuple[str, ...]:
    """What was done to the axis of the signals."""
    return p.stack.notes if p.stack else ()


def _shift(p: Posterior) -> dict[str, Any]:
    low, middle, high = np.percentile(p.shift, [2.5, 50, 97.5])
    return {
        "shift": {"units": p.axis_units or p.axis_name, "2.5%": low, "median": middle, "97.5%": high},
        "shift_sd": float(np.median(p.shift_sd)),
    }


def _poses(p: Posterior) -> dict[str, Any]:
    """Every pose in use: its range, and the median of its error bars under its name with "_sd"."""
    out: dict[str, Any] = {}
    for name, (values, bars, units) in columns_of(p).items():
        low, middle, high = np.percentile(values, [2.5, 50, 97.5])
        out[name] = {"units": units, "2.5%": low, "median": middle, "97.5%": high}
        if name == "rotation" and all_round(values):  # the middle of a circle is nowhere
            out[name] = {"units": units, "spread": "to all sides"}
        out[f"{name}_sd"] = float(np.median(bars))
    return out
