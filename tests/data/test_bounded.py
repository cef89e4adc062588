"""Memory that a library asks for on behalf of a file is bounded, and nothing of the bound stays behind."""

import resource
import threading
from pathlib import Path

import numpy as np
import pytest

from shapeshift import ShapeshiftError
from shapeshift.data.bounded import bounded


def limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_AS)


def test_what_asks_for_more_is_refused_before_it_gets_it():
    before = limits()
    with (
        pytest.raises(
            ShapeshiftError, match=r"a\.sur: got a file of 10 bytes .* 400 MB .* write or copy"
        ) as told,
        bounded(10, "a.sur"),
    ):
        bytearray(2**31)
    assert told.value.__cause__ is None
    assert limits() == before
    assert len(bytearray(2**31)) == 2**31


def test_what_is_really_there_may_be_read():
    with bounded(2**24, "a.sur"):  # 16 MB may become 1600
        assert np.ones(2**27).sum() == 2**27


def test_other_errors_pass_and_the_bound_is_lifted():
    before = limits()
    with pytest.raises(KeyError), bounded(10, "a.sur"):
        raise KeyError("x")
    assert limits() == before


def test_blocks_of_two_threads_leave_no_bound_behind():
    before, errors = limits(), []

    def read() -> None:
        for _ in range(200):
            with bounded(10, "a.sur"):
                if limits()[0] == before[0]:
                    errors.append("unbounded")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert limits() == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="bounds are set where Linux tells the size")
def test_a_bound_that_is_there_is_kept():
    before = limits()
    with bounded(10, "a.sur"):
        inner = limits()
        with bounded(2**40, "a.sur"):
            assert limits() == inner
    assert limits() == before
