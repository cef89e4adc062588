"""Likelihoods: what a measurement looks like around the values of the field.

A likelihood turns field values v (B, P) and what is known of the noise of every signal (B, 2) - the sd of
a sample, and the contrast, the sd of the signal itself - into a distribution; samples that were not
measured, nan in x, count for nothing. It
declares the support of the data and its Fisher information with respect to v. The refinement needs
nothing else: Gauss-Newton on any likelihood is Fisher scoring, with weights ``F`` in place of
``1 / sigma^2`` (Nelder & Wedderburn 1972, J. R. Stat. Soc. A 135, 370).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Distribution, Normal, Poisson, StudentT

from shapeshift.model.gaps import bridged, count_seen, mean_seen, rest, seen_in, with_zeros
from shapeshift.model.spikes import without_spikes

SMALLEST = 1e-4  # no sample is known better than this, in units of the whole set's sd
SMALLEST_MISFIT = 1e-3  # share of the contrast
FLOOR = 0.15  # counts below which the rate of Poisson counts bends to stay positive
PRIOR_DOF = 2.0  # weight, in samples, of the assumed noise against that of the residuals


class Likelihood(nn.Module, ABC):
    """Distribution of the data given the values of the field.

    Attributes
    ----------
    name : str
    support : str
        The data it can explain, as one reads it in an error message.
    affine : bool
        Whether the data may be rescaled freely (an offset and a gain) without leaving the support.
    linear : bool
        Whether a gain and a baseline of the field values are such of the expected data.
    """

    name: str
    support: str
    affine: bool = False
    linear: bool = False

    @abstractmethod
    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        """Distribution of the data, one factor a sample: values (B, P), noise (B, 2)."""

    @abstractmethod
    def inside(self, x: Tensor) -> Tensor:
        """Which data are inside the support: (B, P) -> bool (B, P)."""

    @abstractmethod
    def mean(self, values: Tensor) -> Tensor:
        """Expected data at these field values, (B, P) -> (B, P)."""

    @abstractmethod
    def values_at(self, mean: Tensor) -> Tensor:
        """Field values whose expected data are ``mean`` (the inverse of :meth:`mean`)."""

    @abstractmethod
    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        """Fisher information of one sample with respect to its field value, (B, P)."""

    def rough_sd(self, x: Tensor, noise: Tensor) -> Tensor:
        """One noise sd a signal, good enough to weigh squared residuals in the search: (B,)."""
        return self(self.values_at(mean_seen(x)), noise).stddev[:, 0]

    def excess(self, x: Tensor, values: Tensor, noise: Tensor, n_parameters: int) -> Tensor:
        """Variance of the residuals over the one that was assumed, (B,); 1 where noise is not free."""
        return torch.ones_like(noise[:, 0])

    def observed(self, x: Tensor) -> Tensor:
        """The data (B, P) in the units of field values, for likelihoods that are linear."""
        return x

    def unobserved(self, values: Tensor) -> Tensor:
        """The inverse of :meth:`observed`."""
        return values

    def weight(self, x: Tensor) -> Tensor | None:
        """What the samples of x (B, P) count for when gain and baseline are solved for; None: all alike."""
        return None

    def tamed(self, x: Tensor) -> Tensor:
        """Signals as a search by squares may see them: without samples that only this noise explains."""
        return x

    def settle(self, x: Tensor, values: Tensor, noise: Tensor) -> None:
        """Fit the likelihood's own numbers to refined values: while training they also had to cover what
        the encoder alone leaves over. Nothing to do where there are none."""

    def log_prob(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """log p(x | v) of every signal, summed over its samples: (B,)."""
        density, seen = self(values, noise).log_prob(with_zeros(x)), seen_in(x)
        return (density if seen is None else density * seen).sum(-1)

    def score(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        """Derivative of log p(x | v) with respect to v, (B, P)."""
        with torch.enable_grad():
            v = values.detach().requires_grad_(True)
            (grad,) = torch.autograd.grad(self.log_prob(x, v, noise).sum(), v)
        return grad


class WithMisfit(Likelihood):
    """Additive noise of a known sd, plus what the model cannot draw: one learned share of the contrast."""

    affine = True
    linear = True
    support = "real numbers"

    def __init__(self, misfit: float = 0.03) -> None:
        super().__init__()
        self.log_misfit = nn.Parameter(torch.tensor(math.log(misfit)))

    def scale(self, noise: Tensor) -> Tensor:
        """sqrt(s_i^2 + m^2 c_i^2), shape (B, 1)."""
        sd, contrast = noise.split(1, dim=1)
        return (sd.square() + (torch.exp(self.log_misfit) * contrast).square() + SMALLEST**2).sqrt()

    def rough_sd(self, x: Tensor, noise: Tensor) -> Tensor:
        return self.scale(noise)[:, 0]

    def excess(self, x: Tensor, values: Tensor, noise: Tensor, n_parameters: int) -> Tensor:
        square = (rest(x, values) / self.scale(noise)).square()
        total = (self.robust_weight(square) * square).sum(1)
        spare = (count_seen(x) - n_parameters).clamp_min(0)
        return (total + PRIOR_DOF) / (spare + PRIOR_DOF)

    @torch.no_grad()
    def settle(self, x: Tensor, values: Tensor, noise: Tensor) -> None:
        start = float(self.log_misfit)
        tries = torch.linspace(math.log(SMALLEST_MISFIT), max(0.0, start), 80).tolist()
        fits = []
        for log_misfit in tries:
            self.log_misfit.fill_(log_misfit)
            fits.append(float(self.log_prob(x, values, noise).sum()))
        self.log_misfit.fill_(tries[fits.index(max(fits))])

    def robust_weight(self, square: Tensor) -> Tensor:
        """Weight of a squared standardised residual in the estimate of the scale."""
        return torch.ones_like(square)

    def inside(self, x: Tensor) -> Tensor:
        return torch.isfinite(x)

    def mean(self, values: Tensor) -> Tensor:
        return values

    def values_at(self, mean: Tensor) -> Tensor:
        return mean


@final
class Gaussian(WithMisfit):
    """x = v + noise, noise sd ``sqrt(s_i^2 + m^2 c_i^2)``: s_i, c_i of the signal, m learned (misfit)."""

    name = "gaussian"

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return Normal(values, self.scale(noise), validate_args=False)

    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        return self.scale(noise).pow(-2).expand_as(values)

    def log_prob(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        scale = self.scale(noise)
        square = (rest(x, values) / scale).square().sum(-1)
        return -0.5 * square - count_seen(x) * (scale.log()[:, 0] + 0.5 * math.log(2 * math.pi))

    def score(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        return rest(x, values) / self.scale(noise).square()


@final
class StudentTNoise(WithMisfit):
    """x = v + Student-t noise with ``dof`` degrees of freedom: spikes cost little.

    Its Fisher information is ``(dof + 1) / (dof + 3) / scale^2`` (Lange, Little & Taylor 1989,
    J. Am. Stat. Assoc. 84, 881, appendix B).
    """

    name = "student-t"

    def __init__(self, misfit: float = 0.03, dof: float = 4.0) -> None:
        super().__init__(misfit)
        self.dof = dof

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return StudentT(self.dof, values, self.scale(noise), validate_args=False)

    def robust_weight(self, square: Tensor) -> Tensor:
        return (self.dof + 1) / (self.dof + square)

    def excess(self, x: Tensor, values: Tensor, noise: Tensor, n_parameters: int) -> Tensor:
        """Of the estimate, not of the samples: <psi^2> / <psi'>^2 of the scores psi found (Huber 1964, Ann.
        Math. Stat. 35, 73, eq. 1.1) over the one that noise of this kind would have, 1 / F."""
        ratio = rest(x, values) / self.scale(noise)
        psi = self.robust_weight(ratio.square()) * ratio
        bend = (self.dof + 1) * (self.dof - ratio.square()) / (self.dof + ratio.square()).square()
        fisher, length = (self.dof + 1) / (self.dof + 3), count_seen(x)
        spare = (length - n_parameters).clamp_min(0)
        power = (psi.square().sum(1) + PRIOR_DOF * fisher) / (spare + PRIOR_DOF)
        bend = torch.where(torch.isnan(x), 0.0, bend).sum(1) / length.clamp_min(1)
        return fisher * power / bend.clamp_min(0.3 * fisher).square()

    def tamed(self, x: Tensor) -> Tensor:
        return without_spikes(x)

    def log_prob(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        scale, dof = self.scale(noise), self.dof
        constant = math.lgamma((dof + 1) / 2) - math.lgamma(dof / 2) - 0.5 * math.log(dof * math.pi)
        tails = torch.log1p((rest(x, values) / scale).square() / dof).sum(-1)
        return count_seen(x) * (constant - scale.log()[:, 0]) - 0.5 * (dof + 1) * tails

    def score(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        scale, off = self.scale(noise), rest(x, values)
        return self.robust_weight((off / scale).square()) * off / scale.square()

    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        factor = (self.dof + 1) / (self.dof + 3)
        return (factor / self.scale(noise).square()).expand_as(values)


@final
class PoissonCounts(Likelihood):
    """x ~ Poisson(rate), rate = level * softplus(sharpness v) / sharpness: counts, whose noise is their own
    square root.

    The link is the identity but for the last tenth of a count, where it keeps the rate positive: a gain
    and a background of the field are such of the counts.

    Parameters
    ----------
    level : float
        Typical count, so that field values are of order one.
    """

    name = "poisson"
    support = "counts (whole numbers >= 0)"
    linear = True

    def __init__(self, level: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("level", torch.tensor(float(level)))

    level: Tensor

    @property
    def sharpness(self) -> Tensor:
        return (self.level / FLOOR).clamp_min(1.0)

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return Poisson(self.mean(values), validate_args=False)

    def inside(self, x: Tensor) -> Tensor:
        return torch.isfinite(x) & (x >= 0) & (x == x.round())

    def mean(self, values: Tensor) -> Tensor:
        return self.level * F.softplus(self.sharpness * values) / self.sharpness + 1e-6

    def values_at(self, mean: Tensor) -> Tensor:
        y = (mean / self.level).clamp_min(1e-3 / self.sharpness)
        return y + torch.log(-torch.expm1(-self.sharpness * y)) / self.sharpness

    def observed(self, x: Tensor) -> Tensor:
        return x / self.level

    def unobserved(self, values: Tensor) -> Tensor:
        return self.level * values

    def weight(self, x: Tensor) -> Tensor:
        near = F.avg_pool1d(bridged(x)[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
        return 1 / (near + 0.5)

    def score(self, x: Tensor, values: Tensor, noise: Tensor) -> Tensor:
        mean = self.mean(values)
        return rest(x, mean) / mean * self.level * torch.sigmoid(self.sharpness * values)

    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        slope = self.level * torch.sigmoid(self.sharpness * values)
        return slope.square() / self.mean(values)


class _LogitLikelihood(Likelihood):
    """Data between 0 and 1 whose natural parameter is the field value."""

    def mean(self, values: Tensor) -> Tensor:
        return self(values, values.new_ones(len(values), 2)).mean

    def values_at(self, mean: Tensor) -> Tensor:
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))

    def fisher(self, values: Tensor, noise: Tensor) -> Tensor:
        # an exponential family in its natural parameter: information = variance of the data
        return self(values, noise).variance


@final
class BernoulliBits(_LogitLikelihood):
    """x in {0, 1}, P(x = 1) = sigmoid(v)."""

    name = "bernoulli"
    support = "zeros and ones"

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return Bernoulli(logits=values, validate_args=False)

    def inside(self, x: Tensor) -> Tensor:
        return (x == 0) | (x == 1)


@final
class ContinuousBernoulliValues(_LogitLikelihood):
    """x in [0, 1] with the density of the continuous Bernoulli.

    Source: Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845, definition 1.
    """

    name = "continuous-bernoulli"
    support = "numbers from 0 to 1"

    def forward(self, values: Tensor, noise: Tensor) -> Distribution:
        return ContinuousBernoulli(logits=values, validate_args=False)

    def inside(self, x: Tensor) -> Tensor:
        return (x >= 0) & (x <= 1)

    def values_at(self, mean: Tensor) -> Tensor:
        # the mean has no closed inverse; it is monotonic in v, so bisect
        low, high = torch.full_like(mean, -30.0), torch.full_like(mean, 30.0)
        for _ in range(40):
            middle = (low + high) / 2
            below = self.mean(middle) < mean
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2


LIKELIHOODS: dict[str, type[Likelihood]] = {
    cls.name: cls
    for cls in (Gaussian, StudentTNoise, PoissonCounts, BernoulliBits, ContinuousBernoulliValues)
}
