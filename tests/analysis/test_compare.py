"""The recommendation on sets whose answer is known."""

import re
from functools import cache

import numpy as np
import pytest
import torch

import shapeshift as ss
from shapeshift.analysis.compare import ORDER, Comparison, compare

X = np.linspace(-12, 12, 64)


def line(at, width):
    return np.exp(-(((X - np.reshape(at, (-1, 1))) / np.reshape(width, (-1, 1))) ** 2) / 2)


def signals(kind: str, n: int = 480) -> np.ndarray:
    """Stacks that differ in what moves."""
    rng = np.random.default_rng(1)
    at, width, amount = rng.uniform(-4, 4, n), rng.uniform(0.9, 3, n), rng.uniform(0.3, 1, (n, 2))
    clean = {
        "width and place": lambda: line(at, width),
        "place alone": lambda: amount[:, :1] * (line(at - 1, [0.9]) + 0.5 * line(at + 2, [1.2])),
        "two amounts": lambda: amount[:, :1] * line([-2.0], [1.0]) + amount[:, 1:] * line([2.0], [1.5]),
        "one of two lines moves": lambda: line([-7.0], [0.9]) + line(2 + at, [0.9]),
    }[kind]()
    return clean + 0.03 * rng.normal(size=clean.shape)


@cache
def compared(kind: str) -> Comparison:
    torch.set_num_threads(1)
    return compare(signals(kind), X, n_latent=1)


def test_what_moves_and_changes_shape_needs_the_shift_vae():
    found = compared("width and place")
    assert (found.recommended.kind, found.recommended.size) == ("shift-vae", 1)
    assert (found.shifts, found.rigid) == (True, True)
    assert found.sentence.startswith("The signals shift: use the shift-VAE with 1 shape latent (")


def test_one_shape_that_moves_needs_no_more_than_correlation():
    found = compared("place alone")
    assert found.recommended.kind == "correlation"
    assert (found.shifts, found.rigid) == (True, True)
    assert "iterated correlation" in found.sentence


def test_what_stands_still_needs_no_shift():
    found = compared("two amounts")
    assert (found.recommended.kind, found.recommended.size) == ("pca", 2)
    assert (found.shifts, found.rigid) == (False, True)
    assert "Nothing shifts" in found.sentence


def test_a_rigid_shift_is_wrong_where_a_part_stands_still():
    found = compared("one of two lines moves")
    assert not found.rigid
    assert found.recommended.kind in ("pca", "nmf", "vae")
    assert re.search(r"around -(6\.9|7\.0)\d* on the axis\) stands still", found.sentence)


def test_every_kind_is_tried_and_judged_by_the_same_signals():
    found = compared("width and place")
    assert tuple(dict.fromkeys(c.kind for c in found.candidates)) == ORDER
    assert {len(c.errors) for c in found.candidates} == {found.n_held} == {120}
    assert found.n_fit == 360
    frame = found.to_frame()
    assert frame["recommended"].sum() == 1
    assert frame.loc[frame["recommended"], "kind"].item() == found.recommended.kind
    best = {c.kind: c.error for c in found.candidates}
    assert best["shift-vae"] < 1.1 < 1.3 < best["correlation"]


def test_the_evidence_says_the_same():
    """An independent judge, at as many numbers of a signal."""
    by = {(c.kind, c.size): c.log_evidence for c in compared("width and place").candidates}
    assert by["shift-vae", 1] > by["vae", 2]
    assert by["pca", 2] is None


def test_the_same_seed_gives_the_same_numbers_and_what_is_tried_is_told():
    few, told = signals("two amounts", 24), []
    first, second = (ss.compare(few, X, n_latent=1, random_state=2, progress=told.append) for _ in range(2))
    assert [c.error for c in first.candidates] == [c.error for c in second.candidates]
    assert first.sentence == second.sentence
    assert len(told) == 6


@pytest.mark.parametrize(
    ("values", "n_latent", "said"),
    [
        (np.ones((30, 20)), 1, "all constant"),
        (signals("two amounts", 20), 1, "got 20 signals, needed at least 24"),
        (signals("two amounts", 40), 0, "got n_latent=0, needed at least 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(values, n_latent, said):
    with pytest.raises(ss.ShapeshiftError, match=said):
        compare(values, n_latent=n_latent)


def test_a_peak_with_a_shoulder_that_grows_is_not_a_shift(real_path):
    found = compare(ss.open(real_path("pl_map_control"))[..., ::3], n_latent=1)
    assert found.shifts is False
    assert found.recommended.kind == "pca"


def test_a_resonance_that_moves_and_changes_its_width_is(real_path):
    found = compare(ss.open(real_path("bepfm_resonance")))
    assert (found.shifts, found.rigid) == (True, True)
    assert (found.recommended.kind, found.recommended.size) == ("shift-vae", 2)


def test_shifts_of_a_fraction_of_a_sample_are_not_claimed_without_doubt(real_path):
    found = compare(ss.open(real_path("hinode_eis_fe12")), n_latent=1)
    assert found.shifts is not True
    assert "shift" in found.sentence
