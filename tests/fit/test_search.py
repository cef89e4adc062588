"""The search over lags: the true one is named, others only where they have a chance, and rivals are told."""

import numpy as np
import pytest
import torch
from known import LENGTH, REACH, SAMPLE, Fixed, model
from laws import normal

from shapeshift.fit import bank as bank_module
from shapeshift.fit import search
from shapeshift.fit.bank import Bank, bank_of
from shapeshift.fit.refine import CHUNK
from shapeshift.fit.search import better_places, candidates, infer, table_of

Z = normal(12, 2, seed=4)


def known(n=300, noise_sd=0.05, seed=0, free=()):
    """A model whose encoder knows nothing, its bank, signals and noise, and their theta."""
    encoder = Fixed(torch.zeros(3).double(), torch.full((3,), 0.1).double())
    vae = model(encoder=encoder, free=free)
    lag = torch.randint(-5, 6, (n,), generator=torch.Generator().manual_seed(seed))
    theta = torch.cat([SAMPLE * lag[:, None].double(), 0.7 * normal(n, 2, seed=seed + 1)], 1)
    with torch.no_grad():
        x = vae.values(theta[:, :1], theta[:, 1:]) + noise_sd * normal(n, LENGTH, seed=seed + 2)
    return vae, Bank(Z, REACH), x, torch.tensor([[noise_sd, 0.0]]).double().repeat(n, 1), theta


@pytest.mark.parametrize("free", [(), ("gain", "offset"), ("baseline",)])
@torch.no_grad()
def test_the_true_lag_is_among_the_candidates(free):
    vae, bank, x, noise, theta = known(free=free)
    if free:
        gain = 0.1 if "gain" in free else 1.0
        x, noise = gain * x + 40.0, gain * noise
    named = candidates(vae, bank, table_of(vae, bank), x, noise)
    near = (named.place - theta[:, :1] / SAMPLE).abs() <= 1.01
    assert near.any(1).double().mean() > 0.95
    assert (near & named.chance).any(1).double().mean() > 0.95
    assert near[:, 0].double().mean() > 0.7


@torch.no_grad()
def test_candidates_do_not_depend_on_the_gain():
    vae, bank, x, noise, _ = known(free=("gain", "offset"))
    table = table_of(vae, bank)
    one, other = (candidates(vae, bank, table, g * x, g * noise) for g in (1.0, 0.05))
    assert (one.place == other.place).double().mean() > 0.97
    assert (one.shape == other.shape).double().mean() > 0.97


@pytest.mark.parametrize("free", [(), ("gain", "offset")])
def test_signals_are_found_where_they_are(free):
    vae, bank, x, noise, theta = known(free=free)
    found = infer(vae, bank, 3 * x + 2 if free else x, 3 * noise if free else noise)
    sd = found.refined.covariance[:, 0, 0].sqrt()
    error = (found.refined.theta[:, 0] - theta[:, 0]).abs()
    assert (error < 4 * sd + 0.2 * SAMPLE).double().mean() > 0.95
    better = found.rival_gap >= 0
    assert better.all()  # the best leads


def test_squares_of_the_table_are_those_of_the_windows():
    vae, bank, *_ = known()
    table = table_of(vae, bank)
    for lag in (-REACH, 0, 3):
        pose = torch.full((len(Z), 1), lag * SAMPLE).double()
        with torch.no_grad():
            expected = vae.values(pose, Z).square().sum(1)
        assert torch.allclose(table.energy[:, lag + REACH], expected, rtol=0.1)  # six components


def twins(n, noise_sd, seed=3):
    """Two identical patterns in a signal, far apart, and a model whose one shape is symmetric."""
    vae, bank, *_ = known()
    at, z = torch.full((n, 1), 4.5 * SAMPLE).double(), torch.zeros(n, 2).double()
    with torch.no_grad():
        for parameter in (vae.decoder.linear, *vae.decoder.network.parameters()):
            parameter.zero_()
        vae.decoder.log_gain.fill_(0.05)
        x = vae.values(at, z) + vae.values(-at, z)
    return vae, bank, x + noise_sd * normal(n, LENGTH, seed=seed), at[:, 0]


@pytest.mark.parametrize("noise_sd", [0.02, 0.2])
def test_of_two_identical_patterns_the_other_is_told(noise_sd):
    vae, bank, x, at = twins(100, noise_sd)
    found = infer(vae, bank, x, torch.tensor([[noise_sd, 0.0]]).double().repeat(100, 1))
    led, rival = found.refined.theta[:, 0], found.rival_pose[:, 0]
    both = (led.abs() - at).abs() < 1.5 * SAMPLE
    told = both & ((rival + led.sign() * at).abs() < 1.5 * SAMPLE)
    assert both.double().mean() > 0.95
    assert told.double().mean() > 0.9
    assert 0.3 < (led[told] > 0).double().mean() < 0.7  # neither is preferred


def test_two_patterns_without_noise_are_equally_good():
    vae, bank, x, _ = twins(1, 0.0)
    found = infer(vae, bank, x, torch.tensor([[0.1, 0.0]]).double())
    assert 0 <= float(found.rival_gap) < 0.1
    assert abs(float(found.rival_pose[:, 0] + found.refined.theta[0, 0])) < 0.1 * SAMPLE


def test_a_lone_pattern_has_no_rival_that_comes_close():
    vae, bank, x, noise, _ = known()
    with torch.no_grad():
        chance = candidates(vae, bank, table_of(vae, bank), x, noise).chance
    assert chance[:, 0].all()
    assert chance[:, 2].double().mean() < 0.6
    gap = infer(vae, bank, x, noise).rival_gap
    assert (gap > 8).double().mean() > 0.95


@pytest.mark.parametrize("kind", ["lone", "twins"])
def test_only_the_hopeless_are_left_out(monkeypatch, kind):
    if kind == "lone":
        vae, bank, x, noise, _ = known()
    else:
        vae, bank, x, _ = twins(100, 0.3)
        noise = torch.tensor([[0.3, 0.0]]).double().repeat(100, 1)
    asked = []
    refine = search.refine
    monkeypatch.setattr(search, "refine", lambda *a, **k: asked.append(len(a[1])) or refine(*a, **k))
    few = infer(vae, bank, x, noise)
    spared = sum(asked)
    asked.clear()
    monkeypatch.setattr(bank_module, "CHANCE", torch.inf)
    monkeypatch.setattr(search, "CLOSE", torch.inf)
    every = infer(vae, bank, x, noise)
    if kind == "lone":
        assert spared < 0.7 * sum(asked)
    same = (few.refined.theta[:, 0] - every.refined.theta[:, 0]).abs() < 0.1 * SAMPLE
    assert same.double().mean() > 0.98
    close = every.rival_gap < 4
    assert close.any() == (kind == "twins")
    assert torch.allclose(few.rival_gap[close], every.rival_gap[close], atol=0.1)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(5, 30), slice(CHUNK - 3, CHUNK + 9)])
@pytest.mark.parametrize("free", [(), ("gain", "baseline")])
def test_neighbours_change_no_bit(rows, free):
    vae, bank, x, noise, _ = known(n=CHUNK + 40, noise_sd=0.3, free=free)
    vae, bank, x, noise = vae.float(), Bank(bank.z.float(), REACH), x.float(), noise.float()
    vae.encoder.mean, vae.encoder.sd = vae.encoder.mean.float(), vae.encoder.sd.float()
    whole, part = infer(vae, bank, x, noise), infer(vae, bank, x[rows], noise[rows])
    for a, b in zip(whole.refined, part.refined, strict=True):
        assert torch.equal(a[rows], b)
    assert torch.equal(whole.rival_gap[rows], part.rival_gap)
    assert torch.equal(whole.rival_pose[:, 0][rows].nan_to_num(9.0), part.rival_pose[:, 0].nan_to_num(9.0))


def test_wrong_lags_are_mended_and_right_ones_kept():
    vae, bank, x, noise, theta = known()
    lag = torch.round(theta[:, 0] / SAMPLE).long()
    wrong = torch.where(torch.arange(len(lag)) % 2 == 0, lag, lag.flip(0))
    mended = better_places(vae, bank, x, noise, wrong)
    off = [((t - lag).abs() > 1).double().mean() for t in (wrong, mended)]
    assert off[0] > 0.3
    assert off[1] < 0.15


def test_the_bank_spreads_over_shapes_but_not_to_strays():
    rng = np.random.default_rng(0)
    z = torch.tensor(rng.normal(size=(400, 2)))
    z[0] = torch.tensor([40.0, -40.0])
    bank = bank_of(torch.cat([torch.zeros(400, 1).double(), z], 1), 1, 5, size=24)
    assert bank.z.abs().max() < 6
    assert len(bank.z.unique(dim=0)) == 24
    near = torch.cdist(z[1:], bank.z).amin(1)
    assert near.max() < 1.2
    assert bank.reach == 5
