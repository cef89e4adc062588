"""The graph of nearest neighbours over poses: classes by its spectrum, poses by synchronisation.

Two patterns are as far apart as they are at the pose that brings them nearest. Neighbours chain what is
alike; where the chains hardly touch, classes part (Ng, Jordan & Weiss 2002, NeurIPS 14; weights of
Zelnik-Manor & Perona 2004, NeurIPS 17), and within a class the relative poses along the edges fix those of
all (angular synchronisation: Singer 2011, Appl. Comput. Harmon. Anal. 30, 20).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from scipy.linalg import eigh
from scipy.sparse.linalg import spsolve
from sklearn.cluster import KMeans
from torch import Tensor

from shapeshift.fit.views import Grid, Views

SCALE = 7  # the neighbour whose distance is a signal's own scale
SPREAD = 0.99  # share of its label that a signal has from its neighbours


class Pairs(NamedTuple):
    """Squared distances (n, n), and which pose of the grid, (n, n, G), takes the first of a pair to the
    second."""

    distance: Tensor
    pose: Tensor


def pairwise(views: Views, reach: Tensor) -> Pairs:
    """Every signal against every other at the relative pose within ``reach`` (G,) that brings them nearest.

    Poses farther apart than the prior makes likely are no help: turned far enough, a 6 is a 9.
    """
    u, grid = views.upright, views.grid
    own = u.square().sum(1)
    best, which = torch.full((len(u), len(u)), torch.inf), torch.full((len(u), len(u)), grid.zero)
    for t, z in enumerate(views.z):
        if (grid.poses[t].abs() > reach + 1e-4).any():
            continue
        square = torch.addmm(own[:, None] + z.square().sum(1), u, z.T, alpha=-2)
        better = square < best
        best, which = torch.where(better, square, best), which.masked_fill(better, t)
    pose = grid.poses[which]
    back = best > best.T
    pose = torch.where(back[..., None], -pose.transpose(0, 1), pose)
    return Pairs(torch.minimum(best, best.T).clamp_min(0), pose)


def graph(distance: Tensor, k: int) -> sp.csr_matrix:
    """Weights (n, n), symmetric, of the k nearest neighbours, each signal on its own scale."""
    n = len(distance)
    own = distance.clone().fill_diagonal_(torch.inf)
    near, at = own.topk(min(max(k, SCALE), n - 1), largest=False)
    scale = near[:, -1].sqrt().clamp_min(1e-9)
    near, at = near[:, :k], at[:, :k]
    weight = torch.exp(-near / (scale[:, None] * scale[at])).flatten().double().numpy()
    rows = np.repeat(np.arange(n), at.shape[1])
    found = sp.csr_matrix((weight, (rows, at.flatten().numpy())), (n, n))
    return (found + found.T) / 2


def _normalised(weights: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray]:
    degree = np.asarray(weights.sum(1)).ravel() + 1e-9
    half = sp.diags(degree**-0.5)
    return half @ weights @ half, degree


def spectral(weights: sp.csr_matrix, n_classes: int, seed: int) -> np.ndarray:
    """Classes (n,) of a graph: k-means in its first eigenvectors, rows of unit length."""
    if n_classes == 1:
        return np.zeros(weights.shape[0], dtype=int)
    matrix, degree = _normalised(weights)
    last = len(degree) - 1  # classes that do not touch share an eigenvalue, which iterations cannot part
    _, vectors = eigh(matrix.toarray(), subset_by_index=(last + 1 - n_classes, last))
    rows = vectors * degree[:, None] ** -0.5
    rows /= np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12
    return KMeans(n_classes, n_init=20, random_state=seed).fit_predict(rows)


def spread(weights: sp.csr_matrix, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Probabilities (n, Y) of the classes where some labels (n,) are known, -1 elsewhere.

    Zhou et al. 2004, NeurIPS 16; in closed form. Labelled rows keep their label.
    """
    matrix, degree = _normalised(weights)
    known = labels >= 0
    target = np.zeros((len(labels), n_classes))
    target[known, labels[known]] = 1
    found = spsolve(sp.csc_matrix(sp.identity(len(degree)) - SPREAD * matrix), target).reshape(target.shape)
    found = np.maximum(found, 1e-12)
    found /= found.sum(0)  # every class as heavy as the others, however many labels it has
    found /= found.sum(1, keepdims=True)
    found[known] = target[known]
    return found


def synchronised(weights: sp.csr_matrix, pose: Tensor, classes: np.ndarray, grid: Grid) -> Tensor:
    """Poses (n, G) of all signals within their class, from relative ones (n, n, G) along the edges.

    The phase of the first eigenvector of w_ij exp(i (a_i - a_j)); lags and scales are laid on half a circle,
    where single wrong edges sway the answer as little as they do angles. Every class has its mean at 0.
    """
    out = pose.new_zeros(len(classes), pose.shape[2])
    for kind in np.unique(classes):
        rows = np.flatnonzero(classes == kind)
        edges = torch.from_numpy(weights[rows][:, rows].toarray()) + 1e-6
        scale = edges.sum(1).rsqrt()
        edges = scale[:, None] * edges * scale
        for g in np.flatnonzero(grid.step.numpy() > 0):
            per_unit = 1.0 if grid.circle[g] else math.pi / 2 / max(float(grid.poses[:, g].max()), 1e-9)
            apart = per_unit * pose[rows][:, rows, g].double()
            vectors = torch.linalg.eigh(torch.polar(edges, -apart))[1]
            angle = vectors[:, -1] / vectors[:, -1].abs().clamp_min(1e-12)
            out[rows, g] = (torch.angle(angle * angle.mean().conj()) / per_unit).to(out.dtype)
    return out
