"""Encoders: a signal -> a Gaussian over pose and shape.

The encoder sees the signal *moved back* by a whole number of samples (the lag of the global
search) and a mask for what fell off the edge, and predicts only the rest of the shift. Shape
latents then cannot see position, and the encoder need not be right about large shifts.
"""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shapeshift.model.decoders import LEAST, dense
from shapeshift.model.latents import Factors


def moved_back(x: Tensor, lag: Tensor) -> tuple[Tensor, Tensor]:
    """Signals x (B, P) moved by -lag samples (B,), and the mask (B, P) of what was measured there."""
    p = torch.arange(x.shape[1], device=x.device) + lag[:, None]
    seen = (p >= 0) & (p < x.shape[1])
    y = torch.gather(x, 1, p.clamp(0, x.shape[1] - 1))
    return y * seen, seen.to(x.dtype)


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


@final
class DenseEncoder(nn.Module):
    """Fully connected encoder of the moved-back signal, its mask and the logarithm of its contrast.

    Parameters
    ----------
    length : int
        Samples P of a signal.
    n_pose, n_latent : int
        G and K.
    sample : float
        Size of one sample in canonical units; the rest of the shift is predicted in samples.
    start_sd : float
        Posterior sd of the shift before training, in samples: sharp, for a wide one blurs narrow
        features and lets the decoder learn them at two places.
    """

    def __init__(
        self,
        length: int,
        n_pose: int,
        n_latent: int,
        sample: float,
        *,
        width: int = 64,
        depth: int = 2,
        start_sd: float = 0.7,
    ) -> None:
        super().__init__()
        self.n_pose, self.n_latent, self.sample = n_pose, n_latent, sample
        self.linear = nn.Linear(2 * length + 1, n_latent, bias=True)
        self.body = dense([2 * length + 1] + [width] * depth + [2 * (n_pose + n_latent)])
        last = self.body[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.bias.zero_()
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[n_pose + n_latent : 2 * n_pose + n_latent] = torch.tensor(start_sd).log()
            last.bias[2 * n_pose + n_latent :] = torch.tensor(0.1).log()

    def forward(self, moved: Tensor, seen: Tensor) -> Factors:
        """Factors of moved-back signals (B, P) and their masks; the pose is the *rest* of it."""
        g, k = self.n_pose, self.n_latent
        inputs = encoder_inputs(moved, seen)
        h = inputs
        for layer in self.body:
            h = row_by_row(layer, h)
        pose, z, log_pose_sd, log_z_sd = torch.split(h, [g, k, g, k], dim=1)
        unit = self.sample
        return Factors(
            unit * pose,
            unit * log_pose_sd.clamp(-9, 4).exp(),
            z + row_by_row(self.linear, inputs),
            log_z_sd.clamp(-9, 2).exp(),
        )
