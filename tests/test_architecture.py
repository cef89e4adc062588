"""The shape of the source: one-way imports, size budgets, closed classes, documented names, quick import.

Every rule is a function from syntax trees to complaints; it is shown a small source that breaks it
before it is let loose on the package.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

import shapeshift

ROOT = Path(shapeshift.__file__).parent
LAYERS = ("data", "model", "fit", "analysis", "show")
OPEN_TO_ALL = {"shapeshift.errors", "shapeshift.__version__", "shapeshift"}
NOT_IN_MODEL = {
    *("numpy", "scipy", "pandas", "xarray", "sklearn", "matplotlib"),
    *("h5py", "h5netcdf", "safetensors", "pathlib", "os", "io", "json", "shutil", "tempfile"),
}
MAX_FILE, MAX_BODY, MEDIAN_BODY = 350, 40, 5

Sources = dict[str, str]  # dotted module name -> text


def package_sources() -> Sources:
    """All modules of the package by dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


# --- imports -------------------------------------------------------------------------------------


def imported(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported anywhere in a module, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level]
                base = ".".join([*above, base]).rstrip(".")
            yield from ((node.lineno, f"{base}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def upward_imports(sources: Sources) -> list[str]:
    """Imports that go against data -> model -> fit -> analysis -> show."""
    complaints = []
    for module, text in sources.items():
        layer = [*module.split("."), ""][1]
        if layer not in LAYERS:
            continue
        for line, name in imported(module, ast.parse(text)):
            parts = name.split(".")
            if parts[0] != "shapeshift" or name in OPEN_TO_ALL or name.startswith("shapeshift.errors."):
                continue
            if parts[1] not in LAYERS or LAYERS.index(parts[1]) > LAYERS.index(layer):
                complaints.append(f"{module}:{line} imports {name}")
    return complaints


def impure_models(sources: Sources) -> list[str]:
    """Anything but torch and the standard library's mathematics in model/: no arrays, files, pictures."""
    complaints = []
    for module, text in sources.items():
        if not module.startswith("shapeshift.model"):
            continue
        tree = ast.parse(text)
        for line, name in imported(module, tree):
            if name.split(".")[0] in NOT_IN_MODEL or name.startswith("shapeshift.data"):
                complaints.append(f"{module}:{line} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"open", "print"}:
                complaints.append(f"{module}:{node.lineno} calls {node.func.id}")
    return complaints


# --- safety --------------------------------------------------------------------------------------

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml"}
UNSAFE_NAMES = {"joblib.load", "joblib.dump", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}  # by these plain names
UNSAFE_METHODS = {("torch", "load"), ("torch", "save"), ("pd", "read_pickle"), ("pandas", "read_pickle")}
OBJECTS = {"allow_pickle": (False,), "weights_only": (True,), "object_hook": ()}  # what these may be


def unsafe(sources: Sources) -> list[str]:
    """Anything that runs what a file says."""
    complaints = []
    for module, text in sources.items():
        tree = ast.parse(text)
        for line, name in imported(module, tree):
            if UNSAFE_MODULES & {name.split(".")[0], name.split(".")[-1]} or name in UNSAFE_NAMES:
                complaints.append(f"{module}:{line} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                complaints += [f"{module}:{node.lineno} {told}" for told in _unsafe_call(node)]
    return complaints


def _unsafe_call(node: ast.Call) -> Iterator[str]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in UNSAFE_CALLS:
        yield f"calls {function.id}"
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        if (function.value.id, function.attr) in UNSAFE_METHODS:
            yield f"calls {function.value.id}.{function.attr}"
        if (function.value.id, function.attr) == ("np", "load") and not any(
            k.arg == "allow_pickle" for k in node.keywords
        ):
            yield "calls np.load without allow_pickle=False"
    for k in node.keywords:
        if k.arg in OBJECTS and getattr(k.value, "value", None) not in OBJECTS[k.arg]:
            yield f"passes {k.arg}"


# --- sizes ---------------------------------------------------------------------------------------


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def oversized(sources: Sources) -> list[str]:
    """Files and function bodies beyond the budget."""
    complaints = []
    for module, text in sources.items():
        if (lines := len(text.splitlines())) >= MAX_FILE:
            complaints.append(f"{module} has {lines} lines")
        for function in functions(ast.parse(text)):
            if (lines := body_lines(function)) > MAX_BODY:
                complaints.append(f"{module}:{function.lineno} {function.name} has {lines} lines")
    return complaints


def median_body(sources: Sources) -> float:
    """Median length of all function bodies."""
    return median(body_lines(f) for text in sources.values() for f in functions(ast.parse(text)))


# --- classes -------------------------------------------------------------------------------------


def _last_name(node: ast.expr) -> str:
    """`final` of `typing.final`, `dataclass` of `dataclass(frozen=True)`."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_frozen(cls: ast.ClassDef) -> bool:
    """A frozen dataclass."""
    return any(
        isinstance(d, ast.Call)
        and _last_name(d) == "dataclass"
        and any(k.arg == "frozen" and getattr(k.value, "value", False) for k in d.keywords)
        for d in cls.decorator_list
    )


def _abstract_methods(cls: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """Names still abstract in a class, inherited ones included."""
    bases = {_last_name(b) for b in cls.bases} & set(classes) - {cls.name}
    inherited = [_abstract_methods(classes[b], classes) for b in bases]
    own = {f.name: f for f in cls.body if isinstance(f, ast.FunctionDef)}
    abstract = {n for n, f in own.items() if "abstractmethod" in map(_last_name, f.decorator_list)}
    return (set().union(*inherited) - set(own)) | abstract


def open_classes(sources: Sources) -> list[str]:
    """Concrete classes that are neither final nor frozen, and subclasses of concrete classes."""
    found = [
        (module, node)
        for module, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    ]
    classes = {cls.name: cls for _, cls in found}
    closed_bases = {"NamedTuple", "TypedDict", "Protocol", "Enum", "IntEnum", "StrEnum", "Flag"}
    complaints = []
    for module, cls in found:
        bases = [_last_name(b.value if isinstance(b, ast.Subscript) else b) for b in cls.bases]
        decorators = map(_last_name, cls.decorator_list)
        closed = "final" in decorators or _is_frozen(cls) or closed_bases & set(bases)
        error = any(b.endswith(("Error", "Exception", "Warning")) for b in bases)
        if not (closed or error or _abstract_methods(cls, classes)):
            complaints.append(f"{module}:{cls.lineno} {cls.name} is neither abstract nor final")
        for base in bases:
            if base in classes and not error and not _abstract_methods(classes[base], classes):
                complaints.append(f"{module}:{cls.lineno} {cls.name} extends {base}, which is concrete")
    return complaints


# --- documentation -------------------------------------------------------------------------------


def undocumented(sources: Sources) -> list[str]:
    """Modules, public functions and public classes without a docstring."""
    complaints = []
    for module, text in sources.items():
        tree = ast.parse(text)
        if ast.get_docstring(tree) is None:
            complaints.append(f"{module} has no docstring")
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and ast.get_docstring(node) is None:
                complaints.append(f"{module}:{node.lineno} {node.name} has no docstring")
    return complaints


# --- the package keeps the rules, and each rule can be broken ------------------------------------


@pytest.mark.parametrize(
    "rule", [upward_imports, impure_models, unsafe, oversized, open_classes, undocumented]
)
def test_the_package_keeps_the_rule(rule):
    sources = package_sources()
    assert len(sources) > 10
    assert rule(sources) == []


def test_most_functions_are_short():
    assert median_body(package_sources()) <= MEDIAN_BODY


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (upward_imports, "shapeshift.data.a", "from shapeshift.model.warps import Shift"),
        (upward_imports, "shapeshift.data.a", "def f():\n    import shapeshift.show.plots"),
        (upward_imports, "shapeshift.fit.a", "from shapeshift import analysis"),
        (upward_imports, "shapeshift.fit.a", "from ..show import plots"),
        (
            upward_imports,
            "shapeshift.model.a",
            "from importlib import import_module\nimport_module('shapeshift.fit')",
        ),
        (
            upward_imports,
            "shapeshift.model.a",
            "if TYPE_CHECKING:\n    from shapeshift.fit.train import Plan",
        ),
        (upward_imports, "shapeshift.data.a", "from shapeshift import ShiftVAE"),
        (impure_models, "shapeshift.model.a", "def f():\n    import numpy as np"),
        (impure_models, "shapeshift.model.a", "from matplotlib.figure import Figure"),
        (impure_models, "shapeshift.model.a", "from pathlib import Path"),
        (impure_models, "shapeshift.model.a", "from shapeshift.data.files import open"),
        (impure_models, "shapeshift.model.a", "def f(p):\n    return open(p)"),
        (unsafe, "shapeshift.a", "import pickle"),
        (unsafe, "shapeshift.a", "def f():\n    from joblib import load"),
        (unsafe, "shapeshift.a", "from multiprocessing.reduction import pickle"),
        (unsafe, "shapeshift.a", "import torch\ntorch.load('m', weights_only=True)"),
        (unsafe, "shapeshift.a", "import numpy as np\nnp.load('m')"),
        (unsafe, "shapeshift.a", "import numpy as np\nnp.load('m', allow_pickle=True)"),
        (unsafe, "shapeshift.a", "f('m', allow_pickle=yes)"),
        (unsafe, "shapeshift.a", "eval('1')"),
        (unsafe, "shapeshift.a", "exec('1')"),
        (unsafe, "shapeshift.a", "import yaml"),
        (oversized, "shapeshift.a", "x = 1\n" * 350),
        (oversized, "shapeshift.a", "def f():\n    'doc'\n" + "    x = 1\n" * 41),
        (open_classes, "shapeshift.a", "class A: pass"),
        (open_classes, "shapeshift.a", "@dataclass\nclass A: pass"),
        (open_classes, "shapeshift.a", "@dataclass(frozen=False)\nclass A: pass"),
        (open_classes, "shapeshift.a", "@final\nclass A: pass\n@final\nclass B(A): pass"),
        (open_classes, "shapeshift.a", "@dataclass(frozen=True)\nclass A: pass\n@final\nclass B(A): pass"),
        (
            open_classes,
            "shapeshift.a",
            "class A(ABC):\n    @abstractmethod\n    def f(self): ...\n"
            "class B(A):\n    def f(self): return 1",
        ),
        (undocumented, "shapeshift.a", "x = 1"),
        (undocumented, "shapeshift.a", "'doc'\ndef f(): return 1"),
        (undocumented, "shapeshift.a", "'doc'\nclass A: pass"),
    ],
)
def test_the_rule_can_be_broken(rule, module, text):
    assert len(rule({module: text})) >= 1


@pytest.mark.parametrize(
    ("rule", "module", "text"),
    [
        (upward_imports, "shapeshift.show.a", "from shapeshift.data.files import open"),
        (upward_imports, "shapeshift.data.a", "from shapeshift.errors import ShapeshiftError"),
        (upward_imports, "shapeshift.fit.a", "from shapeshift import __version__"),
        (upward_imports, "shapeshift.fit.a", "from . import train\nfrom .train import Plan"),
        (upward_imports, "shapeshift", "from shapeshift.show import plots"),
        (impure_models, "shapeshift.fit.a", "import numpy"),
        (unsafe, "shapeshift.a", "import numpy as np\nnp.load('m', allow_pickle=False)\nvae.eval()"),
        (unsafe, "shapeshift.a", "import re\nre.compile('a')"),
        (oversized, "shapeshift.a", "def f():\n    '''" + "\n" * 60 + "'''\n" + "    x = 1\n" * 40),
        (open_classes, "shapeshift.a", "@final\nclass A(nn.Module): pass"),
        (open_classes, "shapeshift.a", "class A(NamedTuple): x: int"),
        (open_classes, "shapeshift.a", "class A(Generic[T], Protocol[T]): pass"),
        (open_classes, "shapeshift.a", "@dataclasses.dataclass(frozen=True)\nclass A: pass"),
        (
            open_classes,
            "shapeshift.a",
            "class A(ABC):\n    @abstractmethod\n    def f(self): ...\nclass B(A): pass\n"
            "@final\nclass C(B):\n    def f(self): return 1",
        ),
        (undocumented, "shapeshift.a", "'doc'\ndef _f(): return 1"),
    ],
)
def test_the_rule_does_not_cry_wolf(rule, module, text):
    assert rule({module: text}) == []


def test_the_median_counts_statements_and_not_docstrings():
    text = "def f():\n    '''\n\n\n\n'''\n    return 1\ndef g():\n    x = 1\n    y = 2\n    return x"
    assert median_body({"a": text}) == 2


HEAVY = ("torch", "numpy", "xarray", "pandas", "matplotlib", "sklearn", "scipy", "h5py")


def loaded_after(statement: str) -> set[str]:
    """Which of the heavy packages are in memory after a statement in a fresh interpreter."""
    code = f"import sys; {statement}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import shapeshift") == set()


def test_the_look_into_memory_can_see_something():
    assert "numpy" in loaded_after("import shapeshift.data.synthetic")
