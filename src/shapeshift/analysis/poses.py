"""Which poses a posterior of images tells of, and how far they spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shapeshift.fit.posterior import Posterior

ALL_ROUND = 0.25  # mean resultant length of angles below which they have no middle


def of_images(p: Any) -> bool:
    """Whether a posterior is one of images."""
    return getattr(p, "rotation", None) is not None


def poses_of(p: Posterior) -> tuple[str, ...]:
    """What moves the pattern of images, of "rotation", "shift" and "scale": what has error bars."""
    bars = {"rotation": p.rotation_sd, "shift": p.shift_sd, "scale": p.scale_sd}
    return tuple(name for name, bar in bars.items() if bar is not None and np.any(bar > 0))


def columns_of(p: Posterior) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], str]]:
    """Poses in use, one number an image: values, error bars and units by name, as "shift_row".

    Of signals the shift.
    """
    if not of_images(p):
        return {"shift": (p.shift, p.shift_sd, p.axis_units)}
    names = poses_of(p)
    out: dict[str, tuple[Any, Any, str]] = {}
    if "rotation" in names:
        out["rotation"] = p.rotation, p.rotation_sd, "degree"
    if "shift" in names:
        for k, axis in enumerate(p.axis_name.split(", ")):
            out[f"shift_{axis}"] = p.shift[:, k], p.shift_sd[:, k], p.axis_units
    if "scale" in names:
        out["scale"] = p.scale, p.scale_sd, ""
    return out


def resultant(degrees: NDArray) -> float:
    """Length of the mean of unit vectors at these angles: 1 where all are equal, about 0 all round.

    Examples
    --------
    >>> round(resultant(np.arange(360.0)), 6), resultant(np.ones(3))
    (0.0, 1.0)
    """
    return float(abs(np.exp(1j * np.radians(degrees)).mean()))


def all_round(degrees: NDArray) -> bool:
    """Whether angles lie to all sides, so that their sd means nothing."""
    return resultant(degrees) < ALL_ROUND


def circular_sd(degrees: NDArray) -> float:
    """Standard deviation of angles, in degrees (Mardia 1972, Statistics of Directional Data, section 2.3).

    Examples
    --------
    >>> round(circular_sd(np.array([179.0, -179.0])), 2)
    1.0
    """
    return float(np.degrees(np.sqrt(-2 * np.log(np.clip(resultant(degrees), 1e-12, 1)))))
