"""The command line: what it writes and prints, and what a wrong word gets."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.progress import Progress
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.cli import app
from shapeshift.show.terminal import show

COMMANDS = ("demo", "info", "fit", "transform", "report", "export", "compare")


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty report, where the report is not what is tested."""
    import shapeshift.show.report

    def empty(m, X, p, path: Path, **_) -> None:
        path.touch()

    monkeypatch.setattr(shapeshift.show.report, "write_report", empty)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick fit by the command line, beside its data."""
    folder = tmp_path_factory.mktemp("fit")
    X, _ = ss.synthetic.article(n=90, seed=3)
    np.savez(folder / "peaks.npz", X=X.values, x=X["x"].values, axis="energy (eV)")
    done = call("fit", folder / "peaks.npz", "--out", folder / "run", "--epochs", 2, "--json")
    assert done.exit_code == 0, done.output
    (folder / "stdout.json").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    return folder / "run"


def call(*words: object):
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def process(*words: object, **options) -> subprocess.Popen:
    """Run it in one of its own."""
    code = "from shapeshift.show.cli import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], **pipes, **options)


# --- help, and wrong words


def test_help_names_every_command_and_every_command_has_help() -> None:
    done = call("--help")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in COMMANDS)
    for name in COMMANDS:
        done = call(name, "--help")
        assert (done.exit_code, "--json" in done.stdout) == (0, True)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, shapeshift; from shapeshift.show.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'xarray', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["fit"],
        ["fit", "a.csv"],
        ["fit", "a.csv", "--out", "b", "--decoder", "magic"],
        ["fit", "a.csv", "--out", "b", "--n-latent", "0"],
        ["info", "a.csv", "--orientation", "sideways"],
        ["transform", "run", "a.csv"],
        ["fit", "a.csv", "--out", "b", "--nuisance", "drift"],
        ["compare"],
        ["compare", "a.csv", "--n-latent", "0"],
    ],
)
def test_wrong_usage_is_status_2(words: list[str]) -> None:
    done = call(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr


def test_the_version() -> None:
    assert call("--version").stdout.strip() == ss.__version__


# --- failures: one sentence, status 1


def test_a_failure_is_one_sentence_without_traceback(tmp_path: Path) -> None:
    done = call("info", tmp_path / "nowhere.csv")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "nowhere.csv: got no such file" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["--debug", "info"], ["info", "--debug"]])
def test_debug_shows_where(tmp_path: Path, words: list[str]) -> None:
    done = process(*words, tmp_path / "nowhere.csv")
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 1
    assert "Traceback" in errors
    assert "nowhere.csv" in errors


def test_options_without_meaning_are_named(data: Path, tmp_path: Path) -> None:
    done = call("fit", data, "--out", tmp_path / "run", "--shift-sd", -1)
    assert (done.exit_code, "shift_sd" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]


def test_a_folder_that_exists_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    done = call("fit", tmp_path / "nowhere.csv", "--out", tmp_path / "run")
    assert done.exit_code == 1
    assert "--force" in done.stderr


def test_a_failing_report_leaves_no_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shapeshift.show.report

    def failing(*_, **__) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shapeshift.show.report, "write_report", failing)
    done = call("fit", data, "--out", tmp_path / "run", "--epochs", 1)
    assert (done.exit_code, "No space left" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["peaks.npz"]


# --- what the commands do


def test_info_as_json(data: Path) -> None:
    done = call("info", data, "--json")
    found = json.loads(done.stdout)
    assert (found["signals"], found["axis"]["name"], found["axis"]["units"]) == (90, "energy", "eV")
    assert found["notes"]


def test_info_for_people(data: Path) -> None:
    done = call("info", data)
    assert done.exit_code == 0
    assert "energy" in done.stdout
    assert "eV" in done.stdout


def test_json_holds_what_json_can(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": math.nan, "b": [math.inf, 1.5], "c": {"d": np.float32(2), "e": np.int64(3)}}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": 2.0, "e": 3}}


def test_doubts_for_people_are_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    doubts = [{"severity": "stop", "code": "faint", "sentence": "Nothing here."}]
    show({"doubts": doubts, "flagged": {}}, as_json=False)
    assert capsys.readouterr().out == "doubts   stop: Nothing here.\nflagged  none\n"


def test_fit_writes_a_run_and_prints_what_came_of_it(run: Path) -> None:
    result = json.loads((run.parent / "stdout.json").read_text())
    assert (result["run"], result["signals"], result["shift"]["units"]) == (str(run), 90, "eV")
    assert {"converged", "active_latents", "doubts"} <= set(result)
    assert {"coverage68", "coverage95", "efficiency", "lost", "leak", "leak_back", "n"} == set(
        result["calibration"]
    )
    assert (run / "report.html").exists()
    assert len(pd.read_csv(run / "signals.csv")) == 90
    record = (run / "run.toml").read_text()
    assert f"coverage68 = {result['calibration']['coverage68']}" in record
    assert "68 % intervals of the displacement hold it in" in (run / "report.html").read_text("utf-8")
    assert hashlib.sha256((run.parent / "peaks.npz").read_bytes()).hexdigest() in record
    assert "peaks.npz: signal 90, energy 100" in (run.parent / "stderr.txt").read_text()


@pytest.mark.usefixtures("quick_report")
def test_options_reach_the_model(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = "--n-latent 1 --warps none --normalise area --epochs 1 --seed 7 --zero peak --decoder coordinate"
    done = call("fit", data, "--out", out, *words.split(), "--likelihood", "student-t")
    assert done.exit_code == 0, done.stderr
    model = ss.load(out / "model.safetensors")
    got = model.get_params()
    wanted = {"n_latent": 1, "normalise": "area", "epochs": 1, "random_state": 7, "zero": "peak"}
    wanted |= {"decoder": "coordinate", "likelihood": "student-t"}
    assert {key: got[key] for key in wanted} == wanted
    assert tuple(got["warps"]) == ()


def test_transform_gives_what_the_model_says(run: Path, tmp_path: Path) -> None:
    signals = ss.open(run.parent / "peaks.npz")
    p = ss.load(run / "model.safetensors").posterior(signals)
    for model in (run, run / "model.safetensors"):
        done = call("transform", model, run.parent / "peaks.npz", "--out", tmp_path / "a.csv", "--force")
        assert done.exit_code == 0, done.stderr
        rows = pd.read_csv(tmp_path / "a.csv")
        np.testing.assert_allclose(rows["shift"], p.shift)
    assert call("transform", run, run.parent / "peaks.npz", "--out", tmp_path / "a.nc").exit_code == 0
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        np.testing.assert_allclose(back["shift"].values, p.shift)


def test_transform_refuses_what_does_not_fit(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.random.default_rng(0).normal(size=(5, 99)))
    (tmp_path / "foreign.safetensors").write_bytes(b"no model")
    for words, said in [
        ([run, tmp_path / "short.npy", "--out", tmp_path / "a.csv"], "99"),
        ([tmp_path / "foreign.safetensors", tmp_path / "short.npy", "--out", tmp_path / "a.csv"], "foreign"),
        ([tmp_path, tmp_path / "short.npy", "--out", tmp_path / "a.csv"], "model.safetensors"),
        ([run, tmp_path / "short.npy", "--out", tmp_path / "a.xlsx"], ".csv or .nc"),
        ([run, tmp_path / "short.npy", "--out", tmp_path / "short.npy"], ".csv or .nc"),
    ]:
        done = call("transform", *words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert said in done.stderr
    assert not (tmp_path / "a.csv").exists()


def test_export_writes_what_the_model_says(run: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "new" / "model.onnx"
    done = call("export", run, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said == {"file": str(out), "kind": "ShiftVAE", "bytes": out.stat().st_size, "refining_steps": 0}
    assert [path.name for path in out.parent.iterdir()] == ["model.onnx"]
    x = np.load(run.parent / "peaks.npz")["X"].astype(np.float32)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (shift,) = session.run(["shift"], {"signals": x})
    model = ss.load(run / "model.safetensors")
    expected = model.posterior(x, refine=False).shift
    assert np.abs(shift - expected).max() <= 1e-4 * model.axis_step_
    axis = json.loads(session.get_modelmeta().custom_metadata_map["axis"])
    assert (axis["name"], axis["units"]) == ("energy", "eV")
    before = out.read_bytes()
    taken = call("export", run, "--out", out)
    assert taken.exit_code == 1
    assert "exists" in taken.stderr
    assert out.read_bytes() == before


def test_export_refuses_what_does_not_fit(run: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((30, 6, 5))
    ss.ImageVAE(n_latent=1, epochs=1, width=8).fit(images).save(tmp_path / "images.safetensors")
    refused = {
        "needed .onnx": ("export", run, "--out", tmp_path / "model.txt"),
        "--steps 2": ("export", tmp_path / "images.safetensors", "--out", tmp_path / "a.onnx", "--steps", 2),
        "no model file": ("export", tmp_path, "--out", tmp_path / "b.onnx"),
    }
    for words, command in refused.items():
        done = call(*command)
        assert done.exit_code == 1
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2  # "loading ..." and the sentence
    assert [path.name for path in tmp_path.iterdir()] == ["images.safetensors"]


def test_one_new_signal_is_enough_for_a_fitted_model(run: Path, tmp_path: Path) -> None:
    signals = ss.open(run.parent / "peaks.npz")
    all_of_them = ss.load(run / "model.safetensors").posterior(signals)
    along = signals["energy"].values
    np.savetxt(tmp_path / "row.csv", np.vstack([along, signals.values[7]]), delimiter=",")
    np.savetxt(tmp_path / "column.csv", np.column_stack([along, signals.values[7]]), delimiter=",")
    np.savez(tmp_path / "line.npz", X=signals.values[7][None], x=along)
    for name in ("row.csv", "column.csv", "line.npz"):
        done = call("transform", run, tmp_path / name, "--out", tmp_path / "a.csv", "--force", "--json")
        assert done.exit_code == 0, done.stderr
        rows = pd.read_csv(tmp_path / "a.csv")
        np.testing.assert_allclose(rows["shift"], all_of_them.shift[7:8], atol=1e-5)
        assert json.loads(done.stdout)["signals"] == 1


@pytest.mark.usefixtures("quick_report")
@pytest.mark.parametrize(("kind", "word"), [("down", "sorted"), ("bent", "resampled")])
def test_what_was_done_to_the_axis_is_said(kind: str, word: str, run: Path, tmp_path: Path) -> None:
    with np.load(run.parent / "peaks.npz") as peaks:
        X, x = peaks["X"], peaks["x"]
    x = x[::-1] if kind == "down" else np.sinh(x / 12)
    np.savez(tmp_path / "a.npz", X=X, x=x)
    done = call("fit", tmp_path / "a.npz", "--out", tmp_path / "run", "--epochs", 1, "--json")
    assert done.exit_code == 0, done.stderr
    assert sum(word in line for line in done.stderr.splitlines()) == 1
    assert [word in note for note in json.loads(done.stdout)["notes"]] == [True]
    done = call("transform", tmp_path / "run", tmp_path / "a.npz", "--out", tmp_path / "a.csv", "--json")
    assert word in done.stderr
    assert [word in note for note in json.loads(done.stdout)["notes"]] == [True]


@pytest.mark.usefixtures("quick_report")
@pytest.mark.parametrize(
    ("word", "names"), [("none", ()), ("gain,offset", ("gain", "offset")), ("baseline", ("baseline",))]
)
def test_the_nuisance_asked_for_is_solved_for(word: str, names: tuple, data: Path, tmp_path: Path) -> None:
    done = call("fit", data, "--out", tmp_path / "run", "--epochs", 1, "--nuisance", word)
    assert done.exit_code == 0, done.stderr
    assert ss.load(tmp_path / "run/model.safetensors").nuisance_ == names
    assert ("gain" in pd.read_csv(tmp_path / "run/signals.csv")) == ("gain" in names)
    assert (
        f"nuisance = [{', '.join(json.dumps(n) for n in names)}]" in (tmp_path / "run/run.toml").read_text()
    )
    assert call("transform", tmp_path / "run", data, "--out", tmp_path / "a.csv").exit_code == 0
    assert ("gain_sd" in pd.read_csv(tmp_path / "a.csv")) == ("gain" in names)


def test_report_again(run: Path, tmp_path: Path) -> None:
    done = call("report", run, run.parent / "peaks.npz", "--out", tmp_path / "again.html")
    assert done.exit_code == 0, done.stderr
    assert "<html" in (tmp_path / "again.html").read_text(encoding="utf-8")
    assert call("report", run, run.parent / "peaks.npz", "--out", tmp_path / "again.html").exit_code == 1


def test_results_go_to_stdout_and_progress_to_stderr(data: Path, tmp_path: Path) -> None:
    done = process("fit", data, "--out", tmp_path / "run", "--epochs", 2, "--json", "--progress")
    output, errors = done.communicate(timeout=300)
    assert done.returncode == 0, errors
    assert json.loads(output)["signals"] == 90
    assert "fitting" in errors


@pytest.mark.usefixtures("quick_report")
def test_ctrl_c_keeps_the_best_weights_so_far(data: Path, tmp_path: Path, monkeypatch, request) -> None:
    epochs = []
    # a job that a shell started in the background ignores ctrl-C, this one too
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def watched(*_, **__) -> None:
        epochs.append(len(epochs))
        if len(epochs) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "update", watched)
    done = call("fit", data, "--out", tmp_path / "run", "--epochs", 100_000, "--json", "--progress")
    assert done.exit_code == 0, done.stderr
    assert "ctrl-C" in done.stderr
    assert json.loads(done.stdout)["converged"] is False
    assert len(pd.read_csv(tmp_path / "run/history.csv")) == 3
