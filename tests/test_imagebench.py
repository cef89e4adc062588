"""imagebench: the laws its images obey, its measures on made-up estimates, and what it keeps and checks."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import shapeshift

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = (
    *("measures", "_peers", "cases", "judge", "imagetasks", "imagemeasures", "imagerows"),
    *("imagerows_labels", "imagerows_spectra", "imagebench_page", "imagebench"),
)


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules by name."""
    sys.path.insert(0, str(FOLDER))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture
def upright(bench):
    """Ten digits as they are."""
    return bench.imagetasks.digits()[0][:10]


@pytest.fixture
def results(bench, tmp_path, monkeypatch):
    """Results go to a folder of the test."""
    monkeypatch.setattr(bench.measures, "RESULTS", tmp_path)
    return tmp_path


def middle(images):
    """Centre of mass (row, column) from the middle of the frame."""
    at = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    mass = images.sum((1, 2))
    return np.stack([images.sum(2) @ at, images.sum(1) @ at], 1) / mass[:, None]


# --- data ----------------------------------------------------------------------------------------


def test_positive_angles_turn_counter_clockwise(bench):
    image = np.zeros((1, 28, 28))
    image[0, 12:16, 20:24] = 1  # to the right of the middle
    row, column = middle(bench.imagetasks.turned_by(image, np.array([90.0])))[0]
    assert row == pytest.approx(-8, abs=0.1)  # above it
    assert column == pytest.approx(0, abs=0.1)


def test_a_search_over_angles_finds_those_that_were_told(bench):
    task = bench.imagetasks.turned(0)
    grid = np.arange(-60, 61.0)
    for plain, image, angle in zip(task.held_plain[:6], task.first, task.first_angle, strict=False):
        tried = bench.imagetasks.turned_by(np.repeat(plain[None], len(grid), 0), grid)
        best = grid[np.square(tried - image).sum((1, 2)).argmin()]
        assert best == pytest.approx(angle, abs=1)


def test_both_images_of_a_held_out_digit_show_it_and_none_was_fitted(bench):
    task = bench.imagetasks.turned(0)
    assert (task.train.shape, task.first.shape) == ((1500, 28, 28), (297, 28, 28))
    back = bench.imagetasks.turned_by(task.second, -task.second_angle)
    assert np.abs(back - task.held_plain).mean() < 0.04
    fitted = {image.tobytes() for image in task.plain}
    assert sum(image.tobytes() in fitted for image in task.held_plain) == 0


def test_a_pose_moves_the_middle_by_its_shift_and_turns_with_the_same_sign(bench, upright):
    n = len(upright)
    still = bench.imagetasks.Pose(np.zeros(n), np.zeros((n, 2)), np.ones(n))
    start = middle(bench.imagetasks.posed_by(upright, still))
    pose = bench.imagetasks.Pose(np.full(n, 50.0), np.tile([3.0, -2.0], (n, 1)), np.full(n, 1.2))
    c, s = np.cos(np.radians(50)), np.sin(np.radians(50))  # up is -row, so right (0, 1) goes to (-s, c)
    expected = 1.2 * start @ np.array([[c, s], [-s, c]]) + [3, -2]
    assert middle(bench.imagetasks.posed_by(upright, pose)) == pytest.approx(expected, abs=0.12)
    turned = bench.imagetasks.turned_by(bench.imagetasks.posed_by(upright, still), np.full(n, 50.0))
    only = bench.imagetasks.Pose(np.full(n, 50.0), np.zeros((n, 2)), np.ones(n))
    assert np.abs(turned - bench.imagetasks.posed_by(upright, only)).mean() < 0.02


def test_a_scale_is_a_ratio_of_lengths(bench, upright):
    n = len(upright)
    small, large = (bench.imagetasks.Pose(np.zeros(n), np.zeros((n, 2)), np.full(n, s)) for s in (0.8, 1.25))
    masses = [bench.imagetasks.posed_by(upright, pose).sum((1, 2)) for pose in (small, large)]
    assert np.sqrt(masses[1] / masses[0]) == pytest.approx(1.25 / 0.8, rel=0.03)


def test_posed_digits_stay_in_their_frame(bench):
    images, rng = bench.imagetasks.digits()[0][:200], np.random.default_rng(0)
    pose = bench.imagetasks.Pose.draw(rng, 200)
    inside, all_of_it = (bench.imagetasks.posed_by(images, pose, size).sum((1, 2)) for size in (28, 60))
    lost = 1 - inside / all_of_it
    assert lost.max() < 0.02
    assert lost.mean() < 0.001


def test_few_labels_are_few_true_and_of_every_class(bench):
    label = np.random.default_rng(0).integers(0, 10, 500)
    few = bench.imagetasks.few_labels(label, 7, seed=1)
    assert (np.bincount(few[few >= 0]) == 7).all()
    assert (few[few >= 0] == label[few >= 0]).all()


def test_signals_with_widths_and_families_are_as_described(bench):
    task = bench.imagetasks.widths(1, n=300, told=20, n_held=50)
    assert np.isfinite(task.y).sum() == 20
    assert (len(task.train), len(task.held), len(task.held_y)) == (300, 50, 50)
    kinds = bench.imagetasks.families(1, each=20, each_held=10)
    assert (kinds.train.shape, kinds.one_hot.shape, kinds.held.shape) == ((100, 128), (100, 5), (50, 128))


# --- measures ------------------------------------------------------------------------------------


def test_an_honest_estimator_of_angles_gets_honest_figures(bench):
    rng, n = np.random.default_rng(0), 20_000
    truth, sd = rng.uniform(-180, 180, (2, n)), np.full(n, 3.0)
    first, second = truth + 40 + rng.normal(0, 3, (2, n))  # another zero
    second += 360 * rng.integers(-1, 2, n)
    found = bench.imagemeasures.turn_measures(first, second, sd, sd, truth[1] - truth[0])
    assert found["rms"] == pytest.approx(3 * 2**0.5, rel=0.02)
    assert found["median"] == pytest.approx(0.6745 * 3 * 2**0.5, rel=0.03)
    assert found["coverage68"] == pytest.approx(0.68, abs=0.01)
    assert found["coverage95"] == pytest.approx(0.95, abs=0.005)
    assert found["over20"] == 0
    assert found["within10"] == pytest.approx(0.98, abs=0.005)


def test_angles_gone_wrong_are_counted(bench):
    turn, sd = np.zeros(100), np.full(100, 1.0)
    second = np.where(np.arange(100) < 4, 170.0, 12.0)
    found = bench.imagemeasures.turn_measures(np.zeros(100), second, sd, sd, turn)
    assert found["over20"] == pytest.approx(0.04)
    assert found["within10"] == 0
    assert found["coverage95"] == 0


def test_a_leak_is_its_share_of_the_variance(bench):
    rng = np.random.default_rng(0)
    shape, pose = rng.normal(size=(20_000, 2)), rng.normal(size=(2, 20_000, 2))
    first, second = 0.75**0.5 * shape + 0.25**0.5 * pose
    assert bench.imagemeasures.leak(first, second) == pytest.approx(0.25, abs=0.01)
    assert bench.imagemeasures.leak(shape, shape) == 0


def test_places_are_judged_whatever_point_of_the_pattern_an_estimator_takes(bench):
    rng, n = np.random.default_rng(0), 400
    pose = bench.imagetasks.Pose.draw(rng, n)
    c, s = np.cos(np.radians(pose.angle)), np.sin(np.radians(pose.angle))
    off = np.stack([1.5 * c + 0.8 * s, 1.5 * s - 0.8 * c], 1)  # the point (1.5, -0.8) of the pattern
    told = pose.shift + pose.scale[:, None] * off
    told[:20] += 9  # and some are lost
    found = bench.imagemeasures.anchored(told, pose.angle, pose.scale, pose.shift)
    assert found[20:] == pytest.approx(pose.shift[20:], abs=0.05)


def test_points_are_carried_from_image_to_image_whatever_point_of_a_shape_its_place_is(bench):
    tasks, measures = bench.imagetasks, bench.imagemeasures
    rng, n = np.random.default_rng(0), 300
    own = rng.normal(0, 2, (n, 2))  # another point for every shape

    def told(pose):
        place = pose.shift + pose.scale[:, None] * measures._turned(own, pose.angle)
        return place, np.tile([0.3, 0.1], (n, 1)), pose.angle, pose.scale

    first, second = tasks.Pose.draw(rng, n), tasks.Pose.draw(rng, n)
    place, sd = measures.carried(first.shift, told(first), told(second))
    assert place == pytest.approx(second.shift, abs=1e-9)
    noisy = [(t + rng.normal(0, s), s, angle, scale) for t, s, angle, scale in map(told, (first, second))]
    place, sd = measures.carried(first.shift, *noisy)
    assert np.std((place - second.shift) / sd) == pytest.approx(1, abs=0.1)


def test_places_and_sizes_are_measured_with_their_coverage(bench):
    rng, n = np.random.default_rng(0), 20_000
    error = rng.normal(0, 0.2, (n, 2))
    found = bench.imagemeasures.shift_measures(error + 1, np.full((n, 2), 0.2), np.ones((n, 2)))
    assert found["shift_median"] == pytest.approx(0.2 * np.sqrt(2 * np.log(2)), rel=0.02)
    assert found["shift_coverage68"] == pytest.approx(0.68, abs=0.01)
    found = bench.imagemeasures.scale_measures(np.full(n, 0.05), np.full(n, 0.01), np.zeros(n))
    assert found["scale_median"] == pytest.approx(np.expm1(0.05))
    assert found["scale_coverage95"] == 0


def test_pyroveds_coordinates_are_read_as_pose_of_the_pattern(bench, upright):
    """Draw patterns as its decoder does and read them back."""
    rng, n = np.random.default_rng(0), len(upright)
    mean = np.column_stack([rng.uniform(-1, 1, n), rng.uniform(-1, 1, (n, 3)), np.zeros((n, 2))])
    read = bench.imagerows._pose(mean, np.full_like(mean, 0.1))
    offset, shrunk = bench.imagerows.DX_PRIOR * mean[:, 1:3], 1 + bench.imagerows.SC_PRIOR * mean[:, 3]
    for k in range(n):
        c, s = np.cos(mean[k, 0]), np.sin(mean[k, 0])
        turn = np.array([[c, s], [-s, c]])  # of (down, left), from the right, as pyroVED has it
        row, column = read["shift"][k] / bench.imagerows.HALF
        there = shrunk[k] * np.array([row, -column]) @ turn + offset[k]
        assert there == pytest.approx([0, 0], abs=1e-12)
        right = shrunk[k] * np.array([0.0, -1.0]) @ turn  # a step to the right on screen
        seen_from = np.degrees(np.arctan2(right[0], -right[1]))  # below right: clockwise
        assert seen_from == pytest.approx(read["angle"][k])
        assert read["scale"][k] == pytest.approx(1 / np.linalg.norm(right))


def test_classes_are_matched_before_they_are_counted(bench):
    truth = np.arange(10).repeat(20)
    found = (truth + 3) % 10
    found[:5] = 0
    assert bench.imagemeasures.matched_accuracy(found, truth) == pytest.approx(195 / 200)
    assert bench.imagemeasures.matched_accuracy(np.zeros(200, int), truth) == pytest.approx(0.1)


def test_probabilities_are_judged_by_accuracy_and_log_loss(bench):
    proba = np.array([[0.7, 0.3], [0.4, 0.6], [0.8, 0.2]])
    found = bench.imagemeasures.class_measures(proba, np.array([0, 1, 1]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx(-np.log([0.7, 0.6, 0.2]).mean())


def test_numbers_are_judged_by_r2_and_coverage(bench):
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, 20_000)
    found = bench.imagemeasures.value_measures(truth + rng.normal(0, 1, 20_000), truth, np.ones(20_000))
    assert found["r2"] == pytest.approx(0.75, abs=0.01)
    assert found["coverage68"] == pytest.approx(0.68, abs=0.01)
    assert "coverage68" not in bench.imagemeasures.value_measures(truth, truth)


def test_nats_are_the_least_where_the_reconstruction_is_the_image(bench):
    images = np.random.default_rng(0).uniform(0, 1, (5, 28, 28))
    entropy = -(images * np.log(images) + (1 - images) * np.log1p(-images)).sum((1, 2)).mean()
    best = bench.imagemeasures.nats(images, images, np.full(5, 7.0))
    assert best == pytest.approx(entropy + 7, abs=0.5)
    assert bench.imagemeasures.nats(images, images.clip(0.1, 0.9), np.full(5, 7.0)) > best
    wrong = bench.imagemeasures.nats(np.zeros((1, 28, 28)), np.ones((1, 28, 28)), np.zeros(1))
    assert wrong == pytest.approx(784 * np.log(1000))
    assert bench.imagemeasures.normal_kl(np.zeros((1, 3)), np.ones((1, 3))) == pytest.approx(0)
    assert bench.imagemeasures.normal_kl(np.array([[2.0]]), np.array([[1.0]])) == pytest.approx(2)


# --- shapeshift's side, with models that know the truth ------------------------------------------


@pytest.fixture
def knowing(monkeypatch):
    """Put a model of the given answers in place of one of shapeshift's; it notes what it is fitted to."""

    def put(name, **answers):
        def fit(self, *args, **named):
            self.fitted.append((args, named))
            return self

        methods = {k: (lambda self, *a, _f=f, **named: _f(*a, **named)) for k, f in answers.items()}
        made = type(name, (), {"__init__": lambda self, **options: None, "fit": fit, "fitted": []} | methods)
        monkeypatch.setattr(shapeshift, name, made, raising=False)
        return made

    return put


def test_who_knows_angles_makes_no_error_and_has_the_fewest_nats(bench, knowing):
    task, row = bench.imagetasks.turned(11), bench.imagebench.ROWS["rotation"]
    angle = {id(task.first): task.first_angle, id(task.second): task.second_angle}
    shape = task.held_plain.reshape(297, -1)[:, 300:302]

    def posterior(images):
        told = {"rotation": angle[id(images)] + 7, "rotation_sd": np.full(297, 0.5)}
        return SimpleNamespace(**told, z=shape, z_sd=np.full_like(shape, 0.1))

    knowing("ImageVAE", posterior=posterior, reconstruct=lambda images: images)
    found = row.measure(task, row.by["shapeshift"](task, 1))
    assert found["rms"] == pytest.approx(0, abs=1e-9)
    assert (found["leak"], found["coverage68"]) == (0, 1)
    blank = bench.imagemeasures.nats(task.held, np.full_like(task.held, task.train.mean()), np.zeros(594))
    assert bench.imagerows.measure_race(task, row.by["shapeshift"](task, 1))["nats"] < 0.6 * blank


def test_who_knows_poses_makes_no_error(bench, knowing):
    task, row = bench.imagetasks.posed(3), bench.imagebench.ROWS["similarity"]

    def posterior(images):
        pose = task.first_pose if images is task.first else task.second_pose
        sd = {"rotation_sd": np.ones(297), "shift_sd": np.ones((297, 2)), "scale_sd": np.ones(297)}
        return SimpleNamespace(rotation=pose.angle - 3, shift=pose.shift, scale=2 * pose.scale, **sd)

    knowing("ImageVAE", posterior=posterior)
    found = row.measure(task, row.by["shapeshift"](task, 1))
    assert [found[k] for k in ("median", "shift_median", "scale_median")] == pytest.approx([0] * 3, abs=1e-3)


def test_who_knows_classes_is_right_and_is_told_few(bench, knowing):
    task, rows = bench.imagetasks.turned(11), bench.imagebench.ROWS
    knowing("ImageVAE", predict=lambda images: (task.labels + 1) % 10)
    assert rows["classes"].measure(task, rows["classes"].by["shapeshift"](task, 1))["accuracy"] == 1
    sure = 0.91 * np.eye(10)[task.labels] + 0.009
    model = knowing("ImageVAEClassifier", predict_proba=lambda images: sure)
    found = rows["labels"].measure(task, rows["labels"].by["shapeshift"](task, 1))
    assert found["accuracy"] == 1
    assert found["log_loss"] == pytest.approx(-np.log(0.919))
    (images, few), _ = model.fitted[0]
    assert (len(images), (few >= 0).sum()) == (1500, 100)


def test_who_knows_numbers_and_profiles_is_right(bench, knowing):
    task, row = bench.imagetasks.widths(1, n=60, told=20, n_held=30), bench.imagebench.ROWS["regression"]
    knowing("ShiftVAERegressor", predict=lambda X, return_std: (task.held_y, np.ones(30)))
    assert row.measure(task, row.by["shapeshift"](task, 1))["r2"] == 1
    turned, row = bench.imagetasks.turned(11), bench.imagebench.ROWS["ved"]
    truth = turned.profiles[1]
    knowing("VED", predict=lambda images, return_std: (truth + 0.02, np.full_like(truth, 0.01)))
    found = row.measure(turned, row.by["shapeshift"](turned, 1))
    assert found["rmse"] == pytest.approx(0.02)
    assert found["coverage95"] == 0


def test_what_is_generated_as_it_was_wanted_is_recognised(bench, knowing):
    task, row = bench.imagetasks.families(1, each=60, each_held=10), bench.imagebench.ROWS["signals"]
    first_of = np.stack([task.train[task.label == k][0] for k in range(5)])

    def draw(n, condition, random_state):
        return np.ones((n, 2))

    model = knowing("ShiftVAE", draw=draw, generate=lambda z, condition: first_of[condition])
    assert row.measure(task, row.by["shapeshift"](task, 1))["right"] == 1
    assert model.fitted[0][1]["condition"].shape == (300,)
    knowing("ShiftVAE", draw=draw, generate=lambda z, condition: first_of[condition - (z == 1).all(1)])
    found = row.measure(task, row.by["shapeshift"](task, 1))
    assert (found["right"], found["right_of_prior"]) == (0, 1)


# --- what is kept and checked --------------------------------------------------------------------


def test_simple_methods_run_are_kept_and_are_not_run_again(bench, results, capsys):
    arguments = ["--rows", "ved", "--peers", "ridge,the mean", "--seeds", "1", "--results", str(results)]
    assert bench.imagebench.main(arguments) == 0
    assert "ved ridge seed 1" in capsys.readouterr().err
    runs = json.loads((results / "imagebench.json").read_text())["runs"]["ved"]
    assert runs["ridge"]["1"]["rmse"] < 0.6 * runs["the mean"]["1"]["rmse"]
    assert "| ridge (1) | the mean (1) |" in (results / "imagebench.md").read_text()
    assert bench.imagebench.main(arguments) == 0
    assert "ved ridge" not in capsys.readouterr().err
    with pytest.raises(SystemExit):
        bench.imagebench.main(["--rows", "nonsense"])


def test_checks_take_the_worst_seed_and_say_what_was_not_measured(bench):
    seeds = {"1": {"rms": 2.0, "coverage68": 0.68, "leak": 0.001}, "2": {"rms": 3.0, "coverage68": 0.70}}
    classes = {"1": {"accuracy": 0.9}, "2": {"accuracy": 0.7}}
    runs = {"rotation": {"shapeshift": seeds}, "classes": {"shapeshift": classes}}
    found = {c.what: c.passed for c in bench.imagebench_page.checks(runs)}
    assert found["rotation: RMS error of a turn, degrees"] is False
    assert found["rotation: leak of angle into shape (0 none, 1 all)"]
    assert found["rotation: 68 % intervals that hold the truth"]
    assert found["classes: right after the best matching"] is False
    assert found["labels: right"] is None


def test_a_race_is_won_only_with_as_few_nats(bench):
    ours, theirs = {"fit_seconds": 5.0, "nats": 150.0}, {"fit_seconds": 100.0, "nats": 160.0}
    runs = {"race": {"shapeshift": {"1": ours}, "pyroVED": {"1": theirs}}}
    assert bench.imagebench_page.race(runs) == 20
    runs["race"]["shapeshift"]["1"] = ours | {"nats": 161.0}
    assert bench.imagebench_page.race(runs) == 0
    assert bench.imagebench_page.race({}) is None


def test_the_tables_are_of_all_that_is_kept(bench):
    folder = FOLDER / "results"
    record = json.loads((folder / "imagebench.json").read_text(encoding="utf-8"))
    assert (folder / "imagebench.md").read_text(encoding="utf-8") == bench.imagebench_page.text(record) + "\n"
