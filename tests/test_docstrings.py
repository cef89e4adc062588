"""Every public name says what it takes, gives and refuses, in shapes and units, with an example that runs."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import matplotlib
import pytest

import shapeshift as ss
from shapeshift import _HOMES

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", flags=re.M)
SHAPES = re.compile(r"array|Tensor|ndarray|DataArray|\(n|\(m|\(h")
# what rests on a published method or a formula of its own, and so must name its source
SOURCED = {
    *("ShiftVAE", "ImageVAE", "VED", "ShiftVAE.posterior", "ShiftVAE.predict_proba", "ShiftVAE.score"),
    *("ShiftVAE.generate", "ShiftVAE.manifold", "VED.predict_interval", "Property", "compare"),
    *("analysis.matched_filter_bound", "analysis.correlation", "analysis.rigidity"),
    *("synthetic.article", "datasets.ecg_mitbih100"),
}
SOURCE = re.compile(r"arXiv:\d|\b(1[89]|20)\d\d\b")


def public() -> Iterator[tuple[str, Any]]:
    """Name and object of everything that users are told of, methods of classes included."""
    for name in _HOMES:
        found = getattr(ss, name)
        if inspect.ismodule(found):
            for member in _members(found):
                yield f"{name}.{member}", getattr(found, member)
            continue
        yield name, found
        if inspect.isclass(found):
            yield from ((f"{name}.{k}", v) for k, v in _methods(found))


def _members(module: Any) -> list[str]:
    own = [
        k for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
    ]
    return [
        name for name in getattr(module, "__all__", own) if not name.startswith("_") and name != "FAMILIES"
    ]


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name, value in inspect.getmembers(cls, callable):
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith("shapeshift"):
            yield name, value


def missing(doc: str, takes: bool, gives: bool, refuses: bool, is_class: bool) -> list[str]:
    """Sections that a docstring lacks."""
    there = set(SECTION.findall(doc))
    told = there & {"Parameters", "Attributes"}
    lacks = []
    if takes and not (told if is_class else "Parameters" in there):
        lacks.append("Parameters")
    if gives and not there & {"Returns", "Yields"}:
        lacks.append("Returns")
    if refuses and "Raises" not in there:
        lacks.append("Raises")
    if "Examples" not in there or ">>>" not in doc:
        lacks.append("Examples")
    return lacks


def raises(function: Callable[..., Any]) -> bool:
    """Whether a function refuses something itself."""
    try:
        text = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):
        return False
    tree = ast.parse(textwrap.dedent(text))
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree))


NAMES = dict(public())


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_has_all_its_sections(name: str) -> None:
    found = NAMES[name]
    doc, is_class = inspect.getdoc(found) or "", inspect.isclass(found)
    try:
        takes = bool([p for p in inspect.signature(found).parameters if p not in ("self", "cls")])
    except (TypeError, ValueError):
        takes = False
    if is_class and issubclass(found, Exception):
        takes = False
    assert missing(doc, takes, not is_class, not is_class and raises(found), is_class) == []
    first = doc.split("\n\n")[0]
    assert first.strip().endswith((".", ":", "?"))
    assert name not in SOURCED or SOURCE.search(doc), "no source"


def test_there_are_many_and_the_sourced_are_among_them() -> None:
    assert len(NAMES) > 120
    assert set(NAMES) >= SOURCED


@pytest.mark.parametrize("method", ["fit", "generate", "posterior", "transform", "manifold"])
@pytest.mark.parametrize("estimator", ["ShiftVAE", "ImageVAE"])
def test_shapes_and_units_are_told(estimator: str, method: str) -> None:
    doc = inspect.getdoc(NAMES[f"{estimator}.{method}"]) or ""
    assert SHAPES.search(doc)
    assert re.search(r"units|degrees|Leading dimensions", doc)


_TOLD = {"Parameters": "x : int", "Returns": "int", "Raises": "E", "Examples": ">>> 1\n1"}
GOOD = "Do.\n\n" + "\n\n".join(f"{name}\n{'-' * len(name)}\n{text}" for name, text in _TOLD.items())


def test_what_is_missing_is_seen() -> None:
    assert missing(GOOD, True, True, True, False) == []
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        bad = GOOD.replace(f"{section}\n{'-' * len(section)}", "")
        assert missing(bad, True, True, True, False) == [section]
    assert missing(GOOD.replace(">>> 1", "1"), True, True, True, False) == ["Examples"]

    def refuses() -> None:
        raise ValueError

    assert raises(refuses)
    assert not raises(missing)


# --- examples ------------------------------------------------------------------------------------


def _unique() -> dict[str, Any]:
    """One name for every docstring, however many classes inherit it."""
    seen: dict[str, str] = {}
    for name, found in NAMES.items():
        if not name.startswith("plot."):  # those run in tests/show
            seen.setdefault(inspect.getdoc(found) or name, name)
    return {name: NAMES[name] for name in seen.values()}


EXAMPLES = _unique()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_printed(name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    if name.startswith("datasets.") and name != "datasets.digits":
        pytest.skip("needs files from the network; tests/data reads copies of them")
    found = EXAMPLES[name]
    module = import_module(inspect.unwrap(found).__module__) if hasattr(found, "__module__") else ss
    test = doctest.DocTestParser().get_doctest(
        inspect.getdoc(found) or "", dict(vars(module)), name, getattr(module, "__file__", None), 0
    )
    assert test.examples
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_an_example_that_fails_is_seen() -> None:
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "bad", None, 0), out=lambda _: None)
    assert runner.failures == 1
