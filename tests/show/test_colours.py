"""The colours work for every kind of colour vision, and maps rise evenly in lightness.

Colour vision is simulated by the matrices of Machado, Oliveira & Fernandes 2009 (IEEE Trans. Vis. Comput.
Graph. 15, 1291) of severity 1, in linear sRGB; distances and lightness are those of CIELAB.
"""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from shapeshift.show import style

VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip # noqa: E501
APART = 15.0  # CIELAB; about 2.3 can just be noticed side by side


def seen(colours, vision: str) -> np.ndarray:
    """CIELAB (n, 3) of sRGB colours (n, 3) as somebody with that vision sees them."""
    srgb = np.asarray(colours)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    share = linear @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.column_stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])


def nearest(colours, vision: str) -> float:
    lab = seen([to_rgb(c) for c in colours], vision)
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return float(apart[np.triu_indices(len(lab), 1)].min())


def steps(name: str, vision: str) -> np.ndarray:
    """CIELAB of 64 even steps along a colour map."""
    return seen(colormaps[name](np.linspace(0, 1, 64))[:, :3], vision)


@pytest.mark.parametrize("vision", VISION)
def test_lines_of_different_colours_stay_apart(vision: str) -> None:
    assert nearest(style.CYCLE, vision) > APART


def test_ten_usual_colours_would_not() -> None:
    usual = [f"C{k}" for k in range(10)]
    assert nearest(usual, "normal") > APART
    assert nearest(usual, "deuteranopia") < APART


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("name", [style.QUANTITY, style.INTENSITY])
def test_more_is_lighter(name: str, vision: str) -> None:
    assert (np.diff(steps(name, vision)[:, 0]) > 0).all()


@pytest.mark.parametrize("vision", VISION)
def test_both_sides_of_a_neutral_value_darken_alike(vision: str) -> None:
    light = steps(style.SIGNED, vision)[:, 0]
    assert (np.diff(light[:32]) > 0).all()
    assert (np.diff(light[32:]) < 0).all()
    assert abs(light[0] - light[-1]) < 10
    ends = steps(style.SIGNED, vision)[[8, -9]]
    assert np.linalg.norm(ends[0] - ends[1]) > 2 * APART  # and can be told apart


@pytest.mark.parametrize("vision", VISION)
def test_a_full_turn_ends_in_the_colour_it_began_with(vision: str) -> None:
    lab = steps(style.CYCLIC, vision)
    assert np.linalg.norm(lab[0] - lab[-1]) < 2


@pytest.mark.parametrize("name", [style.QUANTITY, style.INTENSITY, style.SIGNED])
def test_equal_steps_look_equal(name: str) -> None:
    apart = np.linalg.norm(np.diff(steps(name, "normal"), axis=0), axis=1)
    assert apart.max() / apart.min() < 4.5


def test_a_rainbow_would_pass_neither_check() -> None:
    lab = steps("jet", "normal")
    apart = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert not (np.diff(lab[:, 0]) > 0).all()
    assert apart.max() / apart.min() > 4.5
