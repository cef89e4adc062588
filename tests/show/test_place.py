"""Nothing half-written is ever found, and nothing is lost that was there before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shapeshift.data.disk import need_room, write_whole
from shapeshift.errors import ShapeshiftError
from shapeshift.show.place import held, new_file, new_folder


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


def in_a_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that tells when it is inside a place, and waits there."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


WAITING = """
import sys
from shapeshift.show import place
with getattr(place, sys.argv[1])(sys.argv[2], force=True) as part:
    (part / "half" if part.is_dir() else part).write_text("half")
    print("inside", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("place", [new_folder, new_file])
def test_a_place_is_one_process_s_as_long_as_that_lives(tmp_path: Path, place) -> None:
    out = tmp_path / "run.csv"
    other = in_a_process(WAITING, place.__name__, out)
    assert other.stdout is not None
    assert other.stdout.readline() == "inside\n"
    with pytest.raises(ShapeshiftError, match="another run is writing there"), place(out):
        pytest.fail("the work began")
    with place(tmp_path / "run"):  # the place beside is free
        pass
    other.kill()
    other.communicate()
    assert len(names(tmp_path)) > 2  # half-written things, a lock
    with place(out) as part:
        (part / "word" if part.is_dir() else part).write_text("new")
    left = ["run", "run.csv"] + ["run.csv/word"] * (place is new_folder)
    assert names(tmp_path) == left


def test_killed_between_the_two_moves_the_old_run_comes_back(tmp_path: Path) -> None:
    written(tmp_path / "run", "old")
    code = """
import os, sys
from shapeshift.show import place
real = os.replace
def replace(a, b):
    if str(a).endswith(".part"):
        os.kill(os.getpid(), 9)
    real(a, b)
os.replace = replace
with place.new_folder(sys.argv[1], force=True) as part:
    (part / "word").write_text("new")
"""
    in_a_process(code, tmp_path / "run").communicate()
    assert not (tmp_path / "run").exists()
    with pytest.raises(ShapeshiftError, match="exists"), new_folder(tmp_path / "run"):
        pytest.fail("the work began")
    assert (tmp_path / "run/sub/word").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_only_what_belongs_to_the_place_is_tidied_away(tmp_path: Path) -> None:
    kept = [".other.0123abcd.part", ".run.0123abcd.csv", ".run.0123abcde.part", ".run.b.0123abcd.part"]
    for name in (*kept, ".run.0123abcd.part", ".run.0123abcd.old"):
        (tmp_path / name).mkdir()
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run"):
        pass
    assert names(tmp_path) == sorted([*kept, "run"])


@pytest.mark.parametrize("place", [new_folder, new_file])
def test_a_disk_that_is_full_is_told_in_a_sentence(tmp_path: Path, place) -> None:
    def fail(error: Exception) -> None:
        with place(tmp_path / "run.csv") as part:
            (part / "half" if part.is_dir() else part).write_text("half")
            raise error

    full = OSError(errno.ENOSPC, "No space left on device")
    hdf5 = RuntimeError("Can't write data (file write failed: errno = 28, error message = '...')")
    for error in (full, hdf5):
        with pytest.raises(ShapeshiftError, match=r"run.csv: the disk took no more \(No space.*make room"):
            fail(error)
    for other in (RuntimeError("28"), FileNotFoundError(errno.ENOENT, "no such")):
        with pytest.raises(type(other)):
            fail(other)
    assert names(tmp_path) == []


def test_more_than_the_process_may_write_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("resource")  # the system has such limits
    code = """
import resource, sys
import numpy as np
import xarray as xr
from shapeshift.errors import ShapeshiftError
from shapeshift.show.place import new_file
from shapeshift.show.saving import fill
from shapeshift.data.disk import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
def netcdf(path): fill(xr.Dataset({"a": ("n", np.random.rand(50_000))}), path, ".nc")
def table(path): path.write_text("0" * 200_000)
for write in (netcdf, table):
    try:
        with new_file(sys.argv[1] + "/a.nc") as part:
            write(part)
    except ShapeshiftError as error:
        print(error)
try:
    write_whole(sys.argv[1] + "/model", bytes(200_000))
except ShapeshiftError as error:
    print(error)
"""
    done = in_a_process(code, tmp_path)
    told, _ = done.communicate()
    assert done.returncode == 0
    assert told.count("the disk took no more (File too large)") == 3
    assert names(tmp_path) == []


def test_a_disk_without_room_is_told_before(tmp_path: Path) -> None:
    need_room(tmp_path, 1, "a byte")
    with pytest.raises(ShapeshiftError, match=r"needed about 1e\+12 MB for the run: make room"):
        need_room(tmp_path, 10**18, "the run")


def test_a_file_that_is_written_whole_replaces_or_leaves(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(ShapeshiftError, match=r"nothing can be written \(No such file"):
        write_whole(tmp_path / "missing" / "a", b"new")
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a", "plain"]
