"""The one model: warps + encoder + decoder + likelihood."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from shapeshift.model.decoders import Template
from shapeshift.model.fields import Field, SplineField
from shapeshift.model.frames import Frame, Line, lane_of
from shapeshift.model.gaps import seen_in, with_zeros
from shapeshift.model.latents import Factors, Spread
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.nuisance import Nuisance, nuisance
from shapeshift.model.slopes import with_slopes
from shapeshift.model.warps import Shift, Warp, pull_back


@final
class PoseVAE(nn.Module):
    """p(x | pose, z, y) = likelihood(field_zy(g^-1 u)), q(pose, z | x, y) from the encoder.

    All latents of a signal, and what is given of it, stand in one row theta = (pose, z, y), (B, G + K + c).

    Parameters
    ----------
    warps : sequence of Warp
        What may move the pattern; empty: the ordinary VAE.
    encoder : module (moved (B, P), seen (B, P)) -> Factors; with something given, (moved, seen, y (B, c))
    decoder : Decoder
        (z, y) (B, K + c) -> Field.
    likelihood : Likelihood
    grid : Tensor (P, D)
        Canonical coordinates of the samples.
    n_latent : int
        K.
    nuisance : Nuisance, optional
        Gain and baseline of every signal, solved in closed form.
    frame : Frame, optional
        The line of signals (default) or the plane of images.
    n_given : int
        Numbers c that are given of every signal: a condition, a class.
    """

    grid: Tensor

    def __init__(
        self,
        warps: Sequence[Warp],
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        grid: Tensor,
        n_latent: int,
        nuisance: Nuisance | None = None,
        *,
        frame: Frame | None = None,
        n_given: int = 0,
    ) -> None:
        super().__init__()
        self.nuisance = nuisance
        self.warps = nn.ModuleList(warps)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.n_latent = self.n_free = n_latent  # of the K latents, the first n_free are in use
        self.n_given, self.frame = n_given, frame or Line()
        self.spread = Spread(n_latent, n_given)
        self.n_pose = sum(w.size for w in warps)
        self.register_buffer("grid", grid)
        self.sample = float((grid[1] - grid[0]).abs().max())  # distance of two samples in canonical units
        line = grid.shape[1] == 1 and isinstance(decoder, Template)
        # one shift, read in the template's own steps: one set of weights serves all samples
        self._on_lattice = line and len(warps) == 1 and isinstance(warps[0], Shift)
        self._on_plane = isinstance(decoder, Template) and decoder.lattice is not None

    def on(self, grid: Tensor) -> PoseVAE:
        """The same model, weights and all, read at other coordinates (P', D)."""
        other = copy.copy(self)
        other._buffers, other._modules = dict(self._buffers), dict(self._modules)
        other.grid = grid
        if self.nuisance is not None:
            lanes = lane_of(grid, self.frame.channels, self.sample) if isinstance(self.frame, Line) else None
            other.nuisance = nuisance(self.nuisance.names, grid, lanes)
        steps = torch.diff(grid[:, 0]) / self.sample
        other._on_lattice = self._on_lattice and bool(((steps - 1).abs() < 1e-4).all())
        return other

    @property
    def named_warps(self) -> Sequence[Warp]:
        """The warps, in the order of their action."""
        return list(self.warps)  # type: ignore[arg-type]

    def field(self, z: Tensor) -> Field:
        """The canonical patterns of z and what is given (B, K + c)."""
        return self.decoder(self.spread(z))

    def values(self, pose: Tensor, z: Tensor) -> Tensor:
        """Field values at the measured grid: pose (B, G), z and what is given (B, K + c) -> (B, P)."""
        field = self.field(z)
        if self._on_lattice and isinstance(field, SplineField):
            return field.on_lattice(self.grid[0, 0] - pose[:, 0], len(self.grid))
        return field(pull_back(self.named_warps, self.grid, pose))

    def values_and_jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Values v (B, P) at theta (B, G + K + c), and their derivatives by pose and z, J (B, G + K, P).

        Forward mode, where the template does not know them better.
        """
        g = self.n_pose
        z, slopes = self.spread(theta[:, g:]), self.spread.slopes(theta[:, g:])
        if self._on_lattice:
            assert isinstance(self.decoder, Template)
            first = self.grid[0, 0] - theta[:, 0]
            values, jacobian = self.decoder.read_with_slopes(z, first, len(self.grid))
            jacobian[:, 0].neg_()
            jacobian[:, g:] = spread_by(slopes, jacobian[:, g:])
            return values, jacobian
        if self._on_plane:
            assert isinstance(self.decoder, Template)
            u, along = with_slopes(lambda pose: pull_back(self.named_warps, self.grid, pose), theta[:, :g])
            values, gradient, by_z = self.decoder.read_with_gradient(z, u)
            points = gradient.unflatten(2, (-1, len(self.grid)))  # (B, 2, channels, P)
            by_pose = torch.einsum("bdcp,gbpd->bgcp", points, along).flatten(2)
            return values, torch.cat([by_pose, spread_by(slopes, by_z)], 1)
        free, given = theta.tensor_split([g + self.n_latent], 1)
        values, slopes = with_slopes(lambda t: self.values(t[:, :g], torch.cat([t[:, g:], given], 1)), free)
        return values, slopes.movedim(0, 1)

    def fitted(self, x: Tensor, values: Tensor) -> Tensor:
        """Values (B, P) with the gain and baseline of the signals x (B, P), in closed form."""
        if self.nuisance is None:
            return values
        y, weight, seen = self._weighed(x)
        fitted = self.nuisance.fitted(y, values, weight)
        if self.likelihood.weight(x) is None:
            return fitted
        weight = self.likelihood.fisher(fitted, fitted)  # and once more
        return self.nuisance.fitted(y, values, weight if seen is None else weight * seen)

    def _weighed(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Signals (B, P) in the units of field values, what their samples count for when a nuisance is solved
        for, and which were measured; None: all alike, and all."""
        y, weight, seen = self.likelihood.observed(x), self.likelihood.weight(x), seen_in(x)
        if seen is None:
            return y, weight, None
        return with_zeros(y), seen if weight is None else weight * seen, seen

    def fitted_and_jacobian(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The same at theta (B, G + K), with the derivatives (B, G + K, P)."""
        values, jacobian = self.values_and_jacobian(theta)
        if self.nuisance is None:
            return values, jacobian
        y, weight, seen = self._weighed(x)
        if self.likelihood.weight(x) is not None:
            fitted = self.nuisance.fitted(y, values, weight)
            weight = self.likelihood.fisher(fitted, fitted)
            weight = weight if seen is None else weight * seen
        return self.nuisance.fitted_with_slopes(y, values, jacobian, weight)

    def expected(self, values: Tensor) -> Tensor:
        """Expected data (B, P) at field values; with a nuisance, up to its gain and baseline."""
        linear = self.nuisance is not None
        return self.likelihood.unobserved(values) if linear else self.likelihood.mean(values)

    def shown(self, x: Tensor) -> Tensor:
        """Signals (B, P) as the encoder sees them: spikes tamed, without gain and baseline."""
        tame = self.likelihood.tamed(x)
        return tame if self.nuisance is None else self.nuisance.plain(self.likelihood.observed(tame))

    def generate(self, pose: Tensor, z: Tensor, noise: Tensor) -> Distribution:
        """Distribution of the data of these latents."""
        return self.likelihood(self.values(pose, z), noise)

    def encode(self, x: Tensor, place: Tensor, given: Tensor | None = None) -> Factors:
        """q(pose, z | x, y) of signals (B, P) where the global search said ``place``, given y (B, c)."""
        moved = self.frame.moved_back(self.shown(x), place, self.named_warps, self.grid)
        if given is None or not self.n_given:
            rest = self.encoder(*moved)
        else:
            rest = self.spread.inverse(self.encoder(*moved, given), given)
        if self.n_free < self.n_latent:
            rest = rest.without_shape_after(self.n_free)
        return rest._replace(pose=self.frame.pose(place, rest.pose, self.named_warps, self.sample))

    def within(self, pose: Tensor) -> Tensor:
        """The pose (B, G), or the nearest that the prior allows."""
        bound = torch.cat([*(w.bound for w in self.named_warps), pose.new_zeros(0)])
        return torch.minimum(torch.maximum(pose, -bound), bound)

    def prior_precision(self) -> Tensor:
        """1 / sd^2 of the prior of (pose, z), shape (G + K,)."""
        sds = [w.prior_sd for w in self.named_warps]
        return torch.cat([*sds, self.grid.new_ones(self.n_latent)]).pow(-2)

    def prior_energy(self, theta: Tensor) -> Tensor:
        """-log p(pose, z) of theta (B, G + K + c), (B,)."""
        precision = self.prior_precision()
        volume = sum(w.log_volume() for w in self.named_warps) + 0.5 * self.n_latent * math.log(2 * math.pi)
        energy = 0.5 * (theta[:, : len(precision)].square() * precision).sum(1) + volume
        if not self.n_pose:
            return energy
        bound = torch.cat([w.bound for w in self.named_warps])
        return torch.where((theta[:, : self.n_pose].abs() <= bound).all(1), energy, torch.inf)


def spread_by(slopes: Tensor | None, by_w: Tensor) -> Tensor:
    """Derivatives (B, K, P) by z from those by w = S(z), slopes dw_i / dz_j (B, j, i)."""
    return by_w if slopes is None else slopes @ by_w
