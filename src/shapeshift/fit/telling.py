"""Classes, told by models that have some."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from shapeshift.fit.intake import tensors
from shapeshift.fit.labels import told_apart

if TYPE_CHECKING:
    from shapeshift.fit import recipe


def _tells_classes(model: TellsClasses) -> bool:
    """Whether a model tells classes apart, as scikit-learn asks before it calls what needs them."""
    if is_classifier(model) or model.n_classes is not None:
        return True
    raise AttributeError("got a model without classes, needed one: set n_classes and fit again.")


class TellsClasses(ABC):
    """An estimator whose models may tell classes apart."""

    n_classes: int | None
    fitted_: recipe.Fitted
    classes_: np.ndarray | None = None

    @abstractmethod
    def _check(self) -> None:
        """Refuse options that mean nothing."""

    @abstractmethod
    def _taken(self, X: Any, x: Any = None, *, reset: bool = False) -> Any:
        """Data, checked, as a stack."""

    @available_if(_tells_classes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class, of a model with classes.

        Parameters
        ----------
        X : as in :meth:`fit`
            n signals or images.

        Returns
        -------
        ndarray (n, n_classes)
            Columns as in ``classes_``; every row sums to 1.

        Raises
        ------
        AttributeError
            If the model has no classes.

        Notes
        -----
        Every class is tried, its pose and shape refined, and its evidence, tempered by the effective number
        of independent residuals, turned into a probability (Kingma et al. 2014, arXiv:1406.5298, eq. 7).

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> x, kind = np.linspace(-5, 5, 40), np.arange(80) % 2
        >>> X = np.where(kind[:, None], np.exp(-x**2), np.exp(-x**2 / 9))
        >>> X = X + 0.05 * np.random.default_rng(0).normal(size=(80, 40))
        >>> model = ss.ShiftVAE(n_latent=1, n_classes=2, epochs=3).fit(X)
        >>> model.predict_proba(X).shape
        (80, 2)
        """
        check_is_fitted(self, "fitted_")
        self._check()
        told = told_apart(self.fitted_, *tensors(self, self._taken(X)))  # type: ignore[arg-type]
        share = told.probability.double().numpy()
        return share / share.sum(1, keepdims=True)

    @available_if(_tells_classes)
    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of every signal, of a model with classes.

        Parameters
        ----------
        X : as in :meth:`fit`
            n signals or images.

        Returns
        -------
        ndarray (n,)
            Members of ``classes_``.

        Raises
        ------
        AttributeError
            If the model has no classes.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> x, kind = np.linspace(-5, 5, 40), np.arange(80) % 2
        >>> X = np.where(kind[:, None], np.exp(-x**2), np.exp(-x**2 / 9))
        >>> X = X + 0.05 * np.random.default_rng(0).normal(size=(80, 40))
        >>> found = ss.ShiftVAE(n_latent=1, n_classes=2, epochs=3).fit(X).predict(X)
        >>> bool(max(np.mean(found == kind), np.mean(found != kind)) > 0.9)
        True
        """
        share = self.predict_proba(X)
        assert self.classes_ is not None
        return self.classes_[share.argmax(1)]
