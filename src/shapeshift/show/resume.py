"""A run of the command line that was killed, and goes on: the state of its fit stands beside its place."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shapeshift import __version__
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.journal import NOT_OPTIONS, Checkpoint
from shapeshift.show.terminal import log


def state_of(out: Path) -> Path:
    """The folder of the state of a run.

    Examples
    --------
    >>> state_of(Path("maps/run")).as_posix()
    'maps/run.checkpoint'
    """
    return out.with_name(out.name + ".checkpoint")


@contextmanager
def state_beside(out: Path, every: int | None, *, resume: bool, force: bool) -> Iterator[Checkpoint | None]:
    """Where the state of a run is written down; it is deleted when the block ends well.

    Parameters
    ----------
    out : pathlib.Path
        The run's place, held by this process.
    every : int, optional
        Epochs between two states; without it there is none.
    resume : bool
        Go on with the state that is there.
    force : bool
        Without `resume`: delete the state that is there.

    Raises
    ------
    ShapeshiftError
        If there is a state, and nothing is said of it.
    """
    folder = state_of(out)
    there = any(folder.glob("stage-*.safetensors"))
    if folder.exists() and not resume:
        if there and not force:
            raise ShapeshiftError(
                f"{folder}: got the state of a run that was cut short, needed to know what to do with it: "
                "--resume goes on with it, --force begins anew"
            )
        shutil.rmtree(folder)
    if resume:
        log(f"going on with {folder}" if there else f"nothing to go on with at {folder}: beginning")
    try:
        yield None if every is None else Checkpoint(folder, every)
    except BaseException:
        with suppress(OSError):  # nothing came into it
            folder.rmdir()
        raise
    drop_state(out)


def drop_state(out: Path) -> None:
    """Delete the state of a run that is complete."""
    if state_of(out).exists():
        shutil.rmtree(state_of(out))


def fingerprint_of(sha256: str, reading: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """What tells a run from one of other data, options or versions."""
    own = {name: value for name, value in options.items() if name not in NOT_OPTIONS}
    return hashlib.sha256(json.dumps([__version__, sha256, dict(reading), own]).encode()).hexdigest()


def is_complete(out: Path, fingerprint: str) -> bool:
    """Whether this very run stands at its place."""
    record = out / "run.toml"
    if not record.is_file():
        return False
    found = re.search(r'^fingerprint = "(\w+)"$', record.read_text(encoding="utf-8"), flags=re.M)
    return found is not None and found[1] == fingerprint
