"""How the files of each measured set become its arrays."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shapeshift.data.sources import Source, all_copied, fetch, packed
from shapeshift.data.wfdb_record import read_beats, read_record
from shapeshift.errors import ShapeshiftError

Files = Mapping[str, Path]
Table = dict[str, NDArray]

_BEATS = (1, 5, 8)  # normal, ventricular, atrial
_HALF, _JITTER = 128, 60  # samples
_FILM = (490.0, 553.0)  # nm
_BAD = -99.0  # counts below are marks of bad pixels


class Archive(NamedTuple):
    """A set: its name, its source, how its files become arrays, and what these are called."""

    name: str
    source: Source
    convert: Callable[[Files], Table]
    holds: tuple[str, ...]


def arrays_of(archive: Archive) -> Table:
    """The arrays of a set, from its files, or packed as NAME.npz in the folder of copies.

    Raises
    ------
    ShapeshiftError
        If a file is not at hand and cannot be fetched, or is damaged.
    """
    copy = packed(archive.name)
    if copy is None or all_copied(archive.source):
        return archive.convert(fetch(archive.source))
    return _unpacked(copy, archive.holds)


def _unpacked(path: Path, names: tuple[str, ...]) -> Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ShapeshiftError(
            f"{path}: got a copy that cannot be read ({error}), needed {', '.join(names)}: copy it again"
        ) from error


def _bepfm(files: Files) -> Table:
    cube = np.load(files["bepfm_test_data.npy"], allow_pickle=False)
    rows = cube.reshape(-1, cube.shape[-1]).astype(np.float32)
    return {"X": rows, "x": np.arange(float(rows.shape[1])), "map_shape": np.array(cube.shape[:2])}


def _fegapd(files: Files) -> Table:
    axis, *rows = np.loadtxt(files["FeGaPd_XRD.txt"], delimiter=",")
    return {
        "X": np.array(rows, dtype=np.float32),
        "x": axis,
        "composition_FeGaPd": np.loadtxt(files["FeGaPd_CMP.txt"], skiprows=1),
        "dft_region": np.loadtxt(files["FeGaPd_DFT_regions.txt"]),
        "squid": np.loadtxt(files["FeGaPd_Mag.txt"], delimiter=","),
    }


def _hinode(files: Files) -> Table:
    import h5py

    data, head, fit = (files[_EIS + end] for end in (".data.h5", ".head.h5", _EIS_FIT))
    with h5py.File(data, "r") as file:
        counts = file["level1/win02"][()]
    with h5py.File(head, "r") as file:
        axis, moved = file["wavelength/win02"][()], file["wavelength/wave_corr"][()].ravel()
        places = {name: file[f"pointing/solar_{name}"][()].astype(float) for name in ("y", "x")}
    with h5py.File(fit, "r") as file:
        values, errors, status = (file[f"fit/{name}"][()] for name in ("params", "perror", "status"))
    peak, centre, width, _ = values.reshape(-1, values.shape[-1]).T
    rows = counts.reshape(-1, len(axis))
    return {
        "X": _bridged(rows, axis, rows <= _BAD),
        "x": axis,
        "map_shape": np.array(counts.shape[:2]),
        "bad_pixel": rows <= _BAD,
        "fit_center_raw": (centre + moved).astype(np.float32),
        "fit_center_corrected": centre.astype(np.float32),
        "fit_center_err": errors[..., 1].ravel().astype(np.float32),
        "fit_width": width.astype(np.float32),
        "fit_peak": peak.astype(np.float32),
        "fit_status": status.ravel(),
        "wave_corr": moved.astype(np.float32),
        **{f"map_{name}": along for name, along in places.items()},
    }


def _bridged(rows: NDArray, axis: NDArray, bad: NDArray) -> NDArray[np.float32]:
    """Bad pixels interpolated between the good ones beside them."""
    rows = rows.astype(np.float32)
    for row, gap in zip(rows, bad, strict=True):
        if gap.any():
            row[gap] = np.interp(axis[gap], axis[~gap], row[~gap])
    return rows


def _record(files: Files) -> Table:
    record, beats = (
        read_record(files["100.hea"], files["100.dat"]),
        read_beats(files["100.atr"], _BEATS),
    )
    first = record.leads[0]
    return {
        "signal_adu": record.values,
        "fs_hz": np.array(record.rate),
        "adu_zero": np.array(first.zero, np.int16),
        "adu_per_mV": np.array(first.per_unit),
        "beat_sample": beats.sample,
        "beat_label": beats.code,
        "leads": np.array([lead.name for lead in record.leads]),
    }


def _beats(files: Files) -> Table:
    a = _record(files)
    lead = (a["signal_adu"][:, 0] - a["adu_zero"]) / a["adu_per_mV"]
    offset = np.random.default_rng(0).integers(-_JITTER, _JITTER + 1, len(a["beat_sample"]))
    start = a["beat_sample"] - _HALF - offset
    whole = (start >= 0) & (start + 2 * _HALF <= len(lead))
    return {
        "X": lead[start[whole, None] + np.arange(2 * _HALF)].astype(np.float32),
        "x": np.arange(-_HALF, _HALF) / a["fs_hz"],
        "true_shift_s": offset[whole] / a["fs_hz"],
        "true_shift_samples": offset[whole],
        "beat_label": a["beat_label"][whole].astype(np.int64),
        "sample_index": a["beat_sample"][whole].astype(np.int64),
    }


def _film(files: Files) -> Table:
    """The axis in the first line after the comments; then lines of two places on the map and a spectrum."""
    with gzip.open(files["map_nm.txt.gz"], "rt", encoding="latin-1") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    axis, table = np.array(lines[0], dtype=float), np.array(lines[1:], dtype=float)
    shown = np.argsort(axis)
    shown = shown[(axis[shown] >= _FILM[0]) & (axis[shown] <= _FILM[1])]
    return {
        "X": table[:, 2 + shown].astype(np.float32),
        "x": axis[shown],
        "map_shape": np.array([len(np.unique(table[:, k])) for k in (0, 1)]),
    }


_EIS, _EIS_FIT = "eis_20210306_064444", ".fe_12_192_394.1c-0.fit.h5"
_PHYSIONET = Source(
    "MIT-LCP/wfdb-python",
    "6850ad1aa0c1fcb2282b3625f767de98396cf740",
    "sample-data",
    {
        "100.dat": "b2ea3c250e56e48f4b7b90697832b8ecd1afa1e0bb31f2dcfea4ed6e1075a639",
        "100.hea": "95fbdda0454fffae1a2dab1a5ac53e924ae97691c028cdd3ee82f2446b73c066",
        "100.atr": "8d8a5349fb16638ebbf649f1779d12e96d91b736b2aafe59db43719ae583d471",
    },
    "ODC-BY 1.0 (MIT-BIH Arrhythmia Database, record 100)",
    "Moody & Mark 2001, IEEE Eng. Med. Biol. 20, 45; Goldberger et al. 2000, Circulation 101, e215",
)
BEPFM = Archive(
    "bepfm_resonance",
    Source(
        "ziatdinovmax/GPim",
        "70904e4130ff89c2658815b34ce61d479157aac5",
        "expdata",
        {"bepfm_test_data.npy": "9517a856d1cb83a04c093119dda80bbddaf7461935cc670e3715b48aa10fc39c"},
        "MIT",
        "https://github.com/ziatdinovmax/GPim",
    ),
    _bepfm,
    ("X", "x", "map_shape"),
)
FEGAPD = Archive(
    "fegapd_xrd",
    Source(
        "KusneNIST/CAMEO_NComm",
        "f4f1ef44a4f9dcb8fd8adba2edbcd91fd10feab3",
        "data",
        {
            "FeGaPd_XRD.txt": "eafe161faf023c0fd822017d8d05c5675e678d0ea52de35aad7e03667d0f0441",
            "FeGaPd_CMP.txt": "6888d23dee27af9f07e071e25e572f4d63b04d8ebb88255a4edb248c356944c8",
            "FeGaPd_DFT_regions.txt": "9839e33415da84f86b746c85d58fb95bb989e378779118a2e3d5e8f851092238",
            "FeGaPd_Mag.txt": "b152c0bdc660b3e8ae8ef27bbf0f760d5f1853fdcc1019e7c0098ba22a325df3",
        },
        "public domain (NIST, 17 USC 105), the notice is to be kept",
        "Kusne et al. 2020, Nat. Commun. 11, 5966",
    ),
    _fegapd,
    ("X", "x", "composition_FeGaPd", "dft_region", "squid"),
)
HINODE = Archive(
    "hinode_eis_fe12",
    Source(
        "USNavalResearchLaboratory/eispac",
        "6ed4df98a39e81c3bcaf00cef0d1497dfe2fea97",
        "eispac/data/test",
        {
            f"{_EIS}.data.h5": "b4fdb495d72f0d9cf6d9b059c6523af5d54aee7e754b659228ae8217d96fce8d",
            f"{_EIS}.head.h5": "61bdc0acc7d77389245b89e2821dcff5c960a019d400b87988fbc2a2b19f6ed9",
            f"{_EIS}{_EIS_FIT}": "3d8b5508edb805ee40a346c803faf6aa1a69e872c65eecec63c3b71fa30870d9",
        },
        "MIT (the NRL EIS team); data of Hinode are open",
        "Culhane et al. 2007, Sol. Phys. 243, 19; https://github.com/USNavalResearchLaboratory/eispac",
    ),
    _hinode,
    (
        *("X", "x", "map_shape", "bad_pixel", "fit_center_raw", "fit_center_corrected", "fit_center_err"),
        *("fit_width", "fit_peak", "fit_status", "wave_corr"),
    ),
)
BEATS = Archive(
    "ecg_mitbih100",
    _PHYSIONET,
    _beats,
    ("X", "x", "true_shift_s", "true_shift_samples", "beat_label", "sample_index"),
)
RECORD = Archive(
    "ecg_record",
    _PHYSIONET,
    _record,
    ("signal_adu", "fs_hz", "adu_zero", "adu_per_mV", "beat_sample", "beat_label", "leads"),
)
FILM = Archive(
    "pl_map_control",
    Source(
        "wright-group/WrightTools",
        "ed26904775a99fea609d70a3e6997d7cf0ecb573",
        "WrightTools/datasets/LabRAM",
        {"map_nm.txt.gz": "8a4a207376f7a60f954db7c01d96e58eb64caf39ef432f691617d9ed6c1fe134"},
        "MIT",
        "Thompson et al. 2019, J. Open Source Softw. 4, 1141; https://github.com/wright-group/WrightTools",
    ),
    _film,
    ("X", "x", "map_shape"),
)
ARCHIVES = (BEPFM, FEGAPD, HINODE, BEATS, RECORD, FILM)
