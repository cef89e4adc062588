"""How many latents carry shape: the collapse that tells the physical dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

USED = 0.1  # nats: below, a latent is its prior
NEIGHBOURS = 12


@dataclass(frozen=True)
class Activity:
    """What every latent carries.

    Attributes
    ----------
    active : ndarray (K,) of bool
        It carries shape that the more informative latents do not already carry.
    kl : ndarray (K,)
        Mean KL of its posterior from the prior, nats.
    variance : ndarray (K,)
        Variance of its posterior means.
    own : ndarray (K,)
        Variance that is not a function of the more informative latents, over its posterior variance.
    n_active : int
        Number of shape factors of the data.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=80, seed=1)
    >>> found = ss.analysis.active_latents(ss.ShiftVAE(n_latent=2, epochs=3).fit(X).posterior(X))
    >>> found.active.shape, found.kl.shape
    ((2,), (2,))
    """

    active: np.ndarray
    kl: np.ndarray
    variance: np.ndarray
    own: np.ndarray

    @property
    def n_active(self) -> int:
        return int(self.active.sum())


def active_latents(p: Any) -> Activity:
    """Which latents are active.

    A latent that is its prior carries nothing (Burda et al. 2016, arXiv:1509.00519, section 5). Nor
    does one that is a function of the others: where the latents lie on a curve, the data have one
    shape factor, however many axes the curve bends through. A latent therefore counts if its KL from
    the prior exceeds 0.1 nat and if what a nearest-neighbour regression on the more informative
    latents leaves of it is more than twice its posterior variance.

    Parameters
    ----------
    p : Posterior
        Anything with ``z`` (n, K) and ``z_sd`` (n, K).

    Returns
    -------
    Activity

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(500, 1))
    >>> bent = np.hstack([z, 0.3 * z**2])
    >>> active_latents(SimpleNamespace(z=bent, z_sd=np.full_like(bent, 0.05))).n_active
    1
    """
    z, sd = np.asarray(p.z, float), np.asarray(p.z_sd, float)
    kl = (0.5 * (z**2 + sd**2 - 1) - np.log(np.maximum(sd, 1e-12))).mean(0)
    noise = np.maximum((sd**2).mean(0), 1e-12)
    own, active = z.var(0) / noise, kl > USED
    order = np.argsort(-kl)
    for place, k in enumerate(order):
        before = [j for j in order[:place] if active[j]]
        if active[k] and before and len(z) > 3 * NEIGHBOURS:
            own[k] = _left_over(z[:, before], z[:, k]) / noise[k]
            active[k] = own[k] > 2.0
    return Activity(active, kl, z.var(0), own)


def _left_over(known: np.ndarray, latent: np.ndarray) -> float:
    """Median-based variance of ``latent`` (n,) about its regression on ``known`` (n, k), each left out."""
    from sklearn.neighbors import NearestNeighbors

    scaled = known / np.maximum(known.std(0), 1e-12)
    index = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(scaled).kneighbors(return_distance=False)
    rest = latent - np.median(latent[index], axis=1)
    return float((1.4826 * np.median(np.abs(rest))) ** 2)
