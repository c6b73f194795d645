"""How the manual is built: `make docs`."""

from __future__ import annotations

from importlib.util import find_spec

import nearhop
from nearhop.docs._public import expand, readable

project = "nearhop"
author = "the nearhop authors"
copyright = "the nearhop authors, Apache-2.0"
version = release = nearhop.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
default_role = "code"  # `name` in a docstring is code
smartquotes = False  # "l2" in a docstring is an argument, to be copied as it stands
suppress_warnings = ["ref.python"]  # names of parameters are no references

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_typehints = "none"  # the docstrings say types and shapes
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# The reference of models and loaders is made without torch too.
autodoc_mock_imports = [
    name for name in ("torch", "torch_geometric", "sklearn", "faiss", "networkx", "dgl") if find_spec(name) is None
]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "nearhop"
html_static_path = ["_static"]
html_css_files = ["nearhop.css"]
html_show_sourcelink = False
html_sidebars: dict[str, list[str]] = {"index": [], "getting-started": []}
html_context = {
    "github_user": "nearhop",
    "github_repo": "nearhop",
    "github_version": "main",
    "doc_path": "docs",
    "default_mode": "auto",
}
html_theme_options = {
    "logo": {"text": "nearhop"},
    "github_url": "https://github.com/nearhop/nearhop",
    "use_edit_page_button": True,
    "show_prev_next": True,
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc", "edit-this-page"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def setup(app):
    """Blocks of public names become the directives that document them."""
    app.connect("source-read", lambda _, __, source: source.__setitem__(0, expand(source[0])))
    app.connect("autodoc-process-docstring", lambda *given: readable(given[-1]), priority=400)  # before napoleon
