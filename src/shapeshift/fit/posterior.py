"""What is known about every signal after the fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from shapeshift.data.coordinates import Stack
    from shapeshift.data.images import ImageStack


@dataclass(frozen=True)
class Posterior:
    """Posterior of n signals: where, what, and how sure.

    Attributes
    ----------
    shift, shift_sd : ndarray (n,), of images (n, 2)
        Position and its standard deviation, in axis units: of images along rows' axis and columns' axis.
        Positive: towards larger axis values.
    z, z_sd : ndarray (n, K)
        Shape latents and their standard deviations, in units of their prior.
    noise_sd : ndarray (n,)
        Noise of a sample, in the units of the data.
    log_evidence : ndarray (n,)
        Laplace's approximation of log p(x), in nats, x in the units of the data.
    flags : ndarray (n,) of str
        "" or codes joined by ";": ``ambiguous`` (another shift explains the signal about as well),
        ``edge`` (at the edge of the prior or of the search), ``outside`` (the window shows less than half
        of the pattern), ``misfit`` (the model cannot draw it),
        ``faint`` (nothing but noise, or next to no signal: the shift is not determined), ``phase`` (looks
        different from most and lies elsewhere: likely another pattern, whose shift has a zero of its own).
    rival_shift : ndarray (n,)
        The other shift of an ambiguous signal, nan elsewhere.
    gain, gain_sd : ndarray (n,)
        Of the pattern: signal = gain * generate(z, shift) + baseline. 1 and 0 without a gain nuisance.
    axis_name, axis_units : str
        Of images with both axes' names, "row, column".
    rotation, rotation_sd : ndarray (n,)
        Of images, in degrees from -180 to 180; positive: counter-clockwise with the first row at the top.
    scale, scale_sd : ndarray (n,)
        Of images: size relative to the pattern of scale 1.
    rival_rotation : ndarray (n,)
        The other rotation of an ambiguous image, nan elsewhere.
    kind : ndarray (n,)
        Of models with classes: the likeliest, under which pose and shape are told.
    class_probability : ndarray (n, n_classes)

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=60, seed=1)
    >>> p = ss.ShiftVAE(epochs=3).fit(X).posterior(X)
    >>> good = p.flags == ""
    >>> p.shift[good].shape == p.shift_sd[good].shape
    True
    """

    shift: np.ndarray
    shift_sd: np.ndarray
    z: np.ndarray
    z_sd: np.ndarray
    noise_sd: np.ndarray
    log_evidence: np.ndarray
    flags: np.ndarray
    rival_shift: np.ndarray
    gain: np.ndarray
    gain_sd: np.ndarray
    axis_name: str = "sample"
    axis_units: str = ""
    stack: Stack | ImageStack | None = field(default=None, repr=False)
    rotation: np.ndarray | None = None
    rotation_sd: np.ndarray | None = None
    scale: np.ndarray | None = None
    scale_sd: np.ndarray | None = None
    rival_rotation: np.ndarray | None = None
    kind: np.ndarray | None = None
    class_probability: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.shift)

    def flagged(self, code: str) -> np.ndarray:
        """Which signals carry the flag ``code``: bool (n,).

        Parameters
        ----------
        code : str
            As "ambiguous".

        Returns
        -------
        ndarray (n,) of bool

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> ss.ShiftVAE(epochs=3).fit(X).posterior(X).flagged("faint").sum()
        np.int64(0)
        """
        return np.array([code in f.split(";") for f in self.flags], dtype=bool)

    def to_dataset(self) -> xr.Dataset:
        """All of it as an xarray.Dataset, with map dimensions, coordinates and units restored.

        Returns
        -------
        xarray.Dataset
            One variable a quantity, over the dimensions of the map or series; z and z_sd also along "latent".

        Examples
        --------
        >>> import shapeshift as ss
        >>> X, truth = ss.synthetic.article(n=60, seed=1)
        >>> found = ss.ShiftVAE(epochs=3).fit(X).posterior(X).to_dataset()
        >>> found["z"].dims
        ('latent', 'signal')
        """
        import xarray as xr

        from shapeshift.data.coordinates import Axis, Stack

        stack = self.stack or Stack(np.empty((len(self), 0)), Axis(np.arange(2.0)))
        units = {"shift": self.axis_units, "shift_sd": self.axis_units, "rival_shift": self.axis_units}
        names = ("shift", "shift_sd", "noise_sd", "log_evidence", "flags", "rival_shift", "gain", "gain_sd")
        columns = {n: getattr(self, n) for n in names}
        if self.rotation is not None:
            turns = ("rotation", "rotation_sd", "rival_rotation", "scale", "scale_sd")
            columns |= {n: getattr(self, n) for n in turns}
            units |= dict.fromkeys(turns[:3], "degree")
            columns |= self._along_axes(units, columns)
        if self.kind is not None:
            columns["class"] = self.kind
        scalars = {n: stack.per_signal(v, n, units.get(n, "")) for n, v in columns.items()}
        latents = [f"z{k + 1}" for k in range(self.z.shape[1])]
        shapes = {
            name: xr.concat(
                [stack.per_signal(column, name) for column in values.T],
                dim="latent",
                coords="minimal",
                join="override",
            ).assign_coords(latent=latents)
            for name, values in (("z", self.z), ("z_sd", self.z_sd))
        }
        return xr.Dataset(
            scalars | shapes, attrs={"axis_name": self.axis_name, "axis_units": self.axis_units}
        )

    def _along_axes(self, units: dict[str, str], columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Displacements of images as one column an axis: shift_row, shift_column and so on."""
        out = {}
        for name in ("shift", "shift_sd", "rival_shift"):
            pair = columns.pop(name)
            for k, axis in enumerate(self.axis_name.split(", ")):
                along = f"{name.removesuffix('_sd')}_{axis}{'_sd' * name.endswith('_sd')}"
                out[along], units[along] = pair[:, k], self.axis_units
        return out
