"""The same as :mod:`shapeshift.fit.edge` of images, and of what one measurement tells of another."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from shapeshift.fit.bank import Reach
from shapeshift.fit.edge import Found, PoseGraph, Record, alone, differences
from shapeshift.fit.gauge_plane import PlaneZero, raw_reading, relative
from shapeshift.fit.poses import places_of, pose_table
from shapeshift.fit.reading_plane import DEGREES
from shapeshift.model.decoders import dense_with_slopes
from shapeshift.model.latents import Factors
from shapeshift.model.outputs import FreePoints
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import parts_of

if TYPE_CHECKING:
    from shapeshift.fit.images import ImageModel
    from shapeshift.fit.translation import VED


@final
class ImageGraph(PoseGraph):
    """Images (n, h, w) or (n, c, h, w) -> the pose and its sds, z, z_sd (n, K), trust.

    Of the pose what may move: rotation (n,) in degrees, scale (n,), shift (n, 2) in axis units, along
    the rows' axis and the columns' axis.
    """

    places: Tensor

    def __init__(self, model: ImageModel) -> None:
        super().__init__(model)
        fitted, vae = model.fitted_, model.fitted_.vae
        assert isinstance(fitted.bank.reach, Reach)
        assert isinstance(fitted.reference, PlaneZero)
        reach, margin = fitted.bank.reach, 0.5 * vae.sample
        full_turn = {w.name for w in vae.named_warps if bool(torch.isinf(w.bound).any())} & {"rotation"}
        self.limits = [
            inf if w.name in full_turn else getattr(reach, w.name) - margin for w in vae.named_warps
        ]
        self.zero = Record(fitted.reference)
        self.unit, self.signs = model.raster_.half, model.raster_.signs
        names = [name for w in vae.named_warps for name in (w.name, f"{w.name}_sd")]
        self.outputs = (*names, "z", "z_sd", "trust")
        if vae.n_pose:
            table = pose_table(vae, fitted.bank)
            self.table = Record(table)
            self.register_buffer("places", places_of(table).flatten(0, 1))

    def glance(self, x: Tensor, given: Tensor) -> Factors:
        vae = self.vae
        if not vae.n_pose:
            return vae.encode(x, x[:, :0], given)
        gain = vae.nuisance is not None and vae.nuisance.gain
        best, _ = self.table().explained(vae.likelihood.tamed(x), gain=gain)
        return vae.encode(x, self.places[best.flatten(1).argmax(1)], given)

    def told(self, found: Found) -> tuple[Tensor, ...]:
        vae, zero, d = self.vae, self.zero(), found.covariance.shape[1]
        if not vae.n_pose:
            return ()
        pose, along = differences(lambda t: raw_reading(vae, zero, t), found.theta, d)
        variance = torch.einsum("nig,nij,njg->ng", along, found.covariance, along)
        pose = relative(vae, pose - zero.pose(found.theta[:, vae.n_pose :]))
        sds = parts_of(vae.named_warps, variance.clamp_min(0).sqrt())
        told: list[Tensor] = []
        for (warp, value), (_, sd) in zip(parts_of(vae.named_warps, pose), sds, strict=True):
            if warp.name == "rotation":
                told += [value[:, 0] * DEGREES, sd[:, 0] * DEGREES]
            elif warp.name == "scale":
                told += [value[:, 0].exp(), value[:, 0].exp() * sd[:, 0]]
            else:
                told += [value * (self.unit * torch.tensor(self.signs)), sd * self.unit]
        return tuple(told)

    def edge(self, found: Found) -> Tensor:
        parts = parts_of(self.vae.named_warps, found.theta[:, : self.vae.n_pose])
        beyond = [part.abs().amax(1) - limit for (_, part), limit in zip(parts, self.limits, strict=True)]
        return torch.stack(beyond).amax(0) > 0


@final
class PairGraph(nn.Module):
    """x (n, ...) -> the mean and sd (n, ...) of its y, in the units of the Y of the fit."""

    outputs = ("y", "y_sd")
    centre: Tensor
    noise: Tensor

    def __init__(self, model: VED) -> None:
        super().__init__()
        self.networks = nn.ModuleList(alone(vae) for vae in model.starts_.networks)
        self.offset, self.scale = float(model.x_scaling_.offset), float(model.x_scaling_.gain)
        self.gain, self.b = float(model.y_scaling_.gain), float(model.calibration_.b)
        self.register_buffer("centre", torch.from_numpy(model.y_scaling_.offset).double())
        self.register_buffer("noise", model.calibration_.noise.detach().double())
        self.shape = model.y_side_.shape

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        x = ((signals.flatten(1).double() - self.offset) / self.scale).float()
        means, within = zip(*(self.one(vae, x) for vae in self.networks), strict=True)
        k, stack = len(means), torch.stack(means)
        middle = stack.mean(0)
        among = (stack - middle).square().sum(0) / max(1, k - 1)
        spread = among + torch.stack(within).mean(0) / k
        sd = self.gain * (self.noise + self.b * spread.double()).sqrt()
        mean = middle.double() * self.gain + self.centre
        return mean.float().reshape(-1, *self.shape), sd.float().reshape(-1, *self.shape)

    @staticmethod
    def one(vae: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """f(E[z]), and to first order its variance."""
        assert isinstance(vae, PoseVAE)
        assert isinstance(vae.decoder, FreePoints)
        q = vae.encode(x, vae.frame.nowhere(x.shape[0], 0))
        unit = torch.eye(vae.n_latent).repeat(x.shape[0], 1, 1)
        values, slopes = dense_with_slopes(vae.decoder.network, q.z, unit)
        return values, (slopes * q.z_sd[..., None]).square().sum(1)
