"""The comparison on the command line: a table and a sentence for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shapeshift.analysis.candidates import Candidate
from shapeshift.analysis.compare import Comparison
from shapeshift.analysis.rigidity import rigidity
from shapeshift.show.cli import app


def call(*words: object):
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list:
    """A comparison that is not made; what it was asked for."""
    asked = []
    plain = dict(log_evidence=None, seconds=0.1, errors=np.ones(9))
    candidates = (
        Candidate("pca", 12, 12, 47.6, 1.21, **plain),
        Candidate("shift-vae", 2, 3, 43.8, 1.43, **plain | {"log_evidence": 363.5}),
    )
    shift = np.linspace(-3, 3, 20)
    parts = rigidity(np.exp(-((np.arange(30) - 15 - shift[:, None]) ** 2) / 8), shift)

    def canned(X, **options) -> Comparison:
        asked.append((X.shape, options["n_latent"], options["random_state"]))
        return Comparison(candidates, candidates[1], "The signals shift.", True, True, 15.6, parts, 30, 9)

    monkeypatch.setattr("shapeshift.show.race.compare", canned)
    return asked


def test_compare_for_people_is_a_table_and_a_sentence(data: Path, compared: list) -> None:
    done = call("compare", data, "--n-latent", 3, "--seed", 5)
    assert done.exit_code == 0, done.stderr
    assert compared == [((90, 100), 3, 5)]
    lines = done.stdout.splitlines()
    assert [line.split()[-4:] for line in lines if line.strip().startswith("PCA with 12")] == [
        ["12", "1.21", "47.6", "0.1"]
    ]
    assert any(
        " ".join(line.split()).startswith("→ the shift-VAE with 2 shape latents 3 1.43 43.8 363.5")
        for line in lines
    )
    assert "9 signals held out" in done.stdout
    assert lines[-1] == "The signals shift."
    assert "peaks.npz" in done.stderr


def test_compare_as_json(data: Path, compared: list) -> None:
    found = json.loads(call("compare", data, "--json").stdout)
    assert compared == [((90, 100), 2, 0)]
    assert found["recommended"] == {"kind": "shift-vae", "size": 2}
    assert (found["sentence"], found["shifts"], found["rigid"]) == ("The signals shift.", True, True)
    assert [c["log_evidence"] for c in found["candidates"]] == [None, 363.5]
    assert [c["recommended"] for c in found["candidates"]] == [False, True]


def test_compare_needs_enough_signals(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(8, 40)))
    done = call("compare", tmp_path / "few.npy", "--orientation", "rows")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "got 8 signals, needed at least 24" in done.stderr
