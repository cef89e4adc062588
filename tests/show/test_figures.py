"""What a journal asks of every public figure: labels, units, sizes, type to be read, files that last."""

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

import shapeshift as ss
from shapeshift.analysis.baselines import nmf
from shapeshift.show import plots, style
from shapeshift.show.fitting import at_width

TOOLS = {"save", "size", "style"}
SMALLEST = 5.9  # points: what journals print


@dataclass(frozen=True)
class Case:
    """Signals of a map and images, with what is known of each."""

    X: xr.DataArray
    p: Any
    m: Any
    images: xr.DataArray
    turned: Any
    model: Any


@pytest.fixture(scope="module")
def known(map_case) -> Case:
    images = ss.datasets.digits()[0][:40]
    model = ss.ImageVAE(n_latent=2, warps=("rotation", "shift", "scale"), epochs=2).fit(images)
    return Case(*map_case, images, model.posterior(images), model)


@dataclass(frozen=True)
class Cal:
    coverage68: float = 0.69
    coverage95: float = 0.94
    efficiency: float = 1.04
    n: int = 500


def found_property():
    z = np.random.default_rng(0).normal(size=(60, 2))
    return ss.Property().fit(z, np.where(np.arange(60) < 40, z[:, 0] * z[:, 1], np.nan))


def errors(c: Case):
    return c.X + 0.02, xr.full_like(c.X, 0.02)


DRAWN = {
    "against_truth": lambda c: plots.against_truth(c.p, c.p.shift + 0.01),
    "alignment": lambda c: plots.alignment(c.X, c.m.align(c.X), c.p),
    "calibration": lambda c, **ax: plots.calibration(Cal(), **ax),
    "components": lambda c: plots.components(nmf(c.X - c.X.min(), 4)),
    "displacements": lambda c, **ax: plots.displacements(c.turned, **ax),
    "error_bars": lambda c, **ax: plots.error_bars(c.turned, **ax),
    "heatmap": lambda c: plots.heatmap(c.X, c.m.align(c.X), c.p),
    "images": lambda c, **ax: plots.images(c.images, **ax),
    "latent": lambda c, **ax: plots.latent(c.p, **ax),
    "latents_against": lambda c: plots.latents_against(c.p, {"width (eV)": c.p.z[:, 0]}),
    "loss": lambda c: plots.loss(c.m),
    "manifold": lambda c, **ax: plots.manifold(c.m, p=c.p, **ax),
    "map": lambda c, **ax: plots.map(c.p, neutral=0.0, **ax),
    "predictions": lambda c, **ax: plots.predictions(
        c.p.shift, c.p.shift + 0.01, c.p.shift_sd, name="gap", units="eV", **ax
    ),
    "property": lambda c, **ax: plots.property(found_property(), name="gap", units="eV", **ax),
    "residuals": lambda c: plots.residuals(c.X, c.m.reconstruct(c.X), c.p),
    "rotations": lambda c, **ax: plots.rotations(c.turned, **ax),
    "scales": lambda c, **ax: plots.scales(c.turned, **ax),
    "sequence": lambda c, **ax: plots.sequence(c.p, **ax),
    "shift_histogram": lambda c: plots.shift_histogram(c.p),
    "signals": lambda c, **ax: plots.signals(c.X, **ax),
    "views": lambda c: plots.views(c.images, c.images, c.images, c.turned),
}
# the same functions, of other things
ALSO = {
    "predictions of curves": lambda c: plots.predictions(c.X.stack(at=("y", "x")).T, *(
        e.stack(at=("y", "x")).T for e in errors(c))),
    "predictions of images": lambda c: plots.predictions(c.images, c.images + 1.0, c.images * 0 + 1.0),
    "manifold of images": lambda c: plots.manifold(c.model, 5, p=c.turned),
    "latent of images": lambda c: plots.latent(c.turned, "rotation"),
    "map of the gain": lambda c: plots.map(c.p, "gain"),
    "against a far truth": lambda c: plots.against_truth(c.p, -1234.5 * c.p.shift - 0.00211),
    "predictions far off": lambda c: plots.predictions(c.p.shift, -1234.5 * c.p.shift, c.p.shift_sd),
}  # fmt: skip
# what the labels must say, where the data have units
UNITS = {
    "against_truth": "(eV)", "alignment": "energy (eV)", "components": "energy (eV)",
    "heatmap": "energy (eV)",
    "displacements": "(pixel)", "images": "(pixel)", "latent": "shift (eV)", "latents_against": "width (eV)",
    "manifold": "energy (eV)", "map": "shift (eV)", "predictions": "gap (eV)", "property": "gap (eV)",
    "residuals": "energy (eV)", "rotations": "(degree)", "sequence": "shift (eV)",
    "shift_histogram": "shift (eV)", "signals": "energy (eV)", "views": "(pixel)", "error_bars": "(pixel)",
    "predictions of curves": "energy (eV)", "predictions of images": "(pixel)", "map of the gain": "x (µm)",
}  # fmt: skip
EVERY = DRAWN | ALSO


# several panels whose type has no room in one column
FOR_TWO_COLUMNS = {"residuals", "shift_histogram", "views", "predictions of images"}


def test_every_public_figure_is_looked_at_here() -> None:
    assert set(DRAWN) | TOOLS == set(plots.__all__)


def own_axes(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.get_visible()]


def words(figure: Figure) -> str:
    return " ".join(
        text
        for ax in figure.findobj(Axes)
        for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left"), *_legend(ax))
    )


def _legend(ax: Axes) -> list[str]:
    return [t.get_text() for t in ax.get_legend().get_texts()] if ax.get_legend() else []


@pytest.mark.parametrize("name", EVERY)
def test_no_axes_without_labels(name: str, known: Case) -> None:
    figure = EVERY[name](known)
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            assert ax.get_xlabel() or ax.get_ylabel(), f"{name}: a colour bar that says nothing"
            continue
        shared_x = any(a.get_xlabel() for a in ax.get_shared_x_axes().get_siblings(ax))
        shared_y = any(a.get_ylabel() for a in ax.get_shared_y_axes().get_siblings(ax))
        assert not ax.get_visible() or (shared_x and shared_y), f"{name}: an axes without a label"


@pytest.mark.parametrize("name", UNITS)
def test_units_stand_where_the_data_have_some(name: str, known: Case) -> None:
    assert UNITS[name] in words(EVERY[name](known))


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_one_axes_draw_where_they_are_told(name: str, known: Case) -> None:
    takes = "ax" in inspect.signature(getattr(plots, name)).parameters
    assert takes == (len(own_axes(DRAWN[name](known))) == 1) or name == "latents_against"  # one by chance
    if takes:
        figure = Figure(figsize=(4, 3))
        assert DRAWN[name](known, ax=figure.add_subplot()) is figure
        assert figure.axes[0].has_data() or figure.axes[0].collections


def shown_texts(figure: Figure) -> list[Text]:
    """All that is written; tick labels beyond the ends of an axis are made and not drawn."""
    unseen = {id(text) for ax in figure.findobj(Axes) for text in beyond(ax)}
    return [
        t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in unseen
    ]


def beyond(ax: Axes) -> list[Text]:
    out = []
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        reach = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            inside = low - reach <= tick.get_loc() <= high + reach
            out += [] if inside and ax.get_visible() else [tick.label1, tick.label2]
    return out


@pytest.mark.parametrize("column", [None, "single", "double"])
@pytest.mark.parametrize("name", EVERY)
def test_type_is_whole_and_large_enough(name: str, column: Any, known: Case) -> None:
    figure = EVERY[name](known)
    if column == "single" and name in FOR_TWO_COLUMNS:
        with pytest.raises(ss.ShapeshiftError, match="use column='double'"):
            plots.save(figure, BytesIO(), column=column)
        return
    with at_width(figure, plots.size(column)[0] if column else figure.get_figwidth()):
        figure.draw_without_rendering()
        for text in shown_texts(figure):
            assert text.get_fontsize() >= SMALLEST, f"{name}: {text.get_text()!r} is too small"
            assert inside(figure, text), f"{name}: {text.get_text()!r} is cut"


def inside(figure: Figure, text: Text) -> bool:
    edges, box = figure.bbox.padded(2), text.get_window_extent()
    across, up = (edges.x0, box.x0, box.x1, edges.x1), (edges.y0, box.y0, box.y1, edges.y1)
    return list(across) == sorted(across) and list(up) == sorted(up)


OF_SIGNALS = ["against_truth", "alignment", "heatmap", "latent", "manifold", "residuals", "sequence",
              "shift_histogram", "signals"]  # fmt: skip


@pytest.mark.parametrize("name", OF_SIGNALS)
def test_long_names_fit_too(name: str, known: Case) -> None:
    long = "wavelength of light"
    X, p = known.X.rename(energy=long), replace(known.p, axis_name=long, axis_units="")
    m = replace(known.m, axis_name_=long, axis_units_="")
    test_type_is_whole_and_large_enough(name, None, replace(known, X=X, p=p, m=m))


@pytest.mark.parametrize("name", EVERY)
def test_numbers_along_an_axis_do_not_touch(name: str, known: Case) -> None:
    figure = EVERY[name](known)
    figure.draw_without_rendering()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            unseen = beyond(ax)
            shown = [t for t in axis.get_ticklabels() if t.get_text() and t not in unseen]
            for a, b in pairwise(t.get_window_extent() for t in shown):
                assert not a.overlaps(b), f"{name}: numbers along {axis.get_label_text()!r} touch"


def test_a_figure_fills_one_column_or_both(tmp_path, known: Case) -> None:
    from PIL import Image

    figure = plots.latent(known.p)
    before = tuple(figure.get_size_inches())
    for column, millimetres in (("single", 89), ("double", 183)):
        plots.save(figure, tmp_path / "a.png", column=column)
        with Image.open(tmp_path / "a.png") as drawn:
            assert drawn.width == pytest.approx(millimetres / 25.4 * 200, abs=1)
    assert tuple(figure.get_size_inches()) == before
    for wrong in ({"column": "triple"}, {"format": "docx"}):
        with pytest.raises(ss.ShapeshiftError, match="needed"):
            plots.save(figure, tmp_path / "b.png", **wrong)
    with pytest.raises(ss.ShapeshiftError, match="height over width"):
        plots.size("single", aspect=0)


def test_what_was_broken_for_one_column_is_put_back(known: Case) -> None:
    figure = DRAWN["components"](known)
    before = words(figure)
    with at_width(figure, plots.size("single")[0]):
        assert words(figure) != before
    assert words(figure) == before


def test_a_pdf_holds_its_type_and_no_date(tmp_path, known: Case) -> None:
    plots.save(plots.latent(known.p), tmp_path / "a.pdf")
    written = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in written  # TrueType, that is text
    assert b"/Type3" not in written
    assert b"CreationDate" not in written


WRITE = """
import io, sys, numpy as np, shapeshift as ss
X, _ = ss.synthetic.article(n=9, seed=1)
for kind in ("pdf", "svg", "png"):
    buffer = io.BytesIO()
    ss.plot.save(ss.plot.signals(X), buffer, format=kind)
    print(__import__("hashlib").sha256(buffer.getvalue()).hexdigest())
"""


def test_another_process_writes_the_same_bytes() -> None:
    def run(seed: str) -> str:
        told = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", WRITE], env=told, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run("1") == run("2")


def test_many_marks_are_pixels_in_a_vector_file(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=5000)
    figure = plots.predictions(values, values, np.full(5000, 0.1))
    plots.save(figure, tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_text()
    assert "<image" in written
    assert len(written) < 400_000
    assert "predicted value" in written


MANY = {
    "against_truth": lambda p: plots.against_truth(p, p.shift + 0.01),
    "latent": plots.latent,
    "latents_against": lambda p: plots.latents_against(p, {"width (eV)": p.z[:, 0]}),
    "sequence": plots.sequence,
    "shift_histogram": plots.shift_histogram,
}


@pytest.mark.parametrize("name", MANY)
def test_a_vector_file_of_many_signals_stays_small(name: str, known: Case) -> None:
    rows = np.random.default_rng(0).integers(0, len(known.p.shift), 6000)
    arrays = {k: v[rows] for k, v in vars(known.p).items() if isinstance(v, np.ndarray)}
    written = BytesIO()
    plots.save(MANY[name](replace(known.p, **arrays, places={})), written, format="svg")
    assert b"<image" in written.getvalue()
    assert len(written.getvalue()) < 500_000


def test_the_style_is_lent(known: Case) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with plots.style():
        assert matplotlib.rcParams["font.size"] == 8
        figure = Figure()
        (line,) = figure.add_subplot().plot([0, 1])
        assert tuple(figure.get_size_inches()) == pytest.approx(plots.size("single"))
    assert line.get_color() == style.BLUE
    assert dict(matplotlib.rcParams) == before


def test_a_neutral_value_is_white_and_both_sides_reach_as_far(known: Case) -> None:
    (image,) = plots.map(known.p, neutral=0.5).axes[0].get_images()
    assert image.norm(0.5) == pytest.approx(0.5)
    assert image.cmap(0.5)[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.02)
    with pytest.raises(ss.ShapeshiftError, match="got 3 numbers"):
        plots.map(known.p, np.zeros(3))


def test_numbers_of_ones_own_lie_on_the_map(known: Case) -> None:
    own = xr.DataArray(np.arange(48.0).reshape(6, 8), dims=("y", "x"), name="height", attrs={"units": "nm"})
    figure = plots.map(known.p, own)
    assert figure.axes[1].get_ylabel() == "height (nm)"
    np.testing.assert_array_equal(figure.axes[0].get_images()[0].get_array(), own)
    assert plots.map(known.p, own.values, name="step", units="nm").axes[1].get_ylabel() == "step (nm)"


def test_a_map_keeps_its_proportions_in_units_not_in_pixels(known: Case) -> None:
    wide = replace(known.p, places={"y": np.arange(6) * 0.5, "x": np.arange(8) * 2.0})
    box = plots.map(wide).axes[0]
    assert box.get_aspect() == 1
    assert np.ptp(box.get_xlim()) / np.ptp(box.get_ylim()) == pytest.approx(16 / 3)


def test_predictions_say_how_far_off_they_are() -> None:
    truth = np.linspace(0, 1, 100)
    off = np.where(np.arange(100) < 75, 0.05, 0.2)
    told = plots.predictions(truth, truth + off, np.full(100, 0.1)).axes[0].get_title("left")
    assert told == f"rms error {np.sqrt(np.mean(off**2)):.2g}\n75 % within 1 sd (honest: 68 %)"


def test_predicted_curves_run_from_the_best_to_the_worst() -> None:
    truth = np.zeros((10, 30))
    wrong = np.random.default_rng(0).permutation(10)
    panels = own_axes(plots.predictions(truth, truth + wrong[:, None], n=3))
    assert [ax.get_title("left").split()[-1] for ax in panels] == [
        f"({np.flatnonzero(wrong == level)[0]})" for level in (0, 4, 9)
    ]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda c: plots.predictions(np.zeros(3), np.zeros(4)), r"shapes \(3,\), \(4,\), needed the same"),
        (lambda c: plots.predictions(c.images, c.images, ax=Figure().add_subplot()), "leave ax out"),
        (lambda c: plots.alignment(c.X[:2], c.X[:2], c.p), "got 16 signals and the posterior of 48"),
        (lambda c: plots.signals(c.X.rename(y="channel")), r"X.isel\(channel=0\)"),
        (lambda c: plots.heatmap(c.X.rename(y="channel"), c.X.rename(y="channel"), c.p), "several channels"),
        (lambda c: plots.residuals(*np.zeros((2, 48, 2, 5)), c.p), "of several channels one"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(draw, says: str, known: Case) -> None:
    with pytest.raises(ss.ShapeshiftError, match=says):
        draw(known)


def test_a_scale_bar_has_a_round_length_in_units(known: Case) -> None:
    figure = plots.map(known.p, scale_bar=True)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    (bar,) = ax.lines
    across = np.ptp(bar.get_xdata()) * np.ptp(ax.get_xlim())  # the bar is drawn in shares of the axes
    assert ax.get_xlabel() == "1 µm"
    assert across == pytest.approx(1.0)
    assert ax.get_xticks().size == ax.get_yticks().size == 0
    assert inside(figure, ax.xaxis.label)


def test_a_scale_bar_needs_units(known: Case) -> None:
    class Bare:
        def __getattr__(self, name: str) -> Any:
            return getattr(known.p, name)

        def to_dataset(self) -> xr.Dataset:
            return known.p.to_dataset().drop_vars(["y", "x"])

    with pytest.raises(ss.ShapeshiftError, match=r"needed the same for both"):
        plots.map(Bare(), scale_bar=True)
