"""Measured sets that are free to use, from their original repositories at a pinned commit.

Files are looked for in the folder that SHAPESHIFT_DATA names, as they are in the repository or packed as
NAME.npz; then in the cache; then fetched with pooch (``pip install 'shapeshift[datasets]'``). Every file is
checked against its SHA-256. Licence and citation stand in ``attrs``. The packed copy of hinode_eis_fe12 has
no coordinates on the sun.

What was published with the data, or is exactly known, comes beside them; nothing is estimated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shapeshift.data import archives
from shapeshift.data.archives import Archive, Table, arrays_of

if TYPE_CHECKING:
    import xarray as xr


def bepfm_resonance() -> xr.DataArray:
    """Contact resonance of band-excitation piezoresponse force microscopy, a map of 32 x 32.

    The resonance moves by more than its own width and follows the grains; amplitudes span a factor of 20, and
    a few pixels have next to no signal.

    Returns
    -------
    xarray.DataArray (y 32, x 32, frequency bin 102)
        Amplitude, scaled to 0 ... 1 by the authors. The frequencies of the bins are not in the file: the band
        is 50 kHz wide about 323 kHz.

    Raises
    ------
    ShapeshiftError
        If the file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    MIT licence. https://github.com/ziatdinovmax/GPim, expdata/bepfm_test_data.npy.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.bepfm_resonance()  # doctest: +SKIP
    """
    a = arrays_of(archives.BEPFM)
    return _signals(archives.BEPFM, a, ("frequency bin", ""), "amplitude")


def fegapd_xrd() -> tuple[xr.DataArray, xr.Dataset]:
    """X-ray diffraction along a composition spread of Fe, Ga and Pd: 278 patterns.

    The main line slides from 44.3 to 45.7 degrees with composition, and other lines appear.

    Returns
    -------
    X : xarray.DataArray (signal 278, 2theta 551)
        Intensity against the angle in degrees.
    reference : xarray.Dataset
        composition_FeGaPd (signal, element), fractions; dft_region (signal,); squid (signal, column).

    Raises
    ------
    ShapeshiftError
        If a file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    Public domain (NIST, 17 USC 105), the notice is to be kept. Kusne et al. 2020, Nat. Commun. 11, 5966,
    https://github.com/KusneNIST/CAMEO_NComm.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, reference = ss.datasets.fegapd_xrd()  # doctest: +SKIP
    """
    archive, a = archives.FEGAPD, arrays_of(archives.FEGAPD)
    X = _signals(archive, a, ("2theta", "deg"), "intensity")
    more = {"composition_FeGaPd": ("element",), "dft_region": (), "squid": ("column",)}
    return X, _beside(archive, X, a, more).assign_coords(element=["Fe", "Ga", "Pd"])


def hinode_eis_fe12() -> tuple[xr.DataArray, xr.Dataset]:
    """A solar line, Fe XII at 192.39 Angstrom, seen by EIS on Hinode: a map of 120 x 25.

    A Doppler shift and the tilt of the instrument, a fraction of a sample in all; width and intensity vary.

    Returns
    -------
    X : xarray.DataArray (y 120, x 25, wavelength 24)
        Counts against Angstrom, places on the sun in arcseconds; bad pixels are interpolated along the
        wavelength.
    reference : xarray.Dataset
        bad_pixel (y, x, wavelength), and what eispac fitted, (y, x): fit_center_raw on the axis of `X`,
        fit_center_corrected for tilt and orbit (their difference is wave_corr), fit_center_err, fit_width,
        fit_peak, fit_status.

    Raises
    ------
    ShapeshiftError
        If a file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    MIT licence (the NRL EIS team); data of Hinode are open. Culhane et al. 2007, Sol. Phys. 243, 19,
    https://github.com/USNavalResearchLaboratory/eispac.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, reference = ss.datasets.hinode_eis_fe12()  # doctest: +SKIP
    """
    archive, a = archives.HINODE, arrays_of(archives.HINODE)
    X = _signals(archive, a, ("wavelength", "Angstrom"), "intensity", "counts", "arcsec")
    names = ("center_raw", "center_corrected", "center_err", "width", "peak", "status")
    more = {"bad_pixel": (X.dims[-1],)} | {f"fit_{name}": () for name in names} | {"wave_corr": ()}
    reference = _beside(archive, X, a, more)
    for name in ("fit_center_raw", "fit_center_corrected", "fit_center_err", "fit_width", "wave_corr"):
        reference[name].attrs["units"] = "Angstrom"
    return X, reference


def ecg_mitbih100() -> tuple[xr.DataArray, xr.Dataset]:
    """Heartbeats in windows whose start was moved by a known number of samples: 2271 of 256 samples.

    The beats of :func:`ecg_record`, lead MLII, labelled normal, ventricular or atrial; a window starts at
    beat - 128 - offset with offsets of -60 ... 60 from ``default_rng(0)``, and those that leave the record
    are passed over.

    Returns
    -------
    X : xarray.DataArray (signal 2271, time 256)
        Millivolt against seconds from the middle of the window.
    truth : xarray.Dataset
        true_shift_samples and true_shift_s (signal,); beat_label (signal,), 1 normal, 5 ventricular, 8
        atrial; sample_index (signal,) of the beat in the record.

    Raises
    ------
    ShapeshiftError
        If a file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    ODC-BY 1.0. Moody & Mark 2001, IEEE Eng. Med. Biol. 20, 45; Goldberger et al. 2000, Circulation 101, e215
    (PhysioNet).

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.datasets.ecg_mitbih100()  # doctest: +SKIP
    """
    archive, a = archives.BEATS, arrays_of(archives.BEATS)
    X = _signals(archive, a, ("time", "s"), "lead MLII", "mV")
    truth = _beside(
        archive, X, a, dict.fromkeys(("true_shift_s", "true_shift_samples", "beat_label", "sample_index"), ())
    )
    truth["true_shift_s"].attrs["units"] = "s"
    return X, truth


def ecg_record() -> tuple[xr.DataArray, xr.Dataset]:
    """The electrocardiogram that the heartbeats come from: half an hour, two leads.

    Returns
    -------
    X : xarray.DataArray (time 650000, lead 2)
        Whole numbers as the converter gave them, against seconds: ``(X - X.adu_zero) / X.adu_per_mV`` is
        millivolt.
    beats : xarray.Dataset
        beat_sample and beat_label (beat 2273,), by cardiologists: 1 normal, 5 ventricular, 8 atrial.

    Raises
    ------
    ShapeshiftError
        If a file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    MIT-BIH Arrhythmia Database, record 100; licence and citation as of :func:`ecg_mitbih100`.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, beats = ss.datasets.ecg_record()  # doctest: +SKIP
    >>> lead = (X.sel(lead="MLII") - X.adu_zero) / X.adu_per_mV  # doctest: +SKIP
    """
    import xarray as xr

    archive, a = archives.RECORD, arrays_of(archives.RECORD)
    values, rate = a["signal_adu"], float(a["fs_hz"])
    coords = {
        "time": ("time", np.arange(len(values)) / rate, {"units": "s"}),
        "lead": [str(n) for n in a["leads"]],
    }
    attrs = {
        "fs_hz": rate,
        "adu_zero": int(a["adu_zero"]),
        "adu_per_mV": float(a["adu_per_mV"]),
        "units": "adu",
    }
    X = xr.DataArray(values, coords, ("time", "lead"), name="voltage", attrs=attrs | _origin(archive))
    told = {name: ("beat", a[name]) for name in ("beat_sample", "beat_label")}
    return X, xr.Dataset(told, attrs=_origin(archive))


def pl_map_control() -> xr.DataArray:
    """Photoluminescence of a flake, a map of 20 x 20: a trap, for its peak stays where it is.

    The peak moves by no more than 0.5 nm while a red shoulder drags the centroid along: the right answer is
    that hardly anything shifts.

    Returns
    -------
    xarray.DataArray (y 20, x 20, wavelength 590)
        Counts against the wavelength, 490 to 553 nm.

    Raises
    ------
    ShapeshiftError
        If the file is not at hand and cannot be fetched, or is damaged.

    Notes
    -----
    MIT licence. https://github.com/wright-group/WrightTools, Thompson et al. 2019, J. Open Source Softw. 4,
    1141.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X = ss.datasets.pl_map_control()  # doctest: +SKIP
    """
    a = arrays_of(archives.FILM)
    return _signals(archives.FILM, a, ("wavelength", "nm"), "intensity", "counts")


def digits() -> tuple[xr.DataArray, xr.Dataset]:
    """Handwritten digits, 1797 images of 8 x 8, as scikit-learn holds them.

    Returns
    -------
    X : xarray.DataArray (signal 1797, row 8, column 8)
        Ink, 0 to 16.
    labels : xarray.Dataset
        label (signal,), 0 to 9.

    Notes
    -----
    CC BY 4.0. Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, labels = ss.datasets.digits()
    >>> X.shape, labels.label[:4].values.tolist()
    ((1797, 8, 8), [0, 1, 2, 3])
    """
    import xarray as xr
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = {name: (name, np.arange(8.0), {"units": "pixel"}) for name in ("row", "column")}
    attrs = {
        "dataset": "digits",
        "source": "scikit-learn, load_digits",
        "licence": "CC BY 4.0",
        "citation": "Alpaydin & Kaynak 1998, doi:10.24432/C50P49",
        "kind": "image",
    }
    X = xr.DataArray(found.images, pixels, ("signal", "row", "column"), name="ink", attrs=attrs)
    return X, xr.Dataset({"label": ("signal", found.target)}, attrs=attrs)


def _signals(
    archive: Archive, a: Table, axis: tuple[str, str], name: str, units: str = "", map_units: str = ""
) -> xr.DataArray:
    """Rows put into their map, with their axis and where they come from."""
    import xarray as xr

    shape = tuple(int(size) for size in a.get("map_shape", [len(a["X"])]))
    dims = ("y", "x") if len(shape) == 2 else ("signal",)
    coords = {axis[0]: (axis[0], a["x"], {"units": axis[1]})}
    for dim in dims:
        if f"map_{dim}" in a:
            coords[dim] = (dim, a[f"map_{dim}"], {"units": map_units})
    attrs = _origin(archive) | ({"units": units} if units else {})
    return xr.DataArray(a["X"].reshape(*shape, -1), coords, (*dims, axis[0]), name=name, attrs=attrs)


def _beside(archive: Archive, X: xr.DataArray, a: Table, more: dict[str, tuple]) -> xr.Dataset:
    """Arrays on the map or series of the signals, some with a further dimension."""
    import xarray as xr

    dims, shape = X.dims[:-1], X.shape[:-1]
    told = {name: ((*dims, *own), a[name].reshape(*shape, *a[name].shape[1:])) for name, own in more.items()}
    return xr.Dataset(told, attrs=_origin(archive))


def _origin(archive: Archive) -> dict[str, str]:
    source = archive.source
    return {
        "dataset": archive.name,
        "source": source.page,
        "files": ", ".join(source.hashes),
        "licence": source.licence,
        "citation": source.citation,
    }
