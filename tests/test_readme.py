"""The README holds: its Python and its commands run, its links lead somewhere, its figures were measured."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def cells(label: str) -> list[str]:
    """The other cells of the table's row that starts with `label`."""
    row = next(line for line in README.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_the_python_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line]) <= 10
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert abs(names["p"].shift - names["truth"]["shift"].values).mean() < 0.2
    assert ss.load("model.safetensors").n_signals_ == 1000


def test_the_commands_run_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, _ = ss.synthetic.article(n=90, seed=3)
    for name in ("spectra.csv", "more.csv"):
        X.to_pandas().to_csv(name, index=False)
    commands = [
        line for block in blocks("bash") for line in block.splitlines() if line.startswith("shapeshift")
    ]
    assert [shlex.split(command)[1] for command in commands] == [
        "info",
        "fit",
        "transform",
        "report",
        "explore",
        "export",
    ]
    monkeypatch.setattr("shapeshift.show.served.serve", lambda ask, *_, **__: ask("", {}))
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
        assert done.exit_code == 0, (command, done.stderr)
    assert {"shifts.csv", "more.html", "model.onnx", "run"} <= {path.name for path in tmp_path.iterdir()}


def test_make_knows_the_two_commands():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    asked = re.findall(r"^make (\w+)", "\n".join(blocks("bash")), flags=re.M)
    assert asked == ["demo", "test"]
    assert set(asked) <= set(targets)
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_links_and_commands_lead_to_files_that_exist():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    scripts = re.findall(r"python ((?:docs|benchmarks)/\S+\.py)", README)
    assert links
    assert scripts
    assert [name for name in {*links, *scripts} if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("label", "key", "form"),
    [
        ("error of a move", "efficiency", "{:.2f}"),
        ("moves wrong", "lost", "{:.1%}"),
        ("68 % intervals", "coverage68", "{:.1%}"),
        ("95 % intervals", "coverage95", "{:.1%}"),
        ("slope of shift", "slope", "{:.3f}"),
        ("shape latents in use", "active_latents", "{:d}"),
        ("shape's change", "leak", "{:.4f}"),
        ("time to encode", "encode_ms_per_signal", "{:.3f} ms"),
    ],
)
def test_figures_are_those_of_the_comparison(label, key, form):
    record = json.loads((RESULTS / "against_pyroved.json").read_text())
    wanted = [form.format(record[who][key]).replace("%", " %") for who in ("shapeshift", "pyroved")]
    assert cells(label) == [*wanted, f"`{record['command']}`"]


def test_times_to_fit_are_those_of_the_comparison():
    record = json.loads((RESULTS / "against_pyroved.json").read_text())
    ours, theirs = (record[who]["fit_seconds"] for who in ("shapeshift", "pyroved"))
    assert cells("time to fit") == [f"{ours:.1f} s", f"{theirs:.0f} s", f"`{record['command']}`"]


def test_figures_on_measured_signals_are_those_of_the_benchmark():
    record = json.loads((RESULTS / "real_data.json").read_text())
    for row in record["table"]:
        wanted = [
            f"{row['r']:.4f}" if row["r"] is not None else "-",
            f"{row['median error, samples']:.3f}",
            f"{row['sd of shift, samples']:.3g}",
            f"{row['flagged, %']:.1f} %",
        ]
        assert cells(f"`{row['set']}`")[2:] == wanted
