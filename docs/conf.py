"""The documentation site: `make docs` builds it, warnings are errors."""

import os
import sys
from pathlib import Path

import shapeshift

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # gallery_scraper
os.environ.setdefault("MPLBACKEND", "Agg")

project = "shapeshift"
author = "the authors of shapeshift"
release = version = shapeshift.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery/README.rst"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
root_doc = "index"

# pages are read in the repository, too: links that leave this folder lead somewhere there, and
# tests/test_pages.py follows every link
suppress_warnings = ["myst.xref_missing", "config.cache"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings tell
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": "plot_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("matplotlib", "gallery_scraper.scraper"),
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "plot_gallery": os.environ.get("GALLERY", "yes") != "no",
}

html_theme = "pydata_sphinx_theme"
html_title = "shapeshift"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 6,
}
copyright = "the authors; MIT licence"
templates_path = ["_templates"]


_SCIKIT_LEARN = {"get_params", "set_params", "set_output", "get_metadata_routing", "metadata_routing"}


def _skip(app, what, name, member, skip, options):
    """Leave out what scikit-learn gives every estimator: its own pages tell of that."""
    own = name.startswith("set_") and name.endswith("_request")
    return True if own or name in _SCIKIT_LEARN else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", _skip)
