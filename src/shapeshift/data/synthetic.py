"""Signals of known position and shape: the article's set, line-shape families, pairs with their bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import xarray as xr

from shapeshift.data.families import ARTICLE_SHAPES, FAMILIES, Family, Range
from shapeshift.errors import ShapeshiftError

__all__ = ["FAMILIES", "Family", "Pairs", "Range", "article", "article_pairs", "pairs", "sample"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of signals that share one shape and differ in position and noise draw.

    The error of an estimated ``shift_second - shift_first`` needs no convention of where zero is,
    and its standard deviation cannot be below ``bound`` unless something besides the shape is known.

    Parameters
    ----------
    first, second : xarray.DataArray (n, P)
    shift_first, shift_second : ndarray (n,)
        True positions, axis units.
    params : mapping of str to ndarray (n,)
        True factors of shape.
    noise : ndarray (n,)
        Noise sd of both signals, in the signals' units.
    bound : ndarray (n,)
        Root sum of squares of the matched-filter bounds at the two positions, axis units.

    Examples
    --------
    >>> import shapeshift as ss
    >>> pairs = ss.synthetic.pairs("doublet", 20, seed=1)
    >>> pairs.first.shape == pairs.second.shape, pairs.bound.shape
    (True, (20,))
    """

    first: xr.DataArray
    second: xr.DataArray
    shift_first: np.ndarray
    shift_second: np.ndarray
    params: Mapping[str, np.ndarray]
    noise: np.ndarray
    bound: np.ndarray

    @property
    def moved(self) -> np.ndarray:
        """True move from the first to the second of each pair (n,), axis units."""
        return self.shift_second - self.shift_first


def look_up(table: Mapping[str, T], name: str, what: str) -> T:
    """The entry ``name`` of a table, or an error that lists what there is."""
    if name not in table:
        raise ShapeshiftError(f"got {what}={name!r}, which is not known: use one of {', '.join(table)}.")
    return table[name]


def _family(family: str | Family) -> Family:
    return family if isinstance(family, Family) else look_up(FAMILIES, family, "family")


def check_count(n: int) -> None:
    """At least one signal."""
    if n < 1:
        raise ShapeshiftError(f"got n={n}; at least 1 signal is needed: pass a larger n.")


def as_signals(values: np.ndarray, x: np.ndarray, source: str) -> xr.DataArray:
    """Values (n, P) on the axis x (P,), as every reader returns them."""
    axis = xr.DataArray(x, dims="x", attrs={"units": ""})
    attrs = {"source": source, "reader": "synthetic", "notes": ""}
    return xr.DataArray(values, dims=("signal", "x"), coords={"x": axis}, attrs=attrs)


def sample(
    family: str | Family, n: int, seed: int, *, length: int | None = None
) -> tuple[xr.DataArray, xr.Dataset]:
    """Noisy signals of one family, each with its own position, shape and noise level.

    Parameters
    ----------
    family : str or Family
        A name in `FAMILIES`, or a family of your own.
    n : int
        Number of signals.
    seed : int
        The same seed, the same signals.
    length : int, optional
        Samples per signal; the family's own number by default.

    Returns
    -------
    X : xarray.DataArray (n, length)
    truth : xarray.Dataset
        ``shift`` (axis units), one variable per factor of shape, ``noise`` (sd): all (n,).

    Raises
    ------
    ShapeshiftError
        Unknown family, n < 1, length < 2.

    Examples
    --------
    >>> X, truth = sample("doublet", 3, seed=0)
    >>> X.shape, list(truth)
    ((3, 128), ['shift', 'ratio', 'splitting', 'noise'])
    """
    kind = _family(family)
    check_count(n)
    rng, x = np.random.default_rng(seed), kind.grid(length)
    shift = kind.shift.draw(rng, n)
    params = {name: r.draw(rng, n) for name, r in kind.params.items()}
    noise = kind.noise.draw(rng, n)
    values = kind.values(x, shift, params) + noise[:, None] * rng.normal(size=(n, len(x)))
    truth = {name: ("signal", value) for name, value in {"shift": shift, **params, "noise": noise}.items()}
    return as_signals(values, x, f"synthetic {kind.name}, seed {seed}"), xr.Dataset(truth)


def pairs(family: str | Family, n: int, seed: int, *, length: int | None = None) -> Pairs:
    """Pairs of signals: one shape and one noise level at two positions, two draws of noise.

    Shapes, noise and positions are drawn as by `sample`.

    Parameters
    ----------
    family : str or Family
    n : int
        Pairs.
    seed : int
    length : int, optional
        Samples of a signal; by default as the family has it.

    Returns
    -------
    Pairs
        Positions and bounds in axis units.

    Raises
    ------
    ShapeshiftError
        If there is no such family, or n is no number of pairs.

    Examples
    --------
    >>> p = pairs("article", 4, seed=0)
    >>> p.first.shape, bool((p.bound > 0).all())
    ((4, 100), True)
    """
    kind = _family(family)
    check_count(n)
    rng, x = np.random.default_rng(seed), kind.grid(length)
    params = {name: r.draw(rng, n) for name, r in kind.params.items()}
    noise = kind.noise.draw(rng, n)
    shifts = kind.shift.draw(rng, n), kind.shift.draw(rng, n)
    clean = [kind.values(x, shift, params) for shift in shifts]
    noisy = [as_signals(y + noise[:, None] * rng.normal(size=y.shape), x, kind.name) for y in clean]
    bound = np.hypot(*(kind.bound(x, shift, params, noise) for shift in shifts))
    return Pairs(noisy[0], noisy[1], *shifts, params, noise, bound)


def article(n: int = 5000, seed: int = 1, *, shape: str = "gaussian") -> tuple[xr.DataArray, xr.Dataset]:
    """The experiment of "Mastering the Shifts with Variational Autoencoders" (arXiv:2104.10207).

    Peaks on 100 points of [-12, 12]: positions from 60 values in [-3, 3), widths (sd) from 450
    values in [0.5, 5), noise sd from 0.001, 0.002 ... 0.099, one per signal; then the set is scaled
    to (0, 1).

    Parameters
    ----------
    n : int
        Number of signals.
    seed : int
        The same seed, the same signals.
    shape : {"gaussian", "mixed"}
        Gaussian peaks, or mixtures of a Gaussian and a Lorentzian with one centre and one half width.

    Returns
    -------
    X : xarray.DataArray (n, 100)
        ``attrs["offset"]`` and ``attrs["scale"]`` lead back: raw = offset + scale * X.
    truth : xarray.Dataset
        ``shift`` and ``width`` (axis units), ``mixing`` (share of the Lorentzian; "mixed" only) and
        ``noise`` (sd in the units of X): all (n,).

    Raises
    ------
    ShapeshiftError
        Unknown shape, n < 1.

    Examples
    --------
    >>> X, truth = article(n=100)
    >>> X.shape, float(X.min()), float(X.max())
    ((100, 100), 0.0, 1.0)
    """
    X, truth = sample(look_up(ARTICLE_SHAPES, shape, "shape"), n, seed)
    offset = float(X.min())
    scale = float(X.max()) - offset
    truth["noise"] = truth["noise"] / scale
    return _scaled(X, offset, scale), truth


def article_pairs(n: int, seed: int, *, shape: str = "gaussian", like: xr.DataArray | None = None) -> Pairs:
    """Pairs of the article's signals, in the scaled units of the article's set.

    Parameters
    ----------
    n, seed, shape
        As in `article`.
    like : xarray.DataArray, optional
        The set of `article` whose scale is used; by default 5000 signals of seed 1.

    Returns
    -------
    Pairs

    Raises
    ------
    ShapeshiftError
        If there is no such shape, or ``like`` is no set of `article`.

    Examples
    --------
    >>> X, _ = article(n=100, seed=3)
    >>> p = article_pairs(4, seed=0, like=X)
    >>> p.first.attrs["scale"] == X.attrs["scale"]
    True
    """
    if like is None:
        like, _ = article(shape=shape)
    if not {"offset", "scale"} <= set(like.attrs):
        raise ShapeshiftError(
            "got `like` without the attributes offset and scale: pass what article() returned."
        )
    raw = pairs(look_up(ARTICLE_SHAPES, shape, "shape"), n, seed)
    offset, scale = like.attrs["offset"], like.attrs["scale"]
    first, second = (_scaled(X, offset, scale) for X in (raw.first, raw.second))
    return replace(raw, first=first, second=second, noise=raw.noise / scale)


def _scaled(X: xr.DataArray, offset: float, scale: float) -> xr.DataArray:
    return ((X - offset) / scale).assign_attrs(X.attrs | {"offset": offset, "scale": scale})
