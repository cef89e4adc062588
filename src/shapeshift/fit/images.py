"""The estimator of images: rotation, displacement, scale, and shape."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from shapeshift.data.images import Raster, axis_from, axis_told
from shapeshift.fit.bank import Bank
from shapeshift.fit.base import PoseEstimator
from shapeshift.fit.empty import empty_plane
from shapeshift.fit.export import check_place, image_graph, write
from shapeshift.fit.gauge_plane import plane_sentence
from shapeshift.fit.glance import glance
from shapeshift.fit.intake import scaled, taken_images, tensors, units
from shapeshift.fit.options import check_image_choices, image_design_of
from shapeshift.fit.posterior import Posterior
from shapeshift.fit.reading import plane
from shapeshift.fit.reading_plane import image_glance, image_posterior_of, plane_poses, upright
from shapeshift.fit.schema import IMAGES
from shapeshift.fit.search import Found
from shapeshift.fit.start import Design
from shapeshift.model.decoders import Template
from shapeshift.model.fields import Lattice
from shapeshift.model.likelihoods import Likelihood
from shapeshift.model.vae import PoseVAE

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.images import ImageStack


class ImageModel(PoseEstimator):
    """A model of images: all but what is fitted to. Parameters as of :class:`ImageVAE`."""

    raster_: Raster

    def __init__(
        self,
        n_latent: int = 2,
        *,
        n_classes: int | None = None,
        warps: tuple[str, ...] = ("rotation", "shift"),
        image_shape: tuple[int, ...] | None = None,
        decoder: Any = "template",
        encoder: Any = "dense",
        likelihood: str = "auto",
        rotation_sd: float | None = None,
        shift_sd: float | None = None,
        scale_sd: float | None = None,
        nuisance: tuple[str, ...] = (),
        normalise: str | None = None,
        epochs: int | None = None,
        batch_size: int = 128,
        learning_rate: float = 4e-3,
        held_out: float = 0.1,
        patience: int | None = None,
        kl_weight: Any = 1.0,
        averaging: float = 0.0,
        n_starts: int = 1,
        width: int = 128,
        depth: int = 2,
        progress: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.n_latent = n_latent
        self.n_classes = n_classes
        self.warps = warps
        self.image_shape = image_shape
        self.decoder = decoder
        self.encoder = encoder
        self.likelihood = likelihood
        self.rotation_sd = rotation_sd
        self.shift_sd = shift_sd
        self.scale_sd = scale_sd
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

    _schema = IMAGES

    def _check(self) -> None:
        check_image_choices(self)

    def _taken(self, X: Any, x: Any = None, *, reset: bool = False) -> ImageStack:
        return taken_images(self, X, reset=reset)

    def _adopt(self, stack: ImageStack) -> None:
        self.raster_, self.notes_ = stack.raster, stack.notes

    def _design(self, likelihood: Likelihood, undecided: bool) -> Design:
        return image_design_of(self, likelihood, self.raster_)

    def _geometry(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        decoder = self.fitted_.vae.decoder
        lattice = list(decoder.lattice or ()) if isinstance(decoder, Template) else []
        axes = {k: axis_told(a) for k, a in (("rows", self.raster_.rows), ("columns", self.raster_.columns))}
        return {"raster": axes | {"channels": self.raster_.channels}, "lattice": lattice}, {}

    def _take_geometry(self, description: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        told = description["raster"]
        self.raster_ = Raster(axis_from(told["rows"]), axis_from(told["columns"]), int(told["channels"]))
        self.n_features_in_ = self.raster_.size
        self._lattice = Lattice(*description["lattice"]) if description["lattice"] else None

    def _empty(self, design: Design, bank: Bank, tensors: dict[str, torch.Tensor]) -> PoseVAE:
        return empty_plane(design, bank, self._lattice, tensors)

    def _resolved(self) -> dict[str, Any]:
        found = {w.name: float(w.prior_sd[0]) for w in self.fitted_.vae.named_warps}
        units = {"rotation": 180 / np.pi, "shift": self.raster_.half, "scale": 1.0}
        self.prior_sd_ = {k: v * units[k] if np.isfinite(v) else None for k, v in found.items()}
        return {f"{k}_sd": v for k, v in self.prior_sd_.items()}

    @property
    def zero_(self) -> str:
        """What pose 0 means, in a sentence."""
        return plane_sentence(tuple(self.warps))

    def _read(
        self, stack: ImageStack, given: torch.Tensor, refine: bool, found: Found | None = None
    ) -> Posterior:
        if not refine:
            return image_glance(self.fitted_, glance(*self._seen(stack), given), given, stack)
        data = (*tensors(self, stack), given)
        return image_posterior_of(self.fitted_, *data, units(self, stack), stack, found)

    def _seen(self, stack: ImageStack) -> tuple[Any, Any, torch.Tensor]:
        return self.fitted_.vae, self.fitted_.bank, scaled(self, stack)

    def _poses(self, shapes: torch.Tensor, *poses: Any) -> torch.Tensor:
        rotation, shift, scale = poses
        return plane_poses(self.fitted_, shapes, rotation, shift, scale, self.raster_)

    def align(self, X: Any, *, condition: Any = None) -> Any:
        """The images themselves, turned, moved and scaled back to pose 0.

        Parameters
        ----------
        X : as in :meth:`fit`
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
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).normal(size=(24, 9, 9)) + 9 * np.eye(9)
        >>> model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=1).fit(images)
        >>> model.align(images).shape
        (24, 9, 9)
        """
        stack = self._taken(X)
        p = self.posterior(X, condition=condition)
        return stack.like_given(upright(self, stack, p, self._given(condition, len(p))))

    def generate(
        self,
        z: Any,
        *,
        rotation: Any = 0.0,
        shift: Any = (0.0, 0.0),
        scale: Any = 1.0,
        condition: Any = None,
    ) -> np.ndarray:
        """Noise-free images of shapes.

        Parameters
        ----------
        z : array (m, n_latent)
            In units of their prior.
        rotation : float or array (m,)
            Degrees, counter-clockwise with the first row at the top.
        shift : pair or array (m, 2)
            Axis units, along the rows' axis and the columns' axis.
        scale : float or array (m,)
            Factors of the pattern's size.
        condition : one of all, or of each
            Where the model was fitted with one.

        Returns
        -------
        ndarray (m, h, w), or (m, c, h, w)
            In the units of the data.

        Raises
        ------
        ShapeshiftError
            If z has another number of columns than the model has latents, or a condition is missing.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).normal(size=(24, 9, 9)) + 9 * np.eye(9)
        >>> model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=1).fit(images)
        >>> model.generate([[0.0], [1.0]], rotation=30.0).shape
        (2, 9, 9)
        """
        channels, rows, columns = self.raster_.shape
        images = self._generated(z, condition, rotation, shift, scale).reshape(-1, channels, rows, columns)
        return images[:, 0] if channels == 1 else images

    def export(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the fitted model to one ONNX file: ``posterior(X, refine=False)``, as
        :meth:`ShiftVAE.export <shapeshift.ShiftVAE.export>`.

        Input: ``images`` (n, h, w) or (n, c, h, w) float32. Outputs, of what may move: ``rotation`` (n,) in
        degrees, ``scale`` (n,), ``shift`` (n, 2) in axis units, each with its ``_sd``; ``z``, ``z_sd``,
        ``trust``.

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
            As there.

        Examples
        --------
        >>> import os, tempfile, numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).normal(size=(24, 9, 9)) + 9 * np.eye(9)
        >>> model = ss.ImageVAE(n_latent=1, warps=("shift",), epochs=1).fit(images)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(os.path.join(folder, "model.onnx"))
        ...     os.listdir(folder)
        ['model.onnx']
        """
        check_is_fitted(self, "fitted_")
        self._check()
        write(check_place(path, force=force), image_graph(self))

    def manifold(self, n: int = 10, *, condition: Any = None) -> xr.DataArray:
        """Images at pose 0 over the plane of the first two latents; later ones stay at 0.

        Parameters
        ----------
        n : int
            Points along each latent: quantiles of the prior from 5 to 95 % (Kingma & Welling 2014,
            arXiv:1312.6114, appendix A).
        condition : label or numbers
            Where the model was fitted with one. Of a model with classes without one: all of them.

        Returns
        -------
        xarray.DataArray (z2, z1, row, column)
            In the units of the data; with dimensions "class" and "channel" where there are several.

        Raises
        ------
        ShapeshiftError
            If a condition is missing.

        Examples
        --------
        >>> import numpy as np, shapeshift as ss
        >>> images = np.random.default_rng(0).normal(size=(24, 9, 9)) + 9 * np.eye(9)
        >>> model = ss.ImageVAE(n_latent=1, warps=("rotation",), epochs=1).fit(images)
        >>> model.manifold(3).sizes
        Frozen({'z1': 3, 'row': 9, 'column': 9})
        """
        import xarray as xr

        if self.classes_ is not None and condition is None:
            return self._of_every_class(self.manifold, n)
        points, z = plane(n, self.n_latent)
        names = ["z2", "z1"][-min(2, self.n_latent) :]
        images = self.generate(z, condition=condition)
        dims = [*names, *["channel"][: images.ndim - 3], self.raster_.rows.name, self.raster_.columns.name]
        out = xr.DataArray(images.reshape(*[n] * len(names), *images.shape[1:]), dims=dims)
        axes = {
            a.name: (a.name, a.values, {"units": a.units}) for a in (self.raster_.rows, self.raster_.columns)
        }
        return out.assign_coords({k: points for k in names} | axes)
