"""Settings of the documentation site. Build it with: python -m sphinx -W docs build/docs."""

import sys
from pathlib import Path

_DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(_DOCS.parent), str(_DOCS)]  # for vade_jax and generated_pages

import vade_jax  # noqa: E402

project = "vade-jax"
author = "The vade-jax developers"
release = version = vade_jax.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated_pages"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # quotes around values of settings stay as they are typed
default_role = "code"  # single backticks in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give shapes, which types do not
napoleon_use_ivar = True

html_theme = "furo"
html_title = "vade-jax"
html_theme_options = {"source_edit_link": ""}
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
