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


def peer_python() -> Path:
    """Interpreter of `.venv-peers`, which is made when absent: same torch, pyroVED, what it needs."""
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = VENV / ".ready"
    if not ready.exists():
        print(f"making {VENV.name} (once)", file=sys.stderr)
        torch = f"torch=={version('torch').split('+')[0]}"
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, torch, *REST], check=True)
        subprocess.run([*pip, "--no-deps", PYROVED], check=True)
        ready.touch()
    return python
