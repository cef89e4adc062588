"""Classes that nobody has told: the start finds them, training keeps them, and the posterior says how sure
it is."""

import itertools

import numpy as np
import pytest
import torch
from known import GRID, model

from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.fit.classes import class_posterior, enumerated_bound, learned_prior, log_priors
from shapeshift.fit.graph import graph, pairwise, spread, synchronised
from shapeshift.fit.kinds import excluded, find_kinds, held_out_evidence, temper_of
from shapeshift.fit.recipe import fit
from shapeshift.fit.start import Design
from shapeshift.fit.start_kinds import members, views_on_line
from shapeshift.fit.train import Plan, Signals
from shapeshift.fit.views import lag_grid, signal_views
from shapeshift.model.likelihoods import Gaussian
from shapeshift.model.objective import Elbo, over_classes

LINE = Design(1, ("shift",), "template", None, Gaussian(), {}, n_classes=3)
PLANE = Design(1, ("rotation",), "template", None, Gaussian(), {}, image=(1, 12, 12), n_classes=3)


def unit(x):
    return torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)


def noise_of(x):
    return torch.tensor(noise_and_contrast(x.numpy().astype(float)), dtype=torch.float32)


def signals(n=150, length=48, seed=0, spread=6, noise=0.1, apart=6.0):
    """Signals of three kinds of pattern, each of its own width, at known lags."""
    rng = np.random.default_rng(seed)
    kind, lag = rng.integers(0, 3, n), rng.integers(-spread, spread + 1, n)
    u = np.arange(length)[None] - length / 2 - lag[:, None]
    width = rng.uniform(1.5, 2.5, (n, 1))

    def peak(at):
        return np.exp(-((u - at) ** 2) / (2 * width**2))

    low, high = peak(-apart), peak(apart)
    shapes = np.stack([peak(0), 0.8 * low + 0.7 * high, low - 0.7 * peak(3)])
    return unit(shapes[kind, np.arange(n)] + noise * rng.normal(size=(n, length))), kind, lag


def images(n=120, side=12, seed=0, turn=0.6, noise=0.1):
    """Images of three kinds of pattern, turned by known angles."""
    rng = np.random.default_rng(seed)
    kind, angle = rng.integers(0, 3, n), rng.uniform(-turn, turn, n)
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    u, v = c * rows + s * columns, c * columns - s * rows

    def blob(p, q, high, wide):
        return np.exp(-(((u - p) / high) ** 2) - ((v - q) / wide) ** 2)

    dots = sum(blob(p, q, 0.25, 0.25) for p, q in ((0.5, 0.0), (-0.5, 0.4), (-0.2, -0.5)))
    shapes = np.stack([blob(0, 0, 0.2, 0.8), blob(-0.4, 0, 0.2, 0.7) + blob(0, -0.4, 0.7, 0.2), dots])
    return unit((shapes[kind, np.arange(n)] + noise * rng.normal(size=(n, side, side))).reshape(n, -1)), kind


def agreement(found, kind):
    """Share of signals whose class is right, classes named at their best."""
    found = np.asarray(found)
    return max(np.mean(np.array(names)[found] == kind) for names in itertools.permutations(range(3)))


def fit_of(design, x, labels=None, seed=0, epochs=15):
    plan = Plan(epochs=epochs, batch_size=32)
    return fit(design, plan, x, noise_of(x), torch.Generator().manual_seed(seed), labels=labels)


def told(f, x, temper=None):
    temper = f.temper if temper is None else temper
    return class_posterior(f.vae, f.bank, x, noise_of(x), f.log_prior, temper)


@pytest.fixture(scope="module")
def fitted():
    return fit_of(LINE, signals()[0])


# --- the bound ------------------------------------------------------------------------------------


def bounds(n=7, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(n, classes, generator=generator).double()  # noqa: E731
    return Elbo(5 * draw(), {"shift": draw().exp(), "z": draw().exp()}), draw().log_softmax(1)


def test_the_sum_over_classes_is_the_log_of_the_sum():
    each, prior = bounds()
    brute = sum((each.total()[:, y] + prior[:, y]).exp() for y in range(4)).log()
    torch.testing.assert_close(over_classes(each, prior).total(), brute)


def test_any_other_distribution_of_the_class_gives_a_lower_bound():
    each, prior = bounds()
    best = over_classes(each, prior).total()
    for seed in range(20):
        q = bounds(seed=seed + 1)[1].exp()
        assert ((q * (each.total() + prior - q.log())).sum(1) <= best + 1e-9).all()


def few_classes(log_prior):
    """A small model of two classes, signals of it, and their bound over the class."""
    from shapeshift.model.decoders import Template
    from shapeshift.model.encoders import DenseEncoder
    from shapeshift.model.vae import PoseVAE

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        known = model(n_latent=1)
        decoder = Template(known.decoder.base.detach().float(), known.decoder.half_width, 1, n_given=2)
        torch.nn.init.normal_(decoder.linear, std=0.3)
        torch.nn.init.normal_(decoder.own, std=0.3)
        encoder = DenseEncoder(len(GRID), 1, 1, known.sample, 2, kinds=True)
        vae = PoseVAE(list(known.warps), encoder, decoder, Gaussian(), GRID, 1, n_given=2).float()
        x = torch.randn(len(log_prior), len(GRID))
    place = torch.zeros(len(x), 2, dtype=torch.long)
    noise = torch.tensor([[0.3, 1.0]]).expand(len(x), -1)
    return vae, Signals(x, noise, place, log_prior, x[:, :0])


def test_labelled_rows_meet_their_own_class_alone():
    labels = torch.tensor([0, 1, 1])
    vae, batch = few_classes(torch.tensor(0.5).log() + excluded(labels, 2))
    loss = enumerated_bound(vae, batch, torch.Generator().manual_seed(0)).total().sum()
    loss.backward()
    assert torch.isfinite(loss)
    vae.zero_grad()
    first = batch.take(torch.tensor([0]))
    enumerated_bound(vae, first, torch.Generator().manual_seed(0)).total().sum().backward()
    assert (vae.decoder.own.grad[0] != 0).any()
    assert (vae.decoder.own.grad[1] == 0).all()
    assert (vae.decoder.linear.grad[2] == 0).all()


def test_the_order_of_the_classes_does_not_matter_to_the_bound():
    each, prior = bounds()
    order = torch.tensor([2, 0, 3, 1])
    turned = Elbo(each.log_px[:, order], {k: v[:, order] for k, v in each.kl.items()})
    torch.testing.assert_close(
        over_classes(turned, prior[:, order]).total(), over_classes(each, prior).total()
    )


# --- the start ------------------------------------------------------------------------------------


def test_pairs_know_how_far_they_lie_apart():
    x, kind, lag = signals(n=40, noise=0.01)
    views = signal_views(x, torch.zeros(40, dtype=torch.long), lag_grid(12))
    pairs = pairwise(views, views.grid.reach)
    same = torch.tensor(kind[:, None] == kind) & ~torch.eye(40, dtype=torch.bool)
    apart = torch.tensor(lag)[None] - torch.tensor(lag)[:, None]
    error = (pairs.pose[..., 0] - apart).abs()[same]
    assert (error <= 1).float().mean() > 0.97
    assert pairs.distance[same].median() < 0.2 * pairs.distance[~same].median()


def test_synchronised_poses_are_those_of_the_data():
    x, kind, lag = signals(n=90, noise=0.05)
    views = signal_views(x, torch.zeros(90, dtype=torch.long), lag_grid(12))
    pairs = pairwise(views, views.grid.reach)
    pose = synchronised(graph(pairs.distance, 5), pairs.pose, kind, views.grid)[:, 0].numpy()
    for c in range(3):
        error = (pose - lag)[kind == c]
        assert np.std(error) < 1.0


def test_few_labels_spread_to_their_like():
    x, kind, _ = signals(n=90)
    views = signal_views(x, torch.zeros(90, dtype=torch.long), lag_grid(12))
    labels = np.full(90, -1)
    for c in range(3):
        labels[np.flatnonzero(kind == c)[:2]] = c
    found = spread(graph(pairwise(views, views.grid.reach).distance, 5), labels, 3)
    assert np.mean(found.argmax(1) == kind) > 0.95
    assert np.allclose(found.sum(1), 1)


def test_many_signals_are_told_by_a_mixture_of_some(monkeypatch):
    monkeypatch.setattr("shapeshift.fit.kinds.MOST", 90)
    x, kind, _ = signals(n=300)
    views = views_on_line(x, torch.zeros(300, dtype=torch.long), moves=True)
    found = find_kinds(views, 300, 3, torch.Generator().manual_seed(0))
    assert agreement(found.share.argmax(1), kind) > 0.95


def test_held_out_evidence_finds_the_number_of_classes():
    x, _, _ = signals(n=240)
    views = views_on_line(x, torch.zeros(240, dtype=torch.long), moves=True)
    found = held_out_evidence(views, 240, (1, 2, 3, 4), torch.Generator().manual_seed(0), n_latent=1)
    assert found.best() == 3
    assert (found.evidence[2] - found.evidence[:2] > found.error[:2]).all()


# --- the fit --------------------------------------------------------------------------------------


def test_classes_of_signals_are_found(fitted):
    x, kind, lag = signals(seed=1)
    p = told(fitted, x)
    assert agreement(p.kind, kind) > 0.95
    for c in range(3):  # and the shift within a class
        error = p.found.refined.theta[:, 0].numpy()[kind == c] / fitted.vae.sample - lag[kind == c]
        assert np.std(error) < 1.0  # no zero is agreed on


def test_classes_of_images_are_found():
    f = fit_of(PLANE, images()[0], epochs=8)
    x, kind = images(seed=1)
    p = told(f, x)
    assert agreement(p.kind, kind) > 0.95
    assert (torch.bincount(p.kind, minlength=3) > 20).all()


def test_no_class_dies(fitted):
    assert (fitted.log_prior.exp() > 0.2).all()
    assert (torch.bincount(fitted.bank.z[:, 1:].argmax(1), minlength=3) > 0).all()


def test_what_nearly_died_still_has_members_and_a_weight():
    share = torch.tensor([[0.9, 0.1, 0.0]] * 5 + [[0.2, 0.8, 0.0]] * 5)
    assert [len(r) for r in members(share)] == [5, 5, 3]
    assert torch.isfinite(learned_prior(share)).all()
    assert torch.isfinite(log_priors(share, learned_prior(share), 0.1, share.clamp_min(1e-6))).any(1).all()


def test_permuted_labels_permute_the_answer():
    x, kind, _ = signals()
    t, kind_there, _ = signals(seed=1, n=60)
    rows = np.concatenate([np.flatnonzero(kind == c)[:4] for c in range(3)])
    order = np.array([2, 0, 1])
    labels, renamed = torch.full((len(x),), -1), torch.full((len(x),), -1)
    labels[rows], renamed[rows] = torch.tensor(kind[rows]), torch.tensor(order[kind[rows]])
    one, other = (told(fit_of(LINE, x, each, epochs=6), t).kind.numpy() for each in (labels, renamed))
    assert np.mean(one == kind_there) > 0.95
    assert np.mean(order[one] == other) > 0.97


# --- how sure -------------------------------------------------------------------------------------


def test_probabilities_add_up_and_the_prior_excludes(fitted):
    x, _, _ = signals(seed=1, n=30)
    p = told(fitted, x)
    torch.testing.assert_close(p.probability.sum(1), torch.ones(30))
    labels = torch.arange(30) % 3
    prior = fitted.log_prior + excluded(labels, 3)
    forced = class_posterior(fitted.vae, fitted.bank, x, noise_of(x), prior, fitted.temper)
    assert torch.equal(forced.kind, labels)
    assert torch.equal(forced.probability.argmax(1), labels)
    assert torch.equal(forced.found.refined.theta[:, 2:].argmax(1), labels)


def test_probabilities_are_what_they_say(fitted):
    """In noise that hides the pattern of some signals, as many are right as is said."""
    faint, kind_there, _ = signals(seed=3, n=400, noise=0.5)
    p = told(fitted, faint)
    names = max(
        itertools.permutations(range(3)), key=lambda n: np.mean(np.array(n)[p.kind.numpy()] == kind_there)
    )
    right = np.array(names)[p.kind.numpy()] == kind_there
    sure = p.probability.amax(1).numpy()
    assert abs(right.mean() - sure.mean()) < 0.08
    assert 0.5 < right.mean() < 0.99


def test_the_temper_counts_independent_residuals():
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(4000, 64, generator=generator)
    assert 0.85 < temper_of(white.square().sum(1), 64) <= 1
    tied = white[:, :8].repeat_interleave(8, 1)
    assert 0.1 < temper_of(tied.square().sum(1), 64) < 0.15
