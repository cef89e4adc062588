"""MATLAB's files of version 4 to 7: the values that scipy finds in them, bit for bit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from shapeshift.data.matfile import variables

RNG = np.random.default_rng(0)
SHAPES = [(3, 4), (1, 5), (2, 3, 4), (0, 3), (2, 1)]
TYPES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "c16", "c8", "?")


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    real = 50 * RNG.random(shape)
    return (real + 2j * real if dtype[0] == "c" else real).astype(dtype)


def written(content: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, content, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_every_class_and_shape_of_version_5(packed: bool) -> None:
    content = {f"v{k}": values(t, s) for k, (t, s) in enumerate((t, s) for t in TYPES for s in SHAPES)}
    data = written(content, do_compression=packed)
    known = loadmat(io.BytesIO(data))
    found = {v.name: v for v in variables(data, "a.mat")}
    assert found.keys() == content.keys()
    for name, v in found.items():
        np.testing.assert_array_equal(v.read(), known[name], err_msg=name)
        assert v.shape == known[name].shape
        assert v.read().dtype.kind == content[name].dtype.kind


def test_every_type_of_version_4() -> None:
    content = {f"v{t}": values(t, (3, 4)) for t in ("f8", "f4", "i4", "i2", "u2", "u1", "c16")}
    data = written(content, format="4")
    found = {v.name: v.read() for v in variables(data, "a.mat")}
    for name, known in content.items():
        np.testing.assert_array_equal(found[name], known, err_msg=name)


def test_files_of_the_other_byte_order() -> None:
    small, large = np.array([[1.5, -2.0]]), np.arange(6, dtype=">i4").reshape(2, 3)
    flags, kind = np.array([6, 0], ">u4"), np.array([14], ">u4")

    def element(code: int, content: bytes) -> bytes:
        head = np.array([code, len(content)], ">u4").tobytes()
        return head + content + bytes(-len(content) % 8)

    def variable(name: bytes, code: int, array: np.ndarray, mclass: int) -> bytes:
        shape = np.array(array.shape, ">i4").tobytes()
        flags[0] = mclass
        body = element(6, flags.tobytes()) + element(5, shape) + element(1, name)
        body += element(code, array.astype(array.dtype.newbyteorder(">")).tobytes(order="F"))
        return kind.tobytes() + np.array([len(body)], ">u4").tobytes() + body

    data = bytes(124) + b"\x01\x00MI" + variable(b"a", 9, small, 6) + variable(b"b", 5, large, 12)
    data = b"MATLAB 5.0 MAT-file".ljust(124) + data[124:]
    known = loadmat(io.BytesIO(data))
    for v in variables(data, "a.mat"):
        np.testing.assert_array_equal(v.read(), known[v.name])


def test_text_is_text_and_cells_are_passed_over() -> None:
    content = {"t": "energy (µeV)", "s": {"a": 1.0}, "c": np.array([1, "b"], dtype=object), "X": np.eye(2)}
    found = {v.name: v for v in variables(written(content), "a.mat")}
    assert {name: v.kind for name, v in found.items()} == {"t": "U", "s": "O", "c": "O", "X": "f"}
    assert str(found["t"].read()) == "energy (µeV)"
    old = {v.name: v for v in variables(written({"t": "energy (eV)"}, format="4"), "a.mat")}
    assert (old["t"].kind, str(old["t"].read())) == ("U", "energy (eV)")
