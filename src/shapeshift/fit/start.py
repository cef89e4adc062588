"""Where fitting starts: the aligned mean as template, and networks around it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shapeshift.fit.align import Alignment, windows
from shapeshift.fit.choose import WIDE, varied
from shapeshift.model.decoders import CoordinateNet, Decoder, Template
from shapeshift.model.encoders import DenseEncoder, encoder_inputs, log_contrast
from shapeshift.model.fields import CUBIC, SplineField
from shapeshift.model.frames import Line, lane_of, moved_back
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.nuisance import Nuisance, nuisance
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Shift

TURNED = 0.03
MARGIN = 4  # samples


class Design(NamedTuple):
    """What the user chose of the model, resolved."""

    n_latent: int
    warps: tuple[str, ...]
    decoder: str | torch.nn.Module
    encoder: str | torch.nn.Module | None
    likelihood: Likelihood
    prior_sd: dict[str, float | None]  # of the warps by name, canonical units; None: found from the data
    width: int = 64
    depth: int = 2
    nuisance: tuple[str, ...] | None = ()  # None: found from the data
    robust: bool | None = False  # None: heavy tails where the data hold spikes
    image: tuple[int, int, int] | None = None  # channels, rows, columns
    n_given: int = 0
    kinds: bool = False  # whether what is given is one of few kinds
    n_classes: int = 0  # Y: kinds that nobody, or hardly anybody, has told apart
    channels: int = 1  # of signals, side by side on the line

    def with_classes(self) -> Design:
        """The same for the networks, to which a class is given as one of Y kinds."""
        return self._replace(n_given=self.n_classes, kinds=True) if self.n_classes else self

    def freed(self, length: int, core: slice = slice(None)) -> Nuisance | None:
        """The nuisance of signals of so many samples, or of a part of them."""
        return nuisance(self.nuisance or (), canonical_grid(length)[core], self.lanes(length)[core])

    def lanes(self, length: int) -> Tensor:
        """The channel of each of so many samples, -1 between two."""
        return lane_of(canonical_grid(length), self.channels, 2.0 / (length - 1))


def canonical_grid(length: int) -> Tensor:
    """Coordinates of the samples, (P, 1): the window is [-1, 1]."""
    return torch.linspace(-1.0, 1.0, length)[:, None]


class Prepared(NamedTuple):
    """Signals (n, P) without the gain and baseline that the alignment's template tells, and weights (n,)."""

    x: Tensor
    weight: Tensor


def prepared(likelihood: Likelihood, free: Nuisance | None, x: Tensor, start: Alignment) -> Prepared:
    """x = g T + baseline + noise, solved at the alignment's lags; without nuisance the signals themselves."""
    x = likelihood.tamed(x)
    if free is None:
        return Prepared(x, x.new_ones(len(x)))
    x = likelihood.observed(x)
    seen = windows(start.template, x.shape[1], start.reach, start.lag)
    pattern = free.cleared(seen)
    product = (x * pattern).sum(1)
    power = pattern.square().sum(1).clamp_min(1e-9)
    gain = product / power if free.gain else (product.sum() / power.sum()).expand(len(x))
    gain = gain.clamp_min(0.02 * gain.median().clamp_min(1e-9))[:, None]
    rest = free.cleared(x - gain * seen)
    own = gain if free.gain else torch.ones_like(gain)
    return Prepared((gain * seen + rest) / own, own[:, 0].square() / own.square().mean())


def aligned_mean(x: Tensor, lag: Tensor, reach: int, weight: Tensor) -> Tensor:
    """Mean of the moved-back signals on the wider grid (P + 2 reach,), held where too few were seen."""
    n, length = x.shape
    at = (torch.arange(length)[None] - lag[:, None] + reach).flatten()
    total, count = torch.zeros(length + 2 * reach), torch.zeros(length + 2 * reach)
    total.index_add_(0, at, (weight[:, None] * x).flatten())
    count.index_add_(0, at, weight[:, None].expand(n, length).flatten())
    seen = torch.nonzero(count >= max(1.0, 0.01 * n))[:, 0]
    nearest = torch.arange(len(total)).clamp(int(seen[0]), int(seen[-1]))
    return (total / count.clamp_min(1e-6))[nearest]


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
        encoder = design.encoder if isinstance(design.encoder, torch.nn.Module) else None
        encoder = encoder or DenseEncoder(
            length,
            len(warps),
            design.n_latent,
            sample,
            design.n_given,
            width=design.width,
            depth=design.depth,
            kinds=design.kinds,
        )
        free = design.freed(length)
        decoder = _decoder(design, prepared(design.likelihood, free, x, start), start, sample)
        return PoseVAE(
            warps,
            encoder,
            decoder,
            design.likelihood,
            grid,
            design.n_latent,
            free,
            frame=Line(design.channels),
            n_given=design.n_given,
        )


@torch.no_grad()
def start_latents(
    vae: PoseVAE, x: Tensor, noise: Tensor, start: Alignment, effect: Tensor | float = 0.0
) -> None:
    """Start the latents where they can do most: the first at the amplitude if that varies by much, the
    others at the principal components of what is then left unexplained; ``effect`` (n, P) is what is
    explained already, at rest."""
    decoder, encoder = vae.decoder, vae.encoder
    if not (isinstance(decoder, Template) and isinstance(encoder, DenseEncoder)):
        return
    ready = prepared(vae.likelihood, vae.nuisance, x, start)
    y, seen = moved_back(ready.x, start.lag)
    y = y - effect * seen
    values = vae.values(x.new_zeros(1, vae.n_pose), x.new_zeros(1, vae.n_latent + vae.n_given))
    mean = vae.likelihood.mean(values) if vae.nuisance is None else values  # as signals are prepared
    first = 0
    own_gain = vae.nuisance is not None and vae.nuisance.gain
    decoder.log_gain.requires_grad_(not own_gain)  # signals have their own
    if vae.likelihood.affine and not own_gain and varied(x, noise):
        first = int(_amplitude_first(decoder, encoder, y, seen, mean))
    strength = ready.weight.sqrt()[:, None]  # faint signals tell less
    if first:
        inputs = F.pad(encoder_inputs(y, seen), (0, vae.n_given))
        gain = torch.exp(encoder.linear(inputs)[:, :1] * decoder.log_gain[0])
        y, strength = decoder.floor + (y - decoder.floor) / gain, gain / gain.square().mean().sqrt()
        mean = vae.values(x.new_zeros(1, vae.n_pose), x.new_zeros(1, vae.n_latent + vae.n_given))
    rest = (_settled(y, seen, mean) - mean) * seen * strength
    slope = torch.gradient(mean, dim=1)[0]
    rest = rest - (rest @ slope.T) * slope / slope.square().sum().clamp_min(1e-12)
    _, s, v = torch.linalg.svd(rest - rest.mean(0), full_matrices=False)
    per_unit = values.std() / mean.std().clamp_min(1e-9)  # data to field values
    shown = mean if vae.nuisance is None else vae.nuisance.plain(mean)  # as the encoder sees it
    size = mean.std() / shown.std().clamp_min(1e-9) if own_gain else 1.0
    reach = (len(decoder.base) - x.shape[1]) // 2
    for k in range(first, vae.n_latent):
        component, sd = v[k - first], (s[k - first] / len(x) ** 0.5).clamp_min(1e-3)
        wide = F.pad(component, (reach, reach))
        decoder.linear[k] = per_unit * sd * spline_coefficients(wide)
        none = component.new_zeros(1 + vae.n_given)
        weight = size * torch.cat([component, shown[0] * component, none])
        encoder.linear.weight[k] = weight / sd
        encoder.linear.bias[k] = -size * (shown[0] * component).sum() / sd


def _settled(y: Tensor, seen: Tensor, mean: Tensor) -> Tensor:
    """Moved-back signals (n, P), moved on by the fraction of a sample that their lags leave over.

    Without it the first component of narrow features is their slope, and a latent that starts there folds:
    both its signs then mean the same shape.
    """
    length = y.shape[1]
    slope = torch.gradient(mean, dim=1)[0] * seen
    power = slope.square().sum(1).clamp_min(1e-9)
    wide = F.pad(y[None], (MARGIN, MARGIN), mode="replicate")[0]
    half = (length - 1) / 2 + MARGIN  # in samples
    spline = SplineField(wide @ spline_matrix(wide.shape[1]).T.to(y.dtype), half)
    left = y.new_zeros(len(y))  # samples, towards larger axis values
    moved = y
    for _ in range(2):
        left = (left - ((moved - mean) * slope).sum(1) / power).clamp(-0.75, 0.75)
        moved = spline.on_lattice(left + MARGIN - half, length)
    return moved


def _amplitude_first(decoder: Template, encoder: DenseEncoder, y: Tensor, seen: Tensor, mean: Tensor) -> bool:
    """Let the first latent be the log amplitude of moved-back signals y, if that varies by much."""
    above = mean - decoder.floor
    gain = ((y - decoder.floor) * above * seen).sum(1) / (above.square() * seen).sum(1).clamp_min(1e-12)
    log = gain.clamp_min(1e-2 * gain.median().clamp_min(1e-9)).log()
    turned = (gain < -0.05 * gain.abs().median()).double().mean()  # upside down: no matter of amplitude
    if log.std(correction=0) < WIDE or gain.median() <= 0 or turned > TURNED:
        return False
    decoder.log_gain[0] = log.std()
    decoder.base.copy_(decoder.floor + log.mean().exp() * (decoder.base - decoder.floor))
    contrast = log_contrast(y, seen)[:, 0]
    z = (log - log.mean()) / log.std()
    slope = ((contrast - contrast.mean()) * z).mean() / contrast.var(correction=0).clamp_min(1e-9)
    encoder.linear.weight[0, 2 * y.shape[1]] = slope
    encoder.linear.bias[0] = -slope * contrast.mean()
    return True


def _prior_sd(design: Design, lag: Tensor, sample: float) -> float:
    """The user's, or the spread of the lags, never under two samples."""
    return design.prior_sd.get("shift") or max(1.2 * float(lag.double().std(correction=0)), 2.0) * sample


def _decoder(design: Design, ready: Prepared, start: Alignment, sample: float) -> torch.nn.Module:
    if not isinstance(design.decoder, str):
        return design.decoder
    if design.decoder == "coordinate":
        return CoordinateNet(design.n_latent + design.n_given, width=design.width, depth=design.depth)
    reach = start.reach
    mean = aligned_mean(ready.x, start.lag, reach, ready.weight)
    mean = mean if design.nuisance else design.likelihood.values_at(mean)
    decoder: Decoder = Template(
        spline_coefficients(mean),
        1 + reach * sample,
        design.n_latent,
        width=design.width,
        depth=design.depth,
        n_given=design.n_given,
    )
    return decoder
