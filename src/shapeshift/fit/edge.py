"""A fitted model as one function of tensors, which a small board can run.

The same computation as :mod:`shapeshift.fit.glance`, of as many signals as there are, with data units on one
side and axis units on the other; of signals, where asked for, also a few steps of
:mod:`shapeshift.fit.refine`, of all alike. Nothing in it depends on values but through tensors, so that it
can be written down as a graph.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch
from torch import Tensor, nn

from shapeshift.fit.choose import EMPTY
from shapeshift.fit.gauge import LANDMARKS
from shapeshift.fit.glance import best_lag, matched_filters
from shapeshift.fit.reading import EDGE, FAINT, MISFIT, PATTERN, placed_by, signal_zero
from shapeshift.fit.refine import State, moved, normal_equations
from shapeshift.model.latents import Factors, Spread
from shapeshift.model.likelihoods import SMALLEST
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    from shapeshift.data.conditions import Condition
    from shapeshift.fit.base import PoseEstimator
    from shapeshift.fit.signals import SignalModel

STEP = 0.03  # of a latent, for differences


@final
class Record(nn.Module):
    """A named tuple some of whose fields are tensors, which are written down with the weights."""

    def __init__(self, record: Any) -> None:
        super().__init__()
        self.kind, self.others = type(record), {}
        for name, value in record._asdict().items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value.detach().clone())
            else:
                self.others[name] = value

    def forward(self) -> Any:
        return self.kind(**{n: self.others.get(n, getattr(self, n, None)) for n in self.kind._fields})


@final
class Scaling(nn.Module):
    """Data (n, M) from data units to model units, in double precision: normalised, then scaled."""

    def __init__(self, model: PoseEstimator) -> None:
        super().__init__()
        self.how = model.normalise
        self.offset, self.gain = float(model.scaling_.offset), float(model.scaling_.gain)

    def forward(self, data: Tensor) -> Tensor:
        x = data.double()
        middle, size = self.own(x)
        x = (x - middle) / torch.where(size > 0, size, 1.0)
        return ((x - self.offset) / self.gain).float()

    def own(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What ``normalise`` takes off every row, and divides it by: (n, 1) each."""
        zero = torch.zeros_like(x[:, :1])
        if self.how == "max":
            return zero, x.amax(1, keepdim=True)
        if self.how == "area":
            return zero, x.abs().mean(1, keepdim=True)
        if self.how == "sd":
            middle = x.mean(1, keepdim=True)
            return middle, (x - middle).square().mean(1, keepdim=True).sqrt()
        if self.how == "minmax":
            low = x.amin(1, keepdim=True)
            return low, x.amax(1, keepdim=True) - low
        return zero, zero + 1


@final
class Numbers(nn.Module):
    """What is given of every signal (n, c), brought to mean 0 and sd 1."""

    def __init__(self, condition: Condition) -> None:
        super().__init__()
        self.register_buffer("centre", torch.tensor(condition.centre, dtype=torch.float64))
        self.register_buffer("spread", torch.tensor(condition.spread, dtype=torch.float64))

    centre: Tensor
    spread: Tensor

    def forward(self, condition: Tensor) -> Tensor:
        return ((condition.double() - self.centre) / self.spread).float()


def alone(vae: PoseVAE) -> PoseVAE:
    """A copy of a network whose latents are told as it learned them, with nothing to be trained."""
    vae = copy.deepcopy(vae).eval().requires_grad_(False)
    vae.spread = Spread(vae.n_latent, 0)  # the identity, whatever is given
    return vae


def noise_and_contrast(x: Tensor) -> Tensor:
    """Noise sd and contrast of signals (n, P): (n, 2), as :mod:`shapeshift.data.preprocess` has them."""
    variance = (x - x.mean(1, keepdim=True)).square().mean(1)
    if x.shape[1] < 5:
        return torch.stack([0 * variance, variance.sqrt()], 1)
    bend = torch.sort((x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]).abs(), 1).values
    half = bend.shape[1] // 2
    middle = bend[:, half] if bend.shape[1] % 2 else 0.5 * (bend[:, half - 1] + bend[:, half])
    noise = middle / (0.6745 * 6**0.5)
    return torch.stack([noise, (variance - noise.square()).clamp_min(0).sqrt()], 1)


def solved(a: Tensor, b: Tensor) -> Tensor:
    """a^-1 b of positive definite a (n, d, d) and b (n, d, k), by elimination (Gauss, Jordan)."""
    rows = torch.cat([a, b], 2).double()
    d = a.shape[1]
    for i in range(d):
        own = rows[:, i : i + 1] / rows[:, i : i + 1, i : i + 1]
        rest = rows - rows[:, :, i : i + 1] * own
        rows = torch.cat([rest[:, :i], own, rest[:, i + 1 :]], 1)
    return rows[:, :, d:].to(a.dtype)


def differences(function: Callable[[Tensor], Tensor], z: Tensor, over: int) -> tuple[Tensor, Tensor]:
    """f(z) (n, ...) and its derivatives (n, over, ...) by the first columns of z, by central differences."""
    steps = STEP * torch.eye(z.shape[1], dtype=z.dtype)[:over]
    at = torch.cat([0 * steps[:1], steps, -steps])[:, None] + z
    values = function(at.flatten(0, 1)).unflatten(0, (1 + 2 * over, -1))
    return values[0], ((values[1 : 1 + over] - values[1 + over :]) / (2 * STEP)).transpose(0, 1)


class Found(NamedTuple):
    """theta (n, G + K + c), its covariance (n, d, d), the fitted values (n, P) and the variance of what they
    leave over, relative to the assumed one (n,)."""

    theta: Tensor
    covariance: Tensor
    values: Tensor
    excess: Tensor


def stepped(vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor, steps: int) -> State:
    """Levenberg-Marquardt, ``steps`` steps of all signals alike, each taken where it explains better."""
    state = normal_equations(vae, x, noise, theta)
    damping = torch.full_like(state.loss, 1e-3)
    for _ in range(steps):
        diagonal = torch.diag_embed(torch.diagonal(state.hessian, dim1=1, dim2=2))
        system = state.hessian + damping[:, None, None] * diagonal
        step = solved(system, -state.gradient[..., None])[..., 0]
        step = torch.where(torch.isfinite(step), step, 0.0)
        trial = normal_equations(vae, x, noise, moved(state.theta, step))
        better = trial.loss < state.loss
        pairs = zip(trial, state, strict=True)
        state = State(*(torch.where(better.view(-1, *[1] * (t.ndim - 1)), t, s) for t, s in pairs))
        damping = torch.where(better, damping * 0.1, damping * 10).clamp(1e-9, 1e6)
    return state


class PoseGraph(nn.Module, ABC):
    """Data (n, ...) in data units -> what :attr:`outputs` names, the last of it ``trust`` (n,) bool.

    Parameters
    ----------
    model : PoseEstimator
        Fitted.
    steps : int
        Refining steps; 0 for the encoder alone.
    """

    outputs: tuple[str, ...]

    def __init__(self, model: PoseEstimator, steps: int = 0) -> None:
        super().__init__()
        self.vae, self.steps = alone(model.fitted_.vae), steps
        self.scaling = Scaling(model)
        self.given = Numbers(model.condition_) if model.condition_ is not None else None

    @abstractmethod
    def glance(self, x: Tensor, given: Tensor) -> Factors:
        """What the encoder says of data (n, M), model units."""

    @abstractmethod
    def told(self, found: Found) -> tuple[Tensor, ...]:
        """Poses and their sds, as :attr:`outputs` names them."""

    @abstractmethod
    def edge(self, found: Found) -> Tensor:
        """Which poses lie at the edge of what is searched, or are not determined: (n,) bool."""

    def forward(self, signals: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        data = signals.flatten(1)
        finite = torch.isfinite(data).all(1)
        x = self.scaling(torch.where(finite[:, None], data, 0.0))
        given = x[:, :0] if self.given is None or condition is None else self.given(condition)
        q = self.glance(x, given)
        theta = q.theta(given)
        finite = finite & torch.isfinite(theta).all(1)
        theta = torch.where(finite[:, None], theta, 0.0)  # so that one bad signal does not stop the others
        noise = noise_and_contrast(x)
        noise = noise if self.vae.nuisance is None else self.vae.nuisance.seen(x, noise)
        found = self.found(x, noise, q, theta)
        g, k = self.vae.n_pose, self.vae.n_latent
        z_sd = torch.diagonal(found.covariance[:, g:, g:], dim1=1, dim2=2).sqrt()
        doubt = (found.excess > MISFIT) | self.empty(x, noise, found)
        doubt = doubt | self.edge(found) if g else doubt
        numbers = (*self.told(found), found.theta[:, g : g + k], z_sd)
        told = (torch.where(finite.view(-1, *[1] * (t.ndim - 1)), t, torch.nan) for t in numbers)
        return *told, finite & ~doubt

    def found(self, x: Tensor, noise: Tensor, q: Factors, theta: Tensor) -> Found:
        """What the encoder says, or what it comes to in a few steps."""
        vae, g = self.vae, self.vae.n_pose
        if self.steps:
            return self.refined(stepped(vae, x, noise, theta, self.steps), x, noise)
        spread = torch.diag_embed(torch.cat([q.pose_sd, q.z_sd], 1).square())
        if not vae.likelihood.affine:  # noise that is not free tells nothing of a misfit
            return Found(theta, spread, x, torch.ones_like(noise[:, 0]))
        values = vae.fitted(x, vae.values(theta[:, :g], theta[:, g:]))
        return Found(theta, spread, values, self.excess(x, values, noise))

    def refined(self, state: State, x: Tensor, noise: Tensor) -> Found:
        """Laplace's covariance with the noise that the residuals show."""
        excess = self.excess(x, state.values, noise)
        prior = torch.diag(self.vae.prior_precision())
        hessian = (state.hessian - prior) / excess[:, None, None] + prior
        unit = torch.eye(len(prior)).expand_as(hessian)
        return Found(state.theta, solved(hessian, unit), state.values, excess)

    def excess(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """Variance of the residuals over the assumed one, (n,)."""
        vae = self.vae
        spent = vae.n_pose + vae.n_latent + (vae.nuisance.size if vae.nuisance else 0)
        return vae.likelihood.excess(x, values, noise, spent)

    def empty(self, x: Tensor, noise: Tensor, found: Found) -> Tensor:
        """Data (n, M) with no more power than noise may have, which a constant explains about as well."""
        vae = self.vae
        variance = noise[:, 0].square() + SMALLEST**2
        weak = noise[:, 1].square() <= EMPTY * (2 / x.shape[1]) ** 0.5 * variance
        if not vae.likelihood.affine:
            return weak
        flat = vae.nuisance is not None and len(vae.nuisance.basis) > 0
        level = 0 * x if flat else x.mean(1, keepdim=True).expand_as(x)
        left = (x - vae.fitted(x, level)).square().sum(1) - (x - found.values).square().sum(1)
        gained = 0.5 * left / vae.likelihood.rough_sd(x, noise).square()
        return weak & (gained / found.excess < PATTERN)


@final
class SignalGraph(PoseGraph):
    """Signals (n, P) -> shift, shift_sd (n,) in axis units, z, z_sd (n, K), trust."""

    outputs = ("shift", "shift_sd", "z", "z_sd", "trust")
    filters: Tensor

    def __init__(self, model: SignalModel, steps: int = 0) -> None:
        super().__init__(model, steps)
        fitted = model.fitted_
        assert isinstance(fitted.bank.reach, int)
        self.convention, self.unit, self.reach = model.zero, model._axis.half, fitted.bank.reach
        self.zero = Record(signal_zero(fitted))
        moves = bool(self.vae.n_pose)
        self.prior_sd = float(fitted.vae.prior_precision()[0].rsqrt()) if moves else 0.0
        filters = matched_filters(fitted.vae, fitted.bank) if moves else torch.zeros(0)
        self.register_buffer("filters", filters)

    def glance(self, x: Tensor, given: Tensor) -> Factors:
        vae = self.vae
        tame = vae.likelihood.tamed(x)
        lag = best_lag(tame, self.filters, self.reach) if vae.n_pose else (0 * x[:, 0]).long()
        return vae.encode(x, lag, given)

    def told(self, found: Found) -> tuple[Tensor, ...]:
        g, k = self.vae.n_pose, self.vae.n_latent
        if not g:
            return 0 * found.excess, 0 * found.excess
        shapes = found.theta[:, g:]
        if self.convention == "reference":
            delta, slope = self.zero()(shapes)
        else:
            delta, slope = differences(partial(LANDMARKS[self.convention], self.vae), shapes, k)
        at = placed_by(found.theta, found.covariance, delta, slope[:, :k])
        return self.unit * at.shift, self.unit * at.sd

    def edge(self, found: Found) -> Tensor:
        sample, pose = self.vae.sample, found.theta[:, 0].abs()
        prior_sd = max(self.prior_sd, sample)
        edge = (pose > EDGE * prior_sd) | (pose > (self.reach - 1) * sample)
        return edge | (found.covariance[:, 0, 0].sqrt() > FAINT * prior_sd)
