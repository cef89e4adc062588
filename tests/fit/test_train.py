"""The one loop: what it keeps, when it stops, and that the weights of the terms are used."""

import copy

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.data.preprocess import noise_and_contrast
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.align import Alignment
from shapeshift.fit.options import FACTORS, plan_of
from shapeshift.fit.start import Design, build
from shapeshift.fit.train import Plan, Signals, _optimiser, train
from shapeshift.model.likelihoods import Gaussian


def signals(n=80, length=40):
    rng = np.random.default_rng(0)
    u = np.arange(length)[None] - length / 2 - rng.uniform(-2, 2, (n, 1))
    x = np.exp(-(u**2) / (2 * rng.uniform(2, 5, (n, 1)) ** 2)) + 0.05 * rng.normal(size=(n, length))
    x = (x - x.mean()) / x.std()
    noise = noise_and_contrast(x)
    lag = torch.zeros(n, dtype=torch.long)
    none = torch.zeros(n, 0)
    return Signals(
        torch.tensor(x, dtype=torch.float32), torch.tensor(noise, dtype=torch.float32), lag, none, none
    )


def fresh(data):
    start = Alignment(data.place, data.x.mean(0), 8, 1.0)
    design = Design(2, ("shift",), "template", None, Gaussian(), {"shift": 0.2}, width=16)
    return build(design, data.x, start, torch.Generator().manual_seed(0))


def run(plan, interrupt_at=None, search=None):
    """The trained model, its weights before and after every epoch, and the history."""
    data = signals()
    vae = fresh(data)
    states = [copy.deepcopy(vae.state_dict())]

    def on_epoch(epoch, record):
        states.append(copy.deepcopy(vae.state_dict()))
        if epoch == interrupt_at:
            raise KeyboardInterrupt

    history = train(vae, data, plan, torch.Generator().manual_seed(1), search=search, on_epoch=on_epoch)
    return vae, states, history


def same(vae, state):
    return all(torch.equal(v, state[k]) for k, v in vae.state_dict().items())


def dear_at_the_end(done):
    return {"z": 1.0 if done < 0.65 else 100.0}


def test_the_weights_with_the_best_held_out_loss_are_kept():
    vae, states, history = run(Plan(epochs=10, batch_size=20, kl_weight=dear_at_the_end))
    losses = history.columns["val_loss"]
    judged = [k for k in range(10) if k / 10 >= 0.35]
    best = min(judged, key=lambda k: losses[k])
    assert best < 9
    assert same(vae, states[1 + best])
    assert not same(vae, states[-1])


def test_an_interrupt_keeps_the_best_and_returns():
    vae, states, history = run(Plan(epochs=10, batch_size=20, kl_weight=dear_at_the_end), interrupt_at=8)
    losses = history.columns["val_loss"]
    assert history.stopped == "interrupted"
    assert len(losses) == 9
    best = min(range(4, 8), key=lambda k: losses[k])
    assert same(vae, states[1 + best])


@pytest.mark.parametrize(("epochs", "interrupt_at"), [(10, 1), (1, None)])
def test_a_run_too_short_to_judge_keeps_what_it_learned(epochs, interrupt_at):
    vae, states, _ = run(Plan(epochs=epochs, batch_size=20), interrupt_at=interrupt_at)
    assert not same(vae, states[0])
    assert same(vae, states[-1])


def test_a_loss_that_is_not_finite_gives_back_the_last_good_weights():
    vae, states, history = run(
        Plan(epochs=10, batch_size=20, kl_weight=lambda done: {"z": float("nan") if done >= 0.6 else 1.0})
    )
    assert history.stopped == "not finite"
    best = min((4, 5), key=lambda k: history.columns["val_loss"][k])
    assert same(vae, states[1 + best])


def test_patience_ends_a_run_that_gets_no_better():
    _, _, history = run(
        Plan(epochs=40, batch_size=80, patience=3, kl_weight=lambda done: {"z": 1 + 50 * done})
    )
    assert history.stopped == "patience"
    assert 14 + 3 < len(history.columns["epoch"]) < 40


def test_the_history_has_a_row_an_epoch():
    frame = run(Plan(epochs=4, batch_size=20))[2].to_frame()
    assert list(frame.columns) == ["epoch", "loss", "kl_shift", "kl_z", "val_loss"]
    assert frame["epoch"].tolist() == [0, 1, 2, 3]
    assert frame["loss"].iloc[-1] < frame["loss"].iloc[0]


def test_held_out_signals_are_not_trained_on():
    data = signals()
    plan = Plan(epochs=4, batch_size=20, held_out=0.25, searches=())
    rows = torch.randperm(80, generator=torch.Generator().manual_seed(1))[:20]
    spoilt = data._replace(x=data.x.clone())
    spoilt.x[rows] += 5.0
    a, b = fresh(data), fresh(data)
    losses = [
        train(vae, d, plan, torch.Generator().manual_seed(1)).columns for vae, d in ((a, data), (b, spoilt))
    ]
    assert losses[0]["loss"] == losses[1]["loss"]
    assert losses[0]["val_loss"] != losses[1]["val_loss"]


def test_lags_are_searched_again_when_due():
    asked = []

    def search(vae, data):
        asked.append(vae.n_free)
        return data.place

    run(Plan(epochs=8, batch_size=40, searches=(0.25, 0.5)), search=search)
    assert asked == [1, 2]


def test_latents_are_released_one_after_the_other():
    plan = Plan(release=(0.1, 0.5))
    assert [plan.n_free(done, 3) for done in (0.0, 0.1, 0.29, 0.31, 0.49, 0.5, 1.0)] == [0, 1, 1, 2, 2, 3, 3]


def test_a_dearer_term_ends_smaller():
    plans = (Plan(epochs=20, batch_size=20, learning_rate=0.02, kl_weight={"z": w}) for w in (0.01, 30.0))
    cheap, dear = (run(plan)[2].columns for plan in plans)
    assert dear["kl_z"][-1] < 0.5 * cheap["kl_z"][-1]


def test_a_number_a_mapping_and_a_schedule_become_weights():
    calls = []

    def schedule(done):
        calls.append(done)
        return {"shift": 2 * done}

    assert plan_of(ss.ShiftVAE(kl_weight=3), 100).weights(0.3) == dict.fromkeys(FACTORS, 3.0)
    assert plan_of(ss.ShiftVAE(kl_weight={"z": 0.5}), 100).weights(0.3) == {"z": 0.5}
    assert plan_of(ss.ShiftVAE(kl_weight=schedule), 100).weights(0.3) == {"shift": 0.6}
    run(Plan(epochs=4, batch_size=40, kl_weight=schedule))
    assert sorted(set(calls[1:])) == [0.0, 0.25, 0.5, 0.75]
    with pytest.raises(ShapeshiftError, match="needed some of 'shift'"):
        plan_of(ss.ShiftVAE(kl_weight={"width": 1.0}), 100)


def test_an_estimator_leaves_global_random_states_alone_and_repeats_itself():
    X, _ = ss.synthetic.article(n=60, seed=0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (ss.ShiftVAE(epochs=3, random_state=s).fit(X).posterior(X) for s in (4, 4, 5))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert np.array_equal(first.shift, again.shift)
    assert np.array_equal(first.z, again.z)
    assert not np.array_equal(first.shift, other.shift)


def test_weight_decay_shrinks_the_networks_and_spares_the_likelihood():
    data = signals()
    idle = []
    for decay in (0.0, 0.5):
        vae = fresh(data)
        vae.encoder.linear.weight.data.fill_(1.0)
        train(vae, data, Plan(epochs=4, weight_decay=decay), torch.Generator().manual_seed(0))
        idle.append(float(vae.encoder.linear.weight.detach().abs().mean()))
    assert idle[1] < idle[0] - 1e-3
    decays = [g["weight_decay"] for g in _optimiser(fresh(data), Plan(weight_decay=0.5)).param_groups]
    assert decays == [0.5, 0.0]
