"""From signals that are larger than the memory to a file of results, a block at a time."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shapeshift.data.blocks import Source, source_of
from shapeshift.data.carrier import Want
from shapeshift.data.pictures import image_want
from shapeshift.data.stored import stored
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.streaming import concatenated, images, posteriors
from shapeshift.show.columns import Write, csv_columns, frame_of, netcdf_columns, zarr_columns
from shapeshift.show.place import POSTERIOR, new_file, new_folder
from shapeshift.show.selection import some_of

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

ENDINGS = (".zarr", ".nc", ".csv")
SOME = 20_000  # signals that are kept for a summary


@dataclass(frozen=True)
class Streamed:
    """What came of a stream.

    Attributes
    ----------
    path : pathlib.Path
        What was written.
    n_signals : int
    seconds : float
    flagged : dict
        Number of signals by the code of their flag.
    some : Posterior
        Of at most 20 000 of the signals, every k-th, for a summary.
    """

    path: Path
    n_signals: int
    seconds: float
    flagged: dict[str, int]
    some: Posterior = field(repr=False)


def stream(
    model: Any,
    X: Any,
    out: str | os.PathLike[str],
    *,
    x: Any = None,
    refine: bool = True,
    condition: Any = None,
    force: bool = False,
    progress: bool = False,
) -> Streamed:
    """Write the posterior of signals that need not fit into memory, nor need their posterior.

    Blocks are read, the next one while the current one is inferred, and written; memory does not grow with
    the number of signals. Numbers are those of ``model.posterior``, to the bit.

    Parameters
    ----------
    model : fitted ShiftVAE or ImageVAE
    X : path, or array (n, length), or a map (y, x, length), of Zarr, HDF5, dask, xarray or numpy
        Of images as ``model.posterior`` takes them. A path is that of a `.zarr` folder, or of an `.h5`,
        `.hdf5` or `.npy` file.
    out : path
        To be written, in the end at once: `.zarr` (``xarray.open_zarr``), `.nc` (``xarray.open_dataset``) or
        `.csv`.
    x : array (length,), optional
        Axis of plain arrays of signals.
    refine, condition : as of ``model.posterior``
    force : bool
        Replace what an earlier run has written there.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    Streamed

    Raises
    ------
    ShapeshiftError
        If the place is taken, or model and signals do not go together; nothing is left behind then.

    Examples
    --------
    >>> import tempfile, xarray as xr, shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=300, seed=0)
    >>> model = ss.ShiftVAE(epochs=10).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = ss.stream(model, X, Path(folder) / "shifts.nc")
    ...     with xr.open_dataset(done.path) as data:
    ...         same = bool((data["shift"] == model.posterior(X).shift).all())
    >>> done.n_signals, same
    (300, True)
    """
    out = Path(out)
    check_ending(out)
    with ExitStack() as open_files:
        source = open_files.enter_context(_opened(model, X))
        begin = time.perf_counter()
        write = open_files.enter_context(_sink(model, source, out, force))
        shown = open_files.enter_context(_progress(len(source), progress))
        flagged: Counter[str] = Counter()
        some: list[Posterior] = []
        step = -(-len(source) // SOME)
        for first, p in posteriors(model, source, x=x, refine=refine, condition=condition):
            write(first, p)
            flagged.update(dict(zip(*np.unique(p.flags, return_counts=True), strict=True)))
            some.append(some_of(p, np.arange(-first % step, len(p), step)))
            shown(first + len(p))
    return Streamed(out, len(source), time.perf_counter() - begin, _by_code(flagged), concatenated(some))


def check_ending(out: Path) -> None:
    """Refuse a result of another kind."""
    if out.suffix.lower() not in ENDINGS:
        raise ShapeshiftError(
            f"{out.name}: got the ending {out.suffix!r}, needed one of {', '.join(ENDINGS)}: choose another "
            "name"
        )


@contextmanager
def _opened(model: Any, X: Any) -> Iterator[Source]:
    """The signals as a source, for as long as they are needed."""
    if not isinstance(X, str | os.PathLike):
        plain = isinstance(X, Source) or hasattr(X, "dtype")
        yield source_of(X if plain else np.asarray(X), images=images(model))
        return
    want = Want(single=True)
    if hasattr(model, "raster_"):
        want = image_want(want._replace(kind="image", image_shape=model.raster_.shape))
    with stored(Path(X), want) as found:
        yield found.source


@contextmanager
def _sink(model: Any, source: Source, out: Path, force: bool) -> Iterator[Write]:
    """A function that writes blocks; they are in their place when all went well."""
    frame = frame_of(source, model.n_latent, {"title": POSTERIOR, "source": source.name})
    with ExitStack() as stack:
        if out.suffix.lower() == ".zarr":
            part = stack.enter_context(new_folder(out, force=force))
            yield stack.enter_context(zarr_columns(part, source, frame))
            return
        part = stack.enter_context(new_file(out, force=force))
        if out.suffix.lower() == ".nc":
            yield stack.enter_context(netcdf_columns(part, source, frame))
        else:
            yield stack.enter_context(csv_columns(part, source, gain="gain" in model.nuisance_))


def _by_code(flagged: Counter[str]) -> dict[str, int]:
    """Number of signals by code, from that by codes joined."""
    codes: Counter[str] = Counter()
    for joined, count in flagged.items():
        codes.update({code: int(count) for code in str(joined).split(";") if code})
    return dict(sorted(codes.items()))


@contextmanager
def _progress(n: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that is told how many signals are done."""
    if not shown:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("signals"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("signals", total=n)
        yield lambda done: bar.update(task, completed=done)
