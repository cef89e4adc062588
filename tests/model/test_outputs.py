"""Laws of outputs with points of their own: what z says of them, and nothing else."""

import pytest
import torch
from laws import final_subclasses, normal

from shapeshift.model import outputs
from shapeshift.model.decoders import Decoder
from shapeshift.model.encoders import DenseEncoder
from shapeshift.model.outputs import FreePoints
from shapeshift.model.pointwise import PointNoise
from shapeshift.model.vae import PoseVAE

Q, K = 7, 3


@pytest.fixture
def decoder():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FreePoints(Q, K, width=16).double()


@pytest.fixture
def vae():
    """From 11 samples to Q points."""
    grid = torch.linspace(-1, 1, 11)[:, None]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = DenseEncoder(11, 0, K, 1.0, width=16), FreePoints(Q, K, width=16), PointNoise(Q)
    return PoseVAE([], *parts, grid, K).double()


def test_every_output_is_known_here():
    assert final_subclasses(outputs, Decoder) == {FreePoints}


@pytest.mark.parametrize("samples", [1, 7, 40])
def test_values_do_not_depend_on_where_they_are_read(decoder, samples):
    z = normal(5, K)
    read = decoder(z)(normal(5, samples, 2, seed=1))
    assert read.shape == (5, Q)
    assert torch.equal(read, decoder(z)(normal(5, 3, 1, seed=2)))


def test_every_shape_has_values_of_its_own(decoder):
    z, u = normal(5, K), torch.zeros(5, 1, 1, dtype=torch.float64)
    alone = torch.cat([decoder(z[i : i + 1])(u[:1]) for i in range(5)])
    torch.testing.assert_close(decoder(z)(u), alone, rtol=1e-12, atol=1e-12)


def test_every_point_depends_on_every_latent(decoder):
    z, u = normal(5, K), torch.zeros(5, 1, 1, dtype=torch.float64)
    for k in range(K):
        moved = z + 0.5 * torch.eye(K, dtype=torch.float64)[k]
        assert ((decoder(moved)(u) - decoder(z)(u)).abs() > 1e-7).all()


def test_points_are_free_of_each_other(decoder):
    """No point is a function of its neighbours: some weights move it and none of them."""
    z, u = normal(5, K), torch.zeros(5, 1, 1, dtype=torch.float64)
    before = decoder(z)(u)
    with torch.no_grad():
        decoder.network[-1].bias[2] += 1.0
    change = decoder(z)(u) - before
    assert torch.allclose(change[:, 2], torch.ones(5, dtype=torch.float64))
    assert torch.equal(change.abs() > 1e-9, (torch.arange(Q) == 2).expand(5, -1))


def test_the_model_reads_its_outputs_and_their_slopes(vae):
    theta, step = normal(4, K), 1e-6
    values, slopes = vae.values_and_jacobian(theta)
    assert values.shape == (4, Q)
    for k in range(K):
        there = step * torch.eye(K, dtype=torch.float64)[k]
        none = theta[:, :0]
        numeric = (vae.values(none, theta + there) - vae.values(none, theta - there)) / (2 * step)
        torch.testing.assert_close(slopes[:, k], numeric, rtol=1e-6, atol=1e-7)
