"""Threads: the same bits on one and on two, and torch's own setting is left as it was."""

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.fit.threads import one_each, side_by_side


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_one_and_two_threads_give_the_same_bits(threads):
    X, _ = ss.synthetic.article(n=700, seed=0)
    found = []
    for n in (1, 2):
        threads(n)
        p = ss.ShiftVAE(epochs=4).fit(X).posterior(X)
        assert torch.get_num_threads() == n
        found.append(np.column_stack([p.shift, p.shift_sd, p.z, p.log_evidence]))
    assert np.array_equal(*found)


def test_the_setting_comes_back_after_an_error(threads):
    threads(2)

    def fail():
        with one_each():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == 2


def test_parts_come_back_in_order_and_without_gradients(threads):
    threads(2)
    weight = torch.ones(1, requires_grad=True)
    with one_each():
        out = side_by_side(lambda k: weight * k, range(50))
    assert [int(t) for t in out] == list(range(50))
    assert not any(t.requires_grad for t in out)


def test_forward_derivatives_stand_side_by_side(threads):
    """torch keeps one level of dual numbers for all threads: only one may use it at a time."""
    threads(2)
    X, _ = ss.synthetic.article(n=3000, seed=0)
    still = ss.ShiftVAE(warps=(), epochs=1).fit(X)
    assert np.isfinite(still.posterior(X).z_sd).all()
    moved = ss.ShiftVAE(epochs=1, zero="peak").fit(X)
    assert np.isfinite(moved.posterior(X).shift_sd).all()
