"""Refinement: from the encoder's guess to the maximum a posteriori and its Laplace covariance.

A few damped Gauss-Newton steps (Levenberg 1944; Marquardt 1963) per signal on theta = (pose, z),

    minimise  L(theta) = -log p(x | v(theta)) + theta' Lambda theta / 2,
    H = J' F J + Lambda,   J = dv / dtheta,   F = Fisher information of the likelihood,

which closes the amortisation gap of the encoder. H^-1 at the optimum is the covariance of the
posterior in Laplace's approximation (MacKay 2003, Information Theory, ch. 27).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.fit.threads import side_by_side
from shapeshift.model.gaps import seen_in
from shapeshift.model.vae import PoseVAE

CHUNK = 512
SMALLEST_CHUNK = 16
WORK = 1 << 17  # numbers of a chunk
KNOWN = 1e-6  # of the largest: below it single precision knows nothing


class Refined(NamedTuple):
    """Maximum a posteriori of n signals and what surrounds it.

    theta (n, G + K + c) | hessian (n, G + K, G + K) | loss (n,) = -log p(x, theta) | values (n, P) |
    settled (n,) bool: the steps came to rest.
    """

    theta: Tensor
    hessian: Tensor
    loss: Tensor
    values: Tensor
    settled: Tensor

    @property
    def covariance(self) -> Tensor:
        return torch.linalg.inv(self.hessian)

    @property
    def log_evidence(self) -> Tensor:
        """Laplace's approximation of log p(x), (n,)."""
        d = self.hessian.shape[1]
        return -self.loss + 0.5 * d * math.log(2 * math.pi) - 0.5 * _log_det(self.hessian)


def _log_det(hessian: Tensor) -> Tensor:
    """log |H| of (n, d, d); where rounding has left H indefinite, in single precision, none of its
    directions counts for less than that precision knows of."""
    sign, log = torch.linalg.slogdet(hessian)
    lost = sign <= 0
    if lost.any():
        values = torch.linalg.eigvalsh(hessian[lost].double())
        least = KNOWN * values.abs().amax(1, keepdim=True).clamp_min(1.0)
        log = log.index_put((torch.nonzero(lost)[:, 0],), values.maximum(least).log().sum(1).to(log))
    return log


def joint_loss(vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor, values: Tensor) -> Tensor:
    """-log p(x, theta) of every signal at the field's values (n, P), best gain and baseline included."""
    return _joint(vae, x, noise, theta, vae.fitted(x, values))


def _joint(vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor, values: Tensor) -> Tensor:
    """The same at fitted values, with the constants of the prior."""
    return vae.prior_energy(theta) - vae.likelihood.log_prob(x, values, noise)


@torch.no_grad()
def refine(
    vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor, *, steps: int = 12, tol: float = 1e-3
) -> Refined:
    """Levenberg-Marquardt on every signal by itself.

    Parameters
    ----------
    vae : PoseVAE
    x, noise, theta : Tensor (n, P), (n, 2), (n, G + K + c)
        Signals, their noise and contrast, the start. What is given of a signal stays as it is.
    steps : int
        At most so many.
    tol : float
        A signal has settled, and is left alone, when its next step would gain less than this many nats.
    """
    state = _evaluate(vae, x, noise, theta)
    damping = theta.new_full((len(theta),), 1e-3)
    settled = torch.zeros(len(theta), dtype=torch.bool)
    for _ in range(steps):
        step, promise = _propose(state, damping)
        settled |= promise < tol
        rows = torch.nonzero(~settled)[:, 0]
        if not len(rows):
            break
        trial = _evaluate(vae, x[rows], noise[rows], moved(state.theta[rows], step[rows]))
        taken = trial.loss < state.loss[rows]
        for kept, new in zip(state, trial, strict=True):
            kept[rows[taken]] = new[taken]
        damping[rows] = torch.where(taken, damping[rows] * 0.1, damping[rows] * 10).clamp(1e-9, 1e6)
    return Refined(state.theta, state.hessian, state.loss, state.values, settled)


class State(NamedTuple):
    """theta (n, G + K + c) and, there, the fitted values (n, P), the Gauss-Newton Hessian (n, d, d), the
    gradient (n, d) and the joint loss (n,)."""

    theta: Tensor
    values: Tensor
    hessian: Tensor
    gradient: Tensor
    loss: Tensor


def in_chunks(function: Callable[..., Sequence[Tensor]], *columns: Tensor, most: int = CHUNK) -> list[Tensor]:
    """Results of ``function`` on rows of ``columns``, always as many at a time (the last padded): ``most``,
    fewer where rows are long.

    One size for all calls, so that a signal's numbers do not depend on its neighbours to the last bit.
    """
    n = len(columns[0])
    width = max(c[0].numel() for c in columns)
    size = max(SMALLEST_CHUNK, min(most, 1 << (WORK // max(1, width)).bit_length() - 1))

    def part(begin: int) -> list[Tensor]:
        rows = torch.arange(begin, begin + size).clamp(max=n - 1)
        return [t[: n - begin] for t in function(*(c[rows] for c in columns))]

    parts = side_by_side(part, range(0, n, size))
    return [torch.cat(column) for column in zip(*parts, strict=True)]


def seen_by(vae: PoseVAE, x: Tensor, noise: Tensor) -> Tensor:
    """Noise sd and contrast (n, 2) of signals (n, P) as the model sees them: without their baselines."""
    free = vae.nuisance
    return noise if free is None else in_chunks(lambda *part: (free.seen(*part),), x, noise)[0]


def _evaluate(vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor) -> State:
    return State(*in_chunks(lambda *part: normal_equations(vae, *part), x, noise, theta))


def normal_equations(vae: PoseVAE, x: Tensor, noise: Tensor, theta: Tensor) -> State:
    """Values, Gauss-Newton Hessian, gradient and joint loss at theta."""
    precision = vae.prior_precision()
    values, jacobian = vae.fitted_and_jacobian(x, theta)
    information, seen = vae.likelihood.fisher(values, noise), seen_in(x)
    information = information if seen is None else information * seen
    score = vae.likelihood.score(x, values, noise)
    jacobian, information, score = (_even(t) for t in (jacobian, information, score))
    hessian = (jacobian * information[:, None]) @ jacobian.mT + torch.diag(precision)
    gradient = theta[:, : len(precision)] * precision - (jacobian @ score[..., None])[..., 0]
    return State(theta, values, hessian, gradient, _joint(vae, x, noise, theta, values))


def _even(t: Tensor) -> Tensor:
    """Rows with zeros up to a multiple of 4: where a row begins decides on the last bit of its products."""
    return torch.nn.functional.pad(t, (0, -t.shape[-1] % 4))


def moved(theta: Tensor, step: Tensor) -> Tensor:
    """theta (n, G + K + c) after a step (n, G + K)."""
    return theta + torch.nn.functional.pad(step, (0, theta.shape[1] - step.shape[1]))


def _propose(state: State, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step (n, d) and the nats it promises (n,)."""
    diagonal = torch.diagonal(state.hessian, dim1=1, dim2=2)
    system = state.hessian + torch.diag_embed(damping[:, None] * diagonal)
    step, _ = torch.linalg.solve_ex(system, -state.gradient)
    return step, -(step * state.gradient).sum(1)
