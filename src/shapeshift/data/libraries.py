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
        raise ShapeshiftError(
            f"{source}: got a format that needs the package {name.split('.')[0]!r}, which is not installed: "
            f"{EXTRA}"
        ) from error


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
        raise ShapeshiftError(
            f"{source}: got a file that needs the package {error.name!r}, which is not installed: "
            f"pip install {error.name}"
        ) from error
    except Exception as error:
        told = clean(error, 150) or type(error).__name__
        raise ShapeshiftError(
            f"{source}: got a damaged file ({told}), needed a whole {what}: write or copy it again"
        ) from error
