"""What a report draws of the signals: all there is of one channel, or of several one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import xarray as xr

from shapeshift.data.coordinates import as_stack
from shapeshift.data.lanes import NAME as CHANNEL
from shapeshift.show.labels import spread
from shapeshift.show.selection import some_of

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior


class Part(NamedTuple):
    """Some of the signals, of one channel, and what the model makes of them."""

    m: Any
    sample: xr.DataArray  # (signal, axis)
    aligned: xr.DataArray | None  # None where nothing can shift
    drawn: xr.DataArray
    some: Posterior  # of these signals, its noise in the units of the channel
    slug: str = ""  # for names of files
    name: str = ""  # of the channel, for titles


@final
class OneChannel:
    """A model of several channels, as the one of a channel that its manifold is drawn of."""

    lanes_ = None

    def __init__(self, m: Any, k: int) -> None:
        self._m, self._k = m, k

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    def manifold(self, n: int = 10) -> xr.DataArray:
        """The curves (n, n, P) of the channel."""
        return self._m.manifold(n).isel({CHANNEL: self._k}, drop=True)


def parts(m: Any, X: Any, p: Posterior, most: int) -> list[Part]:
    """At most so many of the signals on the model's axis, evenly spread over all, channel by channel.

    Parameters
    ----------
    m : ShiftVAE
    X : array or DataArray (..., P), or (..., C, P) of several channels
    p : Posterior
        Of all the signals.
    """
    rows = spread(len(p.shift), most)
    some, sample = some_of(p, rows), sample_of(m, X, rows)
    aligned, drawn = m.align(sample) if m.shift_sd_ > 0 else None, m.reconstruct(sample)
    lanes = getattr(m, "lanes_", None)
    if not lanes:
        return [Part(m, sample, aligned, drawn, some)]
    found = []
    for k, name in enumerate(lanes.names):
        moved = None if aligned is None else _channel(aligned, k, name)
        noisy = replace(some, noise_sd=some.noise_sd * lanes.gain[k] / lanes.gain[0])
        words = f"_{k + 1}", f"{CHANNEL} {name}"
        shown = _channel(sample, k, name), moved, _channel(drawn, k, name)
        found.append(Part(OneChannel(m, k), *shown, noisy, *words))
    return found


def each_channel(m: Any, array: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """Name and signals of every channel; of what has one, "" and the signals."""
    lanes = getattr(m, "lanes_", None)
    return [(n, _channel(array, k, n)) for k, n in enumerate(lanes.names)] if lanes else [("", array)]


def _channel(array: xr.DataArray, k: int, name: str) -> xr.DataArray:
    """One of the channels, under its name."""
    return array.isel({CHANNEL: k}, drop=True).rename(name)


def sample_of(m: Any, X: Any, rows: np.ndarray) -> xr.DataArray:
    """Some of the signals (signal, axis) or (signal, channel, axis), on the model's axis."""
    lanes = getattr(m, "lanes_", None)
    coords: dict[str, Any] = {m.axis_name_: (m.axis_name_, m.axis_, {"units": m.axis_units_})}
    dims: tuple[str, ...] = ("signal", m.axis_name_)
    if not lanes:
        values = _stacked(m, X)[rows]
    else:
        dims, coords[CHANNEL] = ("signal", CHANNEL, m.axis_name_), list(lanes.names)
        whole = X if hasattr(X, "dims") else xr.DataArray(X, dims=dims)
        each = [_stacked(m, whole.isel({CHANNEL: k}, drop=True))[rows] for k in range(lanes.count)]
        values = np.stack(each, 1)
    out = xr.DataArray(values, dims=dims, coords=coords, name=getattr(X, "name", None))
    return out.assign_attrs(getattr(X, "attrs", {}))


def _stacked(m: Any, X: Any) -> np.ndarray:
    """Signals (n, P) on the model's axis."""
    named = hasattr(X, "dims") and m.axis_name_ in X.coords
    return as_stack(X if named else np.asarray(X), None if named else m.axis_, gaps=True).values
