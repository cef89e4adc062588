"""Threads: many small products gain nothing from several threads each, and lose much where a core is busy.

A signal's share of the work is far below what a parallel region costs, and threads that wait for each
other stand still when another process holds one of their cores. So every operation runs on one thread,
and chunks of signals run side by side on as many as the user allows torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_allowed: ContextVar[int] = ContextVar("allowed", default=1)
_most: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def one_each() -> Iterator[None]:
    """One thread an operation inside; torch's own setting is back afterwards."""
    before = torch.get_num_threads()
    token = _allowed.set(_most.get() or max(before, _allowed.get()))
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _allowed.reset(token)


@contextmanager
def single() -> Iterator[None]:
    """One thread for all of it: where something else, as dask, runs parts side by side already."""
    token = _most.set(1)
    try:
        yield
    finally:
        _most.reset(token)


def side_by_side(function: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """The results for all parts in their order, without gradients, as many at a time as are allowed."""

    def run(part: T) -> R:
        with torch.no_grad():  # which every thread has to say for itself
            return function(part)

    workers = min(_allowed.get(), len(parts))
    if workers < 2:
        return [run(part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, parts))
