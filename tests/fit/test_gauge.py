"""Where zero is: three conventions for one model, and what each promises."""

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.fit import gauge
from shapeshift.fit.gauge import ZEROS, bumps, centroid, mirror, offset, peak
from shapeshift.fit.refine import in_chunks
from shapeshift.model.likelihoods import Gaussian
from shapeshift.model.vae import PoseVAE, with_slopes
from shapeshift.model.warps import Shift


@pytest.fixture(scope="module")
def lines():
    """Symmetric lines of the article, and a model of them."""
    X, truth = ss.synthetic.article(n=600, seed=2)
    return ss.ShiftVAE(epochs=20).fit(X), X, truth


@pytest.fixture(scope="module")
def skewed():
    """Lines with a tail whose length varies, and a model of them."""
    rng = np.random.default_rng(0)
    u, at, tail = np.linspace(-10, 10, 100), rng.uniform(-2, 2, (500, 1)), rng.uniform(1.0, 4.0, (500, 1))
    v = u - at
    X = np.where(v < 0, np.exp(-(v**2)), np.exp(-((v / tail) ** 2))) + 0.02 * rng.normal(size=(500, 100))
    return ss.ShiftVAE(1, epochs=20).fit(X, x=u), X, at[:, 0]


@pytest.fixture(params=ZEROS)
def zero(request):
    return request.param


def under(model, zero):
    """The same fitted model, reporting relative to another zero."""
    other = ss.ShiftVAE(**model.get_params())
    other.__dict__.update({k: v for k, v in model.__dict__.items() if k.endswith("_")})
    return other.set_params(zero=zero)


def some_shapes(model, X, n=60):
    """Well determined shapes of the set."""
    p = model.posterior(X)
    return p.z[np.argsort(p.noise_sd)[:n]]


@pytest.mark.parametrize("kind", ["lines", "skewed"])
def test_posterior_and_generate_agree_under_every_zero(kind, zero, request):
    model, X, _ = request.getfixturevalue(kind)
    model = under(model, zero)
    p = model.posterior(X[:50])
    again = model.generate(p.z, shift=p.shift)
    assert np.allclose(again, np.asarray(model.reconstruct(X[:50])), atol=1e-4)


@pytest.mark.parametrize("kind", ["lines", "skewed"])
def test_zeros_differ_by_a_function_of_the_shape_alone(kind, zero, request):
    model, X, _ = request.getfixturevalue(kind)
    a, b = (under(model, z) for z in ("reference", zero))
    p, q = a.posterior(X[:80]), b.posterior(X[:80])
    assert np.array_equal(p.z, q.z)
    delta = [offset(m.fitted_.vae, m.zero, m.fitted_.reference, torch.tensor(p.z).float())[0] for m in (a, b)]
    half = (model.axis_[-1] - model.axis_[0]) / 2
    assert np.allclose(q.shift - p.shift, half * (delta[1] - delta[0]).numpy(), atol=1e-4)


def test_peak_puts_the_highest_point_at_the_origin(skewed):
    model = under(skewed[0], "peak")
    z = some_shapes(skewed[0], skewed[1])
    top = model.axis_[model.generate(z).argmax(1)]
    assert np.abs(top - model.origin_).max() <= 1.01 * model.axis_step_
    assert "highest point" in model.zero_


def test_centroid_puts_the_centre_of_energy_at_the_origin(skewed):
    model = under(skewed[0], "centroid")
    signal = model.generate(some_shapes(skewed[0], skewed[1]))
    energy = (signal - np.median(signal, axis=1, keepdims=True)) ** 2
    centre = (energy * model.axis_).sum(1) / energy.sum(1)
    assert np.abs(centre - model.origin_).max() < 1.0 * model.axis_step_
    assert "centre of energy" in model.zero_


def test_reference_finds_the_centre_of_symmetric_lines(lines):
    model, X, truth = lines
    p = model.posterior(X)
    assert bool(model.fitted_.reference.symmetric)
    error = (p.shift - truth["shift"].values) / p.shift_sd
    assert abs(np.median(error)) < 0.3  # no constant is left over
    assert "mirror symmetry" in model.zero_


def across(model, z):
    """Cosine of the change along the first latent with that along the shift, at constant shift."""
    h, step = 1e-2, model.axis_step_
    dz = np.zeros_like(z)
    dz[:, 0] = h
    by_z = model.generate(z + dz) - model.generate(z - dz)
    by_shift = model.generate(z, shift=0.1 * step) - model.generate(z, shift=-0.1 * step)
    return (by_z * by_shift).sum(1) / np.linalg.norm(by_z, axis=1) / np.linalg.norm(by_shift, axis=1)


@pytest.fixture
def registered(skewed, monkeypatch):
    """The skewed lines' model with the reference of shapes that have no mirror symmetry."""
    model, X, at = skewed
    p, half = model.posterior(X), (X.shape[1] - 1) / 2 * model.axis_step_
    raw = torch.tensor(np.column_stack([p.shift / half, p.z])).float()
    monkeypatch.setattr(gauge, "_symmetric", lambda *_: None)
    other = under(model, "reference")
    other.fitted_ = model.fitted_._replace(reference=gauge.fit_reference(model.fitted_.vae, raw))
    return other, X, at


def test_reference_makes_shape_and_shift_orthogonal(registered):
    model, X, _ = registered
    assert "changing the shape does not move" in model.zero_
    z = some_shapes(model, X, 200)
    z = z[np.abs(z[:, 0] - z[:, 0].mean()) < 1.5 * z[:, 0].std()]
    own, other = (np.median(np.abs(across(under(model, zero), z))) for zero in ("reference", "peak"))
    assert own < 0.05
    assert other > 3 * own


def test_reference_has_the_sharpest_error_bars(registered):
    model, X, _ = registered
    bars = {zero: np.median(under(model, zero).posterior(X).shift_sd) for zero in ZEROS}
    assert bars["reference"] == min(bars.values())


def test_error_bars_follow_the_zero(skewed):
    """Scatter over draws of noise, under every zero, is what the bars say."""
    model, X, _ = skewed
    p = model.posterior(X)
    row = int(np.argmin(np.abs(p.z[:, 0] - np.median(p.z[:, 0]))))
    clean = model.generate(p.z[[row]], shift=p.shift[[row]])
    noisy = clean + 0.02 * np.random.default_rng(3).normal(size=(400, 100))
    for zero in ZEROS:
        found = under(model, zero).posterior(noisy)
        assert abs(found.shift.std() / found.shift_sd.mean() - 1) < 0.2, zero


def test_error_bars_grow_where_the_zero_depends_on_the_shape(skewed):
    model, X, _ = skewed
    steep = under(model, "reference")
    p = model.posterior(X[:1])
    old = model.fitted_.reference
    beside = (torch.tensor(p.z).float() - old.centre) / old.spread + 0.7
    steep.fitted_ = model.fitted_._replace(
        reference=old._replace(
            coefficients=torch.tensor([0.2]), knots=beside, bounds=torch.tensor([-9.0, 9.0])
        )
    )
    clean = model.generate(p.z, shift=p.shift)
    found = steep.posterior(clean + 0.02 * np.random.default_rng(3).normal(size=(400, 100)))
    assert found.shift_sd.mean() > 1.3 * model.posterior(X[:1]).shift_sd[0]
    assert abs(found.shift.std() / found.shift_sd.mean() - 1) < 0.2


class Wandering(torch.nn.Module):
    """A decoder whose shapes get wider and, by mistake, move by 0.1 half-windows a unit of z."""

    def forward(self, z):
        def field(u):
            v = u[..., 0] - 0.1 * z[:, :1]
            return torch.exp(-(v**2) / (0.04 * torch.exp(0.5 * z[:, :1])))

        return field


@pytest.mark.parametrize("symmetric", [True, False])
def test_reference_takes_back_what_the_decoder_moves(monkeypatch, symmetric):
    if not symmetric:
        monkeypatch.setattr(gauge, "_symmetric", lambda *_: None)
    grid = torch.linspace(-1, 1, 81)[:, None]
    vae = PoseVAE([Shift(0.2)], torch.nn.Identity(), Wandering(), Gaussian(), grid, 1)
    z = torch.linspace(-2, 2, 300)[:, None]
    reference = gauge.fit_reference(vae, torch.cat([0 * z, z], 1))
    assert bool(reference.symmetric) == symmetric
    wanted = 0.1 * z[:, 0]
    found, _ = reference(z)
    assert torch.allclose(found - found.mean(), wanted - wanted.mean(), atol=0.01)
    assert abs(float(found.mean())) < 0.02


def test_the_zero_stays_bounded_far_from_the_data(lines, zero):
    model = under(lines[0], zero)
    far = torch.tensor([[30.0, -30.0], [-200.0, 5.0]])
    delta, slope = offset(model.fitted_.vae, zero, model.fitted_.reference, far)
    assert torch.isfinite(delta).all()
    assert torch.isfinite(slope).all()
    assert (delta.abs() <= 1.5).all()  # half-windows
    low, high = model.fitted_.reference.bounds
    inside = (delta >= low) & (delta <= high) if zero == "reference" else torch.tensor(True)
    assert inside.all()


@pytest.mark.parametrize("landmark", [peak, centroid, mirror])
def test_landmarks_move_with_the_signal(skewed, landmark):
    vae = skewed[0].fitted_.vae
    z = torch.tensor(some_shapes(skewed[0], skewed[1], 20)).float()
    original = vae.values
    try:
        before = landmark(vae, z)
        vae.values = lambda pose, z: original(pose + 4 * vae.sample, z)
        after = landmark(vae, z)
    finally:
        del vae.values
    assert torch.allclose(after - before, torch.tensor(4 * vae.sample), atol=0.3 * vae.sample)


@pytest.mark.parametrize("n_latent", [1, 2, 3])
def test_bumps_and_their_slopes(n_latent):
    y = torch.linspace(-2, 3, 4 * n_latent, dtype=torch.float64).view(4, n_latent)
    knots = torch.linspace(-1, 1, 2 * n_latent, dtype=torch.float64).view(2, n_latent)
    values, slopes = bumps(y, knots)
    expected, derivatives = with_slopes(lambda y: bumps(y, knots)[0], y)
    assert torch.allclose(values, expected)
    assert torch.allclose(slopes, derivatives.transpose(0, 1))
    assert torch.allclose(bumps(knots, knots)[0].diagonal(), torch.ones(2, dtype=torch.float64))


def test_the_zero_knows_its_own_slope(lines):
    reference = lines[0].fitted_.reference
    z = torch.tensor(some_shapes(lines[0], lines[1], 20)).float()
    _, gradient = reference(z)
    for k in range(z.shape[1]):
        step = torch.zeros_like(z)
        step[:, k] = 1e-2
        numeric = (reference(z + step)[0] - reference(z - step)[0]) / 2e-2
        assert torch.allclose(gradient[:, k], numeric, atol=2e-3)


def test_chunks_are_put_together_in_order():
    (out,) = in_chunks(lambda t: (2 * t,), torch.arange(600.0))
    assert torch.equal(out, 2 * torch.arange(600.0))
