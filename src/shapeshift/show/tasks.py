"""What the commands do: read, compute, write whole results, and give back a summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shapeshift.analysis.calibration import Calibration, calibrate
from shapeshift.data.blocks import Source, source_of
from shapeshift.data.carrier import Want
from shapeshift.data.disk import need_room
from shapeshift.data.files import open as open_signals
from shapeshift.data.pictures import image_want
from shapeshift.data.stored import is_stored, stored
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.estimators import ImageVAE, ShiftVAE
from shapeshift.fit.journal import EVERY
from shapeshift.fit.loading import load
from shapeshift.fit.ranks import ranks_here
from shapeshift.fit.streaming import some_of_source
from shapeshift.show.place import check_free, folder_in, held, new_file
from shapeshift.show.resume import drop_state, fingerprint_of, is_complete, state_beside
from shapeshift.show.run import Format, clocked, dataset_of, size_of_run, table, write_run
from shapeshift.show.saving import fill, written
from shapeshift.show.stream import stream
from shapeshift.show.summary import notes_of, numbers, summary
from shapeshift.show.terminal import log, watched

if TYPE_CHECKING:
    import xarray as xr


ESTIMATORS: dict[str, Any] = {"signal": ShiftVAE, "image": ImageVAE}
PAIRED_SAMPLES = 200_000  # of the signals that calibration makes, in each of three draws

Reading = Mapping[str, Any]  # array, axis, orientation and kind, as `shapeshift.open` takes them


class Manner(NamedTuple):
    """How a run is written.

    format : of the figures | force : replace an earlier run | checkpoint_every : epochs between two states of
    the fit, which are written down beside the run's folder | resume : go on with such a state, if there is
    one; a run that is complete is left as it is.
    """

    format: Format = "png"
    force: bool = False
    checkpoint_every: int | None = None
    resume: bool = False

    @property
    def every(self) -> int | None:
        """Epochs between two states, if any are to be written."""
        return EVERY if self.resume and self.checkpoint_every is None else self.checkpoint_every


def fit_file(
    data: Path,
    out: Path,
    options: Mapping[str, Any],
    reading: Reading,
    how: Manner,
) -> dict[str, Any]:
    """Fit a model to a file and write the run's folder.

    Parameters
    ----------
    data, out : pathlib.Path
        File to read and folder to write.
    options : mapping
        Of `ShiftVAE`, or of `ImageVAE` where the reading says that the kind is "image".
    reading : mapping
        Of `shapeshift.open`.
    how : Manner

    Returns
    -------
    dict
        A summary in plain values; of a run that was complete, where it is.

    Raises
    ------
    ShapeshiftError
        If the place is taken, or file or options cannot be used; nothing is left behind then.
    """
    timings: dict[str, float] = {}
    run, sha256 = {"run": str(out), "report": str(out / "report.html")}, _digest(data)
    fingerprint = fingerprint_of(sha256, reading, {**options, "format": how.format})
    if how.resume and is_complete(out, fingerprint):
        log(f"{out} is complete: nothing is left to be done")
        with held(out):
            drop_state(out)
        ranks_here().told(False)
        return run
    check_free(out, how.force)
    with (
        held(out),
        state_beside(out, how.every, resume=how.resume, force=how.force) as checkpoint,
        folder_in(out, force=how.force) as folder,
    ):
        with clocked(timings, "read"):
            X = read(data, reading)
        kind = reading.get("kind", "signal")
        need_room(folder.parent, size_of_run(X, kind), "the run")
        ranks_here().told(True)
        m = ESTIMATORS[kind](**options).fit(X, checkpoint=checkpoint)
        _told(m.notes_)
        if m.history_.stopped == "interrupted":
            log("stopped by ctrl-C: the best weights so far are kept")
        with clocked(timings, "posterior"):
            p = m.posterior(X)
        origin = {"file": str(data.absolute()), "sha256": sha256, **reading}
        with clocked(timings, "calibration"):
            c = calibrated(m, X)
        write_run(
            *(folder, m, X, p),
            calibration=c,
            format=how.format,
            reading=origin,
            timings=timings,
            fingerprint=fingerprint,
        )
    return {**run, **summary(m, X, p, c)}


def transform_file(run: Path, data: Path, out: Path, reading: Reading, *, force: bool) -> dict[str, Any]:
    """Write shifts and shapes of the signals in a file, by a saved model, as `.csv`, `.nc` or `.zarr`.

    Files that are large are not loaded (see :mod:`shapeshift.show.stream`).

    Raises
    ------
    ShapeshiftError
        If model or file cannot be used, they do not fit each other, or the place is taken.
    """
    _needs(out, ".csv", ".nc", ".zarr")
    if is_stored(data) or out.suffix.lower() == ".zarr":
        return _stream_file(run, data, out, reading, force=force)
    with written(out, overwrite=force) as file:
        m = loaded(run)
        X = read(data, {**like(m, reading), "single": True})
        p = m.posterior(X)
        _told(notes_of(p))
        if out.suffix.lower() == ".csv":
            table(p, gain="gain" in m.nuisance_).to_csv(file, index=False)
        else:
            fill(dataset_of(p, str(X.attrs["source"])), file, out.suffix)
    return {"file": str(out), **numbers(p)}


def _stream_file(run: Path, data: Path, out: Path, reading: Reading, *, force: bool) -> dict[str, Any]:
    """The same block by block."""
    m = loaded(run)
    with signals_of(data, {**like(m, reading), "single": True}) as X:
        log(f"{data.name}: {len(X)} signals, {X.rows_computed} at a time")
        done = stream(m, X, out, force=force, progress=watched())
    counts = {"images" if hasattr(m, "raster_") else "signals": done.n_signals, "flagged": done.flagged}
    speed = {"seconds": done.seconds, "signals_per_second": done.n_signals / done.seconds}
    return {"file": str(out), **numbers(done.some), **counts, **speed}


@contextmanager
def signals_of(data: Path, reading: Reading) -> Iterator[Source]:
    """The signals in a file, block by block as far as the file allows it."""
    if not is_stored(data):
        yield source_of(read(data, reading), images=reading.get("kind") == "image")
        return
    with stored(data, want_of(reading)) as found:
        _told_of(found.head)
        yield found.source


def report_file(run: Path, data: Path, out: Path, reading: Reading, *, force: bool) -> dict[str, Any]:
    """Write the report of a saved model on the signals in a file.

    Raises
    ------
    ShapeshiftError
        If model or file cannot be used, they do not fit each other, or the place is taken.
    """
    from shapeshift.show.report import write_report

    _needs(out, ".html")
    with new_file(out, force=force) as file:
        m = loaded(run)
        X = read(data, like(m, reading))
        p = m.posterior(X)
        _told(notes_of(p))
        c = calibrated(m, X)
        write_report(m, X, p, file, calibration=c)
    return {"report": str(out), **summary(m, X, p, c)}


def export_file(run: Path, out: Path, *, steps: int, force: bool) -> dict[str, Any]:
    """Write a saved model as `.onnx`.

    Raises
    ------
    ShapeshiftError
        If the model cannot be used or exported, packages are missing, or the place is taken.
    """
    _needs(out, ".onnx")
    with new_file(out, force=force) as file:
        m = load(run / "model.safetensors" if run.is_dir() else run)
        kind = type(m).__name__
        if steps and kind != "ShiftVAE":
            raise ShapeshiftError(f"got --steps {steps} and a {kind}, needed a ShiftVAE for it: leave it out")
        m.export(file, force=True, **({"steps": steps} if steps else {}))
        size = file.stat().st_size
    return {"file": str(out), "kind": kind, "bytes": size, "refining_steps": steps}


def calibrated(m: ShiftVAE | ImageVAE, X: xr.DataArray) -> Calibration | None:
    """Known shifts added to the signals and found again; fewer of long signals, to take a few seconds.

    None for images and for signals of several channels.
    """
    if hasattr(m, "raster_") or getattr(m, "lanes_", None):
        return None
    n = int(np.clip(PAIRED_SAMPLES // X.shape[-1], 100, 1000))
    return calibrate(m, X, n=n, most=n)


def read(data: Path, reading: Reading) -> xr.DataArray:
    """The signals in a file, of a large one some; what was found out about it goes to stderr."""
    X = _some(data, reading) if is_stored(data) else open_signals(data, **reading)
    log(f"{data.name}: {', '.join(f'{name} {size}' for name, size in X.sizes.items())}")
    _told_of(X)
    return X


def _some(data: Path, reading: Reading) -> xr.DataArray:
    """Of the signals in a large file as many as a fit takes."""
    with stored(data, want_of(reading)) as found:
        X = some_of_source(found.source).assign_attrs(found.head.attrs)
    if len(X) < len(found.source):
        told = f"{len(X)} of {len(found.source)} signals, drawn evenly; `shapeshift transform` reads them all"
        X.attrs["notes"] = "; ".join(filter(None, [str(X.attrs["notes"]), told]))
    return X


def want_of(reading: Reading) -> Want:
    """What `shapeshift.open` makes of its options."""
    want = Want(**{name: value for name, value in reading.items() if value is not None})
    return image_want(want) if want.kind == "image" else want


def _told_of(X: xr.DataArray) -> None:
    _told(note for note in str(X.attrs["notes"]).split("; ") if note)


def _told(notes: Iterable[str]) -> None:
    for note in notes:
        log(f"  {note}")


def _needs(out: Path, *endings: str) -> None:
    """Refuse a file to write of another ending."""
    if out.suffix.lower() not in endings:
        raise ShapeshiftError(
            f"{out.name}: got the ending {out.suffix!r}, needed {' or '.join(endings)}: choose another name"
        )


def _digest(data: Path) -> str:
    """What tells this file, or folder, from any other, whatever it is called later."""
    digest = hashlib.sha256()
    inside = sorted(path for path in data.rglob("*") if path.is_file())  # of a folder; of a file none
    for path in inside or ([data] if data.is_file() else []):
        if inside:
            digest.update(f"{path.relative_to(data).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def loaded(run: Path) -> Any:
    """The model of a run, or of a file."""
    m = load(run / "model.safetensors" if run.is_dir() else run)
    if not isinstance(m, PoseEstimator):
        raise ShapeshiftError(
            f"got a {type(m).__name__}, needed a ShiftVAE or an ImageVAE: use this model from Python, with "
            "shapeshift.load."
        )
    return m


def like(m: Any, reading: Reading) -> dict[str, Any]:
    """How to read data for a fitted model: of its kind, and flattened images in its shape.

    Raises
    ------
    ShapeshiftError
        If another kind is asked for, or something that images do not have.
    """
    kind = "image" if hasattr(m, "raster_") else "signal"
    if reading.get("kind") not in (None, kind):
        raise ShapeshiftError(
            f"got --kind {reading['kind']} and a model of {kind}s, needed data of the model's kind: leave "
            f"--kind out, or fit a model of {reading['kind']}s"
        )
    known = {name: value for name, value in reading.items() if name not in ("kind", "image_shape")}
    return known | ({"kind": kind, "image_shape": m.raster_.shape} if kind == "image" else {})
