"""docs/scaling.md holds: its Python and its commands run as printed, its figures were measured."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.cli import app

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


def test_the_page_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for code in blocks("python"):
        exec(compile(code, "scaling.md", "exec"), names)
    shift, truth = names["p"].shift, names["truth"]["shift"].values
    assert abs(shift - shift.mean() - (truth - truth.mean())).mean() < 0.2
    monkeypatch.setattr("shapeshift.show.report.write_report", lambda m, X, p, path, **_: path.touch())
    X, _ = ss.synthetic.article(n=90, seed=3)
    X.rename("X").to_dataset().to_zarr("big.zarr", mode="w", zarr_format=2)
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    assert [shlex.split(command)[1] for command in commands] == ["fit", "transform"]
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
        assert done.exit_code == 0, (command, done.stderr)
    assert (tmp_path / "shifts.zarr").is_dir()


def test_the_figures_are_those_of_the_benchmark():
    record = json.loads((RESULTS / "stream.json").read_text())
    for row in record["streams"]:
        told = f"| {row['n']:,} | {row['peak_mb']:.0f} | {row['seconds']:.0f} | {row['rate']:.0f} |"
        assert told.replace(",", " ") in PAGE
    for figure in (record["ratio"], record["cpu_ratio"]):
        assert f"{figure:.2f}" in PAGE
    assert f"{record['seconds_per_million']:.0f} s and {record['peak_mb_per_million']:.0f} MB" in PAGE
    assert record["command"] in PAGE
    fits = [row["peak_mb"] / 1000 for row in record["fits"]]
    assert f"{min(fits):.2f} to {max(fits):.2f} GB" in PAGE
    assert np.isclose(record["ratio"], record["rate"] / record["rate_in_memory"])


def test_the_draws_are_those_of_the_benchmark():
    table = json.loads((RESULTS / "draws.json").read_text())["table"]
    for n in {row["signals drawn"] for row in table}:
        rows = [row for row in table if row["signals drawn"] == n]
        evidence = [float(row["log evidence, nats"]) for row in rows]
        error = [row["error / bound"] for row in rows]
        told = f"{min(evidence):.2f} to {max(evidence):.2f} | {min(error):.3f} to {max(error):.3f}"
        assert f"| {n} | {told} |" in PAGE
