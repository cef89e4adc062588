"""Linked views as a page of their own: in a notebook, in a file, or from a server."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from shapeshift.data.disk import write_whole
from shapeshift.show.look import look_at
from shapeshift.show.look_page import Part, part_of
from shapeshift.show.page import Page, render

if TYPE_CHECKING:
    from shapeshift.fit.posterior import Posterior

_HEIGHT = 1500  # pixels of a notebook


@final
@dataclass(frozen=True, repr=False)
class Views:
    """Linked views of a fit; a notebook shows them, `save` writes them.

    Attributes
    ----------
    page : str
        The whole page, which needs nothing else.
    """

    page: str

    def _repr_html_(self) -> str:
        """A frame of its own, so that page and notebook leave each other alone."""
        told = html.escape(self.page, quote=True)
        rights = "allow-scripts allow-downloads"
        return (
            f'<iframe srcdoc="{told}" sandbox="{rights}" style="width:100%;height:{_HEIGHT}px;border:0" '
            'title="Linked views of a fit"></iframe>'
        )

    def __repr__(self) -> str:
        return f"linked views, {len(self.page) / 1e6:.1f} MB: a notebook shows them, save(path) writes them"

    def save(self, path: str | Path) -> Path:
        """Write the page as one HTML file, whole or not at all; it opens without a network.

        Parameters
        ----------
        path : path

        Returns
        -------
        Path
            `path`.
        """
        write_whole(Path(path), self.page.encode("utf-8"))
        return Path(path)


def explore(X: Any, p: Posterior, model: Any, *, title: str | None = None) -> Views:
    """Linked views of signals or images, what was found of them, and the model.

    Parameters
    ----------
    X : array (n, P) of signals or (n, h, w) of images, or DataArray
        What `p` was read from; of very many an even part is shown, and the page says so.
    p : Posterior
        ``model.posterior(X)``: shifts in axis units, latents in units of their prior.
    model : ShiftVAE or ImageVAE
        Fitted.
    title : str, optional
        By default the name of the file that the signals came from.

    Returns
    -------
    Views
        The last line of a notebook's cell shows it; ``save("views.html")`` writes it.

    Raises
    ------
    ShapeshiftError
        If the signals are not those of the posterior, or the model takes others.

    Examples
    --------
    >>> import shapeshift as ss
    >>> X, truth = ss.synthetic.article(n=60, seed=1)
    >>> model = ss.ShiftVAE(epochs=3).fit(X)
    >>> views = ss.explore(X, model.posterior(X), model)
    >>> "Look around" in views.page
    True
    """
    look = look_at(model, X, p, title=title)
    return Views(whole(part_of(look), look.title))


def whole(part: Part, title: str, more: str = "") -> str:
    """A page that is linked views and nothing else; ``more`` of the policy, where it is served."""
    return render(Page(title, "", None, (), look=part), more)
