"""The experiment, small: its numbers are plain, its figures all there, and its folder whole or absent."""

import json
import re

import numpy as np
import pytest

from shapeshift import ShapeshiftError
from shapeshift.data import synthetic
from shapeshift.show.demo import redrawn, run_demo
from shapeshift.show.figures_fit import components_for

MEASURES = {
    *("fit_seconds", "vae_seconds", "efficiency", "slope", "active_latents", "coverage68", "coverage95"),
    *("leak", "lost", "pca_components_95"),
}
DRAWN = {
    *("signals", "pca", "nmf", "truth", "calibration"),
    *("vae_position", "vae_width", "vae_manifold", "vae_latents_truth"),
    *("shift_position", "shift_width", "shift_manifold", "shift_latents_truth"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    told = []
    return run_demo(out, n=600, seed=3, progress=told.append), out, told


def test_the_summary_is_flat_and_plain(ran):
    result, out, _ = ran
    read = json.loads((out / "summary.json").read_text())
    assert read == result
    once = {"n_signals", "n_latent", "seconds_total", "versions"}
    assert set(read) == once | MEASURES | {f"mixed_{name}" for name in MEASURES}
    assert all(isinstance(v, int | float) for k, v in read.items() if k != "versions")
    assert re.search(r"torch \d+\.\d+", read["versions"])


def test_the_shift_is_in_axis_units_and_near_the_bound(ran):
    result, _, _ = ran
    for prefix in ("", "mixed_"):
        assert abs(result[prefix + "slope"] - 1) < 0.03
        assert 0.8 < result[prefix + "efficiency"] < 1.5
        assert result[prefix + "leak"] < 0.1


def test_every_figure_of_the_experiment_is_there(ran):
    _, out, _ = ran
    names = {f"{shape}_{name}" for shape in ("gaussian", "mixed") for name in DRAWN}
    assert {f.name for f in (out / "figures").iterdir()} == {f"{name}.png" for name in names}
    assert set(re.findall(r'<figure id="(\w+)"', (out / "report.html").read_text())) == names


def test_progress_is_told_in_words(ran):
    _, _, told = ran
    assert told[-1] == "drawing"
    assert "mixed: shift-VAE" in told


def test_another_folder_is_not_overwritten(ran):
    _, out, _ = ran
    before = (out / "summary.json").read_bytes()
    with pytest.raises(ShapeshiftError, match="force"):
        run_demo(out, n=600)
    assert (out / "summary.json").read_bytes() == before


def test_a_failure_leaves_nothing(tmp_path):
    def stop(words):
        raise RuntimeError(words)

    with pytest.raises(RuntimeError):
        run_demo(tmp_path / "out", n=100, progress=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", ["gaussian", "mixed"])
def test_another_draw_differs_in_noise_alone(shape):
    X, _ = synthetic.article(500, 1, shape=shape)
    pairs = synthetic.article_pairs(400, 2, shape=shape, like=X)
    difference = (redrawn(pairs, shape, 1) - pairs.first).values / pairs.noise[:, None]
    assert np.abs(difference.mean(0)).max() < 0.4
    assert difference.std() == pytest.approx(np.sqrt(2), rel=0.02)


def test_components_are_counted_until_the_share_is_reached():
    assert components_for(np.array([0.9, 0.05, 0.05])) == 2
    assert components_for(np.array([0.5, 0.2])) == 3
