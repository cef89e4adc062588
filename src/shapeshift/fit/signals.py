"""What the estimators of signals share: an axis, a shift, and what is asked of a fitted model."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from shapeshift.data import preprocess
from shapeshift.data.grids import are_several, each_of
from shapeshift.data.lanes import NAME as CHANNEL
from shapeshift.data.lanes import Lanes
from shapeshift.errors import ShapeshiftError, printable
from shapeshift.fit.bank import Bank
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.empty import empty_line
from shapeshift.fit.export import check_place, signal_graph, write
from shapeshift.fit.gauge import sentence
from shapeshift.fit.intake import axis_of, scaled, taken, tensors, units
from shapeshift.fit.measured import drawn_as_measured, posterior_as_measured
from shapeshift.fit.options import check_choices, design_of
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.reading import glance_of, plane, pose_tensor, posterior_of, prior_sd, signal_zero
from shapeshift.fit.schema import SIGNALS
from shapeshift.fit.search import Found
from shapeshift.fit.start import Design
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

    _schema = SIGNALS
    lanes_: Lanes | None = None

    def _check(self) -> None:
        check_choices(self)

    def _taken(self, X: Any, x: Any = None, *, reset: bool = False) -> Stack:
        return taken(self, X, x, reset=reset)

    def _adopt(self, stack: Stack) -> None:
        self.lanes_ = stack.lanes
        axis = stack.lanes.axis if stack.lanes else stack.axis
        self.axis_, self.axis_name_, self.axis_units_ = axis.values, axis.name, axis.units
        self.notes_ = stack.notes
        own = stack.measured
        self.sampled_ = own[0].axis if len(own) == 1 and len(own[0].values) == len(stack.values) else None

    def _design(self, likelihood: Likelihood, undecided: bool) -> Design:
        return design_of(self, likelihood, self._axis, undecided=undecided)

    def _geometry(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        told: dict[str, Any] = {"axis": {"name": self.axis_name_, "units": self.axis_units_}}
        tensors = {"axis": torch.tensor(self.axis_)}
        if self.sampled_ is not None:
            tensors["sampled"] = torch.tensor(self.sampled_)
        if self.lanes_ is not None:
            told["channels"] = self.lanes_.as_dict()
        return told, tensors

    def _take_geometry(self, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        axis = tensors["axis"].double().numpy()
        self.axis_ = axis
        self.sampled_ = tensors["sampled"].double().numpy() if "sampled" in tensors else None
        self.axis_name_, self.axis_units_ = (printable(description["axis"][k]) for k in ("name", "units"))
        lanes = description.get("channels")
        self.lanes_ = lanes and Lanes.from_dict(lanes, axis_of(self))
        self.n_features_in_ = len(axis) * (self.lanes_.count if self.lanes_ else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # a sample that was not measured
        return tags

    def _empty(self, design: Design, bank: Bank, tensors: dict[str, torch.Tensor]) -> PoseVAE:
        return empty_line(design, len(self._axis.values), bank, tensors)

    def _resolved(self) -> dict[str, Any]:
        self.shift_sd_ = prior_sd(self.fitted_.vae) * self._axis.half
        return {"shift_sd": self.shift_sd_ or None}

    @property
    def _axis(self) -> Axis:
        return self.lanes_.line if self.lanes_ else axis_of(self)

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
        if stack.measured:
            return posterior_as_measured(self, stack, given, found)
        gain = units(self, stack)
        p = posterior_of(self.fitted_, *tensors(self, stack), given, zero, gain, axis, stack, found)
        if stack.lanes:
            p = replace(p, log_evidence=p.log_evidence - stack.lanes.nats(stack.values))
        return p

    def _drawn(self, stack: Stack, given: torch.Tensor) -> tuple[Stack, np.ndarray]:
        return drawn_as_measured(self, stack, given) if stack.measured else super()._drawn(stack, given)

    def _poses(self, shapes: torch.Tensor, *poses: Any) -> torch.Tensor:
        (shift,) = poses
        moved = np.broadcast_to(np.asarray(shift, dtype=np.float64) / self._axis.half, (len(shapes),))
        return pose_tensor(self.fitted_, moved, shapes, self.zero)

    def align(self, X: Any, *, x: Any = None, condition: Any = None) -> Any:
        """The signals themselves, moved back to shift 0.

        Parameters
        ----------
        X : as in :meth:`fit`
        x : array (P,), optional
            Axis of plain arrays, in axis units.
        condition : as in :meth:`fit`, or one for all
            Where the model was fitted with one.

        Returns
        -------
        as X
            In kind, of the same shape and units; nan where nothing was measured.

        Raises
        ------
        ShapeshiftError
            As :meth:`posterior`.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> aligned = ss.ShiftVAE(epochs=3).fit(X).align(X)
        >>> aligned.dims, aligned.shape
        (('signal', 'x'), (60, 100))
        """
        check_is_fitted(self, "fitted_")
        if are_several(X):
            return each_of(self.align, X, x, condition)
        stack = self._taken(X, x)
        p = self.posterior(X, x=x, condition=condition)
        return stack.like_given(preprocess.moved_back(stack.values, p.shift / self._axis.step))

    def generate(self, z: Any, shift: Any = 0.0, *, condition: Any = None) -> np.ndarray:
        """Noise-free signals of shapes.

        Parameters
        ----------
        z : array (m, n_latent)
            In units of their prior.
        shift : float or array (m,)
            In axis units; positive moves the pattern towards larger axis values.
        condition : one of all, or of each
            Where the model was fitted with one.

        Returns
        -------
        ndarray (m, P), or (m, C, P) of several channels
            In the units of the data; with ``normalise``, of normalised signals.

        Raises
        ------
        ShapeshiftError
            If z has another number of columns than the model has latents, or a condition is missing.

        Notes
        -----
        f(u - t; z) of the canonical signal f, read by cubic B-splines (Unser 1999, IEEE Signal Process. Mag.
        16, 22).

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> model = ss.ShiftVAE(n_latent=2, epochs=3).fit(X)
        >>> model.generate([[0.0, 0.0], [1.0, 0.0]], shift=2.5).shape
        (2, 100)
        """
        line = self._generated(z, condition, shift)
        return self.lanes_.parted(line) if self.lanes_ else line

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

        Returns
        -------
        None

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
        if self.lanes_:
            raise ShapeshiftError(
                "got a model of several channels, which no graph here can hold: export a fit to one of them."
            )
        write(check_place(path, force=force), signal_graph(self, steps))

    def manifold(self, n: int = 10, *, condition: Any = None) -> xr.DataArray:
        """Signals at shift 0 over the plane of the first two latents; later ones stay at 0.

        Parameters
        ----------
        n : int
            Points along each latent: quantiles of the prior from 5 to 95 % (Kingma & Welling 2014,
            arXiv:1312.6114, appendix A).
        condition : label or numbers
            Where the model was fitted with one. Of a model with classes without one: all of them.

        Returns
        -------
        xarray.DataArray (z2, z1, axis)
            In the units of the data; (z1, axis) of one latent, with a dimension "class" or "channel" where
            there are several.

        Raises
        ------
        ShapeshiftError
            If a condition is missing.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> ss.ShiftVAE(n_latent=2, epochs=3).fit(X).manifold(5).sizes
        Frozen({'z2': 5, 'z1': 5, 'x': 100})
        """
        import xarray as xr

        if self.classes_ is not None and condition is None:
            return self._of_every_class(self.manifold, n)
        points, z = plane(n, self.n_latent)
        names = ["z2", "z1"][-min(2, self.n_latent) :]
        values = self.generate(z, condition=condition)
        values = values.reshape(*[n] * len(names), *values.shape[1:])
        inner = [self.axis_name_] if self.lanes_ is None else [CHANNEL, self.axis_name_]
        out = xr.DataArray(values, dims=[*names, *inner], coords={k: points for k in names})
        if self.lanes_ is not None:
            out = out.assign_coords({CHANNEL: list(self.lanes_.names)})
        return out.assign_coords(
            {self.axis_name_: (self.axis_name_, self.axis_, {"units": self.axis_units_})}
        )
