"""Damaged and hostile files, a few hundred of them: every reader and the model loader reads or refuses.

`benchmarks/fuzz.py` does the same with many more, and looks at time and memory too.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shapeshift as ss
from shapeshift.data.files import READERS

FOLDER = Path(__file__).parents[1] / "benchmarks"
ENDINGS = [*READERS, ".safetensors"]


@pytest.fixture(scope="module", autouse=True)
def beside() -> Iterator[None]:
    """The benchmarks can import each other."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fuzzing(beside) -> ModuleType:
    return loaded("fuzzing")


@pytest.fixture(scope="module")
def fuzz(fuzzing) -> ModuleType:
    return loaded("fuzz")


def few(examples: int) -> settings:
    """The same examples every time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def examples(ending: str) -> int:
    """Fewer of those for which a process of its own takes a first look."""
    return {".safetensors": 25, ".h5": 6, ".hdf5": 6, ".nc": 6, ".nc4": 6}.get(ending, 12)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_reader_has_sound_files_to_start_from(fuzzing, tmp_path: Path, ending: str) -> None:
    for sound in fuzzing.seeds(ending):
        assert fuzzing.outcome(fuzzing.Input(sound, ending, {}), tmp_path).what == "read"


@pytest.mark.parametrize("ending", ENDINGS)
def test_changed_bytes_are_read_or_refused(fuzzing, tmp_path_factory, ending: str) -> None:
    folder = tmp_path_factory.mktemp("changed")

    @few(examples(ending))
    @given(st.randoms(use_true_random=False), st.data())
    def check(random: Random, data: st.DataObject) -> None:
        sound = data.draw(st.sampled_from(fuzzing.seeds(ending)))
        change = fuzzing.changed if ending != ".zarr" else fuzzing._for_store
        given_ = fuzzing.Input(change(sound, random, sound), ending, {})
        found = fuzzing.outcome(given_, folder)
        assert found.what in ("read", "refused"), found

    check()


@pytest.mark.parametrize("ending", ENDINGS)
def test_hostile_files_are_read_or_refused(fuzzing, tmp_path_factory, ending: str) -> None:
    folder = tmp_path_factory.mktemp("hostile")

    @few(examples(ending))
    @given(st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        found = fuzzing.outcome(fuzzing.hostile(ending, Random(seed)), folder)
        assert found.what in ("read", "refused"), found

    check()


# --- the judge


def test_other_errors_than_refusals_are_seen(fuzzing, tmp_path: Path, monkeypatch) -> None:
    sound = fuzzing.Input(fuzzing.seeds(".npy")[0], ".npy", {})

    def raising(error: Exception):
        def open_(*_, **__):
            raise error

        return open_

    for error, what in (
        (KeyError("x"), "wrong"),
        (MemoryError(), "wrong"),
        (ss.ShapeshiftError("too short"), "wrong"),
        (ss.ShapeshiftError("got this, needed that: do so and so"), "refused"),
    ):
        monkeypatch.setattr(ss, "open", raising(error))
        assert fuzzing.outcome(sound, tmp_path).what == what

    def starved(*_, **__):
        raise ss.ShapeshiftError("got a file that asks for memory, needed less") from MemoryError()

    monkeypatch.setattr(ss, "open", starved)
    assert fuzzing.outcome(sound, tmp_path).what == "memory"
    X = ss.synthetic.article(n=4, seed=0)[0]
    for wrong in (X.assign_attrs(notes="\x1b[2J"), X.astype(np.int64), X[0]):
        monkeypatch.setattr(ss, "open", lambda *_, wrong=wrong, **__: wrong)
        assert fuzzing.outcome(sound, tmp_path).what == "wrong"


SAYS = "import json, os, time; say = lambda **told: print(json.dumps(told), flush=True); say(index=4); "
DONE = SAYS + 'say(index=4, what="read"); '


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (DONE, ["read"]),
        (DONE + "say(index=5); os.kill(os.getpid(), 11)", ["read", "crash"]),
        (DONE + "say(index=5); time.sleep(60)", ["read", "hang"]),
        (DONE + "say(index=5); exec('while True: pass')", ["read", "hang"]),
    ],
    ids=["done", "crash", "asleep", "busy"],
)
def test_processes_that_end_or_hang_are_told_from_those_that_are_done(fuzz, code: str, what: list) -> None:
    found = list(fuzz.batch([sys.executable, "-c", code], seconds=0.5))
    assert [record["what"] for record in found] == what
    assert [record["index"] for record in found] == [4, 5][: len(what)]


def test_a_process_that_does_not_start_is_no_result(fuzz) -> None:
    with pytest.raises(SystemExit, match="did not start"):
        list(fuzz.batch([sys.executable, "-c", "raise SystemExit(3)"], seconds=2.0))


def test_the_table_counts_what_came_of_them(fuzz) -> None:
    found = [{"what": w, "seconds": s, "megabytes": 1.0} for w, s in (("read", 0.5), ("hang", 2.0))]
    row = fuzz.row(".npy", found)
    assert (row["inputs"], row["read"], row["refused"], row["hang"], row["slowest, s"]) == (2, 1, 0, 1, 2.0)
