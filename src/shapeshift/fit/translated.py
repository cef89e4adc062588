"""What a fitted model of pairs is asked: predictions, intervals, latents."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from shapeshift.data.pairs import Side, in_kind, is_named, rows_of
from shapeshift.data.preprocess import Affine
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.checkpoint import write
from shapeshift.fit.export import check_place, pair_graph
from shapeshift.fit.export import write as write_graph
from shapeshift.fit.held_out import Calibration
from shapeshift.fit.train import History
from shapeshift.fit.translate import Starts, Told, told
from shapeshift.fit.translation_file import described


class Interval(NamedTuple):
    """Lower and upper ends, each like the Y of the fit."""

    low: Any
    high: Any


class Translating(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ABC):
    """What does not depend on how a model of pairs was fitted."""

    x_side_: Side
    y_side_: Side
    y_scaling_: Affine
    starts_: Starts
    calibration_: Calibration

    @abstractmethod
    def _scaled(self, rows: np.ndarray) -> Tensor:
        """Measurements x in the networks' units."""

    @abstractmethod
    def _validated(self, X: Any, rows: np.ndarray, *, reset: bool) -> None:
        """Refuse what scikit-learn refuses."""

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The y of every x, in kind, shape, coordinates and units of the Y of the fit.

        Parameters
        ----------
        X : as in :meth:`fit`
        return_std : bool
            Also return the standard deviation: 68.27 % of the errors of held-out pairs are within one.

        Returns
        -------
        array or DataArray, or a pair of them
            In the units of Y.

        Raises
        ------
        ShapeshiftError
            If X is laid out otherwise than that of the fit.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> mean, sd = model.predict(images, return_std=True)
        >>> mean.shape, bool((sd > 0).all())
        ((40, 6), True)
        """
        mean, sd = self._mean_and_sd(X)
        return (self._in_kind(mean, X), self._in_kind(sd, X)) if return_std else self._in_kind(mean, X)

    def predict_interval(self, X: Any, share: float = 0.95) -> Interval:
        """Between which ends a share of the y lie, point by point, judged by the held-out pairs.

        Parameters
        ----------
        X : as in :meth:`fit`
        share : float
            Between 0 and 1.

        Returns
        -------
        Interval
            `low` and `high`, each like Y and in its units.

        Raises
        ------
        ShapeshiftError
            If the share is none, or X is laid out otherwise than that of the fit.

        Notes
        -----
        Errors have longer tails than a Gaussian: more sds than its 1.96 hold 95 % of them. How many is
        told by the quantile of the held-out errors over their sd (split conformal: Lei et al. 2018,
        arXiv:1604.04173).

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> low, high = model.predict_interval(images, 0.9)
        >>> bool((low < high).all())
        True
        """
        if not 0 < share < 1:
            raise ShapeshiftError(f"got share={share!r}, needed a share between 0 and 1, as 0.95.")
        mean, sd = self._mean_and_sd(X)
        half = self.calibration_.reach(share) * sd
        return Interval(self._in_kind(mean - half, X), self._in_kind(mean + half, X))

    def transform(self, X: Any) -> np.ndarray:
        """What of x tells y: means of the latents, of the first start.

        Parameters
        ----------
        X : as in :meth:`fit`

        Returns
        -------
        ndarray (n, n_latent)
            In units of their prior.

        Raises
        ------
        ShapeshiftError
            If X is laid out otherwise than that of the fit.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> model.transform(images).shape
        (40, 2)
        """
        return self._told(X).z.numpy().astype(_precision(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of the variance of y that predictions explain, all points together.

        Parameters
        ----------
        X, y : as in :meth:`fit`
        sample_weight : array (n,), optional

        Returns
        -------
        float
            R^2, at most 1.

        Raises
        ------
        ShapeshiftError
            If X or y is laid out otherwise than that of the fit.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> bool(model.score(images, images.sum(1)) <= 1)
        True
        """
        check_is_fitted(self, "starts_")
        known = rows_of(y, self.y_side_, "VED", "Y")
        mean, _ = self._mean_and_sd(X)
        return float(r2_score(known, mean, sample_weight=sample_weight, multioutput="variance_weighted"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file, which :func:`shapeshift.load` reads.

        Parameters
        ----------
        path : path
            A file that is there is replaced, once the new one is whole.

        Returns
        -------
        None

        Raises
        ------
        OSError
            If the place cannot be written.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "m.safetensors"))
        ...     again = ss.load(os.path.join(folder, "m.safetensors"))
        >>> bool((again.predict(images) == model.predict(images)).all())
        True
        """
        check_is_fitted(self, "starts_")
        write(path, *described(self))  # type: ignore[arg-type]

    def export(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write :meth:`predict` to one ONNX file, as :meth:`ShiftVAE.export <shapeshift.ShiftVAE.export>`.

        Input: ``x`` (n, ...) float32 as the X of the fit; outputs: ``y`` and ``y_sd`` (n, ...) as its Y.

        Parameters
        ----------
        path : path
        force : bool
            Replace a file that exists.

        Returns
        -------
        None

        Raises
        ------
        ShapeshiftError
            Packages are missing, or the place is taken.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> import os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(os.path.join(folder, "model.onnx"))
        ...     os.listdir(folder)
        ['model.onnx']
        """
        check_is_fitted(self, "starts_")
        write_graph(check_place(path, force=force), pair_graph(self))  # type: ignore[arg-type]

    @property
    def history_(self) -> tuple[History, ...]:
        """What happened while training, one history a start."""
        return self.starts_.histories

    @property
    def converged_(self) -> bool:
        """Whether every start was trained to its end."""
        return all(h.stopped == "finished" for h in self.history_)

    def _told(self, X: Any) -> Told:
        check_is_fitted(self, "starts_")
        if hasattr(X, "columns") and not is_named(X):
            validate_data(self, X, reset=False, skip_check_array=True)  # names before values
        rows = rows_of(X, self.x_side_, type(self).__name__)
        self._validated(X, rows, reset=False)
        return told(self.starts_, self._scaled(rows))

    def _mean_and_sd(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        seen, gain = self._told(X), float(self.y_scaling_.gain)
        mean = self.y_scaling_.undo(seen.mean.double().numpy())
        return mean, gain * self.calibration_.sd(seen.spread.double()).numpy()

    def _in_kind(self, values: np.ndarray, X: Any) -> Any:
        return in_kind(values.astype(_precision(X)), self.y_side_, X, self.x_side_)


def _precision(X: Any) -> type[np.floating]:
    return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
