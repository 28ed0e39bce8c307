"""The built documentation in a real browser; what it shows, without one."""

from __future__ import annotations

import functools
import http.server
import importlib
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the documentation is in the repository and in source distributions", True)

BUILT = ("index", "gallery", "page", "results")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def test_figures_show_what_tables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    figures = importlib.import_module("benchmarks.figures")
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    for name, panels in figures.FIGURES.items():
        assert f"]({name})" in text
        for patterns in panels.values():
            assert all(float(value) < 100 for value in figures.values(text, patterns).values())
    with pytest.raises(SystemExit, match="no row for VAE any more"):
        figures.values("| VAE |", {"VAE": r"^\| VAE \| ([\d.]+)"})


def test_sounds_are_small_and_have_players(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    repository = importlib.import_module("repository")
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\((_static/gallery/[^)]+)\)", text))
    there = {path for path in (DOCS / "_static" / "gallery").rglob("*") if path.is_file()}
    assert {DOCS / name for name in shown} == there
    assert sum(path.stat().st_size for path in there) < 3e6
    players = repository.with_players(text)
    assert players.count('<audio controls preload="none" title="') == text.count(".mp3)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of some pages of the documentation, as they are built."""
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    others = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.stem not in BUILT]
    excluded = ",".join(["_ext", "api", *(name for name in others if "/" not in name)])
    command = [sys.executable, "-m", "sphinx", "-Q", "-D", f"exclude_patterns={excluded}"]
    subprocess.run([*command, DOCS, folder], check=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


_FRAME = """
  const frame = document.createElement('iframe');
  Object.assign(frame, { className: 'page', srcdoc: '<style>:root { color-scheme: light dark }' });
  document.body.append(frame);
"""
_FRAME_IS = """
  theme => {
    document.body.dataset.theme = theme;
    const dark = frames[0].matchMedia('(prefers-color-scheme: dark)').matches;
    return dark === (theme === 'dark');
  }
"""


def test_the_site_is_read_heard_and_searched(site: str, node_modules: Path) -> None:
    from playwright.sync_api import sync_playwright

    axe = (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        page = found.new_page(viewport={"width": 1280, "height": 800}, color_scheme="null")
        page.set_default_timeout(90_000)
        for name in BUILT:
            page.goto(f"{site}/{name}.html")
            cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
            assert page.locator("pre").evaluate_all(cut) == 0, f"{name}: code is cut"
            page.evaluate(axe)
            wrong = page.evaluate("axe.run(document, { iframes: false })")["violations"]
            assert [each["id"] for each in wrong] == [], name
        page.goto(f"{site}/gallery.html")
        page.evaluate("document.querySelector('audio').play()")
        page.wait_for_function("document.querySelector('audio').duration > 0.3")
        page.evaluate(_FRAME)
        for theme in ("dark", "light"):
            page.wait_for_function(_FRAME_IS, arg=theme)
        page.goto(f"{site}/search.html?q=microphone")
        page.wait_for_selector(".search a[href^='page.html']")
        found.close()
