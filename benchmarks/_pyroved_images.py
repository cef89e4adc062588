"""pyroVED's models for images, classes, regression, translation and conditions; runs in its own environment.

usage: python _pyroved_images.py IN.npz OUT.npz OPTIONS_AS_JSON

OPTIONS name a ``job``, one of the functions in JOBS, and what it needs besides arrays: ``seed``,
``epochs``, ``batch_size``, ``threads`` and options of the model. OUT gets what the job returns, and
``fit_seconds``: the training alone, without imports.
"""

import json
import sys
import time

import numpy as np
import torch
from _pyroved_worker import import_pyroved

SHAPE = (28, 28)
AVERAGED = 20  # last epochs of a regression whose weights are averaged, as its documentation has it
PARTICLES = 50  # draws per image for the ELBO


def train(pv, model, o, *arrays):
    """Train by pyroVED's own trainer; how long it took."""
    loader = pv.utils.init_dataloader(*arrays, batch_size=o["batch_size"])
    trainer = pv.trainers.SVItrainer(
        model,
        seed=o["seed"],
        device="cpu",
        lr=o.get("lr", 1e-3),
        enumerate_parallel=o.get("enumerate", False),
    )
    start = time.perf_counter()
    for epoch in range(o["epochs"]):
        trainer.step(loader, **_pressure(o, epoch))
        _tell(o, epoch, trainer.loss_history["training_loss"][-1])
    return time.perf_counter() - start


def _pressure(o, epoch):
    """Weights of the KL terms: from ``kl[0]`` to ``kl[1]`` over ``kl[2]`` epochs, of classes ``kl[3]``."""
    if "kl" not in o:
        return {}
    first, last, over, discrete = o["kl"]
    share = min(epoch / over, 1)
    return {"scale_factor": [first + (last - first) * share, discrete]}


def _tell(o, epoch, loss):
    if (epoch + 1) % 10 == 0:
        print(
            f"pyroVED {o['job']}: epoch {epoch + 1} of {o['epochs']}, loss {loss:.2f}",
            file=sys.stderr,
            flush=True,
        )


def _ivae(pv, data_dim, o, **more):
    names = ("dx_prior", "sc_prior", "sampler_d", "decoder_sig")
    chosen = {name: o[name] for name in names if name in o}
    return pv.models.iVAE(
        data_dim,
        latent_dim=o["n_latent"],
        invariances=o["invariances"],
        seed=o["seed"],
        device="cpu",
        **chosen,
        **more,
    )


def pose(pv, data, o):
    """iVAE: means and sd of all latents of ``first`` and ``second``, and what `race` needs of them."""
    model = _ivae(pv, SHAPE, o)
    out = {"fit_seconds": train(pv, model, o, data["train"])}
    for name in ("first", "second"):
        out[f"{name}_mean"], out[f"{name}_sd"] = model.encode(data[name])
        if o.get("reconstruct"):
            out[f"{name}_reconstructed"] = _reconstruct(pv, model, out[f"{name}_mean"])
            out[f"{name}_elbo"] = _elbo(model, data[name])
    return out


def _reconstruct(pv, model, mean):
    """Images at the means of the latents of a rotational iVAE."""
    turn, _, _, z = model.split_latent(mean)
    grid = model.grid.expand(len(mean), *model.grid.shape)
    with torch.no_grad():
        return model.decoder(pv.utils.transform_coordinates(grid, turn), z)


def _elbo(model, x):
    """Minus the ELBO an image, in nats, by pyro's own estimate and without a step of the optimiser."""
    import pyro

    with torch.no_grad():
        return pyro.infer.Trace_ELBO(num_particles=PARTICLES).loss(model.model, model.guide, x) / len(x)


def classes(pv, data, o):
    """jiVAE: probabilities of the classes of ``held``."""
    model = pv.models.jiVAE(
        SHAPE,
        latent_dim=o["n_latent"],
        discrete_dim=o["n_classes"],
        invariances=o["invariances"],
        seed=o["seed"],
        device="cpu",
    )
    seconds = train(pv, model, o | {"enumerate": True}, data["train"])
    return {"fit_seconds": seconds, "proba": model.encode(data["held"], logits=True)[2]}


def labels(pv, data, o):
    """ssiVAE: probabilities of the classes of ``held`` from few labels."""
    model = pv.models.ssiVAE(
        SHAPE,
        latent_dim=o["n_latent"],
        num_classes=o["n_classes"],
        invariances=o["invariances"],
        seed=o["seed"],
        device="cpu",
    )
    flat = {name: x.flatten(1) for name, x in data.items()}  # its encoders take no other
    seconds = _train_partly(pv, model, flat, o, "classification")
    with torch.no_grad():
        proba = model.encoder_y(flat["held"])
    return {"fit_seconds": seconds, "proba": proba}


def regression(pv, data, o):
    """ss_reg_iVAE: one number for every signal of ``held``; its sd is the fixed one of the model."""
    model = pv.models.ss_reg_iVAE(
        tuple(data["train"].shape[1:]),
        latent_dim=o["n_latent"],
        reg_dim=1,
        invariances=["t"],
        seed=o["seed"],
        device="cpu",
        dx_prior=o["dx_prior"],
        regressor_sig=o["regressor_sig"],
    )
    seconds = _train_partly(pv, model, data, o, "regression")
    return {"fit_seconds": seconds, "y": model.regressor(data["held"])[:, 0], "y_sd": o["regressor_sig"]}


def _train_partly(pv, model, data, o, task):
    """Train on ``train`` and on the few ``told`` with their ``answer``."""
    every = pv.utils.init_dataloader(data["train"], batch_size=o["batch_size"])
    told = pv.utils.init_dataloader(data["told"], data["answer"], batch_size=o["told_batch_size"])
    trainer = pv.trainers.auxSVItrainer(model, task=task, seed=o["seed"], device="cpu", lr=o.get("lr", 5e-4))
    start = time.perf_counter()
    for epoch in range(o["epochs"]):
        trainer.step(every, told, aux_loss_multiplier=o["aux"])
        _tell(o, epoch, trainer.history["training_loss"][-1])
        if task == "regression" and epoch >= o["epochs"] - AVERAGED:
            trainer.save_running_weights("encoder_y")
    if task == "regression":
        trainer.average_weights("encoder_y")
    return time.perf_counter() - start


def ved(pv, data, o):
    """VED: profiles of the images ``held`` with their sd.

    Its decoder makes lengths that are multiples of 8: profiles are set into zeros, and cut out again.
    """
    more = {} if o["sampler"] == "bernoulli" else {"decoder_sig": o["decoder_sig"]}
    length = data["profiles"].shape[1]
    padded = torch.nn.functional.pad(data["profiles"], (0, -length % 8))
    model = pv.models.VED(
        SHAPE, (padded.shape[1],), latent_dim=o["n_latent"], sampler_d=o["sampler"], seed=o["seed"], **more
    )
    seconds = train(pv, model, o, data["train"][:, None], padded[:, None])
    mean, sd = (y.reshape(len(y), -1)[:, :length] for y in model.predict(data["held"][:, None]))
    return {"fit_seconds": seconds, "profiles": mean, "profiles_sd": sd}


def conditional(pv, data, o):
    """iVAE given classes: for every row of ``wanted`` (one-hot) a pattern with latents from the prior.

    What is upright is left to a model: images are drawn at the mean angle of the class in the training set.
    """
    model = _ivae(pv, tuple(data["train"].shape[1:]), o, c_dim=data["one_hot"].shape[1])
    flat, one_hot, wanted = data["train"].flatten(1), data["one_hot"], data["wanted"]
    seconds = train(pv, model, o, flat, one_hot)
    grid = model.grid.expand(len(wanted), *model.grid.shape)
    if "r" in o["invariances"]:
        angle = model.encode(flat, one_hot)[0][:, 0]
        means = torch.atan2(one_hot.T @ angle.sin(), one_hot.T @ angle.cos())
        grid = pv.utils.transform_coordinates(grid, wanted @ means)
    with torch.no_grad():
        made = model.decoder(grid, torch.cat([data["z"], wanted], 1))
    return {"fit_seconds": seconds, "made": made.reshape(len(wanted), *data["train"].shape[1:])}


JOBS = {job.__name__: job for job in (pose, classes, labels, regression, ved, conditional)}


def main(source, target, options):
    """Read, work, write."""
    torch.set_num_threads(options["threads"])
    with np.load(source) as arrays:
        data = {name: torch.tensor(arrays[name], dtype=torch.float32) for name in arrays.files}
    out = JOBS[options["job"]](import_pyroved(), data, options)
    np.savez(target, **{name: np.asarray(torch.as_tensor(value).detach()) for name, value in out.items()})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
