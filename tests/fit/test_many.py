"""Many fits: the same judges for all, the best is kept, and a fit that fails takes no other along."""

import os

import numpy as np
import pytest
import torch
import xarray as xr

import shapeshift as ss
from shapeshift.errors import ShapeshiftError

X, TRUTH = ss.synthetic.article(n=100, seed=4)
X = X[:, ::2]
SMALL = ss.ShiftVAE(1, epochs=5, width=8)


@pytest.fixture(scope="module")
def fits():
    settings = [{"warps": ()}, {}, {"learning_rate": 1e12}, {"warps": ("swirl",)}]
    return ss.fit_many(SMALL, X, seeds=[3, 5], settings=settings, workers=1)


def test_the_table_tells_of_every_fit_in_order(fits):
    assert fits.table["seed"].tolist() == [3, 5] * 4
    assert fits.table["warps"].tolist() == [[], [], *[["shift"]] * 4, *[["swirl"]] * 2]
    assert fits.table["learning_rate"].nunique() == 2
    assert (fits.table["seconds"] > 0).all()


def test_the_one_of_most_evidence_is_kept_and_judged_by_what_it_has_not_seen(fits):
    best = fits.table.loc[fits.table["evidence"].idxmax()]
    assert fits.best.random_state == best["seed"]
    assert fits.best.warps == ("shift",)
    assert fits.best.posterior(X[fits.held_out]).log_evidence.mean() == best["evidence"]
    seen = np.setdiff1d(np.arange(100), fits.held_out)
    assert (len(fits.held_out), fits.best.n_signals_) == (10, 90)
    by_hand = ss.ShiftVAE(1, epochs=5, width=8, random_state=best["seed"]).fit(X[seen])
    assert np.array_equal(by_hand.transform(X), fits.best.transform(X))


def test_fits_that_fail_are_told_and_do_not_stop_the_others(fits):
    errors = fits.table["error"].tolist()
    assert errors[:4] == [""] * 4
    assert all("not finite" in error for error in errors[4:6])
    assert all("needed one of" in error for error in errors[6:])
    assert fits.table["evidence"].isna().tolist() == [False] * 4 + [True] * 4


def test_side_by_side_they_are_the_same_and_one_that_dies_takes_no_other_along(fits):
    settings = [{"kl_weight": lambda done: os._exit(1)}, {}]
    other = ss.fit_many(SMALL, X, seeds=[3], settings=settings, workers=2)
    assert other.table["error"].tolist() == ["its process died, perhaps for want of memory", ""]
    assert other.table["evidence"][1] == fits.table["evidence"][2]


def test_the_estimator_and_torch_are_left_as_they_are(fits, monkeypatch):
    before, seen = torch.get_num_threads(), []
    fail = lambda *_, **__: (seen.append(torch.get_num_threads()), 1 / 0)  # noqa: E731
    monkeypatch.setattr(ss.ShiftVAE, "fit", fail)
    torch.set_num_threads(2)
    try:
        with pytest.raises(ShapeshiftError, match="division by zero"):
            ss.fit_many(SMALL, X, seeds=1, workers=1)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)
    assert not hasattr(SMALL, "fitted_")
    assert SMALL.get_params() == ss.ShiftVAE(1, epochs=5, width=8).get_params()


def test_when_all_fail_it_says_why():
    with pytest.raises(ShapeshiftError, match=r"all 2 fits failed, the first with: .*swirl"):
        ss.fit_many(SMALL, X, seeds=2, settings=[{"warps": ("swirl",)}], workers=1)


def test_maps_conditions_labels_and_images_are_divided_row_by_row():
    grid = X.values.reshape(10, 10, 50)
    place = {"y": np.arange(10), "energy": ("energy", np.linspace(1, 2, 50), {"units": "eV"})}
    on_map = xr.DataArray(grid, dims=("y", "x", "energy"), coords=place)
    one = {"seeds": 1, "workers": 1}
    fits = ss.fit_many(SMALL, on_map, **one)
    assert (fits.best.axis_name_, fits.best.axis_units_, fits.best.axis_[-1]) == ("energy", "eV", 2.0)
    known = TRUTH["width"].values > np.median(TRUTH["width"].values)
    given = ss.fit_many(SMALL, X, condition=known, **one)
    p = given.best.posterior(X[given.held_out], condition=known[given.held_out])
    assert p.log_evidence.mean() == given.table["evidence"][0]
    labels = np.where(np.arange(100) % 2, known.astype(int), -1)
    classifier = ss.ShiftVAEClassifier(1, epochs=5, width=8)
    assert ss.fit_many(classifier, X, labels, **one).best.classes_.tolist() == [0, 1]
    r, c = np.mgrid[-4:5, -4:5]
    discs = np.exp(-0.5 * (r**2 + c**2) / np.linspace(1, 3, 40)[:, None, None] ** 2)
    assert ss.fit_many(ss.ImageVAE(1, warps=(), epochs=2, width=8), discs, **one).best.n_signals_ == 36


def test_plain_arrays_keep_their_axis():
    fits = ss.fit_many(SMALL, X.values, x=np.linspace(5, 6, 50), seeds=1, workers=1)
    assert fits.best.axis_[0] == 5.0


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"settings": [{"n_latents": 2}]}, "setting of 'n_latents'"),
        ({"settings": [{"random_state": 2}]}, "setting of 'random_state'"),
        ({"settings": {"n_latent": 2}}, "list of mappings"),
        ({"settings": []}, "list of mappings"),
        ({"seeds": []}, "0 seeds"),
        ({"workers": 0}, "workers=0"),
        ({"held_out": 1.0}, "held_out=1.0"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_fitted(how, said, monkeypatch):
    monkeypatch.setattr("shapeshift.fit.many._run", lambda *_: pytest.fail("a fit began"))
    with pytest.raises(ShapeshiftError, match=said):
        ss.fit_many(SMALL, X, **how)


def test_data_and_estimators_that_cannot_be_used_are_refused(monkeypatch):
    monkeypatch.setattr("shapeshift.fit.many._run", lambda *_: pytest.fail("a fit began"))
    for data, said in ((X[:5], "needed at least 10"), (X * np.nan, "NaN")):
        with pytest.raises(ShapeshiftError, match=said):
            ss.fit_many(SMALL, data)
    with pytest.raises(ShapeshiftError, match="got a VED"):
        ss.fit_many(ss.VED(), X)
