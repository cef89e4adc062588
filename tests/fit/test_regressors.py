"""Regression on shape: few labels, many signals."""

import numpy as np
import pytest

import shapeshift as ss


def test_the_width_is_told_of_signals_never_seen():
    X, truth = ss.synthetic.article(n=900, seed=5)
    width = truth["width"].values
    y = np.where(np.arange(600) < 50, width[:600], np.nan)
    found = ss.ShiftVAERegressor(random_state=1).fit(X[:600], y)
    mean, sd = found.predict(X[600:], return_std=True)
    assert found.score(X[600:], width[600:]) > 0.99
    assert 0.58 < np.mean(np.abs(mean - width[600:]) < sd) < 0.8
    assert found.property_.suggest(2).min() >= 50


def test_images_have_a_regressor_too():
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(*[np.arange(12) - 5.5] * 2, indexing="ij")
    size, move = rng.uniform(1.5, 3, 80), rng.uniform(-1.5, 1.5, (80, 2, 1, 1))
    X = np.exp(-((rows - move[:, 0]) ** 2 + (columns - move[:, 1]) ** 2) / size[:, None, None] ** 2)
    X = X + 0.02 * rng.normal(size=X.shape)
    y = np.where(np.arange(80) < 30, size, np.nan)
    found = ss.ImageVAERegressor(1, warps=("shift",), epochs=10, batch_size=20).fit(X, y)
    assert np.corrcoef(found.predict(X), size)[0, 1] > 0.97


def test_a_label_is_needed_for_every_signal():
    X, _ = ss.synthetic.article(n=60, seed=5)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        ss.ShiftVAERegressor(epochs=1).fit(X, np.zeros(59))
