"""Hard variants: drawn as they say, and bounds that an ideal estimator reaches and none beats."""

import numpy as np
import pytest

from shapeshift.data.families import FAMILIES
from shapeshift.data.noises import Counts, Spiked, White
from shapeshift.data.variants import VARIANTS, LogRange, Variant, triples, variant_sample, window


def unknowns(variant):
    """Names of what the ideal estimator has to find beside the shift."""
    shapes = [name for family in variant.phases for name in family.params] if variant.shape_unknown else []
    return [*variant.linear, *shapes]


def derivatives(variant, x, shift, truth):
    """Of the mean by shift and unknowns (n, k, P), by central differences of the mean itself."""
    h = 1e-4
    out = [(variant.mean(x, shift + h, truth) - variant.mean(x, shift - h, truth)) / (2 * h)]
    for name in unknowns(variant):
        up, down = ({**truth, name: truth[name] + s} for s in (h, -h))
        out.append((variant.mean(x, shift, up) - variant.mean(x, shift, down)) / (2 * h))
    return np.stack(out, 1)


def score(noise, y, mean, sd):
    """d log p / d mean (n, P)."""
    if isinstance(noise, Counts):
        return (y - mean) / mean
    e = (y - mean) / sd
    if isinstance(noise, White):
        return e / sd
    h = 1e-4
    return -(np.log(noise.density(e + h)) - np.log(noise.density(e - h))) / (2 * h * sd)


def maximum_likelihood(variant, x, y, shift, truth, steps=8):
    """Shifts (n,) by Fisher scoring, begun at the truth; `unknowns` are found along with them."""
    at, shift, names = dict(truth), shift.copy(), unknowns(variant)
    sd = truth["noise"][:, None]
    for _ in range(steps):
        mean = variant.mean(x, shift, at)
        mean = np.maximum(mean, 1e-3) if isinstance(variant.noise, Counts) else mean
        J = derivatives(variant, x, shift, at)
        F = np.einsum("nip,np,njp->nij", J, variant.noise.information(mean, sd), J)
        g = np.einsum("nip,np->ni", J, score(variant.noise, y, mean, sd))
        step = np.linalg.solve(F + 1e-9 * np.eye(len(F[0])), g[..., None])[..., 0]
        shift = shift + np.clip(step[:, 0], -0.2, 0.2)
        for j, name in enumerate(names):
            at[name] = at[name] + step[:, 1 + j]
            if name in ("gain", "width"):
                at[name] = np.clip(at[name], 0.5 * truth[name], 2 * truth[name])
    return shift


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_an_ideal_estimator_reaches_the_bound(name):
    variant = VARIANTS[name]
    t = triples(variant, 3000, seed=1)
    x = t.first.x.values
    found = [
        maximum_likelihood(variant, x, X.values, shift, t.truth)
        for X, shift in ((t.first, t.shift_first), (t.second, t.shift_second))
    ]
    error = found[1] - found[0] - t.moved
    tolerance = 0.08 if name == "edge" else 0.04  # cut features are not quite linear
    assert np.sqrt(np.mean(error**2) / np.mean(t.bound**2)) == pytest.approx(1, abs=tolerance)


def test_where_only_the_shape_varies_the_bound_is_the_matched_filter():
    family = FAMILIES["fano"]
    t = triples(Variant("fano", (family,)), 20, seed=0)
    x, shapes = t.first.x.values, {"q": t.truth["q"]}
    sides = [family.bound(x, s, shapes, t.truth["noise"]) for s in (t.shift_first, t.shift_second)]
    assert t.bound == pytest.approx(np.hypot(*sides))


@pytest.mark.parametrize("noise", [White(), Counts(), Spiked()])
def test_information_is_the_mean_squared_score(noise):
    rng, mean, sd = np.random.default_rng(0), np.full((200, 2000), 7.0), np.full((200, 1), 0.3)
    y = noise.draw(mean, sd, rng)
    assert np.mean(score(noise, y, mean, sd) ** 2) == pytest.approx(
        noise.information(mean, sd)[0, 0], rel=0.02
    )


def test_the_density_of_spiked_noise_is_one():
    e = np.linspace(-80, 80, 200_001)
    assert np.trapezoid(Spiked().density(e), e) == pytest.approx(1, abs=1e-6)


def test_what_is_not_known_of_the_baseline_costs_accuracy():
    variant = VARIANTS["gain"]
    t = triples(variant, 200, seed=0)
    known = variant.phases[0].bound(
        t.first.x.values, t.shift_first, {k: t.truth[k] for k in ("width", "mixing")}, t.truth["noise"]
    )
    projected = variant.bound(t.first.x.values, t.shift_first, t.truth)
    assert (projected >= 0.999999 * known / t.truth["gain"]).all()


def test_the_baseline_stands_still():
    variant = VARIANTS["gain"]
    rng = np.random.default_rng(0)
    truth, x = variant.draw(rng, 50), variant.grid()
    a, b = (variant.mean(x, np.full(50, s), truth) for s in (-5.0, 5.0))
    moved = truth["gain"][:, None] * (
        variant.pattern(x, np.full(50, -5.0), truth) - variant.pattern(x, np.full(50, 5.0), truth)
    )
    assert a - b == pytest.approx(moved, abs=1e-12)
    assert window(x)[[0, -1]].tolist() == [-1, 1]


def test_half_of_the_features_leave_the_window():
    variant = VARIANTS["edge"]
    rng = np.random.default_rng(0)
    truth, shift = variant.draw(rng, 4000), variant.place(rng, 4000)
    seen, whole = (
        (variant.phases[0].slope(x, shift, {"width": truth["width"]}) ** 2).sum(1)
        for x in (variant.grid(), np.arange(-40, 40, 24 / 127))
    )
    assert np.mean(seen < 0.9 * whole) == pytest.approx(0.5, abs=0.05)
    t = triples(variant, 500, seed=0)
    assert (t.bound < np.sqrt(2) * 24 / 127).all()
    assert (np.abs(t.shift_first) > 11).any()  # some of the pairs are cut


def test_variants_are_what_their_names_say():
    counts, truth = variant_sample(VARIANTS["counts"], 500, seed=0)
    assert (counts.values % 1 == 0).all()
    assert 5 <= truth["gain"].min() < 8
    assert 150 < truth["gain"].max() < 200
    spikes, truth = variant_sample(VARIANTS["spikes"], 500, seed=0)
    assert np.mean(np.abs(spikes.values - 0.6) > 1.0) > 0.002
    _, truth = variant_sample(VARIANTS["gain"], 2000, seed=0)
    assert truth["gain"].max() / truth["gain"].min() == pytest.approx(20, rel=0.05)
    _, truth = variant_sample(VARIANTS["still"], 10, seed=0)
    assert (truth["shift"] == 0).all()
    _, truth = variant_sample(VARIANTS["two-phase"], 500, seed=0)
    assert float(truth["phase"].mean()) == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_signals():
    a, b, c = (triples(VARIANTS["spikes"], 5, seed=s) for s in (1, 1, 2))
    assert (a.first.values == b.first.values).all()
    assert not (a.first.values == c.first.values).any()
    assert not (a.first.values == a.again.values).any()


def test_log_ranges_are_uniform_in_the_logarithm():
    drawn = LogRange(1, 100).draw(np.random.default_rng(0), 20_000)
    assert np.mean(drawn < 10) == pytest.approx(0.5, abs=0.01)
