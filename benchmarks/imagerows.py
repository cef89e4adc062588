"""The rows of imagebench about poses: rotation, full turn, similarity, race; and how rows are made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import imagemeasures as im
import imagetasks as data
import numpy as np
from _peers import elsewhere, peer_python

import shapeshift as ss

Answer = Mapping[str, np.ndarray]
Figures = dict[str, float]

THREADS = 1
HALF = (data.SIZE - 1) / 2  # pixels to a unit of pyroVED's coordinates
DX_PRIOR, SC_PRIOR = 0.2, 0.15  # about the sd of what `posed` draws
EPOCHS = 40
# Large buffers are kept and not given back to the system: pyroVED is a third faster for it.
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


@dataclass(frozen=True)
class Row:
    """One row: what is drawn for a seed, who answers it, and what is measured of an answer."""

    make: Callable[[int], Any]
    measure: Callable[[Any, Answer], Figures]
    by: Mapping[str, Callable[[Any, int], Answer]]


def peer(job: str, arrays: Mapping[str, np.ndarray], seed: int, **options: Any) -> dict[str, np.ndarray]:
    """Let pyroVED do a job on arrays; two shape latents and batches of 100 unless told."""
    chosen = {
        "job": job,
        "seed": seed,
        "threads": THREADS,
        "n_latent": 2,
        "batch_size": 100,
        "epochs": EPOCHS,
    }
    small = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    return elsewhere(peer_python(), "_pyroved_images.py", small, json.dumps(chosen | options), THREADS, KEPT)


def timed(fit: Callable[[], Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """A fitted model, and the seconds it took as the beginning of an answer."""
    start = time.perf_counter()
    model = fit()
    return model, {"fit_seconds": np.asarray(time.perf_counter() - start)}


# --- rotation, full turn and race: one fit for all -------------------------------------------------


@cache
def _shapeshift_rotational(task: data.Turned, seed: int) -> Answer:
    """Two shape latents and a rotation; everything that three rows need."""
    model = ss.ImageVAE(n_latent=2, warps=("rotation",), random_state=seed)
    model, out = timed(lambda: model.fit(task.train))
    for name, images in (("first", task.first), ("second", task.second)):
        p = model.posterior(images)
        radians = np.radians(p.rotation)[:, None], np.radians(p.rotation_sd)[:, None]
        kl = im.normal_kl(np.hstack([radians[0], p.z]), np.hstack([radians[1], p.z_sd]))
        made = {"angle": p.rotation, "angle_sd": p.rotation_sd, "z": p.z, "kl": kl}
        made["reconstructed"] = model.reconstruct(images)
        out |= {f"{name}_{key}": np.asarray(value) for key, value in made.items()}
    return out


@cache
def _pyroved_rotational(task: data.Turned, seed: int) -> Answer:
    """iVAE with ``r``, its Bernoulli sampler and two latents; its angle is counter-clockwise, in radians."""
    arrays = {"train": task.train, "first": task.first, "second": task.second}
    found = peer("pose", arrays, seed, invariances=["r"], reconstruct=True)
    out = {"fit_seconds": found["fit_seconds"], "elbo": (found["first_elbo"] + found["second_elbo"]) / 2}
    for name in ("first", "second"):
        mean, sd = found[f"{name}_mean"], found[f"{name}_sd"]
        made = {"angle": np.degrees(mean[:, 0]), "angle_sd": np.degrees(sd[:, 0]), "z": mean[:, 1:]}
        made |= {"reconstructed": found[f"{name}_reconstructed"], "kl": im.normal_kl(mean, sd)}
        out |= {f"{name}_{key}": value for key, value in made.items()}
    return out


def measure_turn(task: data.Turned, answer: Answer) -> Figures:
    """Angle between the two images of every held-out digit, and what it does to the shape."""
    pair = [answer[f"{name}_angle{sd}"] for sd in ("", "_sd") for name in ("first", "second")]
    leaked = im.leak(answer["first_z"], answer["second_z"])
    return im.turn_measures(*pair, task.turn) | {"leak": leaked, "fit_seconds": float(answer["fit_seconds"])}


def measure_race(task: data.Turned, answer: Answer) -> Figures:
    """Time to fit, and nats an image of both images of the held-out digits."""
    pairs = [[answer[f"{name}_{key}"] for name in ("first", "second")] for key in ("reconstructed", "kl")]
    found = {
        "nats": im.nats(task.held, *map(np.concatenate, pairs)),
        "fit_seconds": float(answer["fit_seconds"]),
    }
    return found | ({"elbo": float(answer["elbo"])} if "elbo" in answer else {})


# --- similarity ----------------------------------------------------------------------------------


def shapeshift_similarity(task: data.Posed, seed: int) -> Answer:
    """Two shape latents, rotation, shift and scale."""
    model = ss.ImageVAE(n_latent=2, warps=("rotation", "shift", "scale"), random_state=seed)
    model, out = timed(lambda: model.fit(task.train))
    for name in ("first", "second"):
        p = model.posterior(getattr(task, name))
        made = {"angle": p.rotation, "angle_sd": p.rotation_sd, "shift": p.shift, "shift_sd": p.shift_sd}
        made |= {"scale": p.scale, "scale_sd": p.scale_sd}
        out |= {f"{name}_{key}": np.asarray(value) for key, value in made.items()}
    return out


def pyroved_similarity(task: data.Posed, seed: int) -> Answer:
    """iVAE with ``r``, ``t`` and ``s``; what its coordinates mean for the pattern, see `_pose`."""
    arrays = {"train": task.train, "first": task.first, "second": task.second}
    options = {"invariances": ["r", "t", "s"], "dx_prior": DX_PRIOR, "sc_prior": SC_PRIOR}
    found = peer("pose", arrays, seed, **options)
    out = {"fit_seconds": found["fit_seconds"]}
    for name in ("first", "second"):
        made = _pose(found[f"{name}_mean"], found[f"{name}_sd"])
        out |= {f"{name}_{key}": value for key, value in made.items()}
    return out


def _pose(mean: np.ndarray, sd: np.ndarray) -> dict[str, np.ndarray]:
    """Angle, place and size of the pattern from pyroVED's latents (turn, two offsets, scale, ...).

    It draws ``f(s R x + d)`` on coordinates x = (down, left), so the middle of f lies at ``-R' d / s``, R'
    the inverse of R, and the pattern is 1 / s as large. Error bars of the place are those of d.
    """
    c, s = np.cos(mean[:, 0]), np.sin(mean[:, 0])
    d, d_var = DX_PRIOR * mean[:, 1:3], (DX_PRIOR * sd[:, 1:3]) ** 2
    shrunk = 1 + SC_PRIOR * mean[:, 3]
    down, left = -(c * d[:, 0] + s * d[:, 1]) / shrunk, -(c * d[:, 1] - s * d[:, 0]) / shrunk
    var = np.stack([c**2 * d_var[:, 0] + s**2 * d_var[:, 1], s**2 * d_var[:, 0] + c**2 * d_var[:, 1]], 1)
    return {
        "angle": np.degrees(mean[:, 0]),
        "angle_sd": np.degrees(sd[:, 0]),
        "shift": HALF * np.stack([down, -left], 1),
        "shift_sd": HALF * np.sqrt(var) / np.abs(shrunk)[:, None],
        "scale": 1 / shrunk,
        "scale_sd": SC_PRIOR * sd[:, 3] / shrunk**2,
    }


def measure_similarity(task: data.Posed, answer: Answer) -> Figures:
    """Angle, place and size of the second image of every held-out digit against the first."""
    first, second = task.first_pose, task.second_pose
    poses = [
        tuple(answer[f"{name}_{key}"] for key in ("shift", "shift_sd", "angle", "scale"))
        for name in ("first", "second")
    ]
    both = {
        key: np.concatenate([p[k] for p in poses]) for key, k in (("shift", 0), ("angle", 2), ("scale", 3))
    }
    placed = im.anchored(**both, truth=np.concatenate([first.shift, second.shift]))
    own = np.split(placed, 2)
    relative = [answer[f"{name}_scale_sd"] / answer[f"{name}_scale"] for name in ("first", "second")]
    pair = [answer[f"{name}_angle{sd}"] for sd in ("", "_sd") for name in ("first", "second")]
    by_own = own[1] - own[0] - (second.shift - first.shift)
    return {
        **im.turn_measures(*pair, second.angle - first.angle),
        **im.shift_measures(*im.carried(first.shift, *poses), second.shift),
        "own_shift_median": float(np.median(np.linalg.norm(by_own, axis=1))),
        **im.scale_measures(
            np.log(answer["second_scale"] / answer["first_scale"]),
            np.hypot(*relative),
            np.log(second.scale / first.scale),
        ),
        "fit_seconds": float(answer["fit_seconds"]),
    }


_ROTATIONAL = {"shapeshift": _shapeshift_rotational, "pyroVED": _pyroved_rotational}
_SIMILARITY = {"shapeshift": shapeshift_similarity, "pyroVED": pyroved_similarity}

ROWS = {
    "rotation": Row(data.turned, measure_turn, _ROTATIONAL),
    "turn": Row(lambda seed: data.turned(seed, reach=180.0), measure_turn, _ROTATIONAL),
    "similarity": Row(data.posed, measure_similarity, _SIMILARITY),
    "race": Row(data.turned, measure_race, _ROTATIONAL),
}
