"""Nothing half-written is ever found, and nothing is lost that was there before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shapeshift.errors import ShapeshiftError
from shapeshift.show.place import new_file, new_folder


def written(out: Path, text: str, *, force: bool = False) -> None:
    """A run with one word in it."""
    with new_folder(out, force=force) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "word").write_text(text)
        (folder / "run.toml").touch()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    written(tmp_path / "a" / "b" / "run", "new")
    assert names(tmp_path) == ["a", "a/b", "a/b/run", "a/b/run/run.toml", "a/b/run/sub", "a/b/run/sub/word"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "a/b/run").stat().st_mode == plain.stat().st_mode


def test_it_is_not_there_before_it_is_complete(tmp_path: Path) -> None:
    with new_folder(tmp_path / "run"):
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "a" / "run") as folder:
            (folder / "half").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == []


def test_what_is_there_is_refused_before_the_work(tmp_path: Path) -> None:
    written(tmp_path / "run", "old")
    with pytest.raises(ShapeshiftError, match=r"exists.*--force"), new_folder(tmp_path / "run"):
        pytest.fail("the work began")
    assert (tmp_path / "run/sub/word").read_text() == "old"


def test_force_replaces_a_run_and_leaves_no_trace_of_it(tmp_path: Path) -> None:
    written(tmp_path / "run", "old")
    (tmp_path / "run/extra").touch()
    written(tmp_path / "run", "new", force=True)
    assert names(tmp_path) == ["run", "run/run.toml", "run/sub", "run/sub/word"]
    assert (tmp_path / "run/sub/word").read_text() == "new"


def test_the_old_run_survives_a_failure(tmp_path: Path) -> None:
    written(tmp_path / "run", "old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "run", force=True):
        _ = 1 / 0
    assert (tmp_path / "run/sub/word").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_old_run_comes_back_when_the_move_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "run", "old")
    real = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(source).suffix == ".part":
            raise OSError(5, "disk on fire")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="disk on fire"):
        written(tmp_path / "run", "new", force=True)
    assert (tmp_path / "run/sub/word").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_force_does_not_delete_what_no_run_wrote(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").touch()
    with pytest.raises(ShapeshiftError, match="no run wrote"):
        written(tmp_path / "thesis", "new", force=True)
    assert (tmp_path / "thesis/chapter").exists()


def test_force_fills_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    written(tmp_path / "run", "new", force=True)
    assert (tmp_path / "run/sub/word").exists()


def test_a_file_is_no_place_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    for out in ("run", "run/below"):
        with pytest.raises(ShapeshiftError, match="choose another"):
            written(tmp_path / out, "new", force=True)


@pytest.mark.skipif(
    os.access("/proc", os.W_OK) is False and not Path("/proc").exists(), reason="no /proc here"
)
def test_a_place_that_cannot_be_written_is_an_error_before_the_work() -> None:
    for place in (new_folder, new_file):
        with pytest.raises(ShapeshiftError, match="nothing can be written"), place("/proc/run.csv"):
            pytest.fail("the work began")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"

    def fail() -> None:
        with new_file(out) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []
    with new_file(out) as part:
        part.write_text("old")
        assert (not out.exists(), part.suffix) == (True, ".csv")
    with pytest.raises(ShapeshiftError, match="exists"), new_file(out):
        pytest.fail("the work began")
    with new_file(out, force=True) as part:
        part.write_text("new")
    assert (names(tmp_path), out.read_text()) == (["a.csv"], "new")


def test_folders_above_a_file_are_made_and_go_with_a_failure(tmp_path: Path) -> None:
    with new_file(tmp_path / "new" / "a.csv") as part:
        part.write_text("whole")
    assert (tmp_path / "new" / "a.csv").read_text() == "whole"
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "other" / "deep" / "a.csv"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["new", "new/a.csv"]
