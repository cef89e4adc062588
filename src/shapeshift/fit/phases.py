"""Several patterns in one set, taken for one: signals that lie elsewhere *and* look different.

Where a set is a mixture of phases, a search lays one phase's strongest line upon another's: shifts then fall
into groups far apart, and shape alone tells the group. The shift between such groups is between two
patterns, not of one. The largest group is home; what lies outside it, or has a shape that nothing in it has,
is flagged ``phase``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

GAP = 0.1  # half-windows without a single shift that set groups apart
FEWEST = 20  # signals below which a gap means little
STRAY = 0.02  # share of signals outside the largest group that is worth a word
TOLD = 0.75  # of the minority must be told from its shape alone
UNLIKE = 5.5  # prior sd of a latent beyond which a shape is none that the model knows


class Home(NamedTuple):
    """Where the largest group lies: shifts from ``low`` to ``high`` (canonical units)."""

    low: Tensor
    high: Tensor

    def stranger(self, theta: Tensor) -> Tensor:
        """Which theta (n, 1 + K) are not at home, or have a shape beyond all that are: bool (n,)."""
        away = (theta[:, 0] < self.low) | (theta[:, 0] > self.high)
        return away | (theta[:, 1:].abs() > UNLIKE).any(1)


def home_of(theta: Tensor) -> Home | None:
    """The home group of theta (n, 1 + K), or None where the set is one pattern."""
    if len(theta) < FEWEST:
        return None
    shift, rows = theta[:, 0].sort()
    cuts = torch.nonzero(torch.diff(shift) > GAP)[:, 0] + 1
    groups = torch.tensor_split(rows, cuts)
    home = max(groups, key=len)
    inside = torch.zeros(len(theta), dtype=torch.bool)
    inside[home] = True
    if len(groups) == 1 or (~inside).double().mean() < STRAY or not _told_by_shape(theta[:, 1:], inside):
        return None
    own = theta[home, 0]
    return Home(own.min() - GAP / 2, own.max() + GAP / 2)


def _told_by_shape(z: Tensor, inside: Tensor) -> bool:
    """Whether nearest neighbours in shape tell most of the smaller side, each signal left out in turn."""
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    label = inside.numpy()
    few = min(label.sum(), (~label).sum())
    if few < 5:
        return False
    told = cross_val_predict(KNeighborsClassifier(5), z.numpy(), label, cv=5)
    minority = label if label.mean() < 0.5 else ~label
    return bool(np.mean((told == label)[minority]) > TOLD)
