"""Results of all signals as columns of numbers, with their places: what linked views are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.analysis.poses import all_round
from shapeshift.errors import printable

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_LONGEST = 80  # letters of a name from a file
_PART, _MOST = 50_000, 255  # flags that are read at a time; different ones that are told apart
_NOT_SHOWN = ("flags", "z", "z_sd", "rival")


@dataclass(frozen=True)
class Column:
    """One number a signal.

    name : as `Posterior.to_dataset` calls it, "z1" of the latents
    label : with its units, for axes
    values : ndarray (n,), float32
    """

    name: str
    label: str
    values: NDArray[np.float32]

    @property
    def angle(self) -> bool:
        """Whether these are angles that lie to all sides, so that -180 and 180 are the same."""
        return self.name == "rotation" and all_round(self.values)


@dataclass(frozen=True)
class Side:
    """A dimension of a map or series: where the signals lie along it."""

    name: str
    label: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """Columns of n signals in the order of their places, rows of a map one after the other.

    sides : one of a series, two of a map
    flags : ndarray (n,), uint8
        Numbers of the words in `words`; 0 is no flag.
    """

    columns: tuple[Column, ...]
    sides: tuple[Side, ...]
    flags: NDArray[np.uint8]
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.flags)

    def column(self, name: str) -> Column:
        """The column of a name."""
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> list[str]:
        """Of all columns."""
        return [c.name for c in self.columns]

    @property
    def latents(self) -> list[str]:
        """Names of the shape latents."""
        return [n for n in self.names if n[0] == "z" and n[1:].isdigit()]

    def at(self, rows: NDArray[np.intp], sides: tuple[Side, ...]) -> Results:
        """Some of the signals, and the places they have among each other."""
        columns = tuple(Column(c.name, c.label, c.values[rows]) for c in self.columns)
        return Results(columns, sides, self.flags[rows], self.words)


def results_of(data: xr.Dataset) -> Results:
    """The columns of a posterior as a data set, from `Posterior.to_dataset` or a file.

    Parameters
    ----------
    data : xarray.Dataset
        With the dimension ``latent`` for z and z_sd; the others are those of the map or series.

    Examples
    --------
    >>> import xarray as xr
    >>> data = xr.Dataset({"noise_sd": ("signal", [1.0, 2.0]), "flags": ("signal", ["", "edge"])})
    >>> found = results_of(data)
    >>> found.names, found.words, found.flags.tolist()
    (['noise_sd'], ('', 'edge'), [0, 1])
    """
    dims = data["noise_sd"].dims
    scalars = [str(n) for n in data.data_vars if data[n].dims == dims and not str(n).startswith(_NOT_SHOWN)]
    columns = [_column(n, data[n]) for n in scalars if data[n].dtype.kind in "iuf"]
    for kind in ("z", "z_sd"):
        if kind in data:
            columns += [_latent(kind, k, v) for k, v in enumerate(data[kind].transpose("latent", *dims))]
    told = [c for c in columns if _varies(c.values)]
    told.sort(key=lambda c: _rank(c.name))
    words, flags = _coded(data["flags"])
    return Results(tuple(told), tuple(_side(data, str(d)) for d in dims), flags, words)


def _coded(flags: Any) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Different words, "" first, and the number of each signal's: a part at a time, for words are long."""
    known: dict[str, int] = {"": 0}
    codes = []
    step = max(1, _PART * flags.shape[0] // flags.size)
    for k in range(0, flags.shape[0], step):
        part = flags[k : k + step].values.astype(str)
        words, found = np.unique(part, return_inverse=True)
        numbers = [min(known.setdefault(str(word), len(known)), _MOST - 1) for word in words]
        codes.append(np.array(numbers, dtype=np.uint8)[found.ravel()])
    return tuple(printable(word, _LONGEST) for word in list(known)[:_MOST]), np.concatenate(codes)


def _rank(name: str) -> int:
    """Where the pattern is comes first, then what it is, how well it is known, and error bars last."""
    kinds = ("shift", "rotation", "scale", "z", "class", "gain", "noise_sd", "log_evidence")
    if name.endswith("_sd") and name != "noise_sd":
        return len(kinds)
    return next((k for k, kind in enumerate(kinds) if name.startswith(kind)), len(kinds) - 1)


def _varies(values: NDArray) -> bool:
    finite = values[np.isfinite(values)]
    return finite.size > 0 and bool(finite.min() < finite.max())


def _column(name: str, values: Any) -> Column:
    words, bar = name.removesuffix("_sd"), name.endswith("_sd") and name != "noise_sd"
    told = f"sd of {words.replace('_', ' ')}" if bar else name.replace("_", " ")
    units = str(values.attrs.get("units", "")) or ("nat" if name == "log_evidence" else "")
    return Column(name, _label(told, units), np.asarray(values, dtype=np.float32).ravel())


def _latent(kind: str, k: int, values: Any) -> Column:
    name, told = (f"z{k + 1}", f"z{k + 1}") if kind == "z" else (f"z{k + 1}_sd", f"sd of z{k + 1}")
    return Column(name, _label(told, "prior sd"), np.asarray(values, dtype=np.float32).ravel())


def _side(data: xr.Dataset, dim: str) -> Side:
    size = data.sizes[dim]
    if dim not in data.coords or data[dim].dtype.kind not in "iuf":
        return Side(dim, _label(dim, "number"), np.arange(size, dtype=float))
    return Side(dim, _label(dim, str(data[dim].attrs.get("units", ""))), data[dim].values.astype(float))


def _label(name: str, units: str) -> str:
    return printable(f"{name} ({units})" if units else name, _LONGEST)
