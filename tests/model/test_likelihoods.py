"""Laws of likelihoods, the same for every one."""

import pytest
import torch

from shapeshift.model.likelihoods import LIKELIHOODS

VALUES = torch.tensor([[-1.3, 0.2, 0.9, 1.7]])
NOISE = torch.tensor([[0.3, 1.0]])


@pytest.fixture(params=sorted(LIKELIHOODS))
def likelihood(request):
    return LIKELIHOODS[request.param]()


def draws(likelihood, n=1):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return likelihood(VALUES.expand(n, -1), NOISE.expand(n, -1)).sample()


def test_log_prob_is_the_distributions(likelihood):
    x = draws(likelihood)
    expected = likelihood(VALUES, NOISE).log_prob(x).sum(1)
    assert torch.allclose(likelihood.log_prob(x, VALUES, NOISE), expected, atol=1e-5)


def test_score_is_the_derivative(likelihood):
    x, v = draws(likelihood), VALUES.clone().requires_grad_(True)
    likelihood(v, NOISE).log_prob(x).sum().backward()
    assert torch.allclose(likelihood.score(x, VALUES, NOISE), v.grad, atol=1e-4)


def test_fisher_information_is_the_variance_of_the_score(likelihood):
    n = 60_000
    x = draws(likelihood, n)
    score = likelihood.score(x, VALUES.expand(n, -1), NOISE.expand(n, -1))
    ratio = score.var(0) / likelihood.fisher(VALUES, NOISE)[0]
    assert torch.allclose(ratio, torch.ones(4), atol=0.06)


def test_values_at_inverts_the_mean(likelihood):
    assert torch.allclose(likelihood.values_at(likelihood.mean(VALUES)), VALUES, atol=2e-2)


def test_own_draws_are_inside_the_support(likelihood):
    assert likelihood.inside(draws(likelihood)).all()
    assert not likelihood.inside(torch.tensor([float("nan")])).any()


@pytest.mark.parametrize(
    ("name", "outside"),
    [("poisson", -1.0), ("poisson", 0.5), ("bernoulli", 0.3), ("continuous-bernoulli", 1.2)],
)
def test_data_outside_the_support_are_seen(name, outside):
    assert not LIKELIHOODS[name]().inside(torch.tensor([outside])).any()
