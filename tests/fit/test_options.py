"""Options that mean nothing are refused in a sentence; own encoders are used and left alone."""

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.options import plain
from shapeshift.model.latents import Factors

X, TRUTH = ss.synthetic.article(n=120, seed=0)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"n_latent": 0}, "n_latent=0, needed a whole number above 0"),
        ({"n_latent": 1.5}, "n_latent=1.5, needed a whole number"),
        ({"n_latent": True}, "n_latent=True"),
        ({"warps": ("rotation",)}, r"warps=\('rotation',\), needed one of"),
        ({"decoder": "deep"}, "decoder='deep', needed one of 'template', 'coordinate'"),
        ({"likelihood": "normal"}, "likelihood='normal', needed one of 'auto', 'gaussian'"),
        ({"zero": "middle"}, "zero='middle', needed one of 'reference', 'peak', 'centroid'"),
        ({"normalise": "mean"}, "normalise='mean'"),
        ({"nuisance": ("gain", "slope")}, "nuisance='slope', needed one of 'gain', 'offset', 'baseline'"),
        (
            {"nuisance": ("gain",), "likelihood": "bernoulli"},
            "likelihood='bernoulli', needed one that is linear",
        ),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": -3}, "epochs=-3"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0, needed a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate='fast'"),
        ({"shift_sd": -1.0}, "shift_sd=-1.0"),
        ({"held_out": 1.0}, "held_out=1.0, needed a share from 0 to below 1"),
        ({"kl_weight": {"width": 2.0}}, "kl_weight for width"),
    ],
)
def test_an_option_that_means_nothing_is_named(option, told):
    with pytest.raises(ShapeshiftError, match=told) as caught:
        ss.ShiftVAE(**option).fit(X)
    assert str(caught.value).count(". ") == 0  # one sentence


def test_a_zero_that_means_nothing_is_refused_after_the_fit_as_well():
    model = ss.ShiftVAE(epochs=1, width=8).fit(X)
    with pytest.raises(ShapeshiftError, match="zero='left'"):
        model.set_params(zero="left").posterior(X)


@pytest.mark.parametrize("normalise", [None, "max", "area", "sd", "minmax"])
def test_normalising_is_undone(normalise):
    gains = np.linspace(1, 4, len(X))[:, None]
    loud = gains * X.values
    model = ss.ShiftVAE(normalise=normalise, nuisance=(), epochs=12).fit(loud)
    rest = (model.reconstruct(loud) - loud) / gains
    assert rest.std() < 0.1
    p, taken = model.posterior(loud), model.amplitudes(loud)
    again = taken[:, :1] * model.generate(p.z, shift=p.shift) + taken[:, 1:]
    assert np.allclose(again, model.reconstruct(loud), atol=1e-3)


def test_a_gain_that_was_found_is_told():
    gains = np.linspace(1, 20, len(X))[:, None]
    model = ss.ShiftVAE(epochs=12).fit(gains * X.values)
    assert model.nuisance_ == ("gain", "offset")
    p = model.posterior(gains * X.values)
    drawn = p.gain[:, None] * model.generate(p.z, shift=p.shift)
    offset = model.reconstruct(gains * X.values) - drawn
    assert np.ptp(offset, axis=1).max() < 1e-3 * np.ptp(drawn)
    assert np.corrcoef(np.log(p.gain), np.log(gains[:, 0]))[0, 1] > 0.9


def test_shift_sd_is_in_axis_units():
    model = ss.ShiftVAE(shift_sd=1.7, epochs=1, width=8).fit(X)
    assert np.isclose(model.shift_sd_, 1.7)
    assert np.isclose(model.options_["shift_sd"], 1.7)


class Own(torch.nn.Module):
    """Guesses the rest of the shift from the centre of the signal, and the shape from its width."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(2, 2)
        self.calls = 0

    def forward(self, moved, seen):
        self.calls += 1
        u = torch.linspace(-1, 1, moved.shape[1])
        w = (moved - moved.amin(1, keepdim=True)) * seen
        centre = (w * u).sum(1, keepdim=True) / w.sum(1, keepdim=True)
        width = (w * (u - centre) ** 2).sum(1, keepdim=True) / w.sum(1, keepdim=True)
        h = self.head(torch.cat([centre, width], 1))
        return Factors(h[:, :1], torch.full_like(centre, 0.02), 5 * h[:, 1:], torch.full_like(centre, 0.1))


def test_an_own_encoder_is_used_and_left_alone():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = Own()
    before = own.head.weight.clone()
    model = ss.ShiftVAE(1, encoder=own, epochs=10).fit(X)
    assert own.calls == 0
    assert torch.equal(own.head.weight, before)
    assert model.fitted_.vae.encoder.calls > 0
    assert not torch.equal(model.fitted_.vae.encoder.head.weight, before)
    assert np.corrcoef(model.posterior(X).shift, TRUTH["shift"])[0, 1] > 0.97


def test_options_become_plain_values():
    given = {"a": (1, "b", None), "c": {"z": 0.5}, "d": Own()}
    assert plain(given) == {"a": [1, "b", None], "c": {"z": 0.5}, "d": "Own"}


def test_a_nuisance_by_itself_is_told_to_be_a_tuple():
    with pytest.raises(ss.ShapeshiftError, match=r"nuisance=\('gain',\)"):
        ss.ShiftVAE(nuisance="gain").fit(np.random.default_rng(0).normal(size=(30, 20)))
