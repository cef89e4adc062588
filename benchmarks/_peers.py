"""The environment of the peers, apart from the project's own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

VENV = Path(__file__).resolve().parents[1] / ".venv-peers"
PYROVED = "pyroved==0.3.0"
# pyroVED also asks for torchvision, for one function that tiles pictures; the worker does without.
REST = ("pyro-ppl>=1.9", "matplotlib", "numpy")
ALIGNERS = {
    "hyperspy": "hyperspy==2.5.0",
    "affinewarp": "affinewarp==0.2.0",
    "scikit-fda": "scikit-fda==0.10.1",
}


def peer_python() -> Path:
    """Interpreter of `.venv-peers`, which is made when absent: same torch, pyroVED, what it needs."""
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = VENV / ".ready"
    if not ready.exists():
        print(f"making {VENV.name} (once)", file=sys.stderr)
        torch = f"torch=={version('torch').split('+')[0]}"
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        _install(python, torch, *REST)
        _install(python, "--no-deps", PYROVED)
        ready.touch()
    return python


def aligner_python() -> Path:
    """The same interpreter with HyperSpy, affinewarp and scikit-fda beside pyroVED."""
    python = peer_python()
    ready = VENV / ".ready-aligners"
    if not ready.exists():
        _install(python, *ALIGNERS.values())
        ready.touch()
    return python


def _install(python: Path, *what: str) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True)
