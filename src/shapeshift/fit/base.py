"""What the estimators of signals and of images share: scikit-learn's manners around the one model."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from shapeshift.data import preprocess
from shapeshift.data.conditions import Condition
from shapeshift.errors import ShapeshiftError
from shapeshift.fit import recipe
from shapeshift.fit.answers import Answers
from shapeshift.fit.bank import Bank
from shapeshift.fit.checkpoint import write
from shapeshift.fit.intake import tensors
from shapeshift.fit.journal import Journal, Kept, Part, journal_of
from shapeshift.fit.labels import Kinds
from shapeshift.fit.options import likelihood_name, likelihood_of, plain, plan_of, scaling_of
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.progress import Progress
from shapeshift.fit.reading import drawn
from shapeshift.fit.restore import described
from shapeshift.fit.schema import Schema
from shapeshift.fit.search import Found
from shapeshift.fit.spread import drawn_shapes
from shapeshift.fit.start import Design
from shapeshift.fit.starts import fit_best
from shapeshift.fit.streaming import drawn as drawn_from
from shapeshift.fit.train import History
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    import xarray as xr
    from typing_extensions import Self


class PoseEstimator(Answers, BaseEstimator, ABC):
    """An estimator around :class:`~shapeshift.model.vae.PoseVAE`: what does not depend on the geometry."""

    n_latent: int
    likelihood: str
    normalise: str | None
    decoder: Any
    random_state: Any
    fit_seconds_: float
    progress: bool
    n_starts: int
    scaling_: preprocess.Affine
    fitted_: recipe.Fitted
    n_signals_: int
    notes_: tuple[str, ...]
    condition_: Condition | None = None
    classes_: np.ndarray | None = None
    n_classes: int | None
    _schema: Mapping[str, Schema]  # of the description in a model file

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to data."""

    @abstractmethod
    def _check(self) -> None:
        """Refuse options that mean nothing."""

    @abstractmethod
    def _taken(self, X: Any, x: Any = None, *, reset: bool = False) -> Any:
        """Checked data; with ``reset`` their geometry is to become the model's."""

    @abstractmethod
    def _adopt(self, stack: Any) -> None:
        """Take over the geometry of the data."""

    @abstractmethod
    def _design(self, likelihood: Likelihood, undecided: bool) -> Design:
        """The model to build."""

    @abstractmethod
    def _read(self, stack: Any, given: Tensor, refine: bool, found: Found | None = None) -> Posterior:
        """The posterior of checked data (n rows), of which (n, c) is given."""

    @abstractmethod
    def _geometry(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The geometry of the data for a model file: description and tensors."""

    @abstractmethod
    def _take_geometry(self, description: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """The inverse."""

    @abstractmethod
    def _empty(self, design: Design, bank: Bank, tensors: dict[str, Tensor]) -> PoseVAE:
        """The network of the right sizes, to be filled with stored weights once these are known to fit."""

    @abstractmethod
    def _poses(self, shapes: Tensor, *poses: Any) -> Tensor:
        """Raw poses (m, G) of shapes (m, K + c)."""

    @abstractmethod
    def _resolved(self) -> dict[str, Any]:
        """Options that were found from the data."""

    def _fit(
        self,
        X: Any,
        x: Any = None,
        condition: Any = None,
        *,
        kinds: Kinds | None = None,
        checkpoint: Kept = None,
    ) -> Self:
        """Fit; with kinds the class of every signal is a latent too, known where a label says so."""
        self._check()
        kinds = kinds or Kinds.unlabelled(self.n_classes)
        X, condition, kinds, told = drawn_from(self, X, condition, kinds)
        stack = self._taken(X, x, reset=True)
        begin = time.perf_counter()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        generator = torch.Generator().manual_seed(seed)
        self._adopt(stack)
        self.notes_ = (*self.notes_, *told)
        normalised = preprocess.per_signal(stack.values, self.normalise).apply(stack.values)
        name = likelihood_name(self.likelihood, normalised)
        self.scaling_ = scaling_of(name, normalised)
        values, noise = tensors(self, stack)
        n = len(values)
        self.condition_ = None if condition is None else Condition.of(condition, n)
        given = self._given(condition, n)
        self.classes_ = None
        if kinds is not None:
            kinds.check(condition, n)
            self.classes_, self.condition_ = kinds.classes, kinds.condition
        plan = plan_of(self, n, 0 if kinds is None else len(kinds.classes))
        labels = None if kinds is None else kinds.labels
        begun = stack.values, *stack.axes, given, torch.empty(0) if labels is None else labels
        with self._journal(checkpoint, *begun) as journal, Progress(self.progress, plan.epochs) as on_epoch:
            undecided = self.likelihood == "auto" and name == "gaussian"
            design = self._design(likelihood_of(name, normalised), undecided)
            if kinds is not None:
                design = design._replace(n_classes=len(kinds.classes))
            else:
                known = bool(self.condition_ and self.condition_.kinds)
                design = design._replace(n_given=given.shape[1], kinds=known)
            data = design, replace(plan, journal=journal), values, noise, generator
            self.fitted_ = fit_best(*data, self.n_starts, given=given, labels=labels, on_epoch=on_epoch)
        self.fit_seconds_ = time.perf_counter() - begin
        self._conclude(n, plan.epochs)
        return self

    def _journal(self, asked: Kept, *data: Part) -> AbstractContextManager[Journal | None]:
        """Where the state of the fit is written down."""
        options = {k: plain(v) for k, v in self.get_params(deep=False).items()}
        return journal_of(asked, type(self).__name__, options, *data)

    def _given(self, condition: Any, n: int) -> Tensor:
        """What is given of n signals, (n, c): no column where the model was fitted without a condition."""
        if self.condition_ is not None:
            return torch.from_numpy(self.condition_.encode(condition, n))
        if condition is not None:
            raise ShapeshiftError(
                "got a condition, needed none: the model was fitted without one, call fit(X, condition=...)."
            )
        return torch.zeros(n, 0)

    def _conclude(self, n_signals: int, epochs: int) -> None:
        self.n_signals_ = n_signals
        self.converged_ = self.history_.stopped in ("finished", "patience")
        resolved = {"epochs": epochs} | self._resolved()
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

    def _drawn(self, stack: Any, given: Tensor) -> tuple[Any, np.ndarray]:
        """Expected data at the posterior, in model units, and the stack they belong to."""
        return stack, drawn(self.fitted_, *tensors(self, stack), given)[0]

    def _generated(self, z: Any, condition: Any, *poses: Any) -> np.ndarray:
        """Noise-free data (m, M) of shapes z (m, n_latent), given a condition, at poses, in the units of the
        data."""
        check_is_fitted(self, "fitted_")
        shapes = torch.as_tensor(np.atleast_2d(np.asarray(z, dtype=np.float32)))
        if shapes.shape[1] != self.n_latent:
            raise ShapeshiftError(f"got z of {shapes.shape[1]} columns, needed n_latent = {self.n_latent}.")
        vae = self.fitted_.vae
        shapes = torch.cat([shapes, self._given(condition, len(shapes))], 1)
        with torch.no_grad():
            values = vae.expected(vae.values(self._poses(shapes, *poses), shapes))
        return self.scaling_.undo(values.double().numpy())

    def _of_every_class(self, manifold: Any, n: int) -> xr.DataArray:
        """Manifolds of all classes, one after the other along a dimension "class"."""
        import xarray as xr

        assert self.classes_ is not None
        each = [manifold(n, condition=kind) for kind in self.classes_.tolist()]
        return xr.concat(each, dim=xr.Variable("class", self.classes_))

    def draw(self, n: int, *, condition: Any = None, random_state: Any = 0) -> np.ndarray:
        """Latents of shapes like those that were fitted, for :meth:`generate`.

        Unlike draws from the prior they keep to where shapes were found.

        Parameters
        ----------
        n : int
        condition : one of all, or of each
            Where the model was fitted with one.
        random_state : int or RandomState

        Returns
        -------
        ndarray (n, n_latent)
            In units of their prior.

        Raises
        ------
        ShapeshiftError
            If the model comes from a file that holds no shapes.

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> model = ss.ShiftVAE(epochs=3).fit(X)
        >>> model.generate(model.draw(4)).shape
        (4, 100)
        """
        check_is_fitted(self, "fitted_")
        if self.fitted_.shapes is None:
            raise ShapeshiftError(
                "got a model whose file holds no shapes, needed them to draw: fit it again."
            )
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        given = self._given(condition, n)
        return drawn_shapes(self.fitted_.shapes, given, torch.Generator().manual_seed(seed)).double().numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file: weights as safetensors, everything else as JSON in its head.

        Parameters
        ----------
        path : path
            A file that is there is replaced, once the new one is whole.

        Returns
        -------
        None

        Raises
        ------
        ShapeshiftError
            If the model holds a network of its own that no file can describe.
        OSError
            If the place cannot be written.

        Examples
        --------
        >>> import os, tempfile, shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> model = ss.ShiftVAE(epochs=3).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     model.save(path)
        ...     again = ss.load(path)
        >>> bool((again.posterior(X).shift == model.posterior(X).shift).all())
        True
        """
        check_is_fitted(self, "fitted_")
        write(path, *described(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.fitted_.vae.n_latent  # an unfitted estimator has none
