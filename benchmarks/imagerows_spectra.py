"""The rows of imagebench about one thing made from another: ved, conditional signals, conditional images."""

from __future__ import annotations

from functools import cache
from typing import Any

import imagemeasures as im
import imagetasks as data
import numpy as np
from imagerows import EPOCHS, Answer, Figures, Row, peer, timed
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

import shapeshift as ss

SIGNALS = {
    "invariances": ["t"],
    "dx_prior": 0.3,
    "epochs": 100,
    "sampler_d": "gaussian",
    "decoder_sig": 0.05,
}
MADE = 100  # patterns generated of every class
TUNED = {"sampler": "gaussian", "decoder_sig": 0.05, "n_latent": 10}

# --- image to profile ----------------------------------------------------------------------------


def shapeshift_ved(task: data.Turned, seed: int) -> Answer:
    """All defaults."""
    model, out = timed(lambda: ss.VED(random_state=seed).fit(task.train, task.profiles[0]))
    mean, sd = model.predict(task.held, return_std=True)
    return out | {"y": np.asarray(mean), "y_sd": np.asarray(sd)}


def pyroved_ved(task: data.Turned, seed: int) -> Answer:
    """VED with ten latents and Gaussian noise of sd 0.05."""
    return _pyroved_ved(task, seed, TUNED)


def pyroved_ved_default(task: data.Turned, seed: int) -> Answer:
    """VED with two latents and a Bernoulli sampler, its defaults."""
    return _pyroved_ved(task, seed, {"sampler": "bernoulli"})


def _pyroved_ved(task: data.Turned, seed: int, options: dict) -> Answer:
    arrays = {"train": task.train, "profiles": task.profiles[0], "held": task.held}
    found = peer("ved", arrays, seed, **options)
    return {"fit_seconds": found["fit_seconds"], "y": found["profiles"], "y_sd": found["profiles_sd"]}


def mean_profile(task: data.Turned, seed: int) -> Answer:
    """The mean of the profiles that were fitted."""
    return {"y": np.broadcast_to(task.profiles[0].mean(0), task.profiles[1].shape)}


def ridge(task: data.Turned, seed: int) -> Answer:
    """Ridge regression of the profile on the pixels, penalty 10."""
    flat = [images.reshape(len(images), -1) for images in (task.train, task.held)]
    model, out = timed(lambda: Ridge(10.0).fit(flat[0], task.profiles[0]))
    return out | {"y": model.predict(flat[1])}


def measure_ved(task: data.Turned, answer: Answer) -> Figures:
    """Profiles of both images of every held-out digit."""
    found = im.value_measures(answer["y"], task.profiles[1], answer.get("y_sd"))
    del found["r2"]  # against the mean over all positions, which says nothing
    return found | ({"fit_seconds": float(answer["fit_seconds"])} if "fit_seconds" in answer else {})


# --- conditional ---------------------------------------------------------------------------------


def wanted(task: data.Classed, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes to generate (n,), one-hot (n, k), and two latents for each from the standard normal prior."""
    k = task.label.max() + 1
    classes = np.arange(k).repeat(MADE)
    return classes, np.eye(k)[classes], np.random.default_rng(seed).normal(size=(len(classes), 2))


def shapeshift_signals(task: data.Classed, seed: int) -> Answer:
    """Two shape latents and a shift, given the family."""
    model = ss.ShiftVAE(n_latent=2, random_state=seed)
    return _shapeshift_conditional(task, seed, model)


def shapeshift_images(task: data.Classed, seed: int) -> Answer:
    """Two shape latents and a rotation, given the digit."""
    model = ss.ImageVAE(n_latent=2, warps=("rotation",), random_state=seed)
    return _shapeshift_conditional(task, seed, model)


def _shapeshift_conditional(task: data.Classed, seed: int, model: Any) -> Answer:
    """Patterns of shapes from the normal prior, and of shapes as the classes have them (``draw``)."""
    classes, _, z = wanted(task, seed)
    model, out = timed(lambda: model.fit(task.train, condition=task.label))
    shapes = model.draw(len(classes), condition=classes, random_state=seed)
    made = {
        "made": model.generate(shapes, condition=classes),
        "made_of_prior": model.generate(z, condition=classes),
        "seed": seed,
    }
    return out | {name: np.asarray(value) for name, value in made.items()}


def pyroved_signals(task: data.Classed, seed: int) -> Answer:
    """iVAE with ``t`` and ``c_dim``; signals are scaled to (0, 1) over the set.

    Gaussian noise of sd 0.05: some families go below their baseline, where latents collapse with a
    Bernoulli sampler.
    """
    low, high = float(task.train.min()), float(task.train.max())
    arrays = {"train": (task.train - low) / (high - low)}
    out = _pyroved_conditional(task, seed, arrays, **SIGNALS)
    return out | {"made": low + (high - low) * out["made"]}


def pyroved_images(task: data.Classed, seed: int) -> Answer:
    """iVAE with ``r`` and ``c_dim``; drawn at the mean angle it found for the images of the class."""
    return _pyroved_conditional(task, seed, {"train": task.train}, invariances=["r"], epochs=EPOCHS)


def _pyroved_conditional(task: data.Classed, seed: int, arrays: dict, **options: object) -> dict:
    _, one_hot, z = wanted(task, seed)
    arrays = arrays | {"one_hot": task.one_hot, "wanted": one_hot, "z": z}
    return peer("conditional", arrays, seed, **options) | {"seed": np.asarray(seed)}


def real(task: data.Classed, seed: int) -> Answer:
    """Held-out real patterns in place of generated ones: what the judge is worth."""
    return {"made": task.held, "class": task.held_label}


@cache
def judge(task: data.Classed) -> SVC:
    """A support vector classifier trained on the real patterns."""
    return SVC(C=10.0).fit(task.train.reshape(len(task.train), -1), task.label)


def measure_conditional(task: data.Classed, answer: Answer) -> Figures:
    """Share of generated patterns that the judge takes for what they were to be."""
    classes = answer["class"] if "class" in answer else wanted(task, int(answer["seed"]))[0]
    made = answer["made"].reshape(len(classes), -1)
    found = {"right": float(np.mean(judge(task).predict(made) == classes))}
    if "made_of_prior" in answer:
        made = answer["made_of_prior"].reshape(len(classes), -1)
        found["right_of_prior"] = float(np.mean(judge(task).predict(made) == classes))
    return found | ({"fit_seconds": float(answer["fit_seconds"])} if "fit_seconds" in answer else {})


_VED = {
    "shapeshift": shapeshift_ved,
    "pyroVED": pyroved_ved,
    "pyroVED as it comes": pyroved_ved_default,
    "the mean": mean_profile,
    "ridge": ridge,
}

ROWS = {
    "ved": Row(data.turned, measure_ved, _VED),
    "signals": Row(
        data.families,
        measure_conditional,
        {"shapeshift": shapeshift_signals, "pyroVED": pyroved_signals, "real": real},
    ),
    "images": Row(
        data.classed_digits,
        measure_conditional,
        {"shapeshift": shapeshift_images, "pyroVED": pyroved_images, "real": real},
    ),
}
