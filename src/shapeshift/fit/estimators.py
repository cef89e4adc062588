"""The estimators of signals and of images: where and what."""

from __future__ import annotations

from typing import Any, final

from shapeshift.fit.images import ImageModel
from shapeshift.fit.journal import Kept
from shapeshift.fit.signals import SignalModel


@final
class ShiftVAE(SignalModel):
    """Variational autoencoder whose one pose latent can only move the pattern.

    Parameters
    ----------
    n_latent : int
        Shape latents K >= 1. Those the data do not need collapse to their prior.
    n_classes : int, optional
        Kinds of patterns to be told apart without labels: a latent class beside pose and shape, every value
        of it tried; ``predict`` and ``predict_proba`` then tell it.
    warps : tuple of str
        ``("shift",)``, or ``()`` for the ordinary VAE.
    decoder : "template", "coordinate" or torch module
        The canonical signal on a wider grid, read by cubic splines (fast); the article's network of
        the coordinate; or an own module that maps z (B, K) to a field, a function of coordinates
        (B, P, 1) that returns values (B, P).
    encoder : torch module, optional
        An own module that maps moved-back signals (B, P) and their masks (B, P) to
        :class:`~shapeshift.model.latents.Factors`.
    likelihood : str
        "auto": "poisson" for whole numbers that scatter as counts do, "student-t" where the data hold
        spikes, "gaussian" otherwise. Or one of these names, "bernoulli" (zeros and ones) or
        "continuous-bernoulli" (numbers from 0 to 1).
    shift_sd : float, optional
        Standard deviation of the shift's prior in axis units. By default found from the data.
    zero : "reference", "peak" or "centroid"
        What shift 0 means, see :mod:`shapeshift.fit.gauge`; may be changed after the fit.
    nuisance : tuple of "gain", "offset", "baseline", optional
        What every signal has of its own, solved in closed form so that no latent is spent on it: a gain,
        a constant, a polynomial of degree 2 that stays while the pattern moves. By default found from
        the data; () for none.
    normalise : None, "max", "area", "sd" or "minmax"
        Of every signal by itself, undone in :meth:`reconstruct`.
    epochs : int, optional
        By default as many as make up about 900 optimiser steps.
    batch_size : int
    learning_rate : float
        Peak of the one-cycle schedule.
    held_out : float
        Share of the signals that judges when to stop.
    patience : int, optional
        Epochs without a better held-out loss before training stops; by default a third of all.
    kl_weight : float, mapping or callable
        Weight of the KL terms: one number, ``{"shift": 1.0, "z": 1.0}`` whose values may be functions of
        the share of training done (0 to 1), or a function of it that returns such a mapping.
    averaging : float
        Share of the training, at its end, over whose steps the weights are averaged; the average is taken
        where it explains held-out signals better.
    n_starts : int
        Fits from so many starts; the one with the least held-out loss is kept.
    width, depth : int
        Hidden units of a layer, and hidden layers, of encoder and decoder.
    progress : bool
        Show a progress bar on stderr.
    random_state : int, RandomState or None
        Same seed, same machine: the same numbers to the bit.

    Attributes
    ----------
    axis_ : ndarray (length,)
    axis_name_, axis_units_ : str
    shift_sd_ : float
        Prior sd of the shift in axis units (0 without the warp).
    history_ : History
    converged_ : bool
    fit_seconds_ : float
    n_signals_ : int
    origin_ : float
        Axis value at which shift is 0.
    zero_ : str
        The zero in a sentence.
    options_ : dict
        Every option as it was resolved.
    notes_ : tuple of str
        What was done to the axis of the data.
    n_features_in_ : int

    References
    ----------
    Ziatdinov & Kalinin 2021, arXiv:2104.10207; Bepler et al. 2019, arXiv:1909.11663.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=300, seed=0)
    >>> model = ss.ShiftVAE(epochs=10).fit(X)
    >>> p = model.posterior(X)
    >>> p.shift.shape, p.z.shape
    ((300,), (300, 2))
    """

    def fit(
        self, X: Any, y: Any = None, *, x: Any = None, condition: Any = None, checkpoint: Kept = None
    ) -> ShiftVAE:
        """Fit to signals.

        Parameters
        ----------
        X : array (n, length) or xarray.DataArray (..., length), or a list of such
            The last dimension is the axis of the signals; others may form a map. Stacks in a list may each
            have an axis of their own: another length, step or window, in the same units. Samples that were
            not measured are nan, or masked in a numpy masked array: they count for nothing.
            Channels that share one shift are an array (n, channel, length), or a dimension "channel" of a
            DataArray: each counts by its own noise, and may have its own baseline.
        y : ignored
        x : array (length,), optional
            Axis of a plain array, uniform or not, or time stamps; of a list, a list.
        condition : array (n,) of labels, or (n,) or (n, c) of float, optional
            What is known of every signal besides: shapes are then learned given it, and everything that is
            asked of the model needs it too. See :class:`~shapeshift.data.conditions.Condition`.
        checkpoint : Checkpoint or path, optional
            A folder for the state of the fit, which is written down every so many epochs: a fit that was
            killed then goes on from there. See :class:`~shapeshift.Checkpoint`.

        Returns
        -------
        ShiftVAE

        Raises
        ------
        ShapeshiftError
            Data or options that cannot be used; the message says what is needed.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> model = ss.ShiftVAE(n_latent=1, epochs=3).fit(X)
        >>> model.n_signals_, model.axis_name_
        (60, 'x')
        """
        return self._fit(X, x, condition, checkpoint=checkpoint)


@final
class ImageVAE(ImageModel):
    """Variational autoencoder of images whose pose latents can only turn, displace and scale the pattern.

    Parameters
    ----------
    n_latent : int
        Shape latents K >= 1. Those the data do not need collapse to their prior.
    n_classes : int, optional
        Kinds of patterns to be told apart without labels: a latent class beside pose and shape, every value
        of it tried; ``predict`` and ``predict_proba`` then tell it.
    warps : tuple of "rotation", "shift", "scale"
        What may move the pattern, in any mix; ``()`` for the ordinary VAE.
    image_shape : (h, w) or (c, h, w), optional
        Shape of images that come flattened, (n, h*w); by default they are square.
    decoder : "template", "coordinate" or torch module
        The canonical image on a wider grid, read by cubic splines (fast); a network of the coordinates; or
        an own module that maps z (B, K) to a field, a function of coordinates (B, P, 2), rows first, that
        returns values (B, channels P).
    encoder : "dense", "conv" or torch module
        Fully connected or convolutional, of images moved back; or an own module that maps them (B, M) and
        their masks (B, M) to :class:`~shapeshift.model.latents.Factors`.
    likelihood : str
        As of :class:`~shapeshift.ShiftVAE`.
    rotation_sd : float, optional
        Standard deviation of the rotation's prior, in degrees. By default found from the data: uniform over
        the full turn where images are turned to all sides alike.
    shift_sd, scale_sd : float, optional
        Of the displacement's (axis units) and the log scale's prior; by default found from the data.
    nuisance : tuple of "gain", "offset"
        What every image has of its own, solved in closed form.
    normalise : None, "max", "area", "sd" or "minmax"
        Of every image by itself, undone in :meth:`reconstruct`.
    epochs : int, optional
        By default as many as make up about 600 optimiser steps.
    batch_size, learning_rate, held_out, patience, kl_weight, averaging, n_starts
        As of :class:`~shapeshift.ShiftVAE`; ``kl_weight`` also knows "rotation" and "scale".
    width, depth, progress, random_state
        As of :class:`~shapeshift.ShiftVAE`.

    Attributes
    ----------
    raster_ : Raster
        Rows, columns and channels, with units.
    prior_sd_ : dict
        Prior sd by the warps' names: degrees (None: uniform), axis units, log scale.
    history_, converged_, fit_seconds_, n_signals_, zero_, options_, notes_, n_features_in_
        As of :class:`~shapeshift.ShiftVAE`.

    References
    ----------
    Bepler et al. 2019, arXiv:1909.11663 (rotation and translation as latents of their own); Ziatdinov &
    Kalinin 2021, arXiv:2104.10207; Frey & Jojic 2003, IEEE Trans. Pattern Anal. Mach. Intell. 25, 1 (search
    over transformations).

    Examples
    --------
    >>> import numpy as np, shapeshift as ss
    >>> turned = [np.rot90(np.eye(12)[:, :9], k) for k in (0, 2)] * 20
    >>> model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=4).fit(np.stack(turned))
    >>> model.posterior(np.stack(turned)).rotation.shape
    (40,)
    """

    def fit(self, X: Any, y: Any = None, *, condition: Any = None, checkpoint: Kept = None) -> ImageVAE:
        """Fit to images.

        Parameters
        ----------
        X : array (n, h, w), (n, h, w, c), (n, c, h, w), (n, h*w), or xarray.DataArray (..., h, w)
            Leading dimensions of a DataArray may form a map; a dimension "channel" may precede the rows.
        y : ignored
        condition : array (n,) of labels, or (n,) or (n, c) of float, optional
            As in :meth:`ShiftVAE.fit <shapeshift.ShiftVAE.fit>`.
        checkpoint : Checkpoint or path, optional
            As in :meth:`ShiftVAE.fit <shapeshift.ShiftVAE.fit>`.

        Returns
        -------
        ImageVAE

        Raises
        ------
        ShapeshiftError
            Data or options that cannot be used; the message says what is needed.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).normal(size=(24, 9, 9)) + 9 * np.eye(9)
        >>> model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=1).fit(images)
        >>> model.raster_.shape
        (1, 9, 9)
        """
        return self._fit(X, condition=condition, checkpoint=checkpoint)
