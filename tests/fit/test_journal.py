"""A fit that was cut short goes on to the same numbers, to the bit; any other fit is refused its state."""

import errno
import os
from collections import namedtuple
from functools import lru_cache

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint, journal
from shapeshift.fit.journal import Stage

SIGNALS, TRUTH = ss.synthetic.article(n=60, seed=2)
SIGNALS = SIGNALS[:, ::2]
SMALL = {"epochs": 6, "width": 8, "batch_size": 20}
R, C = np.mgrid[-4:5, -4:5]
SIZES = np.repeat([1.0, 1.5, 2.0, 2.5], 6)
DISCS = np.exp(-0.5 * ((R - 1) ** 2 + C**2) / SIZES[:, None, None] ** 2)
LABELS = np.where(np.arange(60) % 3 == 0, np.arange(60) // 30, -1)
NUMBERS = np.where(np.arange(60) < 20, TRUTH["width"].values, np.nan)

FITS = {
    "signals": lambda c: ss.ShiftVAE(**SMALL).fit(SIGNALS, checkpoint=c),
    "starts": lambda c: ss.ShiftVAE(**SMALL, n_starts=2).fit(SIGNALS, checkpoint=c),
    "condition": lambda c: ss.ShiftVAE(**SMALL, averaging=0.7).fit(
        SIGNALS, condition=LABELS > 0, checkpoint=c
    ),
    "classes": lambda c: ss.ShiftVAE(1, n_classes=2, **SMALL).fit(SIGNALS, checkpoint=c),
    "labels": lambda c: ss.ShiftVAEClassifier(1, **SMALL).fit(SIGNALS, LABELS, checkpoint=c),
    "numbers": lambda c: ss.ShiftVAERegressor(**SMALL).fit(SIGNALS, NUMBERS, checkpoint=c),
    "images": lambda c: ss.ImageVAE(1, warps=("shift",), epochs=4, width=8).fit(DISCS, checkpoint=c),
    "pairs": lambda c: ss.VED(2, epochs=4, width=8, n_starts=2).fit(DISCS, DISCS.sum(1), checkpoint=c),
}
WRITES = {name: {"starts": 12, "images": 4, "pairs": 8}.get(name, 6) for name in FITS}  # one an epoch


class Killed(Exception):
    """What stands for the end of the process."""


@pytest.fixture
def killed_after(monkeypatch):
    """Have the process end right after the state was written so many times."""

    def after(times):
        real, left = Stage.keep, [times]

        def keep(self, course):
            real(self, course)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(Stage, "keep", keep)

    yield after
    monkeypatch.undo()


def numbers(model):
    """All weights of a model, and what it says of its data."""
    if isinstance(model, ss.VED):
        weights = [t for vae in model.starts_.networks for t in vae.state_dict().values()]
        mean, sd = model.predict(DISCS, return_std=True)
        return [t.numpy() for t in weights] + [mean, sd]
    X = DISCS if hasattr(model, "raster_") else SIGNALS
    given = LABELS > 0 if model.condition_ is not None and model.classes_ is None else None
    p = model.posterior(X, condition=given)
    told = [p.shift, p.shift_sd, p.z, p.z_sd, p.noise_sd, p.log_evidence]
    if isinstance(model, ss.ShiftVAERegressor):
        told += model.predict(X, return_std=True)
    return [t.numpy() for t in model.fitted_.vae.state_dict().values()] + told


def same(one, two):
    return all(a.tobytes() == b.tobytes() for a, b in zip(numbers(one), numbers(two), strict=True))


@lru_cache
def never_cut(name):
    return FITS[name](None)


@pytest.mark.parametrize("name", FITS)
def test_cut_short_and_resumed_it_ends_with_the_same_bits(name, tmp_path, killed_after, monkeypatch):
    whole, state = never_cut(name), ss.Checkpoint(tmp_path / "state", every=1)
    first = int(np.random.default_rng(len(name)).integers(1, WRITES[name]))
    killed_after(first)
    with pytest.raises(Killed):
        FITS[name](state)
    monkeypatch.undo()
    again = FITS[name](state)
    assert same(whole, again)
    assert whole.history_ == again.history_


def test_the_best_weights_may_be_those_from_before(tmp_path, killed_after, monkeypatch):
    def fit(state=None):
        dear = {"kl_weight": lambda done: {"z": 1.0 if done < 0.6 else 1e3}}
        return ss.ShiftVAE(**SMALL, **dear).fit(SIGNALS, checkpoint=state)

    whole, state = fit(), ss.Checkpoint(tmp_path, every=1)
    losses = whole.history_.columns["val_loss"]
    assert losses[3] < min(losses[4:])
    killed_after(5)
    with pytest.raises(Killed):
        fit(state)
    monkeypatch.undo()
    assert same(whole, fit(state))


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    state = ss.Checkpoint(tmp_path, every=1)
    whole = FITS["starts"](state)
    monkeypatch.setattr(journal.Stage, "keep", lambda *_: pytest.fail("an epoch was trained"))
    assert same(whole, FITS["starts"](state))


def test_the_state_is_written_when_it_is_due_and_at_the_end(tmp_path, monkeypatch):
    seen, real = [], checkpoint.write
    monkeypatch.setattr(
        checkpoint,
        "write",
        lambda f, t, told, form: (seen.append(len(told["records"])), real(f, t, told, form)),
    )
    FITS["signals"](ss.Checkpoint(tmp_path, every=4))
    assert seen == [4, 6]


def test_a_state_is_a_file_of_tensors_and_text(tmp_path):
    FITS["classes"](tmp_path)
    (file,) = tmp_path.iterdir()
    tensors, told = checkpoint.read(file, journal.FORMAT)
    assert told["stopped"] == "finished"
    assert {"renewed/place", "renewed/given", "memory/share", "random/state"} <= tensors.keys()
    assert torch.isfinite(tensors["optimiser.0/exp_avg_sq"]).all()
    with pytest.raises(ShapeshiftError, match="not a shapeshift model"):
        ss.load(file)


def test_killed_while_it_writes_the_older_state_stays(tmp_path, monkeypatch):
    whole, state = never_cut("signals"), ss.Checkpoint(tmp_path, every=2)
    real, times = os.replace, [0]

    def replace(a, b):
        times[0] += 1
        if times[0] == 2:
            raise Killed
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # a killed process tidies nothing
    with pytest.raises(Killed):
        FITS["signals"](state)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("*.part"))) == 1
    assert len(checkpoint.read(tmp_path / "stage-1.safetensors", journal.FORMAT)[1]["records"]) == 2
    assert same(whole, FITS["signals"](state))
    assert [path.name for path in tmp_path.iterdir()] == ["stage-1.safetensors"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda c: ss.ShiftVAE(**(SMALL | {"epochs": 7})).fit(SIGNALS, checkpoint=c), "epochs=6, not 7"),
        (lambda c: ss.ShiftVAE(3, **SMALL).fit(SIGNALS, checkpoint=c), "n_latent=2, not 3"),
        (lambda c: ss.ShiftVAE(**SMALL).fit(SIGNALS[::-1], checkpoint=c), "other data"),
        (lambda c: ss.ShiftVAE(**SMALL).fit(SIGNALS, condition=LABELS, checkpoint=c), "other data"),
        (
            lambda c: ss.ShiftVAE(**SMALL).fit(SIGNALS.values, x=2.0 * SIGNALS["x"], checkpoint=c),
            "other data",
        ),
        (lambda c: ss.ImageVAE().fit(DISCS, checkpoint=c), "another model"),
    ],
)
def test_another_fit_is_refused_the_state(tmp_path, other, said):
    FITS["signals"](tmp_path)
    before = (tmp_path / "stage-1.safetensors").read_bytes()
    with pytest.raises(ShapeshiftError, match=f"{said}.*delete the folder"):
        other(tmp_path)
    assert (tmp_path / "stage-1.safetensors").read_bytes() == before


def test_what_no_option_tells_is_seen_by_where_the_fit_begins(tmp_path):
    def fit(weight, seed=0):
        own = {"kl_weight": lambda done: {"z": weight}, "random_state": np.random.RandomState(seed)}
        return ss.ShiftVAE(**SMALL, **own).fit(SIGNALS, checkpoint=tmp_path)

    whole = fit(0.5)
    for other in ((0.6,), (0.5, 1)):
        with pytest.raises(ShapeshiftError, match="began otherwise"):
            fit(*other)
    assert same(whole, fit(0.5))


def test_progress_and_the_interval_may_change(tmp_path):
    whole = FITS["signals"](ss.Checkpoint(tmp_path, every=1))
    again = ss.ShiftVAE(**SMALL, progress=True).fit(SIGNALS, checkpoint=str(tmp_path))
    assert same(whole, again)


def test_a_damaged_state_is_refused(tmp_path):
    FITS["signals"](tmp_path)
    file = tmp_path / "stage-1.safetensors"
    tensors, told = checkpoint.read(file, journal.FORMAT)
    tensors["vae/grid"] = tensors["vae/grid"][:3].clone()
    checkpoint.write(file, tensors, told, journal.FORMAT)
    with pytest.raises(ShapeshiftError, match="damaged"):
        FITS["signals"](tmp_path)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ShapeshiftError, match="damaged"):
        FITS["signals"](tmp_path)


def test_a_second_fit_in_the_folder_is_refused(tmp_path):
    with (
        journal.journal_of(tmp_path, "one", {}),
        pytest.raises(ShapeshiftError, match="another run is writing there"),
    ):
        FITS["signals"](tmp_path)
    FITS["signals"](tmp_path)


@pytest.mark.parametrize("every", [0, -1, 1.5, "2"])
def test_an_interval_that_means_nothing_is_refused(tmp_path, every):
    with pytest.raises(ShapeshiftError, match="whole number above 0"):
        FITS["signals"](ss.Checkpoint(tmp_path / "state", every=every))
    assert not (tmp_path / "state").exists()


def test_a_place_where_no_folder_can_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ShapeshiftError, match="nothing can be written"):
        FITS["signals"](tmp_path / "file" / "state")


def test_a_disk_without_room_is_refused_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "total free")(10**9, 1000))
    monkeypatch.setattr(Stage, "keep", lambda *_: pytest.fail("the training began"))
    with pytest.raises(ShapeshiftError, match=r"0.001 MB of room.*make room"):
        FITS["signals"](tmp_path)


def test_a_disk_that_becomes_full_is_told_and_the_state_is_kept(tmp_path, monkeypatch):
    whole, times, real = never_cut("signals"), [0], os.fsync

    def fsync(handle):
        times[0] += 1
        if times[0] > 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ShapeshiftError, match=r"No space left.*make room"):
        FITS["signals"](ss.Checkpoint(tmp_path, every=1))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["stage-1.safetensors"]
    assert same(whole, FITS["signals"](tmp_path))


def test_an_interrupt_by_hand_ends_the_fit_but_not_its_state(tmp_path, monkeypatch):
    real = Stage.keep

    def keep(self, course):
        real(self, course)
        if len(course.records) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Stage, "keep", keep)
    stopped = FITS["signals"](ss.Checkpoint(tmp_path, every=1))
    monkeypatch.undo()
    assert stopped.history_.stopped == "interrupted"
    assert same(never_cut("signals"), FITS["signals"](tmp_path))
