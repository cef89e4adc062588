"""The page on long fits: what it prints runs."""

import re
import socket
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import distributed

import shapeshift as ss

PAGE = (Path(__file__).parents[1] / "docs" / "long-fits.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the page takes for granted: a package, whose fits are short here, and signals."""
    monkeypatch.chdir(tmp_path)
    short = SimpleNamespace(
        ShiftVAE=partial(ss.ShiftVAE, epochs=2, width=8), fit_many=ss.fit_many, Checkpoint=ss.Checkpoint
    )
    return {"ss": short, "X": ss.synthetic.article(n=60, seed=0)[0][:, ::2]}


def test_there_is_a_block_of_each():
    wanted = ("Checkpoint", "fit_many", "distributed")
    assert all(name in block for block, name in zip(BLOCKS, wanted, strict=True))


def test_a_fit_with_a_state(names):
    exec(BLOCKS[0], names)
    assert Path("state/stage-1.safetensors").exists()
    assert ss.load("model.safetensors").n_signals_ == 60


def test_many_fits(names):
    smaller = BLOCKS[1].replace("workers=4", "workers=1").replace("seeds=3", "seeds=1")
    assert smaller != BLOCKS[1]
    exec(smaller, names)
    assert len(names["fits"].table) == 3
    assert (names["fits"].table["error"] == "").all()


def test_a_fit_in_a_process_group(names, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": 0, "WORLD_SIZE": 1}
    for name, value in here.items():
        monkeypatch.setenv(name, str(value))
    try:
        exec(BLOCKS[2], names)
    finally:
        distributed.destroy_process_group()
    assert Path("model.safetensors").exists()
