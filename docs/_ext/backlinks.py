"""Links from source code back to the reference that lead to the entry of each name.

`sphinx.ext.viewcode` takes it that the reference names all of a module by one module's name. Here a
class may stand under the package that offers it, and a function beside it under its own module.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

from sphinx.application import Sphinx

_SOURCE = "_modules/"
_BACK = re.compile(r'(class="viewcode-back" href="[^"#]*#)([\w.]+)"')


def mended(body: str, module: str, known: Container[str]) -> str:
    """The page of a module's source, in which every link back leads to a name that is known."""

    def back(match: re.Match[str]) -> str:
        name = match[2]
        for at in [each.start() for each in re.finditer(r"\.", name)]:
            if name not in known and module + name[at:] in known:
                name = module + name[at:]
        return f'{match[1]}{name}"'

    return _BACK.sub(back, body)


def _mend(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    if page.startswith(_SOURCE) and "body" in context:
        module = page.removeprefix(_SOURCE).replace("/", ".")
        context["body"] = mended(context["body"], module, app.env.domains.python_domain.objects)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build."""
    app.connect("html-page-context", _mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
