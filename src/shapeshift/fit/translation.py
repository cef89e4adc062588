"""The estimator that tells one measurement from another: image or spectrum to image or spectrum."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, final

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from shapeshift.data.pairs import as_pairs, in_kind, is_named, rows_of
from shapeshift.data.preprocess import Affine, whole_set
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.checkpoint import write
from shapeshift.fit.export import check_place, pair_graph
from shapeshift.fit.export import write as write_graph
from shapeshift.fit.held_out import calibrated
from shapeshift.fit.journal import Journal, Kept, journal_of
from shapeshift.fit.options import plain
from shapeshift.fit.progress import Progress
from shapeshift.fit.train import History, Plan
from shapeshift.fit.translate import Pattern, Starts, Told, epochs_for, fit_starts, told
from shapeshift.fit.translation_file import check_choices, described

FEWEST = 5  # pairs, of which two are held out


class Interval(NamedTuple):
    """Lower and upper ends, each like the Y of the fit."""

    low: Any
    high: Any


@final
class VED(  # type: ignore[misc]  # scikit-learn's mixins are untyped
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, RegressorMixin, MultiOutputMixin, BaseEstimator
):
    """Variational encoder-decoder: from pairs (x, y) it learns to tell y from x, and how far to trust it.

    Each of x and y is a spectrum or an image. The latents z, between the two, hold what of x tells y.

    Parameters
    ----------
    n_latent : int
        Latents K >= 1. Those the data do not need collapse to their prior.
    x_shape, y_shape : tuple of int, optional
        (h, w) where images come flattened, or where a DataArray does not show it; see
        :func:`shapeshift.data.pairs.as_pairs`.
    encoder : "dense" or "conv"
        What reads x: fully connected layers, or, for images only, convolutions of stride 2.
    n_starts : int
        Networks trained from different random starts; predictions are their mean, and what they
        disagree in is part of the error bar.
    epochs : int, optional
        Of each start; by default as many as make up about 1200 optimiser steps.
    batch_size : int
    learning_rate : float
        Peak of the one-cycle schedule.
    weight_decay : float
        Of the networks.
    held_out : float
        Share of the pairs that is kept from training and sets the size of the error bars.
    kl_weight : float
        Weight of the KL of z from its prior.
    width, depth : int
        Hidden units of a layer, and hidden layers, of encoder and decoder; of a convolutional encoder the
        width is that of its widest layer.
    progress : bool
        Show a progress bar on stderr.
    random_state : int, RandomState or None
        Same seed, same machine: the same numbers to the bit.

    Attributes
    ----------
    x_side_, y_side_ : Side
        How one x and one y are laid out, with their coordinates.
    starts_ : Starts
        The networks, and how the training of each went.
    calibration_ : Calibration
        What the held-out pairs have shown.
    converged_ : bool
    fit_seconds_ : float
    n_pairs_ : int
    options_ : dict
        Every option as it was resolved.
    n_features_in_ : int
        Numbers of one x.

    References
    ----------
    Sohn et al. 2015, NeurIPS 28; Lakshminarayanan et al. 2017, arXiv:1612.01474.

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> images = np.random.default_rng(0).random((60, 8, 6))
    >>> spectra = images.sum(1)
    >>> model = ss.VED(n_latent=4, epochs=20).fit(images, spectra)
    >>> mean, sd = model.predict(images, return_std=True)
    >>> mean.shape, sd.shape
    ((60, 6), (60, 6))
    """

    def __init__(
        self,
        n_latent: int = 16,
        *,
        x_shape: tuple[int, ...] | None = None,
        y_shape: tuple[int, ...] | None = None,
        encoder: str = "dense",
        n_starts: int = 3,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        held_out: float = 0.2,
        kl_weight: float = 0.1,
        width: int = 256,
        depth: int = 2,
        progress: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_latent = n_latent
        self.x_shape = x_shape
        self.y_shape = y_shape
        self.encoder = encoder
        self.n_starts = n_starts
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.held_out = held_out
        self.kl_weight = kl_weight
        self.width = width
        self.depth = depth
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: Any, Y: Any, *, checkpoint: Kept = None) -> VED:
        """Fit to pairs.

        Parameters
        ----------
        X, Y : array (n, length) or (n, h, w), or xarray.DataArray (..., length) or (..., h, w)
            One y an x, in the same order; Y may also be (n,), a number each.
        checkpoint : Checkpoint or path, optional
            A folder for the state of the fit, see :class:`~shapeshift.Checkpoint`.

        Returns
        -------
        VED

        Raises
        ------
        ShapeshiftError
            Data or options that cannot be used; the message says what is needed.
        """
        check_choices(self)
        pairs = as_pairs(X, Y, self.x_shape, self.y_shape)
        self._validated(X, pairs.x, reset=True)
        if self.encoder == "conv" and len(pairs.x_side.shape) != 2:
            raise ShapeshiftError(
                f"got encoder='conv' and as every x {pairs.x_side.told}, needed images: use encoder='dense', "
                "or say x_shape=(h, w) of flattened images."
            )
        begin = time.perf_counter()
        self.x_side_, self.y_side_, self.n_pairs_ = pairs.x_side, pairs.y_side, len(pairs.x)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        options = {k: plain(v) for k, v in self.get_params(deep=False).items()}
        with journal_of(checkpoint, type(self).__name__, options, pairs.x, pairs.y) as journal:
            self._fit(pairs.x, pairs.y, torch.Generator().manual_seed(seed), journal)
        self.fit_seconds_ = time.perf_counter() - begin
        return self

    def _fit(self, x: np.ndarray, y: np.ndarray, generator: torch.Generator, journal: Journal | None) -> None:
        rows = torch.randperm(len(x), generator=generator).numpy()
        n_out = min(len(x) - 2, max(2, round(self.held_out * len(x))))
        out, own = rows[:n_out], rows[n_out:]
        self.x_scaling_ = whole_set(x[own])
        middle = y[own].mean(0)
        self.y_scaling_ = Affine(middle, whole_set(y[own] - middle).gain)
        epochs = self.epochs or epochs_for(len(own), self.batch_size)
        self.options_ = {k: plain(v) for k, v in (self.get_params(deep=False) | {"epochs": epochs}).items()}
        inputs, targets = self._scaled(x), torch.from_numpy(self.y_scaling_.apply(y)).float()
        with Progress(self.progress, epochs * self.n_starts) as on_epoch:
            self.starts_ = self._trained(inputs[own], targets[own], epochs, generator, on_epoch, journal)
        seen = told(self.starts_, inputs[out])
        error = targets[out] - seen.mean
        # the mean of k networks keeps at least a k-th of the variance that each has
        least = 1 / len(self.starts_.networks)
        self.calibration_ = calibrated(self.starts_.noise, seen.spread, error, least)

    def _trained(
        self,
        x: Tensor,
        y: Tensor,
        epochs: int,
        generator: torch.Generator,
        on_epoch: Callable[[int, dict[str, float]], None] | None,
        journal: Journal | None,
    ) -> Starts:
        plan = Plan(
            epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            held_out=0.0,
            patience=epochs,
            release=(0.0, 0.0),
            kl_weight={"z": self.kl_weight},
            weight_decay=self.weight_decay,
            journal=journal,
        )
        starts = fit_starts(self._pattern, plan, x, y, self.n_starts, generator, on_epoch)
        if any(h.stopped == "not finite" for h in starts.histories):
            raise ShapeshiftError(
                f"training came to numbers that are not finite, learning_rate={self.learning_rate!r} is too "
                "large: use a smaller one."
            )
        return starts

    @property
    def _pattern(self) -> Pattern:
        shape, points = self.x_side_.shape, self.y_side_.size
        return Pattern(shape, points, self.n_latent, self.encoder, self.width, self.depth)

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
        """
        mean, sd = self._mean_and_sd(X)
        return (self._in_kind(mean, X), self._in_kind(sd, X)) if return_std else self._in_kind(mean, X)

    def predict_interval(self, X: Any, share: float = 0.95) -> Interval:
        """Between which ends a share of the y lie, point by point, judged by the held-out pairs.

        Errors have longer tails than a Gaussian: more sds than its 1.96 hold 95 % of them.
        """
        if not 0 < share < 1:
            raise ShapeshiftError(f"got share={share!r}, needed a share between 0 and 1, as 0.95.")
        mean, sd = self._mean_and_sd(X)
        half = self.calibration_.reach(share) * sd
        return Interval(self._in_kind(mean - half, X), self._in_kind(mean + half, X))

    def transform(self, X: Any) -> np.ndarray:
        """Latents (n, n_latent): means of q(z | x), of the first start."""
        return self._told(X).z.numpy().astype(_precision(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions: the share of the variance of y they explain, all points together."""
        check_is_fitted(self, "starts_")
        known = rows_of(y, self.y_side_, "VED", "Y")
        mean, _ = self._mean_and_sd(X)
        return float(r2_score(known, mean, sample_weight=sample_weight, multioutput="variance_weighted"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one safetensors file (see :func:`shapeshift.load`)."""
        check_is_fitted(self, "starts_")
        write(path, *described(self))

    def export(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write :meth:`predict` to one ONNX file, as :meth:`ShiftVAE.export <shapeshift.ShiftVAE.export>`.

        Input: ``x`` (n, ...) float32 as the X of the fit; outputs: ``y`` and ``y_sd`` (n, ...) as its Y.
        """
        check_is_fitted(self, "starts_")
        write_graph(check_place(path, force=force), pair_graph(self))

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

    def _scaled(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.x_scaling_.apply(rows)).float()

    def _validated(self, X: Any, rows: np.ndarray, *, reset: bool) -> None:
        """scikit-learn's own checks: number and names of features, enough pairs."""
        shown = X if hasattr(X, "columns") and not is_named(X) else rows
        least: dict[str, Any] = {"ensure_min_samples": FEWEST, "ensure_min_features": 2} if reset else {}
        validate_data(self, shown, reset=reset, dtype=[np.float64, np.float32], **least)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.starts_.networks[0].n_latent  # an unfitted estimator has none


def _precision(X: Any) -> type[np.floating]:
    return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64
