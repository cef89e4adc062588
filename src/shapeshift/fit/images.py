"""The estimator of images: rotation, displacement, scale, and shape."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

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
from shapeshift.fit.journal import Kept
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
        """The images themselves, moved back to pose 0; nan where nothing was measured."""
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
        """Noise-free images (m, h, w), or (m, c, h, w), of shapes z (m, n_latent).

        Parameters
        ----------
        z : array (m, n_latent)
        rotation : float or array (m,)
            Degrees.
        shift : pair or array (m, 2)
            Axis units, along the rows' axis and the columns' axis.
        scale : float or array (m,)
        condition : of all images or of each, where the model was fitted with one
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

        Raises
        ------
        ShapeshiftError
            As there.
        """
        check_is_fitted(self, "fitted_")
        self._check()
        write(check_place(path, force=force), image_graph(self))

    def manifold(self, n: int = 10, *, condition: Any = None) -> xr.DataArray:
        """Images at pose 0 over the latent plane: DataArray (z2, z1, ..., row, column), or (z1, ...).

        Points are the n quantiles of the prior, from 5 to 95 %; latents after the second stay at 0. A model
        with classes has one manifold a class: without a condition all of them, along a dimension "class".
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
        """
        return self._fit(X, condition=condition, checkpoint=checkpoint)
