"""The estimator that tells one measurement from another: image or spectrum to image or spectrum."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    MultiOutputMixin,
    RegressorMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data
from torch import Tensor

from shapeshift.data.pairs import as_pairs, is_named
from shapeshift.data.preprocess import Affine, whole_set
from shapeshift.errors import ShapeshiftError
from shapeshift.fit.held_out import calibrated
from shapeshift.fit.journal import Journal, Kept, journal_of
from shapeshift.fit.options import plain
from shapeshift.fit.progress import Progress
from shapeshift.fit.train import Plan
from shapeshift.fit.translate import Pattern, Starts, epochs_for, fit_starts, told
from shapeshift.fit.translated import Translating
from shapeshift.fit.translation_file import check_choices

FEWEST = 5  # pairs, of which two are held out


@final
class VED(Translating, RegressorMixin, MultiOutputMixin, BaseEstimator):
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

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).random((40, 8, 6))
        >>> model = ss.VED(n_latent=2, epochs=3, n_starts=1).fit(images, images.sum(1))
        >>> model.n_pairs_, model.converged_
        (40, True)
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
