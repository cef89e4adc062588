"""Laws of warps: a group acts on coordinates, and a positive shift moves a feature up the axis."""

import torch
from laws import WarpLaws, covered, final_subclasses

from shapeshift.model import warps
from shapeshift.model.warps import Shift, pull_back

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
