"""Results appear whole or not at all: built beside their place, moved there at the end."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from shapeshift.data.disk import alone, sync, unwritable, writing
from shapeshift.errors import ShapeshiftError

# What a folder holds that this package wrote: no other folder is ever replaced.
_MARKS = ("run.toml", "summary.json")
POSTERIOR = "posterior of a VAE with pose latents"  # the title of a Zarr group that may be replaced


@contextmanager
def held(out: str | os.PathLike[str]) -> Iterator[None]:
    """Be the only process that writes to a place; folders above it are made, and gone again on a failure.

    What a process that was killed has left beside the place is tidied up: what was there before it comes
    back, what was half-written goes.

    Raises
    ------
    ShapeshiftError
        If another process is writing there, or nothing can be written there.
    """
    out = Path(out).absolute()
    made = _make_parents(out.parent)
    try:
        with alone(out.with_name(f".{out.name}.lock"), out):
            _tidy(out)
            yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # something stays in it
                folder.rmdir()
        raise


@contextmanager
def new_folder(
    out: str | os.PathLike[str], *, force: bool = False, marks: Sequence[str] = _MARKS
) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends well and vanishes when it fails.

    Parameters
    ----------
    out : path
        Where it is to be. Missing folders above it are made.
    force : bool
        Replace a folder that an earlier run wrote, once the new one is complete.
    marks : sequence of str
        Files by one of which such a folder is known.

    Yields
    ------
    pathlib.Path
        The folder while it is being built, beside its place.

    Raises
    ------
    ShapeshiftError
        Before anything is done: if the place is taken, another process is writing there, or nothing can be
        written there. Later: if the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     with new_folder(Path(above) / "run") as folder:
    ...         _ = (folder / "run.toml").write_text("")
    ...     [path.name for path in Path(above).rglob("*")]
    ['run', 'run.toml']
    """
    check_free(Path(out).absolute(), force, marks)
    with held(out), folder_in(out, force=force, marks=marks) as part:
        yield part


@contextmanager
def folder_in(
    out: str | os.PathLike[str], *, force: bool = False, marks: Sequence[str] = _MARKS
) -> Iterator[Path]:
    """:func:`new_folder` in a place that is :func:`held`."""
    out = Path(out).absolute()
    check_free(out, force, marks)
    part = _beside(out, "part")
    try:
        _make(part)
        with writing(out):
            yield part
            _through(part)
            _swap(part, out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def new_file(out: str | os.PathLike[str], *, force: bool = False) -> Iterator[Path]:
    """The same for one file, folders above it too; with `force` any file is replaced.

    Raises
    ------
    ShapeshiftError
        As of :func:`new_folder`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     with new_file(Path(above) / "shifts.csv") as file:
    ...         _ = file.write_text("")
    ...     [path.name for path in Path(above).iterdir()]
    ['shifts.csv']
    """
    out = Path(out).absolute()
    if out.is_dir():
        raise ShapeshiftError(f"{out}: got a folder, needed the name of a file: add a name to it")
    if out.exists() and not force:
        raise ShapeshiftError(
            f"{out}: got a file that exists, needed a new one: choose another name, or --force"
        )
    part = _beside(out, "part").with_suffix(out.suffix)
    with held(out), writing(out):
        try:
            _touch(part)
            yield part
            sync(part)
            os.replace(part, out)
            sync(out.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def check_free(out: Path, force: bool, marks: Sequence[str] = _MARKS) -> None:
    """Nothing there, or a run that may be replaced."""
    if not os.path.lexists(out):
        return
    if not out.is_dir() or out.is_symlink():
        raise ShapeshiftError(f"{out}: got a file where the folder is to be: choose another name")
    if not force:
        raise ShapeshiftError(
            f"{out}: got a folder that exists, needed a new one: choose another name, or --force"
        )
    inside = list(out.iterdir())
    if inside and not any((out / mark).exists() for mark in marks) and not _is_posterior(out):
        raise ShapeshiftError(
            f"{out}: got a folder that no run wrote ({len(inside)} things in it), needed one to replace: "
            "choose another name"
        )


def _is_posterior(out: Path) -> bool:
    """Whether a folder is a Zarr group that a stream has written."""
    try:
        return json.loads((out / ".zattrs").read_bytes()).get("title") == POSTERIOR
    except (OSError, ValueError, AttributeError):
        return False


def _make_parents(parent: Path) -> list[Path]:
    """The folders that had to be made, the innermost first."""
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(parent, error) from error
    return missing


def _make(part: Path) -> None:
    try:
        part.mkdir()
    except OSError as error:
        raise unwritable(part.parent, error) from error


def _touch(part: Path) -> None:
    try:
        part.touch()
    except OSError as error:
        raise unwritable(part.parent, error) from error


def _tidy(out: Path) -> None:
    """Put back, or away, what a process that was killed has left beside a place.

    It had the same place, which is held now, so none of it is in use.
    """
    left = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.(part|old)")
    own_file = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}{re.escape(out.suffix)}(\.part)?")
    for path in list(out.parent.iterdir()):
        if left.fullmatch(path.name):
            if path.name.endswith(".old") and not out.exists():  # killed between the two moves of a swap
                os.replace(path, out)
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
        elif out.suffix and own_file.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _beside(out: Path, kind: str) -> Path:
    """A name in the same folder that nothing else has."""
    return out.with_name(f".{out.name}.{secrets.token_hex(4)}.{kind}")


def _swap(part: Path, out: Path) -> None:
    """Put the new folder in place of the old one, which is only then deleted."""
    old = _beside(out, "old") if out.exists() else None
    if old is not None:
        os.replace(out, old)
    try:
        os.replace(part, out)
    except BaseException:
        if old is not None:
            os.replace(old, out)
        raise
    sync(out.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _through(folder: Path) -> None:
    """Everything in a folder is on the disk before it gets its name."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)
