"""Laws of decoders: a field is a function of coordinates, whatever way it is read."""

import pytest
import torch
from laws import DecoderLaws, covered, final_subclasses
from torch.func import jvp

from shapeshift.model import decoders
from shapeshift.model.decoders import CoordinateNet, Template
from shapeshift.model.fields import SplineField

LENGTH, REACH, K = 40, 12, 3
SAMPLE = 2 / (LENGTH - 1)
GRID = torch.linspace(-1, 1, LENGTH, dtype=torch.float64)


@pytest.fixture
def template():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = Template(torch.randn(LENGTH + 2 * REACH), 1 + REACH * SAMPLE, K, width=16).double()
        with torch.no_grad():
            decoder.linear.normal_()
            decoder.log_gain.normal_(std=0.3)
    return decoder


def latents(n=5):
    return torch.randn(n, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_lattice_reading_is_reading(template):
    field, t = template(latents()), torch.linspace(-0.4, 0.4, 5, dtype=torch.float64)
    free = field((GRID - t[:, None])[..., None])
    assert torch.allclose(field.on_lattice(GRID[0] - t, LENGTH), free, atol=1e-10)


def test_slopes_are_derivatives(template):
    z, t = latents(), torch.linspace(-0.31, 0.33, 5, dtype=torch.float64)
    values, slopes = template.read_with_slopes(z, GRID[0] - t, LENGTH)

    def read(z, t):
        return template(z).on_lattice(GRID[0] - t, LENGTH)

    assert torch.allclose(values, read(z, t))
    step = 1e-6
    numeric = (read(z, t - step) - read(z, t + step)) / (2 * step)
    assert torch.allclose(slopes[:, 0], numeric, atol=1e-5)
    for k in range(K):
        direction = torch.zeros_like(z)
        direction[:, k] = 1
        _, expected = jvp(lambda z: read(z, t), (z,), (direction,))
        assert torch.allclose(slopes[:, 1 + k], expected, atol=1e-9)


def test_splines_reproduce_a_straight_line():
    a = torch.linspace(-3, 3, 31, dtype=torch.float64)[None]
    u = torch.linspace(-2.5, 2.5, 17, dtype=torch.float64)[None, :, None]
    assert torch.allclose(SplineField(a, 3.0)(u)[0], u[0, :, 0], atol=1e-12)


def test_outside_its_grid_a_field_is_held_at_its_edge():
    a = torch.randn(2, 31, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = torch.tensor([3.0, 4.0, 9.0], dtype=torch.float64)
    for side in (-1, 1):
        values = SplineField(a, 3.0)((side * u)[None, :, None].expand(2, -1, -1))
        assert torch.equal(values[:, 1:], values[:, :1].expand(-1, 2))


class TestTemplate(DecoderLaws):
    subject = Template

    def make(self):
        decoder = Template(torch.randn(LENGTH + 2 * REACH), 1 + REACH * SAMPLE, K, width=16)
        torch.nn.init.normal_(decoder.linear)
        torch.nn.init.normal_(decoder.log_gain, std=0.3)
        return decoder


class TestCoordinateNet(DecoderLaws):
    subject = CoordinateNet

    def make(self):
        return CoordinateNet(K, width=16)


def test_no_decoder_goes_untested():
    assert final_subclasses(decoders, decoders.Decoder) == covered(DecoderLaws) != set()


def test_the_amplitude_never_turns_negative(template):
    with torch.no_grad():
        template.linear.zero_()
        for layer in template.network:
            for parameter in layer.parameters():
                parameter.zero_()
    a = template.coefficients(torch.linspace(-9, 9, 7, dtype=torch.float64)[:, None].expand(-1, K))
    above = (a - template.floor) / (template.base - template.floor)
    assert (above > 0).all()
