"""Images end to end: known poses are found, in the units of the data, with error bars that hold."""

import numpy as np
import pytest
import torch
import xarray as xr

import shapeshift as ss
from shapeshift.errors import ShapeshiftError

ROWS, COLUMNS = 16, 20


def drawn(angle, shift, scale, bend, rng=None, noise=0.0):
    """A bent arrow (n, ROWS, COLUMNS): angle in degrees, shift (n, 2) in pixels, scale, bend from 0 to 1."""
    rows = np.arange(ROWS) - (ROWS - 1) / 2
    columns = np.arange(COLUMNS) - (COLUMNS - 1) / 2
    r, c = np.meshgrid(rows, columns, indexing="ij")
    out = []
    for a, (down, right), s, b in zip(np.radians(angle), shift, scale, bend, strict=True):
        dr, dc = r - down, c - right
        u = (np.cos(a) * dr + np.sin(a) * dc) / s  # turned back
        v = (-np.sin(a) * dr + np.cos(a) * dc) / s
        shaft = np.exp(-0.5 * ((u - 0.15 * b * v**2) / 1.2) ** 2 - 0.5 * (v / 3.5) ** 2)
        head = 0.8 * np.exp(-0.5 * ((u + 1.5) / 1.5) ** 2 - 0.5 * ((v - 4.5) / 1.2) ** 2)
        out.append(shaft + head)
    images = np.stack(out)
    return images + noise * (rng.normal(size=images.shape) if noise else 0)


def posed(n, seed, *, angle=50.0, shift=2.0, scale=1.2, noise=0.05):
    rng = np.random.default_rng(seed)
    pose = (
        rng.uniform(-angle, angle, n),
        rng.uniform(-shift, shift, (n, 2)),
        scale ** rng.uniform(-1, 1, n),
    )
    return drawn(*pose, rng.uniform(0, 1, n), rng, noise), pose


def off(a, b):
    return (a - b + 180) % 360 - 180


@pytest.fixture(scope="module")
def similar():
    X, pose = posed(400, 1)
    return ss.ImageVAE(n_latent=1, warps=("rotation", "shift", "scale"), epochs=60).fit(X), X, pose


def test_all_of_a_pose_is_found_with_error_bars(similar):
    model, _, _ = similar
    X, (angle, shift, scale) = posed(200, 2)
    p = model.posterior(X)
    turn = off(p.rotation, angle)
    turn -= np.median(turn)
    moved, grown = p.shift - shift, np.log(p.scale / scale)
    moved, grown = moved - np.median(moved, 0), grown - np.median(grown)
    assert np.median(np.abs(turn)) < 6  # the bend moves the shaft, and where its zero is, is a convention
    assert np.median(np.abs(moved)) < 0.15
    assert np.median(np.abs(grown)) < 0.1
    assert not p.flagged("misfit").any()


def test_error_bars_hold_for_two_images_of_one_pattern(similar):
    model, _, _ = similar
    rng = np.random.default_rng(5)
    n = 200
    bend = rng.uniform(0, 1, n)
    poses = [
        (rng.uniform(-40, 40, n), rng.uniform(-2, 2, (n, 2)), 1.15 ** rng.uniform(-1, 1, n)) for _ in range(2)
    ]
    a, b = (model.posterior(drawn(*pose, bend, rng, 0.05)) for pose in poses)
    error = off(b.rotation - a.rotation, poses[1][0] - poses[0][0])
    assert 0.58 < np.mean(np.abs(error) < np.hypot(a.rotation_sd, b.rotation_sd)) < 0.8
    poses[1] = (poses[0][0], poses[1][1], poses[0][2])  # the centre of a pattern is a convention
    b = model.posterior(drawn(*poses[1], bend, rng, 0.05))
    moved = (b.shift - a.shift) - (poses[1][1] - poses[0][1])
    assert 0.58 < np.mean(np.abs(moved) < np.hypot(a.shift_sd, b.shift_sd)) < 0.8


def test_places_are_told_from_the_middle_of_the_frame(similar):
    """Wherever the patterns of the set lie: two sets, of which one lies off the middle, agree."""
    _, X, (_, shift, _) = similar
    low = np.roll(X, 3, axis=1)  # three rows further down
    model = ss.ImageVAE(n_latent=1, warps=("rotation", "shift", "scale"), epochs=20).fit(low[:200])
    place = model.posterior(low[:200]).shift - shift[:200]
    assert np.median(place, 0) == pytest.approx([3, 0], abs=0.4)


def test_generation_and_posterior_are_inverses(similar):
    model, _, _ = similar
    rng = np.random.default_rng(3)
    z = rng.uniform(-1, 1, (40, 1))
    rotation, shift = rng.uniform(-30, 30, 40), rng.uniform(-1, 1, (40, 2))
    scale = rng.uniform(0.9, 1.1, 40)
    p = model.posterior(model.generate(z, rotation=rotation, shift=shift, scale=scale))
    assert np.abs(off(p.rotation, rotation)).max() < 1
    assert np.abs(p.shift - shift).max() < 0.1
    assert np.abs(p.scale - scale).max() < 0.02
    assert np.abs(p.z - z).max() < 0.2


def test_aligned_images_no_longer_turn(similar):
    model, X, _ = similar
    upright = model.align(X[:100])
    assert upright.shape == X[:100].shape
    seen = ~np.isnan(upright).any(0)
    assert np.nanstd(upright, 0)[seen].mean() < 0.5 * X[:100].std(0)[seen].mean()


def test_a_saved_model_gives_the_same_numbers(similar, tmp_path):
    model, X, _ = similar
    model.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors")
    a, b = model.posterior(X[:20]), again.posterior(X[:20])
    np.testing.assert_array_equal(a.rotation, b.rotation)
    np.testing.assert_array_equal(a.shift, b.shift)
    np.testing.assert_array_equal(a.log_evidence, b.log_evidence)
    assert again.prior_sd_ == model.prior_sd_


def test_the_encoder_alone_is_near(similar):
    model, X, _ = similar
    fast, slow = model.posterior(X[:200], refine=False), model.posterior(X[:200])
    assert np.median(np.abs(off(fast.rotation, slow.rotation))) < 5
    assert np.isnan(fast.log_evidence).all()


def test_units_and_maps_come_back():
    X, (angle, shift, _) = posed(60, 4, scale=1.0)
    step = 0.25
    named = xr.DataArray(
        X.reshape(6, 10, ROWS, COLUMNS),
        dims=("a", "b", "y", "x"),
        coords={
            "a": np.arange(6),
            "y": ("y", step * np.arange(ROWS)[::-1], {"units": "nm"}),
            "x": ("x", 100 + step * np.arange(COLUMNS), {"units": "nm"}),
        },
    )
    model = ss.ImageVAE(n_latent=1, warps=("rotation", "shift"), epochs=60).fit(named)
    p = model.posterior(named)
    assert p.axis_units == "nm"
    told = p.to_dataset()
    assert told["rotation"].dims == ("a", "b")
    assert told["shift_y"].attrs["units"] == "nm"
    for k, sign in ((0, -1), (1, 1)):  # values on the y axis fall from row to row
        moved = p.shift[:, k] - sign * step * shift[:, k]
        assert np.median(np.abs(moved - np.median(moved))) < 0.15
    assert model.reconstruct(named).dims == named.dims
    assert np.corrcoef(p.rotation, angle)[0, 1] > 0.99


def test_images_turned_to_all_sides_are_told_over_the_full_turn():
    X, (angle, _, _) = posed(300, 6, angle=180, shift=0.0, scale=1.0)
    model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=30).fit(X)
    assert model.prior_sd_["rotation"] is None
    turn = off(model.posterior(X).rotation, angle)
    middle = np.degrees(np.angle(np.exp(1j * np.radians(turn)).mean()))
    assert np.mean(np.abs(off(turn, middle)) < 10) > 0.97


def test_a_shape_that_looks_the_same_upside_down_is_told():
    def bars(n, rng):
        r, c = np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5, indexing="ij")
        a = rng.uniform(-np.pi, np.pi, n)[:, None, None]
        u, v = np.cos(a) * r + np.sin(a) * c, -np.sin(a) * r + np.cos(a) * c
        return np.exp(-0.5 * (u / 1.2) ** 2 - 0.5 * (v / 4) ** 2) + 0.05 * rng.normal(size=(n, 16, 16))

    rng = np.random.default_rng(0)
    model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=20).fit(bars(200, rng))
    p = model.posterior(bars(100, rng))
    told = p.flagged("ambiguous")
    assert told.mean() > 0.6
    assert np.abs(np.abs(off(p.rival_rotation, p.rotation)[told]) - 180).max() < 20


@pytest.mark.parametrize("form", ["last", "first", "flat"])
def test_channels_and_flattened_images_come_back_in_kind(form):
    X, _ = posed(40, 7)
    if form == "flat":
        given, options = X.reshape(40, -1), {"image_shape": (ROWS, COLUMNS)}
    else:
        given = np.stack([X, 1 - X], -1 if form == "last" else 1)
        options = {}
    model = ss.ImageVAE(n_latent=1, epochs=3, **options).fit(given)
    back = model.reconstruct(given)
    assert back.shape == given.shape
    assert np.corrcoef(back.ravel(), given.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("options", [{"encoder": "conv"}, {"decoder": "coordinate"}])
def test_other_networks_learn_the_same(options):
    X, (angle, _, _) = posed(120, 8, shift=0.0, scale=1.0)
    model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=40, width=32, **options).fit(X)
    turn = off(model.posterior(X).rotation, angle)
    assert np.median(np.abs(turn - np.median(turn))) < 4


def test_the_same_seed_gives_the_same_bits():
    X, _ = posed(60, 9)
    a, b = (ss.ImageVAE(n_latent=1, epochs=3, random_state=4).fit(X).posterior(X) for _ in range(2))
    np.testing.assert_array_equal(a.rotation, b.rotation)


def test_an_image_does_not_depend_on_its_neighbours(similar):
    model, X, _ = similar
    whole, alone = model.posterior(X[:30]), model.posterior(X[7:8])
    assert whole.rotation[7] == alone.rotation[0]
    assert whole.log_evidence[7] == alone.log_evidence[0]


@pytest.mark.parametrize(
    ("options", "given", "told"),
    [
        ({"warps": "rotation"}, (9, 8, 8), "needed a tuple"),
        ({"warps": ("turn",)}, (9, 8, 8), "needed one of 'rotation'"),
        ({"warps": ("shift", "shift")}, (9, 8, 8), "every name once"),
        ({"encoder": "deep"}, (9, 8, 8), "needed one of 'dense'"),
        ({"nuisance": ("baseline",)}, (9, 8, 8), "for images"),
        ({"rotation_sd": -1.0}, (9, 8, 8), "rotation_sd"),
        ({}, (9, 101), "set image_shape"),
        ({"image_shape": (5, 5)}, (9, 64), "5 x 5"),
        ({}, (9, 8, 8, 7), "up to 4 channels"),
        ({}, (64,), "Expected 2D array"),
    ],
)
def test_what_means_nothing_is_refused_in_a_sentence(options, given, told):
    X = np.random.default_rng(0).normal(size=given)
    with pytest.raises(ShapeshiftError, match=told):
        ss.ImageVAE(epochs=1, **options).fit(X)


def test_other_images_than_those_of_the_fit_are_refused(similar):
    model, X, _ = similar
    with pytest.raises(ShapeshiftError, match="is expecting 320 features"):
        model.posterior(X[:, :-1])
    with pytest.raises(ShapeshiftError, match="NaN"):
        model.posterior(np.where(X > 0.9, np.nan, X))
    oblong = xr.DataArray(
        X[:4], dims=("n", "y", "x"), coords={"y": 2.0 * np.arange(ROWS), "x": np.arange(COLUMNS)}
    )
    with pytest.raises(ShapeshiftError, match="needed square"):
        model.posterior(oblong)


def test_global_random_state_is_left_alone():
    X, _ = posed(40, 10)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    ss.ImageVAE(n_latent=1, epochs=2).fit(X)
    assert torch.equal(before, torch.get_rng_state())


def test_without_warps_nothing_moves():
    X, _ = posed(60, 11)
    model = ss.ImageVAE(n_latent=1, warps=(), epochs=3).fit(X)
    p = model.posterior(X)
    assert (p.rotation == 0).all()
    assert (p.shift == 0).all()
    assert (p.scale == 1).all()
    np.testing.assert_array_equal(model.align(X), X)
    assert np.isfinite(p.log_evidence).all()


def test_images_of_one_row_are_fitted_too():
    X = np.exp(-((np.arange(9) - np.linspace(2, 6, 40)[:, None]) ** 2))[:, None]
    p = ss.ImageVAE(n_latent=1, warps=("rotation", "shift"), epochs=3).fit(X).posterior(X)
    assert np.isfinite(p.shift).all()
