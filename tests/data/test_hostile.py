"""Files made to do harm are refused before they cost memory, and nothing outside a file is ever read."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import shapeshift as ss

SIGNALS = np.random.default_rng(0).normal(size=(6, 20))


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails when more than 100 MB were asked for on the way."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e8


def header(shape: tuple[int, ...]) -> bytes:
    """A `.npy` file's beginning, whatever follows."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("shape", [(10**9, 100), (10**18, 10**18), (7, 20)])
def test_numpy_headers_that_claim_more_than_there_is(tmp_path: Path, shape: tuple[int, int]) -> None:
    (tmp_path / "a.npy").write_bytes(header(shape) + SIGNALS.tobytes())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", header(shape) + SIGNALS.tobytes())
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ss.ShapeshiftError, match="claims"):
            ss.open(tmp_path / name)


@pytest.mark.usefixtures("bounded")
def test_an_archive_that_unpacks_to_a_thousand_times_its_size(tmp_path: Path) -> None:
    rows = 2_000_000  # 320 MB of zeros
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("X.npy", "w", force_zip64=True) as member,
    ):
        member.write(header((rows, 20)))
        for _ in range(rows // 100_000):
            member.write(bytes(100_000 * 20 * 8))
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.npz")


@pytest.mark.usefixtures("bounded")
def test_packed_text_that_never_ends(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(b"1," * 500_000)
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.csv.gz")


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("ending", ["h5", "nc", "mat"])
def test_hdf5_that_claims_terabytes(tmp_path: Path, ending: str) -> None:
    with h5py.File(tmp_path / f"a.{ending}", "w") as file:
        file.create_dataset("X", shape=(10**9, 1000), dtype="f8", chunks=(1000, 1000))
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / f"a.{ending}")


def outward(path: Path, kind: str) -> Path:
    """A file whose `X` lies in another file, beside an honest `Y`."""
    with h5py.File(path.parent / "secret.h5", "w") as file:
        file["X"] = SIGNALS
    SIGNALS.tofile(path.parent / "secret.raw")
    with h5py.File(path, "w") as file:
        file["Y"] = SIGNALS + 1
        if kind == "link":
            file["X"] = h5py.ExternalLink("secret.h5", "X")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape=SIGNALS.shape, dtype="f8")
            layout[:] = h5py.VirtualSource(path.parent / "secret.h5", "X", SIGNALS.shape)
            file.create_virtual_dataset("X", layout)
        else:
            storage = [(str(path.parent / "secret.raw"), 0, SIGNALS.nbytes)]
            file.create_dataset("X", SIGNALS.shape, "f8", external=storage)
    return path


@pytest.mark.parametrize("ending", ["h5", "nc", "mat"])
@pytest.mark.parametrize("kind", ["link", "virtual", "storage"])
def test_nothing_is_read_from_another_file(tmp_path: Path, kind: str, ending: str) -> None:
    path = outward(tmp_path / f"a.{ending}", kind)
    for array in (None, "X"):
        with pytest.raises(ss.ShapeshiftError, match=r"'X', a .*in the file itself"):
            ss.open(path, array=array)


def test_an_honest_array_beside_a_link_can_be_named(tmp_path: Path) -> None:
    path = outward(tmp_path / "a.h5", "link")
    np.testing.assert_array_equal(ss.open(path, array="Y").values, SIGNALS + 1)


def test_links_in_circles_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/X"] = SIGNALS
        file["group/again"] = file["group"]
        file["soft"] = h5py.SoftLink("/group")
        file["nowhere"] = h5py.SoftLink("/nothing")
    np.testing.assert_array_equal(ss.open(tmp_path / "a.h5").values, SIGNALS)


def test_an_archive_with_a_way_out_writes_nothing(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    buffer = io.BytesIO()
    np.save(buffer, SIGNALS)
    with zipfile.ZipFile(inner / "a.npz", "w") as archive:
        archive.writestr("../../out.npy", buffer.getvalue())
    np.testing.assert_array_equal(ss.open(inner / "a.npz").values, SIGNALS)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.npz", "inner"]


def test_pickled_objects_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=SIGNALS, extra=np.array([{"run": "me"}], dtype=object))
    np.testing.assert_array_equal(ss.open(tmp_path / "a.npz").values, SIGNALS)
    with pytest.raises(ss.ShapeshiftError, match="never unpickled"):
        ss.open(tmp_path / "a.npz", array="extra")
