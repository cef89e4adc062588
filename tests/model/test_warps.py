"""Laws of warps: a group acts on coordinates, and a positive shift moves a feature up the axis."""

import math

import pytest
import torch
from laws import WarpLaws, covered, final_subclasses, normal

from shapeshift.model import warps
from shapeshift.model.warps import (
    Rotation,
    Scale,
    Shift,
    composed,
    pull_back,
    push_forward,
    wrapped,
)

U = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None]


def shift(t):
    return torch.full((1, 1), t, dtype=torch.float64)


class TestShift(WarpLaws):
    subject = Shift

    def make(self):
        return Shift(0.3)

    def compose(self, g, h):
        return g + h

    def inverted(self, g):
        return -g

    def identity(self):
        return torch.zeros(1, dtype=torch.float64)


class TestShiftOnThePlane(TestShift):
    n_dims = 2

    def make(self):
        return Shift(0.3, 2)

    def identity(self):
        return torch.zeros(2, dtype=torch.float64)


class TestRotation(WarpLaws):
    subject = Rotation
    n_dims = 2

    def make(self):
        return Rotation()

    def compose(self, g, h):
        return g + h

    def inverted(self, g):
        return -g

    def identity(self):
        return torch.tensor([2 * math.pi], dtype=torch.float64)  # a full turn does nothing


class TestRotationAboutTheMiddle(TestRotation):
    def make(self):
        return Rotation(0.5)


class TestScale(WarpLaws):
    subject = Scale
    n_dims = 2

    def make(self):
        return Scale(0.3)

    def compose(self, g, h):
        return g + h

    def inverted(self, g):
        return -g

    def identity(self):
        return torch.zeros(1, dtype=torch.float64)


def similarity():
    return [Rotation(), Scale(0.3), Shift(0.3, 2)]


def poses(seed, n=6):
    return normal(n, 4, seed=seed, scale=0.5)


def test_forward_and_inverse_cancel():
    u = normal(7, 2, seed=1)
    there = push_forward(similarity(), u, poses(2))
    back = torch.stack([pull_back(similarity(), p, g[None])[0] for p, g in zip(there, poses(2), strict=True)])
    torch.testing.assert_close(back, u.expand(6, -1, -1), rtol=1e-9, atol=1e-9)


def test_composition_is_one_warp_after_the_other():
    u, outer, inner = normal(7, 2, seed=1), poses(3), poses(4)
    first = push_forward(similarity(), u, inner)
    both = torch.stack([push_forward(similarity(), p, g[None])[0] for p, g in zip(first, outer, strict=True)])
    once = push_forward(similarity(), u, composed(similarity(), outer, inner))
    torch.testing.assert_close(once, both, rtol=1e-9, atol=1e-9)


def test_a_positive_rotation_is_counter_clockwise_with_the_first_row_at_the_top():
    right = torch.tensor([[0.0, 1.0]], dtype=torch.float64)  # row, column: to the right of the middle
    turned = push_forward([Rotation()], right, torch.tensor([[math.pi / 2]], dtype=torch.float64))
    torch.testing.assert_close(turned[0], torch.tensor([[-1.0, 0.0]], dtype=torch.float64))  # now at the top


def test_a_positive_log_scale_enlarges():
    u = torch.ones(1, 2, dtype=torch.float64)
    grown = push_forward([Scale(0.3)], u, torch.tensor([[math.log(2.0)]], dtype=torch.float64))
    torch.testing.assert_close(grown[0], 2 * u)


@pytest.mark.parametrize("angle", [-10.0, -math.pi, 0.3, 3.0, 7.0])
def test_a_wrapped_angle_is_the_same_angle(angle):
    a = torch.tensor(angle, dtype=torch.float64)
    assert abs(float(wrapped(a))) <= math.pi
    torch.testing.assert_close(wrapped(a).cos(), a.cos())
    torch.testing.assert_close(wrapped(a).sin(), a.sin())


def test_a_rotation_beyond_its_bound_has_no_prior():
    assert float(Rotation(0.5, 1.0).bound) == 1.0
    assert math.isinf(float(Rotation().bound))


def test_no_warp_goes_untested():
    assert final_subclasses(warps, warps.Warp) == covered(WarpLaws) != set()


def test_positive_shift_moves_a_feature_to_larger_values():
    moved = torch.exp(-50 * pull_back([Shift(0.3)], U, shift(0.25))[0, :, 0] ** 2)
    assert abs(float(U[moved.argmax(), 0]) - 0.25) < 1e-9


def test_warps_are_composed_in_order():
    both = pull_back([Shift(0.3), Shift(0.3)], U, torch.cat([shift(0.2), shift(0.5)], 1))
    assert torch.allclose(both, pull_back([Shift(0.3)], U, shift(0.7)))


def test_no_warps_leave_the_grid():
    assert torch.equal(pull_back([], U, torch.zeros(2, 0))[1], U)
