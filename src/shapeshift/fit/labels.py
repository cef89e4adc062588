"""Classes of signals: which there are, which are known, and what a fitted model says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from shapeshift.data.conditions import Condition
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.classes import ClassPosterior, class_posterior
from shapeshift.fit.refine import seen_by
from shapeshift.fit.threads import one_each

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior
    from shapeshift.fit.recipe import Fitted

UNKNOWN = -1


@dataclass(frozen=True)
class Kinds:
    """Classes (Y,) as the user names them, and labels (n,): their places among them, -1 where unknown."""

    classes: np.ndarray
    labels: Tensor | None = None

    @classmethod
    def unlabelled(cls, n_classes: int | None) -> Kinds | None:
        """Classes that nobody has named."""
        return None if n_classes is None else cls(np.arange(n_classes))

    @classmethod
    def of(cls, y: Any) -> Kinds:
        """The classes of labels y (n,), whole numbers or names; -1 where unknown, if two others are known."""
        values = np.asarray(y)
        found = np.unique(values)
        rest = found[found != UNKNOWN] if np.issubdtype(found.dtype, np.number) else found
        classes = rest if len(rest) > 1 else found
        if len(classes) < 2:
            raise ShapeshiftError(
                "got labels of 1 class, needed at least 2: label some signals of every class."
            )
        place = np.searchsorted(classes, values).clip(0, len(classes) - 1)
        labels = np.where(classes[place] == values, place, UNKNOWN)
        return cls(classes, torch.from_numpy(labels).long())

    @property
    def condition(self) -> Condition:
        """The class as what may be given of a signal."""
        levels = tuple(self.classes.tolist())
        return Condition(tuple(map(str, levels)), levels)

    def check(self, condition: Any, n: int) -> None:
        """Refuse what does not go together."""
        if condition is not None:
            raise ShapeshiftError(
                "got a condition and classes to be found, needed one of the two: a condition is a class that "
                "is known of every signal."
            )
        if self.labels is not None and len(self.labels) != n:
            raise ShapeshiftError(f"got {len(self.labels)} labels, needed one for each of {n} signals.")
        if len(self.classes) < 2 or n < 2 * len(self.classes):
            raise ShapeshiftError(
                f"got {n} signals for {len(self.classes)} classes, needed 2 classes or more and at least two "
                "signals a class: change n_classes."
            )


@one_each()
def told_apart(fitted: Fitted, x: Tensor, noise: Tensor) -> ClassPosterior:
    """Class, pose and shape of signals (n, P) in model units."""
    assert fitted.log_prior is not None
    noise = seen_by(fitted.vae, x, noise)
    return class_posterior(fitted.vae, fitted.bank, x, noise, fitted.log_prior, fitted.temper)


def class_columns(told: ClassPosterior) -> Tensor:
    """What is then given of every signal: its likeliest class, (n, Y)."""
    return torch.eye(told.probability.shape[1])[told.kind]


def with_classes(p: Posterior, told: ClassPosterior, fitted: Fitted, classes: np.ndarray) -> Posterior:
    """The posterior under the likeliest class, with all classes' probabilities and evidence."""
    assert fitted.log_prior is not None
    more = told.log_total(fitted.log_prior) - told.found.refined.log_evidence
    return replace(
        p,
        kind=classes[told.kind.numpy()],
        class_probability=told.probability.double().numpy(),
        log_evidence=p.log_evidence + more.double().numpy(),
    )
