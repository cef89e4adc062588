"""Parts that stand still are told from parts that move along."""

import numpy as np
import pytest

from shapeshift.analysis.rigidity import rigidity

RNG = np.random.default_rng(0)
P = np.arange(120)


def line(at, width=3.0):
    return np.exp(-(((P - np.reshape(at, (-1, 1))) / np.reshape(width, (-1, 1))) ** 2) / 2)


def noisy(clean):
    return clean + 0.03 * RNG.normal(size=clean.shape)


@pytest.mark.parametrize("widths", [(3, 3), (2, 6)])
def test_a_pattern_that_moves_as_a_whole_is_rigid(widths):
    shift = RNG.uniform(-15, 15, 400)
    signals = line(45 + shift, RNG.uniform(*widths, 400)) + 0.5 * line(70 + shift)
    found = rigidity(noisy(signals), shift)
    assert found.rigid
    assert found.moving > 0.9
    sure = found.decided & (found.weight > 0.05)
    assert np.abs(found.slope[sure] - 1).max() < 0.1
    assert np.isclose(found.weight.sum(), 1)


@pytest.mark.parametrize("height", [0.5, 1.0, 3.0])
def test_a_line_that_stands_still_beside_one_that_moves_is_not(height):
    shift = RNG.uniform(-20, 20, 400)
    found = rigidity(noisy(height * line(20) + line(80 + shift)), shift)
    assert not found.rigid
    share = height**2 / (1 + height**2)
    assert abs(found.still - share) < 0.1
    assert abs(found.moving - (1 - share)) < 0.1
    assert abs(found.still_centre - 20) < 2
    assert found.slope_sd[found.decided & (found.weight > 0.05)].max() < 0.1


def test_a_line_that_another_one_crosses_is_seen_to_stand_still():
    shift = RNG.uniform(-40, 40, 600)
    assert not rigidity(noisy(line(60) + line(60 + shift)), shift).rigid


def test_slopes_between_are_measured():
    shift = RNG.uniform(-20, 20, 400)
    found = rigidity(noisy(line(25 + 0.5 * shift) + line(80 + shift)), shift)
    k = np.argmin(np.abs(found.centre - 25))
    assert abs(found.slope[k] - 0.5) < 0.1


def test_windows_with_next_to_nothing_decide_nothing():
    shift = RNG.uniform(-10, 10, 400)
    found = rigidity(line(60 + shift) + 1e-3 * line(10), shift)
    assert not found.decided[found.centre < 20].any()


def test_where_nothing_moves_nothing_is_held_against_it():
    signals = line(60, RNG.uniform(2, 6, 400))
    for shift in (np.zeros(400), 0.01 * RNG.normal(size=400), RNG.uniform(-20, 20, 400)):
        found = rigidity(noisy(signals), shift)
        assert found.rigid
        assert found.moving == 0


def test_few_signals_are_enough_to_ask():
    shift = np.linspace(-10, 10, 12)
    assert rigidity(noisy(line(60 + shift)), shift).rigid
