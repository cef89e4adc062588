"""Signals whose gain and baseline are their own: fitted as if those were known, and kept in files."""

import numpy as np
import pytest

import shapeshift as ss
from shapeshift.data.families import Family, Range

NOISE = 0.03


def line(u, p):
    return np.exp(-((u / p["width"]) ** 2) / 2)


FAMILY = Family("line", (-12.0, 12.0, 128), line, {"width": Range(0.5, 1.2)}, Range(-5, 5), Range(1, 1.001))


def measured(clean, seed):
    """Signals with gains over a factor of 20, slopes, and noise; and the gains (n,)."""
    rng, u = np.random.default_rng(seed), np.linspace(-1, 1, clean.shape[1])
    gain = 20 ** rng.uniform(0, 1, (len(clean), 1))
    slope = rng.normal(size=(len(clean), 3)) @ np.stack([1 + 0 * u, 3 * u, u**2])
    return gain * clean + slope + NOISE * rng.normal(size=clean.shape), gain[:, 0]


@pytest.fixture(scope="module")
def fitted():
    rng, n, x = np.random.default_rng(0), 800, FAMILY.grid()
    clean = FAMILY.values(x, rng.uniform(-5, 5, n), {"width": rng.uniform(0.5, 1.2, n)})
    values, gain = measured(clean, 1)
    model = ss.ShiftVAE(2, nuisance=("gain", "baseline"), epochs=50).fit(values, x=x)
    return model, values, gain


def test_moves_are_told_nearly_at_the_bound_of_known_shape_gain_and_baseline(fitted):
    model, _, _ = fitted
    rng, n, x = np.random.default_rng(5), 600, FAMILY.grid()
    width, at, to = rng.uniform(0.5, 1.2, n), *rng.uniform(-5, 5, (2, n))
    square, error, z = 0.0, 0.0, 0.0
    for k, place in enumerate((at, to)):
        values, gain = measured(FAMILY.values(x, place, {"width": width}), 10 + k)
        p = model.posterior(values)
        square = square + FAMILY.bound(x, place, {"width": width}, NOISE / gain) ** 2
        error, z = p.shift - place - error, z + p.shift_sd**2
    assert np.sqrt(np.mean(error**2) / np.mean(square)) < 1.25
    z = error / np.sqrt(z)
    assert 0.62 < np.mean(np.abs(z) < 1) < 0.75


def test_gains_are_those_that_were_applied(fitted):
    model, values, gain = fitted
    p = model.posterior(values)
    assert np.corrcoef(p.gain, gain)[0, 1] > 0.95
    assert np.corrcoef(np.log(p.gain), np.log(gain))[0, 1] > 0.95
    per = p.gain / gain
    assert abs(np.median(np.abs(per / np.median(per) - 1))) < 0.05
    assert (p.gain_sd > 0).all()


def test_signals_are_their_gain_times_the_pattern_and_a_baseline(fitted):
    model, values, _ = fitted
    p = model.posterior(values)
    rest = model.reconstruct(values) - p.gain[:, None] * model.generate(p.z, shift=p.shift)
    u = np.linspace(-1, 1, values.shape[1])
    powers = np.stack([u**k for k in range(3)], 1)
    left = rest - (powers @ np.linalg.lstsq(powers, rest.T, rcond=None)[0]).T
    assert np.abs(left).max() < 1e-3 * np.ptp(values)
    assert abs((model.reconstruct(values) - values).std() / NOISE - 1) < 0.15


@pytest.mark.parametrize("refine", [True, False])
def test_files_keep_it_to_the_bit(fitted, tmp_path, refine):
    model, values, _ = fitted
    model.save(tmp_path / "m.safetensors")
    again = ss.load(tmp_path / "m.safetensors")
    assert again.nuisance_ == model.nuisance_ == ("gain", "baseline")
    p, q = (m.posterior(values[:100], refine=refine) for m in (model, again))
    for name in (
        "shift",
        "shift_sd",
        "z",
        "z_sd",
        "noise_sd",
        "log_evidence",
        "gain",
        "gain_sd",
        "rival_shift",
    ):
        assert np.array_equal(getattr(p, name), getattr(q, name), equal_nan=True), name
    assert np.array_equal(p.flags, q.flags)


def test_what_a_signal_has_of_its_own_moves_nothing(fitted):
    model, values, _ = fitted
    u = np.linspace(-1, 1, values.shape[1])
    p, q = model.posterior(values[:60]), model.posterior(6 * values[:60] + 50 - 20 * u + 30 * u**2)
    assert np.abs((p.shift - q.shift) / p.shift_sd).max() < 0.1
    assert np.allclose(q.gain, 6 * p.gain, rtol=0.01)
    assert np.allclose(q.noise_sd, 6 * p.noise_sd, rtol=0.01)
