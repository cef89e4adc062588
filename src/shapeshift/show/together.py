"""One fit by several processes that torchrun has started: the first writes, the others help to train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import distributed

from shapeshift.data.files import open as open_signals
from shapeshift.fit.journal import Checkpoint
from shapeshift.fit.ranks import ranks_here
from shapeshift.show.resume import state_of
from shapeshift.show.tasks import ESTIMATORS, Manner


@contextmanager
def together() -> Iterator[bool]:
    """Join the other processes, where torchrun has started some; whether this one is the first."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield True
        return
    distributed.init_process_group("gloo")
    try:
        yield distributed.get_rank() == 0
    finally:
        distributed.destroy_process_group()


def help_fit(
    data: Path, out: Path, options: Mapping[str, Any], reading: Mapping[str, Any], how: Manner
) -> None:
    """Fit what the first process fits by :func:`shapeshift.show.tasks.fit_file`, with it; write nothing."""
    if ranks_here().told(0.0):  # the first has the place, and begins
        state = None if how.every is None else Checkpoint(state_of(out), how.every)
        kind = reading.get("kind", "signal")
        quiet = {**options, "progress": False}
        ESTIMATORS[kind](**quiet).fit(open_signals(data, **reading), checkpoint=state)
