"""Damaged and hostile files: small valid ones of every format, changed at random, with some knowledge of it.

To fuzz a new reader, add one line to `SEEDS`: the ending, and functions that write a small valid file.
All randomness comes from one `random.Random`, so that hypothesis can drive it and shrink what it finds.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr
from scipy.io import netcdf_file, savemat

import shapeshift as ss
from shapeshift.data.files import _READERS

MODEL = ".safetensors"  # the model loader stands beside the readers
VALUES = np.round(np.random.default_rng(0).normal(size=(6, 9)), 3)
AXIS = np.linspace(1.0, 5.0, 9)
READINGS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {"kind": "image"}, {"single": True}, {"axis": "none"}),
    *({"array": "X"}, {"axis": "x"}, {"orientation": "columns"}, {"kind": "image", "image_shape": (3, 3)}),
)


class Input(NamedTuple):
    """A file to be read: its bytes, its ending and the options it is read with."""

    data: bytes
    ending: str
    reading: dict[str, Any]


class Outcome(NamedTuple):
    """What came of an input: "read", "refused", or "wrong" with what is wrong about it."""

    what: str
    said: str


# --- small valid files


def _by_file(write: Callable[[Path], object], name: str) -> bytes:
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _npz(save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, X=VALUES, x=AXIS, axis="energy (eV)", map_shape=[2, 3], flag=np.arange(4))
    return buffer.getvalue()


def _text(delimiter: str) -> bytes:
    rows = [delimiter.join(["energy (eV)", *(f"s{k}" for k in range(6))])]
    rows += [delimiter.join(f"{v:.3f}" for v in (a, *column)) for a, column in zip(AXIS, VALUES.T)]  # noqa: B905
    return ("# a comment\n" + "\n".join(rows) + "\n").encode()


def _plain_text(delimiter: str) -> bytes:
    return "\n".join(delimiter.join(f"{v:.3f}" for v in row) for row in (AXIS, *VALUES)).encode()


def _hdf(libver: str, **more: Any) -> Callable[[], bytes]:
    def write(path: Path) -> None:
        with h5py.File(path, "w", libver=libver) as file:
            file["x"] = AXIS
            file["x"].attrs["units"] = "eV"
            file["note"] = "text"
            X = file.create_dataset("group/X", data=VALUES, **more)
            X.dims[1].attach_scale(file["x"])
            file["again"] = h5py.SoftLink("/group")

    return lambda: _by_file(write, "a.h5")


def _netcdf(engine: str) -> Callable[[], bytes]:
    da = xr.DataArray(VALUES, {"energy": ("energy", AXIS, {"units": "eV"})}, ("signal", "energy"), name="X")
    return lambda: _by_file(lambda path: da.to_netcdf(path, engine=engine), "a.nc")  # type: ignore[arg-type]


def _netcdf_classic() -> bytes:
    def write(path: Path) -> None:
        with netcdf_file(path, "w", mmap=False) as file:
            file.createDimension("signal", None)
            file.createDimension("energy", 9)
            file.createVariable("energy", "d", ("energy",))[:] = AXIS
            file.createVariable("X", "f", ("signal", "energy"))[:] = VALUES

    return _by_file(write, "a.nc")


def _mat(**options: Any) -> Callable[[], bytes]:
    content = {"X": VALUES, "x": AXIS, "note": "text"}
    more = {} if options.get("format") == "4" else {"s": {"a": 1.0}, "c": np.array([1, "b"], dtype=object)}
    return lambda: _by_file(lambda path: savemat(path, content | more, **options), "a.mat")


@cache
def models() -> tuple[bytes, ...]:
    """A small fitted model of every kind, as files."""
    X, truth = ss.synthetic.article(n=40, seed=0)
    images = np.random.default_rng(0).normal(size=(24, 8, 9)) + 5 * np.eye(8, 9)
    small: dict[str, Any] = {"epochs": 1, "width": 4}
    labels = np.arange(40) % 2
    fitted = (
        ss.ShiftVAE(**small).fit(X),
        ss.ShiftVAE(**small, warps=(), decoder="coordinate").fit(X, condition=truth["width"].values),
        ss.ShiftVAEClassifier(**small).fit(X.values, labels),
        ss.ImageVAE(**small).fit(images),
        ss.ImageVAE(**small, encoder="conv", warps=("scale",), decoder="coordinate").fit(images),
        ss.VED(**small, n_starts=2).fit(images, X[:24]),
        ss.VED(**small, n_starts=1, encoder="conv").fit(images, X.values[:24]),
    )
    return tuple(_by_file(model.save, "m") for model in fitted)


SEEDS: dict[str, tuple[Callable[[], bytes], ...]] = {
    ".npy": (lambda: _npy(VALUES), lambda: _npy(np.arange(60, dtype=np.int8).reshape(2, 5, 6))),
    ".npz": (lambda: _npz(np.savez), lambda: _npz(np.savez_compressed)),
    ".csv": (lambda: _text(","), lambda: _plain_text(";")),
    ".tsv": (lambda: _text("\t"),),
    ".txt": (lambda: _plain_text(" "), lambda: _text("\t")),
    ".csv.gz": (lambda: gzip.compress(_text(","), mtime=0),),
    ".tsv.gz": (lambda: gzip.compress(_text("\t"), mtime=0),),
    ".txt.gz": (lambda: gzip.compress(_plain_text(" "), mtime=0),),
    ".h5": (_hdf("earliest"), _hdf("latest"), _hdf("earliest", chunks=(2, 3), compression="gzip")),
    ".hdf5": (
        _hdf("earliest", chunks=(2, 3), shuffle=True, fletcher32=True),
        _hdf("earliest", scaleoffset=2),
    ),
    ".nc": (_netcdf("h5netcdf"), _netcdf("scipy"), _netcdf_classic),
    ".nc4": (_netcdf("h5netcdf"),),
    ".mat": (_mat(), _mat(do_compression=True), _mat(format="4"), _hdf("earliest")),
}


@cache
def seeds(ending: str) -> tuple[bytes, ...]:
    """Small valid files of an ending."""
    return models() if ending == MODEL else tuple(make() for make in SEEDS[ending])


def endings() -> list[str]:
    """All that can be read: every ending that the readers know, and model files."""
    return [*_READERS, MODEL]


# --- changes

_EXTREME = (
    0,
    1,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
_WORDS = (
    *(
        b"",
        b"nan",
        b"-inf",
        b"1e999",
        b"1e-400",
        b"\0",
        b'"',
        b"'",
        b"\x1b[31m",
        b"\xff\xfe",
        b"1,5",
        b"(1+2j)",
    ),
    *(
        b"$\\frac{",
        b"=cmd()",
        b"#",
        b"9" * 100_000,
        b'"' + b"a" * 200_000 + b'"',
        b"\r",
        b"\xe2\x80\xae",
        b"1_000",
    ),
)


def changed(data: bytes, random: Random, other: bytes = b"") -> bytes:
    """Bytes with one to four changes."""
    for _ in range(random.randint(1, 4)):
        data = random.choice(_CHANGES)(data, random, other)
    return data


def _flip(data: bytes, random: Random, other: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.randint(1, 8)):
        if out:
            out[_place(out, random)] = random.randrange(256)
    return bytes(out)


def _bit(data: bytes, random: Random, other: bytes) -> bytes:
    out = bytearray(data)
    if out:
        out[_place(out, random)] ^= 1 << random.randrange(8)
    return bytes(out)


def _cut(data: bytes, random: Random, other: bytes) -> bytes:
    return data[: _place(data, random)]


def _number(data: bytes, random: Random, other: bytes) -> bytes:
    """A length, an address or a count replaced by an extreme one."""
    size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    value = random.choice(_EXTREME) + random.choice((0, 0, -1, 1))
    at = _place(data, random)
    at -= at % random.choice((1, size))
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, order) + data[at + size :]


def _splice(data: bytes, random: Random, other: bytes) -> bytes:
    source = random.choice((data, other or data))
    start, at = _place(source, random), _place(data, random)
    piece = source[start : start + random.choice((1, 8, 64, 512))]
    return data[:at] + piece + data[at + random.choice((0, len(piece))) :]


def _drop(data: bytes, random: Random, other: bytes) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 8, 100)) :]


def _word(data: bytes, random: Random, other: bytes) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(_WORDS) + data[at + random.choice((0, 1, 5)) :]


def _same(data: bytes, random: Random, other: bytes) -> bytes:
    """A stretch of one byte, or of a piece of the file many times over."""
    at, byte = _place(data, random), random.choice((b"\0", b"\xff", b"(", b"[", b",", b"1 ", b"\n", b" "))
    return data[:at] + byte * random.choice((10, 1000, 20_000)) + data[at:]


_CHANGES = (_flip, _flip, _bit, _cut, _number, _number, _number, _splice, _drop, _word, _same)


def _place(data: bytes | bytearray, random: Random) -> int:
    """A place, more often near the beginning, where headers are."""
    most = random.choice((len(data), len(data), 512))
    return random.randrange(max(1, min(most, len(data))))


# --- changes that know the format


def _npy_header(random: Random) -> bytes:
    """A header that claims anything."""
    shape = tuple(random.choice((*_EXTREME, 6, 9, -1)) for _ in range(random.randint(0, 4)))
    kinds = ("<f8", ">f4", "|b1", "<i8", "|O", "<c16", "<U9", "|S0", "|V8", "<M8[s]", "<U999999999")
    descr = random.choice([repr(k) for k in kinds] + ["[('a', '<f8')]", "(" * 200, "None", "'<f8', 3"])
    text = f"{{'descr': {descr}, 'fortran_order': {random.choice((True, False, 3))}, 'shape': {shape}, }}"
    text += " " * random.choice((0, 10, 20_000)) + "\n"
    version = random.choice(((1, 0), (2, 0), (3, 0), (9, 9)))
    claimed = random.choice((len(text), len(text), *_EXTREME))
    size = struct.pack("<H", claimed % 2**16) if version == (1, 0) else struct.pack("<I", claimed % 2**32)
    return b"\x93NUMPY" + bytes(version) + size + text.encode() + bytes(random.choice((0, 432, 5000)))


def _for_npy(data: bytes, random: Random, other: bytes) -> bytes:
    return _npy_header(random) if random.random() < 0.5 else changed(data, random, other)


def _for_npz(data: bytes, random: Random, other: bytes) -> bytes:
    """Members changed, renamed, doubled or blown up inside a sound archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # names that stand there twice
        for name, content in members.items():
            if random.random() < 0.5:
                content = _for_npy(content, random, data)
            if random.random() < 0.1:
                content = content + bytes(random.choice((1, 10**6, 10**7)))
            for _ in range(random.choice((0, 1, 1, 1, 1, 2))):
                name = random.choice((name, name, name, "../../" + name, "/" + name, "X.npy", "\x1b[2J.npy"))
                archive.writestr(name, content, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return buffer.getvalue()


def _for_gzip(data: bytes, random: Random, other: bytes) -> bytes:
    """Text changed and packed again, at times followed by very much of the same."""
    text = changed(gzip.decompress(data), random)
    if random.random() < 0.03:
        text += random.choice((b"1,", b"\n", b"1 ", b"x", b"1\t2\n")) * 20_000_000
    return gzip.compress(text, 1, mtime=0)


def _for_mat(data: bytes, random: Random, other: bytes) -> bytes:
    """Variables changed inside their packing, where they are packed."""
    at, out = 128, data[:128]
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == 15:
            try:
                body = zlib.compress(changed(zlib.decompress(body), random))
            except zlib.error:
                return changed(data, random, other)
        elif random.random() < 0.5:
            body = changed(body, random)
        out += struct.pack("<II", kind, len(body)) + body
        at += 8 + size
    return out


_HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3, 10**4, 10**6, 10**9, 2**63, 10**400, -0.5, 1e308, 1e-308),
    *(float("nan"), float("inf"), "", "x", "\x1b[31m", "<script>", "$\\frac{", "gaussian", "template"),
    *([], {}, [1], [[]], {"a": 1}, ["shift"], [1.0] * 1000, "y" * 10_000),
)


def _json_changed(value: Any, random: Random, chance: float = 0.04) -> Any:
    """A description with some of its members replaced, dropped, doubled or renamed."""
    if random.random() < chance:
        return random.choice(_HOSTILE)
    if isinstance(value, dict):
        out = {k: _json_changed(v, random, chance) for k, v in value.items() if random.random() > chance / 4}
        return out | (
            {random.choice(list(out)): random.choice(list(out.values()))}
            if out and random.random() < chance
            else {}
        )
    if isinstance(value, list) and len(value) < 200:
        out_list = [_json_changed(v, random, chance) for v in value]
        return out_list * 2 if random.random() < chance else out_list
    return value


def _for_model(data: bytes, random: Random, other: bytes) -> bytes:
    """The description, the header or a tensor changed inside a sound file."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    way = random.choice(("description", "description", "description", "header", "tensor", "numbers", "deep"))
    told = json.loads(header["__metadata__"]["description"])
    names = [name for name in header if name != "__metadata__"]
    if way == "description":
        chance = random.choice((0.01, 0.04))
        header["__metadata__"]["description"] = json.dumps(_json_changed(told, random, chance))
    elif way == "deep":
        start = random.choice(('{"kind": ', "[", '{"options": {"width": '))
        header["__metadata__"]["description"] = start * random.choice((10, 1000, 100_000))
    elif way == "header":
        header = _json_changed(header, random)
    elif way == "tensor":
        _tensor_changed(header, names, random)
    else:
        for _ in range(random.randint(1, 3)):
            begin, end = header[random.choice(names)]["data_offsets"]
            if end > begin:
                value = random.choice((np.nan, np.inf, 1e38, -1e38, 0.0))
                at = begin + 4 * random.randrange(max(1, (end - begin) // 4))
                body[at : at + 4] = struct.pack("<f", value)[: max(0, end - at)]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def _tensor_changed(header: dict[str, Any], names: Sequence[str], random: Random) -> None:
    """A tensor gone, under another name, of another type, or folded to another shape."""
    name = random.choice(names)
    entry = header[name]
    way = random.randrange(4)
    if way == 0:
        del header[name]
    elif way == 1:
        header[random.choice((name + "x", "vae.own", random.choice(names)))] = header.pop(name)
    elif way == 2:
        entry["dtype"] = random.choice(("F16", "I32", "F32", "BF16", "U8", "F64", "BOOL", "C64", "F8_E4M3"))
    else:
        count = int(np.prod(entry["shape"], dtype=object))
        entry["shape"] = random.choice(
            ([], [count], [1, count], [count, 1], [0], [2**40, 0], entry["shape"][::-1])
        )


_KNOWING: dict[str, Callable[[bytes, Random, bytes], bytes]] = {
    ".npy": _for_npy,
    ".npz": _for_npz,
    ".csv.gz": _for_gzip,
    ".tsv.gz": _for_gzip,
    ".txt.gz": _for_gzip,
    ".mat": _for_mat,
    MODEL: _for_model,
}


def hostile(ending: str, random: Random) -> Input:
    """A file of an ending that may do harm."""
    known = seeds(ending)
    data, other = random.choice(known), random.choice(known)
    knowing = _KNOWING.get(ending)
    way = changed if knowing is None or random.random() < 0.3 else knowing
    reading = {} if ending == MODEL else random.choice(READINGS)
    return Input(way(data, random, other), ending, reading)


# --- judgement


def outcome(given: Input, folder: Path) -> Outcome:
    """Read an input, and say whether it was read, or refused as it should be."""
    path = folder / f"input{given.ending}"
    path.write_bytes(given.data)
    try:
        if given.ending == MODEL:
            told = _answers(ss.load(path))
        else:
            told = _labelled(ss.open(path, **given.reading))
    except ss.ShapeshiftError as error:
        return _refused(error)
    except Exception as error:
        return Outcome("wrong", f"{type(error).__name__}: {error}")
    finally:
        os.unlink(path)
    return Outcome("wrong" if told else "read", told)


def _refused(error: BaseException) -> Outcome:
    """A sentence that people can read, and no want of memory behind it."""
    said, cause = str(error), error.__cause__
    if not said.isprintable() or not 20 < len(said) <= 2000:
        return Outcome("wrong", f"got an unclear refusal: {said[:200]!r}")
    return Outcome("memory" if isinstance(cause, MemoryError) else "refused", said)


def _labelled(X: xr.DataArray) -> str:
    """What is wrong with what was read, "" for nothing."""
    if X.dtype not in (np.float32, np.float64) or X.ndim < 2 or X.size < 2:
        return f"got an array of {X.dtype} {X.shape}"
    words = [*map(str, X.dims), *map(str, X.coords), *(str(v) for v in X.attrs.values())]
    words += [str(c.attrs.get("units", "")) for c in X.coords.values()]
    strange = next((word for word in words if not word.isprintable() or len(word) > 5000), None)
    return "" if strange is None else f"got the word {strange[:100]!r}"


def _answers(m: Any) -> str:
    """A model that was loaded can be used: it answers, or refuses."""
    if isinstance(m, ss.VED):
        m.predict(np.zeros((2, m.n_features_in_)))
        return ""
    known = None if m.condition_ is None or m.classes_ is not None else np.zeros((3, m.condition_.size))
    m.posterior(np.random.default_rng(0).random((3, m.n_features_in_)), refine=False, condition=known)
    return ""
