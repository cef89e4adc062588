"""`shapeshift explore`: linked views of a run, whose signals are read from their file when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, final

import numpy as np
import xarray as xr

from shapeshift.errors import ShapeshiftError
from shapeshift.fit.posterior import Posterior
from shapeshift.show import toml
from shapeshift.show.by_channel import each_channel, sample_of
from shapeshift.show.decoding import decoded, exactly
from shapeshift.show.labels import curves
from shapeshift.show.look import Look, frame_of
from shapeshift.show.look_alone import whole
from shapeshift.show.look_page import part_of
from shapeshift.show.mosaic import planes, values_label
from shapeshift.show.results import Results, results_of
from shapeshift.show.selection import made_of
from shapeshift.show.tasks import Reading, like, loaded, signals_of
from shapeshift.show.terminal import log

if TYPE_CHECKING:
    from shapeshift.data.blocks import Source
    from shapeshift.show.served import Answer

_BYTES = "application/octet-stream"
_SELF = "; connect-src 'self'"


@final
class Explorer:
    """What the page asks for: itself, columns of results, one signal, one shape.

    Parameters
    ----------
    m : ShiftVAE or ImageVAE
    source : Source
        The signals, row by row.
    data : xarray.Dataset
        The posterior of all of them.
    title : str

    Raises
    ------
    ShapeshiftError
        If there are more or fewer signals than results.
    """

    def __init__(self, m: Any, source: Source, data: xr.Dataset, title: str) -> None:
        self.m, self.source, self.reading = m, source, Lock()
        self.results: Results = results_of(data)
        if len(source) != len(self.results):
            raise ShapeshiftError(
                f"got {len(source)} signals and results of {len(self.results)}, needed the results of these "
                "signals: name them with --results, as `shapeshift transform` has written them"
            )
        self.kind = data["class"].values.ravel() if "class" in data else None
        self.z = np.stack(
            [np.asarray(z, dtype=np.float32).ravel() for z in data["z"].transpose("latent", ...)]
        )
        self.pose = {n: np.asarray(data[n].values).ravel() for n in data.data_vars if str(n) in _poses(data)}
        self.look = self._look(title)

    def _look(self, title: str) -> Look:
        first = self.row(0)
        labels = (
            [("", values_label(first, self.m.raster_.channels))]
            if hasattr(self.m, "raster_")
            else [(name, curves(c).signal_label) for name, c in each_channel(self.m, first)]
        )
        n, frame = len(self.results), frame_of(self.m)
        some = self.z.T[np.linspace(0, n - 1, min(n, 20_000)).astype(int)]
        return Look(title, self.results, np.arange(n), n, frame, labels, decoded(self.m, some), [])

    def row(self, k: int) -> xr.DataArray:
        """One signal, (1, P), (1, C, P) or (1, h, w), on the model's axis."""
        with self.reading:
            row = self.source.read(k, k + 1)
        if hasattr(self.m, "raster_"):
            return row if hasattr(row, "dims") else xr.DataArray(np.asarray(row, dtype=float))
        return sample_of(self.m, row, np.arange(1))

    # --- what is answered

    def ask(self, path: str, query: Mapping[str, str]) -> Answer | None:
        """The content behind an address; None where there is none."""
        head, _, name = path.partition("/")
        if path == "":
            return "text/html; charset=utf-8", self.page()
        if head == "column" and name in self.results.names:
            return _BYTES, _little(self.results.column(name).values)
        if path == "flags":
            return _BYTES, self.results.flags.tobytes()
        if head == "signal" and name.isdecimal() and int(name) < len(self.results):
            return _BYTES, self.signal(int(name))
        if path == "decoded":
            return _BYTES, self.decode(query)
        return None

    def page(self) -> bytes:
        """The page, without columns and signals."""
        columns = [
            self.look.about(c, {"dtype": "float32", "url": f"column/{c.name}"}) for c in self.results.columns
        ]
        more = {"columns": columns, "flags": {"dtype": "uint8", "url": "flags"}, "served": True}
        return whole(part_of(self.look, more), self.look.title, _SELF).encode("utf-8")

    def signal(self, k: int) -> bytes:
        """As measured and as drawn, of images moved back too; channel after channel."""
        row = self.row(k)
        if hasattr(self.m, "raster_"):
            aligned, drawn = made_of(self.m, row, self._posterior(k))
            return _little(np.stack([planes(a, self.m.raster_)[0][0] for a in (row, drawn, aligned)]))
        both = zip(each_channel(self.m, row), each_channel(self.m, self._drawn(k, row)), strict=True)
        return _little(np.stack([np.stack([a.values[0], b.values[0]]) for (_, a), (_, b) in both]))

    def _drawn(self, k: int, row: xr.DataArray) -> xr.DataArray:
        """What the model draws of a signal: from its results, unless more is solved for than these tell."""
        if self.m.nuisance_ or self.m.normalise:
            return self.m.reconstruct(row)
        kind = None if self.kind is None else [self.kind[k]]
        shift = self.pose["shift"][k] if "shift" in self.pose else 0.0
        return row.copy(data=np.asarray(self.m.generate(self.z.T[k : k + 1], shift=shift, condition=kind)))

    def _posterior(self, k: int) -> Posterior:
        """The results of one image."""
        one, m = np.ones(1), self.m
        sides = [self.pose.get(f"shift_{axis.name}") for axis in (m.raster_.rows, m.raster_.columns)]
        shift = np.array([[0.0 if side is None else side[k] for side in sides]])
        rotation, scale = (self.pose[n][k : k + 1] if n in self.pose else v * one for n, v in _AT_REST)
        z = self.z.T[k : k + 1].astype(float)
        kind = None if self.kind is None else self.kind[k : k + 1]
        return Posterior(
            shift, 0 * shift, z, 0 * z, one, one, np.array([""]), 0 * shift, one, 0 * one,
            rotation=rotation, rotation_sd=0 * one, scale=scale, scale_sd=0 * one, kind=kind,
        )  # fmt: skip

    def decode(self, query: Mapping[str, str]) -> bytes:
        """A shape by its latents "z", and its class "kind"."""
        given = np.array([float(word) for word in query.get("z", "").split(",")], dtype=np.float32)
        if len(given) > len(self.z) or not np.isfinite(given).all():
            raise ValueError(f"got {len(given)} latents, needed {len(self.z)} numbers")
        z = np.zeros(len(self.z), dtype=np.float32)
        z[: len(given)] = given
        return _little(np.stack(exactly(self.m, z, query.get("kind", ""))))


_AT_REST = (("rotation", 0.0), ("scale", 1.0))


def _poses(data: xr.Dataset) -> list[str]:
    return [
        n for n in map(str, data.data_vars) if n in ("shift", "rotation", "scale") or n.startswith("shift_")
    ]


def _little(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


@contextmanager
def results_in(path: Path) -> Iterator[xr.Dataset]:
    """The posterior in a `.nc` file or `.zarr` folder.

    Raises
    ------
    ShapeshiftError
        If there is none.
    """
    needed = "a posterior that `shapeshift transform` or `fit` has written, .nc or .zarr"
    if path.suffix.lower() not in (".nc", ".zarr") or not path.exists():
        raise ShapeshiftError(f"got {path}, needed {needed}: name it with --results")
    with ExitStack() as stack:
        try:
            engine = "zarr" if path.suffix.lower() == ".zarr" else "h5netcdf"
            data = stack.enter_context(xr.open_dataset(path, engine=engine, cache=False))
            missing = {"z", "flags", "noise_sd"} - set(data.data_vars)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ShapeshiftError(
                f"{path.name}: got a file that cannot be read ({error}), needed {needed}"
            ) from error
        if missing:
            raise ShapeshiftError(f"{path.name}: got no {', '.join(sorted(missing))}, needed {needed}")
        yield data


@contextmanager
def explorer(run: Path, data: Path | None, results: Path | None, reading: Reading) -> Iterator[Explorer]:
    """What is shown of a run: by default its own results and the file it was fitted to.

    Raises
    ------
    ShapeshiftError
        If model, file or results cannot be used, or do not belong together.
    """
    m = loaded(run)
    data, known = (data, {}) if data else _file_of(run)
    with (
        signals_of(data, {**like(m, known), **like(m, reading)}) as source,
        results_in(results or run / "posterior.nc") as found,
    ):
        log(f"{data.name}: {len(source)} signals")
        yield Explorer(m, source, found, data.name)


def _file_of(run: Path) -> tuple[Path, dict[str, Any]]:
    """The file that a run was fitted to, and how it was read."""
    record = run / "run.toml"
    if not record.is_file():
        raise ShapeshiftError(
            f"got {run}, which tells of no file, needed a run's folder, or the data behind it"
        )
    told = toml.loads(record.read_text(encoding="utf-8"))["data"]["reading"]
    data = Path(str(told.get("file")))
    if not data.exists():
        raise ShapeshiftError(
            f"got a run of {data}, which is not there any more, needed the file: name it behind {run}"
        )
    return data, {
        k: v for k, v in told.items() if k in ("array", "axis", "orientation", "kind") and v != "none"
    }
