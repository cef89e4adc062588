"""Names, units, labels and notes from files: nothing in them is obeyed by a terminal, a page or a figure."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.data.tidy import tidy
from shapeshift.errors import printable
from shapeshift.show.cli import app
from shapeshift.show.labels import literal
from shapeshift.show.page import Page, Section, render
from shapeshift.show.style import save
from shapeshift.show.terminal import log, show

EVIL = "energy\x1b[2J\u202e$\\frac{<script>"
TAME = "energy\ufffd[2J\ufffd$\\frac{<script>"


def test_ordinary_words_stay_as_they_are() -> None:
    for word in ("2θ (°)", "Å⁻¹", "波長", "naïve – yes", ""):
        assert printable(word) == word


@pytest.mark.parametrize(
    "evil", [*map(chr, range(32)), "\x7f", "\x9b", "\u202e", "\u2028", "\ud800", "\u200b"]
)
def test_nothing_that_is_obeyed_comes_through(evil: str) -> None:
    tame = printable(f"a{evil}b")
    assert tame in ("a b", "a\ufffdb")
    assert tame.isprintable()


def test_messages_are_one_line_that_ends() -> None:
    said = str(ss.ShapeshiftError("got \x1b]0;title\x07\n" + "x" * 10_000))
    assert said.isprintable()
    assert len(said) == 2000


def test_all_words_of_an_array_are_cleaned_and_the_numbers_kept() -> None:
    coords = {EVIL: (EVIL, np.arange(3.0), {"units": "e\nV"}), "sample": ("signal", ["a\x1b", "b"])}
    attrs = {"notes": "x\ny", "n": 3, "nest": {"k\x07": ["\x1b", 1.5]}, "long": "y" * 10_000}
    X = xr.DataArray([[1.0, 2, 3], [4, 5, 6]], coords, ("signal", EVIL), name="v\x07", attrs=attrs)
    found = tidy(X)
    assert found.dims == ("signal", TAME)
    assert found[TAME].attrs == {"units": "e V"}
    assert found["sample"].values.tolist() == ["a\ufffd", "b"]
    assert found.name == "v\ufffd"
    assert {k: found.attrs[k] for k in ("notes", "n", "nest")} == {
        "notes": "x y", "n": 3, "nest": {"k\ufffd": ["\ufffd", 1.5]}}  # fmt: skip
    assert len(found.attrs["long"]) == 2000
    np.testing.assert_array_equal(found.values, X.values)


def test_names_that_become_one_are_told_apart() -> None:
    X = xr.DataArray(np.zeros((2, 3)), dims=("a\x1b", "a\x07"))
    assert tidy(X).dims == ("a\ufffd", "a\ufffd 2")


@pytest.fixture
def evil_file(tmp_path: Path) -> Path:
    """A file whose name, axis, units and notes are all evil."""
    x = ("signal", EVIL)
    X = xr.DataArray(
        np.random.default_rng(0).normal(size=(30, 24)), {EVIL: (EVIL, np.arange(24.0))}, x, name="X"
    )
    X[EVIL].attrs["units"] = "<b>\x1b[31m$x^$"
    path = tmp_path / "s\x1b[31m.nc"
    X.to_netcdf(path, engine="h5netcdf")
    return path


def test_what_the_commands_print_is_printable(evil_file: Path, tmp_path: Path) -> None:
    for command in (
        ["info", str(evil_file)],
        ["info", str(evil_file), "--json"],
        ["info", str(evil_file) + "\x07"],
    ):
        done = CliRunner().invoke(app, command)
        assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n")), command
    assert "energy" in CliRunner().invoke(app, ["info", str(evil_file)]).stdout


@pytest.mark.parametrize("as_json", [True, False])
def test_results_and_lines_are_printable_whatever_is_in_them(capsys, as_json: bool) -> None:
    evil = {"path": "a\x1b[2J\x9b\u202e\n\ud800", "notes": ["µm", "\x07"]}
    show(evil, as_json=as_json)
    log("file\x1b]0;title\x07\n.csv")
    said = capsys.readouterr()
    assert all(line.isprintable() for line in (said.out + said.err).split("\n"))
    assert said.err.count("\n") == 1
    if as_json:
        assert json.loads(said.out) == evil
        assert "µm" in said.out


def test_pages_and_figures_show_evil_names_as_they_are(evil_file: Path) -> None:
    X = ss.open(evil_file)
    page = render(Page(EVIL, str(X.attrs), None, (Section(X.dims[-1], rows=((EVIL, X[X.dims[-1]].units),)),)))
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;") >= 3
    figure = io.BytesIO()
    save(ss.plot.signals(X), figure, format="svg")
    drawn = figure.getvalue().decode()
    assert "<script" not in drawn
    assert "\\frac{" in drawn  # as letters, not as a fraction


def test_a_label_is_no_formula_and_no_essay() -> None:
    assert literal("$x^$\n") == r"\$x^\$ "
    assert len(literal("x" * 10_000)) == 120
