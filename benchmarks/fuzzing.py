"""Damaged and hostile files: small valid ones of every format, changed at random, with some knowledge of it.

The sound files stand in fuzz_seeds.py, with one line for each format.
All randomness comes from one `random.Random`, so that hypothesis can drive it and shrink what it finds.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from fuzz_judge import Input, Outcome, outcome
from fuzz_seeds import MODEL, seeds

__all__ = ["Input", "Outcome", "hostile", "outcome"]

READINGS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {"kind": "image"}, {"single": True}, {"axis": "none"}),
    *({"array": "X"}, {"axis": "x"}, {"orientation": "columns"}, {"kind": "image", "image_shape": (3, 3)}),
)

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


def _for_store(data: bytes, random: Random, other: bytes) -> bytes:
    """Members changed, dropped or renamed inside a sound archive; documents as documents."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # names that stand there twice
        for name, content in members.items():
            way = random.random()
            if way < 0.15 and name.endswith(("json", ".zarray", ".zattrs", ".zgroup")):
                content = json.dumps(_json_changed(json.loads(content), random, 0.08)).encode()
            elif way < 0.25:
                content = changed(content, random)
            elif way < 0.28:
                name = random.choice(("../../" + name, name + "x", "X/" + name))
            if way < 0.97:
                archive.writestr(name, content)
    return buffer.getvalue()


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
    ".zarr": _for_store,
    ".zarr.zip": _for_store,
    MODEL: _for_model,
}


def hostile(ending: str, random: Random) -> Input:
    """A file of an ending that may do harm."""
    known = seeds(ending)
    data, other = random.choice(known), random.choice(known)
    knowing = _KNOWING.get(ending)
    way = changed if knowing is None or (random.random() < 0.3 and ending != ".zarr") else knowing
    reading = {} if ending == MODEL else random.choice(READINGS)
    return Input(way(data, random, other), ending, reading)
