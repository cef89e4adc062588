"""Conditions in the model: a class has a mean, components and a zero of its own; a number has its effect."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

import shapeshift as ss
from shapeshift.fit.recipe import _begun_on_line, of_every_kind
from shapeshift.fit.spread import drawn_shapes
from shapeshift.fit.start import Design
from shapeshift.fit.start_given import effect_of, rows_of_kinds
from shapeshift.fit.train import Plan
from shapeshift.model.likelihoods import Gaussian

EACH = 120
KINDS = ("pseudo-voigt", "fano", "resonance")
AXIS = np.linspace(-12, 12, 64)


@pytest.fixture(scope="module")
def classed():
    """Signals of three families, sorted, with labels and true shifts; and a model given the family."""
    made = [ss.synthetic.sample(name, EACH, k, length=96) for k, name in enumerate(KINDS)]
    X = np.concatenate([values for values, _ in made])
    label, shift = np.repeat(KINDS, EACH), np.concatenate([truth["shift"].values for _, truth in made])
    model = ss.ShiftVAE().fit(X, x=made[0][0]["x"].values, condition=label)
    return X, label, shift, model, model.posterior(X, condition=label)


def peaks(width, shift, height=1.0):
    return height * np.exp(-(((AXIS - shift[:, None]) / width[:, None]) ** 2) / 2)


@pytest.fixture(scope="module")
def numbered():
    """Peaks whose width is known of each and whose skirt is not; and a model given the width."""
    rng = np.random.default_rng(0)
    width, shift, skirt = rng.uniform(1, 3, 400), rng.normal(0, 1.5, 400), rng.uniform(0, 0.5, 400)
    X = peaks(width, shift) + peaks(2.5 * width, shift, skirt[:, None]) + rng.normal(0, 0.01, (400, 64))
    model = ss.ShiftVAE(1, epochs=80, batch_size=64).fit(X, x=AXIS, condition=width)
    return X, width, shift, skirt, model, model.posterior(X, condition=width)


def correlation(a, b):
    return abs(float(np.corrcoef(a, b)[0, 1]))


def test_every_class_is_drawn_down_to_its_noise(classed):
    X, label, _, model, p = classed
    rest = (model.reconstruct(X, condition=label) - X).std(1) / p.noise_sd
    assert all(np.median(rest[label == k]) < 1.1 for k in KINDS)
    assert p.flagged("misfit").mean() < 0.05


def test_shifts_are_right_in_every_class_and_symmetric_ones_share_their_zero(classed):
    _, label, shift, model, p = classed
    for k in ("pseudo-voigt", "resonance"):  # the centre of a Fano profile is a matter of taste
        error = (p.shift - shift)[label == k]
        middle = np.median(error)
        assert np.median(np.abs(error - middle)) < 0.5 * model.axis_step_
        assert abs(middle) < 0.3 * model.axis_step_


def test_what_is_generated_of_a_class_is_of_that_class(classed):
    X, label, _, model, _ = classed
    judge = SVC(C=10.0).fit(X, label)
    for k in KINDS:
        prior = np.random.default_rng(0).normal(size=(60, 2))
        for z in (model.draw(60, condition=k), prior):
            assert np.mean(judge.predict(model.generate(z, condition=k)) == k) >= 0.95
    one_hot = np.eye(3)[[list(model.condition_.levels).index(k) for k in KINDS]]
    by_name, by_row = (model.generate(np.zeros((3, 2)), condition=c) for c in (KINDS, one_hot))
    assert np.array_equal(by_name, by_row)
    assert np.abs(by_name[0] - by_name[1]).max() > 0.2


def test_another_class_explains_a_signal_worse(classed):
    X, label, _, model, p = classed
    rows = np.flatnonzero(label == "fano")[:40]
    other = model.posterior(X[rows], condition="pseudo-voigt")
    assert np.mean(other.log_evidence < p.log_evidence[rows]) > 0.9


def test_shapes_are_drawn_where_they_were_found(classed):
    _, label, _, model, p = classed
    z = model.draw(200, condition="fano")
    own = p.z[label == "fano"]
    away = np.min(np.linalg.norm(z[:, None] - own, axis=2), axis=1)
    prior = np.random.default_rng(0).normal(size=(200, 2)) * own.std(0) + own.mean(0)
    assert np.median(away) < 0.5 * np.median(np.min(np.linalg.norm(prior[:, None] - own, axis=2), axis=1))
    assert np.array_equal(z, model.draw(200, condition="fano"))


def test_the_encoder_alone_knows_the_condition_too(classed):
    X, label, _, model, p = classed
    quick = model.posterior(X, condition=label, refine=False)
    assert np.median(np.abs(quick.shift - p.shift)) < model.axis_step_
    assert correlation(quick.z[:, 0], p.z[:, 0]) > 0.8


def test_rows_may_come_in_any_order(classed):
    X, label, _, model, p = classed
    rows = np.random.default_rng(1).permutation(len(X))[:90]
    some = model.posterior(X[rows], condition=label[rows])
    assert np.array_equal(some.shift, p.shift[rows])
    assert np.array_equal(some.z, p.z[rows])


def test_a_number_moves_the_shape_and_the_latent_carries_the_rest(numbered):
    _, width, shift, skirt, model, p = numbered
    assert correlation(p.z[:, 0], skirt) > 0.9
    assert correlation(p.z[:, 0], width) < 0.3
    assert np.median(np.abs(p.shift - shift)) < 0.3 * model.axis_step_
    made = model.generate(np.zeros((3, 1)), condition=[1.2, 2.0, 2.8])
    wide = made / made.max(1, keepdims=True) > 0.5
    assert wide.sum(1) * model.axis_step_ == pytest.approx(2.6 * np.array([1.2, 2.0, 2.8]), rel=0.2)


def test_the_zero_does_not_move_with_the_number(numbered):
    _, width, shift, _, model, p = numbered
    assert abs(np.polyfit(width, p.shift - shift, 1)[0]) < 0.1 * model.axis_step_
    made = model.generate(np.zeros((2, 1)), condition=[1.2, 2.8], shift=2.0)
    assert AXIS[made.argmax(1)] == pytest.approx([2, 2], abs=model.axis_step_)


@pytest.mark.parametrize("zero", ["peak", "centroid"])
def test_other_zeros_know_the_number(numbered, zero):
    X, width, shift, _, model, _ = numbered
    model.zero = zero
    p = model.posterior(X, condition=width)
    model.zero = "reference"
    assert np.median(np.abs(p.shift - shift)) < 0.5 * model.axis_step_


def test_the_regression_finds_effects_where_data_were_seen():
    rng = np.random.default_rng(0)
    given = torch.from_numpy(rng.normal(size=(200, 2))).float()
    effect = torch.from_numpy(rng.normal(size=(2, 30))).float()
    seen = torch.ones(200, 30)
    seen[:150, :10] = 0
    y = 3 + given @ effect + 100 * (1 - seen)
    torch.testing.assert_close(effect_of(y, seen, given), effect, rtol=0.01, atol=0.02)


def test_some_rows_hold_every_kind():
    given = torch.eye(3)[torch.tensor([0] * 3000 + [2] + [1] * 50)]
    some = of_every_kind(given)
    assert len(some) < 1024
    assert given[some].sum(0).tolist() == [341, 50, 1]
    assert [len(r) for r in rows_of_kinds(given)] == [3000, 50, 1]


def test_draws_of_a_number_keep_to_its_neighbours():
    number = torch.linspace(-2, 2, 500)[:, None]
    shapes = torch.cat([number + 0.01 * torch.randn(500, 1), number], 1)
    z = drawn_shapes(shapes, torch.tensor([[-1.0], [1.5]]).repeat(50, 1), torch.Generator().manual_seed(0))
    assert (z[::2] + 1).abs().max() < 0.3
    assert (z[1::2] - 1.5).abs().max() < 0.3


@pytest.fixture(scope="module")
def images():
    """Bars and rings that are displaced; and a model given which."""
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(*[np.arange(16) - 7.5] * 2, indexing="ij")
    label, size, move = rng.integers(0, 2, 160), rng.uniform(1, 1.6, 160), rng.uniform(-2, 2, (160, 2))
    u, v = rows - move[:, :1, None], columns - move[:, 1:, None]
    bars = np.exp(-((u / 4) ** 2) - (v / size[:, None, None]) ** 2)
    rings = np.exp(-((np.hypot(u, v) - 2 * size[:, None, None]) ** 2))
    X = np.where(label[:, None, None] > 0, rings, bars) + 0.02 * rng.normal(size=(160, 16, 16))
    model = ss.ImageVAE(1, warps=("shift",), epochs=40, batch_size=32).fit(X, condition=label)
    return X, label, move, model


def test_images_are_given_their_class(images):
    X, label, move, model = images
    p = model.posterior(X, condition=label)
    assert np.median(np.abs(p.shift - np.median(p.shift - move, axis=0) - move)) < 0.2
    rest = model.reconstruct(X, condition=label) - X
    assert rest.std() < 0.04
    judge = SVC(C=10.0).fit(X.reshape(160, -1), label)
    for k in (0, 1):
        made = model.generate(model.draw(30, condition=k), condition=k)
        assert np.mean(judge.predict(made.reshape(30, -1)) == k) >= 0.95
    assert np.nanmax(np.abs(model.align(X, condition=label)).mean(0)) > 0.5
    quick = model.posterior(X, condition=label, refine=False)
    assert np.median(np.abs(quick.shift - p.shift)) < 0.6


def test_a_condition_is_needed_where_the_model_was_fitted_with_one(classed):
    X, _, _, model, _ = classed
    for ask in (model.posterior, model.transform, model.reconstruct, model.align):
        with pytest.raises(ss.ShapeshiftError, match="needed one of 'fano', 'pseudo-voigt', 'resonance'"):
            ask(X)
    with pytest.raises(ss.ShapeshiftError, match="got no condition"):
        model.generate(np.zeros((1, 2)))
    with pytest.raises(ss.ShapeshiftError, match="got the label 'qrs'"):
        model.posterior(X, condition="qrs")


def test_a_condition_is_refused_where_there_was_none():
    X, _ = ss.synthetic.article(n=40, seed=0)
    model = ss.ShiftVAE(epochs=2).fit(X)
    with pytest.raises(ss.ShapeshiftError, match="the model was fitted without one"):
        model.posterior(X, condition=np.arange(40) % 2)


def test_fit_and_transform_at_once_needs_the_condition_once():
    X, _ = ss.synthetic.article(n=40, seed=0)
    z = ss.ShiftVAE(epochs=2).fit_transform(X, condition=np.arange(40) % 2)
    assert z.shape == (40, 2)


@pytest.mark.parametrize("case", ["classed", "numbered", "images"])
def test_a_file_gives_the_conditional_model_back(case, request, tmp_path):
    made = request.getfixturevalue(case)
    X, condition = made[0], made[1][:20]
    model = next(part for part in made if hasattr(part, "fitted_"))
    model.save(tmp_path / "m.safetensors")
    back = ss.load(tmp_path / "m.safetensors")
    first, again = (m.posterior(X[:20], condition=condition) for m in (model, back))
    assert np.array_equal(first.shift, again.shift)
    assert np.array_equal(first.z, again.z)
    assert back.condition_ == model.condition_
    drawn = (m.draw(5, condition=condition[0]) for m in (model, back))
    assert np.array_equal(*drawn)


def test_a_class_starts_at_its_own_mean_and_components():
    rng = np.random.default_rng(0)
    label, size = np.arange(200) % 2, rng.normal(1, 0.2, 200)
    lines = np.where(label[:, None] > 0, np.sin(AXIS / 2), np.exp(-(AXIS**2) / 8))
    x = torch.from_numpy(size[:, None] * lines).float()
    given, none = torch.eye(2)[torch.from_numpy(label)], torch.zeros(200, 0)
    design = Design(1, (), "template", None, Gaussian(), {}, n_given=2, kinds=True)
    noise, generator = torch.tensor([[0.01, 1.0]]).repeat(200, 1), torch.Generator().manual_seed(0)
    vae = _begun_on_line(design, Plan(), x, noise, given, generator).vae
    for k in (0, 1):
        mean = vae.values(none[:1], torch.cat([torch.zeros(1, 1), torch.eye(2)[k : k + 1]], 1))
        assert (mean[0] - torch.from_numpy(lines[k])).abs().max() < 0.2
    q = vae.encode(x, torch.zeros(200, dtype=torch.long), given)
    rest = x - vae.values(none, q.theta(given))
    assert rest.square().mean() < 0.3 * (x - torch.from_numpy(lines).float()).square().mean()


def test_without_a_condition_shapes_are_drawn_from_all_that_were_found():
    X, _ = ss.synthetic.article(n=200, seed=4)
    model = ss.ShiftVAE(n_latent=2, epochs=10, random_state=0).fit(X)
    z, drawn = model.transform(X), model.draw(100, random_state=1)
    assert drawn.shape == (100, 2)
    apart = np.sqrt(((drawn[:, None] - z) ** 2).sum(2)).min(1)
    assert np.median(apart) < 0.2 * z.std(0).max()
    assert (drawn.min(0) >= z.min(0) - 0.2).all()
    assert (drawn.max(0) <= z.max(0) + 0.2).all()
    assert not np.array_equal(drawn, model.draw(100, random_state=2))
