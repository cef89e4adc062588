"""Laws of the baselines: orthogonality, non-negativity, equivariance of the shifts, units and signs."""

import doctest

import numpy as np
import pytest
import xarray as xr

from shapeshift import ShapeshiftError
from shapeshift.analysis import baselines
from shapeshift.analysis.baselines import correlation, nmf, pca
from shapeshift.data.synthetic import article, pairs, sample


@pytest.fixture(scope="module")
def article_set():
    return article(1000)


def test_the_examples_in_the_docstrings_run():
    result = doctest.testmod(baselines)
    assert result.attempted > 5
    assert result.failed == 0


def test_pca_components_are_orthonormal_and_scores_uncorrelated(article_set):
    d = pca(article_set[0], 6)
    np.testing.assert_allclose(d.components @ d.components.T, np.eye(6), atol=1e-10)
    np.testing.assert_allclose(np.cov(d.scores.T), np.diag(d.scores.var(0, ddof=1)), atol=1e-10)


def test_pca_explains_what_the_eigenvalues_of_the_covariance_say(article_set):
    X = article_set[0].values
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    np.testing.assert_allclose(pca(X, 5).explained, eigenvalues[:5] / eigenvalues.sum(), rtol=1e-8)


def test_all_components_give_the_signals_back(article_set):
    X = article_set[0].values[:300]
    np.testing.assert_allclose(pca(X, 100).reconstruct(), X, atol=1e-10)
    assert pca(X, 100).explained.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", [pca, nmf])
def test_the_explained_share_is_what_the_reconstruction_explains(method, article_set):
    """For a least-squares fit the residual is (nearly, for NMF) orthogonal to the fit."""
    X = article_set[0].values
    d = method(X, 4)
    left = ((X - d.reconstruct()) ** 2).sum() / ((X - X.mean(0)) ** 2).sum()
    assert d.explained.sum() == pytest.approx(1 - left, abs=1e-3)
    assert np.all(np.diff(d.explained) <= 0)


def test_nmf_is_non_negative_and_finds_non_overlapping_parts():
    parts = np.array([[0, 1, 3, 1, 0, 0, 0, 0], [0, 0, 0, 0, 2, 4, 0, 0.0]])
    weights = np.random.default_rng(0).uniform(0, 1, (200, 2))
    d = nmf(weights @ parts, 2)
    assert d.components.min() >= 0
    assert d.scores.min() >= 0
    unit = d.components / np.linalg.norm(d.components, axis=1, keepdims=True)
    truth = parts / np.linalg.norm(parts, axis=1, keepdims=True)
    np.testing.assert_allclose(np.sort(unit @ truth.T, axis=1), [[0, 1], [0, 1]], atol=0.03)


@pytest.mark.parametrize("method", [pca, nmf])
def test_a_moving_peak_needs_many_components_and_a_standing_one_needs_one(method):
    x, at = np.arange(100.0), np.random.default_rng(0).uniform(30, 70, 500)[:, None]
    moving = np.exp(-((x - at) ** 2) / 18)
    standing = at / 50 * np.exp(-((x - 50) ** 2) / 18)
    assert method(standing, 1).explained.sum() > 0.999
    assert method(moving, 4).explained.sum() < 0.9


@pytest.mark.parametrize("method", [pca, nmf])
def test_maps_are_flattened_row_by_row_and_the_axis_is_kept(method, article_set):
    flat = article_set[0].values[:60]
    axis = xr.DataArray(np.linspace(1, 2, 100), dims="energy", attrs={"units": "eV"})
    cube = xr.DataArray(flat.reshape(5, 12, 100), dims=("row", "col", "energy"), coords={"energy": axis})
    d = method(cube, 2)
    np.testing.assert_array_equal(d.scores, method(flat, 2).scores)
    assert (d.axis_name, d.axis_units, d.axis[0], d.axis[-1]) == ("energy", "eV", 1, 2)


@pytest.mark.parametrize("name", ["pseudo-voigt", "qrs", "resonance"])
def test_correlation_finds_where_lines_are(name):
    X, truth = sample(name, 400, seed=3)
    error = correlation(X) - truth["shift"].values
    step = float(X.x[1] - X.x[0])
    assert np.median(np.abs(error - np.median(error))) < 0.35 * step
    assert np.mean(np.abs(error - np.median(error)) > 10 * step) < 0.01


def test_correlation_is_exact_for_one_shape_without_noise():
    """A band-limited pulse moved by any fraction of a sample; the window costs a hundredth."""
    x, at = np.arange(200.0), np.random.default_rng(1).uniform(70, 130, 100)
    pulse = np.exp(-((x - at[:, None]) ** 2) / (2 * 4**2))
    np.testing.assert_allclose(correlation(pulse), at - at.mean(), atol=0.02)


def test_moving_a_signal_moves_its_shift_by_as_much():
    p = pairs("doublet", 300, seed=2)
    both = xr.concat([p.first, p.second], "signal")
    first, second = np.split(correlation(both), 2)
    step = float(both.x[1] - both.x[0])
    assert np.corrcoef(second - first, p.moved)[0, 1] > 0.9999
    assert np.median(np.abs(second - first - p.moved)) < 0.15 * step


def test_shifts_are_in_axis_units_with_mean_zero():
    X, _ = sample("pseudo-voigt", 50, seed=0)
    as_samples = correlation(X.values)
    step = float(X.x[1] - X.x[0])
    np.testing.assert_allclose(correlation(X), as_samples * step)
    np.testing.assert_allclose(correlation(X.values, 5 + 2 * np.arange(128)), as_samples * 2)
    assert abs(as_samples.mean()) < 1e-9


def test_an_axis_that_runs_down_is_turned_round():
    X, _ = sample("pseudo-voigt", 50, seed=0)
    x = X.x.values
    np.testing.assert_allclose(correlation(X.values[:, ::-1], x[::-1]), correlation(X.values, x))
    np.testing.assert_allclose(pca(X.values[:, ::-1], 2, x[::-1]).components, pca(X.values, 2, x).components)


def test_gain_and_offset_of_a_signal_do_not_matter():
    X, _ = sample("doublet", 50, seed=0)
    changed = X.values.copy()
    changed[7] = 1e-3 * changed[7] + 50
    np.testing.assert_allclose(correlation(changed)[7], correlation(X.values)[7], atol=0.5)


def test_a_constant_signal_gets_a_finite_shift():
    X, _ = sample("doublet", 20, seed=0)
    changed = X.values.copy()
    changed[3] = 1.0
    assert np.isfinite(correlation(changed)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda X: pca(X, 0), "n=0.*1 to 20"),
        (lambda X: pca(X, 21), "n=21"),
        (lambda X: nmf(X - 1, 2), "down to -1.*X.min"),
        (lambda X: pca(X[0], 1), r"shape \(30,\)"),
        (lambda X: pca(X, 2, np.arange(5)), "5 values for signals of 30"),
        (lambda X: correlation(np.where(X > 0.999, np.nan, X)), "NaN.*rows 0"),
    ],
)
def test_input_it_cannot_use_is_refused_with_one_sentence(call, words):
    peaks = np.exp(-((np.arange(30) - np.linspace(10, 20, 20)[:, None]) ** 2) / 8)
    with pytest.raises(ShapeshiftError, match=words):
        call(peaks)
