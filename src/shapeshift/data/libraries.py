"""Other people's readers: loaded when a file asks for them, and never trusted to fail politely."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from shapeshift.data.metadata import clean
from shapeshift.errors import ShapeshiftError

EXTRA = "pip install 'shapeshift[formats]'"


def library(name: str, source: str) -> ModuleType:
    """A module of a package that only some formats need.

    Raises
    ------
    ShapeshiftError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(error, name, source) from error


def _missing(error: ImportError, name: str, source: str) -> ShapeshiftError:
    """What to install: a package of this one's extra, or one that such a package needs for a format."""
    package = (error.name or name).split(".")[0]
    known = package in ("zarr", "wdf", "rsciio")
    how = EXTRA if known else "install it, RosettaSciIO's pages tell what each format needs"
    return ShapeshiftError(
        f"{source}: got a format that needs the package {package!r}, which is not installed: {how}"
    )


@contextmanager
def reading(source: str, what: str) -> Iterator[None]:
    """A block in which a library reads a file: whatever it raises means that the file is damaged.

    Raises
    ------
    ShapeshiftError
        In place of any other exception but OSError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ShapeshiftError, OSError):
        raise
    except ImportError as error:
        raise _missing(error, "", source) from error
    except Exception as error:
        told = clean(error, 150) or type(error).__name__
        raise ShapeshiftError(
            f"{source}: got a damaged file ({told}), needed a whole {what}: write or copy it again"
        ) from error
