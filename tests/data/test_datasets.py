"""Measured sets: the arrays that the files hold, from copies, cache or network, and never another file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import shapeshift as ss
from shapeshift.data import archives, sources
from shapeshift.data.wfdb_record import read_beats, read_record

NAMES = [archive.name for archive in archives.ARCHIVES]


def parts(name: str) -> tuple:
    """Signals, and what comes beside them."""
    found = getattr(ss.datasets, name)()
    return found if isinstance(found, tuple) else (found, None)


# --- the arrays


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("archive", archives.ARCHIVES, ids=NAMES)
def test_arrays_are_those_of_the_set(real_path, real_data, tmp_path, monkeypatch, archive, packed) -> None:
    known, folder = real_data(archive.name), real_path(archive.name).parent
    for name in archive.source.hashes:
        real_path(f"raw/{name}")
    if packed:
        np.savez(tmp_path / archive.name, **known)
    monkeypatch.setenv("SHAPESHIFT_DATA", str(tmp_path if packed else folder))
    values = archives.arrays_of(archive)
    assert set(archive.holds) <= set(values)
    for name in archive.holds:
        np.testing.assert_array_equal(values[name], known[name], err_msg=name)
        assert values[name].dtype == known[name].dtype, name


@pytest.mark.parametrize("archive", archives.ARCHIVES, ids=NAMES)
def test_what_comes_back_is_labelled(real_path, real_data, monkeypatch, archive) -> None:
    known = real_data(archive.name)
    monkeypatch.setenv("SHAPESHIFT_DATA", str(real_path(archive.name).parent))
    X, beside = parts(archive.name)
    values = known["X" if "X" in known else "signal_adu"]
    np.testing.assert_array_equal(X.values.reshape(values.shape), values)
    assert X.attrs["licence"] == archive.source.licence
    assert archive.source.commit in X.attrs["source"]
    for name in beside or ():
        np.testing.assert_array_equal(beside[name].values.ravel(), known[name].ravel(), err_msg=name)
        assert set(beside[name].dims[:1]) <= {*X.dims, "beat"}
    axis = X[X.dims[0] if archive is archives.RECORD else X.dims[-1]]
    if "x" in known:
        np.testing.assert_array_equal(axis.values, known["x"])
    assert axis.attrs["units"] == {"bepfm_resonance": "", "fegapd_xrd": "deg", "hinode_eis_fe12": "Angstrom",
                                   "pl_map_control": "nm"}.get(archive.name, "s")  # fmt: skip


def test_digits_are_images_that_can_be_fitted() -> None:
    X, labels = ss.datasets.digits()
    assert X.dims == ("signal", "row", "column")
    assert (X.values.min(), X.values.max()) == (0, 16)
    assert np.bincount(labels["label"]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ss.ImageVAE(epochs=1, width=8).fit(X[:40]).raster_.shape == (1, 8, 8)


# --- where the files come from


class Host(NamedTuple):
    """A server on this machine, what it serves, what it was asked for, and a source on it."""

    folder: Path
    asked: list[str]
    source: sources.Source

    @property
    def cache(self) -> Path:
        return self.folder.parent / "cache" / "shapeshift"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """One file, `set.npy`, at the place of a repository."""
    folder, asked = tmp_path / "served", []
    place = folder / "owner" / "repository" / "c0ffee" / "data"
    place.mkdir(parents=True)
    np.save(place / "set.npy", np.arange(6.0))
    sha256 = hashlib.sha256((place / "set.npy").read_bytes()).hexdigest()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(sources, "HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SHAPESHIFT_DATA", raising=False)
    yield Host(
        folder, asked, sources.Source("owner/repository", "c0ffee", "data", {"set.npy": sha256}, "MIT", "")
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once_and_kept(host: Host) -> None:
    for _ in range(2):
        np.testing.assert_array_equal(np.load(sources.fetch(host.source)["set.npy"]), np.arange(6.0))
    assert host.asked == ["/owner/repository/c0ffee/data/set.npy"]


def test_a_file_that_has_changed_is_refused_and_not_kept(host: Host) -> None:
    changed = host.source._replace(hashes={"set.npy": "0" * 64})
    with pytest.raises(ss.ShapeshiftError, match=r"not what it was.*000000000000"):
        sources.fetch(changed)
    assert list(host.cache.iterdir()) == []


def test_a_cached_file_that_was_damaged_is_fetched_again(host: Host) -> None:
    path = sources.fetch(host.source)["set.npy"]
    path.write_bytes(b"half")
    np.testing.assert_array_equal(np.load(sources.fetch(host.source)["set.npy"]), np.arange(6.0))
    assert len(host.asked) == 2


def test_no_network_is_told_in_a_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "HOST", "http://127.0.0.1:1")
    with pytest.raises(ss.ShapeshiftError, match=r"no copy of set\.npy and no answer.*set SHAPESHIFT_DATA"):
        sources.fetch(host.source)


def test_no_such_page_is_told_in_a_sentence(host: Host) -> None:
    with pytest.raises(ss.ShapeshiftError, match="no answer"):
        sources.fetch(host.source._replace(commit="moved"))


def test_no_pooch_is_told_in_a_sentence(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ss.ShapeshiftError, match=r"pip install 'shapeshift\[datasets\]'"):
        sources.fetch(host.source)


@pytest.mark.parametrize("within", [".", "raw"])
def test_a_copy_is_taken_without_asking(host: Host, monkeypatch, tmp_path: Path, within: str) -> None:
    copies = tmp_path / "copies"
    (copies / within).mkdir(parents=True, exist_ok=True)
    np.save(copies / within / "set.npy", np.arange(6.0))
    monkeypatch.setenv("SHAPESHIFT_DATA", str(copies))
    assert sources.fetch(host.source)["set.npy"] == copies / within / "set.npy"
    np.save(copies / within / "set.npy", np.arange(7.0))
    with pytest.raises(ss.ShapeshiftError, match="copy it again"):
        sources.fetch(host.source)
    assert host.asked == []


def test_a_folder_of_copies_that_is_none(host: Host, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHAPESHIFT_DATA", str(tmp_path / "nothing"))
    with pytest.raises(ss.ShapeshiftError, match="which is no folder"):
        ss.datasets.pl_map_control()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 50, b"text"])
def test_a_packed_copy_that_is_damaged(host: Host, monkeypatch, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pl_map_control.npz").write_bytes(content)
    monkeypatch.setenv("SHAPESHIFT_DATA", str(tmp_path))
    with pytest.raises(ss.ShapeshiftError, match=r"pl_map_control\.npz.*copy it again"):
        ss.datasets.pl_map_control()


def test_nothing_is_fetched_before_it_is_asked_for() -> None:
    code = "import sys, shapeshift as ss; ss.datasets; print('pooch' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- records of heartbeats

VALUES = np.random.default_rng(0).integers(-2048, 2048, (500, 2)).astype(np.int16)


def record(folder: Path, values: np.ndarray = VALUES, form: str = "212") -> tuple[Path, Path]:
    """Header and signals, packed here the other way round."""
    sums = values.sum(0, dtype=np.int64).astype(np.int16)
    lines = [f"7 2 250 {len(values)}"] + [
        f"7.dat {form} 100 12 {zero} 0 {total} 0 {name}"
        for zero, total, name in zip((5, 9), sums, ("I", "V1"), strict=True)
    ]
    (folder / "7.hea").write_text("# a comment\n" + "\n".join(lines) + "\n")
    a, b = (values.astype(np.int64) & 0xFFF).T
    packed = np.stack([a & 255, a >> 8 | (b >> 8) << 4, b & 255], 1).astype(np.uint8)
    (folder / "7.dat").write_bytes(packed.tobytes())
    return folder / "7.hea", folder / "7.dat"


def test_twelve_bits_come_back(tmp_path: Path) -> None:
    found = read_record(*record(tmp_path))
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.rate == 250
    assert [(lead.name, lead.zero, lead.per_unit) for lead in found.leads] == [("I", 5, 100), ("V1", 9, 100)]


def test_signals_that_are_not_those_of_the_header(tmp_path: Path) -> None:
    header, signals = record(tmp_path)
    data = bytearray(signals.read_bytes())
    for damaged in (data[:-1], data + b"\0\0\0", bytes([data[0] ^ 1]) + data[1:]):
        signals.write_bytes(damaged)
        with pytest.raises(ss.ShapeshiftError, match=r"7\.dat.*copy"):
            read_record(header, signals)


def test_headers_that_cannot_be_used(tmp_path: Path) -> None:
    header, signals = record(tmp_path, form="16")
    with pytest.raises(ss.ShapeshiftError, match="format 16, 16, needed two of format 212"):
        read_record(header, signals)
    for text in ("", "7 2 250", "7 two 250 9", "7 2 250 9\n7.dat 212"):
        header.write_text(text)
        with pytest.raises(ss.ShapeshiftError, match="header that cannot be read"):
            read_record(header, signals)


def word(code: int, span: int) -> bytes:
    return (code << 10 | span).to_bytes(2, "little")


def test_annotations_with_all_that_stands_between_them(tmp_path: Path) -> None:
    skip = word(59, 0) + (100_000 >> 16).to_bytes(2, "little") + (100_000 & 0xFFFF).to_bytes(2, "little")
    comment = word(63, 3) + b"abc\0"
    content = word(1, 70) + comment + word(61, 4) + skip + word(8, 5) + word(28, 2) + word(5, 3) + word(0, 0)
    (tmp_path / "a.atr").write_bytes(content + word(1, 9))
    beats = read_beats(tmp_path / "a.atr", (1, 5, 8))
    assert beats.sample.tolist() == [70, 100_075, 100_080]
    assert beats.code.tolist() == [1, 8, 5]
    (tmp_path / "a.atr").write_bytes(content[:-2])
    with pytest.raises(ss.ShapeshiftError, match="stop in the middle"):
        read_beats(tmp_path / "a.atr", (1,))
