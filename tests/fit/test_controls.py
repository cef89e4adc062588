"""Controls of training: what every factor costs, averaged weights, own networks, several starts."""

import numpy as np
import pytest
import torch
from torch import nn

import shapeshift as ss
from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit import starts
from shapeshift.fit.options import plan_of
from shapeshift.fit.start import Design
from shapeshift.fit.train import Plan
from shapeshift.model.latents import Factors
from shapeshift.model.likelihoods import Gaussian


def spots(n=40, seed=0):
    """Elongated spots (n, 12, 12), turned and displaced."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*[np.arange(12) - 5.5] * 2, indexing="ij")
    angle = rng.uniform(-0.7, 0.7, (n, 1, 1))
    u, v = rows - rng.uniform(-1, 1, (n, 1, 1)), columns - rng.uniform(-1, 1, (n, 1, 1))
    along, across = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    X = np.exp(-((along / 3.5) ** 2) - (across / rng.uniform(1, 1.6, (n, 1, 1))) ** 2)
    return X + 0.03 * rng.normal(size=X.shape)


def image_model(**options):
    return ss.ImageVAE(1, epochs=3, batch_size=20, **options)


# --- weights of the KL ---------------------------------------------------------------------------


@pytest.mark.parametrize("factor", ["rotation", "shift", "scale", "z"])
def test_every_factor_of_images_can_be_made_dear(factor):
    X = spots()
    ends = []
    for weight in (1.0, 100.0):
        warps = ("shift",) if factor == "z" else (factor,)
        columns = image_model(warps=warps, kl_weight={factor: weight}).fit(X).history_.columns
        ends.append(columns["kl_" + factor][-1])
    assert ends[1] < ends[0]


def test_a_factor_may_have_a_schedule_of_its_own():
    weights = {"z": lambda done: 2 * done, "shift": 3.0}
    assert plan_of(ss.ShiftVAE(kl_weight=weights), 100).weights(0.25) == {"z": 0.5, "shift": 3.0}


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"width": 1.0}, "kl_weight for width, needed some of 'shift', 'rotation', 'scale', 'z', 'class'"),
        ({"z": -1.0}, "kl_weight -1.0 for 'z', needed a number of at least 0"),
        ({"z": "much"}, "kl_weight 'much'"),
        (lambda done: {"width": 1.0}, "kl_weight for width"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, told):
    X, _ = ss.synthetic.article(n=30, seed=0)
    with pytest.raises(ss.ShapeshiftError, match=told):
        ss.ShiftVAE(epochs=2, kl_weight=weights).fit(X)


# --- averaged weights ----------------------------------------------------------------------------


def evidence(**options):
    X, _ = ss.synthetic.article(n=200, seed=0)
    held, _ = ss.synthetic.article(n=200, seed=1)
    return ss.ShiftVAE(batch_size=20, epochs=12, **options).fit(X).posterior(held).log_evidence


def test_averaged_weights_explain_more_where_steps_are_large():
    rates = [np.median(evidence(learning_rate=0.04, averaging=a, random_state=0)) for a in (0.0, 0.3)]
    assert rates[1] > rates[0] + 0.1


def test_without_averaging_nothing_is_averaged():
    plain, none = evidence(random_state=1), evidence(random_state=1, averaging=0.0)
    assert np.array_equal(plain, none)


# --- several starts ------------------------------------------------------------------------------


def starting(n_starts, monkeypatch, losses=None):
    """The fit of several starts, and what each was given."""
    asked, real = [], starts.fit

    def watched(design, plan, *data, **options):
        found = real(design, plan, *data, **options)
        asked.append((design, plan, found))
        if losses:
            found.history.columns["val_loss"] = [losses[len(asked) - 1]]
        return found

    monkeypatch.setattr(starts, "fit", watched)
    X, _ = ss.synthetic.article(n=60, seed=0)
    x = torch.from_numpy(X.values).float()
    noise = torch.from_numpy(noise_and_contrast(X.values)).float()
    design = Design(1, ("shift",), "template", None, Gaussian(), {})
    plan, generator = Plan(epochs=2), torch.Generator().manual_seed(0)
    return starts.fit_best(design, plan, x, noise, generator, n_starts), asked


def test_the_start_with_the_least_held_out_loss_is_kept(monkeypatch):
    best, asked = starting(3, monkeypatch, losses=[2.0, 1.0, 3.0])
    assert best is asked[1][2]


def test_a_start_that_failed_is_not_kept(monkeypatch):
    best, asked = starting(2, monkeypatch, losses=[float("nan"), 1.0])
    assert best is asked[1][2]


def test_starts_differ_but_hold_out_the_same_signals(monkeypatch):
    _, asked = starting(2, monkeypatch)
    (a, plan_a, first), (b, plan_b, second) = asked
    assert plan_a.split == plan_b.split is not None
    assert a.likelihood is not b.likelihood
    weights = [f.vae.encoder.body[0].weight for f in (first, second)]
    assert not torch.equal(*weights)


def test_one_start_is_the_fit_itself():
    X, _ = ss.synthetic.article(n=60, seed=0)
    shifts = [ss.ShiftVAE(epochs=4, n_starts=k).fit(X).posterior(X).shift for k in (1, 1, 2)]
    assert np.array_equal(shifts[0], shifts[1])
    assert not np.array_equal(shifts[0], shifts[2])


@pytest.mark.parametrize(("option", "value"), [("n_starts", 0), ("averaging", 1.5), ("n_starts", 1.5)])
def test_controls_that_mean_nothing_are_refused(option, value):
    X, _ = ss.synthetic.article(n=30, seed=0)
    with pytest.raises(ss.ShapeshiftError, match=f"got {option}={value}"):
        ss.ShiftVAE(**{option: value}).fit(X)


# --- own networks for images ---------------------------------------------------------------------


class Blob(nn.Module):
    """A Gaussian blob whose width follows the latent."""

    def __init__(self):
        super().__init__()
        self.size = nn.Linear(1, 1)

    def forward(self, z):
        width = 0.4 * torch.exp(0.3 * self.size(z[:, :1]))
        return lambda u: torch.exp(-u.square().sum(-1) / (2 * width**2))


class Middle(nn.Module):
    """An encoder that reads the mean of an image."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)

    def forward(self, moved, seen, given=None):
        z = self.head(moved.mean(1, keepdim=True))
        zero = moved.new_zeros(len(moved), 2)
        return Factors(zero, zero + 0.05, z, torch.full_like(z, 0.1))


def test_images_take_an_own_decoder_and_an_own_encoder():
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, 14)] * 2, indexing="ij")
    width, move = rng.uniform(0.25, 0.5, 80), rng.uniform(-0.2, 0.2, (80, 2))
    square = (rows - move[:, :1, None]) ** 2 + (columns - move[:, 1:, None]) ** 2
    X = np.exp(-square / (2 * width[:, None, None] ** 2)) + 0.02 * rng.normal(size=(80, 14, 14))
    decoder, encoder = Blob(), Middle()
    before = decoder.size.weight.clone()
    model = ss.ImageVAE(
        1, warps=("shift",), decoder=decoder, encoder=encoder, epochs=30, batch_size=20, learning_rate=0.02
    ).fit(X)
    p = model.posterior(X)
    assert torch.equal(decoder.size.weight, before)  # the user's own stays as it was
    assert abs(np.corrcoef(p.z[:, 0], width)[0, 1]) > 0.95
    off = p.shift / 6.5 - move
    assert np.median(np.abs(off - np.median(off, axis=0))) < 0.02
