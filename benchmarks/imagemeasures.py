"""What imagebench measures: functions of estimates and truth, in the units of `imagetasks`."""

from __future__ import annotations

import numpy as np
from measures import rms
from scipy.optimize import least_squares, linear_sum_assignment

ONE_SD, TWO_SD = 0.9945, 1.96  # half widths of the central 68 % and 95 % of a normal distribution
CLIPPED = 1e-3


def wrapped(degrees: np.ndarray) -> np.ndarray:
    """Angles within +-180 degrees."""
    return (np.asarray(degrees) + 180) % 360 - 180


def coverage(error: np.ndarray, sd: np.ndarray) -> dict[str, float]:
    """Share of 68 % and 95 % intervals that hold the truth."""
    return {
        "coverage68": float(np.mean(np.abs(error) < ONE_SD * sd)),
        "coverage95": float(np.mean(np.abs(error) < TWO_SD * sd)),
    }


def turn_measures(
    first: np.ndarray, second: np.ndarray, first_sd: np.ndarray, second_sd: np.ndarray, turn: np.ndarray
) -> dict[str, float]:
    """Accuracy and honesty of the angle (degrees) between two images of every digit.

    Returns
    -------
    dict
        ``rms`` and ``median`` of the error, ``over20`` and ``within10`` shares of its size in degrees,
        ``coverage68`` and ``coverage95``. What angle is called 0 cancels.
    """
    error = wrapped(second - first - turn)
    return {
        "rms": rms(error),
        "median": float(np.median(np.abs(error))),
        "over20": float(np.mean(np.abs(error) > 20)),
        "within10": float(np.mean(np.abs(error) < 10)),
        **coverage(error, np.hypot(first_sd, second_sd)),
    }


def leak(first: np.ndarray, second: np.ndarray) -> float:
    """How much shape latents (n, K) change with the pose: <dz^2> / (2 var z); 0 is none, 1 is all."""
    spread = np.concatenate([first, second])
    return float(np.mean((second - first) ** 2) / (2 * np.mean((spread - spread.mean(0)) ** 2)))


def anchored(shift: np.ndarray, angle: np.ndarray, scale: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Displacements (n, 2) of the middle of the frame of the pattern, from those of an estimator's own point.

    Which point of a pattern counts as its place is a convention: another point lies off by ``scale`` R c,
    R the turn by ``angle`` (degrees) and c one constant of the model. It is found by the true
    displacements, by absolute errors so that images gone wrong have no say: two numbers from hundreds of
    images, the same help for all.
    """

    def moved(c: np.ndarray) -> np.ndarray:
        return shift - scale[:, None] * _turned(np.broadcast_to(c, shift.shape), angle)

    fit = least_squares(lambda c: (moved(c) - truth).ravel(), np.zeros(2), loss="soft_l1", f_scale=0.1)
    return moved(fit.x)


def carried(
    points: np.ndarray, first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Where points (n, 2) of first images lie in the second images, by the poses of both.

    A point p of an image of pose (t, angle, scale) is the point ``R' (p - t) / scale`` of the pattern, R'
    the turn back; the other pose carries it on. Which point of the pattern t tells cancels, for every
    shape by itself, as the zero of angles does in their difference.

    Parameters
    ----------
    first, second : (t, t_sd, angle, scale)
        Arrays (n, 2), (n, 2), (n,) in degrees and (n,).

    Returns
    -------
    ndarray (n, 2), ndarray (n, 2)
        Places, and their sd from those of t.
    """
    t1, sd1, angle1, scale1 = first
    t2, sd2, angle2, scale2 = second
    ratio = (scale2 / scale1)[:, None]
    place = t2 + ratio * _turned(points - t1, angle2 - angle1)
    turned_sd = np.sqrt(_turned(sd1**2, angle2 - angle1, squared=True))
    return place, np.hypot(sd2, ratio * turned_sd)


def _turned(v: np.ndarray, angle: np.ndarray, squared: bool = False) -> np.ndarray:
    """Vectors (n, 2) turned by angles in degrees; with ``squared``, variances of independent components."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    if squared:
        return np.stack([cos**2 * v[:, 0] + sin**2 * v[:, 1], sin**2 * v[:, 0] + cos**2 * v[:, 1]], 1)
    return np.stack([cos * v[:, 0] - sin * v[:, 1], sin * v[:, 0] + cos * v[:, 1]], 1)


def shift_measures(difference: np.ndarray, sd: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Displacements (n, 2) in pixels: ``shift_median`` of the length of the error, coverage by component."""
    error = difference - truth
    found = coverage(error, sd)
    return {
        "shift_median": float(np.median(np.linalg.norm(error, axis=1))),
        **{f"shift_{k}": v for k, v in found.items()},
    }


def scale_measures(log_ratio: np.ndarray, sd: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Logarithms of ratios of scales: ``scale_median`` of the relative error, coverage."""
    error = log_ratio - truth
    found = coverage(error, sd)
    return {
        "scale_median": float(np.median(np.abs(np.expm1(error)))),
        **{f"scale_{k}": v for k, v in found.items()},
    }


def matched_accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of right classes after the best one-to-one matching of found classes to true ones."""
    size = int(max(found.max(), truth.max())) + 1
    counts = np.zeros((size, size), int)
    np.add.at(counts, (found, truth), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(truth))


def class_measures(proba: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """``accuracy``, and ``log_loss`` in nats with probabilities of at least 1e-6."""
    sure = np.clip(proba[np.arange(len(truth)), truth], 1e-6, 1)
    return {
        "accuracy": float(np.mean(proba.argmax(1) == truth)),
        "log_loss": float(-np.mean(np.log(sure))),
    }


def value_measures(found: np.ndarray, truth: np.ndarray, sd: np.ndarray | None = None) -> dict[str, float]:
    """``r2`` and ``rmse`` of numbers; their coverage where they have sd."""
    error = found - truth
    told = {} if sd is None else coverage(error, sd)
    return {"r2": float(1 - np.mean(error**2) / np.var(truth)), "rmse": rms(error), **told}


def nats(images: np.ndarray, reconstructed: np.ndarray, kl: np.ndarray) -> float:
    """What it costs to describe an image: Bernoulli cross-entropy of all pixels + KL terms, nats an image.

    This is the loss pyroVED trains (its own default) and shapeshift knows nothing of, so that a comparison
    in this currency is to pyroVED's advantage. It is fair to both because one function is applied to both,
    with values in (0, 1) clipped to [1e-3, 1 - 1e-3] (a sure and wrong pixel costs 7 nats and not
    infinitely many); because reconstructions of both are those at the mean of the latents, so that
    neither pays for the spread of its draws; and because the KL terms are those of all that a model
    tells of one image, latents of shape and the angle in radians, against the standard normal prior that
    pyroVED has for both. What a reconstruction gains by more exact latents it pays for in ``kl``.

    Parameters
    ----------
    images, reconstructed : ndarray (n, h, w)
        Held-out images in 0 .. 1 and what the model makes of them.
    kl : ndarray (n,)
        Nats.
    """
    r = np.clip(reconstructed, CLIPPED, 1 - CLIPPED)
    cross_entropy = -(images * np.log(r) + (1 - images) * np.log1p(-r))
    return float(np.mean(cross_entropy.sum((1, 2)) + kl))


def normal_kl(mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """KL (n,) of independent normal distributions (n, K) to the standard normal one, nats."""
    return 0.5 * np.sum(mean**2 + sd**2 - 1 - 2 * np.log(sd), axis=1)
