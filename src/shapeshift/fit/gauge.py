"""Where zero is.

The data fix a shift only up to a function of the shape: moving every canonical signal by -delta(z)
and every shift by +delta(z) changes nothing that is measured. A declared convention picks delta:

* ``reference``: where the shapes are near enough to mirror images of themselves, as lines and peaks
  are, shift 0 puts the centre of that symmetry at the centre of the axis: what a least-squares fit of
  any symmetric formula calls its position. Where they are not, moving along z at constant shift does
  not move along the shift, <dv/dz - dv/dt grad delta, dv/dt> = 0, so
  grad delta = <dv/dz, dv/dt> / <dv/dt, dv/dt>, the choice with the least noise (errors of shift and
  of shape are then uncorrelated); its constant puts the set's mean centre of energy at the centre of
  the axis. Either way delta is a sum of Gaussian bumps over z, fitted where the data are.
* ``peak``: shift 0 puts the highest point of the signal at the centre of the axis.
* ``centroid``: the same with the centroid of the squared deviation from the median, of a step of its
  squared slope.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.refine import CHUNK, in_chunks
from shapeshift.model.frames import Line
from shapeshift.model.vae import PoseVAE, with_slopes

ZEROS = ("reference", "peak", "centroid")
RIDGE = 1e-6
TURNS = 6
CORE = 4  # the power that leaves of a feature its core, whose place long tails do not sway
KNOTS = 48
WIDTH = 0.7  # of a bump, in sd of the latents
ALIKE = 0.95  # likeness to the own mirror image from which on a shape has a centre of symmetry
SMOOTH = 0.3  # samples a centre of symmetry may lie off a smooth function of z


class Reference(NamedTuple):
    """delta(z) = constant + bumps((z - centre) / spread) @ coefficients, kept within ``bounds`` (2,).

    knots (M, K): where the bumps are | symmetric: whether delta is the centre of mirror symmetry.
    """

    coefficients: Tensor
    knots: Tensor
    centre: Tensor
    spread: Tensor
    constant: Tensor
    symmetric: Tensor
    bounds: Tensor

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """delta (n,) of shapes z (n, K + c), and its gradient (n, K + c)."""
        columns, slopes = bumps((z - self.centre) / self.spread, self.knots)
        delta = self.constant + columns @ self.coefficients
        held = (delta > self.bounds[0]) & (delta < self.bounds[1])
        gradient = (slopes @ self.coefficients) * held[:, None] / self.spread
        return torch.minimum(torch.maximum(delta, self.bounds[0]), self.bounds[1]), gradient


class References(NamedTuple):
    """The same for kinds, given (Y, c): the zero of every kind is its own."""

    given: Tensor
    parts: tuple[Reference, ...]

    def as_tensors(self) -> dict[str, Tensor]:
        """By names, for a file."""
        parts = ({f"{k}.{n}": v for n, v in p._asdict().items()} for k, p in enumerate(self.parts))
        return {"given": self.given} | {name: v for part in parts for name, v in part.items()}

    @classmethod
    def from_tensors(cls, named: dict[str, Tensor]) -> References:
        """The inverse."""
        given, fields = named["given"], Reference._fields
        parts = (Reference(*(named[f"{k}.{name}"] for name in fields)) for k in range(len(given)))
        return cls(given, tuple(parts))

    @property
    def symmetric(self) -> Tensor:
        return torch.stack([p.symmetric for p in self.parts]).all()

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """delta (n,) of shapes and kinds z (n, K + c), and its gradient, 0 along the kind."""
        k = z.shape[1] - self.given.shape[1]
        delta, gradient = z.new_zeros(len(z)), torch.zeros_like(z)
        for kind, part in zip(self.given, self.parts, strict=True):
            own = (z[:, k:] == kind).all(1)
            value, slope = part(z[:, :k])  # of all rows: their number decides on the last bit
            delta = torch.where(own, value, delta)
            gradient[:, :k] = torch.where(own[:, None], slope, gradient[:, :k])
        return delta, gradient


def bumps(y: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
    """exp(-|y - k|^2 / (2 WIDTH^2 K)) of y (n, K) at every knot: (n, M); derivatives by y: (n, K, M)."""
    apart = (y[:, :, None] - knots.T) / (WIDTH * y.shape[1] ** 0.5)  # (n, K, M)
    height = torch.exp(-0.5 * apart.square().sum(1))
    return height, -apart * height[:, None] / (WIDTH * y.shape[1] ** 0.5)


def spread_out(y: Tensor, size: int) -> Tensor:
    """Rows of y (n, K), as far from each other as they come, the one nearest to 0 first (Gonzalez 1985)."""
    chosen = [int(y.square().sum(1).argmin())]
    distance = torch.full((len(y),), torch.inf, dtype=y.dtype)
    for _ in range(min(size, len(y)) - 1):
        distance = torch.minimum(distance, (y - y[chosen[-1]]).square().sum(1))
        chosen.append(int(distance.argmax()))
    return y[chosen]


def centroid(vae: PoseVAE, z: Tensor, power: int = 2) -> Tensor:
    """Centroid, of signals at shift 0, of the deviation from the median (of steps: of the slope) to a power:
    (n,)."""
    at = z.new_zeros(z.shape[0])
    along = _along(vae)
    for _ in range(TURNS):  # in the middle of the window, what the window cuts off does not matter
        signal = _channels(vae, -at[:, None], z)
        energy = (_feature(signal).abs().double() ** power).sum(1)
        at = at + ((energy * along).sum(1) / energy.sum(1).clamp_min(1e-12)).to(z.dtype)
    return at


def _feature(signal: Tensor) -> Tensor:
    """What of signals (n, C, P) has a place: the deviation from the median, or of a step its slope."""
    eighth = max(1, signal.shape[2] // 8)
    step = signal[..., -eighth:].mean(2) - signal[..., :eighth].mean(2)
    steps = step.abs() > 0.5 * (signal.amax(2) - signal.amin(2))
    bump = signal - signal.median(2, keepdim=True).values
    return torch.where(steps[..., None], torch.gradient(signal, dim=2)[0], bump)


def peak(vae: PoseVAE, z: Tensor) -> Tensor:
    """Highest point of signals (of their first channel) at shift 0, by a parabola through three samples:
    (n,)."""
    signal = _at_rest(vae, z)[:, 0]
    top = signal[:, 1:-1].argmax(1, keepdim=True) + 1
    return _along(vae)[0] + vae.sample * _vertex(signal, top)


def mirror(vae: PoseVAE, z: Tensor) -> Tensor:
    """Point about which signals at shift 0 are most like their mirror images: (n,)."""
    return _folded(vae, z)[0]


def _folded(vae: PoseVAE, z: Tensor) -> tuple[Tensor, Tensor]:
    """That point, and the likeness there: 1 for a mirror image, 0 for nothing in common.

    Maximum over c of sum_u w(c + u) w(c - u), the autoconvolution at 2c, w the signal above (or
    below) its baseline, or the slope of a step; summed over the channels.
    """
    signal = _feature(_at_rest(vae, z))
    size = 2 * signal.shape[2]
    folded = energy = torch.zeros(1)
    for k in range(signal.shape[1]):
        one = signal[:, k] * torch.sign(signal[:, k].mean() - signal[:, k].median())
        w = (one - torch.quantile(one, 0.1, dim=1, keepdim=True)).clamp_min(0)
        folded = folded + torch.fft.irfft(torch.fft.rfft(w, size).square(), size)
        energy = energy + w.square().sum(1)
    top = folded[:, 1:-2].argmax(1, keepdim=True) + 1
    likeness = folded.gather(1, top)[:, 0] / energy.clamp_min(1e-12)
    return _along(vae)[0] + vae.sample * 0.5 * _vertex(folded, top), likeness


def _vertex(curve: Tensor, top: Tensor) -> Tensor:
    """Highest point of the parabola through the sample ``top`` (n, 1) and its neighbours: (n,)."""
    a, b, c = (curve.gather(1, top + k)[:, 0] for k in (-1, 0, 1))
    bend = (a - 2 * b + c).clamp_max(-1e-12)
    return top[:, 0] + (0.5 * (a - c) / bend).clamp(-1, 1)


def line_of(vae: PoseVAE) -> Line:
    """The frame of a model of signals."""
    assert isinstance(vae.frame, Line)
    return vae.frame


def _at_rest(vae: PoseVAE, z: Tensor) -> Tensor:
    return _channels(vae, z.new_zeros(z.shape[0], vae.n_pose), z)


def _channels(vae: PoseVAE, pose: Tensor, z: Tensor) -> Tensor:
    """Expected signals, (n, C, P)."""
    return line_of(vae).each(vae.expected(vae.values(pose, z)))


def _along(vae: PoseVAE) -> Tensor:
    """Coordinates of the samples of a channel, from its middle: (P,)."""
    first = line_of(vae).each(vae.grid[:, 0])[0]
    return first - (first[0] + first[-1]) / 2


LANDMARKS = {"peak": peak, "centroid": centroid}


@torch.no_grad()
def fit_references(vae: PoseVAE, theta: Tensor, *, rigid: bool = False) -> References:
    """The reference zero of every kind that is given, from theta (n, G + K + c) of the training signals."""
    kinds, which = theta[:, vae.n_pose + vae.n_latent :].unique(dim=0, return_inverse=True)
    parts = [fit_reference(vae, theta[which == k], rigid=rigid, over=vae.n_latent) for k in range(len(kinds))]
    return References(kinds, tuple(parts))


@torch.no_grad()
def fit_reference(vae: PoseVAE, theta: Tensor, *, rigid: bool = False, over: int | None = None) -> Reference:
    """The reference zero, from the posterior means (n, G + K + c) of the training signals.

    rigid: delta does not depend on the shape (where the prior already says that nothing moves). over: of how
    many of the K latents and c given numbers it is a function, by default of all.
    """
    shapes = theta[:, vae.n_pose :]
    z = shapes[:, :over]
    wanted, weight = zip(
        *(_wanted_gradient(vae, part, z.shape[1]) for part in theta.split(CHUNK)), strict=True
    )
    gradient, sharp = torch.cat(wanted).double(), torch.cat(weight).double()
    centre, spread = z.mean(0), z.std(0, correction=0).clamp_min(1e-3)
    y = ((z - centre) / spread).double()
    knots = spread_out(y[(y.abs() < 4).all(1)], KNOTS)
    columns, slopes = bumps(y, knots)
    trust = (sharp / sharp.median().clamp_min(1e-12)).clamp_max(4.0).sqrt()[:, None]
    symmetric = None if rigid else _symmetric(vae, shapes, columns, trust)
    if symmetric is not None:
        coefficients, constant = symmetric
    else:
        rows = (slopes.transpose(0, 1) * trust).flatten(0, 1)  # (K n, M)
        target = (gradient * spread.double() * trust).T.flatten()
        coefficients = _ridge(rows, target) * (0.0 if rigid else 1.0)
        middle = torch.cat([centroid(vae, part, CORE) for part in shapes.split(CHUNK)]).double()
        constant = (sharp * (middle - columns @ coefficients)).sum() / sharp.sum().clamp_min(1e-12)
    trusted = (constant + columns @ coefficients)[trust[:, 0] > 0.3]
    bounds = torch.stack([trusted.min() - vae.sample, trusted.max() + vae.sample]).to(z)
    flag = torch.tensor(symmetric is not None)
    return Reference(coefficients.to(z), knots.to(z), centre, spread, constant.to(z), flag, bounds)


def _symmetric(vae: PoseVAE, z: Tensor, columns: Tensor, trust: Tensor) -> tuple[Tensor, Tensor] | None:
    """Coefficients of the bumps through the centres of mirror symmetry, and the constant, or None where
    the centres do not follow a smooth function."""
    parts = zip(*(_folded(vae, part) for part in z.split(CHUNK)), strict=True)
    centres, likeness = (torch.cat(column).double() for column in parts)
    weight = trust.square()[:, 0] / trust.square().sum()
    if (weight * likeness).sum() < ALIKE:
        return None
    means = (weight[:, None] * columns).sum(0), (weight * centres).sum()
    coefficients = _ridge((columns - means[0]) * trust, (centres - means[1]) * trust[:, 0])
    constant = means[1] - means[0] @ coefficients
    error = (constant + columns @ coefficients - centres).abs()
    off = (weight * (error > SMOOTH * vae.sample)).sum()
    return None if off > 0.05 else (coefficients, constant)


def _ridge(rows: Tensor, target: Tensor) -> Tensor:
    normal = rows.T @ rows
    normal = normal + RIDGE * len(rows) * torch.eye(len(normal), dtype=normal.dtype)
    return torch.linalg.solve(normal, rows.T @ target)


def _wanted_gradient(vae: PoseVAE, theta: Tensor, over: int) -> tuple[Tensor, Tensor]:
    """<dv/dz, dv/dt> / <dv/dt, dv/dt> (n, over) and <dv/dt, dv/dt> (n,)."""
    _, jacobian = vae.values_and_jacobian(theta)
    free = theta[:, : jacobian.shape[1]]
    if over > vae.n_latent:  # what is given changes the shape as a latent does
        pose, z = free[:, : vae.n_pose], free[:, vae.n_pose :]
        given = theta[:, free.shape[1] :]
        _, by_given = with_slopes(lambda y: vae.values(pose, torch.cat([z, y], 1)), given)
        jacobian = torch.cat([jacobian, by_given.movedim(0, 1)], 1)
    jacobian = line_of(vae).own(jacobian)
    along = jacobian[:, :1]
    sharp = along.square().sum(2)
    return (jacobian[:, 1:] * along).sum(2) / sharp.clamp_min(1e-9), sharp[:, 0]


@torch.no_grad()
def offset(vae: PoseVAE, zero: str, reference: Reference | References, z: Tensor) -> tuple[Tensor, Tensor]:
    """delta of z (n, K + c), (n,), and its gradient by the latents (n, K), canonical units, under the named
    convention."""
    delta, gradient = in_chunks(partial(_offset, vae, zero, reference), z)
    return delta, gradient


def _offset(vae: PoseVAE, zero: str, reference: Reference | References, z: Tensor) -> tuple[Tensor, Tensor]:
    """The same of all rows at once."""
    if zero == "reference":
        delta, gradient = reference(z)
    else:
        delta, slopes = with_slopes(partial(LANDMARKS[zero], vae), z)
        gradient = slopes.T
    return delta, gradient[:, : vae.n_latent]


def sentence(zero: str, reference: Reference | References, place: str) -> str:
    """What shift 0 means, for a reader; ``place`` is the axis value it stands for."""
    if zero == "peak":
        return f"shift 0 puts the highest point of a signal at {place}"
    if zero == "centroid":
        return f"shift 0 puts a signal's centre of energy at {place}"
    if reference.symmetric:
        return f"shift 0 puts the pattern's centre of mirror symmetry at {place}"
    return (
        f"shift 0 puts the set's mean centre of energy at {place}; shapes are registered so that changing "
        "the shape does not move the pattern"
    )
