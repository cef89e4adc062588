"""The one model: warps + encoder + decoder + likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import jvp, vmap

from shapeshift.model.decoders import SplineField, Template
from shapeshift.model.encoders import moved_back
from shapeshift.model.latents import Factors
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.nuisance import Nuisance
from shapeshift.model.warps import Shift, Warp, pull_back


@final
class PoseVAE(nn.Module):
    """p(x | pose, z) = likelihood(field_z(g^-1 u)), q(pose, z | x) from the encoder.

    Parameters
    ----------
    warps : sequence of Warp
        What may move the pattern; empty: the ordinary VAE.
    encoder : module (moved (B, P), seen (B, P)) -> Factors
    decoder : Decoder
        z (B, K) -> Field.
    likelihood : Likelihood
    grid : Tensor (P, D)
        Canonical coordinates of the samples.
    n_latent : int
        K.
    nuisance : Nuisance, optional
        Gain and baseline of every signal, solved in closed form.
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
    ) -> None:
        super().__init__()
        self.nuisance = nuisance
        self.warps = nn.ModuleList(warps)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.n_latent = self.n_free = n_latent  # of the K latents, the first n_free are in use
        self.n_pose = sum(w.size for w in warps)
        self.register_buffer("grid", grid)
        # one shift, read in the template's own steps: one set of weights serves all samples
        self._on_lattice = len(warps) == 1 and isinstance(warps[0], Shift) and isinstance(decoder, Template)

    @property
    def sample(self) -> float:
        """Distance of two samples in canonical units."""
        return float(self.grid[1, 0] - self.grid[0, 0])

    def values(self, pose: Tensor, z: Tensor) -> Tensor:
        """Field values at the measured grid: pose (B, G), z (B, K) -> (B, P)."""
        field = self.decoder(z)
        if self._on_lattice and isinstance(field, SplineField):
            return field.on_lattice(self.grid[0, 0] - pose[:, 0], len(self.grid))
        return field(pull_back(list(self.warps), self.grid, pose))  # type: ignore[arg-type]

    def values_and_jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Values v (B, P) at theta = (pose, z) (B, G + K), and their derivatives J (B, G + K, P).

        Forward mode: one tangent a parameter (Baydin et al. 2018, J. Mach. Learn. Res. 18, 153).
        """
        g = self.n_pose
        if self._on_lattice:
            assert isinstance(self.decoder, Template)
            first = self.grid[0, 0] - theta[:, 0]
            values, jacobian = self.decoder.read_with_slopes(theta[:, g:], first, len(self.grid))
            jacobian[:, 0].neg_()
            return values, jacobian
        values, slopes = with_slopes(lambda t: self.values(t[:, :g], t[:, g:]), theta)
        return values, slopes.movedim(0, 1)

    def fitted(self, x: Tensor, values: Tensor) -> Tensor:
        """Values (B, P) with the gain and baseline of the signals x (B, P), in closed form."""
        if self.nuisance is None:
            return values
        y, weight = self.likelihood.observed(x), self.likelihood.weight(x)
        fitted = self.nuisance.fitted(y, values, weight)
        if weight is None:
            return fitted
        return self.nuisance.fitted(y, values, self.likelihood.fisher(fitted, fitted))  # and once more

    def fitted_and_jacobian(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The same at theta (B, G + K), with the derivatives (B, G + K, P)."""
        values, jacobian = self.values_and_jacobian(theta)
        if self.nuisance is None:
            return values, jacobian
        y, weight = self.likelihood.observed(x), self.likelihood.weight(x)
        if weight is not None:
            fitted = self.nuisance.fitted(y, values, weight)
            weight = self.likelihood.fisher(fitted, fitted)
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

    def encode(self, x: Tensor, lag: Tensor) -> Factors:
        """q(pose, z | x) of signals (B, P) whose global search said ``lag`` (B,) samples."""
        rest = self.encoder(*moved_back(self.shown(x), lag))
        if self.n_free < self.n_latent:
            rest = rest.without_shape_after(self.n_free)
        if not self.n_pose:
            return rest
        return rest._replace(pose=rest.pose + self.sample * lag[:, None].to(x.dtype))

    def prior_precision(self) -> Tensor:
        """1 / sd^2 of the prior of (pose, z), shape (G + K,)."""
        sds = [w.prior().stddev for w in self.warps]  # type: ignore[operator, union-attr]
        return torch.cat([*sds, self.grid.new_ones(self.n_latent)]).pow(-2)


_FORWARD_MODE = Lock()  # torch keeps one level of dual numbers for all threads


def with_slopes(function: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """f(z) (n, ...) and its derivatives (K, n, ...) by every column of z (n, K); f works row by row."""
    directions = torch.eye(z.shape[1], dtype=z.dtype)[:, None].expand(-1, *z.shape)
    with _FORWARD_MODE:
        out: tuple[Tensor, Tensor] = vmap(lambda d: jvp(function, (z,), (d,)), out_dims=(None, 0))(directions)  # type: ignore[arg-type,assignment]
    return out
