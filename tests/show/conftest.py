"""A stand-in for a fitted model and its posterior: figures and reports need numbers, not a network."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import shapeshift as ss


@dataclass(frozen=True)
class StandInPosterior:
    shift: np.ndarray
    shift_sd: np.ndarray
    z: np.ndarray
    z_sd: np.ndarray
    noise_sd: np.ndarray
    log_evidence: np.ndarray
    flags: np.ndarray
    gain: np.ndarray
    gain_sd: np.ndarray
    axis_name: str = "energy"
    axis_units: str = "eV"
    places: dict = field(default_factory=dict)

    def flagged(self, code: str) -> np.ndarray:
        return np.array([code in flag.split(";") for flag in self.flags])

    def to_dataset(self) -> xr.Dataset:
        shape = tuple(len(v) for v in self.places.values()) or self.shift.shape
        dims = tuple(self.places) or ("signal",)
        coords = {k: (k, v, {"units": "µm"}) for k, v in self.places.items()}
        names = ("shift", "shift_sd", "noise_sd", "log_evidence", "flags", "gain", "gain_sd")
        told = {name: (dims, getattr(self, name).reshape(shape)) for name in names}
        told |= {
            name: (("latent", *dims), getattr(self, name).T.reshape(-1, *shape)) for name in ("z", "z_sd")
        }
        return xr.Dataset(told, coords)


@dataclass(frozen=True)
class StandInHistory:
    stopped: str = "finished"

    def to_frame(self) -> pd.DataFrame:
        epoch = np.arange(30)
        falling = 50 * np.exp(-epoch / 5)
        columns = {
            "loss": falling,
            "val_loss": falling + 1,
            "kl_shift": 3 - falling / 50,
            "kl_z1": epoch / 10,
        }
        return pd.DataFrame({"epoch": epoch} | columns)


@dataclass
class StandInModel:
    axis_: np.ndarray
    found: StandInPosterior
    axis_name_: str = "energy"
    axis_units_: str = "eV"
    shift_sd_: float = 2.0
    fit_seconds_: float = 3.2
    converged_: bool = True
    n_signals_: int = 40
    nuisance_: tuple[str, ...] = ()
    zero_: str = "the median of all shifts is 0"
    origin_: float = 10.0
    history_: Any = field(default_factory=StandInHistory)
    options_: dict = field(default_factory=lambda: {"n_latent": 2, "warps": ("shift",), "zero": "reference"})

    def align(self, X):
        at = self.axis_ + self.found.shift[:, None]
        rows = np.asarray(X).reshape(-1, len(self.axis_))
        moved = [
            np.interp(a, self.axis_, row, left=np.nan, right=np.nan) for a, row in zip(at, rows, strict=True)
        ]
        return self._like(X, np.array(moved))

    def reconstruct(self, X):
        noise = np.random.default_rng(1).normal(size=(len(self.found.shift), len(self.axis_)))
        return self._like(X, np.asarray(X).reshape(noise.shape) - self.found.noise_sd[:, None] * noise)

    def generate(self, z, shift=0.0, condition=None):
        return np.exp(-(((self.axis_ - 10 - np.reshape(shift, (-1, 1))) / np.exp(0.3 * z[:, :1])) ** 2))

    def manifold(self, n=10):
        z = np.linspace(-2, 2, n)
        width = np.exp(0.3 * z)[:, None, None] * (1 + 0.1 * z)[None, :, None]
        values = np.exp(-(((self.axis_ - 10) / width) ** 2))
        return xr.DataArray(
            values, dims=("z2", "z1", "energy"), coords={"z1": z, "z2": z, "energy": self.axis_}
        )

    @staticmethod
    def _like(X, values):
        return X.copy(data=values.reshape(X.shape)) if isinstance(X, xr.DataArray) else values


def make_case(*, places=None, n=40, scale=2.0):
    """Signals, their posterior, and the model: a line that moves and has one width latent of two."""
    rng = np.random.default_rng(0)
    n = int(np.prod([len(v) for v in places.values()])) if places else n
    axis, shift = np.linspace(0, 20, 80), rng.normal(0, scale, n)
    values = np.exp(-(((axis - 10 - shift[:, None]) / 1.3) ** 2)) + 0.02 * rng.normal(size=(n, 80))
    shape, dims = (tuple(map(len, places.values())), tuple(places)) if places else ((n,), ("signal",))
    coords = {"energy": ("energy", axis, {"units": "eV"})}
    X = xr.DataArray(values.reshape(*shape, 80), dims=(*dims, "energy"), coords=coords)
    z = np.column_stack([rng.normal(size=n), 0.01 * rng.normal(size=n)])
    p = StandInPosterior(
        shift, np.full(n, 0.05), z, np.column_stack([np.full(n, 0.1), np.ones(n)]), np.full(n, 0.02),
        rng.normal(size=n), np.where(np.arange(n) == 3, "ambiguous", ""),
        np.geomspace(1, 20, n), np.full(n, 0.1), places=places or {},
    )  # fmt: skip
    return X, p, StandInModel(axis, p, n_signals_=n)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of 90 signals."""
    X, _ = ss.synthetic.article(n=90, seed=3)
    np.savez(tmp_path / "peaks.npz", X=X.values, x=X["x"].values, axis="energy (eV)")
    return tmp_path / "peaks.npz"


@pytest.fixture(scope="session")
def case():
    return make_case()


@pytest.fixture(scope="session")
def map_case():
    return make_case(places={"y": np.arange(6) * 0.5, "x": np.arange(8) * 0.5})
