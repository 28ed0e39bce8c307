"""Files of the repository that are no pages by themselves: CONTRIBUTING.md, cards, the web page.

Links among them and the pages are written as they hold in the repository, and are turned here into
those that hold on the site. Four things are done as pages are read:

- a page that consists of one ``{include}`` of a Markdown file is that file;
- ``model-cards`` gets the card of every shipped model, as a section each;
- a link to an mp3 file becomes a player;
- the tag ``page`` says whether the web page was built, and it is copied beside the pages.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset

CARDS_PAGE = "model-cards"
CARD_GLOBS = ("src/audiate/weights/*/README.md", "packages/papers/src/*/weights/*/README.md")
PAGE_FOLDER = "listen"
"""Where the web page is, within the site."""

_INCLUDE = re.compile(r"^```\{include\} (\S+\.md)\n```$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_SOUND = re.compile(r"\[([^\]]+)\]\((\S+\.mp3)\)")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def cards(root: Path) -> list[Path]:
    """The model cards of all packages, by the names of their models."""
    found = (path for pattern in CARD_GLOBS for path in root.glob(pattern))
    return sorted(found, key=lambda path: path.parent.name)


def with_players(text: str) -> str:
    """The text with a player in place of each link to an mp3 file."""
    player = r'<audio controls preload="none" title="\1" aria-label="\1" src="\2"></audio>'
    return _SOUND.sub(player, text)


class Repository:
    """The pages, and which files of the repository each of them shows."""

    def __init__(self, app: Sphinx) -> None:
        self.docs = Path(app.srcdir)
        self.root = self.docs.parent
        self.cards = cards(self.root)
        self.targets: dict[Path, str] = {}
        for page in self.docs.rglob("*.md"):
            for included in _INCLUDE.findall(page.read_text(encoding="utf-8")):
                self.targets[(page.parent / included).resolve()] = str(page.relative_to(self.docs))
        for card in self.cards:
            self.targets[card.resolve()] = f"{CARDS_PAGE}.md#{card.parent.name}"

    def read(self, app: Sphinx, docname: str, source: list[str]) -> None:
        """Put the text of other files where it belongs, and make every link one that holds."""
        page = self.docs / f"{docname}.md"
        text = self._linked(source[0], page, page)

        def included(match: re.Match[str]) -> str:
            return self._taken(app, page.parent / match[1], page)

        text = _INCLUDE.sub(included, text)
        if docname == CARDS_PAGE:
            for card in self.cards:
                text += "\n" + re.sub(r"^#", "##", self._taken(app, card, page), count=1)
        source[0] = with_players(text)

    def _taken(self, app: Sphinx, path: Path, page: Path) -> str:
        """The text of a file as a part of a page, which is built anew when the file changes."""
        app.env.note_dependency(str(path.resolve()))
        text = _FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
        return self._linked(text, path, page)

    def _linked(self, text: str, path: Path, page: Path) -> str:
        """The text of the file at ``path`` with the links that it needs as a part of ``page``."""

        def link(match: re.Match[str]) -> str:
            target = (path.parent / match[1]).resolve()
            where, _, anchor = self.targets.get(target, "").partition("#")
            fragment = match[2] or (f"#{anchor}" if anchor else "")
            target = self.docs / where if where else target
            return f"]({os.path.relpath(target, page.parent)}{fragment})"

        parts = _FENCED.split(text)
        return "".join(part if at % 2 else _LINK.sub(link, part) for at, part in enumerate(parts))


def _copy_page(app: Sphinx, error: Exception | None) -> None:
    target = Path(app.outdir) / PAGE_FOLDER
    shutil.rmtree(target, ignore_errors=True)  # of another build
    if error is None and "page" in app.tags:
        copy_asset(app.config["page_folder"], target)


def _prepare(app: Sphinx) -> None:
    app.connect("source-read", Repository(app).read)


def _tag(app: Sphinx, _: object) -> None:
    if (Path(app.config["page_folder"]) / "index.html").exists():
        app.tags.add("page")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build."""
    app.add_config_value("page_folder", "", "env", str)
    app.connect("config-inited", _tag)
    app.connect("builder-inited", _prepare)
    app.connect("build-finished", _copy_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
