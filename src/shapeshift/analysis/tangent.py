"""A fitted model near its posteriors: derivatives, leverages, and what the noise did to the fit."""

from __future__ import annotations

from typing import Any

import numpy as np


def described(model: Any, shift: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free signals (n, P) and their derivatives by shift, where there is one, and z: (n, P, d)."""

    def across(step: float, by: int) -> np.ndarray:
        move = step * np.eye(1 + z.shape[1])[by]
        ends = [model.generate(z + s * move[1:], shift=shift + s * move[0]) for s in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    columns = [across(0.2 * model.axis_step_, 0)] if model.shift_sd_ > 0 else []
    columns += [across(0.02, 1 + k) for k in range(z.shape[1])]
    return model.generate(z, shift=shift), np.stack(columns, -1)


def prior_precision(model: Any, n_latent: int) -> np.ndarray:
    """Of shift, where there is one, and z: (d, d)."""
    sds = [model.shift_sd_] if model.shift_sd_ > 0 else []
    return np.diag([sd**-2.0 for sd in sds] + [1.0] * n_latent)


def inverse_of(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses (n, d, d) of positive matrices of any units, and their Cholesky-like roots."""
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", matrices), 1e-300))
    scaled = matrices / (scale[:, :, None] * scale[:, None])
    values, vectors = np.linalg.eigh(scaled)
    root = vectors / np.sqrt(np.where(values > 1e-9, values, np.inf))[:, None] / scale[:, :, None]
    return root @ root.transpose(0, 2, 1), root


def leverages(jacobian: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """diag J (J'J + penalty)^-1 J' of every signal: J (n, P, d), penalty (n, d, d) -> (n, P)."""
    inverse, _ = inverse_of(np.einsum("npi,npj->nij", jacobian, jacobian) + penalty)
    return np.einsum("npi,nij,npj->np", jacobian, inverse, jacobian)
