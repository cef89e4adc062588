"""Laws of the synthetic signals: what the truth says is what the signals do."""

import doctest

import numpy as np
import pytest
from scipy.interpolate import make_interp_spline

from shapeshift import ShapeshiftError
from shapeshift.data import families, synthetic
from shapeshift.data.families import ARTICLE_SHAPES, HALF_WIDTH
from shapeshift.data.synthetic import FAMILIES, Family, Range, article, article_pairs, pairs, sample

EVERY = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def clean(family, n, seed, length=None):
    """Noise-free signals with their truth."""
    x, rng = family.grid(length), np.random.default_rng(seed)
    params = {name: r.draw(rng, n) for name, r in family.params.items()}
    shift = family.shift.draw(rng, n)
    return x, shift, params, family.values(x, shift, params)


@pytest.mark.parametrize("module", [families, synthetic])
def test_the_examples_in_the_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted >= 3
    assert result.failed == 0


@EVERY
def test_a_positive_shift_moves_the_signal_towards_larger_axis_values(family):
    x, shift, params, before = clean(family, 20, 0, length=2000)
    after = family.values(x, shift + 0.7, params)
    inside = x > x[0] + 0.8
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(make_interp_spline(x, one)(x[inside] - 0.7), other[inside], atol=1e-5)


@EVERY
def test_slope_is_minus_the_derivative_along_the_axis(family):
    x, shift, params, signals = clean(family, 20, 1, length=4000)
    along = np.array([make_interp_spline(x, s, k=5).derivative()(x) for s in signals])
    slope = family.slope(x, shift, params)
    np.testing.assert_allclose(slope[:, 10:-10], -along[:, 10:-10], atol=1e-5)


@EVERY
def test_least_squares_on_the_known_shape_stands_at_the_bound(family):
    """Monte Carlo over 1500 pairs: their RMS is known to 1 / sqrt(3000) = 1.8 %."""
    p = pairs(family, 1500, seed=5)
    first = _fit_shift(family, p.first, p.shift_first, p.params)
    second = _fit_shift(family, p.second, p.shift_second, p.params)
    ratio = (second - first - p.moved) / p.bound
    assert abs(np.sqrt(np.mean(ratio**2)) - 1) < 0.05
    assert abs(np.mean(ratio)) < 0.08


def _fit_shift(family, X, shift, params, h=0.01):
    """Gauss-Newton on the shift alone, all signals at once, slopes by secants."""
    x, fitted = X.x.values, shift.copy()
    for _ in range(8):
        model = family.values(x, fitted, params)
        slope = (family.values(x, fitted + h, params) - family.values(x, fitted - h, params)) / (2 * h)
        fitted += ((X.values - model) * slope).sum(1) / (slope**2).sum(1)
    return fitted


@EVERY
def test_the_noise_has_the_sd_the_truth_claims(family):
    X, truth = sample(family, 300, seed=2)
    params = {name: truth[name].values for name in family.params}
    rest = (X.values - family.values(X.x.values, truth["shift"].values, params)) / truth["noise"].values[
        :, None
    ]
    assert abs(rest.std() - 1) < 0.02
    assert abs(rest.mean()) < 0.02
    assert np.all(rest.std(axis=1) < 1.5)


@EVERY
def test_the_two_noise_draws_of_a_pair_are_independent_and_equally_strong(family):
    p = pairs(family, 300, seed=3)
    rests = [
        (X.values - family.values(X.x.values, shift, p.params)) / p.noise[:, None]
        for X, shift in ((p.first, p.shift_first), (p.second, p.shift_second))
    ]
    assert abs(np.corrcoef(rests[0].ravel(), rests[1].ravel())[0, 1]) < 0.03
    assert np.all(np.abs([r.std() - 1 for r in rests]) < 0.02)


@EVERY
def test_seeds_reproduce_and_differ(family):
    first, again, other = (sample(family, 5, seed=s)[0].values for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    np.testing.assert_array_equal(pairs(family, 5, 1).second.values, pairs(family, 5, 1).second.values)


def test_nothing_global_is_drawn_from():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    article(10)
    pairs("qrs", 10, 0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@EVERY
def test_features_stay_in_the_window_and_are_of_about_unit_size(family):
    x, shift, _, signals = clean(family, 500, 4)
    assert np.all((shift >= family.shift.low) & (shift < family.shift.high))
    assert np.all((x[0] < shift) & (shift < x[-1]))
    strength = np.abs(signals).max(axis=1)
    assert np.all((strength > 0.4) & (strength < 2.1))


def test_the_article_set_is_the_one_of_the_article():
    X, truth = article()
    assert X.shape == (5000, 100)
    np.testing.assert_allclose(X.x, np.linspace(-12, 12, 100))
    raw_noise = truth["noise"].values * X.attrs["scale"]
    for values, expected in (
        (truth["shift"].values, np.linspace(-3, 3, 60, endpoint=False)),
        (truth["width"].values, np.linspace(0.5, 5, 450, endpoint=False)),
        (raw_noise, np.linspace(0.001, 0.099, 99)),
    ):
        np.testing.assert_allclose(np.unique(values.round(9)), expected, atol=1e-8)
    assert float(X.min()) == 0
    assert float(X.max()) == 1
    raw = X.values * X.attrs["scale"] + X.attrs["offset"]
    peak = np.exp(
        -((X.x.values - truth["shift"].values[:, None]) ** 2) / (2 * truth["width"].values[:, None] ** 2)
    )
    assert abs(((raw - peak) / raw_noise[:, None]).std() - 1) < 0.01


def test_mixed_peaks_share_centre_and_half_width():
    X, truth = article(4000, seed=7, shape="mixed")
    assert set(truth) == {"shift", "width", "mixing", "noise"}
    u = np.abs(X.x.values - truth["shift"].values[:, None]) / truth["width"].values[:, None]
    raw = X.values * X.attrs["scale"] + X.attrs["offset"]
    half = raw[np.abs(u - HALF_WIDTH) < 0.02]
    assert abs(half.mean() - 0.5) < 0.005
    far = (u > 5) & (u < 6)  # only the Lorentzian reaches there
    rows = far.any(axis=1)
    tail = np.array([raw[i, far[i]].mean() for i in np.flatnonzero(rows)])
    slope, level = np.polyfit(truth["mixing"].values[rows], tail, 1)
    assert slope == pytest.approx(np.mean(1 / (1 + (u[far] / HALF_WIDTH) ** 2)), rel=0.1)
    assert abs(level) < 0.01


@pytest.mark.parametrize("shape", ["gaussian", "mixed"])
def test_article_pairs_are_in_the_units_of_the_set(shape):
    X, _ = article(800, seed=11, shape=shape)
    p = article_pairs(400, seed=1, shape=shape, like=X)
    family = ARTICLE_SHAPES[shape]
    model = family.values(X.x.values, p.shift_first, p.params)
    rest = p.first.values - (model - X.attrs["offset"]) / X.attrs["scale"]
    assert abs((rest / p.noise[:, None]).std() - 1) < 0.02
    bound = [
        family.bound(X.x.values, s, p.params, p.noise * X.attrs["scale"])
        for s in (p.shift_first, p.shift_second)
    ]
    np.testing.assert_allclose(p.bound, np.hypot(*bound))


def test_article_pairs_take_the_scale_of_the_default_set():
    assert article_pairs(2, seed=0).first.attrs["scale"] == article()[0].attrs["scale"]


def test_a_family_of_ones_own_and_another_length():
    box = Family(
        "box",
        (0, 1, 50),
        lambda u, p: p["h"] * np.exp(-50 * u**2),
        {"h": Range(1, 2)},
        Range(0, 1),
        Range(0, 1e-9),
    )
    X, truth = sample(box, 6, seed=0, length=1001)
    assert X.shape == (6, 1001)
    np.testing.assert_allclose(X.x.values[X.values.argmax(1)], truth["shift"], atol=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sample("nonsense", 3, 0), "nonsense.*article"),
        (lambda: sample("article", 0, 0), "n=0"),
        (lambda: pairs("article", -1, 0), "n=-1"),
        (lambda: pairs("article", 2, 0, length=1), "length=1"),
        (lambda: article(3, shape="square"), "square.*gaussian, mixed"),
        (lambda: article_pairs(3, 0, like=sample("article", 3, 0)[0]), "offset and scale"),
    ],
)
def test_input_it_cannot_use_is_refused_with_one_sentence(call, words):
    with pytest.raises(ShapeshiftError, match=words):
        call()
