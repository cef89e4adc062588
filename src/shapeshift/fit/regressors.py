"""Regression of a number on the shape, from few labels and many signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, final

from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from shapeshift.fit.estimators import ShiftVAE
from shapeshift.fit.images import ImageVAE
from shapeshift.fit.property import Property

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shapeshift.fit.base import PoseEstimator


class ShapeRegressor(RegressorMixin, BaseEstimator, ABC):
    """A model of all signals, and a Gaussian process from its shape latents to the labels.

    Attributes
    ----------
    model_ : the fitted model of signals or images
    property_ : Property
        The number over the latents, with what is known of it: ``suggest``, ``score_left_out_``.
    """

    model: Any
    n_latent: int
    random_state: Any

    @abstractmethod
    def _fresh(self) -> PoseEstimator:
        """The model to fit where the user named none."""

    def fit(self, X: Any, y: ArrayLike, **data: Any) -> Self:
        """Fit the model to all signals and the number to those of which it is known.

        Parameters
        ----------
        X : signals or images (n, ...), as the model takes them
        y : array (n,)
            Labels; nan where unknown.
        **data
            What the model's ``fit`` takes besides, such as the axis ``x``.

        Raises
        ------
        ShapeshiftError
            As of the model; not one label for every signal, or fewer than 5 that are known.
        """
        self.model_ = (self._fresh() if self.model is None else clone(self.model)).fit(X, **data)
        self.property_ = Property().fit(self.model_.posterior(X, **data), y)
        self.n_features_in_ = self.model_.n_features_in_
        return self

    def predict(self, X: Any, return_std: bool = False, **data: Any) -> Any:
        """The number (n,), and its sd if asked, the uncertainty of every signal's shape included."""
        check_is_fitted(self, "property_")
        return self.property_.predict(self.model_.posterior(X, **data), return_std=return_std)


@final
class ShiftVAERegressor(ShapeRegressor):
    """A number from the shape of signals, wherever they are shifted, learned from few labels.

    Parameters
    ----------
    model : ShiftVAE, optional
        An unfitted model with options of your own, in place of ``ShiftVAE(n_latent, random_state=...)``.
    n_latent, random_state
        As of :class:`~shapeshift.ShiftVAE`.

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=300, seed=0)
    >>> width = np.where(np.arange(300) < 40, truth["width"], np.nan)
    >>> found = ShiftVAERegressor(ss.ShiftVAE(epochs=20)).fit(X, width)
    >>> bool(np.corrcoef(found.predict(X), truth["width"])[0, 1] > 0.98)
    True
    """

    def __init__(self, model: ShiftVAE | None = None, *, n_latent: int = 2, random_state: Any = 0) -> None:
        self.model = model
        self.n_latent = n_latent
        self.random_state = random_state

    def _fresh(self) -> ShiftVAE:
        return ShiftVAE(self.n_latent, random_state=self.random_state)


@final
class ImageVAERegressor(ShapeRegressor):
    """A number from the shape of images, however they are turned and displaced, learned from few labels.

    Parameters
    ----------
    model : ImageVAE, optional
        An unfitted model with options of your own, in place of ``ImageVAE(n_latent, random_state=...)``.
    n_latent, random_state
        As of :class:`~shapeshift.ImageVAE`.
    """

    def __init__(self, model: ImageVAE | None = None, *, n_latent: int = 2, random_state: Any = 0) -> None:
        self.model = model
        self.n_latent = n_latent
        self.random_state = random_state

    def _fresh(self) -> ImageVAE:
        return ImageVAE(self.n_latent, random_state=self.random_state)
