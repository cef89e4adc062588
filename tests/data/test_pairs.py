"""Pairs of spectra and images: which dimension is which, what is refused, what comes back in kind."""

import numpy as np
import pytest
import xarray as xr

from shapeshift.data.pairs import as_pairs, in_kind, rows_of
from shapeshift.errors import ShapeshiftError


def array(*shape):
    return np.arange(np.prod(shape), dtype=float).reshape(shape)


def named(**sizes):
    return xr.DataArray(array(*sizes.values()), dims=tuple(sizes))


@pytest.mark.parametrize(
    ("X", "Y", "x_shape", "y_shape"),
    [
        (array(6, 5), array(6, 4), (5,), (4,)),
        (array(6, 5, 3), array(6, 4), (5, 3), (4,)),
        (array(6, 4), array(6), (4,), ()),
        (array(6, 4), array(6, 5, 3), (4,), (5, 3)),
        (named(y=2, x=3, energy=5), named(y=2, x=3, field=4), (5,), (4,)),
        (named(n=6, row=5, column=3), named(n=6, column=3), (5, 3), (3,)),
        (named(n=6, row=5, column=3), named(n=6, row=5), (5, 3), (5,)),
        (named(n=6, row=5, column=3), named(n=6, row=5, column=3), (5, 3), (5, 3)),
        (named(y=2, x=3, energy=5), array(6, 4), (5,), (4,)),
        (named(n=6, row=5, column=3), array(6, 4), (5, 3), (4,)),
        (array(6, 4), named(n=6, row=5, column=3), (4,), (5, 3)),
        (named(n=6, energy=5), named(n=6), (5,), ()),
    ],
)
def test_the_shapes_are_found(X, Y, x_shape, y_shape):
    pairs = as_pairs(X, Y)
    assert (pairs.x_side.shape, pairs.y_side.shape) == (x_shape, y_shape)
    assert np.array_equal(pairs.x, np.asarray(X).reshape(6, -1))
    assert np.array_equal(pairs.y, np.asarray(Y).reshape(6, -1))
    back = in_kind(pairs.y, pairs.y_side, X, pairs.x_side)
    assert type(back) is type(Y)
    assert np.array_equal(back, Y)


def test_shapes_that_are_said_win():
    map_of_numbers = as_pairs(named(y=2, x=3, energy=5), named(y=2, x=3), y_shape=())
    assert map_of_numbers.y_side.shape == ()
    assert map_of_numbers.x.shape == (6, 5)
    flat = as_pairs(array(4, 15), array(4, 6), x_shape=(5, 3), y_shape=(2, 3))
    assert (flat.x_side.shape, flat.y_side.shape) == ((5, 3), (2, 3))
    assert in_kind(flat.y, flat.y_side, array(4, 15), flat.x_side).shape == (4, 6)
    spectra = as_pairs(named(y=2, x=3, e=5), named(y=2, x=3, e=5), (5,), (5,))
    assert spectra.x.shape == (6, 5)


def test_names_coordinates_and_units_come_back():
    X = named(y=2, x=3, energy=5).assign_coords(x=[10.0, 20.0, 30.0])
    Y = xr.DataArray(
        array(2, 3, 4),
        dims=("y", "x", "delay"),
        coords={"delay": ("delay", [0.0, 1.0, 4.0, 9.0], {"units": "ps"}), "kind": ("delay", list("abcd"))},
        name="rate",
        attrs={"units": "1/s"},
    )
    pairs = as_pairs(X, Y)
    back = in_kind(pairs.y[:2], pairs.y_side, X[:, 1:2], pairs.x_side)
    expected = Y[:, 1:2].copy(data=pairs.y[:2].reshape(2, 1, 4)).assign_coords(x=[20.0])
    xr.testing.assert_identical(back, expected)
    assert back.delay.attrs["units"] == "ps"
    one = in_kind(pairs.y[:1], pairs.y_side, X[0, 0], pairs.x_side)
    assert one.dims == ("delay",)
    plain = in_kind(pairs.y[:2], pairs.y_side, np.zeros((2, 5)), pairs.x_side)
    assert plain.dims == ("pair", "delay")


@pytest.mark.parametrize(
    ("X", "Y", "options", "told"),
    [
        (array(6, 5), None, {}, "requires y to be passed"),
        (array(6, 5), array(7, 4), {}, r"inconsistent numbers of samples: \[6, 7\]"),
        (array(6), array(6, 4), {}, "Expected 2D array of X"),
        (array(6, 5), np.full((6, 4), np.nan), {}, "Input Y contains NaN or infinity in 6 of 6"),
        (np.full((6, 5), np.inf), array(6, 4), {}, "Input X contains NaN or infinity"),
        (array(6, 5), array(6, 4, 3, 2), {}, "needed spectra .* or images"),
        (array(6, 5), array(6, 12), {"y_shape": (5, 3)}, "needed one that ends in y_shape"),
        (array(0, 5), array(0, 4), {}, "X is empty"),
        (array(6, 5) * 1j, array(6, 4), {}, "Complex data not supported"),
    ],
)
def test_what_cannot_be_used_is_refused(X, Y, options, told):
    with pytest.raises(ShapeshiftError, match=told):
        as_pairs(X, Y, **options)


def test_later_measurements_must_be_laid_out_alike():
    images = as_pairs(array(6, 5, 3), array(6, 4)).x_side
    assert np.array_equal(rows_of(array(2, 5, 3), images, "VED"), rows_of(array(2, 15), images, "VED"))
    for wrong, told in (
        (array(2, 3, 5), "X has 3 x 5 features, but VED is expecting 15"),
        (array(2, 14), "X has 14 features, but VED is expecting 15"),
        (array(15), "Reshape your data"),
    ):
        with pytest.raises(ShapeshiftError, match=told):
            rows_of(wrong, images, "VED")
    spectra = named(n=6, energy=5).assign_coords(energy=np.linspace(1, 2, 5))
    side = as_pairs(spectra, array(6, 4)).x_side
    assert rows_of(spectra[:3], side, "VED").shape == (3, 5)
    with pytest.raises(ShapeshiftError, match=r"'energy' from 2 to 3, needed the model's, from 1 to 2"):
        rows_of(spectra.assign_coords(energy=np.linspace(2, 3, 5)), side, "VED")
