"""The gallery: every script is a page with a title, a text, and a thumbnail of one of its figures.

Running all eight takes minutes and downloads; building the documentation does it. Here those that need no
file are run with fewer signals, as sphinx-gallery would, and the scraper finds their figures.
"""

import ast
import importlib.util
import re
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure

import shapeshift as ss
from shapeshift.show import plots

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPTS = sorted((DOCS / "gallery").glob("plot_*.py"))
NAMED = r"^figure = (ss\.plot\.\w+|Figure)\("


def figures_of(text: str) -> int:
    """How many figures a script makes, one a name."""
    return len(re.findall(NAMED, text.replace("    figure = Figure(", "figure = Figure("), re.MULTILINE))


def test_there_are_eight_stories() -> None:
    assert len(SCRIPTS) == 8


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_story_has_a_title_a_text_and_a_thumbnail(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    page = ast.get_docstring(ast.parse(text))
    assert page is not None
    title, line, *rest = page.splitlines()
    assert len(line) == len(title)
    assert set(line) == {"="}
    assert len(" ".join(rest)) > 150
    (thumbnail,) = re.findall(r"^# sphinx_gallery_thumbnail_number = (\d+)$", text, re.MULTILINE)
    assert 1 <= int(thumbnail) <= figures_of(text)
    for title, line in re.findall(r"^# (.+)\n# (-+)$", text, re.MULTILINE):
        assert len(line) == len(title), f"{path.name}: the line under {title!r}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_story_uses_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"ss\.plot\.(\w+)", text):
        assert name in plots.__all__
    for name in re.findall(r"ss\.datasets\.(\w+)", text):
        assert callable(getattr(ss.datasets, name))
    for name in re.findall(r"ss\.analysis\.(\w+)", text):
        assert name in ss.analysis.__all__


def blocks(text: str) -> list[str]:
    """What sphinx-gallery runs one after the other."""
    return re.split(r"^# %%.*$", text, flags=re.MULTILINE)


def scraped(path: Path, folder: Path, **fewer: str) -> tuple[int, dict[str, Any]]:
    """Run a story block by block, some words replaced, and count the figures that the scraper writes."""
    spec = importlib.util.spec_from_file_location("gallery_scraper", DOCS / "gallery_scraper.py")
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text, names = path.read_text(encoding="utf-8"), {}
    for old, new in fewer.items():
        assert old in text
        text = text.replace(old, new)
    paths = (str(folder / f"{k}.png") for k in count(1))
    told = {"example_globals": names, "image_path_iterator": paths}
    for block in blocks(text):
        exec(compile(block, str(path), "exec"), names)
        module.scraper(SimpleNamespace(), told, {"src_dir": str(folder)})
    return len(list(folder.glob("*_2_00x.png"))), names


# what needs no file, and how to make it quick
FEWER = {
    "plot_article": {"n=2000": "n=120", "pairs(1000": "pairs(40", "random_state=0)": "epochs=3)"},
    "plot_classes": {"= 900": "= 90", "[:600]": "[:60]", "[600:]": "[60:]", "random_state=0)": "epochs=2)"},
    "plot_rotated_digits": {"== 3]": "== 3][:20]", "random_state=0)": "epochs=2)"},
}  # fmt: skip


@pytest.mark.parametrize("name", FEWER)
def test_a_story_runs_with_fewer_signals(name: str, tmp_path: Path, capsys) -> None:
    path = DOCS / "gallery" / f"{name}.py"
    written, names = scraped(path, tmp_path, **FEWER[name])
    assert written == figures_of(path.read_text(encoding="utf-8"))
    assert len(capsys.readouterr().out.splitlines()) >= 4
    assert isinstance(names["figure"], Figure)


def test_the_scraper_shows_a_figure_once_and_says_what_it_is(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("gallery_scraper", DOCS / "gallery_scraper.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X, _ = ss.synthetic.article(n=9, seed=1)
    figure = ss.plot.signals(X)
    told = {
        "example_globals": {"figure": figure, "the_same": figure, "number": 3},
        "image_path_iterator": iter([str(tmp_path / "a" / "1.png"), str(tmp_path / "a" / "2.png")]),
    }
    shown = module.scraper(None, told, {"src_dir": str(tmp_path)})
    assert shown.count("image-sg::") == 1
    assert ":alt: 9 signals" in shown
    for name in ("1.png", "1_2_00x.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    assert module.scraper(None, told, {"src_dir": str(tmp_path)}) == ""
