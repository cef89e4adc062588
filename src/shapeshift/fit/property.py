"""A measured property over the shape latents: a Gaussian process from what was found to what was measured."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.stats import chi2
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.utils.validation import check_is_fitted

from shapeshift.errors import ShapeshiftError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST = 5  # measured signals
LEAST_NOISE = 1e-6  # of the variance of the property: less, and products lose their digits
MOST = 1000  # measured signals that the process holds: its cost is cubic
ROUNDS = 4  # of noise from the process and the process from its noise
SURE = 0.95  # that the sds are wrong, before they are scaled
BELIEF = 50.0  # measured signals that the process's own sds are then worth: few errors tell a scale badly


class Place(NamedTuple):
    """Where signals lie in the space of shapes: latents (n, K) and their sds (n, K)."""

    z: NDArray[np.float64]
    sd: NDArray[np.float64]

    def take(self, rows: NDArray[Any]) -> Place:
        return Place(self.z[rows], self.sd[rows])


@final
class Property(RegressorMixin, BaseEstimator):
    """A number that was measured of some signals, as a smooth function of their shape.

    A Gaussian process with one length for every latent and white noise (Rasmussen & Williams 2006, Gaussian
    Processes for Machine Learning, ch. 2 and 5). The latents are uncertain themselves, so what the function
    makes of their sds is noise too, of every signal its own (after McHutchon & Rasmussen 2011, NeurIPS 24,
    eq. 9). Every measured signal is predicted from the others; where these errors contradict
    their sds, all sds are scaled towards agreement.

    Parameters
    ----------
    model : fitted model, optional
        With one, an array is taken for signals and handed to ``model.posterior``; without one, for latents.
    random_state : int
        Where the search for the lengths starts.

    Attributes
    ----------
    lengths_ : ndarray (K,)
        Over what change of a latent the property changes: long for one that it does not depend on.
    noise_sd_ : float
        Scatter of the property at known latents, in its own units.
    scale_ : float
        By what the sds of the process were multiplied; 1 where its errors are what it says.
    measured_, used_ : ndarray of int
        Rows that were measured, and those of them that the process holds: at most 1000.
    left_out_ : ndarray (m, 3)
        Measured signals, each predicted from the others: the value, its prediction and sd.
    score_left_out_ : float
        Share of the variance that these predictions explain.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = np.where(np.arange(200) < 30, np.sin(z[:, 0]), np.nan)
    >>> strength = Property().fit(z, y)
    >>> mean, sd = strength.predict(z, return_std=True)
    >>> bool(np.abs(mean - np.sin(z[:, 0])).mean() < 0.05)
    True
    >>> len(strength.suggest(3))
    3
    """

    def __init__(self, model: Any = None, *, random_state: int = 0) -> None:
        self.model = model
        self.random_state = random_state

    def fit(self, X: Any, y: ArrayLike) -> Property:
        """Learn the property from the signals that it was measured of.

        Parameters
        ----------
        X : Posterior, or array (n, K) of latents; with a model, signals
        y : array (n,)
            The property in its own units; nan where it was not measured.

        Returns
        -------
        Property

        Raises
        ------
        ShapeshiftError
            Not one number for every signal, or fewer than 5 that were measured.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> z = np.random.default_rng(0).normal(size=(60, 2))
        >>> y = np.where(np.arange(60) < 30, np.sin(z[:, 0]), np.nan)
        >>> ss.Property().fit(z, y).measured_.size
        30
        """
        self.place_ = self._placed(X)
        values = checked(y, len(self.place_.z))
        self.measured_ = np.flatnonzero(np.isfinite(values))
        rows = self.measured_
        if len(rows) > MOST:
            rows = np.sort(np.random.default_rng(self.random_state).choice(rows, MOST, replace=False))
        self.mean_, self.unit_ = float(values[rows].mean()), float(values[rows].std()) or 1.0
        self.used_ = rows
        known = self.place_.take(rows)
        self.process_ = _process(known, (values[rows] - self.mean_) / self.unit_, self.random_state)
        self._check(values[rows])
        self.n_features_in_ = self.place_.z.shape[1]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The property of signals, and its sd if asked: of one more measurement, noise included.

        Parameters
        ----------
        X : as in :meth:`fit`
        return_std : bool

        Returns
        -------
        ndarray (n,), or two of them
            In the property's units.

        Raises
        ------
        ShapeshiftError
            If latents are of another number than in the fit.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> z = np.random.default_rng(0).normal(size=(60, 2))
        >>> y = np.where(np.arange(60) < 30, np.sin(z[:, 0]), np.nan)
        >>> value, sd = ss.Property().fit(z, y).predict(z, return_std=True)
        >>> value.shape, sd.shape
        ((60,), (60,))
        """
        check_is_fitted(self, "process_")
        place = self._placed(X)
        if place.z.shape[1] != self.n_features_in_:
            raise ShapeshiftError(
                f"got {place.z.shape[1]} latents, needed {self.n_features_in_}: those it was fitted on."
            )
        mean, sd = self.process_.predict(place.z, return_std=True)
        mean = self.mean_ + self.unit_ * mean
        if not return_std:
            return mean
        sd = np.sqrt(sd**2 + _input_noise(self.process_, place))
        return mean, self.scale_ * self.unit_ * sd

    def suggest(self, n: int = 1) -> NDArray[np.intp]:
        """Rows of the signals most worth measuring next, of those of :meth:`fit` not measured, best first.

        One after the other: the one of which a measurement would take the most variance off the function,
        given that those before it were measured. Their values need not be known: the variance of a Gaussian
        process depends only on where they lie.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        ndarray (n,) of int

        Raises
        ------
        ShapeshiftError
            If fewer than n were not measured.

        Notes
        -----
        Active learning by the expected decrease of the variance over all signals (Cohn 1996, Neural Netw. 9,
        1071).

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> z = np.random.default_rng(0).normal(size=(60, 2))
        >>> y = np.where(np.arange(60) < 30, np.sin(z[:, 0]), np.nan)
        >>> bool((ss.Property().fit(z, y).suggest(3) >= 30).all())
        True
        """
        check_is_fitted(self, "process_")
        rows = np.setdiff1d(np.arange(len(self.place_.z)), self.measured_)
        if not 1 <= n <= len(rows):
            raise ShapeshiftError(f"got n={n}, needed 1 to {len(rows)}: the signals that were not measured.")
        return rows[_greedy(self.process_, self.place_.take(rows), n)]

    def _placed(self, X: Any) -> Place:
        if hasattr(X, "z") and hasattr(X, "z_sd"):
            return Place(np.asarray(X.z, float), np.asarray(X.z_sd, float))
        if self.model is not None:
            return self._placed(self.model.posterior(X))
        z = np.asarray(X, float)
        if z.ndim != 2 or not np.isfinite(z).all():
            raise ShapeshiftError(
                f"got latents of shape {z.shape}, needed finite numbers (n, K): pass a posterior or its z."
            )
        return Place(z, np.zeros_like(z))

    def _check(self, values: NDArray[np.float64]) -> None:
        """Leave every measured signal out in turn, and scale the sds if they do not fit the errors."""
        error, sd = _left_out(self.process_)
        squares = float(np.square(error / sd).sum())
        low, high = chi2.interval(SURE, len(error))
        self.scale_ = 1.0 if low < squares < high else ((BELIEF + squares) / (BELIEF + len(error))) ** 0.5
        predicted = values - self.unit_ * error
        self.left_out_ = np.column_stack([values, predicted, self.scale_ * self.unit_ * sd])
        self.score_left_out_ = float(1 - error.var() / max(values.var() / self.unit_**2, 1e-300))
        kernel = self.process_.kernel_
        self.lengths_ = np.broadcast_to(kernel.k1.k2.length_scale, self.place_.z.shape[1]).copy()
        self.noise_sd_ = self.unit_ * float(np.sqrt(kernel.k2.noise_level))


def checked(y: ArrayLike, n: int) -> NDArray[np.float64]:
    """A property (n,), nan where not measured, after a check that enough of it is there."""
    values = np.asarray(y, float)
    if values.shape != (n,):
        raise ShapeshiftError(
            f"got a property of shape {values.shape}, needed ({n},): one number for every signal, nan where "
            "it was not measured."
        )
    told = int(np.isfinite(values).sum())
    if told < LEAST:
        raise ShapeshiftError(f"got {told} measured signals, needed at least {LEAST}: measure more.")
    return values


def _process(place: Place, y: NDArray[np.float64], seed: int) -> GaussianProcessRegressor:
    """The process of y (m,), of mean 0 and sd 1, with the noise that the latents' sds make."""
    spread = np.maximum(place.z.std(0), 1e-6)
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(spread, (1e-2, 1e3)) + WhiteKernel(
        1e-2, (LEAST_NOISE, 2.0)
    )
    noise = np.full(len(y), 1e-10)
    for k in range(ROUNDS):
        restarts = 2 if k == 0 else 0
        process = GaussianProcessRegressor(
            kernel, alpha=noise, n_restarts_optimizer=restarts, random_state=seed
        )
        with warnings.catch_warnings():  # a length at its bound is an answer: no dependence
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(place.z, y)
        kernel, noise = process.kernel_, 1e-10 + _input_noise(process, place)
        if not place.sd.any():
            break
    return process


def _input_noise(process: GaussianProcessRegressor, place: Place) -> NDArray[np.float64]:
    """Variance (n,) that the latents' own sds make: of the mean of the process about its value at z.

    By three nodes of Gauss and Hermite along every latent, exact where the mean is a parabola.
    """
    here, total = process.predict(place.z), np.zeros(len(place.z))
    for k in np.flatnonzero(place.sd.any(0)):
        step = np.zeros_like(place.z)
        step[:, k] = 3**0.5 * place.sd[:, k]
        total += sum(np.square(process.predict(place.z + way) - here) for way in (step, -step)) / 6
    return total


def _left_out(process: GaussianProcessRegressor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors (m,) of predictions of every value from the others, and their sds, in closed form.

    Rasmussen & Williams 2006, eqs 5.10 to 5.12.
    """
    inverse = cho_solve((process.L_, True), np.eye(len(process.L_)))
    precision = np.diag(inverse)
    return process.alpha_ / precision, precision**-0.5


def _greedy(process: GaussianProcessRegressor, place: Place, n: int) -> list[int]:
    """Rows whose measurement takes off most variance, each given those before it."""
    smooth = process.kernel_.k1
    across = process.kernel_.k1(process.X_train_, place.z)  # (m, N)
    told = solve_triangular(process.L_, across, lower=True)
    variance = smooth.diag(place.z) - np.square(told).sum(0)
    noise = process.kernel_.k2.noise_level + _input_noise(process, place)
    chosen: list[int] = []
    for _ in range(n):
        worth = variance**2 / (variance + noise)
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        chosen.append(best)
        column = smooth(place.z[best : best + 1], place.z)[0] - told[:, best] @ told
        told = np.vstack([told, column / np.sqrt(column[best] + noise[best])])
        variance = (variance - told[-1] ** 2).clip(0)
    return chosen
