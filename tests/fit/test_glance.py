"""The encoder alone: rougher than the refinement, but unbiased, and no signal depends on others."""

import numpy as np
import pytest
import torch
from known import GRID, LENGTH, REACH, SAMPLE, model
from laws import normal

import shapeshift as ss
from shapeshift.fit.bank import Bank
from shapeshift.fit.glance import matched_filters


@pytest.fixture(scope="module", params=[(), ("gain", "baseline")], ids=["plain", "nuisance"])
def seen(request):
    X, truth = ss.synthetic.sample("pseudo-voigt", 700, 1)
    values = X.values
    if request.param:
        rng, u = np.random.default_rng(0), np.linspace(-1, 1, X.shape[1])
        values = 4 ** rng.uniform(0, 1, (700, 1)) * values + rng.normal(size=(700, 1)) * u
    model = ss.ShiftVAE(nuisance=request.param, epochs=40).fit(values, x=X["x"].values)
    return model, values, truth["shift"].values


def test_a_glance_is_right_on_the_whole(seen):
    model, values, shift = seen
    p = model.posterior(values, refine=False)
    error = p.shift - shift
    assert np.corrcoef(p.shift, shift)[0, 1] > 0.995
    near = np.abs(error) < model.axis_step_
    assert near.mean() > 0.97
    assert abs(error[near].mean()) < 0.5 * error[near].std()


def test_a_glance_agrees_with_the_refinement(seen):
    model, values, _ = seen
    p, q = model.posterior(values, refine=False), model.posterior(values)
    apart = np.abs(p.shift - q.shift) / np.hypot(p.shift_sd, q.shift_sd)
    assert np.mean(apart < 4) > 0.93
    assert np.median(apart) < 1.5


def test_batches_change_no_bit(seen):
    model, values, _ = seen
    whole = model.posterior(values, refine=False)
    for rows in (slice(0, 1), slice(17, 18), slice(510, 520), slice(699, 700)):
        part = model.posterior(values[rows], refine=False)
        for name in ("shift", "shift_sd", "z", "z_sd"):
            assert np.array_equal(getattr(whole, name)[rows], getattr(part, name)), name


def test_what_a_glance_does_not_know_is_not_a_number(seen):
    model, values, _ = seen
    p = model.posterior(values[:5], refine=False)
    for name in ("noise_sd", "log_evidence", "rival_shift", "gain", "gain_sd"):
        assert np.isnan(getattr(p, name)).all(), name
    assert (p.flags == "").all()
    assert p.to_dataset()["shift"].shape == (5,)


def test_an_ordinary_model_glances_too():
    X, _ = ss.synthetic.article(n=80, seed=0)
    model = ss.ShiftVAE(warps=(), epochs=3, width=8).fit(X)
    p, q = model.posterior(X, refine=False), model.posterior(X)
    assert (p.shift == 0).all()
    assert np.corrcoef(p.z[:, 0], q.z[:, 0])[0, 1] > 0.5


@pytest.mark.parametrize("free", [(), ("baseline",)])
def test_filters_explain_what_a_regression_on_the_shapes_does(free):
    vae = model(n_latent=1, free=free)
    with torch.no_grad():
        for part in vae.decoder.network:
            if isinstance(part, torch.nn.Linear):
                part.weight.zero_()
        vae.decoder.log_gain.zero_()  # all shapes lie in a plane
    bank = Bank(torch.linspace(-2, 2, 9).double()[:, None], REACH)
    x = normal(6, LENGTH, seed=1)
    with torch.no_grad():
        gained = (x @ matched_filters(vae, bank)).unflatten(1, (-1, 2 * REACH + 1)).square().sum(1)
    for lag in (-5, 0, 4):
        with torch.no_grad():
            at = torch.full((2, 1), lag * SAMPLE).double()
            plane = vae.values(at, torch.tensor([[0.0], [1.0]]).double()).numpy()
        y = x.numpy()
        if free:
            rows = np.stack([GRID[:, 0] ** k for k in range(3)], 1)
            plane, y = (v - (rows @ np.linalg.lstsq(rows, v.T, rcond=None)[0]).T for v in (plane, y))
        drawn = plane.T @ np.linalg.lstsq(plane.T, y.T, rcond=None)[0]
        expected = (drawn**2).sum(0)
        found = gained[:, lag + REACH].numpy()
        assert np.all(found <= 1.001 * expected + 1e-9)  # the ridge only takes
        assert np.sum(found) > 0.85 * np.sum(expected)
