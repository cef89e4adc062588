"""The environment of the peers, apart from the project's own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

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


def elsewhere(
    python: Path,
    worker: str,
    arrays: Mapping[str, np.ndarray],
    argument: str,
    threads: int,
    environment: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Run a worker in the peers' environment on arrays."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    around = os.environ | dict.fromkeys(names, str(threads)) | (environment or {})
    around.pop("PYTHONPATH", None)
    script = str(Path(__file__).with_name(worker))
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(Path(folder) / "in.npz"), str(Path(folder) / "out.npz")
        np.savez(source, **arrays)
        subprocess.run([str(python), script, source, target, argument], check=True, env=around)
        with np.load(target) as out:
            return dict(out)


def _install(python: Path, *what: str) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True)
