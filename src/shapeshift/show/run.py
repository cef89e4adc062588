"""A run's folder: model, results as tables, the record of how they came about, and the report."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shapeshift.analysis.poses import columns_of, of_images
from shapeshift.show import toml
from shapeshift.show.labels import layout_of
from shapeshift.show.place import POSTERIOR
from shapeshift.show.saving import places_of, save

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from shapeshift.analysis.calibration import Calibration
    from shapeshift.fit.estimators import ImageVAE, ShiftVAE
    from shapeshift.fit.posterior import Posterior

Format = Literal["png", "svg", "pdf"]

_PAGE, _ROW = 6_000_000, 400  # bytes of report, figures and model; of a signal in the tables

_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "xarray", "safetensors", "matplotlib")


def write_run(
    folder: Path,
    m: ShiftVAE | ImageVAE,
    X: xr.DataArray,
    p: Posterior,
    *,
    calibration: Calibration | None = None,
    format: Format = "png",
    reading: Mapping[str, Any] | None = None,
    timings: Mapping[str, float] | None = None,
    fingerprint: str = "",
) -> None:
    """Fill a folder with everything about a fit.

    Writes `model.safetensors`, `signals.csv`, `posterior.nc`, `history.csv`, `report.html`, `figures/`
    and, last, `run.toml`.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder, as `new_folder` of `shapeshift.show.place` gives it.
    m : ShiftVAE or ImageVAE
        The fitted model.
    X : xarray.DataArray
        The signals or images it was fitted to.
    p : Posterior
        Theirs.
    calibration : Calibration, optional
        From `analysis.calibrate`.
    format : {"png", "svg", "pdf"}
        Of the figures beside the report.
    reading : mapping, optional
        How the file was read: options and their values.
    timings : mapping, optional
        Seconds that earlier steps took, by their names.
    fingerprint : str
        What tells this run from others.
    """
    from shapeshift.show.report import write_report

    spent = dict(timings or {})
    m.save(folder / "model.safetensors")
    table(p, gain="gain" in m.nuisance_).to_csv(folder / "signals.csv", index=False)
    save(dataset_of(p, str(X.attrs.get("source", ""))), folder / "posterior.nc")
    m.history_.to_frame().to_csv(folder / "history.csv", index=False)
    with clocked(spent, "report"):
        page, figures = folder / "report.html", folder / "figures"
        write_report(m, X, p, page, figures=figures, format=format, calibration=calibration)
    record = record_of(m, X, p, calibration=calibration, reading=reading or {}, timings=spent)
    record["run"]["fingerprint"] = fingerprint
    (folder / "run.toml").write_text(toml.dumps(record), encoding="utf-8")


def size_of_run(X: xr.DataArray, kind: str) -> int:
    """About how many bytes a run on data takes, before it is fitted.

    Examples
    --------
    >>> import xarray as xr
    >>> size_of_run(xr.DataArray(np.zeros((1000, 50)), dims=("signal", "x")), "signal") // 10**6
    6
    """
    n = int(np.prod(X.shape[: -2 if kind == "image" else -1]))
    return _PAGE + _ROW * n


@contextmanager
def clocked(timings: dict[str, float], name: str) -> Iterator[None]:
    """Note the seconds that a block takes."""
    begin = time.perf_counter()
    yield
    timings[name] = round(time.perf_counter() - begin, 3)


def table(p: Posterior, *, gain: bool = False) -> pd.DataFrame:
    """A posterior as a table, one row a signal.

    Parameters
    ----------
    p : Posterior
    gain : bool
        Whether signals have gains of their own, to be told.

    Returns
    -------
    pandas.DataFrame
        `index` and what else names the signals, or the coordinates of a map; then shift, shift_sd (axis
        units), or what moves images: rotation, rotation_sd (degrees), shift_row, shift_row_sd, ... (axis
        units), scale, scale_sd; z1 ..., z1_sd ... (prior sd), with `gain` gain and gain_sd, noise_sd
        (units of the signals), log_evidence (nat) and flags.
    """
    import pandas as pd

    columns: dict[str, Any] = dict(places_of(layout_of(p)))
    for name, (values, bars, _) in columns_of(p).items():
        columns |= {name: values, f"{name}_sd": bars}
    columns |= {f"z{k + 1}": values for k, values in enumerate(p.z.T)}
    columns |= {f"z{k + 1}_sd": values for k, values in enumerate(p.z_sd.T)}
    columns |= _classes(p)
    columns |= {"gain": p.gain, "gain_sd": p.gain_sd} if gain else {}
    columns |= {"noise_sd": p.noise_sd, "log_evidence": p.log_evidence, "flags": p.flags}
    return pd.DataFrame(columns)


def _classes(p: Posterior) -> dict[str, Any]:
    """The likeliest class of every signal and its probability, where the model has classes."""
    share = getattr(p, "class_probability", None)
    return (
        {}
        if share is None
        else {"class": p.kind if p.kind is not None else share.argmax(1), "class_probability": share.max(1)}
    )


def dataset_of(p: Posterior, source: str) -> xr.Dataset:
    """A posterior with its map dimensions and units, and where it comes from."""
    return p.to_dataset().assign_attrs(title=POSTERIOR, source=source)


def record_of(
    m: Any,
    X: xr.DataArray,
    p: Posterior,
    *,
    calibration: Calibration | None,
    reading: Mapping[str, Any],
    timings: Mapping[str, float],
) -> dict[str, dict[str, Any]]:
    """What is needed to do the same again, and to know what came of it."""
    flags = sorted({code for flag in p.flags for code in flag.split(";") if code})
    return {
        "run": {"created": datetime.now(timezone.utc).isoformat(timespec="seconds")},
        "versions": _versions(),
        "data": {
            "source": X.attrs.get("source", ""),
            "reader": X.attrs.get("reader", ""),
            "reading": dict(reading),
            "dims": [str(dim) for dim in X.dims],
            "shape": list(X.shape),
            "notes": [note for note in str(X.attrs.get("notes", "")).split("; ") if note] + list(m.notes_),
        },
        **_axes(m),
        "options": m.options_,
        "result": {
            "converged": m.converged_,
            "stopped": m.history_.stopped,
            "zero": m.zero_,
            "likelihood": m.likelihood_,
            "nuisance": list(m.nuisance_),
            **({"prior_sd": m.prior_sd_} if of_images(p) else {"shift_sd": m.shift_sd_}),
            "signals": len(p.shift),
            "flags": {code: int(sum(code in flag.split(";") for flag in p.flags)) for code in flags},
        },
        **({} if calibration is None else {"calibration": asdict(calibration)}),
        "timings": {**timings, "fit": round(m.fit_seconds_, 3)},
    }


def _axes(m: Any) -> dict[str, dict[str, Any]]:
    """The axis of signals, or those of images, as a table each."""
    if not hasattr(m, "raster_"):
        return {"axis": _axis(m.axis_name_, m.axis_units_, m.axis_, "samples")}
    r = m.raster_
    sides = {"rows": r.rows, "columns": r.columns}
    return {k: _axis(a.name, a.units, a.values, "pixels") for k, a in sides.items()} | {
        "channels": {"count": r.channels}
    }


def _axis(name: str, units: str, values: Any, what: str) -> dict[str, Any]:
    return {"name": name, "units": units, "first": values[0], "last": values[-1], what: len(values)}


def _versions() -> dict[str, str]:
    """This package, the interpreter and what the numbers depend on."""
    from shapeshift import __version__

    own = {"shapeshift": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in _LIBRARIES}
