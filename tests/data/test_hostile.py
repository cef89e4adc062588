"""Files made to do harm are refused before they cost memory, and nothing outside a file is ever read."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file, savemat

import shapeshift as ss
from shapeshift.data import hdf, probe
from shapeshift.data.carrier import bytes_of, check_size
from shapeshift.data.numpy_files import Budget

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


# --- headers, texts and archives


@pytest.mark.usefixtures("bounded")
def test_a_header_as_long_as_a_disk(tmp_path: Path) -> None:
    size = 400_000_000
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("X.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", size))
        for _ in range(size // 10**7):
            member.write(b" " * 10**7)
    with pytest.raises(ss.ShapeshiftError, match="a header of 400000000 bytes"):
        ss.open(tmp_path / "a.npz")


@pytest.mark.parametrize("descr", ["(" * 5000, "[('a', " * 800, "'|O'", "'<f8', 3", "None", "1 +"])
def test_headers_that_are_no_headers(tmp_path: Path, descr: str) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (6, 20), }}\n".encode()
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    (tmp_path / "a.npy").write_bytes(head + SIGNALS.tobytes())
    with pytest.raises(ss.ShapeshiftError, match=r"a\.npy: got (a damaged file|Python objects)"):
        ss.open(tmp_path / "a.npy")


def test_a_text_that_claims_to_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    claimed = {"descr": "<U20000000", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(buffer, claimed)
    np.savez(tmp_path / "a.npz", X=SIGNALS)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("note.npy", buffer.getvalue())
    np.testing.assert_array_equal(ss.open(tmp_path / "a.npz").values, SIGNALS)


def test_many_small_bombs_are_one_large_one(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(bytes(1000))
    budget = Budget(tmp_path / "a.npz")
    budget.spend(60 * 2**20, "first")
    with pytest.raises(ss.ShapeshiftError, match=r"second: .*fill the memory"):
        budget.spend(60 * 2**20, "second")


def test_bytes_that_become_floats_are_counted_as_such() -> None:
    claimed, stored = 20 * 2**20, 1000
    check_size(claimed, stored, "few")
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        check_size(claimed, stored, "few", floats=bytes_of((claimed,), 1))


def test_two_arrays_of_one_name_are_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("X.npy", header(SIGNALS.shape) + SIGNALS.tobytes())
    with pytest.raises(ss.ShapeshiftError, match="several arrays"):
        ss.open(tmp_path / "a.npz", array="X")


# --- tables


@pytest.mark.usefixtures("bounded")
def test_a_line_of_commas_that_fills_the_memory(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"," * 20_000_000))
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.csv.gz")


def test_a_million_columns_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(",".join(["1", "2"] * 500_000) for _ in range(2)))
    assert ss.open(tmp_path / "a.csv").shape == (2, 1_000_000)


@pytest.mark.parametrize("cell", ['"' + "a" * 200_000, '"' + "a" * 200_000 + '"', "1\0", "9" * 200_000 + "x"])
def test_a_cell_without_end(tmp_path: Path, cell: str) -> None:
    rows = ["1,2,3"] * 2000 + [f"1,{cell},3"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    with pytest.raises(ss.ShapeshiftError, match="line 2001") as refusal:
        ss.open(tmp_path / "a.csv")
    assert len(str(refusal.value)) < 300


def test_a_tall_table_takes_no_longer_than_its_length(tmp_path: Path, monkeypatch) -> None:
    from shapeshift.data import layout

    seen: list[int] = []
    judge = layout.monotonic
    monkeypatch.setattr(layout, "monotonic", lambda line: seen.append(1) or judge(line))
    (tmp_path / "a.csv").write_text("1,2,3,4,5,6,7\n" * 20_000)
    ss.open(tmp_path / "a.csv")
    assert 1000 < len(seen) < 5000


# --- HDF5


def packed(path: Path, filters: tuple[int, ...], chunk: bytes) -> Path:
    """A data set (100, 100) in one chunk, whose packed bytes are given."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((100, 100))
    for level in filters:
        plist.set_deflate(level)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((100, 100))
        made = h5py.h5d.create(file.id, b"X", h5py.h5t.IEEE_F64LE, space, plist)
        made.write_direct_chunk((0, 0), chunk)
    return path


BOMB = zlib.compress(bytes(100 * 2**20), 9)


@pytest.mark.parametrize("ending", ["h5", "nc", "mat"])
@pytest.mark.parametrize(
    ("filters", "chunk"), [((9,), BOMB), ((9, 9), zlib.compress(BOMB, 9))], ids=["once", "twice"]
)
def test_a_chunk_that_unpacks_to_more_than_it_says(
    tmp_path: Path, filters, chunk: bytes, ending: str
) -> None:
    path = packed(tmp_path / f"a.{ending}", filters, chunk)
    with pytest.raises(ss.ShapeshiftError, match="hold more than they say"):
        ss.open(path)


def test_a_chunk_that_says_what_it_holds(tmp_path: Path) -> None:
    values = np.arange(10_000.0).reshape(100, 100) % 7
    path = packed(tmp_path / "a.h5", (9,), zlib.compress(values.tobytes()))
    np.testing.assert_array_equal(ss.open(path).values, values)
    with h5py.File(tmp_path / "b.h5", "w") as file:  # large enough that every chunk is looked into
        noise = np.random.default_rng(0).normal(size=(60, 4000))
        file.create_dataset(
            "X", data=noise, chunks=(20, 4000), compression="gzip", shuffle=True, fletcher32=True
        )
    np.testing.assert_array_equal(ss.open(tmp_path / "b.h5").values, noise)


def test_a_chunk_larger_than_the_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        size = (20_000, 20_000)
        file.create_dataset("X", (6, 20), "f8", maxshape=(None, None), chunks=size, compression="gzip")
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.h5")


def test_a_filter_that_lies_about_its_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="earliest") as file:
        file.create_dataset("X", data=np.arange(120).reshape(6, 20), chunks=(6, 20), scaleoffset=11)
    data = (tmp_path / "a.h5").read_bytes()
    told = struct.pack("<III", 2, 11, 120)
    assert data.count(told) == 1
    (tmp_path / "a.h5").write_bytes(data.replace(told, struct.pack("<III", 2, 11, 2**31)))
    with pytest.raises(ss.ShapeshiftError, match="hold more than they say"):
        ss.open(tmp_path / "a.h5")


def test_a_filter_that_nobody_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="earliest") as file:
        file.create_dataset("X", data=SIGNALS, chunks=(6, 20), compression="gzip")
    data = bytearray((tmp_path / "a.h5").read_bytes())
    at = data.index(b"deflate") - 8
    data[at : at + 2] = struct.pack("<H", 40_000)
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(ss.ShapeshiftError, match=r"a\.h5: got a file that cannot be read"):
        ss.open(tmp_path / "a.h5")


@pytest.mark.usefixtures("bounded")
def test_words_and_attributes_without_end_are_left_aside(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"], file["x"] = SIGNALS, np.arange(20.0)
        file["x"].attrs["units"] = np.bytes_(b"m" * 20_000)
        file.create_dataset("axis", shape=(), dtype="S300000000")
    found = ss.open(tmp_path / "a.h5")
    assert found.dims == ("signal", "x")
    assert found["x"].attrs["units"] == ""


def test_members_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf, "_MEMBERS", 10)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for k in range(20):
            file.create_group(f"{k}/deeper")
    with pytest.raises(ss.ShapeshiftError, match="more than 10 members"):
        ss.open(tmp_path / "a.h5")


def test_a_link_beside_an_honest_variable_of_netcdf(tmp_path: Path) -> None:
    with pytest.raises(ss.ShapeshiftError, match="'X', a link into another file"):
        ss.open(outward(tmp_path / "a.nc", "link"), array="Y")


def test_a_file_that_the_library_does_not_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X"] = SIGNALS
    np.testing.assert_array_equal(ss.open(tmp_path / "a.h5").values, SIGNALS)
    little = "import os, resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1)); "
    for fate in ("os.kill(os.getpid(), 11)", "[None for _ in iter(int, 1)]"):
        monkeypatch.setattr(probe, "_CODE", little + fate)
        with pytest.raises(ss.ShapeshiftError, match=r"a\.h5: got a damaged file that ends the HDF5 library"):
            ss.open(tmp_path / "a.h5")


@pytest.mark.parametrize("ending", ["h5", "nc", "mat"])
def test_the_first_look_sees_heaps_that_have_no_end(tmp_path: Path, monkeypatch, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with h5py.File(path, "w", libver="earliest") as file:
        file["X"], file["x"] = SIGNALS, np.arange(20.0)
        file["x"].attrs["units"] = "eV"
        file["X"].dims[1].attach_scale(file["x"])
    data = path.read_bytes()
    at = data.index(b"GCOL") + 43  # within the second object's head: HDF5 2.0 looks for its end for ever
    path.write_bytes(data[:at] + b"\xff" + data[at:-1])
    monkeypatch.setattr(probe, "_SECONDS", 1)
    with pytest.raises(ss.ShapeshiftError, match="without end"):
        ss.open(path)


# --- the classic NetCDF and MATLAB


@pytest.mark.usefixtures("bounded")
def test_a_classic_header_that_claims_gigabytes(tmp_path: Path) -> None:
    with netcdf_file(tmp_path / "a.nc", "w", mmap=False) as file:
        file.createDimension("signal", 77)
        file.createDimension("x", 20)
        file.createVariable("X", "d", ("signal", "x"))[:] = 1.0
    data = (tmp_path / "a.nc").read_bytes()
    for claimed in (2**27, 2**31 - 1):
        (tmp_path / "a.nc").write_bytes(data.replace(struct.pack(">i", 77), struct.pack(">i", claimed)))
        with pytest.raises(ss.ShapeshiftError, match=r"a\.nc: got a damaged file"):
            ss.open(tmp_path / "a.nc")


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("form", ["4", "5"])
def test_a_variable_of_matlab_that_claims_gigabytes(tmp_path: Path, form: str) -> None:
    savemat(tmp_path / "a.mat", {"X": np.ones((7, 20))}, format=form)
    data = (tmp_path / "a.mat").read_bytes()
    (tmp_path / "a.mat").write_bytes(data.replace(struct.pack("<ii", 7, 20), struct.pack("<ii", 2**30, 20)))
    with pytest.raises(ss.ShapeshiftError, match=r"damaged file|fill the memory|fits into the memory"):
        ss.open(tmp_path / "a.mat")


@pytest.mark.usefixtures("bounded")
def test_a_packed_variable_of_matlab_that_is_a_bomb(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"X": np.zeros((2, 10_000_000), np.int8)}, do_compression=True)
    with pytest.raises(ss.ShapeshiftError, match="fill the memory"):
        ss.open(tmp_path / "a.mat")


def test_a_damaged_variable_of_matlab_does_not_end_the_process(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"X": SIGNALS})
    data = (tmp_path / "a.mat").read_bytes()
    at = data.index(b"X\0\0\0") + 4  # the tag of the numbers
    for kind in (0, 8, 14, 15, 255, 2**16 + 1):
        (tmp_path / "a.mat").write_bytes(data[:at] + struct.pack("<I", kind) + data[at + 4 :])
        with pytest.raises(ss.ShapeshiftError, match=r"a\.mat: got a damaged file"):
            ss.open(tmp_path / "a.mat")
