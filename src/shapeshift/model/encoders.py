"""Encoders: a signal -> a Gaussian over pose and shape.

The encoder sees the signal *moved back* by the pose of the global search and a mask for what fell off the
edge, and predicts only the rest of the pose. Shape latents then cannot see position, and the encoder need
not be right about large shifts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shapeshift.model.decoders import LEAST, dense
from shapeshift.model.latents import Factors


def log_contrast(moved: Tensor, seen: Tensor) -> Tensor:
    """Logarithm of the sd of a signal about its mean, where it was seen: (B, 1)."""
    count = seen.sum(1, keepdim=True).clamp_min(1)
    mean = (moved * seen).sum(1, keepdim=True) / count
    variance = ((moved - mean).square() * seen).sum(1, keepdim=True) / count
    return 0.5 * (variance + 1e-6).log()


def encoder_inputs(moved: Tensor, seen: Tensor) -> Tensor:
    """What a dense encoder reads: moved-back signals, where they were not seen, log contrast (B, 2 P + 1)."""
    return torch.cat([moved, seen - 1, log_contrast(moved, seen)], dim=1)


def row_by_row(layer: nn.Module, x: Tensor) -> Tensor:
    """layer(x), the same for a row to the last bit wherever it stands: narrow layers are padded."""
    if not isinstance(layer, nn.Linear) or (short := LEAST - layer.out_features) <= 0:
        return layer(x)
    weight, bias = F.pad(layer.weight, (0, 0, 0, short)), F.pad(layer.bias, (0, short))
    return F.linear(x, weight, bias)[:, : layer.out_features]


class Encoder(nn.Module, ABC):
    """A network and, beside it, a linear map to the shape latents, which starts at principal components.

    Parameters
    ----------
    length : int
        Numbers M of a signal (of an image: channels x rows x columns).
    n_pose, n_latent, n_given : int
        G, K and c.
    sample : float
        Size of one sample in canonical units; the rest of the pose is predicted in samples.
    kinds : bool
        Whether what is given is one of c classes, each with a linear map of its own.
    """

    def __init__(
        self,
        length: int,
        n_pose: int,
        n_latent: int,
        sample: float,
        n_given: int = 0,
        *,
        kinds: bool = False,
    ) -> None:
        super().__init__()
        self.n_pose, self.n_latent, self.sample = n_pose, n_latent, sample
        self.linear = nn.Linear(2 * length + 1 + n_given, n_latent, bias=True)
        self.own = nn.Linear(2 * length + 1, n_given * n_latent) if kinds else None
        with torch.no_grad():
            for layer in (self.linear, self.own):
                if layer is not None:
                    layer.weight.zero_()
                    layer.bias.zero_()

    @abstractmethod
    def outputs(self, inputs: Tensor) -> Tensor:
        """Means of pose and z and logarithms of their sds, (B, 2 (G + K)), from :func:`encoder_inputs`."""

    def forward(self, moved: Tensor, seen: Tensor, given: Tensor | None = None) -> Factors:
        """Factors of moved-back signals (B, M) and their masks; the pose is the *rest* of it."""
        g, k = self.n_pose, self.n_latent
        inputs = signal = encoder_inputs(moved, seen)
        inputs = inputs if given is None else torch.cat([inputs, given], 1)
        pose, z, log_pose_sd, log_z_sd = torch.split(self.outputs(inputs), [g, k, g, k], dim=1)
        unit = self.sample
        z = z + row_by_row(self.linear, inputs)
        if self.own is not None and given is not None:
            z = z + (given[:, :, None] * row_by_row(self.own, signal).unflatten(1, (-1, k))).sum(1)
        return Factors(
            unit * pose,
            unit * log_pose_sd.clamp(-9, 4).exp(),
            z,
            log_z_sd.clamp(-9, 2).exp(),
        )

    def _start(self, last: nn.Module, start_sd: float) -> None:
        """Start the last layer small, and the posterior sharp."""
        assert isinstance(last, nn.Linear)
        g, k = self.n_pose, self.n_latent
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[g + k : 2 * g + k] = torch.tensor(start_sd).log()
            last.bias[2 * g + k :] = torch.tensor(0.1).log()


@final
class DenseEncoder(Encoder):
    """Fully connected encoder of the moved-back signal, its mask and the logarithm of its contrast.

    Parameters
    ----------
    length, n_pose, n_latent, sample, n_given, kinds
        As of :class:`Encoder`.
    width, depth : int
        Hidden units of a layer, hidden layers.
    start_sd : float
        Posterior sd of the pose before training, in samples: sharp, for a wide one blurs narrow
        features and lets the decoder learn them at two places.
    """

    def __init__(
        self,
        length: int,
        n_pose: int,
        n_latent: int,
        sample: float,
        n_given: int = 0,
        *,
        width: int = 64,
        depth: int = 2,
        start_sd: float = 0.7,
        kinds: bool = False,
    ) -> None:
        super().__init__(length, n_pose, n_latent, sample, n_given, kinds=kinds)
        self.body = dense([2 * length + 1 + n_given] + [width] * depth + [2 * (n_pose + n_latent)])
        self._start(self.body[-1], start_sd)

    def outputs(self, inputs: Tensor) -> Tensor:
        h = inputs
        for layer in self.body:
            h = row_by_row(layer, h)
        return h


@final
class ConvEncoder(Encoder):
    """Convolutional encoder of moved-back images and their masks.

    Layers of stride 2 halve the image until its longer side is below 8, and a dense layer reads the rest.

    Parameters
    ----------
    shape : (int, int, int)
        Channels, rows, columns.
    n_pose, n_latent, sample, n_given, kinds
        As of :class:`Encoder`.
    width : int
        Channels of the widest convolution, and units of the dense layer.
    start_sd : float
        As of :class:`DenseEncoder`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        n_pose: int,
        n_latent: int,
        sample: float,
        n_given: int = 0,
        *,
        width: int = 64,
        start_sd: float = 0.7,
        kinds: bool = False,
    ) -> None:
        channels, rows, columns = shape
        super().__init__(channels * rows * columns, n_pose, n_latent, sample, n_given, kinds=kinds)
        self.shape, self.n_given = shape, n_given
        layers: list[nn.Module] = []
        now, size = 2 * channels, (rows, columns)
        while max(size) >= 8:
            wide = min(width, 16 if not layers else 2 * now)
            layers += [nn.Conv2d(now, wide, 3, stride=2, padding=1), nn.SiLU()]
            now, size = wide, ((size[0] + 1) // 2, (size[1] + 1) // 2)
        self.convolutions = nn.Sequential(*layers)
        self.body = dense([now * size[0] * size[1] + 1 + n_given, width, 2 * (n_pose + n_latent)])
        self._start(self.body[-1], start_sd)

    def outputs(self, inputs: Tensor) -> Tensor:
        channels, rows, columns = self.shape
        length = channels * rows * columns
        images = inputs[:, : 2 * length].reshape(-1, 2 * channels, rows, columns)
        h = torch.cat([self.convolutions(images).flatten(1), inputs[:, 2 * length :]], 1)
        for layer in self.body:
            h = row_by_row(layer, h)
        return h
