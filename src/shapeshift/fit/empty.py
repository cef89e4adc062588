"""Models of the right sizes for stored weights, built once it is known that these fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from shapeshift.fit.bank import Bank, Reach
from shapeshift.fit.schema import imagined, refuse, shaped, sizes
from shapeshift.fit.start import Alignment, Design, build
from shapeshift.fit.start_plane import PlaneStart, build_plane, pixel_size, warps_of
from shapeshift.model.decoders import CoordinateNet, Template
from shapeshift.model.encoders import ConvEncoder, DenseEncoder
from shapeshift.model.fields import Lattice
from shapeshift.model.latents import Spread
from shapeshift.model.vae import PoseVAE

Tensors = Mapping[str, Tensor]


def empty_line(design: Design, length: int, bank: Bank, tensors: Tensors) -> PoseVAE:
    """The model of signals of ``length`` samples before it is filled with stored weights.

    Raises
    ------
    ShapeshiftError
        If these are weights of other networks.
    """
    assert isinstance(bank.reach, int)
    reach, sample, width, depth = bank.reach, 2.0 / (length - 1), design.width, design.depth
    size = length + 2 * reach
    shape = (length, int("shift" in design.warps), design.n_latent, sample, design.n_given)

    def decoder() -> nn.Module:
        if design.decoder == "coordinate":
            return CoordinateNet(design.n_latent + design.n_given, width=width, depth=depth)
        base = torch.zeros(size, device="cpu")
        return Template(base, 1 + reach * sample, design.n_latent, width, depth, n_given=design.n_given)

    if design.decoder == "template":
        shaped(tensors, {"vae.decoder.base": (size,)})
    design = _with_networks(
        design, tensors, lambda: DenseEncoder(*shape, width=width, depth=depth, kinds=design.kinds), decoder
    )
    template = torch.linspace(-1, 1, size)
    start = Alignment(torch.zeros(1, dtype=torch.long), template, bank.reach, 0.0)
    return build(design, torch.full((1, length), 0.5), start, torch.Generator().manual_seed(0))


def empty_plane(design: Design, bank: Bank, lattice: Lattice | None, tensors: Tensors) -> PoseVAE:
    """The model of images before it is filled with stored weights.

    Raises
    ------
    ShapeshiftError
        If these are weights of other networks.
    """
    assert design.image is not None
    assert isinstance(bank.reach, Reach)
    channels, rows, columns = design.image
    warps, total = warps_of(design.warps, design.prior_sd), design.n_latent + design.n_given
    n_pose, width, depth = sum(w.size for w in warps), design.width, design.depth
    shape = (n_pose, design.n_latent, pixel_size(rows, columns), design.n_given)

    def encoder() -> nn.Module:
        if design.encoder == "conv":
            return ConvEncoder(design.image, *shape, width=width, kinds=design.kinds)  # type: ignore[arg-type]
        return DenseEncoder(channels * rows * columns, *shape, width=width, depth=depth, kinds=design.kinds)

    def decoder() -> nn.Module:
        if design.decoder == "coordinate":
            return CoordinateNet(total, 2, width, depth, channels)
        base = torch.zeros(lattice.size if lattice else 0, device="cpu")
        return Template(base, 0.0, design.n_latent, width, depth, n_given=design.n_given, lattice=lattice)

    if design.decoder == "template":
        shaped(tensors, {"vae.decoder.base": (lattice.size if lattice else 0,)})
    design = _with_networks(design, tensors, encoder, decoder)
    x = torch.full((1, channels * rows * columns), 0.5)
    start = PlaneStart(
        torch.zeros(1, n_pose), bank.reach, design.prior_sd, lattice or Lattice(channels, 4, 4, 1.0, 1.0)
    )
    return build_plane(design, x, start, torch.Generator().manual_seed(0))


def _with_networks(
    design: Design, tensors: Tensors, encoder: Callable[[], nn.Module], decoder: Callable[[], nn.Module]
) -> Design:
    """The design with empty networks of its sizes, or with the user's own."""
    sizes(design.width, design.depth, design.n_latent)
    imagined(lambda: Spread(design.n_latent, design.n_given), tensors, "vae.spread.")
    if design.depth > len(tensors):
        refuse("depth", design.depth, "as many layers as there are weights for")
    if not isinstance(design.encoder, nn.Module):
        imagined(encoder, tensors, "vae.encoder.")
        design = design._replace(encoder=encoder())
    if not isinstance(design.decoder, nn.Module):
        imagined(decoder, tensors, "vae.decoder.")
        design = design._replace(decoder=decoder())
    return design
