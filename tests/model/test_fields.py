"""Surfaces: bicubic splines on the plane, read by bilinear pieces, and templates over what is given."""

import pytest
import torch
from laws import normal

from shapeshift.model.decoders import CoordinateNet, Template
from shapeshift.model.fields import Lattice, SplineField, SplineSurface
from shapeshift.model.frames import Line, Plane
from shapeshift.model.likelihoods import Gaussian
from shapeshift.model.vae import PoseVAE
from shapeshift.model.warps import Rotation, Scale, Shift, composed, pull_back, push_forward

LATTICE = Lattice(2, 11, 14, 1.0, 1.3)
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def coefficients(n=3, stacks=1):
    return normal(n, stacks, LATTICE.size, seed=1)


def points(n=3, p=9, seed=2):
    return 0.8 * torch.tanh(normal(n, p, 2, seed=seed))


def test_a_surface_is_the_product_of_two_splines():
    down, across = normal(1, 11, seed=3), normal(1, 14, seed=4)
    one = Lattice(1, 11, 14, 1.0, 1.3)
    u = points(1)
    surface = SplineSurface((down[0, :, None] * across[0]).reshape(1, -1), one)(u)
    product = SplineField(down, 1.0)(u[..., :1]) * SplineField(across, 1.3)(u[..., 1:])
    torch.testing.assert_close(surface, product, **EXACT)


def test_channels_are_read_one_by_one():
    a, u = coefficients()[:, 0], points()
    both = SplineSurface(a, LATTICE)(u).unflatten(1, (2, -1))
    for k in range(2):
        own = SplineSurface(a.unflatten(1, (2, -1))[:, k], LATTICE._replace(channels=1))(u)
        torch.testing.assert_close(both[:, k], own, **EXACT)


def test_the_gradient_of_a_surface_is_its_derivative():
    a, u = coefficients(stacks=3), points()
    values, gradient = SplineSurface(a, LATTICE).with_gradient(u)
    first = SplineSurface(a[:, 0], LATTICE)
    torch.testing.assert_close(values[:, 0], first(u), **EXACT)
    torch.testing.assert_close(values[:, 2], SplineSurface(a[:, 2], LATTICE)(u), **EXACT)
    for axis in range(2):
        along = torch.zeros_like(u)
        along[..., axis] = 1e-6
        numeric = (first(u + along) - first(u - along)) / 2e-6
        torch.testing.assert_close(gradient[:, axis], numeric, rtol=1e-5, atol=1e-5)


def test_outside_the_lattice_a_surface_is_held():
    field = SplineSurface(coefficients()[:, 0], LATTICE)
    edge, beyond = (torch.tensor([[[r, 0.3]]]).double().expand(3, -1, -1) for r in (3.0, 9.0))
    assert torch.equal(field(edge), field(beyond))


def plane_model(n_given=0, decoder="template"):
    """A model of 12 x 9 images whose weights are drawn at random."""
    warps = [Rotation(), Scale(0.3), Shift(0.3, 2)]
    lines = (torch.linspace(-1, 1, 12), torch.linspace(-0.7, 0.7, 9))
    grid = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        lattice = Lattice(2, 25, 23, 2.0, 1.9)
        made = (
            Template(torch.randn(lattice.size), 0.0, 2, 16, n_given=n_given, lattice=lattice)
            if decoder == "template"
            else CoordinateNet(2 + n_given, 2, 16, 2, 2)
        )
        for parameter in made.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape)
    frame = Plane(2, 12, 9)
    blind = torch.nn.Identity()
    return PoseVAE(warps, blind, made, Gaussian(), grid, 2, frame=frame, n_given=n_given).double()


@pytest.mark.parametrize("n_given", [0, 3])
@pytest.mark.parametrize("decoder", ["template", "coordinate"])
def test_the_jacobian_is_the_derivative_by_pose_and_shape(decoder, n_given):
    vae = plane_model(n_given, decoder)
    theta = normal(4, 6 + n_given, seed=5, scale=0.2)
    values, jacobian = vae.values_and_jacobian(theta)
    torch.testing.assert_close(values, vae.values(theta[:, :4], theta[:, 4:]), **EXACT)
    assert jacobian.shape == (4, 6, 2 * 12 * 9)  # nothing by what is given
    for k in range(6):
        along = torch.zeros_like(theta)
        along[:, k] = 1e-6
        up, down = (vae.values(t[:, :4], t[:, 4:]) for t in (theta + along, theta - along))
        torch.testing.assert_close(jacobian[:, k], (up - down) / 2e-6, rtol=1e-4, atol=1e-4)


def test_every_class_has_shapes_of_its_own():
    vae = plane_model(2)
    z = normal(5, 2, seed=6)
    moved = []
    for kind in torch.eye(2, dtype=z.dtype).split(1):
        a, rest = (vae.decoder.coefficients(torch.cat([v, kind.expand(5, -1)], 1)) for v in (z, 0 * z))
        moved.append(a - rest)
    assert (moved[0] - moved[1]).abs().max() > 0.01


def test_an_image_moved_back_is_the_canonical_one():
    warps = [Rotation(), Scale(0.3), Shift(0.3, 2)]
    lines = (torch.linspace(-1, 1, 41), torch.linspace(-0.8, 0.8, 33))
    grid = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2).double()
    pose = torch.tensor([[0.5, 0.1, 0.05, -0.1], [-1.0, -0.1, 0.1, 0.0]]).double()

    def field(u):
        return torch.exp(-8 * (u[..., 0] - 0.1) ** 2 - 14 * u[..., 1] ** 2)

    frame = Plane(1, 41, 33)
    moved, seen = frame.moved_back(field(pull_back(warps, grid, pose)), pose, warps, grid)
    inside = seen.bool()
    assert inside.double().mean() > 0.6
    assert (moved - field(grid.expand(2, -1, -1))).abs()[inside].max() < 0.02
    assert (moved[~inside] == 0).all()


def test_the_rest_of_a_pose_is_composed_with_its_place():
    warps = [Rotation(), Scale(0.3), Shift(0.3, 2)]
    place, rest, u = normal(3, 4, seed=7, scale=0.3), normal(3, 4, seed=8, scale=0.1), normal(6, 2, seed=9)
    pose = Plane(1, 5, 5).pose(place, rest, warps, 0.1)
    assert torch.equal(pose, composed(warps, place, rest))
    inner = push_forward(warps, u, rest)
    twice = torch.cat([push_forward(warps, v, g[None]) for v, g in zip(inner, place, strict=True)])
    torch.testing.assert_close(push_forward(warps, u, pose), twice, **EXACT)


@pytest.mark.parametrize("frame", [Line(), Plane(1, 5, 5)])
def test_jitter_stays_within_its_amount(frame):
    place = frame.nowhere(50, 3)
    moved = frame.jittered(place, 2, 0.1, torch.Generator().manual_seed(0))
    limit = 2 if isinstance(frame, Line) else 0.2
    assert 0.5 * limit < (moved - place).abs().max() <= limit


def test_a_turn_counts_once_round_the_circle():
    frame, warps = Plane(1, 5, 5), [Rotation()]
    a, b = torch.tensor([[3.1]]), torch.tensor([[-3.1]])
    assert float(frame.apart(a, b, warps)) < 0.1
