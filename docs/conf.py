"""How the documentation is built: `make docs`."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_ext"))

from audiate.version import __version__  # noqa: E402

project = "audiate"
author = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["authors"][0]["name"]
project_copyright = author
release = version = __version__

# No intersphinx: a build must not depend on another site.
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "repository",
    "backlinks",
    "mathml",
]
exclude_patterns = ["_ext"]
page_folder = str(ROOT / "web" / "dist")  # `make page-build` makes it; see _ext/repository.py

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Docstrings are written as the command line and people read them: `code` in single backticks.
default_role = "literal"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"audiate {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
copybutton_only_copy_prompt_lines = False
