"""What ShiftVAE promises: accuracy, honesty, units, round trips, and a sentence for bad input."""

import numpy as np
import pytest
import xarray as xr

import shapeshift as ss
from shapeshift.analysis import active_latents, calibration_of
from shapeshift.errors import ShapeshiftError


@pytest.fixture(scope="module")
def article():
    X, truth = ss.synthetic.article(n=2000, seed=3)
    return ss.ShiftVAE(epochs=20).fit(X), X, truth


def test_at_the_bound_and_honest_on_signals_not_fitted(article):
    model, X, _ = article
    pairs = ss.synthetic.article_pairs(1200, 11, like=X)
    first, second = model.posterior(pairs.first), model.posterior(pairs.second)
    moved = pairs.shift_second - pairs.shift_first
    found = calibration_of(first, second, moved, pairs.bound, first)
    assert found.efficiency < 1.10
    assert found.lost == 0
    assert 0.64 < found.coverage68 < 0.74
    assert 0.93 < found.coverage95 < 0.975
    assert found.leak < 0.02
    assert abs(np.polyfit(pairs.shift_first, first.shift, 1)[0] - 1) < 0.005
    assert active_latents(first).n_active == 1


def test_align_undoes_the_shift(article):
    model, X, _ = article
    aligned = model.align(X[:200])
    again = model.posterior(aligned.fillna(0.0))
    assert np.median(np.abs(again.shift)) < 0.1


@pytest.mark.parametrize("zero", ["reference", "peak", "centroid"])
def test_generate_and_reconstruct_agree_under_every_zero(article, zero):
    model, X, _ = article
    few = X[:40]
    try:
        model.set_params(zero=zero)
        p = model.posterior(few)
        again = model.generate(p.z, shift=p.shift)
        assert np.allclose(again, model.reconstruct(few).values, atol=2e-3)
    finally:
        model.set_params(zero="reference")


def test_saved_and_loaded_to_the_bit(article, tmp_path):
    model, X, _ = article
    model.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.posterior(X[:50]).shift, model.posterior(X[:50]).shift)
    assert again.zero_ == model.zero_
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors"]


def test_ordinary_vae_is_saved_too(tmp_path):
    X, _ = ss.synthetic.article(n=100, seed=0)
    model = ss.ShiftVAE(warps=(), epochs=3).fit(X)
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(ss.load(tmp_path / "m.safetensors").transform(X), model.transform(X))
    assert (model.posterior(X).shift == 0).all()


@pytest.mark.parametrize("cut", [0, 5, 100, -20])
def test_damaged_model_files_are_refused(article, tmp_path, cut):
    model, _, _ = article
    path = tmp_path / "m.safetensors"
    model.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ShapeshiftError, match="damaged"):
        ss.load(path)


def test_foreign_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ShapeshiftError, match="not a shapeshift model"):
        ss.load(tmp_path / "other.safetensors")


def test_maps_come_back_as_maps():
    X, _ = ss.synthetic.article(n=60, seed=0)
    cube = xr.DataArray(
        X.values.reshape(6, 10, -1),
        dims=("y", "x", "energy"),
        coords={"y": np.arange(6.0), "energy": ("energy", X["x"].values, {"units": "eV"})},
    )
    model = ss.ShiftVAE(epochs=3).fit(cube)
    table = model.posterior(cube).to_dataset()
    assert table["shift"].dims == ("y", "x")
    assert table["shift"].shape == (6, 10)
    assert table["shift"].attrs["units"] == "eV"
    assert table["z"].sel(latent="z1").shape == (6, 10)
    assert model.reconstruct(cube).dims == cube.dims


@pytest.mark.parametrize(
    "likelihood", ["gaussian", "student-t", "poisson", "bernoulli", "continuous-bernoulli"]
)
@pytest.mark.parametrize("decoder", ["template", "coordinate"])
def test_every_likelihood_and_decoder_recovers_shifts(likelihood, decoder):
    rng = np.random.default_rng(0)
    u = np.linspace(-6, 6, 64)
    shift = rng.uniform(-1.5, 1.5, 250)
    mean = 0.05 + 0.9 * np.exp(-((u - shift[:, None]) ** 2) / 2)
    X = {
        "gaussian": lambda: mean + 0.05 * rng.normal(size=mean.shape),
        "student-t": lambda: mean + 0.03 * rng.standard_t(3, size=mean.shape),
        "poisson": lambda: rng.poisson(40 * mean),
        "bernoulli": lambda: rng.binomial(1, mean),
        "continuous-bernoulli": lambda: np.clip(mean + 0.05 * rng.normal(size=mean.shape), 0, 1),
    }[likelihood]()
    model = ss.ShiftVAE(1, likelihood=likelihood, decoder=decoder, epochs=40).fit(X, x=u)
    least = 0.8 if likelihood == "bernoulli" else 0.97
    assert np.corrcoef(model.posterior(X).shift, shift)[0, 1] > least


BAD = {
    "one signal": (np.random.default_rng(0).normal(size=(1, 20)), "minimum of 2"),
    "one sample": (np.ones((20, 1)), "."),
    "constant": (np.ones((20, 30)), "constant"),
    "nan": (np.where(np.eye(20) > 0, np.nan, 1.0), "constant"),
    "inf": (np.where(np.arange(400).reshape(20, 20) == 45, np.inf, 1.0), "rows 2; samples 5"),
    "text": ([["a", "b"], ["c", "d"]], "not all numbers"),
    "ragged": ([[1.0, 2.0, 3.0], [1.0, 2.0]], "."),
    "complex": (np.ones((20, 20)) * 1j, "[Cc]omplex"),
    "empty": (np.empty((0, 20)), "empty"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_gets_a_sentence(case):
    X, told = BAD[case]
    with pytest.raises(ValueError, match=told):
        ss.ShiftVAE(epochs=2).fit(X)


def test_counts_are_refused_where_they_are_none():
    with pytest.raises(ShapeshiftError, match="counts"):
        ss.ShiftVAE(likelihood="poisson", epochs=2).fit(np.random.default_rng(0).normal(size=(20, 20)))


def test_wrong_length_and_wrong_axis_are_refused(article):
    model, X, _ = article
    with pytest.raises(ValueError, match="features"):
        model.posterior(X.values[:, :90])
    with pytest.raises(ShapeshiftError, match=r"features as input.* resample .* from -12 to 12"):
        model.posterior(X.values[:, :90])
    with pytest.raises(ShapeshiftError, match="overlaps"):
        model.posterior(X.assign_coords(x=X["x"] + 100.0))


@pytest.mark.parametrize("nuisance", [(), ("gain", "offset")])
def test_signals_without_a_pattern_are_faint(nuisance):
    X, _ = ss.synthetic.article(n=300, seed=0)
    model = ss.ShiftVAE(epochs=10, nuisance=nuisance).fit(X)
    rng = np.random.default_rng(0)
    levels = np.linspace(-0.5, 3.1, 40)[:, None]
    assert model.posterior(np.repeat(levels, 100, axis=1)).flagged("faint").all()
    assert model.posterior(levels + 0.05 * rng.normal(size=(40, 100))).flagged("faint").mean() > 0.9
    assert model.posterior(X).flagged("faint").mean() < 0.02


def test_narrow_features_in_long_windows_are_not_faint():
    axis, shift = np.arange(1000.0), np.random.default_rng(0).uniform(-200, 200, 300)
    noise = np.random.default_rng(1).normal(size=(300, 1000))
    X = 8 * np.exp(-((axis - 500 - shift[:, None]) ** 2) / 8) + noise  # contrast 0.5 noise sd
    p = ss.ShiftVAE(1, epochs=20).fit(X).posterior(X)
    good = np.abs(p.shift - shift - np.median(p.shift - shift)) < 2
    assert good.mean() > 0.95
    assert p.flagged("faint").mean() < 0.05


@pytest.mark.parametrize(
    ("first", "step", "said"),
    [(-0.3513888889, 1 / 360, "at -0.001 s"), (0.0, 1.0, "at 49.5 s"), (-4.95, 0.1, "at 0 s")],
)
def test_the_zero_is_told_to_half_a_sample(first, step, said):
    model = ss.ShiftVAE()
    model.axis_, model.axis_name_, model.axis_units_ = first + step * np.arange(100), "time", "s"
    model.axis_ = model.axis_ if said != "at -0.001 s" else first + step * np.arange(253)
    model.zero = "peak"
    model.fitted_ = type("Fitted", (), {"reference": None})()
    assert said in model.zero_


def test_axes_are_sorted_and_resampled_and_it_is_said():
    X, _ = ss.synthetic.article(n=40, seed=0)
    back = ss.ShiftVAE(epochs=2).fit(X[:, ::-1])
    assert np.all(np.diff(back.axis_) > 0)
    assert "sorted" in back.notes_[0]
    bent = ss.ShiftVAE(epochs=2).fit(X.values, x=np.linspace(1, 3, 100) ** 2)
    assert np.ptp(np.diff(bent.axis_)) < 1e-9
    assert "resampled" in bent.notes_[0]


def test_own_modules_are_used_and_left_alone():
    import torch

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.height = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, z):
            return lambda u: self.height * torch.exp(-(u[..., 0] ** 2) / 0.02) + 0 * z.sum()

    X, truth = ss.synthetic.article(n=200, seed=0)
    own = Own()
    model = ss.ShiftVAE(1, decoder=own, epochs=10).fit(X)
    assert own.height.item() == 1.0
    assert model.fitted_.vae.decoder.height.item() != 1.0
    assert np.corrcoef(model.posterior(X).shift, truth["shift"])[0, 1] > 0.9


def test_measured_resonance_map(real_data):
    d = real_data("bepfm_resonance")
    model = ss.ShiftVAE(random_state=1).fit(d["X"], x=d["x"])
    p = model.posterior(d["X"])
    error = p.shift - d["ref_center"]
    sure = p.flags == ""
    assert np.median(np.abs(error - np.median(error))) < 0.2
    assert np.corrcoef(p.shift[sure], d["ref_center"][sure])[0, 1] > 0.998


def test_a_peak_that_stands_still_is_said_to(real_data):
    d = real_data("pl_map_control")
    model = ss.ShiftVAE(epochs=40).fit(d["X"], x=d["x"])
    p = model.posterior(d["X"])
    assert p.shift.std() < d["x"][1] - d["x"][0]
    assert any(doubt.code == "hardly-shift" for doubt in ss.analysis.doubts(model, d["X"], p))
