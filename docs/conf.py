"""Sphinx's settings for the site; ``make docs`` runs ``docs/pages.py`` first, which gathers and makes its pages."""

import bgkit

project = "bgkit"
author = "The bgkit founders"
release = version = bgkit.__version__

extensions = ["myst_parser", "sphinx_copybutton", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
numpydoc_show_class_members = False
autosummary_generate = False  # numpydoc loads autosummary; no page asks for it
autodoc_typehints = "none"  # the numpydoc sections say more
myst_heading_anchors = 4
highlight_language = "none"  # blocks without a language are commands and their output

smartquotes_action = "qe"  # a dash would eat one of the two hyphens of an option
html_theme = "pydata_sphinx_theme"
html_title = "bgkit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["any_word.js"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "search_bar_text": "Search: hair, fringes, white on white ...",
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}
