"""Estimators with scikit-learn's manners around the one model."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from shapeshift.data import preprocess
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import checkpoint, recipe
from shapeshift.fit.gauge import sentence
from shapeshift.fit.intake import axis_of, scaled, taken, tensors, units
from shapeshift.fit.options import check_choices, design_of, likelihood_name, plain, plan_of, scaling_of
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.progress import Progress
from shapeshift.fit.reading import drawn, glance_of, plane, pose_tensor, posterior_of, prior_sd
from shapeshift.fit.restore import described
from shapeshift.fit.train import History

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.coordinates import Axis, Stack


@final
class ShiftVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Variational autoencoder whose one pose latent can only move the pattern.

    Parameters
    ----------
    n_latent : int
        Shape latents K >= 1. Those the data do not need collapse to their prior.
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
        Weight of the KL terms: one number, ``{"shift": 1.0, "z": 1.0}``, or a function of the share
        of training done (0 to 1) that returns such a mapping.
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

    def __init__(
        self,
        n_latent: int = 2,
        *,
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
        width: int = 64,
        depth: int = 2,
        progress: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_latent = n_latent
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
        self.width = width
        self.depth = depth
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, x: Any = None) -> ShiftVAE:
        """Fit to signals.

        Parameters
        ----------
        X : array (n, length) or xarray.DataArray (..., length)
            The last dimension is the axis of the signals; others may form a map.
        y : ignored
        x : array (length,), optional
            Axis of a plain array.

        Returns
        -------
        ShiftVAE

        Raises
        ------
        ShapeshiftError
            Data or options that cannot be used; the message says what is needed.
        """
        check_choices(self)
        stack = taken(self, X, x, reset=True)
        begin = time.perf_counter()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        generator = torch.Generator().manual_seed(seed)
        self._adopt(stack)
        normalised = preprocess.per_signal(stack.values, self.normalise).apply(stack.values)
        name = likelihood_name(self.likelihood, normalised)
        self.scaling_ = scaling_of(name, normalised)
        values, noise = tensors(self, stack)
        plan = plan_of(self, len(values))
        with Progress(self.progress, plan.epochs) as on_epoch:
            design = design_of(self, name, normalised, self._axis)
            self.fitted_ = recipe.fit(design, plan, values, noise, generator, on_epoch=on_epoch)
        self.fit_seconds_ = time.perf_counter() - begin
        self._conclude(len(values), plan.epochs)
        return self

    def _adopt(self, stack: Stack) -> None:
        axis = stack.axis
        self.axis_, self.axis_name_, self.axis_units_ = axis.values, axis.name, axis.units
        self.notes_ = stack.notes

    def _conclude(self, n_signals: int, epochs: int) -> None:
        self.shift_sd_ = prior_sd(self.fitted_.vae) * self._axis.half
        self.n_signals_ = n_signals
        self.converged_ = self.history_.stopped in ("finished", "patience")
        resolved = {"epochs": epochs, "shift_sd": self.shift_sd_ or None}
        self.options_ = {k: plain(v) for k, v in (self.get_params(deep=False) | resolved).items()}

    @property
    def history_(self) -> History:
        """What happened while training, one entry an epoch."""
        return self.fitted_.history

    @property
    def likelihood_(self) -> str:
        """The likelihood's name, as resolved."""
        return self.fitted_.vae.likelihood.name

    @property
    def nuisance_(self) -> tuple[str, ...]:
        """What is solved for in closed form, as resolved."""
        return self.fitted_.vae.nuisance.names if self.fitted_.vae.nuisance else ()

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
        return sentence(self.zero, self.fitted_.reference, place)

    def posterior(self, X: Any, *, x: Any = None, refine: bool = True) -> Posterior:
        """Shift, shape and noise of every signal, with error bars.

        Parameters
        ----------
        X : as in :meth:`fit`
        refine : bool
            False for the encoder alone: several times faster, with larger errors and the encoder's own
            error bars; noise, evidence and flags are not known then.

        Returns
        -------
        Posterior
        """
        check_is_fitted(self, "fitted_")
        check_choices(self)
        stack = taken(self, X, x)
        if not refine:
            return glance_of(self.fitted_, scaled(self, stack), self.zero, self._axis, stack)
        return posterior_of(
            self.fitted_, *tensors(self, stack), self.zero, units(self, stack), self._axis, stack
        )

    def transform(self, X: Any) -> np.ndarray:
        """Shape latents (n, n_latent): means of the posterior."""
        p = self.posterior(X)
        return p.z.astype(np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log evidence of the signals, in nats, in the units of the data."""
        return float(self.posterior(X).log_evidence.mean())

    def reconstruct(self, X: Any, *, x: Any = None) -> Any:
        """The model's noise-free signals at the posterior, in kind and in the units of X."""
        check_is_fitted(self, "fitted_")
        stack = taken(self, X, x)
        values, _, _ = drawn(self.fitted_, *tensors(self, stack))
        own = preprocess.per_signal(stack.values, self.normalise)
        return stack.like_given(own.undo(self.scaling_.undo(values)))

    def align(self, X: Any, *, x: Any = None) -> Any:
        """The signals themselves, moved back to shift 0; nan where nothing was measured."""
        check_is_fitted(self, "fitted_")
        stack = taken(self, X, x)
        p = self.posterior(X, x=x)
        return stack.like_given(preprocess.moved_back(stack.values, p.shift / self._axis.step))

    def generate(self, z: Any, shift: Any = 0.0) -> np.ndarray:
        """Noise-free signals (m, length) of shapes z (m, n_latent) at shifts (axis units).

        With ``normalise``, amplitudes are those of normalised signals.
        """
        check_is_fitted(self, "fitted_")
        shapes = torch.as_tensor(np.atleast_2d(np.asarray(z, dtype=np.float32)))
        if shapes.shape[1] != self.n_latent:
            raise ShapeshiftError(f"got z of {shapes.shape[1]} columns, needed n_latent = {self.n_latent}.")
        moved = np.broadcast_to(np.asarray(shift, dtype=np.float64) / self._axis.half, (len(shapes),))
        vae = self.fitted_.vae
        with torch.no_grad():
            pose = pose_tensor(self.fitted_, moved, shapes, self.zero)
            values = vae.expected(vae.values(pose, shapes))
        return self.scaling_.undo(values.double().numpy())

    def amplitudes(self, X: Any) -> np.ndarray:
        """Gain and offset (n, 2) that ``normalise`` took off every signal: x = gain * normalised + offset."""
        own = preprocess.per_signal(taken(self, X).values, self.normalise)
        return np.hstack([own.gain, own.offset])

    def manifold(self, n: int = 10) -> xr.DataArray:
        """Signals at shift 0 over the latent plane: DataArray (z2, z1, axis), or (z1, axis) for one latent.

        Points are the n quantiles of the prior, from 5 to 95 %, as in arXiv:1312.6114, appendix A;
        latents after the second stay at 0.
        """
        import xarray as xr

        points, z = plane(n, self.n_latent)
        names = ["z2", "z1"][-min(2, self.n_latent) :]
        values = self.generate(z).reshape(*[n] * len(names), -1)
        out = xr.DataArray(values, dims=[*names, self.axis_name_], coords={k: points for k in names})
        return out.assign_coords(
            {self.axis_name_: (self.axis_name_, self.axis_, {"units": self.axis_units_})}
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one safetensors file (see :func:`shapeshift.load`)."""
        check_is_fitted(self, "fitted_")
        checkpoint.write(path, *described(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.fitted_.vae.n_latent  # an unfitted estimator has none
