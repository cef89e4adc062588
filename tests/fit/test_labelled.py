"""Classes by the estimators: found without labels, learned from few, and told in the user's own names."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.show.cli import app

N = 120
KIND = np.arange(N) % 3


def signals(seed=0):
    """Three line shapes at unknown places, (N, 64)."""
    rng = np.random.default_rng(seed)
    x, t = np.linspace(-1, 1, 64), rng.uniform(-0.4, 0.4, (N, 1))
    shapes = [
        np.exp(-(((x - t) / 0.15) ** 2)),
        np.exp(-(((x - t) / 0.06) ** 2)) + np.exp(-(((x - t - 0.3) / 0.06) ** 2)),
        1 / (1 + ((x - t) / 0.04) ** 2),
    ]
    return np.choose(KIND[:, None], shapes) + 0.03 * rng.normal(size=(N, 64))


def matched(found, kind):
    """Share right under the best naming of the classes found."""
    return max(np.mean(np.array(names)[found] == kind) for names in permutations(range(3)))


@pytest.fixture(scope="module")
def unlabelled():
    return ss.ShiftVAE(n_latent=1, n_classes=3, epochs=20).fit(signals())


def test_classes_are_found_without_labels(unlabelled):
    X = signals(1)
    share = unlabelled.predict_proba(X)
    np.testing.assert_allclose(share.sum(1), 1)
    assert matched(share.argmax(1), KIND) > 0.95
    assert np.array_equal(unlabelled.predict(X), share.argmax(1))


def test_the_posterior_is_that_of_the_likeliest_class(unlabelled):
    X = signals(1)
    p = unlabelled.posterior(X)
    assert np.array_equal(p.kind, unlabelled.predict(X))
    known = unlabelled.posterior(X, condition=p.kind)
    np.testing.assert_allclose(p.shift, known.shift, atol=0.3)
    assert (p.log_evidence < known.log_evidence).mean() > 0.9  # the class had to be told as well
    assert np.array_equal(p.to_dataset()["class"], p.kind)


def test_every_class_has_a_manifold(unlabelled):
    every = unlabelled.manifold(4)
    assert every.sizes["class"] == 3
    one = unlabelled.manifold(4, condition=2)
    np.testing.assert_array_equal(every.sel({"class": 2}), one)
    assert ss.plot.manifold(unlabelled).axes[0].get_ylabel() == "class"


def test_a_saved_model_knows_its_classes(unlabelled, tmp_path):
    unlabelled.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict_proba(signals(1)), unlabelled.predict_proba(signals(1)))


def test_few_labels_name_the_classes(tmp_path):
    names = np.array(["one", "two", "three"])[KIND]
    X = signals()
    coded = np.where(np.arange(N) < 12, KIND + 5, -1)
    model = ss.ShiftVAEClassifier(n_latent=1, epochs=20).fit(X, coded)
    assert model.classes_.tolist() == [5, 6, 7]
    assert model.score(signals(1), KIND + 5) > 0.95
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(ss.load(tmp_path / "m.safetensors").predict(X), model.predict(X))
    named = ss.ShiftVAEClassifier(n_latent=1, epochs=5).fit(X, names)
    assert np.mean(named.predict(X) == names) > 0.95


def test_a_model_without_classes_predicts_nothing():
    assert not hasattr(ss.ShiftVAE(), "predict")
    assert hasattr(ss.ShiftVAE(n_classes=2), "predict_proba")


@pytest.mark.parametrize(
    ("y", "told"),
    [(None, "requires y"), (np.zeros(N, int), "1 class"), (KIND[:-1], "inconsistent numbers")],
)
def test_labels_that_say_nothing_are_refused(y, told):
    with pytest.raises(ValueError, match=told):
        ss.ShiftVAEClassifier(epochs=1).fit(signals(), y)


def test_a_condition_and_classes_do_not_go_together():
    with pytest.raises(ShapeshiftError, match="one of the two"):
        ss.ShiftVAE(n_classes=2, epochs=1).fit(signals(), condition=KIND)


def test_the_command_line_tells_classes(tmp_path):
    np.save(tmp_path / "x.npy", signals())
    arguments = ["fit", str(tmp_path / "x.npy"), "--n-classes", "3", "--epochs", "15"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    told = pd.read_csv(tmp_path / "run" / "signals.csv")
    assert matched(told["class"].to_numpy(), KIND) > 0.9
