"""The examples in the docstrings of readers and writers run."""

import doctest
from importlib import import_module

import pytest

MODULES = ("data.files", "data.metadata", "data.naming", "data.kin", "show.saving", "show.place", "show.info")


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    result = doctest.testmod(import_module(f"shapeshift.{module}"))
    assert result.attempted >= 1
    assert result.failed == 0
