"""Each doubt is raised by what it is about, keeps silent otherwise, and gives its numbers."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from shapeshift import ShapeshiftError
from shapeshift.analysis.calibration import Calibration
from shapeshift.analysis.doubts import Doubt, doubts
from shapeshift.fit.posterior import Posterior

N, LENGTH, STEP, NOISE = 400, 101, 0.1, 0.02


@dataclass
class Fit:
    """What doubts ask of a model: an axis in steps of 0.1 nm, a prior, and how training ended."""

    shift_sd_: float = 1.5
    converged_: bool = True
    stopped: str = "finished"
    axis_: np.ndarray = field(default_factory=lambda: STEP * np.arange(LENGTH))

    @property
    def history_(self):
        return SimpleNamespace(stopped=self.stopped, to_frame=lambda: [0] * 12)


def posterior(*, spread=1.0, bar=0.05, used=2, **marks):
    """A sound posterior, but for the flags of the first signals: `ambiguous=3` marks three."""
    rng = np.random.default_rng(0)
    shift = spread * np.linspace(-1.7, 1.7, N)
    wide = np.arange(2) < used
    flags = [";".join(code for code, k in sorted(marks.items()) if i < k) for i in range(N)]
    return Posterior(
        shift=shift,
        shift_sd=np.full(N, bar),
        z=rng.normal(size=(N, 2)) * np.where(wide, 1.0, 0.01),
        z_sd=np.ones((N, 2)) * np.where(wide, 0.1, 1.0),
        noise_sd=np.full(N, NOISE),
        log_evidence=np.zeros(N),
        flags=np.array(flags),
        rival_shift=np.full(N, np.nan),
        gain=np.ones(N),
        gain_sd=np.zeros(N),
        axis_name="wavelength",
        axis_units="nm",
    )


def signals(noise=NOISE):
    return noise * np.random.default_rng(1).normal(size=(N, LENGTH))


def raised(m=None, p=None, *, X=None, calibration=None):
    found = doubts(m or Fit(), signals() if X is None else X, p or posterior(), calibration=calibration)
    return {d.code: d for d in found}


def test_a_sound_fit_raises_none():
    assert raised() == {}


@pytest.mark.parametrize(
    ("fit", "code", "severity"),
    [
        (Fit(converged_=False), "not-converged", "stop"),
        (Fit(converged_=False, stopped="not finite"), "not-finite", "stop"),
        (Fit(converged_=False, stopped="interrupted"), "interrupted", "look"),
    ],
)
def test_a_fit_that_did_not_end_well_is_told(fit, code, severity):
    assert raised(fit)[code].severity == severity


def test_a_stop_by_hand_tells_how_far_it_came():
    assert (
        "stopped by hand after 12 epochs" in raised(Fit(False, stopped="interrupted"))["interrupted"].sentence
    )


def test_an_unused_latent_tells_the_number_of_shape_factors():
    told = raised(p=posterior(used=1))["collapsed"]
    assert told.severity == "note"
    assert told.sentence.startswith("1 of 2 latents carries shape: these data have one shape factor")


def test_no_latent_in_use_is_more_than_a_note():
    told = raised(p=posterior(used=0))["collapsed"]
    assert told.severity == "look"
    assert "None of the 2 latents" in told.sentence


@pytest.mark.parametrize("code", ["ambiguous", "faint"])
def test_flags_are_counted_and_weighed(code):
    few, many = raised(p=posterior(**{code: 2}))[code], raised(p=posterior(**{code: 20}))[code]
    assert (few.severity, many.severity) == ("note", "look")
    assert "2 of 400 signals (0.5 %)" in few.sentence
    assert "20 of 400 signals (5.0 %)" in many.sentence
    assert f"flagged '{code}'" in many.sentence


def test_a_code_is_not_found_inside_another():
    p = posterior()
    p.flags[:50] = "unambiguous"
    assert raised(p=p) == {}


def test_a_narrow_prior_is_told_with_a_wider_one():
    told = raised(Fit(shift_sd_=0.5))["narrow-prior"].sentence
    beyond = int((np.abs(np.linspace(-1.7, 1.7, N)) > 1.25).sum())
    assert f"{beyond} of 400 signals" in told
    assert "(sd 0.5 nm)" in told
    assert float(told.rsplit("shift_sd=")[1].rstrip(".")) > 0.95


def test_signals_at_the_edge_are_told():
    assert raised(p=posterior(edge=1))["edge"].severity == "note"
    assert "20 of 400" in raised(p=posterior(edge=20))["narrow-prior"].sentence


def test_less_than_a_sample_is_hardly_a_shift():
    told = raised(p=posterior(spread=0.05, bar=0.004))["hardly-shift"].sentence
    assert told.startswith("These data hardly shift: the sd of their shifts is 0.0531 nm (0.53 samples)")
    assert "13 times their error bars" in told


def test_less_than_the_error_bars_is_hardly_a_shift():
    told = raised(p=posterior(spread=1.0, bar=0.9))["hardly-shift"].sentence
    assert "Do not read the shifts as a finding" in told
    assert "median error bar 0.9 nm" in told


def test_a_prior_is_narrow_by_right_where_nothing_shifts():
    assert set(raised(Fit(shift_sd_=0.01), posterior(spread=0.05, bar=0.004, edge=20))) == {"hardly-shift"}


def test_shifts_over_most_of_the_axis_are_told():
    told = raised(Fit(shift_sd_=4.0), posterior(spread=2.0))["wide-shift"].sentence
    assert told.startswith("Shifts span 67 % of the axis (98 % of them from -3.33 to 3.33 nm)")
    assert "wide-shift" not in raised(Fit(shift_sd_=4.0), posterior(spread=1.4))


def test_lost_signals_do_not_hide_that_nothing_shifts():
    p = posterior(spread=0.02, bar=0.004, ambiguous=10)
    p.shift[:10] = 30.0
    assert "hardly-shift" in raised(p=p)


def test_without_the_warp_nothing_is_said_of_shifts():
    p = posterior(spread=0.0, bar=0.0, ambiguous=40, edge=40, faint=40)
    assert raised(Fit(shift_sd_=0.0), p) == {}


def test_structure_left_over_is_told():
    told = raised(X=signals(NOISE / 3))["misfit"]
    assert told.severity == "look"
    assert "residuals are 3" in told.sentence


def test_structure_in_all_is_not_blamed_on_one():
    told = raised(X=signals(NOISE / 3), p=posterior(misfit=1))["misfit"].sentence
    assert "median of all" in told


def test_a_few_odd_signals_are_named():
    told = raised(p=posterior(misfit=2))["misfit"]
    assert told.severity == "note"
    assert told.sentence.endswith("check signals 0, 1.")
    assert raised(p=posterior(misfit=20))["misfit"].severity == "look"


def test_signals_without_noise_can_be_judged():
    assert raised(X=np.tile(np.linspace(0, 1, LENGTH), (N, 1))) == {}


@pytest.mark.parametrize(
    ("coverage", "says"),
    [
        ((0.5, 0.8), "too narrow"),
        ((0.9, 0.999), "too wide"),
        ((0.8, 0.85), "uneven"),
        ((0.68, 0.88), "too narrow"),
    ],
)
def test_dishonest_error_bars_are_told(coverage, says):
    c = Calibration(coverage[0], coverage[1], 1.0, 0.0, 0.0, 700)
    told = raised(calibration=c)["coverage"].sentence
    assert says in told
    assert f"in {100 * coverage[0]:.0f} %" in told
    assert "700 signals" in told


def test_honest_error_bars_are_not_doubted():
    c = Calibration(0.66, 0.94, 1.0, 0.0, 0.0, 700)
    assert raised(calibration=c) == {}


def test_the_gravest_come_first():
    found = doubts(Fit(converged_=False), signals(), posterior(used=1, ambiguous=40))
    assert [d.severity for d in found] == ["stop", "look", "note"]
    assert all(isinstance(d, Doubt) for d in found)


def test_maps_are_taken_as_they_are():
    assert doubts(Fit(), signals().reshape(20, 20, LENGTH), posterior()) == ()


def test_another_set_of_signals_is_refused():
    with pytest.raises(ShapeshiftError, match="got 10 signals and the posterior of 400"):
        doubts(Fit(), signals()[:10], posterior())


@pytest.mark.parametrize(
    ("leak", "back", "n", "codes"),
    [
        (0.0, 0.0, 1000, set()),
        (0.019, 0.09, 1000, set()),
        (0.03, 0.0, 1000, {"leak"}),
        (0.0, 0.3, 1000, {"leak-back"}),
        (0.0, 0.3, 50, set()),  # within the error of so few
        (0.0, None, 1000, set()),
    ],
)
def test_leaks_are_told_beyond_what_can_be_neglected(leak, back, n, codes):
    found = raised(calibration=Calibration(0.68, 0.95, 1.0, 0.0, leak, n, back))
    assert set(found) == codes
    for doubt in found.values():
        assert doubt.severity == "look"
        assert f"{100 * max(leak, back or 0):.2g} %" in doubt.sentence
