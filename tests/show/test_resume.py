"""`fit --checkpoint-every` and `--resume`: a run that was cut short ends as if it had not been."""

import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.fit.journal import Stage
from shapeshift.show.cli import app
from shapeshift.show.place import held


class Killed(BaseException):
    """What stands for the end of the process."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Reports are not at stake here."""
    monkeypatch.setattr("shapeshift.show.report.write_report", lambda m, X, p, page, **_: page.touch())
    monkeypatch.setattr("shapeshift.show.tasks.calibrated", lambda m, X: None)


@pytest.fixture
def killed_after(monkeypatch):
    """Have the process end right after so many states were written."""

    real = Stage.keep

    def after(times):
        left = [times]

        def keep(self, course):
            real(self, course)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        monkeypatch.setattr(Stage, "keep", keep)

    return after


def fit(data, out, *more):
    return CliRunner().invoke(app, ["fit", str(data), "--out", str(out), "--epochs", "4", *more])


def tables(run):
    weights = ss.load(run / "model.safetensors").fitted_.vae.state_dict()
    texts = [(run / name).read_bytes() for name in ("signals.csv", "history.csv")]
    return [t.numpy().tobytes() for t in weights.values()] + texts


@pytest.fixture
def cut(data, tmp_path, killed_after):
    """A run that was killed after its second epoch, and the place it was to have."""
    killed_after(2)
    with pytest.raises(Killed):
        fit(data, tmp_path / "run", "--checkpoint-every", "1")
    killed_after(-1)
    return tmp_path / "run"


def test_resumed_it_ends_with_the_same_numbers_and_leaves_nothing(cut, data, tmp_path):
    assert (tmp_path / "run.checkpoint" / "stage-1.safetensors").exists()
    assert fit(data, tmp_path / "whole").exit_code == 0
    done = fit(data, cut, "--resume")
    assert (done.exit_code, "going on with" in done.stderr) == (0, True)
    assert tables(cut) == tables(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["peaks.npz", "run", "whole"]


def test_what_was_cut_short_is_not_passed_over_in_silence(cut, data, tmp_path):
    for more in ((), ("--checkpoint-every", "1")):
        done = fit(data, cut, *more)
        assert done.exit_code == 1
        assert "--resume goes on with it, --force begins anew" in done.stderr
    assert (tmp_path / "run.checkpoint" / "stage-1.safetensors").exists()
    assert fit(data, cut, "--force").exit_code == 0
    assert not (tmp_path / "run.checkpoint").exists()


def test_a_folder_without_a_state_is_none(data, tmp_path):
    (tmp_path / "run.checkpoint").mkdir()  # killed before the first state was written
    done = fit(data, tmp_path / "run", "--resume")
    assert "nothing to go on with" in done.stderr
    (tmp_path / "third.checkpoint").mkdir()
    assert fit(data, tmp_path / "third").exit_code == 0
    assert not (tmp_path / "third.checkpoint").exists()


def test_other_options_or_data_are_refused(cut, data, tmp_path):
    done = fit(data, cut, "--resume", "--n-latent", "3")
    assert done.exit_code == 1
    assert "n_latent=2, not 3" in done.stderr
    with np.load(data) as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "X": arrays["X"] + 0.01})
    done = fit(tmp_path / "other.npz", cut, "--resume")
    assert "other data" in done.stderr
    assert (tmp_path / "run.checkpoint" / "stage-1.safetensors").exists()


def test_a_run_that_is_complete_is_left_as_it_is(data, tmp_path):
    done = fit(data, tmp_path / "run", "--resume")  # nothing there: it begins
    assert done.exit_code == 0
    assert "nothing to go on with" in done.stderr
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    (tmp_path / "run.checkpoint").mkdir()  # killed before it was deleted
    done = fit(data, tmp_path / "run", "--resume", "--json")
    assert done.exit_code == 0
    assert "complete" in done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert not (tmp_path / "run.checkpoint").exists()
    for more in (("--resume", "--seed", "1"), ("--resume", "--format", "svg")):
        done = fit(data, tmp_path / "run", *more)
        assert done.exit_code == 1
        assert "exists" in done.stderr


def test_a_failure_before_the_training_leaves_no_state(data, tmp_path, monkeypatch):
    assert fit(data, tmp_path / "run", "--resume", "--shift-sd", "-1").exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]

    def fail(*_, **__):
        assert (tmp_path / "run.checkpoint").is_dir()
        raise ss.ShapeshiftError("nothing to align")

    monkeypatch.setattr("shapeshift.fit.base.fit_best", fail)
    assert "nothing to align" in fit(data, tmp_path / "run", "--resume").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]


def test_a_second_run_into_the_place_is_refused(data, tmp_path):
    with held(tmp_path / "run"):
        done = fit(data, tmp_path / "run", "--checkpoint-every", "1")
    assert done.exit_code == 1
    assert "another run is writing there" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]


def test_a_disk_without_room_is_an_error_before_the_fit(data, tmp_path, monkeypatch):
    monkeypatch.setattr("shapeshift.show.tasks.size_of_run", lambda X, kind: 10**18)
    monkeypatch.setattr(ss.ShiftVAE, "fit", lambda *_, **__: pytest.fail("the fit began"))
    done = fit(data, tmp_path / "run")
    assert done.exit_code == 1
    assert "MB of room, needed about 1e+12 MB for the run" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]


FITTED = """
import sys
import numpy as np, torch
import shapeshift as ss
X = np.load(sys.argv[1])["X"]
torch.set_num_threads(1)
print("fitting", flush=True)
ss.ShiftVAE(epochs=150, width=8).fit(X, checkpoint=ss.Checkpoint(sys.argv[2], every=1))
print("done", flush=True)
"""


def test_killed_at_random_moments_it_ends_with_the_same_bits(data, tmp_path):
    with np.load(data) as arrays:
        X = arrays["X"]
    begin = time.perf_counter()
    whole = ss.ShiftVAE(epochs=150, width=8).fit(X)
    seconds, rng, state = time.perf_counter() - begin, np.random.default_rng(0), tmp_path / "state"
    for share in rng.uniform(0.3, 1, 3):  # each goes on where the one before was killed
        command = [sys.executable, "-c", FITTED, str(data), str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "fitting\n"
            time.sleep(share * seconds)
            process.kill()
    again = ss.ShiftVAE(epochs=150, width=8).fit(X, checkpoint=state)
    assert whole.history_ == again.history_
    p, q = whole.posterior(X), again.posterior(X)
    for name in ("shift", "shift_sd", "z", "z_sd", "noise_sd", "log_evidence"):
        assert getattr(p, name).tobytes() == getattr(q, name).tobytes(), name
    for name, t in whole.fitted_.vae.state_dict().items():
        assert t.numpy().tobytes() == again.fitted_.vae.state_dict()[name].numpy().tobytes(), name
