"""ONNX files: they say what Python says, whatever the batch; what a graph cannot hold is refused."""

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import shapeshift as ss
from shapeshift.fit import export
from shapeshift.fit.edge import SignalGraph, differences, noise_and_contrast, solved
from shapeshift.fit.edge_plane import ImageGraph, PairGraph

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

BATCHES = (1, 2, 7, 64, 1000)
ENOUGH = 1e-4  # of a sample
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "edge_stream.py"


def session(path):
    """A file, ready to be run."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(path, **inputs):
    """What a file says, by name."""
    s = session(path)
    names = [o.name for o in s.get_outputs()]
    return dict(zip(names, s.run(None, {k: np.float32(v) for k, v in inputs.items()}), strict=True))


def said(graph, *inputs):
    """What a graph says, by name."""
    with torch.no_grad():
        found = graph.module(*(torch.from_numpy(np.float32(v)) for v in inputs))
    return dict(zip(graph.outputs, (t.numpy() for t in found), strict=True))


def told(path):
    """The metadata of a file."""
    return session(path).get_modelmeta().custom_metadata_map


def peaks(n, seed=0, *, length=90, gain=False, noise=0.05):
    """Peaks of unknown place and width, in axis units."""
    rng = np.random.default_rng(seed)
    shift, width = rng.normal(0, 0.12, (n, 1)), rng.uniform(0.08, 0.2, (n, 1))
    u = np.linspace(-1, 1, length)
    pattern = np.exp(-(((u - shift) / width) ** 2)) * (4 ** rng.uniform(0, 1, (n, 1)) if gain else 1)
    slope = rng.normal(size=(n, 1)) * u if gain else 0
    return pattern + slope + noise * rng.normal(size=(n, length)), shift[:, 0]


def counts(n, seed=0):
    return np.random.default_rng(seed).poisson(40 * peaks(n, seed, noise=0)[0] + 3).astype(float)


def spiky(n, seed=0):
    x = peaks(n, seed)[0]
    rng = np.random.default_rng(seed + 1)
    x[np.arange(n), rng.integers(0, x.shape[1], n)] += 3 * (rng.random(n) < 0.5)
    return x


def large(n, seed=0):
    """In units a float32 hardly resolves."""
    return 1e5 + 300 * peaks(n, seed)[0]


KINDS = {
    "article": (lambda n, s: ss.synthetic.article(n=n, seed=s)[0].values, {}),
    "gain and baseline": (lambda n, s: peaks(n, s, gain=True)[0], {"nuisance": ("gain", "baseline")}),
    "counts": (counts, {"likelihood": "poisson"}),
    "counts with a gain": (counts, {"likelihood": "poisson", "nuisance": ("gain", "offset")}),
    "spikes": (spiky, {"likelihood": "student-t", "zero": "peak", "nuisance": ("gain", "baseline")}),
    "peak": (lambda n, s: peaks(n, s)[0], {"zero": "peak"}),
    "centroid": (lambda n, s: peaks(n, s)[0], {"zero": "centroid", "n_latent": 1}),
    "max": (lambda n, s: peaks(n, s, gain=True)[0] + 2, {"normalise": "max"}),
    "area": (lambda n, s: peaks(n, s)[0], {"normalise": "area"}),
    "sd": (large, {"normalise": "sd"}),
    "minmax": (large, {"normalise": "minmax"}),
    "network of the coordinate": (lambda n, s: peaks(n, s)[0], {"decoder": "coordinate", "epochs": 1}),
    "ordinary": (lambda n, s: peaks(n, s)[0], {"warps": ()}),
}


@pytest.fixture(scope="module")
def fitted():
    """Models by kind, each fitted once."""
    made = {}

    def of(kind):
        if kind not in made:
            draw, options = KINDS[kind]
            options = {"epochs": 4, "width": 16, **options}
            made[kind] = ss.ShiftVAE(**options).fit(draw(300, 0), x=np.linspace(20, 50, draw(2, 0).shape[1]))
        return made[kind]

    return of


# --- the graph is what Python computes: of every kind, without the cost of writing it ---------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_says_what_python_says(kind, fitted):
    model, x = fitted(kind), KINDS[kind][0](1000, 7).astype(np.float32)
    graph = SignalGraph(model, 0).eval()
    for n in BATCHES:
        p = model.posterior(x[:n], refine=False)
        with torch.no_grad():
            shift, sd, z, z_sd, _ = (t.numpy() for t in graph(torch.from_numpy(x[:n])))
        assert np.abs(shift - p.shift).max() <= ENOUGH * model.axis_step_, n
        assert np.allclose(z, p.z, atol=1e-4)
        assert np.allclose(z_sd, p.z_sd, rtol=1e-4)
        close = np.isclose(sd, p.shift_sd, rtol=0.02)
        assert close.all() if model.zero == "reference" else close.mean() > 0.9


# --- and the file what the graph computes ------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory, fitted):
    """Files of some of them, each written once."""
    folder, made = tmp_path_factory.mktemp("onnx"), {}

    def of(kind):
        if kind not in made:
            made[kind] = folder / f"{kind}.onnx"
            fitted(kind).export(made[kind])
        return made[kind]

    made["article"] = in_a_process(fitted("article"), folder)
    return of


def in_a_process(model, folder):
    """A file written by a process of its own, which prints nothing."""
    model.save(folder / "article.safetensors")
    code = "import sys, shapeshift as ss; ss.load(sys.argv[1]).export(sys.argv[2])"
    words = [sys.executable, "-c", code, folder / "article.safetensors", folder / "article.onnx"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "article.onnx"


@pytest.mark.parametrize("kind", ["article", "spikes"])
def test_the_file_says_what_python_says(kind, fitted, files):
    model, x = fitted(kind), KINDS[kind][0](1000, 7).astype(np.float32)
    for n in BATCHES:
        p, found = model.posterior(x[:n], refine=False), run(files(kind), signals=x[:n])
        assert np.abs(found["shift"] - p.shift).max() <= ENOUGH * model.axis_step_, n
        assert np.allclose(found["z"], p.z, atol=1e-4)
        assert np.allclose(found["z_sd"], p.z_sd, rtol=1e-4)
        close = np.isclose(found["shift_sd"], p.shift_sd, rtol=0.02)
        assert close.all() if model.zero == "reference" else close.mean() > 0.9
        assert found["trust"].dtype == bool


def test_a_file_tells_bad_signals_from_good_ones(fitted, files):
    x = KINDS["article"][0](5, 7)
    bad = x.copy()
    bad[1, 3], bad[4] = np.nan, 1e30
    good, found = run(files("article"), signals=x), run(files("article"), signals=bad)
    assert np.allclose(found["shift"][[0, 2, 3]], good["shift"][[0, 2, 3]], rtol=1e-5)
    assert np.isnan(found["shift"][1])
    assert not found["trust"][[1, 4]].any()


def test_the_file_is_one_and_tells_what_it_needs_to(fitted, files):
    model, path = fitted("article"), files("article")
    own = {p.name for p in path.parent.iterdir() if p.name.startswith("article")}
    assert own == {"article.onnx", "article.safetensors"}
    proto = onnx.load(path, load_external_data=False)
    assert not any(t.external_data for t in proto.graph.initializer)
    data = told(path)
    axis = json.loads(data["axis"])
    assert axis == {"name": "sample", "units": "", "first": 20.0, "last": 50.0, "samples": len(model.axis_)}
    assert data["format"] == "shapeshift-onnx"
    assert data["shapeshift"] == ss.__version__ == proto.producer_version
    assert data["kind"] == "ShiftVAE"
    assert data["zero"] == "reference"
    assert data["zero_sentence"] == model.zero_
    assert data["refining_steps"] == "0"
    assert json.loads(data["nuisance"]) == list(model.nuisance_)
    assert "finite" in data["trust"]


def test_nothing_of_the_machine_that_wrote_it_is_in_the_file(files):
    data = files("article").read_bytes()
    for word in (str(Path(ss.__file__).parents[1]), sys.prefix, str(Path.home()), "stack_trace", ".py"):
        assert word.encode() not in data, word


def test_a_reversed_axis_with_units_is_told_in_its_sorted_order():
    x, shift = peaks(300)
    energy = np.linspace(50, 20, x.shape[1])
    X = xr.DataArray(x, dims=("n", "energy"), coords={"energy": ("energy", energy, {"units": "eV"})})
    model = ss.ShiftVAE(epochs=4, width=16).fit(X)
    graph = export.signal_graph(model, 0)
    axis = graph.told["axis"]
    assert (axis["units"], axis["first"], axis["last"]) == ("eV", 20.0, 50.0)
    assert graph.told["shift_units"] == "eV"
    p = model.posterior(X, refine=False)
    found = said(graph, x[:, ::-1])
    assert np.abs(found["shift"] - p.shift).max() <= ENOUGH * model.axis_step_
    assert np.corrcoef(found["shift"], shift)[0, 1] < -0.9  # the axis falls along the samples


def test_numbers_that_are_given_are_a_second_input():
    x, _ = peaks(300)
    heat = np.random.default_rng(1).normal(300.0, 20.0, 300)
    model = ss.ShiftVAE(epochs=4, width=16).fit(x * (1 + 0.01 * (heat[:, None] - 300)), condition=heat)
    graph = export.signal_graph(model, 0)
    assert graph.told["condition"] == ["condition"]
    assert list(graph.inputs) == ["signals", "condition"]
    for n in (1, 300):
        p = model.posterior(np.float32(x[:n]), refine=False, condition=np.float32(heat[:n]))
        found = said(graph, x[:n], heat[:n, None])
        assert np.abs(found["shift"] - p.shift).max() <= ENOUGH * model.axis_step_
        assert np.allclose(found["z"], p.z, atol=1e-4)


# --- refining steps ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def article():
    X, _ = ss.synthetic.article(n=1000, seed=1)
    new = ss.synthetic.article_pairs(1000, seed=2, like=X)
    return ss.ShiftVAE(n_latent=1).fit(X), np.float32(new.first.values), new.shift_first


def test_refining_steps_bring_the_error_to_that_of_python(article):
    model, x, shift = article
    full = model.posterior(x)
    error = {}
    for steps in (0, 2, 5):
        with torch.no_grad():
            found, sd, *_ = (t.numpy() for t in SignalGraph(model, steps)(torch.from_numpy(x)))
        error[steps] = np.sqrt(np.mean((found - shift) ** 2)), np.mean(((found - shift) / sd) ** 2)
    best = np.sqrt(np.mean((full.shift - shift) ** 2))
    assert error[0][0] > 1.05 * best
    assert error[2][0] < 1.02 * best
    assert 0.8 < error[2][1] < 1.2  # error bars hold
    assert np.median(np.abs(found - full.shift) / full.shift_sd) < 0.01
    assert np.median(np.abs(sd / full.shift_sd - 1)) < 0.01


def test_the_file_refines_as_the_graph_does(article, tmp_path):
    model, x, _ = article
    model.export(tmp_path / "m.onnx", steps=1)
    assert told(tmp_path / "m.onnx")["refining_steps"] == "1"
    with torch.no_grad():
        expected = [t.numpy() for t in SignalGraph(model, 1)(torch.from_numpy(x))]
    for n in BATCHES:
        found = run(tmp_path / "m.onnx", signals=x[:n])
        apart = np.abs(found["shift"] - expected[0][:n]) / model.axis_step_
        assert np.quantile(apart, 0.99) <= ENOUGH
        assert apart.max() < 0.01  # a step that gains nothing may be taken or not
        assert np.mean(found["trust"] == expected[4][:n]) > 0.99


def test_elimination_solves():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 4, 6))
    a, b = torch.from_numpy(rows @ rows.transpose(0, 2, 1)), torch.from_numpy(rng.normal(size=(50, 4, 2)))
    assert torch.allclose(a @ solved(a, b), b, atol=1e-8)


def test_differences_are_derivatives():
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    values, slopes = differences(lambda z: torch.sin(z[:, 0]) * z[:, 1] + z[:, 2], z, 2)
    expected = torch.stack([torch.cos(z[:, 0]) * z[:, 1], torch.sin(z[:, 0])], 1)
    assert torch.equal(values, torch.sin(z[:, 0]) * z[:, 1] + z[:, 2])
    assert torch.allclose(slopes, expected, atol=1e-3)


@pytest.mark.parametrize("length", [4, 60, 61])
def test_noise_is_that_of_the_preprocessing(length):
    x = np.random.default_rng(0).normal(size=(30, length)).astype(np.float32)
    expected = ss.data.preprocess.noise_and_contrast(x)
    assert np.allclose(noise_and_contrast(torch.from_numpy(x)), expected, rtol=1e-4, atol=1e-6)


# --- trust -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 2])
def test_trust_is_for_signals_like_those_of_the_fit(steps, article):
    model, x, _ = article
    p, rng = model.posterior(x), np.random.default_rng(0)
    doubted = p.flagged("misfit") | p.flagged("faint") | p.flagged("edge")
    noise = float(np.median(p.noise_sd))
    u = np.linspace(-1, 1, x.shape[1])
    foreign = {
        "noise": x.min() + noise * rng.normal(size=x.shape),
        "nothing": 0 * x,
        "another pattern": np.ptp(x[0]) * np.sign(np.sin(12 * u)) + noise * rng.normal(size=x.shape),
        "not finite": np.where(np.arange(x.shape[1]) == 5, np.nan, x),
    }
    graph = SignalGraph(model, steps)
    with torch.no_grad():
        trust = graph(torch.from_numpy(x))[-1].numpy()
        assert np.mean(trust == ~doubted) > (0.99 if steps else 0.98)
        assert doubted.mean() < 0.02
        for name, signals in foreign.items():
            assert graph(torch.from_numpy(np.float32(signals)))[-1].float().mean() < 0.05, name


@pytest.mark.parametrize("steps", [0, 1])
def test_one_bad_signal_does_not_touch_the_others(steps, article):
    model, x, _ = article
    bad = x[:6].copy()
    bad[1, 7], bad[3], bad[4] = np.nan, np.inf, 1e30
    with torch.no_grad():
        alone = SignalGraph(model, steps)(torch.from_numpy(x[:6]))
        found = SignalGraph(model, steps)(torch.from_numpy(bad))
    for one, all_ in zip(alone, found, strict=True):
        assert torch.allclose(one[[0, 2, 5]], all_[[0, 2, 5]], rtol=1e-5)
    assert not found[-1][[1, 3, 4]].any()
    assert torch.isnan(found[0][[1, 3]]).all()


# --- images and pairs --------------------------------------------------------------------------------


def images(n, seed=0, shape=(14, 11)):
    """Ellipses with a spot beside them, turned and displaced."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[: shape[0], : shape[1]].astype(float)
    a, t = rng.uniform(-1, 1, (n, 1, 1)), rng.normal(0, 0.7, (2, n, 1, 1))
    r, c = r - (shape[0] - 1) / 2 - t[0], c - (shape[1] - 1) / 2 - t[1]
    x, y = np.cos(a) * r + np.sin(a) * c, np.cos(a) * c - np.sin(a) * r
    width = rng.uniform(0.8, 1.6, (n, 1, 1))
    x = np.exp(-(x**2) / width - y**2 / 6) + 0.5 * np.exp(-((x - 2) ** 2) - (y - 1) ** 2)
    return np.float32(x + 0.02 * rng.normal(size=x.shape))


@pytest.fixture(scope="module")
def turned():
    options = {"warps": ("rotation", "shift"), "nuisance": ("gain",), "epochs": 3, "width": 16}
    model = ss.ImageVAE(n_latent=1, **options).fit(images(200))
    bank = model.fitted_.bank
    model.fitted_ = model.fitted_._replace(bank=bank._replace(z=bank.z[:2]))  # a graph of fewer nodes
    return model


def test_the_graph_of_images_says_what_python_says(turned, tmp_path):
    turned.export(tmp_path / "m.onnx")
    x = images(300, 5)
    for n in (1, 2, 7, 64, 300):
        p, found = turned.posterior(x[:n], refine=False), run(tmp_path / "m.onnx", images=x[:n])
        assert np.abs(found["shift"] - p.shift).max() <= ENOUGH
        assert np.abs(found["rotation"] - p.rotation).max() <= 0.01
        for name in ("rotation_sd", "shift_sd", "z", "z_sd"):
            assert np.allclose(found[name], getattr(p, name), rtol=1e-3, atol=1e-4), name
    data = told(tmp_path / "m.onnx")
    assert json.loads(data["rows"])["samples"] == 14
    assert data["rotation_units"] == "degree"


@pytest.mark.parametrize(
    ("warps", "names"),
    [
        ((), ()),
        (("rotation",), ("rotation", "rotation_sd")),
        (("scale", "shift"), ("scale", "scale_sd", "shift", "shift_sd")),
    ],
)
def test_images_tell_what_may_move(warps, names):
    model = ss.ImageVAE(n_latent=1, warps=warps, encoder="conv", epochs=1, width=8).fit(images(60))
    graph, x = ImageGraph(model), images(20, 3)
    assert graph.outputs == (*names, "z", "z_sd", "trust")
    p = model.posterior(x, refine=False)
    with torch.no_grad():
        found = dict(zip(graph.outputs, graph(torch.from_numpy(x)), strict=True))
    for name in (*names, "z", "z_sd"):
        assert np.allclose(found[name], getattr(p, name), rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("shapes", ["image to spectrum", "spectrum to image", "spectrum to number"])
def test_the_graph_of_pairs_says_what_python_says(shapes):
    x = images(80)
    pairs = {
        "image to spectrum": (x, 5 + x.sum(1)),
        "spectrum to image": (x.sum(1), 5 + x),
        "spectrum to number": (x.sum(1), x.sum((1, 2))),
    }
    X, Y = pairs[shapes]
    model = ss.VED(n_latent=3, epochs=3, width=16, n_starts=2).fit(X, Y)
    mean, sd = model.predict(X, return_std=True)
    with torch.no_grad():
        found = [t.numpy() for t in PairGraph(model)(torch.from_numpy(X))]
    assert found[0].shape == mean.shape
    assert np.allclose(found[0], mean, atol=1e-5 * np.ptp(mean))
    assert np.allclose(found[1], sd, rtol=1e-4)


def test_the_file_of_pairs_says_what_python_says(tmp_path):
    x = images(80)
    model = ss.VED(n_latent=3, epochs=3, width=16, encoder="conv").fit(x, x.sum(1))
    model.export(tmp_path / "m.onnx")
    for n in (1, 2, 80):
        mean, sd = model.predict(x[:n], return_std=True)
        found = run(tmp_path / "m.onnx", x=x[:n])
        assert np.allclose(found["y"], mean, atol=1e-5)
        assert np.allclose(found["y_sd"], sd, rtol=1e-4)
    assert json.loads(told(tmp_path / "m.onnx")["x"])["shape"] == [14, 11]


# --- refusals ----------------------------------------------------------------------------------------


def test_what_a_graph_cannot_hold_is_refused(tmp_path, fitted):
    x, _ = peaks(60)
    quick = {"epochs": 1, "width": 8, "n_latent": 1}
    half = np.arange(60) % 2
    out = tmp_path / "m.onnx"
    refused = {
        "ShiftVAERegressor": lambda: ss.ShiftVAERegressor(**quick).fit(x, x.max(1)).export(out),
        "n_classes=2": lambda: ss.ShiftVAE(n_classes=2, **quick).fit(x).export(out),
        "a label": lambda: ss.ShiftVAE(**quick).fit(x, condition=half).export(out),
        "own encoder": lambda: fitted("max").set_params(encoder=torch.nn.Identity()).export(out),
        "steps=-1": lambda: fitted("area").export(out, steps=-1),
        "steps=0.5": lambda: fitted("area").export(out, steps=0.5),
        "'poisson'": lambda: fitted("counts").export(out, steps=2),
        "'coordinate'": lambda: fitted("network of the coordinate").export(out, steps=2),
    }
    for words, attempt in refused.items():
        with pytest.raises(ss.ShapeshiftError, match=words):
            attempt()
    fitted("max").set_params(encoder=None)
    assert not out.exists()


def test_an_unfitted_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        ss.ShiftVAE().export(tmp_path / "m.onnx")


def test_without_the_packages_the_extra_is_named(monkeypatch, tmp_path, fitted):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ss.ShapeshiftError, match=r"pip install 'shapeshift\[edge\]'"):
        fitted("article").export(tmp_path / "m.onnx")


def test_a_place_that_is_taken_is_refused_unless_forced(tmp_path, fitted, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_text("mine")
    with pytest.raises(ss.ShapeshiftError, match="exists"):
        fitted("article").export(path)
    assert path.read_text() == "mine"
    monkeypatch.setattr(torch.onnx, "export", _breaks)
    with pytest.raises(RuntimeError, match="half way"):
        fitted("article").export(path, force=True)
    assert path.read_text() == "mine"  # until the new file is complete
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    for place, words in ((tmp_path, "folder"), (tmp_path / "no" / "m.onnx", "nothing can be written")):
        with pytest.raises(ss.ShapeshiftError, match=words):
            fitted("article").export(place)


def _breaks(*_, **__):
    raise RuntimeError("half way")


def test_the_exporter_is_silent(capfd, caplog):
    with warnings.catch_warnings(record=True) as seen, export._in_silence():
        warnings.simplefilter("always")
        warnings.warn("its own future", FutureWarning, stacklevel=1)
        logging.getLogger("torch.onnx._internal").warning("a package that is not needed")
    assert caplog.text == ""
    assert [w for w in seen if w.category is not FutureWarning] == []


# --- the script for a board --------------------------------------------------------------------------


def test_the_script_reads_a_stream(files, fitted, tmp_path):
    model, x = fitted("article"), np.float32(KINDS["article"][0](5, 7))
    lines = [" ".join(map(repr, row.tolist())) for row in x]
    lines[1] = lines[1].replace(" ", ",")
    lines[3:3] = ["1 2 3", "energy intensity", " ".join(["0"] * x.shape[1])]
    done = subprocess.run(
        [sys.executable, SCRIPT, files("article")], input="\n".join(lines), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [f"line {k}: needed {x.shape[1]} numbers" for k in (4, 5)]
    said = done.stdout.splitlines()
    assert len(said) == 6
    p = model.posterior(x, refine=False)
    shifts = [float(line.split()[1]) for line in said]
    assert np.allclose(np.delete(shifts, 3), p.shift, atol=1e-4)
    assert np.allclose([float(v) for v in said[0].split("shape ")[1].split()[:2]], p.z[0], atol=1e-3)
    assert said[3].endswith("not to be trusted")


def test_the_script_needs_only_two_packages_and_is_short():
    text = SCRIPT.read_text()
    body = text.split('"""', 2)[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 24
    imported = {line.split()[1] for line in body.splitlines() if line.startswith(("import", "from"))}
    assert imported == {"json", "sys", "numpy", "onnxruntime"}


def test_the_page_tells_what_was_measured():
    record = json.loads((ROOT / "benchmarks" / "results" / "edge.json").read_text())
    page = (ROOT / "docs" / "edge.md").read_text()
    for name, row in record["steps"].items():
        told = f"`--steps {name[6:]}`" if name.startswith("steps=") else "`posterior(X)`, in Python"
        cells = next(line for line in page.splitlines() if line.startswith(f"| {told} |")).split(" | ")
        assert cells[1:3] == [f"{row['efficiency']:.2f}", f"{100 * row['coverage68']:.1f} %"], name
        if "kB" in row:
            ms = [f"{row['ms, batch 1']:.2f}", f"{row['ms, batch 100']:.{2 if name > 'steps=0' else 3}f}"]
            assert cells[3:] == [*ms, f"{row['kB']:.0f} kB |"], name
    worst = max(record["parity"].values())
    assert worst <= ENOUGH
    assert f"at most {worst:.1e}".replace("e-0", "e-") in page
