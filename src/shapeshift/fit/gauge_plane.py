"""Where zero is, for images.

The data fix a pose only up to a pose of the shape's own: turning every canonical pattern of one shape, and
its angles back, changes nothing that is measured. The convention: angle and size 0 are the middle of the
training set, and the displacement is that of the point about which patterns turn and grow, the one whose
position does not depend on how a pattern is turned, from the middle of the frame: of all points
c(z) = (1, z, y) B fixed to a pattern, g c(z) has the least variance there. Displacements and turns are then
uncorrelated. Patterns that do nothing but move have no such point: their middle place is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shapeshift.model.vae import PoseVAE, with_slopes
from shapeshift.model.warps import Rotation, Shift, Warp, parts_of, push_forward, wrapped

LOOSE = 2.0  # pixels that the centre of a pattern may lie off the canonical origin, a priori


class PlaneZero(NamedTuple):
    """middle (1 + c, G): the pose that is called 0, and what every kind that is given adds to it;
    coefficients B (1 + K + c, 2) of the centre."""

    middle: Tensor
    coefficients: Tensor

    def pose(self, z: Tensor) -> Tensor:
        """The pose (n, G) that is called 0 of shapes z (n, K + c)."""
        return self.middle[0] + z[:, z.shape[1] + 1 - len(self.middle) :] @ self.middle[1:]

    def centre(self, z: Tensor) -> Tensor:
        """c (n, 2) of shapes z (n, K + c), canonical coordinates."""
        return self.coefficients[0] + z @ self.coefficients[1:]


def raw_reading(vae: PoseVAE, zero: PlaneZero, theta: Tensor) -> Tensor:
    """Angle, log scale, position of the centre (n, G) of theta (n, G + K + c), whichever the warps have."""
    g = vae.n_pose
    parts = []
    for warp, part in parts_of(vae.named_warps, theta[:, :g]):
        if isinstance(warp, Shift):
            c = zero.centre(theta[:, g:])[:, None]
            for other, own in parts_of(vae.named_warps, theta[:, :g]):
                c = other(c, own)
            part = c[:, 0]
        parts.append(part)
    return torch.cat([theta[:, :0], *parts], 1)


def read(vae: PoseVAE, zero: PlaneZero, theta: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Pose relative to the zero (n, G) and its sd, of theta (n, G + K + c) and its covariance (n, d, d)."""
    d = covariance.shape[1]
    free, given = theta[:, :d], theta[:, d:]
    pose, along = with_slopes(lambda t: raw_reading(vae, zero, torch.cat([t, given], 1)), free)
    variance = torch.einsum("ing,nij,jng->ng", along, covariance, along)
    return relative(vae, pose - zero.pose(theta[:, vae.n_pose :])), variance.clamp_min(0).sqrt()


def relative(vae: PoseVAE, pose: Tensor) -> Tensor:
    """The same pose (n, G) with its angle between -pi and pi."""
    parts = [wrapped(p) if isinstance(w, Rotation) else p for w, p in parts_of(vae.named_warps, pose)]
    return torch.cat([pose[:, :0], *parts], 1)


def posed(vae: PoseVAE, zero: PlaneZero, pose: Tensor, z: Tensor) -> Tensor:
    """Raw poses (n, G) of poses relative to the zero, of shapes z (n, K + c): the inverse of :func:`read`."""
    raw = pose + zero.pose(z)
    parts = []
    linear = [(w, p) for w, p in parts_of(vae.named_warps, raw) if not isinstance(w, Shift)]
    for warp, part in parts_of(vae.named_warps, raw):
        if isinstance(warp, Shift):
            c = zero.centre(z)[:, None]
            for other, own in linear:
                c = other(c, own)
            part = part - c[:, 0]
        parts.append(part)
    return torch.cat([raw[:, :0], *parts], 1)


@torch.no_grad()
def fit_plane_zero(vae: PoseVAE, theta: Tensor, *, kinds: bool = False) -> PlaneZero:
    """The zero of the posterior means theta (n, G + K + c) of the training images; where kinds are given
    every one of them has its own, for its canonical pattern may lie as it likes."""
    g = vae.n_pose
    rows = torch.cat([theta.new_ones(len(theta), 1), theta[:, g:]], 1)
    c = vae.n_given
    zero = PlaneZero(theta.new_zeros(1 + c, g), theta.new_zeros(rows.shape[1], 2))
    names = [w.name for w in vae.named_warps]
    if "shift" in names and len(names) > 1:
        zero = zero._replace(coefficients=_centres(vae, theta, rows))
    pose = raw_reading(vae, zero, theta) if g else theta[:, :0]
    middle = theta.new_zeros(1 + c, g)
    middle[0] = _middle(vae, pose)
    for k in range(c if kinds else 0):
        middle[1 + k] = _middle(vae, pose[theta[:, -c + k] == 1]) - middle[0]
    return zero._replace(middle=middle)


def _middle(vae: PoseVAE, pose: Tensor) -> Tensor:
    """The pose (G,) to be called 0, of poses (n, G)."""

    def middle(warp: Warp, p: Tensor) -> Tensor:
        if isinstance(warp, Rotation):
            return torch.atan2(p.sin().mean(0), p.cos().mean(0))
        placed = isinstance(warp, Shift) and len(vae.named_warps) > 1
        return torch.zeros_like(p[0]) if placed else p.median(0).values

    return torch.cat([*(middle(w, p) for w, p in parts_of(vae.named_warps, pose)), pose.new_zeros(0)])


def _centres(vae: PoseVAE, theta: Tensor, rows: Tensor) -> Tensor:
    """B that makes t + s R c(z) vary least about its mean: least squares with a prior of LOOSE pixels."""
    k = rows.shape[1]
    unit = torch.eye(2, dtype=theta.dtype)
    linear = [w for w in vae.named_warps if not isinstance(w, Shift)]
    pose = torch.cat([p for w, p in parts_of(vae.named_warps, theta[:, : vae.n_pose]) if w in linear], 1)
    shift = theta[:, vae.n_pose - 2 : vae.n_pose]  # a displacement comes last
    turned = push_forward(linear, unit, pose)  # (n, 2, 2): where the unit vectors go
    design = torch.einsum("nk,nda->nakd", rows, turned).flatten(2)  # (n, 2, k 2): of position by B
    design, target = design - design.mean(0), shift - shift.mean(0)
    flat = design.flatten(0, 1).double()
    strength = target.double().square().mean() / (LOOSE * vae.sample) ** 2
    normal = flat.T @ flat + strength * torch.eye(2 * k, dtype=torch.float64)
    solved = torch.linalg.solve(normal, -flat.T @ target.flatten().double())
    return solved.reshape(k, 2).to(theta.dtype)


def plane_sentence(names: tuple[str, ...]) -> str:
    """What pose 0 means, for a reader."""
    told = "pose 0 is the middle of the poses of the set the model was fitted to"
    if "shift" in names and len(names) > 1:
        told = told.replace("pose 0 is", "rotation 0 and scale 1 are")
        told += (
            "; shift is the place of the point about which patterns turn and grow, from the frame's middle"
        )
    return told
