"""Every figure says what it shows, draws where it is told, and leaves matplotlib as it found it."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shapeshift import ShapeshiftError
from shapeshift.analysis.baselines import pca
from shapeshift.fit.property import Property
from shapeshift.show import labels, plots, style
from shapeshift.show.figures_manifold import inhabited
from shapeshift.show.tiles import tiles


class Cal:
    coverage68, coverage95, efficiency, n = 0.69, 0.94, 1.04, 500


FIGURES = {
    "signals": lambda X, p, m, **ax: plots.signals(X, **ax),
    "sequence": lambda X, p, m, **ax: plots.sequence(p, **ax),
    "latent": lambda X, p, m, **ax: plots.latent(p, **ax),
    "manifold": lambda X, p, m, **ax: plots.manifold(m, 5, **ax),
    "calibration": lambda X, p, m, **ax: plots.calibration(Cal(), **ax),
    "map": lambda X, p, m, **ax: plots.map(p, **ax),
    "alignment": lambda X, p, m: plots.alignment(X, m.align(X), p),
    "heatmap": lambda X, p, m: plots.heatmap(X, m.align(X), p),
    "residuals": lambda X, p, m: plots.residuals(X, m.reconstruct(X), p),
    "shift_histogram": lambda X, p, m: plots.shift_histogram(p),
    "loss": lambda X, p, m: plots.loss(m),
    "components": lambda X, p, m: plots.components(pca(X, 5)),
    "against_truth": lambda X, p, m: plots.against_truth(p, p.shift + 0.01),
    "latents_against": lambda X, p, m: plots.latents_against(
        p, {"width (eV)": p.z[:, 0], "shift (eV)": p.shift}
    ),
    "property": lambda X, p, m, **ax: plots.property(
        Property().fit(p.z, p.z[:, 0] + 50 * p.z[:, 1] ** 2), name="gap", units="eV", **ax
    ),
}
ONE_AXES = ["signals", "sequence", "latent", "manifold", "calibration", "map", "property"]


def drawn(name, case, **ax):
    return FIGURES[name](*case, **ax)


def settings():
    # asking for the backend would choose one
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}


@pytest.fixture(autouse=True)
def matplotlib_is_left_as_it_was():
    before = settings()
    yield
    assert settings() == before


def texts(figure):
    return " ".join(
        t for ax in figure.findobj(Axes) for t in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left"))
    )


@pytest.mark.parametrize("name", FIGURES)
def test_every_axes_is_labelled(name, map_case):
    figure = drawn(name, map_case)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    for ax in figure.axes:
        colour_bar = ax.get_label() == "<colorbar>"
        shared_x = any(a.get_xlabel() for a in ax.get_shared_x_axes().get_siblings(ax))
        shared_y = any(a.get_ylabel() for a in ax.get_shared_y_axes().get_siblings(ax))
        assert shared_x or colour_bar, f"{name}: an axes without a label along x"
        assert shared_y or (colour_bar and ax.get_xlabel()), f"{name}: an axes without a label along y"


@pytest.mark.parametrize(
    "name", ["alignment", "heatmap", "shift_histogram", "map", "against_truth", "signals", "property"]
)
def test_the_units_of_the_axis_are_told(name, map_case):
    assert "(eV)" in texts(drawn(name, map_case))


def test_a_map_lies_at_its_place(map_case):
    ax = plots.map(map_case[1]).axes[0]
    assert ax.get_images()[0].get_extent() == pytest.approx([-0.25, 3.75, -0.25, 2.75])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (µm)", "y (µm)")
    assert np.array_equal(ax.get_images()[0].get_array(), map_case[1].shift.reshape(6, 8))


@pytest.mark.parametrize("name", ONE_AXES)
def test_axes_that_are_given_are_drawn_in(name, map_case):
    figure = Figure()
    ax = figure.add_subplot(1, 2, 1)
    assert drawn(name, map_case, ax=ax) is figure
    assert ax.has_data() or ax.collections


def test_axes_in_a_subfigure_give_the_whole_figure(case):
    figure = Figure()
    ax = figure.subfigures(1, 2)[1].add_subplot()
    assert plots.latent(case[1], ax=ax) is figure


def test_pyplot_knows_nothing_of_the_figures(case):
    drawn("alignment", case)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_alignment_brings_the_mean_up(case):
    X, p, m = case
    before, after = (ax.lines[0].get_ydata() for ax in plots.alignment(X, m.align(X), p).axes[:2])
    assert np.nanmax(after) > 1.3 * np.nanmax(before)


def test_the_heat_map_is_sorted_by_shift(case):
    X, p, m = case
    rows = plots.heatmap(X, m.align(X), p).axes[0].get_images()[0].get_array()
    peaks = m.axis_[np.asarray(rows).argmax(1)]
    assert np.corrcoef(peaks, np.sort(p.shift))[0, 1] > 0.99


def test_pure_noise_has_residuals_of_one_noise_sd(case):
    X, p, m = case
    legend = plots.residuals(X, m.reconstruct(X), p).axes[1].get_legend()
    assert "rms 1.0" in legend.get_texts()[0].get_text()


def test_truth_may_have_another_zero(case):
    figure = plots.against_truth(case[1], case[1].shift + 5)
    assert "zero moved by +5" in figure.axes[0].get_title("left")
    left = figure.axes[1].lines[0].get_ydata()
    assert np.abs(left).max() < 1e-9


def test_a_vector_file_keeps_its_text_and_its_bytes(case, tmp_path):
    for name in ("a.svg", "b.svg"):
        plots.save(plots.latent(case[1]), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "z1 (prior sd)" in (tmp_path / "a.svg").read_text()


def test_numbers_keep_their_size_outside_the_style(case):
    figure = plots.latent(case[1])
    figure.draw_without_rendering()
    assert {t.get_size() for t in figure.axes[0].get_xticklabels()} == {7.0}


def test_a_dollar_sign_in_a_name_starts_no_formula(case):
    X, _, _ = case
    figure = plots.signals(X.rename(energy=r"$\nosuch$"))
    figure.draw_without_rendering()


def test_one_latent_is_drawn_against_the_shift(case):
    p = case[1]
    ax = plots.latent(replace(p, z=p.z[:, :1], z_sd=p.z_sd[:, :1])).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("shift (eV)", "z1 (prior sd)")


def test_axis_without_units_says_what_a_shift_is_counted_in(case):
    p = replace(case[1], axis_name="frequency bin", axis_units="")
    assert labels.shift_label(p) == "shift (units of frequency bin)"


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda X, p: plots.map(p), "a map of two"),
        (
            lambda X, p: plots.sequence(p, "colour"),
            "shift, shift_sd, gain, gain_sd, noise_sd, log_evidence, z1, z2",
        ),
        (lambda X, p: plots.latent(p, np.zeros(3)), "got 3 numbers for the colour, needed 40"),
        (lambda X, p: plots.against_truth(p, np.zeros(3)), "got 3 known shifts, needed 40"),
        (lambda X, p: plots.latents_against(p, {"width": np.zeros(3)}), "got 3 values of 'width', needed 40"),
        (lambda X, p: plots.signals(np.zeros(4)), "signals as rows"),
        (lambda X, p: plots.signals(X, x=np.zeros(4)), "one number for each of the 80 samples"),
    ],
)
def test_what_cannot_be_drawn_says_why(draw, says, case):
    with pytest.raises(ShapeshiftError, match=says):
        draw(*case[:2])


def test_sizes_are_those_of_a_journal(map_case):
    for name in FIGURES:
        assert drawn(name, map_case).get_figwidth() <= style.DOUBLE + 1e-9


def test_curves_that_no_signal_stands_for_are_told_apart() -> None:
    drawn = xr.DataArray(np.zeros((3, 3, 5)), dims=["z2", "z1", "x"])
    drawn = drawn.assign_coords(z1=[-1.0, 0.0, 1.0], z2=[-1.0, 0.0, 1.0])
    sharp = SimpleNamespace(z=np.array([[1.5, -1.2]]), z_sd=np.array([[0.1, 0.1]]))
    assert inhabited(drawn, sharp).tolist() == [[False, False, True], [False] * 3, [False] * 3]
    unused = SimpleNamespace(z=np.array([[1.5, 0.1]]), z_sd=np.array([[0.1, 1.0]]))  # z2 has collapsed
    assert inhabited(drawn, unused).all(axis=0).tolist() == [False, False, True]
    far = SimpleNamespace(z=np.array([[9.0, 9.0]]), z_sd=np.array([[0.1, 0.1]]))
    assert inhabited(drawn, far).all()  # rather than an empty picture


def test_pale_curves_do_not_set_the_scale() -> None:
    values = np.zeros((1, 2, 4))
    values[0, 0] = [0, 1, 2, 1]
    values[0, 1] = [0, 50, 100, 50]
    strong = np.array([[True, False]])
    assert tiles(style.sheet().add_subplot(), values, np.arange(4.0), strong=strong) == (0, 2)


@pytest.mark.parametrize(("factor", "name"), [(2, "Normalize"), (300, "LogNorm")])
def test_maps_of_error_bars_that_span_decades_are_logarithmic(factor: float, name: str, map_case) -> None:
    p = map_case[1]
    p = replace(p, shift_sd=np.geomspace(0.01, 0.01 * factor, len(p.shift)))
    (image,) = plots.map(p, "shift_sd").axes[0].images
    assert type(image.norm).__name__ == name


def test_a_property_of_one_latent_is_a_curve_and_of_two_a_plane():
    z = np.random.default_rng(0).normal(size=(80, 2))
    curve = plots.property(Property().fit(z, np.sin(z[:, 0])), name="gap").axes
    plane = plots.property(Property().fit(z, np.sin(z[:, 0]) * z[:, 1]), name="gap").axes
    assert [ax.get_xlabel() for ax in (curve[0], plane[0])] == ["z1 (prior sd)"] * 2
    assert (curve[0].get_ylabel(), plane[0].get_ylabel()) == ("gap", "z2 (prior sd)")
    assert (len(curve), len(plane)) == (1, 2)  # the plane has a colour bar


def test_a_property_that_is_not_fitted_is_not_drawn():
    with pytest.raises(ShapeshiftError, match="call fit"):
        plots.property(Property())
