"""Model files made to do harm: nothing is built from a description before it is known to fit the tensors."""

from __future__ import annotations

import copy
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import shapeshift as ss
from shapeshift.fit import checkpoint
from shapeshift.fit.schema import SIGNALS, conform

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models of signals, of images and of pairs."""
    folder = tmp_path_factory.mktemp("models")
    X, _ = ss.synthetic.article(n=40, seed=0)
    images = np.random.default_rng(0).normal(size=(24, 8, 9)) + 5 * np.eye(8, 9)
    small: dict[str, Any] = {"epochs": 1, "width": 4}
    fitted = {
        "signals": ss.ShiftVAE(**small).fit(X),
        "kinds": ss.ShiftVAE(**small).fit(X, condition=["a", "b"] * 20),
        "images": ss.ImageVAE(**small).fit(images),
        "net": ss.ImageVAE(**small, encoder="conv", decoder="coordinate").fit(images),
        "pairs": ss.VED(**small, n_starts=1).fit(images, X[:24]),
    }
    for name, model in fitted.items():
        model.save(folder / name)
    return {name: folder / name for name in fitted}


def changed(files: dict[str, Path], kind: str, change: Change, path: Path) -> Path:
    tensors, description = checkpoint.read(files[kind])
    description = copy.deepcopy(description)
    change(description, tensors)
    checkpoint.write(path, tensors, description)
    return path


def put(where: str, value: Any) -> Change:
    """A change of one member of the description, its place with dots."""

    def change(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        *above, last = where.split(".")
        for name in above:
            description = description[int(name)] if isinstance(description, list) else description[name]
        description[int(last) if isinstance(description, list) else last] = value

    return change


def tensor(name: str, value: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """A change of one tensor."""
    return lambda description, tensors: tensors.__setitem__(name, value(tensors[name]))


GIANTS: list[tuple[str, Change]] = [
    ("signals", put("options.width", 10**6)),
    ("signals", put("options.depth", 10**9)),
    ("signals", put("options.n_latent", 10**6)),
    ("signals", put("reach", 2**30)),
    ("signals", put("reach", 300)),
    ("signals", put("bank.n_given", 10**9)),
    ("signals", tensor("axis", lambda t: torch.arange(3e6, dtype=torch.float64))),
    ("kinds", put("condition.levels", ["x"] * 100_000)),
    ("images", put("options.width", 200_000)),
    ("images", put("raster.channels", 2**30)),
    ("images", put("raster.rows.values", list(range(30_000)))),
    ("images", put("lattice", [1, 10**6, 10**6, 2.0, 2.0])),
    ("images", put("lattice", [4, 95, 1, 2.0, 2.0])),
    ("net", put("options.width", 10**6)),
    ("net", put("raster.columns.values", list(range(100_000)))),
    ("pairs", put("options.width", 10**6)),
    ("pairs", put("options.depth", 10**8)),
    ("pairs", put("x_side.shape", [10**6, 10**6])),
    ("pairs", put("y_side.given", [2**30])),
    ("pairs", put("histories", [{"columns": {}, "stopped": "finished"}] * 100)),
]

LOADER = """
import json, resource, sys
import shapeshift as ss
ss.load(sys.argv[1])
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 300 * 2**20,) * 2)
for path in sys.argv[2:]:
    try:
        ss.load(path)
        print(json.dumps("read"))
    except ss.ShapeshiftError as error:
        print(json.dumps([str(error), type(error.__cause__).__name__]))
"""


def test_descriptions_of_giants_are_refused_before_memory_is_asked_for(files, tmp_path: Path) -> None:
    paths = [changed(files, kind, change, tmp_path / str(k)) for k, (kind, change) in enumerate(GIANTS)]
    command = [sys.executable, "-c", LOADER, str(files["signals"]), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(GIANTS)
    for (kind, _), found in zip(GIANTS, told, strict=True):
        assert found != "read", kind
        assert "needed" in found[0], found
        assert found[1] == "NoneType", found  # a sentence of its own, no allocation that failed


WRONG: list[tuple[str, Change]] = [
    *[
        ("signals", put(name, {"a": 1}))
        for name in SIGNALS
        if name not in ("channels?", "condition?", "temper?", "options")
    ],
    *[
        ("signals", put(name, None))
        for name in SIGNALS
        if name not in ("channels?", "condition?", "temper?", "worth")
    ],
    ("signals", put("temper", 0.0)),
    ("signals", put("temper", float("nan"))),
    ("signals", put("scaling.gain", float("inf"))),
    ("signals", put("history.columns", {"a": [1.0], "b": []})),
    ("signals", put("history.columns", {"a": ["1"]})),
    ("signals", put("likelihood", "student")),
    ("signals", put("nuisance", ["gain"] * 4)),
    ("signals", put("notes", [["nested"]])),
    ("signals", put("options.deep", [[[[[[[[[1]]]]]]]]])),
    ("signals", put("options.decoder", "os.system")),
    ("signals", put("options.zero", ["reference"])),
    ("signals", put("bank.kinds", True)),
    ("signals", put("condition", {"names": ["a"], "levels": [], "centre": [0.0], "spread": [1.0]})),
    ("signals", put("channels", {"a": 1})),
    ("signals", put("channels", {"names": ["a"], "offset": [0.0, 0.0], "gain": [1.0]})),
    ("signals", put("channels", {"names": ["a"], "offset": [0.0], "gain": [0.0]})),
    ("signals", put("channels", {"names": ["a"] * 10**5, "offset": [0.0] * 10**5, "gain": [1.0] * 10**5})),
    ("kinds", put("condition", None)),
    ("kinds", put("condition.levels", ["a"])),
    ("kinds", put("condition.levels", [["a"], ["b"]])),
    ("kinds", tensor("reference.given", lambda t: t[:, :1])),
    ("images", put("raster.rows.values", [0.0] * 8)),
    ("images", put("reach", [1e9, 0.0, 0.0])),
    ("images", put("reach", [1.0, -1.0, 0.0])),
    ("images", tensor("reference.coefficients", lambda t: t[:1])),
    ("images", tensor("reference.middle", lambda t: t.repeat(3, 1))),
    ("pairs", put("x_side.dims", ["a", "b", "c"])),
    ("pairs", put("y_side.coords.0.dims", ["nowhere"])),
    ("pairs", put("y_side.coords.0.words", ["a", "b"])),
    ("pairs", put("histories.0.stopped", "whenever")),
    ("pairs", put("names", ["a"])),
    ("pairs", put("x_side.shape", [])),
    ("pairs", tensor("calibration.noise", lambda t: t[:-1])),
    ("pairs", tensor("y.offset", lambda t: t[:-1])),
    ("signals", tensor("axis", lambda t: t[:, None])),
    ("signals", tensor("axis", lambda t: t * 0)),
    ("signals", tensor("bank.z", lambda t: t[:, :1])),
    ("signals", tensor("shapes", lambda t: t.flatten())),
    ("signals", tensor("bank.z", lambda t: t[:0])),
    ("signals", tensor("reference.knots", lambda t: t[:, :1])),
    ("signals", tensor("reference.symmetric", lambda t: t.float())),
    ("signals", tensor("vae.grid", lambda t: t.T.contiguous())),
    ("signals", tensor("vae.encoder.body.2.weight", lambda t: t[:-1])),
    ("signals", tensor("vae.decoder.floor", lambda t: t * float("nan"))),
    ("signals", tensor("vae.decoder.floor", lambda t: t * 0 + 1e30)),
    ("signals", tensor("vae.warps.0.prior_sd", lambda t: t * float("nan"))),
    ("signals", tensor("vae.decoder.base", lambda t: t.double())),
    ("signals", tensor("bank.z", lambda t: t.int())),
    ("pairs", tensor("calibration.b", lambda t: t * float("inf"))),
]


@pytest.mark.parametrize(("kind", "change"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_conform_is_refused(files, tmp_path: Path, kind: str, change: Change) -> None:
    path = changed(files, kind, change, tmp_path / "m")
    with pytest.raises(ss.ShapeshiftError, match=r"needed"):
        ss.load(path)


@pytest.mark.parametrize("kind", [["ShiftVAE"], {}, None, "os.system", "PoseEstimator", "y" * 10_000])
def test_only_known_kinds_are_made(files, tmp_path: Path, kind: Any) -> None:
    path = changed(files, "signals", put("kind", kind), tmp_path / "m")
    with pytest.raises(ss.ShapeshiftError, match="got a model of kind") as refusal:
        ss.load(path)
    assert len(str(refusal.value)) < 300


def test_a_uniform_prior_is_infinitely_wide(files, tmp_path: Path) -> None:
    path = changed(
        files, "images", tensor("vae.warps.0.prior_sd", lambda t: t * float("inf")), tmp_path / "m"
    )
    assert ss.load(path).prior_sd_["rotation"] is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 50_000, "9" * 10_000, '"\\ud800"', "NaN", "null"])
def test_descriptions_that_break_parsers(tmp_path: Path, text: str) -> None:
    header = {"format": checkpoint.FORMAT, "version": "1", "description": text}
    save_file({"a": torch.zeros(2)}, tmp_path / "m", metadata=header)
    with pytest.raises(ss.ShapeshiftError, match="damaged"):
        ss.load(tmp_path / "m")


def test_a_header_larger_than_any_description(tmp_path: Path) -> None:
    header = {"format": checkpoint.FORMAT, "version": "1", "description": "[" + "[]," * 2_000_000 + "[]]"}
    save_file({"a": torch.zeros(2)}, tmp_path / "m", metadata=header)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ss.ShapeshiftError, match="a header of 60"):
        ss.load(tmp_path / "m")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_names_in_a_model_file_are_safe_to_show(files, tmp_path: Path) -> None:
    def change(description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        description["axis"] = {"name": "x\x1b[2J", "units": "\x07"}
        description["notes"] = ["a\nb"]

    model = ss.load(changed(files, "signals", change, tmp_path / "m"))
    assert (model.axis_name_, model.axis_units_, model.notes_) == ("x\ufffd[2J", "\ufffd", ("a b",))


def test_every_member_of_a_description_is_told_by_its_place(files) -> None:
    _, description = checkpoint.read(files["signals"])
    conform(description, SIGNALS)
    description["scaling"]["gain"] = -1.0
    with pytest.raises(ss.ShapeshiftError, match=r"got -1\.0 for scaling\.gain, needed a number above 0"):
        conform(description, SIGNALS)
