"""The search over poses: what a table explains, where its peaks are, and the zero of images."""

import math

import pytest
import torch
from laws import normal

from shapeshift.fit.bank import Reach
from shapeshift.fit.gauge_plane import PlaneZero, fit_plane_zero, posed, read
from shapeshift.fit.poses import cells_of, grid_of, peaks, places_of, table_from
from shapeshift.fit.start_plane import plane_grid, warps_of
from shapeshift.fit.turning import aligned, turned_at_random
from shapeshift.model.frames import Plane
from shapeshift.model.warps import pull_back

NAMES = ("rotation", "scale", "shift")
FRAME, GRID = Plane(1, 26, 30), plane_grid(26, 30)
WARPS = warps_of(NAMES, {"rotation": 0.7, "scale": 0.2, "shift": 0.3})
REACH = Reach(1.0, 0.25, 0.25)


def arrow(u):
    shaft = torch.exp(-0.5 * (u[..., 0] / 0.12) ** 2 - 0.5 * (u[..., 1] / 0.35) ** 2)
    head = torch.exp(-0.5 * ((u[..., 0] + 0.15) / 0.12) ** 2 - 0.5 * ((u[..., 1] - 0.4) / 0.12) ** 2)
    return shaft + head


def images(pose, warps=WARPS):
    return arrow(pull_back(warps, GRID, pose))


def poses(n, seed=0):
    unit = torch.rand(n, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return unit * torch.tensor([0.8, 0.2, 0.15, 0.15])


@pytest.fixture(scope="module")
def table():
    return table_from(lambda u: arrow(u)[None], WARPS, cells_of(FRAME, GRID, WARPS), REACH)


def test_what_is_explained_is_what_comparison_one_by_one_would_say(table):
    x = images(poses(5))
    best, _ = table.explained(x, gain=False)
    places = places_of(table).flatten(0, 1)
    some = torch.linspace(0, len(places) - 1, 40).long()
    cells = table.cells.of(x).flatten(1)
    drawn = table.cells.of(images(places[some])).flatten(1)
    square = (cells[:, None] - drawn).square().sum(2)
    direct = 0.5 * table.cells.side**2 * (cells.square().sum(1, keepdim=True) - square)
    torch.testing.assert_close(best.flatten(1)[:, some], direct, rtol=0.02, atol=0.05)


def test_the_best_place_is_near_the_pose(table):
    pose = poses(40, seed=1)
    best, _ = table.explained(images(pose), gain=False)
    found = places_of(table).flatten(0, 1)[best.flatten(1).argmax(1)]
    assert ((found - pose).abs().amax(1) < 1.8 * table.cells.cell).all()


def test_with_a_gain_brightness_does_not_matter(table):
    x = images(poses(10, seed=2))
    dim, bright = (table.explained(g * x, gain=True)[0].flatten(1).argmax(1) for g in (0.1, 3.0))
    assert torch.equal(dim, bright)


def test_peaks_close_round_the_circle():
    warps = warps_of(("rotation",), {})
    table = table_from(lambda u: arrow(u)[None], warps, cells_of(FRAME, GRID, warps), Reach(math.pi, 0, 0))
    assert table.circle
    turns = len(table.poses)
    score = torch.arange(turns, dtype=torch.float32)[None, :, None]  # rises to the last, beside the first
    assert torch.isfinite(peaks(table, score)).sum() == 1
    nearest = torch.cdist(table.poses, table.poses)
    assert float(nearest.max()) < 2 * math.pi


@pytest.mark.parametrize("reach", [0.3, 1.0, math.pi])
def test_the_grid_of_poses_leaves_no_gap(reach):
    grid, size, circle = grid_of(WARPS, Reach(reach, 0.25, 0.2), 0.1)
    angles = grid[:, 0].unique()
    assert circle == (reach == math.pi)
    assert len(grid) == size[0] * size[1]
    assert float(angles.diff().max()) <= 0.15 + 1e-6
    assert float(angles.max()) >= reach - 0.16
    assert (grid[:, 2:] == 0).all()


def test_images_are_aligned_onto_their_own_mean():
    pose = poses(80, seed=3)
    x = images(pose) + 0.05 * normal(80, len(GRID), seed=4).float()
    found = aligned(x, FRAME, GRID, WARPS, REACH, torch.Generator().manual_seed(0)).place
    off = found - pose
    assert (off - off.median(0).values).abs().median(0).values.max() < 0.12


@pytest.mark.parametrize(("most", "told"), [(0.9, False), (math.pi, True)])
def test_images_turned_at_random_are_told(most, told):
    warps = warps_of(("rotation",), {})
    for seed in range(5):
        unit = torch.rand(150, 1, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        assert turned_at_random(images(most * unit, warps), FRAME, GRID) == told


class Known(torch.nn.Module):
    """What the zero needs to know of a model: its warps and its pixels."""

    n_pose, n_given, sample = 4, 0, 2 / 29
    named_warps = WARPS


def test_the_centre_is_the_point_that_turning_leaves_in_place():
    z = normal(2000, 2, seed=5).float()
    centre = 0.1 * torch.stack([1 + z[:, 0], -0.5 + 0.5 * z[:, 1]], 1)  # of every pattern, canonical
    pose = poses(2000, seed=6)
    zero = PlaneZero(torch.zeros(1, 4), torch.tensor([[0.1, -0.05], [0.1, 0.0], [0.0, 0.05]]))
    raw = posed(Known(), zero, pose, z)  # of patterns drawn about the origin
    found = fit_plane_zero(Known(), torch.cat([raw, z], 1))
    assert (found.centre(z) - centre).abs().mean() < 0.01


def test_reading_and_posing_are_inverses():
    z, pose = normal(6, 2, seed=7).float(), poses(6, seed=8)
    zero = PlaneZero(torch.tensor([[0.2, 0.1, -0.1, 0.3]]), normal(3, 2, seed=9).float())
    theta = torch.cat([posed(Known(), zero, pose, z), z], 1)
    again, sd = read(Known(), zero, theta, 0.01 * torch.eye(6).expand(6, -1, -1))
    torch.testing.assert_close(again, pose, rtol=1e-4, atol=1e-5)
    assert (sd[:, 2:] > 0.1).all()  # the centre's uncertainty is the turn's and the shape's as well
