"""What a fitted model of signals or images is asked: posteriors, latents, reconstructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from shapeshift.data import preprocess
from shapeshift.data.grids import are_several, each_of
from shapeshift.fit.intake import tensors
from shapeshift.fit.labels import class_columns, told_apart, with_classes
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.streaming import elsewhere, posterior_elsewhere, shapes_of
from shapeshift.fit.telling import TellsClasses

if TYPE_CHECKING:
    from shapeshift.fit.search import Found


class Answers(TellsClasses, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ABC):
    """What does not depend on how a model was fitted."""

    normalise: str | None
    scaling_: preprocess.Affine

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit to data."""

    @abstractmethod
    def _given(self, condition: Any, n: int) -> Tensor:
        """What is known of n signals, one column a number or kind."""

    @abstractmethod
    def _read(self, stack: Any, given: Tensor, refine: bool, found: Found | None = None) -> Posterior:
        """The posterior of a stack."""

    @abstractmethod
    def _drawn(self, stack: Any, given: Tensor) -> tuple[Any, np.ndarray]:
        """Expected data at the posterior, in model units, and the stack they belong to."""

    def posterior(self, X: Any, *, x: Any = None, refine: bool = True, condition: Any = None) -> Posterior:
        """Pose, shape and noise of every signal or image, with error bars.

        Parameters
        ----------
        X : as in :meth:`fit`
            Signals (n, P) or a map (rows, columns, P), images (n, h, w); arrays of Zarr, HDF5 or dask, too.
        x : array (P,), optional
            Axis of plain arrays of signals, in axis units.
        refine : bool
            False for the encoder alone: several times faster, with larger errors and the encoder's own
            error bars; noise, evidence and flags are not known then.
        condition : as in :meth:`fit`, or one for all
            Where the model was fitted with one.

        Returns
        -------
        Posterior
            Shifts in axis units, rotations in degrees, latents in units of their prior. Of a dask array a
            lazy xarray.Dataset.

        Raises
        ------
        ShapeshiftError
            If the data are of another kind or axis than those of the fit, or a condition is missing.

        Notes
        -----
        The nearest of several candidates of a global search is refined by damped Gauss-Newton steps
        (Levenberg 1944, Q. Appl. Math. 2, 164; Marquardt 1963, J. SIAM 11, 431); error bars are Laplace's
        approximation there, with the Fisher information of the noise for the curvature.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> p = ss.ShiftVAE(epochs=3).fit(X).posterior(X)
        >>> p.shift.shape, p.shift_sd.shape, p.z.shape
        ((60,), (60,), (60, 2))
        """
        check_is_fitted(self, "fitted_")
        self._check()
        if elsewhere(X):
            return posterior_elsewhere(self, X, x, refine, condition)  # type: ignore[arg-type]
        stack = self._taken(X, x)
        if self.classes_ is None or condition is not None:
            return self._read(stack, self._given(condition, len(stack.values)), refine)
        told = told_apart(self.fitted_, *tensors(self, stack))  # type: ignore[arg-type]
        p = self._read(stack, class_columns(told), True, told.found)
        return with_classes(p, told, self.fitted_, self.classes_)

    def fit_transform(self, X: Any, y: Any = None, **fit: Any) -> np.ndarray:
        """Fit, and tell the shape latents of the same data.

        Parameters
        ----------
        X, y : as in :meth:`fit`
        **fit
            Further words of :meth:`fit`: `x`, `condition`, `checkpoint`.

        Returns
        -------
        ndarray (n, n_latent)
            In units of their prior.

        Raises
        ------
        ShapeshiftError
            As :meth:`fit`.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> ss.ShiftVAE(n_latent=2, epochs=3).fit_transform(X).shape
        (60, 2)
        """
        return self.fit(X, y, **fit).transform(X, condition=fit.get("condition"))

    def transform(self, X: Any, condition: Any = None) -> np.ndarray:
        """Shape latents: means of the posterior.

        Parameters
        ----------
        X : as in :meth:`fit`
            n signals or images.
        condition : as in :meth:`fit`, or one for all
            Where the model was fitted with one.

        Returns
        -------
        ndarray (n, n_latent)
            In units of their prior; float32 where X is.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> ss.ShiftVAE(n_latent=2, epochs=3).fit(X).transform(X[:5]).shape
        (5, 2)
        """
        z = shapes_of(self.posterior(X, condition=condition))
        return z.astype(np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64)

    def score(self, X: Any, y: Any = None, condition: Any = None) -> float:
        """Mean log evidence of signals: of held-out ones it judges numbers of latents or classes.

        Parameters
        ----------
        X : as in :meth:`fit`
            n signals or images.
        y : ignored
        condition : as in :meth:`fit`, or one for all
            Where the model was fitted with one.

        Returns
        -------
        float
            Nats a signal, in the units of the data.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Notes
        -----
        Laplace's approximation about the mode (MacKay 2003, Information Theory, Inference and Learning
        Algorithms, ch. 27).

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=80, seed=1)
        >>> isinstance(ss.ShiftVAE(epochs=3).fit(X[:60]).score(X[60:]), float)
        True
        """
        return float(self.posterior(X, condition=condition).log_evidence.mean())

    def reconstruct(self, X: Any, *, x: Any = None, condition: Any = None) -> Any:
        """What the model draws of signals or images, at their own poses: without noise.

        Parameters
        ----------
        X : as in :meth:`fit`
        x : array (P,), optional
            Axis of plain arrays of signals, in axis units.
        condition : as in :meth:`fit`, or one for all
            Where the model was fitted with one.

        Returns
        -------
        as X
            In kind, of the same shape, and in the units of the data.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> left = X - ss.ShiftVAE(epochs=5).fit(X).reconstruct(X)
        >>> left.dims, bool(left.std() < X.std())
        (('signal', 'x'), True)
        """
        check_is_fitted(self, "fitted_")
        if are_several(X):
            return each_of(self.reconstruct, X, x, condition)
        stack = self._taken(X, x)
        if self.classes_ is not None and condition is None:
            condition = self.predict(X)
        stack, values = self._drawn(stack, self._given(condition, len(stack.values)))
        own = preprocess.per_signal(stack.values, self.normalise)
        return stack.like_given(own.undo(self.scaling_.undo(values)))

    def amplitudes(self, X: Any) -> np.ndarray:
        """What ``normalise`` took off every signal: x = gain * normalised + offset.

        Parameters
        ----------
        X : as in :meth:`fit`
            n signals or images.

        Returns
        -------
        ndarray (n, 2)
            Gain and offset, in the units of the data; 1 and 0 without ``normalise``.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> model = ss.ShiftVAE(normalise="max", epochs=3).fit(X)
        >>> bool((model.amplitudes(X)[:, 0] > 0).all())
        True
        """
        own = preprocess.per_signal(self._taken(X).values, self.normalise)
        return np.hstack([own.gain, own.offset])
