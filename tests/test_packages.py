"""Two packages of one version: their contents, and what a model that is not installed says."""

from __future__ import annotations

import re
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import audiate
from audiate.errors import InputError
from audiate.models import hub

ROOT = Path(__file__).parent.parent
PAPERS = ROOT / "packages" / "papers"
MEGABYTE = 10**6
OURS_AT_MOST = 40 * MEGABYTE  # the wheel of `audiate`; a package index takes 100 MB
EACH_AT_MOST = 90 * MEGABYTE

pytestmark = pytest.mark.skipif(
    not (PAPERS / "pyproject.toml").is_file(),
    reason="packages/papers is in the repository, not in a source distribution",
)


def project(folder: Path) -> dict[str, Any]:
    with (folder / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def packaged(folder: Path) -> Iterator[Path]:
    """Files that the wheel of the package in this folder holds."""
    (package,) = project(folder)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for path in (folder / package).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def models_in(folder: Path) -> set[str]:
    return {path.parent.name for path in packaged(folder) if path.name == hub.WEIGHTS_NAME}


def test_the_version_is_in_one_place() -> None:
    for folder in (ROOT, PAPERS):
        settings = project(folder)
        assert settings["project"]["dynamic"] == ["version"]
        source = folder / settings["tool"]["hatch"]["version"]["path"]
        assert source.resolve() == (ROOT / "src" / "audiate" / "version.py").resolve()
    extras = project(ROOT)["project"]["optional-dependencies"]
    assert extras["papers"] == [f"audiate-papers=={audiate.__version__}"]


def test_each_model_is_in_one_package() -> None:
    assert models_in(PAPERS) == set(hub.PAPERS_MODELS)
    assert not models_in(ROOT) & models_in(PAPERS)
    assert models_in(ROOT) | models_in(PAPERS) == set(hub.shipped_models())


def test_the_defaults_need_one_package() -> None:
    defaults = {
        *(
            hub.DEFAULT_AUDIO_TO_IMAGE,
            hub.DEFAULT_GENERATOR,
            hub.DEFAULT_IMAGE_TO_AUDIO,
            hub.DEFAULT_DUAL_ENCODER,
        ),
        *(hub.SPOKEN_CLASSIFIER, hub.WRITTEN_CLASSIFIER),
    }
    assert models_in(ROOT) == defaults


@pytest.mark.parametrize(("folder", "most"), [(ROOT, OURS_AT_MOST), (PAPERS, EACH_AT_MOST)])
def test_the_wheels_are_small(folder: Path, most: int) -> None:
    assert sum(len(zlib.compress(path.read_bytes(), 1)) for path in packaged(folder)) < most


def test_both_have_the_licence() -> None:
    assert (PAPERS / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_links_of_the_cards_lead_somewhere() -> None:
    cards = [path for folder in (ROOT, PAPERS) for path in packaged(folder) if path.suffix == ".md"]
    for page in (*cards, ROOT / "docs" / "weights.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


class TestNotInstalled:
    """What `audiate` alone says, without `audiate-papers`."""

    @pytest.fixture(autouse=True)
    def alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub, "PAPERS_PACKAGE", "audiate_papers_that_are_not_there")

    @pytest.mark.parametrize("name", hub.PAPERS_MODELS)
    def test_the_command_is_named(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / name).mkdir()  # a shipped name means the shipped model, here too
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError) as caught:
            audiate.load(name)
        assert str(caught.value) == (
            f'{name}: its weights are not installed; install them: pip install "audiate[papers]", '
            "or from a checkout: pip install ./packages/papers"
        )

    def test_the_others_are_there(self) -> None:
        assert hub.shipped_models() == sorted(models_in(ROOT))
        assert hub.find(hub.DEFAULT_AUDIO_TO_IMAGE).is_dir()

    def test_an_unknown_name_lists_all(self) -> None:
        with pytest.raises(InputError) as caught:
            hub.find("no-such-model")
        for name in (*models_in(ROOT), *hub.PAPERS_MODELS):
            assert name in str(caught.value)
