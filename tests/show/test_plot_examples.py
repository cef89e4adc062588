"""The examples of every public figure run, and say what they say."""

import doctest
from importlib import import_module

import pytest

from shapeshift.show import plots


@pytest.mark.parametrize("name", plots.__all__)
def test_the_examples_run(name: str) -> None:
    function = getattr(plots, name)
    module = import_module(function.__module__)
    (found,) = doctest.DocTestFinder(recurse=False).find(
        function, name, module=module, globs=vars(module).copy()
    )
    assert found.examples, f"plot.{name} has no example"
    assert doctest.DocTestRunner().run(found).failed == 0


@pytest.mark.parametrize("name", plots.__all__)
def test_every_figure_tells_what_it_takes_and_gives(name: str) -> None:
    told = getattr(plots, name).__doc__
    wanted = ["Examples"] if name in ("style",) else ["Parameters", "Examples"]
    wanted += [] if name in ("style", "save") else ["Returns"]
    assert [section for section in wanted if f"{section}\n    ---" not in told] == []


@pytest.mark.parametrize("name", ["figures_map", "figures_manifold", "fitting", "labels", "style"])
def test_the_examples_of_what_figures_share_run(name: str) -> None:
    result = doctest.testmod(import_module(f"shapeshift.show.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
