"""A block that may ask for so much memory and no more: for libraries that believe what a file claims."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from shapeshift.errors import ShapeshiftError

_LEAST, _EXPANSION = 400 * 2**20, 100  # bytes, and how many times its size a file may ask for
_ALONE = RLock()  # the bound is one of the process: two blocks would lift each other's


@contextmanager
def bounded(stored: int, source: str) -> Iterator[None]:
    """Bound the memory of a block that reads a file of so many bytes; where the system cannot, do nothing.

    Raises
    ------
    ShapeshiftError
        If the block asks for more.

    Examples
    --------
    >>> with bounded(1000, "a.sur"):
    ...     kept = bytearray(1000)
    """
    room = max(_LEAST, _EXPANSION * stored)
    with _ALONE:
        before = _set(room)
        try:
            yield
        except MemoryError:
            raise ShapeshiftError(
                f"{source}: got a file of {stored} bytes that asks for more than {room // 2**20} MB of "
                "memory, needed one that holds what it claims: it is damaged, write or copy it again"
            ) from None
        finally:
            if before is not None:
                _restore(before)


def _set(room: int) -> tuple[int, int] | None:
    """Allow for so many bytes more than are in use; what was allowed before, None where nothing was done."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = before = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + room
        allowed = [wanted, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(allowed), hard))
        return before
    return None


def _restore(before: tuple[int, int]) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, before)
