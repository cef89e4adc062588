"""Several channels that share one shift."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import shapeshift as ss
from shapeshift.data.coordinates import Axis
from shapeshift.data.lanes import Lanes

N, P = 800, 80
AXIS = np.linspace(-8, 8, P)
NOISE = np.array([0.05, 2.0])


def clean(shift, width):
    """A line and, 40 units higher, the step of its phase: (n, 2, P)."""
    u = (AXIS - shift[:, None]) / width[:, None]
    return np.stack([np.exp(-(u**2) / 2), 40 + 30 * np.arctan(u)], 1)


def measured(n, seed):
    rng = np.random.default_rng(seed)
    shift, width = rng.normal(0, 1.5, n), rng.uniform(0.7, 1.6, n)
    return clean(shift, width) + NOISE[:, None] * rng.normal(size=(n, 2, P)), shift, width


def bound(shift, width, channels):
    """Least sd of a shift whose width is unknown too, root mean square over the signals (Cramer-Rao)."""
    step = 1e-4
    by = [
        (clean(shift + a, width + b) - clean(shift - a, width - b)) / (2 * step)
        for a, b in ((step, 0), (0, step))
    ]
    j = np.stack([(d / NOISE[:, None])[:, channels].reshape(len(shift), -1) for d in by], 1)
    return np.sqrt(np.linalg.inv(j @ j.transpose(0, 2, 1))[:, 0, 0].mean())


def error(p, shift):
    off = p.shift - shift
    return off - np.median(off)


@pytest.fixture(scope="module")
def both():
    return ss.ShiftVAE(n_latent=1, random_state=0).fit(measured(N, 0)[0], x=AXIS)


def test_both_channels_tell_of_one_shift_near_their_common_bound(both):
    X, shift, width = measured(1000, 1)
    p = both.posterior(X)
    off = error(p, shift)
    assert np.sqrt((off**2).mean()) < 1.1 * bound(shift, width, [0, 1])
    assert np.sqrt((off**2).mean()) < 0.9 * min(bound(shift, width, [k]) for k in (0, 1))
    assert 0.62 < (np.abs(off) < p.shift_sd).mean() < 0.74
    assert abs(np.median(p.shift - shift)) < 0.1  # a line and its step share the centre of symmetry
    assert np.median(p.noise_sd) == pytest.approx(NOISE[0], rel=0.1)


def test_a_dead_channel_leaves_what_the_other_tells(both):
    X, shift, width = measured(1000, 2)
    X[:, 1] = np.nan
    p = both.posterior(X)
    off = error(p, shift)
    assert np.sqrt((off**2).mean()) < 1.1 * bound(shift, width, [0])
    assert 0.62 < (np.abs(off) < p.shift_sd).mean() < 0.74


def test_signals_come_back_in_their_own_units(both):
    X, shift, width = measured(200, 3)
    left = both.reconstruct(X) - X
    assert left.std((0, 2)) == pytest.approx(NOISE, rel=0.1)
    np.testing.assert_allclose(both.generate(both.transform(X)).shape, (200, 2, P))
    still = both.align(clean(shift, width))
    steep = np.nanargmax(np.gradient(still[:, 1], axis=1), axis=1)
    assert np.abs(AXIS[steep]).max() < 3 * (AXIS[1] - AXIS[0])


def test_the_log_evidence_is_a_density_in_the_units_of_the_data(both):
    X = measured(N, 0)[0]
    tall = ss.ShiftVAE(n_latent=1, random_state=0).fit(X * [[1.0], [10.0]], x=AXIS)
    drop = both.score(X) - tall.score(X * [[1.0], [10.0]])
    assert drop == pytest.approx(P * np.log(10), rel=1e-3)


def test_a_stored_model_gives_the_same_bits(both, tmp_path):
    both.save(tmp_path / "m.safetensors")
    again, X = ss.load(tmp_path / "m.safetensors"), measured(50, 4)[0]
    np.testing.assert_array_equal(both.posterior(X).shift, again.posterior(X).shift)
    np.testing.assert_array_equal(both.reconstruct(X), again.reconstruct(X))
    np.testing.assert_array_equal(both.manifold(3), again.manifold(3))


def test_every_channel_has_an_offset_of_its_own_and_all_one_gain():
    rng = np.random.default_rng(5)
    X, shift, _ = measured(600, 6)
    X[:, 1] = (X[:, 1] - 40) / 40
    gain = np.exp(rng.normal(0, 0.6, 600))
    values = gain[:, None, None] * clean(shift, np.ones(600)) / [[1.0], [40.0]]
    values += 3 * rng.normal(size=(600, 2, 1)) + 0.03 * rng.normal(size=values.shape)
    m = ss.ShiftVAE(n_latent=1, random_state=0).fit(values, x=AXIS)
    p = m.posterior(values)
    assert m.nuisance_ == ("gain", "offset")
    assert np.abs(error(p, shift)).max() < 0.5
    assert np.corrcoef(np.log(p.gain), np.log(gain))[0, 1] > 0.98
    assert (m.reconstruct(values) - values).std() == pytest.approx(0.03, rel=0.1)


def test_counts_stay_counts():
    rng = np.random.default_rng(7)
    shift = rng.normal(0, 1.5, 400)
    means = 2 + 30 * clean(shift, np.ones(400))[:, :1] * [[1.0], [0.5]]
    X = rng.poisson(means).astype(float)
    m = ss.ShiftVAE(n_latent=1, random_state=0).fit(X, x=AXIS)
    assert m.likelihood_ == "poisson"
    off = error(m.posterior(X), shift)
    assert 0.6 < (np.abs(off) < m.posterior(X).shift_sd).mean() < 0.76


@pytest.fixture(scope="module")
def named():
    coords = {"y": np.arange(6.0), "channel": ["amplitude", "phase"], "f": ("f", AXIS, {"units": "kHz"})}
    values = measured(60, 8)[0].reshape(6, 10, 2, P)
    return xr.DataArray(values, dims=("y", "x", "channel", "f"), coords=coords)


def test_maps_of_channels_come_back_in_kind(named):
    m = ss.ShiftVAE(n_latent=1, epochs=3).fit(named.transpose("channel", "y", "f", "x").transpose(..., "f"))
    table = m.posterior(named).to_dataset()
    assert dict(table["shift"].sizes) == {"y": 6, "x": 10}
    assert table["shift"].attrs["units"] == "kHz"
    for out in (m.align(named), m.reconstruct(named)):
        assert out.dims == named.dims
        assert out["channel"].values.tolist() == ["amplitude", "phase"]
        assert out["f"].attrs["units"] == "kHz"
    assert m.manifold(4).dims == ("z1", "channel", "f")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda X: X.isel(channel=0), "without channels"),
        (lambda X: X.isel(channel=[1, 0]), "channels phase, amplitude"),
        (lambda X: X.assign_coords(f=X["f"] + 100), "on an axis from 92 to 108 kHz"),
        (lambda X: X.assign_coords(f=np.sinh(X["f"])), "without equal steps"),
        (lambda X: X.isel(f=slice(40)), "expecting 80 features"),
        (lambda X: X.isel(y=0, drop=True).values[:, :1], "got channels 0"),
    ],
)
def test_other_channels_than_the_fitted_are_refused(named, change, told):
    m = ss.ShiftVAE(n_latent=1, epochs=1).fit(named)
    with pytest.raises((ss.ShapeshiftError, ValueError), match=told):
        m.posterior(change(named))


def test_what_are_no_channels_is_refused(named):
    with pytest.raises(ss.ShapeshiftError, match="got 40 channels, needed 2 to 16"):
        ss.ShiftVAE().fit(np.zeros((5, 40, 30)))
    dead = named.copy()
    dead[..., 1, :] = np.nan
    with pytest.raises(ss.ShapeshiftError, match="got channel 'phase' without a single number"):
        ss.ShiftVAE().fit(dead)
    single = ss.ShiftVAE(epochs=1).fit(named.isel(channel=0))
    with pytest.raises(ss.ShapeshiftError, match="fitted with one"):
        single.posterior(named)
    with pytest.raises(ss.ShapeshiftError, match="no graph here can hold"):
        ss.ShiftVAE(epochs=1).fit(named).export("m.onnx")


def test_channels_that_are_not_in_memory_are_refused(named):
    with pytest.raises(ss.ShapeshiftError, match="load"):
        ss.ShiftVAE(epochs=1).fit(named.chunk({"y": 2}))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(2, 9), st.integers(1, 4), st.integers(0, 2**31))
def test_what_is_laid_on_a_line_is_parted_again(count, length, n, seed):
    rng = np.random.default_rng(seed)
    lanes = Lanes(
        tuple("abcde"[:count]),
        Axis(np.arange(length) * 0.5 + 3),
        rng.normal(size=count),
        rng.uniform(0.1, 9, count),
    )
    values = rng.normal(size=(n, count, length))
    line = lanes.laid(values)
    assert line.shape[1] == len(lanes.line.values)
    assert np.isnan(line).sum() == n * (count - 1) * length
    np.testing.assert_allclose(lanes.parted(line), values, atol=1e-12)
    assert lanes.line.step == pytest.approx(lanes.axis.step)
    assert lanes.line.centre == pytest.approx(lanes.axis.centre)


def test_doubts_are_of_all_channels_and_what_knows_one_channel_says_so(both):
    X = measured(100, 9)[0]
    p = both.posterior(X)
    assert not [d for d in ss.analysis.doubts(both, X, p) if "misfit" in str(d)]
    wrong = X.copy()
    wrong[:, 1] += 30 * np.sin(AXIS * 2)
    assert both.posterior(wrong).flagged("misfit").mean() > 0.9
    for call in (
        lambda: ss.compare(X),
        lambda: ss.analysis.calibrate(both, X),
        lambda: ss.plot.manifold(both),
    ):
        with pytest.raises(ss.ShapeshiftError, match="several channels"):
            call()
