"""A first look at an HDF5 file by a process of its own.

The HDF5 library ends the process, or never comes back, on some damaged files: lengths inside its heaps and
the types of attributes are believed. So another process looks at everything first, with little memory and
time; where that one does not survive, the file is refused. What merely raises an error there is left to the
reader.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from shapeshift.errors import ShapeshiftError

_MAGIC = b"\x89HDF\r\n\x1a\n"
_SECONDS, _RATE = 3, 5 * 2**20  # of the processor's time: at least, and bytes of the file for one more
_PATIENCE = 20  # times as long by the clock, where others want the processor too
_MEMORY = 512 * 2**20  # bytes
_SMALL = 2**20  # bytes of a data set whose values are looked at

_CODE = (
    "import sys; sys.path[:] = {path!r}; from shapeshift.data.probe import look; look({name!r}, {seconds})"
)


def check_sound(path: Path) -> None:
    """Refuse an HDF5 file that the library does not survive; other files are left alone.

    Raises
    ------
    ShapeshiftError
    """
    if not _is_hdf(path) or not sys.executable:
        return
    seconds = _SECONDS + path.stat().st_size // _RATE
    folders = [str(Path(folder).absolute()) for folder in sys.path if folder]
    code = _CODE.format(path=folders, name=str(path.absolute()), seconds=seconds)
    command = [sys.executable, "-I", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE * seconds)
        ended = done.returncode < 0
    except subprocess.TimeoutExpired:
        ended = True
    if ended:
        raise ShapeshiftError(
            f"{path.name}: got a damaged file that ends the HDF5 library or keeps it busy without end, "
            "needed a whole one: write or copy it again"
        )


def _is_hdf(path: Path) -> bool:
    """Whether the signature stands at the beginning, or at 512, 1024, 2048 ... bytes."""
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            if file.read(8) == _MAGIC:
                return True
            at = max(512, 2 * at)
    return False


def look(name: str, seconds: int) -> None:
    """Walk through a file, within limits; errors are nobody's business here."""
    import h5py

    _limit(seconds)
    seen: set[Any] = set()
    try:
        with h5py.File(name, "r") as file:
            waiting = [file["/"]]
            _attributes(waiting[0])
            while waiting:
                group = waiting.pop()
                for key in _tried(lambda group=group: list(group)) or ():
                    item = _tried(lambda group=group, key=key: _member(group, key, seen))
                    if item is None:
                        continue
                    _attributes(item)
                    if isinstance(item, h5py.Group):
                        waiting.append(item)
                    elif isinstance(item, h5py.Dataset):
                        _tried(lambda item=item: _dataset(item))
    except Exception:
        return


def _limit(seconds: int) -> None:
    """Little memory beyond what is in use, and little time, where the system knows such limits."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    except (ImportError, OSError, ValueError):
        return


def _tried(step: Any) -> Any:
    try:
        return step()
    except Exception:
        return None


def _member(group: Any, key: str, seen: set[Any]) -> Any:
    """What a hard link leads to, once."""
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        return None
    item = group[key]
    address = h5py.h5o.get_info(item.id).addr
    if address in seen:
        return None
    seen.add(address)
    return item


def _attributes(item: Any) -> None:
    for name in _tried(lambda: list(item.attrs)) or ():
        _tried(lambda name=name: item.attrs[name])


def _dataset(dataset: Any) -> None:
    """Everything that a reader asks of a data set, and its values where they are few."""
    for ask in (
        lambda: (dataset.shape, dataset.dtype, dataset.is_virtual, dataset.external),
        lambda: [[scale.name for scale in dim.values()] for dim in dataset.dims],
        lambda: dataset.fillvalue,
        lambda: [dataset.id.get_chunk_info(k) for k in range(dataset.id.get_num_chunks())],
        lambda: dataset.id.get_storage_size(),
    ):
        _tried(ask)
    virtual = _tried(lambda: dataset.is_virtual or dataset.external)
    if virtual or (_tried(lambda: dataset.size * dataset.dtype.itemsize) or 0) > _SMALL:
        return
    _tried(lambda: dataset[()])
