"""Fit pyroVED's shift-VAE to a set and encode others; runs in pyroVED's own environment.

usage: python _pyroved_worker.py IN.npz OUT.npz OPTIONS_AS_JSON

IN holds float32 arrays (n, length) with values in [0, 1]: ``train`` and any number of others. OUT
gets, for every array, ``NAME_mean`` and ``NAME_sd`` (n, 1 + n_latent), column 0 being the offset,
and the numbers ``fit_seconds``, ``encode_seconds`` and ``loss``.
"""

import json
import sys
import time
import types

import numpy as np
import torch


def import_pyroved():
    """pyroVED without torchvision, which it uses for nothing but tiling pictures of images."""
    stub, utils = types.ModuleType("torchvision"), types.ModuleType("torchvision.utils")
    utils.make_grid = None
    stub.utils = utils
    sys.modules.update({"torchvision": stub, "torchvision.utils": utils})
    import pyroved

    return pyroved


def fit(pyroved, x, options):
    """The article's shift-VAE by pyroVED's own trainer; everything not named keeps its default."""
    model = pyroved.models.iVAE(
        data_dim=(x.shape[1],),
        latent_dim=options["n_latent"],
        invariances=["t"],
        dx_prior=options["dx_prior"],
        sampler_d=options["sampler"],
        seed=options["seed"],
        device="cpu",
    )
    loader = pyroved.utils.init_dataloader(x, batch_size=options["batch_size"])
    trainer = pyroved.trainers.SVItrainer(model, seed=options["seed"], device="cpu")
    for epoch in range(options["epochs"]):
        trainer.step(loader)
        if epoch % 25 == 0:
            print(f"pyroVED: epoch {epoch} of {options['epochs']}", file=sys.stderr)
    return model, trainer.loss_history["training_loss"][-1]


def main(source, target, options):
    """Read, fit, encode, write."""
    torch.set_num_threads(options["threads"])
    with np.load(source) as arrays:
        data = {name: torch.tensor(arrays[name]) for name in arrays.files}
    pyroved = import_pyroved()
    start = time.perf_counter()
    model, loss = fit(pyroved, data["train"], options)
    fitted = time.perf_counter()
    codes = {name: model.encode(x) for name, x in data.items()}
    encoded = time.perf_counter()
    out = {"fit_seconds": fitted - start, "encode_seconds": encoded - fitted, "loss": loss}
    for name, (mean, sd) in codes.items():
        out |= {f"{name}_mean": mean.detach().numpy(), f"{name}_sd": sd.detach().numpy()}
    np.savez(target, **out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
