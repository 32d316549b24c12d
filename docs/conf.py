"""Sphinx configuration."""

project = "loopyvq"
author = "The loopyvq authors"
copyright = "2026, the loopyvq authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "loopyvq"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
nitpicky = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
