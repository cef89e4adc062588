"""The rows of imagebench about classes and labels: classes, labels, regression."""

from __future__ import annotations

import imagemeasures as im
import imagetasks as data
import numpy as np
from imagerows import Answer, Figures, Row, peer, timed
from sklearn.cluster import KMeans
from sklearn.svm import SVC

import shapeshift as ss

EACH = 10  # labels a class
# pyroVED draws every image once for each class: small batches make the most of a minute an epoch.
SMALL = {"batch_size": 20, "epochs": 20}
DX_PRIOR = 0.3  # of pyroVED's offset, as in the article

# --- classes without labels ----------------------------------------------------------------------


def shapeshift_classes(task: data.Turned, seed: int) -> Answer:
    """Ten classes, two shape latents and a rotation."""
    model = ss.ImageVAE(n_latent=2, n_classes=data.N_CLASSES, warps=("rotation",), random_state=seed)
    model, out = timed(lambda: model.fit(task.train))
    return out | {"class": np.asarray(model.predict(task.held))}


def pyroved_classes(task: data.Turned, seed: int) -> Answer:
    """jiVAE with ``r``; the weight of its KL terms falls at first, as its documentation has it."""
    found = peer(
        "classes",
        {"train": task.train, "held": task.held},
        seed,
        invariances=["r"],
        n_classes=data.N_CLASSES,
        kl=[20, 3, 10, 3],
        **SMALL,
    )
    return {"fit_seconds": found["fit_seconds"], "class": found["proba"].argmax(1)}


def k_means(task: data.Turned, seed: int) -> Answer:
    """k-means of the pixels."""
    model = KMeans(data.N_CLASSES, n_init=10, random_state=seed)
    model, out = timed(lambda: model.fit(_flat(task.train)))
    return out | {"class": model.predict(_flat(task.held))}


def measure_classes(task: data.Turned, answer: Answer) -> Figures:
    """Accuracy after the best matching, both images of every held-out digit."""
    accuracy = im.matched_accuracy(answer["class"], task.labels)
    return {"accuracy": accuracy, "fit_seconds": float(answer["fit_seconds"])}


# --- few labels ----------------------------------------------------------------------------------


def shapeshift_labels(task: data.Turned, seed: int) -> Answer:
    """All images, ten labels of every class."""
    model = ss.ImageVAEClassifier(n_latent=2, warps=("rotation",), random_state=seed)
    model, out = timed(lambda: model.fit(task.train, _told(task, seed)))
    return out | {"proba": np.asarray(model.predict_proba(task.held))}


def pyroved_labels(task: data.Turned, seed: int) -> Answer:
    """ssiVAE with ``r``; the weight of the labels is that of its documentation's example."""
    few = _told(task, seed)
    arrays = {"train": task.train, "held": task.held, "told": task.train[few >= 0]}
    arrays["answer"] = np.eye(data.N_CLASSES)[few[few >= 0]]
    options = {"invariances": ["r"], "n_classes": data.N_CLASSES, "told_batch_size": 5, "aux": 50}
    found = peer("labels", arrays, seed, lr=1e-3, **options, **SMALL)
    return {"fit_seconds": found["fit_seconds"], "proba": found["proba"]}


def svc(task: data.Turned, seed: int) -> Answer:
    """A support vector classifier, its defaults, on the pixels of the labelled images alone."""
    few = _told(task, seed)
    known = few >= 0
    model, out = timed(lambda: SVC(random_state=seed).fit(_flat(task.train[known]), few[known]))
    return out | {"proba": np.eye(data.N_CLASSES)[model.predict(_flat(task.held))]}


def measure_labels(task: data.Turned, answer: Answer) -> Figures:
    """Accuracy and log-loss, both images of every held-out digit; an SVC tells no probabilities."""
    found = im.class_measures(answer["proba"], task.labels)
    if set(np.unique(answer["proba"])) <= {0.0, 1.0}:
        del found["log_loss"]
    return found | {"fit_seconds": float(answer["fit_seconds"])}


def _told(task: data.Turned, seed: int) -> np.ndarray:
    return data.few_labels(task.label, EACH, seed)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


# --- regression ----------------------------------------------------------------------------------


def shapeshift_regression(task: data.Labelled, seed: int) -> Answer:
    """All signals, fifty widths."""
    model = ss.ShiftVAERegressor(n_latent=2, random_state=seed)
    model, out = timed(lambda: model.fit(task.train, task.y))
    y, sd = model.predict(task.held, return_std=True)
    return out | {"y": np.asarray(y), "y_sd": np.asarray(sd)}


def pyroved_regression(task: data.Labelled, seed: int) -> Answer:
    """ss_reg_iVAE with ``t``; widths are brought to mean 0 and sd 1; its sd is the one it is given."""
    known = np.isfinite(task.y)
    mean, sd = task.y[known].mean(), task.y[known].std()
    arrays = {"train": task.train, "held": task.held, "told": task.train[known]}
    arrays["answer"] = (task.y[known, None] - mean) / sd
    options = {"dx_prior": DX_PRIOR, "regressor_sig": 0.1, "told_batch_size": 10, "aux": 200}
    found = peer("regression", arrays, seed, epochs=100, **options)
    n = len(task.held)
    return {
        "fit_seconds": found["fit_seconds"],
        "y": mean + sd * found["y"],
        "y_sd": np.full(n, sd * found["y_sd"]),
    }


def measure_regression(task: data.Labelled, answer: Answer) -> Figures:
    """Widths of the held-out signals."""
    found = im.value_measures(answer["y"], task.held_y, answer["y_sd"])
    return found | {"fit_seconds": float(answer["fit_seconds"])}


ROWS = {
    "classes": Row(
        data.turned,
        measure_classes,
        {"shapeshift": shapeshift_classes, "pyroVED": pyroved_classes, "k-means": k_means},
    ),
    "labels": Row(
        data.turned, measure_labels, {"shapeshift": shapeshift_labels, "pyroVED": pyroved_labels, "SVC": svc}
    ),
    "regression": Row(
        data.widths, measure_regression, {"shapeshift": shapeshift_regression, "pyroVED": pyroved_regression}
    ),
}
