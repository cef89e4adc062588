"""The pages hold: their code and commands run in order, their links lead somewhere, the site has them all."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.show.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# pages whose code needs more than a folder to run in, and the tests that run it
ELSEWHERE = {
    "extending.md": "test_extending.py",
    "edge.md": "fit/test_export.py",
    "gaps.md": "fit/test_grids.py",
    "long-fits.md": "test_long_fits.py",
    "migrating.md": "show/test_images.py",
    "scaling.md": "test_scaling.py",
}
PAGES = sorted(p for p in [*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")])
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", flags=re.M | re.S)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks that are to be run."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


RUN = [page for page in PAGES if blocks(page) and page.name not in ELSEWHERE]


def commands(text: str) -> list[list[str]]:
    """The words of every call of the command line."""
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["shapeshift"]]


@pytest.fixture
def as_it_was(monkeypatch):
    """Nothing is served or drawn on a screen."""
    monkeypatch.setattr("shapeshift.show.served.serve", lambda ask, *_, **__: ask("", {}))
    matplotlib.use("Agg")


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
@pytest.mark.usefixtures("as_it_was")
def test_a_page_runs_as_printed(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "page"}
    for k, (language, text) in enumerate(blocks(page)):
        if language == "python":
            exec(compile(text, f"{page.name}[{k}]", "exec"), names)
            continue
        for words in commands(text):
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, (words, done.stderr)


def _files(folder: Path) -> None:
    """What the pages on commands take for granted."""
    X, _ = ss.synthetic.article(n=60, seed=1)
    ss.save(X, folder / "spectra.csv")
    images = np.random.default_rng(0).normal(size=(30, 9, 9)) + 9 * np.eye(9)
    for name in ("images.npy", "more.npy"):
        np.save(folder / name, images)


@pytest.mark.parametrize("name", ["edge.md", "long-fits.md", "migrating.md"])
@pytest.mark.usefixtures("as_it_was")
def test_commands_of_pages_whose_python_runs_elsewhere(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shapeshift.show.report.write_report", lambda m, X, p, path, **_: path.touch())
    ran = 0
    for k, text in enumerate(text for language, text in blocks(DOCS / name) if language == "bash"):
        folder = tmp_path / str(k)
        folder.mkdir()
        _files(folder)
        monkeypatch.chdir(folder)
        if name == "edge.md":  # a run that the page has from before
            CliRunner().invoke(app, ["fit", "spectra.csv", "--out", "run", "--epochs", "2"])
        for words in commands(text):
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, (words, done.stderr)
            ran += 1
        for words in (shlex.split(line) for line in text.splitlines() if line.startswith("torchrun")):
            parts = [sys.executable, "-m", "torch.distributed.run", *words[1:]]
            done = subprocess.run(parts, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr[-2000:]
            assert (folder / "run" / "model.safetensors").exists()
            ran += 1
    assert ran >= 1


def test_there_are_pages_to_run() -> None:
    assert {"tutorial.md", "noise.md", "classes.md", "explore.md"} <= {p.name for p in RUN}
    assert sum(language == "python" for page in RUN for language, _ in blocks(page)) >= 15
    for name, test in ELSEWHERE.items():
        assert name in (ROOT / "tests" / test).read_text(encoding="utf-8")


# --- links ---------------------------------------------------------------------------------------

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Headings as they are linked to."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def broken(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere; those to other sites are not followed."""
    found = []
    for target in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        path, _, anchor = target.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        to = (page.parent / path).resolve() if path else page
        if path.startswith("auto_gallery/"):  # made by `make docs` from the folder gallery
            to = DOCS / "gallery" / "README.rst"
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            found.append(target)
    return found


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *PAGES], ids=lambda page: page.name
)
def test_links_and_figures_are_there(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_links_that_lead_nowhere_are_seen() -> None:
    text = "[a](nowhere.md) ![b](none.png) [c](zero.md#no-heading) [d](zero.md) [e](zero.md#what-zero-means)"
    assert broken(DOCS / "index.md", text) == ["nowhere.md", "none.png", "zero.md#no-heading"]


# --- the site ------------------------------------------------------------------------------------


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in PAGES:
        for tree in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S
        ):
            listed |= {
                line.strip() for line in tree.splitlines() if line.strip() and not line.startswith(":")
            }
    pages = {str(p.relative_to(DOCS).with_suffix("")) for p in [*PAGES, *DOCS.glob("reference/*.rst")]}
    assert pages - listed == {"index"}
    assert listed - pages == {"auto_gallery/index"}


def test_the_site_is_built_without_a_warning(tmp_path: Path, monkeypatch) -> None:
    """All but the gallery, whose stories `make docs` runs."""
    monkeypatch.setenv("GALLERY", "no")
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy, ignore=shutil.ignore_patterns("auto_gallery", "generated"))
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(copy),
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    start = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert start.count("overview.png") == 1
    assert "https://" not in re.sub(r'href="[^"]*"', "", start).replace("https://www.w3.org", "")


def test_the_table_of_error_bars_is_the_benchmarks() -> None:
    told = (ROOT / "benchmarks" / "results" / "shiftbench.md").read_text(encoding="utf-8")
    efficiency, coverage = (
        {row[0]: row[1] for row in _rows(told.split(head)[1].split("## ")[0])}
        for head in ("## Efficiency", "## Coverage")
    )
    rows = _rows((DOCS / "error-bars.md").read_text(encoding="utf-8"))[1:]
    assert len(rows) == 11
    for case, error, one, two in rows:
        assert (error, f"{one} / {two}") == (efficiency[case], coverage[case])


def _rows(text: str) -> list[list[str]]:
    """Cells of the rows of tables, without those that only rule."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    return [row for row in rows if not set(row[0]) <= {"-", " "}]
