"""Latent factors: named Gaussians and their divergence from the prior."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from shapeshift.model.slopes import with_slopes


class Factors(NamedTuple):
    """Independent Gaussians over the pose (B, G) and the shape (B, K)."""

    pose: Tensor
    pose_sd: Tensor
    z: Tensor
    z_sd: Tensor

    def theta(self, given: Tensor) -> Tensor:
        """The means and what is given (B, c), in one row: (B, G + K + c)."""
        return torch.cat([self.pose, self.z, given], 1)

    def without_shape_after(self, k: int) -> Factors:
        """The same with the latents after the k-th at their prior, mean 0 and sd 1."""
        used = (torch.arange(self.z.shape[1]) < k).to(self.z.dtype)
        return self._replace(z=self.z * used, z_sd=self.z_sd * used + (1 - used))


def gaussian_divergence(mean: Tensor, sd: Tensor, prior_sd: Tensor | float = 1.0) -> Tensor:
    """KL(N(mean, sd^2) || N(0, prior_sd^2)), elementwise, in nats."""
    ratio = sd / prior_sd
    return 0.5 * ((mean / prior_sd).square() + ratio.square() - 1) - ratio.log()


KNOTS = 9  # of the functions of the first latent, from -REACH to REACH
REACH = 2.0


@final
class Spread(nn.Module):
    """How the shapes of a kind lie in the latents of the networks: w = S_y(z), z standard normal.

    Networks settle the shapes of a kind wherever they learned them, often on an arc. S makes every kind fill
    the prior, so that a draw from the prior is a shape of its kind:

        w_1 = a_y(z_1),   w_k = m_yk(z_1) + s_yk(z_1) z_k   (k > 1),

    a triangular map (Rosenblatt 1952, Ann. Math. Stat. 23, 470) of functions piecewise linear in z_1. What
    they differ by from the identity stands in tables (c, J) and (c, K - 1, J): zero until kinds have settled
    and where what is given is no kind.
    """

    first: Tensor  # a - z_1
    middle: Tensor  # m
    log_scale: Tensor  # log s
    knots: Tensor

    def __init__(self, n_latent: int, n_given: int) -> None:
        super().__init__()
        self.register_buffer("first", torch.zeros(n_given, KNOTS))
        self.register_buffer("middle", torch.zeros(n_given, max(0, n_latent - 1), KNOTS))
        self.register_buffer("log_scale", torch.zeros_like(self.middle))
        self.register_buffer("knots", torch.linspace(-REACH, REACH, KNOTS), persistent=False)
        self.n_latent = n_latent

    @property
    def plain(self) -> bool:
        """Whether S is the identity, for every kind."""
        if torch.compiler.is_exporting():  # a graph has one way
            return not self.first.numel()
        return not self.first.numel() or not bool(self.first.any())

    def hats(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (B, J) of the knots at z_1 (B,): beyond the last knot straight on, and held there."""
        place = (z + REACH) * (KNOTS - 1) / (2 * REACH)
        left = place.detach().floor().clamp(0, KNOTS - 2)
        share = (place - left)[:, None]
        here, next_ = ((left[:, None] + d == torch.arange(KNOTS)).to(z.dtype) for d in (0, 1))
        held = share.clamp(0, 1)
        return here + share * (next_ - here), here + held * (next_ - here)

    def functions(self, z: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """a (B,), m and s (B, K - 1) at z_1 (B,), given (B, c)."""
        on, held = self.hats(z)
        first = z + (given @ self.first * on).sum(1)
        middle = torch.einsum("bc,ckj,bj->bk", given, self.middle, on)
        return first, middle, torch.einsum("bc,ckj,bj->bk", given, self.log_scale, held).exp()

    def forward(self, z: Tensor) -> Tensor:
        """(z, y) -> (S_y(z), y), (B, K + c)."""
        if self.plain:
            return z
        k = self.n_latent
        given = z[:, k:]
        first, middle, scale = self.functions(z[:, 0], given)
        return torch.cat([first[:, None], middle + scale * z[:, 1:k], given], 1)

    def slopes(self, z: Tensor) -> Tensor | None:
        """dS_i / dz_j (B, j, i) at (z, y) (B, K + c); None where S is the identity."""
        if self.plain:
            return None
        k = self.n_latent
        given = z[:, k:]
        _, along = with_slopes(lambda t: self(torch.cat([t, given], 1))[:, :k], z[:, :k])
        return along.movedim(0, 1)

    def inverse(self, q: Factors, given: Tensor) -> Factors:
        """Factors of z from those of w that networks tell; sds by the slopes at the mean."""
        if self.plain:
            return q
        nodes = self.knots + given @ self.first  # (B, J), rising
        left = (q.z[:, :1] >= nodes[:, 1:-1]).sum(1, keepdim=True)
        low, high = nodes.gather(1, left), nodes.gather(1, left + 1)
        per_unit = (self.knots[1] - self.knots[0]) / (high - low)
        z = self.knots[left] + (q.z[:, :1] - low) * per_unit
        _, middle, scale = self.functions(z[:, 0], given)
        rest = (q.z[:, 1:] - middle) / scale
        sd = torch.cat([q.z_sd[:, :1] * per_unit, q.z_sd[:, 1:] / scale], 1)
        return q._replace(z=torch.cat([z, rest], 1), z_sd=sd)
