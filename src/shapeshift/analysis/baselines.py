"""What was used before: linear decompositions and cross-correlation, to compare with.

A linear decomposition describes one moving peak by many components (a shift is not a linear
operation on samples); cross-correlation finds shifts but has no notion of shape or of error.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import ConvergenceWarning

from shapeshift.data.coordinates import Stack, as_stack
from shapeshift.errors import ShapeshiftError


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Signals as a mean plus a sum of fixed components: X ~ mean + scores @ components.

    Parameters
    ----------
    kind : {"pca", "nmf"}
    components : ndarray (n, length)
    scores : ndarray (N, n)
        Rows in the order of the signals (maps row by row).
    explained : ndarray (n,)
        Share of the variance each component accounts for, largest first: for component k with
        contribution P_k and centred data C, <C, P_k - mean of P_k> / ||C||^2. For PCA that is the
        usual ratio; the shares of both kinds add up to <C, fit> / ||C||^2.
    mean : ndarray (length,)
        Zero for NMF.
    axis : ndarray (length,)
        Increasing and uniform, as the signals were brought to it.
    axis_name, axis_units : str

    Examples
    --------
    >>> import shapeshift as ss
    >>> found = ss.analysis.pca(ss.synthetic.article(n=60, seed=1)[0], 3)
    >>> found.components.shape, found.scores.shape
    ((3, 100), (60, 3))
    """

    kind: str
    components: np.ndarray
    scores: np.ndarray
    explained: np.ndarray
    mean: np.ndarray
    axis: np.ndarray
    axis_name: str
    axis_units: str

    def reconstruct(self) -> np.ndarray:
        """The signals (N, length) as these components have them."""
        return self.mean + self.scores @ self.components


def pca(X: Any, n: int, x: Any = None) -> Decomposition:
    """Principal components, by scikit-learn.

    Parameters
    ----------
    X : ndarray (N, length) or xarray.DataArray
        Signals; the last dimension of a DataArray is the signal axis, the others are flattened.
    n : int
        Number of components.
    x : array (length,), optional
        Axis of plain arrays; sample numbers by default.

    Returns
    -------
    Decomposition

    Raises
    ------
    ShapeshiftError
        Signals that are not finite numbers, n outside 1 ... min(N, length).

    Examples
    --------
    >>> peaks = np.exp(-((np.arange(30) - np.arange(5, 25)[:, None]) ** 2) / 8)
    >>> pca(peaks, 4).explained.round(2)  # one moving peak, many components
    array([0.39, 0.29, 0.16, 0.09])
    """
    stack = _stack(X, x, n)
    model = PCA(n, svd_solver="full").fit(stack.values)
    return _decomposition("pca", stack, model.transform(stack.values), model.components_, model.mean_)


def nmf(X: Any, n: int, x: Any = None, *, random_state: int = 0) -> Decomposition:
    """Non-negative matrix factorisation, by scikit-learn.

    Parameters
    ----------
    X, n, x
        As in `pca`; values must not be negative.
    random_state : int
        Of the randomised start.

    Returns
    -------
    Decomposition

    Raises
    ------
    ShapeshiftError
        As in `pca`, and for negative values.

    Examples
    --------
    >>> parts = np.array([[0.0, 1, 2, 1, 0, 0], [0, 0, 0, 1, 3, 1]])
    >>> found = nmf(np.array([[1.0, 0], [0, 1], [1, 1], [2, 1]]) @ parts, 2)
    >>> float(found.explained.sum().round(3))
    1.0
    """
    stack = _stack(X, x, n)
    if (smallest := stack.values.min()) < 0:
        raise ShapeshiftError(
            f"got values down to {smallest:.3g}; non-negative matrix factorisation needs values of at "
            "least 0: subtract the smallest value first, X - X.min()."
        )
    model = NMF(n, init="nndsvda", max_iter=300, random_state=random_state)
    with warnings.catch_warnings():
        # progress is judged against the start: a start near the optimum counts as "not converged"
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = model.fit_transform(stack.values)
    return _decomposition("nmf", stack, scores, model.components_, np.zeros(stack.values.shape[1]))


def correlation(X: Any, x: Any = None, *, iterations: int = 10) -> np.ndarray:
    """Shifts by iterated cross-correlation with the aligned mean (Woody 1967, Med. Biol. Eng. 5, 539).

    In turns, every signal is moved to where it correlates best with the mean of the moved signals,
    to a fraction of a sample by a parabola through the peak of the correlation. Signals are centred
    and taken as zero beyond their ends.

    Parameters
    ----------
    X : ndarray (N, length) or xarray.DataArray
    x : array (length,), optional
        Axis of plain arrays; sample numbers by default.
    iterations : int
        Turns.

    Returns
    -------
    ndarray (N,)
        Shifts in axis units relative to their mean; positive towards larger axis values.

    Raises
    ------
    ShapeshiftError
        Signals that are not finite numbers.

    Examples
    --------
    >>> peaks = np.exp(-((np.arange(60) - np.array([[20.0], [30.5], [39.5]])) ** 2) / 18)
    >>> correlation(peaks).round(1)
    array([-9.9,  0.5,  9.5])
    """
    stack = as_stack(X, x)
    centred = stack.values - stack.values.mean(1, keepdims=True)
    lags = np.zeros(len(centred))
    template = centred.mean(0)
    for _ in range(iterations):
        lags = best_lags(centred, template)
        lags -= lags.mean()
        template = _moved_mean(centred, lags)
    return lags * stack.axis.step


def best_lags(signals: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Lag (N,) in samples of the highest correlation sum_p x_(p + lag) T_p, between samples too."""
    length = len(template)
    size = next_fast_len(2 * length, real=True)
    product = rfft(signals, size) * rfft(template, size).conj()
    scores = np.roll(irfft(product, size), length - 1, axis=1)[:, : 2 * length - 1]
    top = np.clip(scores.argmax(1), 1, 2 * length - 3)
    before, at, after = (np.take_along_axis(scores, top[:, None] + d, 1)[:, 0] for d in (-1, 0, 1))
    bend = before - 2 * at + after
    offset = 0.5 * (before - after) / np.where(bend < 0, bend, -np.inf)
    return top - (length - 1) + np.clip(offset, -0.5, 0.5)


def _moved_mean(signals: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Mean of the signals moved back by their lags; linear between samples, zero beyond the ends."""
    length = signals.shape[1]
    padded = np.pad(signals, ((0, 0), (1, 2)))
    at = np.clip(np.arange(length) + lags[:, None], -1, length)
    low = np.floor(at).astype(int)
    part, rows = at - low, np.arange(len(signals))[:, None]
    return ((1 - part) * padded[rows, low + 1] + part * padded[rows, low + 2]).mean(0)


def _stack(X: Any, x: Any, n: int) -> Stack:
    """Checked signals that can have n components."""
    stack = as_stack(X, x)
    most = min(stack.values.shape)
    if not 1 <= n <= most:
        raise ShapeshiftError(
            f"got n={n} components; signals of shape {stack.values.shape} allow 1 to {most}: "
            "pass such a number."
        )
    return stack


def _decomposition(
    kind: str, stack: Stack, scores: np.ndarray, components: np.ndarray, mean: np.ndarray
) -> Decomposition:
    """Sorted by explained share."""
    centred = stack.values - stack.values.mean(0)
    # <C, (s - s_mean) c'> = s' C c, because the columns of C have mean zero
    shares = ((centred @ components.T) * scores).sum(0) / max(float((centred**2).sum()), np.finfo(float).tiny)
    order = np.argsort(-shares, kind="stable")
    axis = stack.axis
    return Decomposition(
        kind, components[order], scores[:, order], shares[order], mean, axis.values, axis.name, axis.units
    )
