"""Colours as a page has them."""

from __future__ import annotations

from shapeshift.show import style


def palette(name: str) -> list[str]:
    """256 colours of one of matplotlib's colour maps.

    Examples
    --------
    >>> palette("viridis")[0]
    '#440154'
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps[name](k / 255)) for k in range(256)]


def to_all_sides() -> list[str]:
    """Colours of angles: the last one is the first.

    Examples
    --------
    >>> len(to_all_sides())
    256
    """
    return palette(style.CYCLIC)
