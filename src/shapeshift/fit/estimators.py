"""The estimator of signals: shift and shape."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from shapeshift.data import preprocess
from shapeshift.fit.bank import Bank
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.export import check_place, signal_graph, write
from shapeshift.fit.gauge import sentence
from shapeshift.fit.intake import axis_of, scaled, taken, tensors, units
from shapeshift.fit.options import check_choices, design_of
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.reading import glance_of, plane, pose_tensor, posterior_of, prior_sd, signal_zero
from shapeshift.fit.search import Found
from shapeshift.fit.start import Design, empty_line
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.coordinates import Axis, Stack


class SignalModel(PoseEstimator):
    """A model of signals: all but what is fitted to. Parameters as of :class:`ShiftVAE`."""

    def __init__(
        self,
        n_latent: int = 2,
        *,
        n_classes: int | None = None,
        warps: tuple[str, ...] = ("shift",),
        decoder: Any = "template",
        encoder: Any = None,
        likelihood: str = "auto",
        shift_sd: float | None = None,
        zero: str = "reference",
        nuisance: tuple[str, ...] | None = None,
        normalise: str | None = None,
        epochs: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 4e-3,
        held_out: float = 0.1,
        patience: int | None = None,
        kl_weight: Any = 1.0,
        averaging: float = 0.0,
        n_starts: int = 1,
        width: int = 64,
        depth: int = 2,
        progress: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_latent = n_latent
        self.n_classes = n_classes
        self.warps = warps
        self.decoder = decoder
        self.encoder = encoder
        self.likelihood = likelihood
        self.shift_sd = shift_sd
        self.zero = zero
        self.nuisance = nuisance
        self.normalise = normalise
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.held_out = held_out
        self.patience = patience
        self.kl_weight = kl_weight
        self.averaging = averaging
        self.n_starts = n_starts
        self.width = width
        self.depth = depth
        self.progress = progress
        self.random_state = random_state

    def _check(self) -> None:
        check_choices(self)

    def _taken(self, X: Any, x: Any = None, *, reset: bool = False) -> Stack:
        return taken(self, X, x, reset=reset)

    def _adopt(self, stack: Stack) -> None:
        axis = stack.axis
        self.axis_, self.axis_name_, self.axis_units_ = axis.values, axis.name, axis.units
        self.notes_ = stack.notes

    def _design(self, likelihood: Likelihood, undecided: bool) -> Design:
        return design_of(self, likelihood, self._axis, undecided=undecided)

    def _geometry(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        axis = {"name": self.axis_name_, "units": self.axis_units_}
        return {"axis": axis}, {"axis": torch.tensor(self.axis_)}

    def _take_geometry(self, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        axis = tensors["axis"].double().numpy()
        self.axis_, self.n_features_in_ = axis, len(axis)
        self.axis_name_, self.axis_units_ = description["axis"]["name"], description["axis"]["units"]

    def _empty(self, design: Design, bank: Bank) -> PoseVAE:
        return empty_line(design, len(self.axis_), bank)

    def _resolved(self) -> dict[str, Any]:
        self.shift_sd_ = prior_sd(self.fitted_.vae) * self._axis.half
        return {"shift_sd": self.shift_sd_ or None}

    @property
    def _axis(self) -> Axis:
        return axis_of(self)

    @property
    def axis_step_(self) -> float:
        """Distance of two samples, in axis units."""
        return self._axis.step

    @property
    def origin_(self) -> float:
        """Axis value at which shift is 0: the centre of the axis."""
        return self._axis.centre

    @property
    def zero_(self) -> str:
        """The convention of the zero, in a sentence."""
        place = f"{self._axis.centre_told} {self.axis_units_}".strip() + " (the centre of the axis)"
        return sentence(self.zero, signal_zero(self.fitted_), place)

    def _read(self, stack: Stack, given: torch.Tensor, refine: bool, found: Found | None = None) -> Posterior:
        zero, axis = self.zero, self._axis
        if not refine:
            return glance_of(self.fitted_, scaled(self, stack), given, zero, axis, stack)
        gain = units(self, stack)
        return posterior_of(self.fitted_, *tensors(self, stack), given, zero, gain, axis, stack)

    def _poses(self, shapes: torch.Tensor, *poses: Any) -> torch.Tensor:
        (shift,) = poses
        moved = np.broadcast_to(np.asarray(shift, dtype=np.float64) / self._axis.half, (len(shapes),))
        return pose_tensor(self.fitted_, moved, shapes, self.zero)

    def align(self, X: Any, *, x: Any = None, condition: Any = None) -> Any:
        """The signals themselves, moved back to shift 0; nan where nothing was measured."""
        check_is_fitted(self, "fitted_")
        stack = self._taken(X, x)
        p = self.posterior(X, x=x, condition=condition)
        return stack.like_given(preprocess.moved_back(stack.values, p.shift / self._axis.step))

    def generate(self, z: Any, shift: Any = 0.0, *, condition: Any = None) -> np.ndarray:
        """Noise-free signals (m, length) of shapes z (m, n_latent) at shifts (axis units), given a condition
        of all or of each where the model was fitted with one.

        With ``normalise``, amplitudes are those of normalised signals.
        """
        return self._generated(z, condition, shift)

    def export(self, path: str | os.PathLike[str], *, steps: int = 0, force: bool = False) -> None:
        """Write the fitted model to one ONNX file, which onnxruntime runs without PyTorch and shapeshift.

        Input: ``signals`` (n, length) float32 in the units of the data, in the order of ``axis_``;
        ``condition`` (n, c) where the model was fitted with numbers. Outputs: ``shift`` and ``shift_sd`` (n,)
        in axis units, ``z`` and ``z_sd`` (n, n_latent), ``trust`` (n,) of bool. Axis, units, zero and what
        ``trust`` means stand in the file's metadata. Needs the extra ``edge``.

        Parameters
        ----------
        path : path
        steps : int
            0 for what ``posterior(X, refine=False)`` says; more for so many refining steps, which bring error
            and error bars near to those of ``posterior(X)``. Two are nearly all of it.
        force : bool
            Replace a file that exists.

        Raises
        ------
        ShapeshiftError
            Packages are missing, the place is taken, or a graph cannot hold the model: classes, labels, own
            networks.

        Examples
        --------
        >>> import os, tempfile, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=0)
        >>> model = ss.ShiftVAE(epochs=2).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(os.path.join(folder, "model.onnx"))
        ...     os.listdir(folder)
        ['model.onnx']
        """
        check_is_fitted(self, "fitted_")
        self._check()
        write(check_place(path, force=force), signal_graph(self, steps))

    def manifold(self, n: int = 10, *, condition: Any = None) -> xr.DataArray:
        """Signals at shift 0 over the latent plane: DataArray (z2, z1, axis), or (z1, axis) for one latent.

        Points are the n quantiles of the prior, from 5 to 95 %, as in arXiv:1312.6114, appendix A;
        latents after the second stay at 0. A model with
        classes has one manifold a class: without a condition all of them, along a dimension "class".
        """
        import xarray as xr

        if self.classes_ is not None and condition is None:
            return self._of_every_class(self.manifold, n)
        points, z = plane(n, self.n_latent)
        names = ["z2", "z1"][-min(2, self.n_latent) :]
        values = self.generate(z, condition=condition).reshape(*[n] * len(names), -1)
        out = xr.DataArray(values, dims=[*names, self.axis_name_], coords={k: points for k in names})
        return out.assign_coords(
            {self.axis_name_: (self.axis_name_, self.axis_, {"units": self.axis_units_})}
        )


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

    def fit(self, X: Any, y: Any = None, *, x: Any = None, condition: Any = None) -> ShiftVAE:
        """Fit to signals.

        Parameters
        ----------
        X : array (n, length) or xarray.DataArray (..., length)
            The last dimension is the axis of the signals; others may form a map.
        y : ignored
        x : array (length,), optional
            Axis of a plain array.
        condition : array (n,) of labels, or (n,) or (n, c) of float, optional
            What is known of every signal besides: shapes are then learned given it, and everything that is
            asked of the model needs it too. See :class:`~shapeshift.data.conditions.Condition`.

        Returns
        -------
        ShiftVAE

        Raises
        ------
        ShapeshiftError
            Data or options that cannot be used; the message says what is needed.
        """
        return self._fit(X, x, condition)
