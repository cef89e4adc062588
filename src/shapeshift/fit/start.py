"""Where fitting starts: the aligned mean as template, and networks around it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.align import Alignment
from shapeshift.model.decoders import CUBIC, CoordinateNet, Decoder, Template
from shapeshift.model.encoders import DenseEncoder, log_contrast, moved_back
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Shift

WIDE = 0.4  # sd of the log amplitude from which on amplitude is the first shape latent


class Design(NamedTuple):
    """What the user chose of the model, resolved."""

    n_latent: int
    warps: tuple[str, ...]
    decoder: str | torch.nn.Module
    encoder: torch.nn.Module | None
    likelihood: Likelihood
    shift_sd: float | None  # canonical units
    width: int = 128
    depth: int = 2


def canonical_grid(length: int) -> Tensor:
    """Coordinates of the samples, (P, 1): the window is [-1, 1]."""
    return torch.linspace(-1.0, 1.0, length)[:, None]


def aligned_mean(x: Tensor, lag: Tensor, reach: int) -> Tensor:
    """Mean of the moved-back signals on the wider grid (P + 2 reach,), held where too few were seen."""
    n, length = x.shape
    at = (torch.arange(length)[None] - lag[:, None] + reach).flatten()
    total, count = torch.zeros(length + 2 * reach), torch.zeros(length + 2 * reach)
    total.index_add_(0, at, x.flatten())
    count.index_add_(0, at, torch.ones(n * length))
    seen = torch.nonzero(count >= max(1.0, 0.01 * n))[:, 0]
    nearest = torch.arange(len(total)).clamp(int(seen[0]), int(seen[-1]))
    return (total / count.clamp_min(1))[nearest]


def spline_matrix(n: int) -> Tensor:
    """Values (n,) to coefficients of the cubic B-spline through them.

    Inverts a_{c-1} + 4 a_c + a_{c+1} = 6 v_c.
    """
    left, middle, _, _ = CUBIC[0].tolist()
    system = middle * torch.eye(n, dtype=torch.float64)
    system += left * (torch.diag(torch.ones(n - 1), 1) + torch.diag(torch.ones(n - 1), -1)).double()
    system[0, 0] = system[-1, -1] = 1 - left
    return torch.linalg.inv(system)


def spline_coefficients(values: Tensor) -> Tensor:
    """Coefficients of the cubic B-spline through ``values`` (C,)."""
    return (spline_matrix(len(values)) @ values.double()).to(values.dtype)


def build(design: Design, x: Tensor, start: Alignment, generator: torch.Generator) -> PoseVAE:
    """The model before training; networks draw from a private random state."""
    length, moves = x.shape[1], "shift" in design.warps
    grid = canonical_grid(length)
    sample = 2.0 / (length - 1)
    warps = [Shift(_prior_sd(design, start.lag, sample))] if moves else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        encoder = design.encoder or DenseEncoder(
            length, len(warps), design.n_latent, sample, width=design.width, depth=design.depth
        )
        decoder = _decoder(design, x, start, sample)
        return PoseVAE(warps, encoder, decoder, design.likelihood, grid, design.n_latent)


@torch.no_grad()
def release(vae: PoseVAE, x: Tensor, lag: Tensor, k: int) -> None:
    """Start latent k at the first principal component of what the latents before it leave unexplained.

    Where they leave nothing but noise the component is shrunk to nothing, and the latent stays unused.
    """
    if not (isinstance(vae.decoder, Template) and isinstance(vae.encoder, DenseEncoder)):
        return
    q = vae.encode(x, lag)
    mean = vae.likelihood.mean(vae.values(q.pose, q.z))
    rest, _ = moved_back(x - mean, lag)
    scale = vae.likelihood.values_at(mean + 0.0).std() / mean.std().clamp_min(1e-9)  # data to field values
    _, s, v = torch.linalg.svd(rest * scale, full_matrices=False)
    if k == 0 and _amplitude_first(vae, x, lag):
        return
    # sd of the component's score, less that of pure noise (the median component)
    sd = ((s[0].square() - s.median().square()).clamp_min(0) / len(x)).sqrt()
    component = v[0]
    reach = (len(vae.decoder.base) - len(component)) // 2
    wide = torch.nn.functional.pad(component, (reach, reach))
    vae.decoder.linear[k] = sd * spline_coefficients(wide)
    base, _ = moved_back(mean, lag)
    zero = component.new_zeros(1)
    vae.encoder.linear.weight[k] = (
        torch.cat([component, base.mean(0) * component, zero]) * scale / sd.clamp_min(1e-3)
    )
    vae.encoder.linear.bias[k] = -(base.mean(0) * component).sum() * scale / sd.clamp_min(1e-3)


def _amplitude_first(vae: PoseVAE, x: Tensor, lag: Tensor) -> bool:
    """Let the first latent be the logarithm of the amplitude, where amplitudes vary by much."""
    decoder, encoder = vae.decoder, vae.encoder
    y, seen = moved_back(x, lag)
    template = vae.values(x.new_zeros(1, vae.n_pose), x.new_zeros(1, vae.n_latent)) - decoder.floor
    gain = ((y - decoder.floor) * template * seen).sum(1) / (template.square() * seen).sum(1)
    log = gain.clamp_min(1e-2 * gain.median().clamp_min(1e-9)).log()
    if log.std() < WIDE or gain.median() <= 0:
        return False
    decoder.log_gain[0] = log.std()
    decoder.base.copy_(decoder.floor + log.mean().exp() * (decoder.base - decoder.floor))
    z = (log - log.mean()) / log.std()
    contrast = log_contrast(y, seen)[:, 0]
    slope = ((contrast - contrast.mean()) * z).mean() / contrast.var(correction=0)
    encoder.linear.weight[0, -1] = slope
    encoder.linear.bias[0] = -slope * contrast.mean()
    return True


def _prior_sd(design: Design, lag: Tensor, sample: float) -> float:
    """The user's, or the spread of the lags, never under two samples."""
    return design.shift_sd or max(1.2 * float(lag.double().std(correction=0)), 2.0) * sample


def _decoder(design: Design, x: Tensor, start: Alignment, sample: float) -> torch.nn.Module:
    if not isinstance(design.decoder, str):
        return design.decoder
    if design.decoder == "coordinate":
        return CoordinateNet(design.n_latent, width=design.width, depth=design.depth)
    reach = start.reach
    mean = design.likelihood.values_at(aligned_mean(x, start.lag, reach))
    decoder: Decoder = Template(
        spline_coefficients(mean), 1 + reach * sample, design.n_latent, width=design.width, depth=design.depth
    )
    return decoder
