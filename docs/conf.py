"""The documentation site: guides, the executed vignettes, and an API reference made from the public names."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import _docstrings  # noqa: E402
import _figures  # noqa: E402
import _pages  # noqa: E402

import statkit  # noqa: E402

# Gallery, reference and measured tables are made, not written; before Sphinx looks which pages there are.
_pages.make(HERE)

project, author = "statkit", "the statkit developers"
version = release = statkit.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",  # MathJax in the package: the site is read without a network too
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
# The first one is what autosummary writes its pages in.
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb"}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# Vignettes are run when the site is built, and again only when they have changed.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

highlight_language = "none"  # a block without a language is not Python
smartquotes = False  # "a" in a list of values is what one types
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"  # names of methods alone: the list beside a page is narrow
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "statkit"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Pages without a section of their own have no list of it.
html_sidebars = {
    page: []
    for page in ("index", "chooser", "alternatives", "measured", "checks", "robustness", "architecture")
}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 4,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def _fill(app, page, source):
    """Measured figures in the place of their placeholders; a vignette has figures of its own."""
    if not page.startswith(("gallery/", "api/")):
        source[0] = _figures.fill(source[0], page)


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _fill)
    app.connect("autodoc-process-docstring", _docstrings.connected, priority=900)
