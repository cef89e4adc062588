"""What several tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.register_assert_rewrite("laws", "known")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """The command line lets the whole process round them to zero; the next test has them again."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def real_path() -> Callable[[str], Path]:
    """Path of a measured set by name, or of a file by name and ending; skips where they are not at hand."""
    folder = Path(os.environ.get("SHAPESHIFT_DATA", SHARED))

    def find(name: str) -> Path:
        path = folder / (name if Path(name).suffix else f"{name}.npz")
        if not path.exists():
            pytest.skip(
                f"measured data {path.name} not found; set SHAPESHIFT_DATA to the folder that holds it"
            )
        return path

    return find


@pytest.fixture(scope="session")
def real_data(real_path) -> Callable[[str], dict[str, np.ndarray]]:
    """Arrays of a measured set by name; skips where the sets are not at hand."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(real_path(name)) as arrays:
            return dict(arrays)

    return read
