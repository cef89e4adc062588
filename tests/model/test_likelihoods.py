"""Laws of likelihoods, the same for every one."""

import math

import pytest
import torch
import torch.nn.functional as F
from laws import LikelihoodLaws, covered, final_subclasses
from torch import distributions as D

from shapeshift.model import likelihoods, pointwise
from shapeshift.model.likelihoods import (
    LIKELIHOODS,
    SMALLEST,
    BernoulliBits,
    ContinuousBernoulliValues,
    Gaussian,
    PoissonCounts,
    StudentTNoise,
)
from shapeshift.model.pointwise import LEAST_SD, PointNoise


def scale(noise, misfit):
    return (noise[:, :1] ** 2 + (misfit * noise[:, 1:]) ** 2 + SMALLEST**2).sqrt()


class TestGaussian(LikelihoodLaws):
    subject = Gaussian

    def make(self):
        return Gaussian(misfit=0.2)

    def reference(self, likelihood, values, noise):
        return D.Normal(values, scale(noise, 0.2))


class TestStudentT(LikelihoodLaws):
    subject = StudentTNoise

    def make(self):
        return StudentTNoise(misfit=0.2, dof=5.0)

    def reference(self, likelihood, values, noise):
        return D.StudentT(5.0, values, scale(noise, 0.2))

    # the weight in the search is the scale, not the sd, which spikes would inflate
    def test_rough_sd_is_near_the_real_one(self, likelihood, values, noise):
        assert torch.allclose(likelihood.rough_sd(values, noise), scale(noise, 0.2)[:, 0])


class TestPoisson(LikelihoodLaws):
    subject = PoissonCounts
    outside = (-1.0, 0.5)

    def make(self):
        return PoissonCounts(level=7.0)

    @pytest.fixture
    def values(self):
        return torch.tensor([[0.01, 0.1, 0.4, 1.6], [-0.01, 0.2, 0.9, 2.4]], dtype=torch.float64)

    def reference(self, likelihood, values, noise):
        sharpness = 7.0 / 0.15
        return D.Poisson(7.0 * F.softplus(sharpness * values) / sharpness + 1e-6)

    def test_the_rate_is_the_field_but_for_a_fraction_of_a_count(self):
        likelihood, v = self.make().double(), torch.linspace(-1, 3, 401, dtype=torch.float64)
        off = likelihood.mean(v) - 7.0 * v.clamp_min(0)
        assert (off.abs() < 0.15).all()
        assert (likelihood.mean(v) > 0).all()
        assert torch.allclose(likelihood.unobserved(likelihood.observed(v)), v)


class TestBernoulli(LikelihoodLaws):
    subject = BernoulliBits
    outside = (0.3, 2.0)

    def reference(self, likelihood, values, noise):
        return D.Bernoulli(logits=values)


class TestContinuousBernoulli(LikelihoodLaws):
    subject = ContinuousBernoulliValues
    outside = (-0.1, 1.2)

    def reference(self, likelihood, values, noise):
        return D.ContinuousBernoulli(logits=values)


class TestPointNoise(LikelihoodLaws):
    subject = PointNoise
    sds = torch.tensor([0.05, 0.2, 0.4, 1.5], dtype=torch.float64)

    def make(self):
        likelihood = PointNoise(4)
        with torch.no_grad():
            likelihood.log_sd.copy_(0.5 * (self.sds**2 - LEAST_SD**2).log())
        return likelihood

    def reference(self, likelihood, values, noise):
        return D.Normal(values, self.sds)

    # its noise belongs to points, not to signals of any length
    def test_rough_sd_is_near_the_real_one(self, likelihood, values, noise):
        rms = self.sds.square().mean().sqrt()
        assert torch.allclose(likelihood.rough_sd(values, noise), rms.expand(2))

    def test_no_point_is_known_without_end(self, likelihood, values, noise):
        with torch.no_grad():
            likelihood.log_sd.fill_(-60.0)
        assert torch.allclose(likelihood.sd, torch.full_like(self.sds, LEAST_SD))

    def test_the_noise_of_a_signal_by_itself_is_not_asked_for(self, likelihood, values, noise):
        x = values + 0.1
        assert torch.equal(likelihood.log_prob(x, values, noise), likelihood.log_prob(x, values, 9 * noise))


def test_no_likelihood_goes_untested():
    known = final_subclasses(likelihoods, likelihoods.Likelihood)
    assert known | final_subclasses(pointwise, likelihoods.Likelihood) == covered(LikelihoodLaws)
    assert set(LIKELIHOODS.values()) == known


@pytest.mark.parametrize("kind", [Gaussian, StudentTNoise])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_excess_is_the_variance_that_was_not_assumed(kind, factor):
    noise = torch.tensor([[0.2, 1.0]]).expand(50, -1)
    likelihood = kind(misfit=1e-3)
    values = torch.zeros(50, 400)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = factor * likelihood(values, noise).sample()
    excess = likelihood.excess(x, values, noise, 3).mean().detach()
    if factor == 1.0:
        assert abs(float(excess) - 1) < 0.05
    elif kind is Gaussian:
        assert abs(float(excess) / factor**2 - 1) < 0.05
    else:  # the robust estimate moves the same way, by less
        assert (float(excess) - 1) * math.log(factor) > 0


@pytest.mark.parametrize("kind", [PoissonCounts, BernoulliBits, ContinuousBernoulliValues])
def test_no_excess_where_noise_is_not_free(kind):
    x = torch.ones(3, 20)
    assert torch.equal(kind().excess(x, 0 * x, torch.ones(3, 2), 2), torch.ones(3))


@pytest.mark.parametrize("kind", [Gaussian, StudentTNoise])
@pytest.mark.parametrize("start", [0.005, 0.05, 0.9])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_settle_finds_the_misfit_that_there_is(kind, start, share):
    noise = torch.tensor([[0.01, 1.0], [0.02, 0.5], [0.002, 2.0]]).repeat(20, 1)
    values = torch.zeros(60, 200)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = kind(misfit=share)(values, noise).sample()
    likelihood = kind(misfit=start)
    likelihood.settle(x, values, noise)
    assert abs(likelihood.log_misfit.item() - math.log(share)) < 0.1


def test_settle_finds_none_where_noise_is_all():
    noise = torch.tensor([[0.1, 1.0]]).repeat(60, 1)
    x = 0.1 * torch.randn(60, 200, generator=torch.Generator().manual_seed(0))
    likelihood = Gaussian(misfit=0.1)
    likelihood.settle(x, 0 * x, noise)
    assert math.exp(likelihood.log_misfit.item()) < 0.02
