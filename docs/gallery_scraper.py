"""How sphinx-gallery finds the figures of the examples, which pyplot knows nothing of.

``image_scrapers = ("matplotlib", "gallery_scraper.scraper")`` in ``sphinx_gallery_conf``: every figure
that a block of an example has made, named or as its last line, is written by
:func:`shapeshift.plot.save`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

import shapeshift as ss

_DPI = 120  # figures of one column are half as wide as the text; a second file is for fine screens
_SHOWN: WeakSet[Figure] = WeakSet()


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The reStructuredText that shows the figures which a block has made; called by sphinx-gallery."""
    shown = []
    for figure in _new(block_vars["example_globals"]):
        path = Path(next(block_vars["image_path_iterator"])).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        files = {0: path, 2.0: path.with_name(f"{path.stem}_2_00x.png")}
        for fold, file in files.items():
            ss.plot.save(figure, file, dpi=_DPI * (fold or 1))
        paths = [{fold: str(file) for fold, file in files.items()}]
        shown.append(figure_rst([str(path)], gallery_conf["src_dir"], _told(figure), srcsetpaths=paths))
    return "".join(shown)


def _new(names: dict[str, Any]) -> list[Figure]:
    """Figures that were not shown before, in the order of their names; pyplot's own are its own."""
    found = []
    for value in list(names.values()):
        if isinstance(value, Figure) and value not in _SHOWN and value.canvas.manager is None:
            _SHOWN.add(value)
            found.append(value)
    return found


def _told(figure: Figure) -> str:
    """What the figure shows, for those who cannot see it: its titles, or what its axes say."""
    titles = [t for ax in figure.axes for t in [ax.get_title("left")] if t]
    labels = [t for ax in figure.axes for t in (ax.get_ylabel(), ax.get_xlabel()) if t]
    return ", ".join(dict.fromkeys(titles or labels)).replace("\n", " ")
