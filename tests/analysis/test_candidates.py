"""The figure that candidates are judged by is what it says: samples predicted from the others."""

import numpy as np
import pytest

from shapeshift.analysis.baselines import pca
from shapeshift.analysis.candidates import by_nmf, by_pca, cost_of, left_out, split_of
from shapeshift.analysis.tangent import described, inverse_of, leverages
from shapeshift.analysis.template import moved_template, moving_template

RNG = np.random.default_rng(0)
P = np.arange(64)


def line(at, width=3.0):
    return np.exp(-(((P - np.reshape(at, (-1, 1))) / np.reshape(width, (-1, 1))) ** 2) / 2)


def two_lines(n, noise=0.03, seed=0):
    """Amounts of two fixed lines."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 1, (n, 2)) @ np.vstack([line(20), line(40, 5.0)]) + noise * rng.normal(
        size=(n, 64)
    )


def test_a_sample_left_out_is_predicted_as_by_a_fit_without_it():
    signals, held = two_lines(100), two_lines(5, seed=1)
    d = pca(signals, 3)
    y, v = held - d.mean, d.components.T
    brute = np.empty_like(y)
    for p in P:
        rest = np.delete(P, p)
        scores = np.linalg.lstsq(v[rest], y[:, rest].T, rcond=None)[0]
        brute[:, p] = y[:, p] - v[p] @ scores
    h = leverages(np.broadcast_to(v, (5, 64, 3)), np.zeros((5, 3, 3)))
    wanted = np.sqrt((brute**2).mean(1)) / 0.03
    assert np.allclose(left_out(y - y @ v @ v.T, h, np.full(5, 0.03)), wanted)


def test_numbers_spent_for_nothing_raise_the_error():
    split = split_of(two_lines(200), 1500, 500, 0)
    few, many = by_pca(split, 20)
    assert (few.size, many.size) == (2, 20)
    assert few.error < 1.05 < 1.1 * few.error < many.error
    assert few.cost == pytest.approx(cost_of(few.error, 2, 64))


def test_non_negative_parts_are_counted():
    found = by_nmf(split_of(np.maximum(two_lines(200), 0), 1500, 500, 0))
    assert found.size == 2
    assert found.error < 1.08


def test_a_quarter_is_held_out_and_never_fitted():
    values = two_lines(80) + 10.0 * np.arange(80)[:, None]
    split = split_of(values, 50, 500, 3)
    assert (len(split.fit), len(split.held)) == (50, 20)
    assert not set(split.fit[:, 0]) & set(split.held[:, 0])
    assert len(split_of(values, 1500, 5, 3).held) == 5


def test_signals_without_noise_have_an_error_all_the_same():
    boxes = (np.abs(P - RNG.uniform(20, 40, (40, 1))) < 5).astype(float)
    boxes[:3] = 0.0
    split = split_of(boxes, 1500, 500, 0)
    assert (split.noise > 0).all()


def test_the_cost_is_error_and_numbers_in_nats():
    assert cost_of(1.0, 2, 64) == pytest.approx(np.log(64))
    assert cost_of(np.e, 0, 64) == pytest.approx(64)


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_one_moving_shape_is_found_to_the_noise(scale):
    n, noise, rng = 300, 0.03, np.random.default_rng(4)
    at, gain = rng.uniform(22, 42, n), rng.uniform(0.5, 2, n)
    clean = gain[:, None] * (line(at) + 0.5 * line(at + 6, 2.0)) - 0.3
    signals = scale * (clean + noise * rng.normal(size=clean.shape))
    template = moving_template(signals[:200])
    drawn, jacobian = moved_template(template, signals[200:])
    error = np.sqrt(((drawn - scale * clean[200:]) ** 2).mean()) / (scale * noise)
    assert error < 1.2 * np.sqrt(3 / 64)  # three numbers of 64 samples, and those of the shape
    h = leverages(jacobian, np.zeros((100, 3, 3)))
    assert np.allclose(h.sum(1), 3)


def test_the_shape_reaches_beyond_the_window():
    rng = np.random.default_rng(0)
    at = rng.uniform(8, 56, 600)
    clean = line(at) + 0.6 * line(at + 32, 2.0)  # the second line is often outside, but known
    template = moving_template(clean + 0.02 * rng.normal(size=clean.shape))
    drawn, _ = moved_template(template, clean)
    assert np.abs(drawn - clean).max() < 0.1


class Straight:
    """A model whose signals are z1 v1 + z2 v2 + shift v3."""

    axis_step_, shift_sd_ = 0.5, 2.0
    v = RNG.normal(size=(3, 30))

    def generate(self, z, shift=0.0):
        return z @ self.v[:2] + shift[:, None] * self.v[2]


def test_derivatives_are_those_of_the_model():
    model, z = Straight(), RNG.normal(size=(4, 2))
    values, jacobian = described(model, np.ones(4), z)
    assert np.allclose(values, z @ model.v[:2] + model.v[2])
    assert np.allclose(jacobian, model.v[[2, 0, 1]].T)
    model.shift_sd_ = 0.0
    assert described(model, np.ones(4), z)[1].shape == (4, 30, 2)


def test_a_root_is_that_of_the_inverse_whatever_the_units():
    units = np.array([1e-6, 1.0, 1e5])
    j = RNG.normal(size=(3, 20, 3)) * units
    matrices = np.einsum("npi,npj->nij", j, j)
    inverse, root = inverse_of(matrices)
    unit = units[:, None] * units
    assert np.allclose((inverse * unit) @ (matrices / unit), np.eye(3))
    assert np.allclose(root @ root.transpose(0, 2, 1) * unit, inverse * unit)
