"""Reading a fitted model: posteriors and signals in axis and data units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shapeshift.data.coordinates import Axis
from shapeshift.fit.choose import EMPTY
from shapeshift.fit.gauge import Reference, References, line_of, offset
from shapeshift.fit.gauge_plane import PlaneZero
from shapeshift.fit.glance import glance
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.refine import KNOWN, in_chunks, refine, seen_by
from shapeshift.fit.search import Found, infer
from shapeshift.fit.threads import one_each
from shapeshift.model.gaps import count_seen, mean_seen
from shapeshift.model.likelihoods import SMALLEST

if TYPE_CHECKING:
    from shapeshift.data.coordinates import Stack
    from shapeshift.fit.recipe import Fitted
    from shapeshift.model.vae import PoseVAE

AMBIGUOUS = 4.0  # nats of evidence within which another shift is an explanation to be told
EDGE = 3.0  # prior standard deviations
FAINT = 0.5  # of the prior's sd: the signal has told next to nothing of its shift
PATTERN = 10.0  # nats by which a pattern must explain a signal of little power better than a constant
NEAR = 0.4  # half-windows from the centre within which a pattern is taken to be seen whole
MISFIT = 4.0  # residual variance over the assumed one


def sharpened(vae: PoseVAE, x: Tensor, noise: Tensor, found: Found) -> tuple[Tensor, Tensor]:
    """Covariance (n, d, d) with the noise that the residuals show, and that variance over the assumed one."""
    refined = found.refined
    spent = refined.hessian.shape[1] + (vae.nuisance.size if vae.nuisance else 0)
    excess = vae.likelihood.excess(x, refined.values, noise, spent)
    prior = torch.diag(vae.prior_precision())
    told = (refined.hessian - prior) / excess[:, None, None]
    covariance = torch.linalg.inv(told + prior)
    lost = ~(torch.diagonal(covariance, dim1=1, dim2=2) > 0).all(1)
    if lost.any():
        covariance[lost] = _inverse(told[lost], prior)
    return covariance, excess


def _inverse(told: Tensor, prior: Tensor) -> Tensor:
    """(told + prior)^-1 where rounding has left ``told`` (n, d, d) with directions that tell less than
    nothing: of signals next to without noise that tell of fewer numbers than they have."""
    values, vectors = torch.linalg.eigh(told.double())
    least = KNOWN * values.abs().amax(1, keepdim=True)
    values = torch.where(values > least, values, 0.0)
    whole = vectors @ torch.diag_embed(values) @ vectors.mT + prior.double()
    return torch.linalg.inv(whole).to(told.dtype)


def signal_zero(fitted: Fitted) -> Reference | References:
    """The zero of a model of signals."""
    assert not isinstance(fitted.reference, PlaneZero)
    return fitted.reference


class Placed(NamedTuple):
    """Shifts relative to the zero, their sd, and the zero itself: (n,) each, canonical units."""

    shift: Tensor
    sd: Tensor
    delta: Tensor


def placed(fitted: Fitted, zero: str, theta: Tensor, covariance: Tensor) -> Placed:
    """Shifts of theta (n, G + K) under a zero, whose own uncertainty comes with that of the shape."""
    vae, g = fitted.vae, fitted.vae.n_pose
    if not g:
        return Placed(*[theta.new_zeros(len(theta))] * 3)
    return placed_by(theta, covariance, *offset(vae, zero, signal_zero(fitted), theta[:, g:]))


def placed_by(theta: Tensor, covariance: Tensor, delta: Tensor, slope: Tensor) -> Placed:
    """The same by the zero of every signal (n,) and its slope along the shape (n, K)."""
    along = torch.cat([torch.ones_like(delta)[:, None], slope], 1)
    sd = torch.einsum("ni,nij,nj->n", along, covariance, along).sqrt()
    return Placed(theta[:, 0] + delta, sd, delta)


@one_each()
@torch.no_grad()
def glance_of(fitted: Fitted, x: Tensor, given: Tensor, zero: str, axis: Axis, stack: Stack) -> Posterior:
    """The same as :func:`posterior_of` by the encoder alone: noise and evidence are not known then."""
    q = glance(fitted.vae, fitted.bank, x, given)
    sds = torch.cat([q.pose_sd, q.z_sd], 1)
    at = placed(fitted, zero, q.theta(given), torch.diag_embed(sds.square()))
    unknown = np.full(len(x), np.nan)
    return Posterior(
        shift=_numbers(at.shift) * axis.half,
        shift_sd=_numbers(at.sd) * axis.half,
        z=_numbers(q.z),
        z_sd=_numbers(q.z_sd),
        noise_sd=unknown,
        log_evidence=unknown.copy(),
        flags=np.full(len(x), "", dtype="<U1"),
        rival_shift=unknown.copy(),
        gain=unknown.copy(),
        gain_sd=unknown.copy(),
        axis_name=axis.name,
        axis_units=axis.units,
        stack=stack,
    )


@one_each()
@torch.no_grad()
def posterior_of(
    fitted: Fitted,
    x: Tensor,
    noise: Tensor,
    given: Tensor,
    zero: str,
    gain: np.ndarray,
    axis: Axis,
    stack: Stack,
    found: Found | None = None,
    measured: tuple[PoseVAE, Tensor, Tensor] | None = None,
) -> Posterior:
    """Posterior of signals (n, P) in model units, of which (n, c) is given; ``gain`` (n,) is data units per
    model unit. Signals ``measured`` elsewhere, (n, P') with their noise, come with the model read there."""
    vae = fitted.vae
    noise = seen_by(vae, x, noise)
    found, g = found or infer(vae, fitted.bank, x, noise, given), vae.n_pose
    if measured is not None:
        vae, x, noise = measured
        noise = seen_by(vae, x, noise)
        found = found._replace(refined=refine(vae, x, noise, found.refined.theta))
    covariance, excess = sharpened(vae, x, noise, found)
    theta = found.refined.theta
    z = theta[:, g : g + vae.n_latent]
    shift, shift_sd, delta = placed(fitted, zero, theta, covariance)
    sample_sd = vae.likelihood.rough_sd(x, noise) * excess.sqrt()
    ambiguous = found.rival_gap / excess < AMBIGUOUS
    rival = torch.where(ambiguous, _rival_shift(found) + delta, torch.nan)
    own, own_sd = gains(vae, x, theta, covariance, sample_sd)
    evidence = found.refined.log_evidence.double().numpy() - _numbers(count_seen(x)) * np.log(gain)
    return Posterior(
        shift=_numbers(shift) * axis.half,
        shift_sd=_numbers(shift_sd) * axis.half,
        z=_numbers(z),
        z_sd=_numbers(torch.diagonal(covariance[:, g:, g:], dim1=1, dim2=2).sqrt()),
        noise_sd=_numbers(sample_sd) * gain,
        log_evidence=evidence,
        flags=_flags(
            fitted,
            theta,
            covariance,
            excess,
            ambiguous,
            _empty(vae, x, noise, found, excess),
            _outside(vae, theta, delta),
        ),
        rival_shift=_numbers(rival) * axis.half,
        gain=_numbers(own),
        gain_sd=_numbers(own_sd),
        axis_name=axis.name,
        axis_units=axis.units,
        stack=stack,
    )


def _rival_shift(found: Found) -> Tensor:
    """The other shift of every signal, (n,)."""
    pose = found.rival_pose
    return pose[:, 0] if pose.shape[1] else pose.new_full((len(pose),), torch.nan)


def gains(
    vae: PoseVAE, x: Tensor, theta: Tensor, covariance: Tensor, sample_sd: Tensor
) -> tuple[Tensor, Tensor]:
    """Gain of every signal and its sd, (n,) each: 1 and 0 where signals have none of their own."""
    if vae.nuisance is None:
        return torch.ones(len(x)), torch.zeros(len(x))

    def solved(x: Tensor, theta: Tensor, covariance: Tensor, sd: Tensor) -> Sequence[Tensor]:
        assert vae.nuisance is not None
        return vae.nuisance.solved(
            vae.likelihood.observed(x), *vae.values_and_jacobian(theta), covariance, sd
        )[:2]

    gain, sd = in_chunks(solved, x, theta, covariance, sample_sd)
    return gain, sd


def _empty(vae: PoseVAE, x: Tensor, noise: Tensor, found: Found, excess: Tensor) -> Tensor:
    """Signals (n, P) that hold no pattern, bool (n,): no more power than noise may have, and no narrow
    feature either, which a long window would hide: a constant explains them about as well."""
    variance = noise[:, 0].square() + SMALLEST**2
    empty = noise[:, 1].square() <= EMPTY * (2 / count_seen(x).clamp_min(1)) ** 0.5 * variance
    rows = torch.nonzero(empty)[:, 0]
    if len(rows):
        x, noise, values = x[rows], noise[rows], found.refined.values[rows]
        flat = vae.nuisance is not None and len(vae.nuisance.basis) > 0  # a baseline holds the level
        level = 0 * x if flat else vae.likelihood.values_at(mean_seen(x)).expand_as(x)
        told = vae.likelihood.log_prob(x, values, noise)
        told = told - vae.likelihood.log_prob(x, vae.fitted(x, level), noise)
        empty[rows] = told / excess[rows] < PATTERN
    return empty


def _outside(vae: PoseVAE, theta: Tensor, delta: Tensor) -> Tensor:
    """Of which signals the window shows less than half of the pattern's power, bool (n,)."""
    g = vae.n_pose
    out = torch.zeros(len(theta), dtype=torch.bool)
    frame = line_of(vae)
    rows = torch.nonzero((theta[:, :g] + delta[:, None]).abs().sum(1) > NEAR * frame.window)[:, 0]
    if len(rows):
        z, moved, middle = theta[rows, g:], theta[rows, :g], -delta[rows, None]

        def variance(pose: Tensor, z: Tensor) -> tuple[Tensor]:
            return (frame.each(vae.values(pose, z)).var(2).sum(1),)

        power = [in_chunks(variance, at, z)[0] for at in (moved, middle)]
        out[rows] = power[0] < 0.5 * power[1]
    return out


def _flags(
    fitted: Fitted,
    theta: Tensor,
    covariance: Tensor,
    excess: Tensor,
    ambiguous: Tensor,
    empty: Tensor,
    outside: Tensor,
) -> np.ndarray:
    """Codes of what to doubt, joined by ";", one string a signal."""
    vae = fitted.vae
    marks = {"misfit": excess > MISFIT, "faint": empty}
    if vae.n_pose:
        prior_sd = vae.prior_precision()[0].rsqrt().clamp_min(vae.sample)  # under a sample, no edge counts
        assert isinstance(fitted.bank.reach, int)
        reach = fitted.bank.reach * vae.sample
        marks["ambiguous"], marks["outside"] = ambiguous, outside
        marks["edge"] = (theta[:, 0].abs() > EDGE * prior_sd) | (theta[:, 0].abs() > reach - vae.sample)
        marks["faint"] = empty | (covariance[:, 0, 0].sqrt() > FAINT * prior_sd)
        if fitted.home is not None:
            marks["phase"] = fitted.home.stranger(theta)
    codes = sorted(marks)
    kinds = sum(marks[c].long() << k for k, c in enumerate(codes)).numpy()  # type: ignore[union-attr]
    named = [";".join(c for k, c in enumerate(codes) if kind >> k & 1) for kind in range(1 << len(codes))]
    return np.array(named)[kinds]


@one_each()
@torch.no_grad()
def drawn(
    fitted: Fitted, x: Tensor, noise: Tensor, given: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected signals at the posterior (n, P), pose (n, G) and shape (n, K), model units."""
    noise = seen_by(fitted.vae, x, noise)
    refined = infer(fitted.vae, fitted.bank, x, noise, given).refined
    g, k = fitted.vae.n_pose, fitted.vae.n_latent
    mean = fitted.vae.likelihood.mean(refined.values)
    return _numbers(mean), _numbers(refined.theta[:, :g]), _numbers(refined.theta[:, g : g + k])


def pose_tensor(fitted: Fitted, shift: np.ndarray, z: Tensor, zero: str) -> Tensor:
    """Raw poses (n, G) of shifts (n,), canonical units, that are relative to the zero."""
    if not fitted.vae.n_pose:
        return z.new_zeros(len(z), 0)
    delta, _ = offset(fitted.vae, zero, signal_zero(fitted), z)
    return (torch.tensor(shift, dtype=z.dtype) - delta)[:, None]


def _numbers(t: Tensor) -> np.ndarray:
    return t.detach().double().numpy()


def plane(n: int, n_latent: int) -> tuple[np.ndarray, np.ndarray]:
    """n quantiles of the prior, 5 to 95 %, and the latents (n * n, K) of their grid over the first two."""
    from scipy.stats import norm

    points = norm.ppf(np.linspace(0.05, 0.95, n))
    grids = np.meshgrid(*[points] * min(2, n_latent))
    z = np.zeros((grids[0].size, n_latent))
    for k, grid in enumerate(grids):
        z[:, k] = grid.ravel()
    return points, z


def prior_sd(vae: PoseVAE) -> float:
    """Prior sd of the shift in canonical units, 0 where nothing moves."""
    return float(vae.prior_precision()[0].rsqrt()) if vae.n_pose else 0.0
