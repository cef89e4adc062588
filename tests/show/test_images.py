"""Images from a file to a report: the command line, what it refuses, and figures that say what they show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from typer.testing import CliRunner

import shapeshift as ss
from shapeshift import ShapeshiftError
from shapeshift.analysis.doubts import doubts
from shapeshift.show import labels, plots
from shapeshift.show.cli import app
from shapeshift.show.run import table

N, ROWS, COLUMNS = 60, 10, 12
ROOT = Path(ss.__file__).parents[2]


def made(n: int = N, seed: int = 0) -> np.ndarray:
    """A bar with a dot beside it, turned by up to 40 degrees and displaced by up to 1.5 pixels."""
    rng = np.random.default_rng(seed)
    angle, (down, across) = np.radians(rng.uniform(-40, 40, n)), rng.uniform(-1.5, 1.5, (2, n))
    width = rng.uniform(0.8, 1.4, n)[:, None, None]
    row, column = np.mgrid[:ROWS, :COLUMNS] - np.array([(ROWS - 1) / 2, (COLUMNS - 1) / 2])[:, None, None]
    r, c = row - down[:, None, None], column - across[:, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    u, v = cos * r + sin * c, cos * c - sin * r
    pattern = np.exp(-((u / width) ** 2) - (v / 3) ** 2) + 0.8 * np.exp(-((u + 2) ** 2) - (v - 2) ** 2)
    return pattern + 0.03 * rng.normal(size=pattern.shape)


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images as a file, and the run of a quick fit to them."""
    folder = tmp_path_factory.mktemp("images")
    np.save(folder / "images.npy", made())
    words = "--kind image --warps rotation,shift --epochs 3 --n-latent 2 --encoder conv --format svg --json"
    done = call("fit", folder / "images.npy", "--out", folder / "run", *words.split())
    assert done.exit_code == 0, done.output
    (folder / "stdout.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path):
    return ss.load(folder / "run" / "model.safetensors")


@pytest.fixture(scope="module")
def posterior(model):
    return model.posterior(made())


@pytest.fixture(scope="module")
def of_map(posterior):
    """The posterior of a model with every warp, as of a map of 6 x 10 images; turned to all sides."""
    rng = np.random.default_rng(3)
    given = xr.DataArray(made().reshape(6, 10, ROWS, COLUMNS), dims=("y", "x", "row", "column"))
    from shapeshift.data.images import as_images

    scale = np.exp(rng.normal(0, 0.1, N))
    turned = rng.uniform(-180, 180, N)
    stack = as_images(given.assign_coords(y=("y", np.arange(6) * 0.5, {"units": "um"})))
    return replace(posterior, stack=stack, rotation=turned, scale=scale, scale_sd=np.full(N, 0.02))


# --- reading


@pytest.mark.parametrize(
    ("shape", "options", "dims", "sizes"),
    [
        ((6, 8, 9), {}, ("signal", "row", "column"), (6, 8, 9)),
        ((6, 8, 9, 3), {}, ("signal", "channel", "row", "column"), (6, 3, 8, 9)),
        ((6, 2, 8, 9), {}, ("signal", "channel", "row", "column"), (6, 2, 8, 9)),
        ((6, 5, 8, 9), {}, ("y", "x", "row", "column"), (6, 5, 8, 9)),
        ((6, 64), {}, ("signal", "row", "column"), (6, 8, 8)),
        ((6, 96), {"image_shape": (8, 12)}, ("signal", "row", "column"), (6, 8, 12)),
        ((8, 9), {"single": True}, ("signal", "row", "column"), (1, 8, 9)),
    ],
)
def test_images_are_read_with_their_dimensions(tmp_path: Path, shape, options, dims, sizes) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "a.npy", values)
    X = ss.open(tmp_path / "a.npy", kind="image", **options)
    assert (X.dims, X.shape, X.attrs["kind"]) == (dims, sizes, "image")
    assert (X["row"].attrs["units"], X["column"].attrs["units"]) == ("pixel", "pixel")
    np.testing.assert_array_equal(np.sort(X.values.ravel()), np.sort(values.ravel()))


def test_without_the_word_three_dimensions_are_a_map_of_signals(folder: Path) -> None:
    assert ss.open(folder / "images.npy").dims == ("y", "x", "sample")


def test_flattened_images_are_read_from_a_table(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", made(5).reshape(5, -1), delimiter=",")
    X = ss.open(tmp_path / "a.csv", kind="image", image_shape=(ROWS, COLUMNS))
    np.testing.assert_allclose(X.values, made(5))


def test_maps_axes_and_units_come_from_the_file(tmp_path: Path) -> None:
    sides = {"row": 0.5 * np.arange(ROWS), "column": 0.5 * np.arange(COLUMNS)}
    np.savez(tmp_path / "a.npz", X=made(), map_shape=[6, 10], axis_units="nm", **sides)
    X = ss.open(tmp_path / "a.npz", kind="image")
    assert X.dims == ("y", "x", "row", "column")
    assert (X["row"].values[-1], X["column"].attrs["units"]) == (4.5, "nm")
    X.drop_attrs(deep=False).rename("X").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    again = ss.open(tmp_path / "a.nc", kind="image")
    np.testing.assert_array_equal(again.values, X.values)
    assert (again.dims, again["column"].attrs["units"]) == (X.dims, "nm")


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((6, 8, 9), {"axis": "x"}, "got axis='x' of images, needed none"),
        ((6, 8, 9), {"orientation": "columns"}, "got orientation='columns' of images"),
        ((6, 2, 9), {}, "images of 2 x 9 pixels, needed 4 x 4 or more"),
        ((1, 8, 9), {}, "got one image, needed at least two"),
        ((6, 97), {}, "which is no square"),
        ((2, 2, 2, 8, 9), {}, "5 dimensions"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(tmp_path: Path, shape, options, says: str) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=shape))
    with pytest.raises(ShapeshiftError, match=re.escape(says)):
        ss.open(tmp_path / "a.npy", kind="image", **options)


# --- the command line


def test_info_tells_rows_and_columns(folder: Path) -> None:
    done = call("info", folder / "images.npy", "--kind", "image", "--json")
    found = json.loads(done.stdout)
    assert (found["images"], found["rows"]["pixels"], found["columns"]["pixels"]) == (N, ROWS, COLUMNS)
    assert found["rows"]["units"] == "pixel"
    assert found["noise_sd"] == pytest.approx(0.03, rel=0.7)


def test_fit_prints_poses_with_units(folder: Path) -> None:
    found = json.loads((folder / "stdout.json").read_text())
    assert (found["images"], found["rotation"]["units"], found["shift_row"]["units"]) == (
        N,
        "degree",
        "pixel",
    )
    assert set(found["prior_sd"]) == {"rotation", "shift"}
    assert "scale" not in found


def test_fit_writes_everything(folder: Path, model, posterior) -> None:
    run = folder / "run"
    names = {"model.safetensors", "signals.csv", "posterior.nc", "history.csv", "run.toml", "report.html"}
    assert names <= {path.name for path in run.iterdir()}
    rows = pd.read_csv(run / "signals.csv", keep_default_na=False)
    assert list(rows) == [
        *("index", "rotation", "rotation_sd", "shift_row", "shift_row_sd", "shift_column", "shift_column_sd"),
        *("z1", "z2", "z1_sd", "z2_sd", "noise_sd", "log_evidence", "flags"),
    ]
    np.testing.assert_allclose(rows["rotation"], posterior.rotation, atol=1e-3)
    np.testing.assert_allclose(rows["shift_column"], posterior.shift[:, 1], atol=1e-4)
    with xr.open_dataset(run / "posterior.nc", engine="h5netcdf") as data:
        assert data["rotation"].attrs["units"] == "degree"
        np.testing.assert_allclose(data["shift_row_sd"].values, posterior.shift_sd[:, 0], atol=1e-4)
    assert (model.encoder, tuple(model.warps), model.options_["epochs"]) == ("conv", ("rotation", "shift"), 3)
    record = (run / "run.toml").read_text()
    assert f'[rows]\nname = "row"\nunits = "pixel"\nfirst = 0.0\nlast = {ROWS - 1}.0' in record
    assert 'kind = "image"' in record


def test_transform_gives_what_the_model_says(folder: Path, tmp_path: Path, posterior) -> None:
    flat = made().reshape(N, -1)
    np.save(tmp_path / "flat.npy", flat[:7])
    done = call("transform", folder / "run", tmp_path / "flat.npy", "--out", tmp_path / "a.csv", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 7
    rows = pd.read_csv(tmp_path / "a.csv")
    np.testing.assert_allclose(rows["rotation"], posterior.rotation[:7], atol=1e-3)


def test_the_report_command_takes_images_without_the_word(folder: Path, tmp_path: Path) -> None:
    done = call("report", folder / "run", folder / "images.npy", "--out", tmp_path / "a.html")
    assert done.exit_code == 0, done.stderr
    assert "60 images of 10 x 12 pixels" in (tmp_path / "a.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--warps rotation", "--kind image"),
        ("--encoder conv", "--encoder"),
        ("--rotation-sd 5", "--rotation-sd"),
        ("--image-shape 8,8", "--image-shape"),
        ("--kind image --axis x", "--axis"),
        ("--kind image --zero peak", "--zero"),
        ("--kind image --warps turn", "turn"),
        ("--kind image --image-shape 8", "--image-shape"),
        ("--kind image --image-shape 8,0", "--image-shape"),
        ("--kind photo", "photo"),
    ],
)
def test_wrong_words_are_status_2(folder: Path, tmp_path: Path, words: str, says: str) -> None:
    done = call("fit", folder / "images.npy", "--out", tmp_path / "run", *words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    assert not list(tmp_path.iterdir())


def test_wrong_data_is_one_sentence_and_status_1(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", np.random.default_rng(0).normal(size=(5, 9, 9)))
    np.save(tmp_path / "lines.npy", np.random.default_rng(0).normal(size=(30, 97)))
    out = ("--out", tmp_path / "a.csv")
    for words, said in [
        (("transform", folder / "run", tmp_path / "other.npy", *out), "10 x 12 pixels"),
        (("transform", folder / "run", folder / "images.npy", "--kind", "signal", *out), "a model of images"),
        (("transform", folder / "run", folder / "images.npy", "--axis", "x", *out), "got axis='x' of images"),
        (("fit", tmp_path / "lines.npy", "--kind", "image", "--out", tmp_path / "run"), "--image-shape"),
        (
            ("fit", folder / "images.npy", "--kind", "image", "--rotation-sd", -1, "--out", tmp_path / "run"),
            "rotation_sd",
        ),
    ]:
        done = call(*words)
        assert (done.exit_code, done.stdout) == (1, ""), words
        assert said in done.stderr
        told = [line for line in done.stderr.splitlines() if line.startswith("shapeshift: ")]
        assert len(told) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"other.npy", "lines.npy"}


def test_classes_are_told_where_there_are_some(posterior) -> None:
    share = np.tile([0.25, 0.75], (N, 1))
    rows = table(replace(posterior, class_probability=share))
    assert (set(rows["class"]), set(rows["class_probability"])) == ({1}, {0.75})
    assert "class" not in table(posterior)


# --- the report


def test_the_report_has_doubts_first_words_with_units_and_pictures(folder: Path) -> None:
    html = (folder / "run" / "report.html").read_text("utf-8")
    places = [
        html.index(words) for words in ('id="doubts"', "What was found", "What was fitted", 'id="views"')
    ]
    assert places == sorted(places)
    for words in (
        "60 images of 10 x 12 pixels",
        "row (pixel) from 0 to 9; column (pixel) from 0 to 11",
        "degrees",
        "counter-clockwise with the first row at the top",
        "rotation 0 and scale 1 are the middle of the poses",
        "prior of the rotation",
        "pixel along each axis",
    ):
        assert words in html, words
    drawn = set(re.findall(r'<figure[^>]* id="(\w+)"', html))
    assert drawn >= {
        "images",
        "views",
        "rotations",
        "shifts",
        "error_bars",
        "latent_rotation",
        "manifold",
        "loss",
    }
    assert not {"scales", "map_rotation"} & drawn
    assert {path.stem for path in (folder / "run" / "figures").iterdir()} == drawn


def test_a_map_of_images_gets_maps(model, of_map) -> None:
    from shapeshift.show.report_images import image_page

    model.prior_sd_ = model.prior_sd_ | {"scale": 0.1}
    try:
        page = image_page(model, of_map.stack.given, of_map)
    finally:
        del model.prior_sd_["scale"]
    names = {picture.name for picture in page.pictures}
    assert {"map_rotation", "map_shift_row", "map_shift_column", "map_scale", "scales"} <= names
    assert "sequence" not in names
    assert page.lead.startswith("A map of 6 x 10 images of 10 x 12 pixels")
    facts = {fact.name: fact.value for fact in page.sections[0].facts}
    assert facts["rotations"] == "to all sides"


# --- doubts


def doubted(model, p, **changed):
    p = replace(p, flags=np.full(N, ""), **changed)
    return {d.code: d for d in doubts(model, made(), p)}


def test_each_doubt_is_raised_by_what_it_is_about(model, posterior) -> None:
    sound = doubted(model, posterior)
    assert not {"ambiguous", "edge", "narrow-prior", "faint", "hardly-rotation", "not-converged"} & set(sound)
    for code, name in (("ambiguous", "ambiguous"), ("faint", "faint"), ("edge", "narrow-prior")):
        marked = replace(posterior, flags=np.where(np.arange(N) < 5, code, ""))
        found = {d.code: d for d in doubts(model, made(), marked)}
        assert "5 of 60 images (8.3 %)" in found[name].sentence
        assert found[name].severity == "look"
    still = doubted(model, posterior, rotation_sd=np.full(N, 50.0))
    assert "hardly turn" in still["hardly-rotation"].sentence
    assert "hardly-shift" not in still
    flat = doubted(model, posterior, z=np.zeros_like(posterior.z), z_sd=np.ones_like(posterior.z))
    assert "images differ in pose alone" in flat["collapsed"].sentence
    noisy = doubted(model, posterior, noise_sd=np.full(N, 0.5))
    assert noisy["misfit"].severity == "look"


def test_a_fit_that_did_not_end_comes_first(model, posterior) -> None:
    stopped = SimpleNamespace(
        raster_=model.raster_,
        prior_sd_=model.prior_sd_,
        history_=SimpleNamespace(stopped="finished", to_frame=list),
        converged_=False,
    )
    assert doubts(stopped, made(), posterior)[0].code == "not-converged"


def test_symmetric_patterns_are_told(model, posterior) -> None:
    found = doubts(model, made(), replace(posterior, flags=np.full(N, "ambiguous")))
    assert "looks alike when it is turned" in next(d for d in found if d.code == "ambiguous").sentence


def test_images_and_posterior_must_belong_together(model, posterior) -> None:
    with pytest.raises(ShapeshiftError, match="got 10 images and the posterior of 60"):
        doubts(model, made(10), posterior)


# --- figures

FIGURES = {
    "images": lambda m, p, **ax: plots.images(made(), 20, **ax),
    "rotations": lambda m, p, **ax: plots.rotations(p, **ax),
    "displacements": lambda m, p, **ax: plots.displacements(p, **ax),
    "scales": lambda m, p, **ax: plots.scales(p, **ax),
    "error_bars": lambda m, p, **ax: plots.error_bars(p, **ax),
    "manifold": lambda m, p, **ax: plots.manifold(m, 4, p=p, **ax),
    "latent": lambda m, p, **ax: plots.latent(p, **ax),
    "sequence": lambda m, p, **ax: plots.sequence(p, "shift_row", **ax),
    "map": lambda m, p, **ax: plots.map(p, **ax),
    "views": lambda m, p: plots.views(made(), made(), made(), p, 4),
    "loss": lambda m, p: plots.loss(m),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_axes_is_labelled(name: str, model, of_map) -> None:
    figure = FIGURES[name](model, of_map)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    for ax in figure.axes:
        colour_bar = ax.get_label() == "<colorbar>"
        shared = any(a.get_xlabel() for a in ax.get_shared_x_axes().get_siblings(ax))
        assert shared or colour_bar, f"{name}: an axes without a label along x"
        assert ax.get_ylabel(), f"{name}: an axes without a label along y"


@pytest.mark.parametrize("name", [n for n in FIGURES if n not in ("views", "loss")])
def test_axes_that_are_given_are_drawn_in(name: str, model, of_map) -> None:
    figure = Figure()
    ax = figure.add_subplot(1, 2, 1)
    assert FIGURES[name](model, of_map, ax=ax) is figure
    assert ax.has_data() or ax.collections


def test_units_are_told(of_map) -> None:
    told = " ".join(
        text
        for figure in (plots.rotations(of_map), plots.displacements(of_map), plots.map(of_map, "rotation_sd"))
        for ax in figure.findobj(Axes)
        for text in (ax.get_xlabel(), ax.get_ylabel())
    )
    for words in (
        "sd of rotation (degree)",
        "shift along row (pixel)",
        "shift along column (pixel)",
        "y (um)",
    ):
        assert words in told


def test_angles_to_all_sides_have_cyclic_colours_and_a_round_histogram(of_map, posterior) -> None:
    image = plots.map(of_map, "rotation").axes[0].get_images()[0]
    assert (image.get_cmap().name, image.norm.vmin, image.norm.vmax) == ("twilight", -180, 180)
    assert plots.rotations(of_map).axes[0].name == "polar"
    assert plots.rotations(posterior).axes[0].name == "rectilinear"
    assert plots.latent(posterior, "rotation").axes[0].collections[0].get_cmap().name == "viridis"


def test_rows_are_drawn_downwards(posterior) -> None:
    bottom, top = plots.displacements(posterior).axes[0].get_ylim()
    assert bottom > top
    first = plots.images(made(2), 1).axes[0].get_images()[0]
    np.testing.assert_allclose(first.get_array(), made(2)[0])
    assert first.origin == "upper"


def test_what_was_not_measured_stays_unknown_in_a_picture(posterior) -> None:
    holes = made(N)
    holes[:, :2] = np.nan
    figure = plots.views(made(), holes, made(), posterior, 3)
    moved = figure.axes[0].get_images()[3].get_array()
    assert np.ma.getmaskarray(moved)[:2].all()
    assert not np.ma.getmaskarray(moved)[2:].any()


def test_quantities_of_images_have_names(posterior) -> None:
    assert labels.quantity(posterior, "shift_row_sd")[2] == "sd of shift along row (pixel)"
    with pytest.raises(ShapeshiftError, match="needed one of rotation, rotation_sd, shift_row"):
        labels.quantity(posterior, "shift")
    with pytest.raises(ShapeshiftError, match="needed 'scale' among them"):
        plots.scales(posterior)


def test_what_is_for_signals_alone_says_so(model, posterior) -> None:
    for draw in (
        lambda: plots.shift_histogram(posterior),
        lambda: plots.heatmap(made().reshape(N, -1), made().reshape(N, -1), posterior),
    ):
        with pytest.raises(ShapeshiftError, match="got the posterior of images, needed that of signals"):
            draw()
    with pytest.raises(ShapeshiftError, match="got a model of images, needed one of signals"):
        ss.analysis.calibrate(model, made())


def test_a_model_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((30, 9))
    ss.VED(n_latent=1, epochs=1, n_starts=1).fit(x, x[:, :5]).save(tmp_path / "ved.safetensors")
    done = call("transform", tmp_path / "ved.safetensors", folder / "images.npy", "--out", tmp_path / "a.csv")
    assert (done.exit_code, "got a VED, needed a ShiftVAE or an ImageVAE" in done.stderr) == (1, True)


# --- the migration table


def test_names_in_the_migration_table_are_those_of_the_package() -> None:
    text = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    known = set(ss.ImageVAE().get_params()) | set(ss.ShiftVAE().get_params())
    right = " ".join(
        row.split("|")[2] for row in text.split("## Options")[1].split("##")[0].splitlines()[4:] if row
    )
    named = set(
        re.findall(r"`(\w+)=|`(\w+_sd|learning_rate|batch_size|epochs|patience|held_out|kl_weight)`", right)
    )
    assert {a or b for a, b in named} <= known
    assert "migrating.md" in (ROOT / "README.md").read_text(encoding="utf-8")
