"""Model files: to the bit and back, or refused in a sentence; never half a file."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import shapeshift as ss
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint

TENSORS = {
    "a": torch.tensor([[1.0, float("nan"), -0.0], [float("inf"), 1e-40, 3.0]]),
    "b": torch.linspace(0, 1, 7, dtype=torch.float64),
    "flag": torch.tensor(True),
}
DESCRIPTION = {"kind": "test", "numbers": [0.1, 1e-300], "name": "µm ü", "none": None}


@pytest.fixture(scope="module")
def fitted():
    X, _ = ss.synthetic.article(n=60, seed=0)
    return ss.ShiftVAE(epochs=2, width=8).fit(X), X


def test_tensors_and_description_come_back_to_the_bit(tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint.write(path, TENSORS, DESCRIPTION)
    tensors, description = checkpoint.read(path)
    assert description == DESCRIPTION
    assert tensors.keys() == TENSORS.keys()
    for name, t in TENSORS.items():
        assert tensors[name].dtype == t.dtype
        assert tensors[name].numpy().tobytes() == t.numpy().tobytes()


def test_a_fitted_model_gives_the_same_bits_after_a_round_trip(fitted, tmp_path):
    model, X = fitted
    model.save(tmp_path / "m")
    again = ss.load(tmp_path / "m")
    p, q = model.posterior(X), again.posterior(X)
    for name in ("shift", "shift_sd", "z", "z_sd", "noise_sd", "log_evidence", "flags"):
        assert np.array_equal(getattr(p, name), getattr(q, name)), name
    for name in ("axis_name_", "axis_units_", "shift_sd_", "options_", "notes_", "n_signals_", "zero_"):
        assert getattr(model, name) == getattr(again, name), name
    assert model.history_ == again.history_
    assert np.array_equal(model.manifold(3).values, again.manifold(3).values)
    assert again.get_params() == model.get_params() | {"epochs": 2, "shift_sd": model.shift_sd_}


def test_a_loaded_model_can_be_saved_again(fitted, tmp_path):
    model, _ = fitted
    model.save(tmp_path / "one")
    ss.load(tmp_path / "one").save(tmp_path / "two")
    (first, a), (second, b) = (checkpoint.read(tmp_path / name) for name in ("one", "two"))
    assert a == b
    assert all(torch.equal(t, second[k]) for k, t in first.items())


@pytest.mark.parametrize("moment", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "m.safetensors"
    checkpoint.write(path, TENSORS, DESCRIPTION)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, moment, fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(path, TENSORS, {"kind": "other"})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_write_leaves_no_part_file(tmp_path):
    checkpoint.write(tmp_path / "m.safetensors", TENSORS, DESCRIPTION)
    checkpoint.write(tmp_path / "m.safetensors", TENSORS, DESCRIPTION)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def header(**changes):
    description = changes.pop("description", json.dumps(DESCRIPTION))
    return {"format": checkpoint.FORMAT, "version": "1", "description": description} | changes


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (None, "not a shapeshift model"),
        ({"format": "pt"}, "not a shapeshift model"),
        (header(version="99"), "format version 99"),
        (header(description="{"), "damaged"),
        (header(description="[1, 2]"), "damaged"),
        ({"format": checkpoint.FORMAT, "version": "1"}, "damaged"),
        (header(description='{"kind": "Other"}'), "kind 'Other'"),
        (header(description='{"kind": "ShiftVAE"}'), "incomplete or damaged"),
    ],
)
def test_files_of_others_are_refused(tmp_path, metadata, told):
    path = tmp_path / "m.safetensors"
    save_file(TENSORS, path, metadata=metadata)
    with pytest.raises(ShapeshiftError, match=told):
        ss.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"text, not a model\n" * 20, b"PK\x03\x04" + b"\0" * 200, b"\xff" * 64]
)
def test_files_that_are_no_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ShapeshiftError, match="damaged or no model file"):
        ss.load(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(fitted, tmp_path, share):
    model, _ = fitted
    path = tmp_path / "m.safetensors"
    model.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ShapeshiftError, match="damaged"):
        ss.load(path)


@pytest.mark.parametrize("place", [lambda p: p / "none.safetensors", lambda p: p])
def test_no_file_is_told_from_a_damaged_one(tmp_path, place):
    with pytest.raises(ShapeshiftError, match="no model file at"):
        ss.load(place(tmp_path))


@pytest.mark.parametrize("missing", ["axis", "bank.z", "reference.constant", "vae.grid"])
def test_a_file_without_one_of_its_tensors_is_refused(fitted, tmp_path, missing):
    model, _ = fitted
    model.save(tmp_path / "m")
    tensors, description = checkpoint.read(tmp_path / "m")
    tensors.pop(missing)
    checkpoint.write(tmp_path / "m", tensors, description)
    with pytest.raises(ShapeshiftError, match="incomplete or damaged"):
        ss.load(tmp_path / "m")


def test_own_modules_are_asked_for(tmp_path):
    own = torch.nn.Linear(2, 1)

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = own

        def forward(self, z):
            return lambda u: torch.exp(-30 * u[..., 0] ** 2) * self.linear(z)

    X, _ = ss.synthetic.article(n=40, seed=0)
    model = ss.ShiftVAE(decoder=Decoder(), epochs=2).fit(X)
    model.save(tmp_path / "m")
    with pytest.raises(ShapeshiftError, match="own decoder: give it"):
        ss.load(tmp_path / "m")
    again = ss.load(tmp_path / "m", decoder=Decoder())
    assert np.array_equal(again.posterior(X).shift, model.posterior(X).shift)
