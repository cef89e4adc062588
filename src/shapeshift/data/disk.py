"""The disk: files that appear whole or not at all, room for them, and one process at a time in a place."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shapeshift.errors import ShapeshiftError

# What a disk says that is full, has a limit, or has become read-only.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_HELD = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically: at any moment there is the old file or the new one.

    Raises
    ------
    ShapeshiftError
        If the folder is missing or not to be written to, or the disk is full; the old file is still there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "a.txt", b"whole")
    ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
    [('a.txt', b'whole')]
    """
    path = Path(path)
    with writing(path):
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        except OSError as error:
            raise unwritable(path.parent, error) from error
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync(path.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk says while a place is written to, as a sentence.

    Raises
    ------
    ShapeshiftError
        Where the disk is full, has a limit, or cannot be written to any more.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 has RuntimeErrors too
        said = _disk_says(error)
        if said is None:
            raise
        raise ShapeshiftError(
            f"{path}: the disk took no more ({said}), so it was not written: make room there, or choose "
            "another place"
        ) from error


def _disk_says(error: BaseException | None) -> str | None:
    """What is wrong with the disk, if that is what an error, or one behind it, is about."""
    while error is not None:
        named = re.search(r"errno = (\d+)", str(error))  # of HDF5
        number = int(named[1]) if named else getattr(error, "errno", None)
        if number in _OF_THE_DISK:
            return os.strerror(number)
        error = error.__cause__ or error.__context__
    return None


def unwritable(folder: Path, error: OSError) -> ShapeshiftError:
    """The sentence for a folder that is missing or not to be written to."""
    return ShapeshiftError(
        f"{folder}: got a place where nothing can be written ({error.strerror}), needed a folder of your "
        "own: choose another one"
    )


def need_room(folder: Path, size: int, what: str) -> None:
    """Refuse a place that is too small before the work starts.

    Parameters
    ----------
    folder : pathlib.Path
    size : int
        Bytes that are going to be written.
    what : str
        What they are, for the sentence.

    Raises
    ------
    ShapeshiftError
        If the disk has less room.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ShapeshiftError(
            f"{folder}: got {free / 1e6:.3g} MB of room, needed about {size / 1e6:.3g} MB for {what}: make "
            "room there, or choose another place"
        )


@contextmanager
def alone(lock: Path, place: Path) -> Iterator[None]:
    """Be the only process at work in a place.

    The lock ends with the process, however that ends. Where a file system knows no locks there is none.

    Parameters
    ----------
    lock : pathlib.Path
        A file that is made for it, and is gone afterwards.
    place : pathlib.Path
        What it stands for, for the sentence.

    Raises
    ------
    ShapeshiftError
        If another process is at work there, or nothing can be written there.
    """
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise unwritable(lock.parent, error) from error
        if not _locked(handle):
            os.close(handle)
            raise ShapeshiftError(
                f"{place}: another run is writing there, needed a place of its own: wait for it, or choose "
                "another place"
            )
        if _is(lock, handle):
            break
        os.close(handle)  # the one who had it has just taken it away
    try:
        yield
    finally:
        if os.name != "nt":  # where a file cannot be deleted while it is open
            lock.unlink(missing_ok=True)
        os.close(handle)


def _locked(handle: int) -> bool:
    """Whether the lock on an open file is ours now."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        take = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # noqa: E731
    else:
        take = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
    try:
        take()
    except OSError as error:
        return error.errno not in _HELD
    return True


def _is(path: Path, handle: int) -> bool:
    """Whether a name still is that of an open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(handle))
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
