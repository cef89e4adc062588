"""Where latents start: at what is left of the signals once a leftover shift is taken out."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import shapeshift as ss
from shapeshift.analysis.calibration import leak
from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit.start import Design, _settled, build, canonical_grid, prepared, start_latents
from shapeshift.fit.start_line import starting_lags
from shapeshift.model.fields import SplineField
from shapeshift.model.frames import moved_back
from shapeshift.model.likelihoods import Gaussian
from shapeshift.model.nuisance import nuisance


def started(name, free=(), n=400, n_latent=2):
    """A model with its latents started, signals, noise and alignment."""
    X, _ = ss.synthetic.sample(name, n, 1)
    values = X.values
    if free:
        rng, u = np.random.default_rng(0), np.linspace(-1, 1, X.shape[1])
        values = 4 ** rng.uniform(0, 1, (n, 1)) * values + rng.normal(size=(n, 1)) * u
    x = torch.tensor((values - values.mean()) / values.std()).float()
    noise = torch.tensor(noise_and_contrast(x.numpy().astype(float))).float()
    generator = torch.Generator().manual_seed(0)
    design = Design(n_latent, ("shift",), "template", None, Gaussian(), {}, nuisance=free)
    own = nuisance(free, canonical_grid(x.shape[1]))
    start = starting_lags(design, own, x, noise, generator)
    vae = build(design, x, start, generator)
    start_latents(vae, x, noise, start)
    return vae, x, start


def components(vae):
    """The started components (K, P) and the mean shape (P,) on the window."""
    with torch.no_grad():
        field = SplineField(vae.decoder.linear, vae.decoder.half_width)
        rows = field.on_lattice(vae.grid[0, 0].expand(vae.n_latent), len(vae.grid))
        return rows, vae.values(torch.zeros(1, 1), torch.zeros(1, vae.n_latent))[0]


@pytest.mark.parametrize("free", [(), ("gain", "baseline")])
@pytest.mark.parametrize("name", ["qrs", "pseudo-voigt"])
def test_no_component_starts_along_the_shift(name, free):
    rows, mean = components(started(name, free)[0])
    slope = torch.gradient(mean)[0]
    along = (rows @ slope) / rows.norm(dim=1) / slope.norm()
    assert rows.norm(dim=1).min() > 0.1 * rows.norm(dim=1).max()
    assert along.abs().max() < 0.02


@pytest.mark.parametrize("name", ["qrs", "resonance"])
def test_started_latents_explain_the_signals_before_any_training(name):
    vae, x, start = started(name)
    with torch.no_grad():
        q = vae.encode(x, start.lag)
        left = [(x - vae.values(q.pose, z)).square().mean() for z in (0 * q.z, q.z)]
    assert left[1] < 0.9 * left[0]
    sd = q.z.std(0)
    assert ((sd > 0.5) & (sd < 2)).all()


def test_a_fraction_of_a_sample_that_lags_leave_over_is_taken_out():
    p = np.arange(80)
    rest = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 1))
    y = torch.tensor(np.exp(-0.5 * ((p - 40 - rest) / 1.5) ** 2)).float()
    mean = y.mean(0, keepdim=True)
    left = [(t - t.mean(0)).square().sum() for t in (y, _settled(y, torch.ones_like(y), mean))]
    assert left[1] < 0.01 * left[0]


def test_prepared_signals_have_lost_their_gains_and_baselines():
    vae, x, start = started("qrs", ("gain", "baseline"))
    ready = prepared(vae.likelihood, vae.nuisance, x, start)
    before, after = (moved_back(t, start.lag)[0][:, 30:-30] for t in (x, ready.x))
    spread = [float(t.std(0).mean() / t.mean(0).std()) for t in (before, after)]
    assert spread[1] < 0.4 * spread[0]
    heights = [t.std(1).log().std() for t in (vae.nuisance.cleared(x), ready.x)]
    assert heights[1] < 0.5 * heights[0]
    assert ready.weight.mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_dips_of_a_beat_are_one_latent_that_does_not_fold(seed):
    X, truth = ss.synthetic.sample("qrs", 1000, 3)
    model = ss.ShiftVAE(2, epochs=40, random_state=seed).fit(X)
    p = model.posterior(X)
    for factor in ("dips", "wave"):
        rank = max(abs(spearmanr(column, truth[factor]).statistic) for column in p.z.T)
        assert rank > 0.75, factor
    dips, wave = truth["dips"].values, truth["wave"].values
    columns = np.column_stack([p.z, np.ones(len(p))])
    for factor in (dips, wave):  # straight lines through the plane of latents: no fold
        drawn = columns @ np.linalg.lstsq(columns, factor, rcond=None)[0]
        assert np.corrcoef(drawn, factor)[0, 1] > 0.95
    pairs = ss.synthetic.pairs("qrs", 500, 7)
    rng = np.random.default_rng(0)
    again = model.posterior(
        ss.synthetic.FAMILIES["qrs"].values(X["x"].values, pairs.shift_first, pairs.params)
        + pairs.noise[:, None] * rng.normal(size=pairs.first.shape)
    )
    assert leak(model.posterior(pairs.first), model.posterior(pairs.second), again) < 0.03
