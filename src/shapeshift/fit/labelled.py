"""Few labels: estimators that learn from all signals, and from labels where there are some."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, final

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from shapeshift.errors import ShapeshiftError
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.images import ImageModel
from shapeshift.fit.journal import Kept
from shapeshift.fit.labels import Kinds
from shapeshift.fit.property import Property
from shapeshift.fit.signals import SignalModel

if TYPE_CHECKING:
    from typing_extensions import Self


class Regressing(RegressorMixin, PoseEstimator, ABC):
    """A model whose shapes tell a number: fitted to all signals, the number to those that have one.

    The number is a Gaussian process over the shape latents (:class:`~shapeshift.Property`), so that its error
    bar knows the noise, the uncertainty of the shape, and how far the next labelled signal is; labelled
    signals predicted from the others set its scale.

    Attributes
    ----------
    property_ : Property
        What was learned of the number.
    """

    def fit(self, X: Any, y: Any = None, *, checkpoint: Kept = None) -> Self:
        """Fit to signals, some with a number.

        Parameters
        ----------
        X : as the model's
        y : array (n,)
            The numbers; nan where unknown.
        checkpoint : Checkpoint or path, optional
            As in :meth:`ShiftVAE.fit <shapeshift.ShiftVAE.fit>`.

        Returns
        -------
        self

        Raises
        ------
        ShapeshiftError
            Fewer than 5 numbers, or not one (or nan) for every signal.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=80, seed=0)
        >>> y = np.where(np.arange(80) < 30, truth["width"], np.nan)
        >>> model = ss.ShiftVAERegressor(epochs=3).fit(X, y)
        >>> model.property_.predict(model.posterior(X)).shape
        (80,)
        """
        if y is None:
            raise ShapeshiftError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: give the numbers, "
                "nan where unknown."
            )
        finite = "allow-nan"
        numbers = check_array(y, ensure_2d=False, dtype=float, ensure_all_finite=finite, input_name="y")
        check_consistent_length(X, numbers)
        numbers = column_or_1d(numbers, warn=True)
        self._fit(X, checkpoint=checkpoint)
        self.property_ = Property(random_state=0).fit(self.posterior(X), numbers)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # a number that is no matter of shape is not told
        return tags

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The number of signals, and its sd if asked.

        Parameters
        ----------
        X : as in :meth:`fit`
        return_std : bool
            Also the standard deviation of one more measurement.

        Returns
        -------
        ndarray (n,), or two of them
            In the units of y.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=80, seed=0)
        >>> y = np.where(np.arange(80) < 30, truth["width"], np.nan)
        >>> width, sd = ss.ShiftVAERegressor(epochs=3).fit(X, y).predict(X, return_std=True)
        >>> width.shape, bool((sd > 0).all())
        ((80,), True)
        """
        check_is_fitted(self, "property_")
        return self.property_.predict(self.posterior(X), return_std=return_std)

    def save(self, path: Any) -> None:
        """Refused: a model file holds no labels.

        Parameters
        ----------
        path : path

        Returns
        -------
        None

        Raises
        ------
        ShapeshiftError
            Always; it says what to save instead.

        Examples
        --------
        >>> import shapeshift as ss
        >>> try:
        ...     ss.ShiftVAERegressor().save("model.safetensors")
        ... except ss.ShapeshiftError as error:
        ...     print("cannot be saved" in str(error))
        True
        """
        raise ShapeshiftError(
            f"{type(self).__name__} cannot be saved: save a model of all signals, and fit ss.Property to its "
            "posterior and the labels."
        )

    def suggest(self, n: int = 1) -> np.ndarray:
        """Which of the fitted signals are most worth measuring next, see :meth:`Property.suggest`.

        Parameters
        ----------
        n : int

        Returns
        -------
        ndarray (n,) of int
            Rows of X, best first; none that is known already.

        Raises
        ------
        ShapeshiftError
            If fewer than n are unknown.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=80, seed=0)
        >>> y = np.where(np.arange(80) < 30, truth["width"], np.nan)
        >>> rows = ss.ShiftVAERegressor(epochs=3).fit(X, y).suggest(3)
        >>> len(rows), bool((rows >= 30).all())
        (3, True)
        """
        check_is_fitted(self, "property_")
        return self.property_.suggest(n)


class Classifying(ClassifierMixin, PoseEstimator, ABC):
    """A model of classes of which some labels are known: each class a pattern with shapes of its own, and
    every class tried on every signal.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        Labels in the order of the columns of :meth:`predict_proba`.
    """

    def fit(self, X: Any, y: Any = None, *, checkpoint: Kept = None) -> Self:
        """Fit to signals, some with a label.

        Parameters
        ----------
        X : as the model's
        y : array (n,) of whole numbers or names
            Labels; -1 where unknown (as long as two others are known).
        checkpoint : Checkpoint or path, optional
            As in :meth:`ShiftVAE.fit <shapeshift.ShiftVAE.fit>`.

        Returns
        -------
        self

        Raises
        ------
        ShapeshiftError
            Labels of fewer than two classes, or not one for every signal.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> x, kind = np.linspace(-5, 5, 40), np.arange(80) % 2
        >>> X = np.where(kind[:, None], np.exp(-x**2), np.exp(-x**2 / 9))
        >>> X = X + 0.05 * np.random.default_rng(0).normal(size=(80, 40))
        >>> y = np.where(np.arange(80) < 10, kind, -1)
        >>> model = ss.ShiftVAEClassifier(n_latent=1, epochs=3).fit(X, y)
        >>> model.classes_.tolist()
        [0, 1]
        """
        if y is None:
            raise ShapeshiftError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: give the labels, "
                "-1 where unknown."
            )
        if np.asarray(y).dtype.kind == "f":
            assert_all_finite(np.asarray(y), input_name="y")
        check_classification_targets(y)
        check_consistent_length(X, y)
        return self._fit(X, kinds=Kinds.of(column_or_1d(y, warn=True)), checkpoint=checkpoint)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # classes that are no matter of shape are not told
        return tags


@final
class ShiftVAERegressor(Regressing, SignalModel):
    """Signals whose shape tells a number that is known of a few.

    Parameters
    ----------
    n_latent, warps, likelihood and so on : as of :class:`ShiftVAE`

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=400, seed=0)
    >>> y = np.where(np.arange(400) < 50, truth["width"].values, np.nan)
    >>> model = ss.ShiftVAERegressor(epochs=20).fit(X, y)
    >>> width, sd = model.predict(X, return_std=True)
    >>> bool(np.corrcoef(width, truth["width"])[0, 1] > 0.9)
    True
    """


@final
class ImageVAERegressor(Regressing, ImageModel):
    """Images whose shape tells a number that is known of a few.

    Parameters
    ----------
    n_latent, warps, likelihood and so on : as of :class:`ImageVAE`

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> size = np.repeat([1.0, 2.0, 3.0, 4.0], 10)
    >>> r, c = np.mgrid[-6:7, -6:7]
    >>> discs = np.exp(-0.5 * (r**2 + c**2) / size[:, None, None] ** 2)
    >>> model = ss.ImageVAERegressor(n_latent=1, warps=(), epochs=4).fit(discs, size)
    >>> model.predict(discs).shape
    (40,)
    """


@final
class ShiftVAEClassifier(Classifying, SignalModel):
    """Classes of signals, wherever they are shifted, from few labels.

    Parameters
    ----------
    n_latent, warps, likelihood and so on : as of :class:`ShiftVAE`

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> u = np.linspace(-1, 1, 40)
    >>> t = np.random.default_rng(0).uniform(-0.4, 0.4, (60, 1))
    >>> one, two = np.exp(-60 * (u - t) ** 2), np.exp(-200 * (u - t - 0.2) ** 2) + np.exp(-200 * (u - t) ** 2)
    >>> X = np.vstack([one, two]) + 0.03 * np.random.default_rng(1).normal(size=(120, 40))
    >>> y = np.where(np.arange(120) % 10 == 0, np.arange(120) // 60, -1)
    >>> model = ss.ShiftVAEClassifier(n_latent=1, epochs=20).fit(X, y)
    >>> bool(np.mean(model.predict(X) == np.arange(120) // 60) > 0.9)
    True
    """


@final
class ImageVAEClassifier(Classifying, ImageModel):
    """Classes of images, however they are turned and displaced, from few labels.

    Parameters
    ----------
    n_latent, warps, likelihood and so on : as of :class:`ImageVAE`

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> r, c = np.mgrid[-6:7, -6:7]
    >>> bar, disc = np.exp(-(r**2) - c**2 / 12), np.exp(-(r**2 + c**2) / 8)
    >>> noise = 0.1 * np.random.default_rng(0).normal(size=(40, 13, 13))
    >>> y = np.where(np.arange(40) % 20 < 4, np.arange(40) // 20, -1)
    >>> images = np.stack([bar] * 20 + [disc] * 20) + noise
    >>> model = ss.ImageVAEClassifier(n_latent=1, warps=(), epochs=4).fit(images, y)
    >>> float(np.mean(model.predict(images) == np.arange(40) // 20))
    1.0
    """
