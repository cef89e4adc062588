"""The size of error bars, from errors whose size is known."""

import pytest
import torch

from shapeshift.fit.held_out import calibrated

N, Q = 4000, 6


@pytest.fixture(scope="module")
def case():
    generator = torch.Generator().manual_seed(0)
    noise = torch.linspace(0.1, 2.0, Q).square()
    spread = torch.rand(N, Q, generator=generator).mul(3).exp() / 10
    return noise, spread, generator


def errors(case, a, b):
    noise, spread, generator = case
    return (a * noise + b * spread).sqrt() * torch.randn(N, Q, generator=generator)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.0, 0.5), (0.3, 6.0)])
def test_both_factors_are_found(case, a, b):
    noise, spread, _ = case
    c = calibrated(noise, spread, errors(case, a, b))
    torch.testing.assert_close(c.noise.float(), a * noise, rtol=0.1, atol=0.2 * b)
    assert abs(float(c.b) / b - 1) < 0.15


def test_the_pattern_of_the_noise_is_put_right_by_many_pairs_and_kept_by_few(case):
    noise, spread, _ = case
    error = errors(case, 1.0, 1.0)
    flat = torch.full((Q,), 0.5)  # as it was learned: wrong
    many = calibrated(flat, spread, error).noise
    torch.testing.assert_close(many.float(), noise, rtol=0.1, atol=0.2)
    few = calibrated(flat, spread[:3], error[:3]).noise.log().std()
    assert few < 0.5 * noise.log().std()


def test_the_spread_is_never_discounted_below_its_least(case):
    noise, spread, _ = case
    error = errors(case, 1.0, 0.0)
    assert float(calibrated(noise, spread, error).b) < 0.02
    assert float(calibrated(noise, spread, error, least=0.25).b) > 0.15


def test_one_sd_holds_its_share_whatever_the_tails(case):
    noise, spread, generator = case
    tails = torch.randn(N, Q, generator=generator) / torch.rand(N, Q, generator=generator).sqrt()
    c = calibrated(noise, spread, noise.sqrt() * tails)
    inside = tails.abs() * noise.sqrt() < c.sd(spread)
    assert abs(float(inside.double().mean()) - 0.6827) < 1e-3
    for share in (0.5, 0.95):
        held = tails.abs() * noise.sqrt() < c.reach(share) * c.sd(spread)
        assert abs(float(held.double().mean()) - share) < 1e-3
    assert c.reach(0.95) > 2.5
    assert abs(c.reach(0.6827) - 1) < 2e-3


def test_few_pairs_are_enough_to_say_something(case):
    noise, spread, _ = case
    c = calibrated(noise, spread[:2], errors(case, 1.0, 1.0)[:2])
    assert torch.isfinite(c.sd(spread)).all()
    assert (c.sd(spread) > 0).all()


def test_no_error_at_all_is_no_reason_to_fail(case):
    noise, spread, _ = case
    c = calibrated(noise, spread, 0 * spread)
    assert (c.sd(spread) > 0).all()
    assert torch.isfinite(c.quantiles).all()
