"""From pairs (x, y) to networks that tell y from x, and how sure they are of it.

p(y | z) p(z), q(z | x): the bound of :mod:`shapeshift.model.objective` with y as its target (Sohn et al.
2015, NeurIPS 28, eq. 4, with a prior that does not look at x). Several random starts are averaged, and what
they disagree in is part of the error bar (Lakshminarayanan et al. 2017, arXiv:1612.01474).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.refine import in_chunks
from shapeshift.fit.start import canonical_grid
from shapeshift.fit.threads import one_each
from shapeshift.fit.train import History, Plan, Signals, train
from shapeshift.model.encoders import ConvEncoder, DenseEncoder, Encoder
from shapeshift.model.frames import Line, Plane
from shapeshift.model.outputs import FreePoints
from shapeshift.model.pointwise import PointNoise
from shapeshift.model.vae import PoseVAE

STEPS = 1200  # optimiser steps of a start when the number of epochs is not given


class Pattern(NamedTuple):
    """What every start is built to: the shape of an x, the numbers Q of a y, and the networks' sizes."""

    shape: tuple[int, ...]
    n_points: int
    n_latent: int
    encoder: str
    width: int
    depth: int


class Starts(NamedTuple):
    """Networks from several random starts, and how the training of each went."""

    networks: tuple[PoseVAE, ...]
    histories: tuple[History, ...]

    @property
    def noise(self) -> Tensor:
        """Variance of every point about the values, (Q,): the mean over the starts."""
        noises = [vae.likelihood for vae in self.networks]
        return torch.stack([n.sd.detach() for n in noises if isinstance(n, PointNoise)]).square().mean(0)


def epochs_for(n: int, batch_size: int) -> int:
    """Epochs that make up about STEPS steps, at least 10 and at most 400."""
    return min(400, max(10, math.ceil(STEPS / math.ceil(n / batch_size))))


def networks(pattern: Pattern) -> dict[str, Callable[[], Encoder | FreePoints]]:
    """What makes the encoder and the decoder."""
    shape, points, k, _, width, depth = pattern

    def encoder() -> Encoder:
        if pattern.encoder == "conv":
            return ConvEncoder((1, *shape), 0, k, 1.0, width=width)  # type: ignore[arg-type]
        return DenseEncoder(math.prod(shape), 0, k, 1.0, width=width, depth=depth)

    return {"encoder": encoder, "decoder": lambda: FreePoints(points, k, width, depth)}


def build(pattern: Pattern, generator: torch.Generator) -> PoseVAE:
    """One network before training; it draws from a private random state."""
    shape, points, k = pattern.shape, pattern.n_points, pattern.n_latent
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        encoder, decoder = (make() for make in networks(pattern).values())
        frame = Line() if len(shape) == 1 else Plane(1, *shape)
        grid = canonical_grid(math.prod(shape))
        # nothing moves, so where the samples lie is of no consequence
        return PoseVAE([], encoder, decoder, PointNoise(points), grid, k, frame=frame)


@one_each()
def fit_starts(
    pattern: Pattern,
    plan: Plan,
    x: Tensor,
    y: Tensor,
    n_starts: int,
    generator: torch.Generator,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> Starts:
    """Train ``n_starts`` networks on pairs x (n, P), y (n, Q), in model units."""
    networks, histories = [], []
    for k in range(n_starts):
        vae = build(pattern, generator)
        told = on_epoch and partial(_after, on_epoch, k * plan.epochs)
        data = Signals(x, x.new_ones(len(x), 2), vae.frame.nowhere(len(x), 0), x.new_zeros(len(x), 0), y)
        histories.append(train(vae, data, plan, generator, on_epoch=told))
        networks.append(vae.eval())
        if histories[-1].stopped == "interrupted":
            break
    return Starts(tuple(networks), tuple(histories))


def _after(
    on_epoch: Callable[[int, dict[str, float]], None], before: int, epoch: int, record: dict[str, float]
) -> None:
    on_epoch(before + epoch, record)


class Told(NamedTuple):
    """y as x tells it (n, Q), the variance of what is not known of it but for noise (n, Q), z (n, K)."""

    mean: Tensor
    spread: Tensor
    z: Tensor


@one_each()
def told(starts: Starts, x: Tensor) -> Told:
    """What the starts say together of x (n, P); z is that of the first."""
    return Told(*in_chunks(lambda rows: _told(starts, rows), x))


def _told(starts: Starts, x: Tensor) -> Told:
    parts = [_told_by(vae, x) for vae in starts.networks]
    means = torch.stack([p.mean for p in parts])
    within = torch.stack([p.spread for p in parts]).mean(0)
    among = means.var(0) if len(parts) > 1 else torch.zeros_like(within)
    return Told(means.mean(0), among + within / len(parts), parts[0].z)


def _told_by(vae: PoseVAE, x: Tensor) -> Told:
    """f(E[z]), and to first order its variance: sum_k (df / dz_k)^2 s_k^2."""
    q = vae.encode(x, vae.frame.nowhere(len(x), 0))
    values, slopes = vae.values_and_jacobian(q.theta(x.new_zeros(len(x), 0)))
    return Told(values, (slopes * q.z_sd[..., None]).square().sum(1), q.z)
