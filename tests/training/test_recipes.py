"""The table of recipes, and the provenance of the shipped weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

import audiate
from audiate.training.recipes import ENTRIES, RECIPES, LatentEncoderRecipe, recipe_from

SHIPPED = sorted((Path(audiate.__file__).parent / "weights").glob("*/config.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_weights_know_their_recipe(path: Path) -> None:
    provenance = json.loads(path.read_text())["provenance"]
    recipe = recipe_from(provenance["recipe"], provenance["settings"])
    assert recipe is not None
    plain = json.loads(json.dumps(asdict(recipe)))
    assert plain.items() >= provenance["settings"].items()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_comes_back_from_its_plain_values(name: str) -> None:
    settings = json.loads(json.dumps(asdict(RECIPES[name])))
    assert recipe_from(name, settings) == RECIPES[name]


def test_settings_of_another_version() -> None:
    assert recipe_from("nothing", {}) is None
    assert recipe_from("wavegan", {"width": 3}) is None
    assert recipe_from("wavegan", {"network": {"width": 3}}) is None


def test_the_table_says_what_to_do() -> None:
    assert all(entry.description.endswith(".") for entry in ENTRIES.values())
    assert [name for name, recipe in RECIPES.items() if not recipe.bf16_pays] == ["lenet"]
    assert RECIPES["vae"].next_command("runs/vae") == ["evaluate", "runs/vae"]
    assert RECIPES["specgan"].next_command("runs/x") == ["generate", "runs/x"]
    assert LatentEncoderRecipe(generator="mine").next_command("runs/x") == [
        *("evaluate", "inversion", "--generator", "mine", "--encoder", "runs/x"),
    ]
