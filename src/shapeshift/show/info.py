"""What is in a file of signals, before anything is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.lanes import NAME as CHANNEL
from shapeshift.data.lanes import are_channels, channels_of
from shapeshift.data.metadata import unpacked
from shapeshift.data.preprocess import noise_sd

if TYPE_CHECKING:
    import xarray as xr


def describe(X: xr.DataArray) -> dict[str, Any]:
    """What was read, in plain values.

    Parameters
    ----------
    X : xarray.DataArray
        Signals as `shapeshift.open` returns them: the last dimension is their axis. Or images, which it marks
        as such. With a dimension "channel" before it, signals of several channels.

    Returns
    -------
    dict
        source, reader, signals, dims, axis (name, units, first, last, step, uniform), coordinates (of a map
        or of the signals: units, first, last), values (min, median, max, missing, units where the file tells
        them), noise_sd (median over the signals, in their units), peak_to_noise, notes, metadata. Of several
        channels values, noise_sd and peak_to_noise stand under the name of each in channels.

    Examples
    --------
    >>> from shapeshift.data.synthetic import article
    >>> found = describe(article(n=200, seed=1)[0])
    >>> found["signals"], found["dims"], found["axis"]["first"], round(found["noise_sd"], 2)
    (200, {'signal': 200, 'x': 100}, -12.0, 0.03)
    """
    if X.attrs.get("kind") == "image":
        return describe_images(X)
    channels = are_channels(X) and X.dims[-1] != CHANNEL
    return {
        "source": X.attrs.get("source", ""),
        "reader": X.attrs.get("reader", ""),
        "signals": X.size // X.shape[-1] // (X.sizes[CHANNEL] if channels else 1),
        "dims": {str(name): size for name, size in X.sizes.items()},
        "axis": _axis(X),
        "coordinates": _coordinates(X, X.dims[-1:]),
        **({"channels": _channels(X)} if channels else _signals(X)),
        "notes": [note for note in str(X.attrs.get("notes", "")).split("; ") if note],
        "metadata": unpacked(X.attrs),
    }


def _signals(X: xr.DataArray) -> dict[str, Any]:
    """Values and noise of signals."""
    rows = np.asarray(X.values, dtype=float).reshape(-1, X.shape[-1])
    return {"values": _values(rows) | _units(X), **_noise(rows[~np.isinf(rows).any(axis=1)])}


def _channels(X: xr.DataArray) -> dict[str, Any]:
    """The same of each channel, by its name."""
    return {name: _signals(X.isel({CHANNEL: k})) for k, name in enumerate(channels_of(X)[2])}


def describe_images(X: xr.DataArray) -> dict[str, Any]:
    """The same of images: rows, columns and channels in place of the axis.

    Examples
    --------
    >>> import xarray as xr
    >>> found = describe_images(xr.DataArray(np.zeros((5, 8, 9)), dims=("signal", "row", "column")))
    >>> found["images"], found["rows"]["pixels"], found["columns"]["units"]
    (5, 8, 'pixel')
    """
    channels = X.sizes[X.dims[-3]] if X.ndim > 2 and str(X.dims[-3]) == "channel" else 1
    values = np.asarray(X.values, dtype=float)
    planes = values.reshape(-1, channels * values.shape[-2] * values.shape[-1])
    return {
        "source": X.attrs.get("source", ""),
        "reader": X.attrs.get("reader", ""),
        "images": len(planes),
        "dims": {str(name): size for name, size in X.sizes.items()},
        "rows": _side(X, X.dims[-2]),
        "columns": _side(X, X.dims[-1]),
        "channels": channels,
        "coordinates": _coordinates(X, X.dims[-2:]),
        "values": _values(planes) | _units(X),
        **_noise(planes[np.isfinite(planes).all(axis=1)]),
        "notes": [note for note in str(X.attrs.get("notes", "")).split("; ") if note],
        "metadata": unpacked(X.attrs),
    }


def in_lines(found: dict[str, Any]) -> dict[str, Any]:
    """The same for people: coordinates, channels and metadata as one line each."""
    places = [
        f"{name}: {told['first']} to {told['last']} {told['units']}".rstrip()
        for name, told in found["coordinates"].items()
    ]
    words = [f"{name}: {value}" for name, value in found["metadata"].items()]
    told = found | {"coordinates": places, "metadata": words}
    if isinstance(found.get("channels"), dict):
        told["channels"] = [_channel_line(name, about) for name, about in found["channels"].items()]
    return told


def _channel_line(name: str, about: dict[str, Any]) -> str:
    values, noise, above = about["values"], about["noise_sd"], about["peak_to_noise"]
    missing = f", {values['missing']} missing" if values["missing"] else ""
    span = f"{values['min']:.6g} to {values['max']:.6g} {values.get('units', '')}".rstrip()
    return f"{name}: {span}{missing}, noise sd {noise:.4g}, peak to noise {above:.4g}"


def _coordinates(X: xr.DataArray, own: Any) -> dict[str, Any]:
    """What else is known of every signal: range and units of each coordinate."""
    return {
        str(name): {"units": str(c.attrs.get("units", "")), **_range(c)}
        for name, c in X.coords.items()
        if not set(c.dims) & set(own) and c.size
    }


def _range(coordinate: xr.DataArray) -> dict[str, Any]:
    """First and last value, as numbers where they are some."""
    ends = coordinate.values.ravel()[[0, -1]]
    first, last = ends.tolist() if ends.dtype.kind in "iufU" else map(str, ends)
    return {"first": first, "last": last}


def _units(X: xr.DataArray) -> dict[str, str]:
    """Units of the values, where they are known."""
    units = str(X.attrs.get("units", ""))
    return {"units": units} if units else {}


def _side(X: xr.DataArray, name: Any) -> dict[str, Any]:
    if name not in X.coords:
        return {"name": str(name), "units": "pixel", "first": 0.0, "last": X.sizes[name] - 1.0, "step": 1.0,
                "uniform": True, "pixels": X.sizes[name]}  # fmt: skip
    return _axis(X, name) | {"pixels": X.sizes[name]}


def _axis(X: xr.DataArray, name: Any = None) -> dict[str, Any]:
    name = X.dims[-1] if name is None else name
    along = np.asarray(X[name].values, dtype=float)
    steps = np.diff(along)
    return {
        "name": str(name),
        "units": str(X[name].attrs.get("units", "")),
        "first": float(along[0]),
        "last": float(along[-1]),
        "step": float(np.median(steps)),
        "uniform": bool(np.ptp(steps) <= 1e-3 * abs(steps.mean())),
    }


def _values(rows: np.ndarray) -> dict[str, Any]:
    finite = rows[np.isfinite(rows)]
    if finite.size == 0:
        return {"min": None, "median": None, "max": None, "missing": int(rows.size)}
    return {
        "min": float(finite.min()),
        "median": float(np.median(finite)),
        "max": float(finite.max()),
        "missing": int(rows.size - finite.size),
    }


def _noise(rows: np.ndarray) -> dict[str, float | None]:
    """The noise of a typical signal, and how far its highest point stands above its lowest in units of it."""
    if len(rows) == 0:
        return {"noise_sd": None, "peak_to_noise": None}
    noise = noise_sd(rows)
    known = noise > 0
    ratio = (np.nanmax(rows[known], axis=1) - np.nanmin(rows[known], axis=1)) / noise[known]
    return {
        "noise_sd": float(np.median(noise)),
        "peak_to_noise": float(np.median(ratio)) if ratio.size else None,
    }
