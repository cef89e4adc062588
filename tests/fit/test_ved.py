"""VED: y from x between spectra and images, what it is worth, and how far its error bars can be trusted."""

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.linear_model import RidgeCV

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint
from shapeshift.model.encoders import ConvEncoder

QUICK = {"n_latent": 4, "n_starts": 2, "epochs": 100, "width": 64, "learning_rate": 4e-3}
TINY = {"n_latent": 2, "n_starts": 2, "epochs": 2, "width": 8}
U = np.linspace(-1.5, 1.5, 24)


def measured(n, seed, noise=0.03):
    """A peak at c of height a, and its spot at (c^2, c) of a rectangular image: (n, 24) and (n, 9, 7)."""
    rng = np.random.default_rng(seed)
    c, a = rng.uniform(-1, 1, (n, 1, 1)), rng.uniform(0.5, 1.5, (n, 1, 1))
    spectra = (a * np.exp(-(((U - c) / 0.3) ** 2) / 2))[:, 0]
    rows, columns = np.linspace(-1, 1, 9)[:, None], np.linspace(-1.5, 1.5, 7)
    images = a * np.exp(-((rows - c**2) ** 2 + (columns - c) ** 2) / 0.18)
    return {
        "spectrum": spectra + noise * rng.standard_normal(spectra.shape),
        "image": images + noise * rng.standard_normal(images.shape),
    }


def bent(kind, data):
    """Where x and y are of one kind, y is another function of the same peak."""
    return data[kind][:, ::-1] ** 2


@pytest.fixture(scope="module")
def sets():
    return measured(300, 0), measured(1500, 1)


DIRECTIONS = [(x, y) for x in ("spectrum", "image") for y in ("spectrum", "image")]


@pytest.fixture(scope="module", params=DIRECTIONS, ids=" to ".join)
def translated(request, sets):
    """A fitted model, and pairs it has not seen."""
    kind, to = request.param
    (x, y), (x_new, y_new) = ((d[kind], bent(to, d) if kind == to else d[to]) for d in sets)
    return ss.VED(**QUICK).fit(x, y), (x, y), (x_new, y_new)


def test_it_tells_y_better_than_its_mean_and_a_line(translated):
    model, (x, y), (x_new, y_new) = translated
    told = model.predict(x_new)
    assert told.shape == y_new.shape
    straight = RidgeCV(np.logspace(-3, 2, 6)).fit(x.reshape(len(x), -1), y.reshape(len(y), -1))
    error = np.sqrt(np.mean((told - y_new) ** 2))
    by_line = straight.predict(x_new.reshape(len(x_new), -1)).reshape(y_new.shape)
    assert error < np.sqrt(np.mean((by_line - y_new) ** 2))
    assert error < 0.35 * np.sqrt(np.mean((y.mean(0) - y_new) ** 2))
    total = ((y_new - y_new.mean(0)) ** 2).sum()
    assert np.isclose(model.score(x_new, y_new), 1 - ((told - y_new) ** 2).sum() / total)


def test_error_bars_hold_what_they_say(translated):
    model, _, (x_new, y_new) = translated
    mean, sd = model.predict(x_new, return_std=True)
    assert np.array_equal(mean, model.predict(x_new))
    assert 0.63 < np.mean(np.abs(mean - y_new) < sd) < 0.73
    low, high = model.predict_interval(x_new, share=0.9)
    assert 0.85 < np.mean((low < y_new) & (y_new < high)) < 0.94
    assert np.allclose(low + high, 2 * mean)


def test_one_measurement_alone_gives_the_same_numbers(translated):
    model, _, (x_new, _) = translated
    mean, sd = model.predict(x_new, return_std=True)
    one, one_sd = model.predict(x_new[7:8], return_std=True)
    assert np.array_equal(one[0], mean[7])
    assert np.array_equal(one_sd[0], sd[7])
    assert model.transform(x_new[:5]).shape == (5, QUICK["n_latent"])


def test_the_sd_grows_where_noise_is_larger(sets):
    x, y = sets[0]["spectrum"], bent("spectrum", sets[0])
    noise = np.linspace(0.02, 0.4, 24)
    model = ss.VED(**QUICK).fit(x, y + noise * np.random.default_rng(2).standard_normal(y.shape))
    _, sd = model.predict(sets[1]["spectrum"], return_std=True)
    ratio = np.median(sd, axis=0)[12:] / noise[12:]
    assert (ratio > 0.75).all()
    assert (ratio < 1.4).all()


def test_the_sd_grows_away_from_what_was_seen(translated):
    model, (x, _), _ = translated
    _, near = model.predict(x, return_std=True)
    _, far = model.predict(3 * x, return_std=True)
    assert far.mean() > 1.4 * near.mean()


def test_convolutions_read_images(sets):
    train, new = sets
    model = ss.VED(**QUICK | {"epochs": 60, "width": 32}, encoder="conv").fit(
        train["image"], train["spectrum"]
    )
    assert isinstance(model.starts_.networks[0].encoder, ConvEncoder)
    assert model.score(new["image"], new["spectrum"]) > 0.95


def test_flattened_images_are_images(sets):
    images, spectra = sets[0]["image"], sets[0]["spectrum"]
    flat = images.reshape(len(images), -1)
    for encoder in ("dense", "conv"):
        plane = ss.VED(**TINY, encoder=encoder).fit(images, spectra).predict(images)
        same = ss.VED(**TINY, encoder=encoder, x_shape=(9, 7)).fit(flat, spectra)
        assert np.array_equal(same.predict(flat), plane)
    back = ss.VED(**TINY, y_shape=(9, 7)).fit(spectra, flat)
    assert back.predict(spectra).shape == flat.shape
    assert back.y_side_.shape == (9, 7)


def labelled(sets):
    """A map of spectra with images to them, both with coordinates and units."""
    spectra, images = (sets[0][k][:60].reshape(6, 10, *sets[0][k].shape[1:]) for k in ("spectrum", "image"))
    place = {
        "y": ("y", np.arange(6) * 0.5, {"units": "um"}),
        "x": ("x", np.arange(10) * 0.5, {"units": "um"}),
    }
    X = xr.DataArray(
        spectra,
        {**place, "energy": ("energy", U, {"units": "eV"})},
        ("y", "x", "energy"),
        name="intensity",
    )
    along = {"kx": ("kx", np.linspace(-1, 1, 9), {"units": "1/nm"}), "label": ("ky", list("abcdefg"))}
    Y = xr.DataArray(images, place | along, ("y", "x", "kx", "ky"), name="counts", attrs={"units": "1/s"})
    return X, Y


def test_maps_coordinates_and_units_come_back(sets):
    X, Y = labelled(sets)
    model = ss.VED(**TINY).fit(X, Y)
    mean, sd = model.predict(X, return_std=True)
    for told in (mean, sd):
        xr.testing.assert_identical(told.copy(data=Y.values), Y)
        assert told.kx.attrs == {"units": "1/nm"}
    part = model.predict(X[2:4, ::3])
    assert part.shape == (2, 4, 9, 7)
    xr.testing.assert_equal(part.y, Y.y[2:4])
    assert np.array_equal(part, mean[2:4, ::3])
    assert np.array_equal(model.predict(X.values.reshape(60, -1)), mean.values.reshape(60, 9, 7))
    assert model.score(X, Y) <= 1


def test_results_have_the_precision_of_x(sets):
    x, y = sets[0]["spectrum"], sets[0]["image"]
    model = ss.VED(**TINY).fit(x, y)
    for dtype in (np.float32, np.float64):
        X = x.astype(dtype)
        assert {a.dtype for a in (*model.predict(X, return_std=True), model.transform(X))} == {
            np.dtype(dtype)
        }


def test_a_seed_decides_everything(sets):
    x, y = sets[0]["spectrum"], sets[0]["image"]

    def numbers(seed):
        torch.manual_seed(np.random.default_rng().integers(1000))  # of no consequence
        return np.array(ss.VED(**TINY, random_state=seed).fit(x, y).predict(x[:5], return_std=True))

    assert np.array_equal(numbers(3), numbers(3))
    assert not np.array_equal(numbers(3), numbers(4))


@pytest.mark.parametrize("encoder", ["dense", "conv"])
def test_a_model_gives_the_same_bits_after_a_round_trip(sets, tmp_path, encoder):
    Y, X = labelled(sets)  # images to spectra
    model = ss.VED(**TINY, encoder=encoder).fit(X, Y)
    model.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors")
    assert type(again) is ss.VED
    for one, other in zip(model.predict(X, True), again.predict(X, True), strict=True):
        xr.testing.assert_identical(one, other)
    for one, other in zip(model.predict_interval(X), again.predict_interval(X), strict=True):
        xr.testing.assert_identical(one, other)
    assert np.array_equal(model.transform(X), again.transform(X))
    assert again.get_params() == model.get_params()
    for name in ("options_", "n_pairs_", "history_", "converged_", "fit_seconds_", "n_features_in_"):
        assert getattr(again, name) == getattr(model, name), name
    again.save(tmp_path / "again.safetensors")
    (one, told), (other, again_told) = (
        checkpoint.read(tmp_path / f"{n}.safetensors") for n in ("m", "again")
    )
    assert told == again_told
    assert all(torch.equal(t, other[k]) for k, t in one.items())


def test_coordinates_in_words_survive_the_file(sets, tmp_path):
    X, Y = labelled(sets)
    model = ss.VED(**TINY).fit(X, Y)
    model.save(tmp_path / "m.safetensors")
    xr.testing.assert_identical(ss.load(tmp_path / "m.safetensors").predict(X), model.predict(X))


def test_a_file_with_parts_missing_is_refused(sets, tmp_path):
    model = ss.VED(**TINY).fit(sets[0]["spectrum"], sets[0]["image"])
    model.save(tmp_path / "m.safetensors")
    tensors, description = checkpoint.read(tmp_path / "m.safetensors")
    for name in ("calibration.quantiles", "start1.encoder.linear.weight", "y.offset"):
        rest = {k: v for k, v in tensors.items() if k != name}
        checkpoint.write(tmp_path / "part.safetensors", rest, description)
        with pytest.raises(ShapeshiftError, match="incomplete or damaged"):
            ss.load(tmp_path / "part.safetensors")


def test_the_command_line_says_which_models_it_takes(sets, tmp_path):
    from shapeshift.show.tasks import transform_file

    model = ss.VED(**TINY).fit(sets[0]["spectrum"], sets[0]["image"])
    model.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", sets[0]["spectrum"])
    with pytest.raises(ShapeshiftError, match="got a VED, needed a ShiftVAE"):
        transform_file(tmp_path / "m.safetensors", tmp_path / "x.npy", tmp_path / "z.csv", {}, force=False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"encoder": "transformer"}, "needed one of dense, conv"),
        ({"encoder": "conv"}, "every x a spectrum of 24 samples, needed images"),
        ({"n_latent": 0}, "got n_latent=0"),
        ({"n_starts": 1.5}, "got n_starts=1.5"),
        ({"epochs": 0}, "got epochs=0"),
        ({"learning_rate": -1}, "got learning_rate=-1"),
        ({"kl_weight": "small"}, "got kl_weight='small'"),
        ({"weight_decay": -1}, "got weight_decay=-1"),
        ({"held_out": 0}, "got held_out=0, needed a share between 0 and 1"),
        ({"x_shape": (5, 5)}, "needed one that ends in x_shape"),
        ({"learning_rate": 1e30}, "not finite"),
    ],
)
def test_options_that_mean_nothing_are_refused(sets, options, told):
    with pytest.raises(ShapeshiftError, match=told):
        ss.VED(**TINY | options).fit(sets[0]["spectrum"], sets[0]["image"])


def test_data_that_cannot_be_used_are_refused(sets):
    x, y = sets[0]["spectrum"], sets[0]["image"]
    gap = y.copy()
    gap[3, 2, 1] = np.nan
    model = ss.VED(**TINY)
    for X, Y, told in (
        (x, gap, r"Input Y contains NaN or infinity in 1 of 300 measurements \(rows 3\)"),
        (x[:-1], y, r"inconsistent numbers of samples: \[299, 300\]"),
        (x[:3], y[:3], "minimum of 5"),
        (x, None, "requires y"),
    ):
        with pytest.raises(ValueError, match=told):
            model.fit(X, Y)
    model.fit(x, y)
    with pytest.raises(ShapeshiftError, match="X has 9 x 7 features, but VED is expecting 24"):
        model.predict(y)
    with pytest.raises(ShapeshiftError, match=r"got share=1.2, needed a share between 0 and 1"):
        model.predict_interval(x, share=1.2)


def test_points_that_never_change_do_no_harm(sets):
    x, y = sets[0]["spectrum"], sets[0]["image"].copy()
    y[:, 0] = 2.5
    mean, sd = ss.VED(**QUICK | {"epochs": 20}).fit(x, y).predict(x, return_std=True)
    assert np.abs(mean[:, 0] - 2.5).max() < 0.1
    assert (sd > 0).all()
    assert sd[:, 0].mean() < 0.5 * sd[:, 1:].mean()


def test_an_interrupted_fit_is_a_fit(sets, monkeypatch):
    from shapeshift.fit import translation

    def impatient(*args):
        def on_epoch(epoch, record):
            if epoch == 3:
                raise KeyboardInterrupt

        return on_epoch

    monkeypatch.setattr(translation.Progress, "__enter__", impatient)
    model = ss.VED(**TINY | {"epochs": 3, "n_starts": 3}).fit(sets[0]["spectrum"], sets[0]["image"])
    assert [h.stopped for h in model.history_] == ["finished", "interrupted"]
    assert not model.converged_
    assert np.isfinite(model.predict(sets[0]["spectrum"])).all()
