"""The configuration of Sphinx for the documentation site: ``make site``."""

from heliograph.version import __version__

project = "heliograph"
author = "the heliograph authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]  # queries of VictoriaLogs and Jaeger have no colours
html_theme = "furo"
html_title = f"heliograph {__version__}"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
