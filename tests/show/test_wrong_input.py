"""Every kind of wrong input gets one sentence and status 1 from the command line, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.cli import app

AXIS = np.linspace(0, 10, 50)


def peaks(n: int = 40, axis: np.ndarray = AXIS) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.exp(-((axis - rng.uniform(3, 7, (n, 1))) ** 2)) + 0.01 * rng.normal(size=(n, len(axis)))


def as_csv(path: Path, values: np.ndarray, axis: np.ndarray = AXIS) -> None:
    np.savetxt(path, np.vstack([axis, values]), delimiter=",", fmt="%.6g")


def with_cell(text: str) -> Callable[[Path], None]:
    """A table with a text in line 7, column 5."""

    def write(path: Path) -> None:
        as_csv(path, peaks())
        lines = [line.split(",") for line in path.read_text().splitlines()]
        lines[6][4] = text
        path.write_text("\n".join(map(",".join, lines)))

    return write


def unequal(path: Path) -> None:
    as_csv(path, peaks())
    lines = path.read_text().splitlines()
    lines[8] = ",".join(lines[8].split(",")[:-3])
    path.write_text("\n".join(lines))


def not_finite(path: Path) -> None:
    values = peaks()
    values[3, 7], values[5, 9] = np.nan, np.inf
    np.save(path, values)


WRONG = {
    "empty table": ("a.csv", lambda path: path.touch(), "empty file"),
    "empty array": ("a.npy", lambda path: path.touch(), "empty file"),
    "one signal": ("a.csv", lambda path: as_csv(path, peaks(1)), "one signal"),
    "one signal, one dimension": ("a.npy", lambda path: np.save(path, peaks(1)[0]), "one signal"),
    "one sample": ("a.npy", lambda path: np.save(path, peaks()[:, :1]), "one sample"),
    "constant": ("a.csv", lambda path: as_csv(path, np.ones((40, 50))), "constant"),
    "nan and inf": ("a.npy", not_finite, "rows 5; samples 9"),
    "text": ("a.csv", with_cell("oops"), "line 7, column 5: got the text 'oops'"),
    "unequal lengths": ("a.csv", unequal, "line 9: got 47 cells, needed 50"),
    "complex": ("a.npy", lambda path: np.save(path, peaks().astype(complex)), "complex"),
    "objects": ("a.npy", lambda path: np.save(path, np.array([[1], [1, 2]], dtype=object)), "objects"),
    "damaged": ("a.npz", lambda path: path.write_bytes(b"PK\x03\x04 broken"), "damaged"),
    "unknown format": ("a.xlsx", lambda path: path.touch(), "ending"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    ss.ShiftVAE(epochs=1, random_state=0).fit(peaks()).save(path)
    return path


def refused(tmp_path: Path, *words: object) -> str:
    """The one sentence that a command ends with; what was there before is all that is there after."""
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert (done.exit_code, done.stdout) == (1, "")
    assert sorted(tmp_path.rglob("*")) == before
    said = [line for line in done.stderr.splitlines() if line.startswith("shapeshift: ")]
    assert len(said) == 1
    assert done.stderr.splitlines()[-1] == said[0]
    return said[0]


@pytest.mark.parametrize("kind", WRONG)
def test_signals_that_cannot_be_fitted(kind: str, tmp_path: Path) -> None:
    name, write, says = WRONG[kind]
    write(tmp_path / name)
    said = refused(tmp_path, "fit", tmp_path / name, "--out", tmp_path / "new" / "run")
    assert says in said
    assert "needed" in said


@pytest.mark.parametrize("kind", ["nan and inf", "text", "complex"])
def test_signals_that_cannot_be_transformed(kind: str, model: Path, tmp_path: Path) -> None:
    name, write, says = WRONG[kind]
    write(tmp_path / name)
    assert says in refused(tmp_path, "transform", model, tmp_path / name, "--out", tmp_path / "new" / "a.csv")


@pytest.mark.parametrize("command", [("transform", "a.csv"), ("report", "a.html")])
def test_the_wrong_number_of_samples(command: tuple[str, str], model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", peaks()[:, :40])
    said = refused(tmp_path, command[0], model, tmp_path / "short.npy", "--out", tmp_path / command[1])
    assert "X has 40 features, but ShiftVAE is expecting 50" in said
    assert "resample the signals to the model's 50 samples, from 0 to 49, or fit a model to them" in said
    assert "Error" not in said


def test_a_report_is_html_and_nothing_else(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", peaks())
    said = refused(tmp_path, "report", model, tmp_path / "a.npy", "--out", tmp_path / "t.pdf")
    assert "t.pdf: got the ending '.pdf', needed .html" in said


@pytest.mark.parametrize("corner", [None, "", "x"])
@pytest.mark.parametrize("fall", [False, True])
def test_an_axis_row_that_repeats_a_value_is_no_signal(
    corner: str | None, fall: bool, tmp_path: Path
) -> None:
    axis = np.round(AXIS + 400, 3)
    axis[10] = axis[9]
    rows = [[f"{v:.6g}" for v in (row[::-1] if fall else row)] for row in np.vstack([axis, peaks()])]
    if corner is not None:
        rows = [[corner if k == 0 else f"no {k}", *row] for k, row in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join(map(",".join, rows)))
    said = refused(tmp_path, "fit", tmp_path / "a.csv", "--out", tmp_path / "run")
    assert f"the value {axis[9]:.6g} repeats" in said
    assert "--axis none" in said


def test_an_axis_column_that_repeats_a_value_is_no_signal(tmp_path: Path) -> None:
    time = np.round(AXIS, 2)
    time[10] = time[9]
    table = np.column_stack([time, peaks(5).T])
    np.savetxt(tmp_path / "a.csv", table, delimiter=",", header="time,a,b,c,d,e", comments="")
    said = refused(tmp_path, "fit", tmp_path / "a.csv", "--out", tmp_path / "run")
    assert f"the value {time[9]:.6g} repeats" in said


def test_models_that_are_none(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", peaks())
    (tmp_path / "half.safetensors").write_bytes(model.read_bytes()[:-1000])
    (tmp_path / "text.safetensors").write_text("no model")
    save_file({"a": np.zeros(3)}, tmp_path / "foreign.safetensors")
    for name, says in (("half", "damaged"), ("text", "damaged"), ("foreign", "not a shapeshift model")):
        path = tmp_path / f"{name}.safetensors"
        assert says in refused(tmp_path, "transform", path, tmp_path / "a.npy", "--out", tmp_path / "b.csv")
        assert says in refused(tmp_path, "report", path, tmp_path / "a.npy", "--out", tmp_path / "b.html")


def test_what_exists_is_kept(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", peaks())
    (tmp_path / "run").mkdir()
    (tmp_path / "b.csv").write_text("old")
    assert "--force" in refused(tmp_path, "fit", tmp_path / "a.npy", "--out", tmp_path / "run")
    assert "--force" in refused(tmp_path, "demo", "--out", tmp_path / "run")
    assert "--force" in refused(tmp_path, "transform", model, tmp_path / "a.npy", "--out", tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "old"


def test_an_axis_that_decreases_or_is_not_uniform_is_put_right_and_said(tmp_path: Path) -> None:
    from shapeshift.data.files import open as open_signals

    bent = AXIS**2 / 10
    as_csv(tmp_path / "down.csv", peaks()[:, ::-1], AXIS[::-1])
    as_csv(tmp_path / "bent.csv", peaks(axis=bent), bent)
    for name, word in (("down.csv", "sorted"), ("bent.csv", "resampled")):
        m = ss.ShiftVAE(epochs=1, random_state=0).fit(open_signals(tmp_path / name))
        assert np.ptp(np.diff(m.axis_)) < 1e-4
        assert m.axis_[0] < m.axis_[-1]
        assert any(word in note for note in m.notes_), m.notes_
