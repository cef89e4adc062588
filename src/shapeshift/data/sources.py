"""Files at their original repositories: from a folder of copies, the cache, or the network, in this order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from shapeshift.errors import ShapeshiftError

HOST = "https://raw.githubusercontent.com"
FOLDER = "SHAPESHIFT_DATA"  # the variable that names a folder of copies
_PATIENCE = 30  # seconds without an answer


class Source(NamedTuple):
    """Files of a repository on GitHub at one commit.

    hashes: SHA-256 of every file by its name.
    """

    repository: str
    commit: str
    folder: str
    hashes: Mapping[str, str]
    licence: str
    citation: str

    def url(self, name: str) -> str:
        """Where a file is."""
        return f"{HOST}/{self.repository}/{self.commit}/{self.folder}/{name}"

    @property
    def page(self) -> str:
        """The page of the first file."""
        return (
            f"https://github.com/{self.repository}/blob/{self.commit}/{self.folder}/{next(iter(self.hashes))}"
        )


def copies() -> Path | None:
    """The folder of copies that the user named, if any.

    Raises
    ------
    ShapeshiftError
        If there is no such folder.
    """
    named = os.environ.get(FOLDER)
    if not named:
        return None
    if not Path(named).is_dir():
        raise ShapeshiftError(
            f"got {FOLDER}={named}, which is no folder, needed one with copies of the data: correct or unset "
            "it"
        )
    return Path(named)


def packed(name: str) -> Path | None:
    """The copy of a whole set, NAME.npz, if there is one."""
    folder = copies()
    path = None if folder is None else folder / f"{name}.npz"
    return path if path is not None and path.is_file() else None


def fetch(source: Source) -> dict[str, Path]:
    """All files of a source by name, each with the SHA-256 that is pinned.

    Raises
    ------
    ShapeshiftError
        If a file is nowhere at hand and cannot be fetched, or is not what it was.
    """
    return {name: _copy(name, sha256) or _fetched(source, name) for name, sha256 in source.hashes.items()}


def all_copied(source: Source) -> bool:
    """Whether the folder of copies holds all files of a source."""
    return all(_place(name) is not None for name in source.hashes)


def _place(name: str) -> Path | None:
    """Where the copy of a file is."""
    folder = copies()
    places = [] if folder is None else [folder / name, folder / "raw" / name]
    return next((path for path in places if path.is_file()), None)


def _copy(name: str, sha256: str) -> Path | None:
    """A file from the folder of copies."""
    path = _place(name)
    if path is not None and (got := hashlib.sha256(path.read_bytes()).hexdigest()) != sha256:
        raise ShapeshiftError(
            f"{path}: got a file of SHA-256 {got[:12]}..., needed {sha256[:12]}...: copy it again, or unset "
            f"{FOLDER} to fetch it"
        )
    return path


def _fetched(source: Source, name: str) -> Path:
    """A file from pooch's cache, or through the network into it."""
    try:
        import pooch
    except ImportError as error:
        raise ShapeshiftError(
            f"got no copy of {name} and no pooch to fetch it, needed one of them: pip install "
            f"'shapeshift[datasets]', or set {FOLDER} to a folder that holds it"
        ) from error
    url, cache = source.url(name), Path(pooch.os_cache("shapeshift"))
    try:
        found = pooch.retrieve(
            url,
            known_hash="sha256:" + source.hashes[name],
            fname=name,
            path=cache,
            downloader=pooch.HTTPDownloader(timeout=_PATIENCE),
        )
    except PermissionError as error:
        raise ShapeshiftError(
            f"{cache}: got a cache that cannot be written ({error.strerror or error}), needed room for "
            f"{name}: set XDG_CACHE_HOME to a folder of your own, or {FOLDER} to one that holds the file"
        ) from error
    except OSError as error:
        raise ShapeshiftError(
            f"got no copy of {name} and no answer from {HOST} ({type(error).__name__}), needed one of them: "
            f"connect to the internet, or set {FOLDER} to a folder that holds it"
        ) from error
    except ValueError as error:
        raise ShapeshiftError(
            f"{url}: got a file that is not what it was ({error}), needed SHA-256 "
            f"{source.hashes[name][:12]}...: try again, or set {FOLDER} to a folder that holds it"
        ) from error
    return Path(found)
