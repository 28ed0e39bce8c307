"""The table of recipes, and the provenance of the shipped weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import torch

import audiate
from audiate.errors import InputError
from audiate.models.configs import DualEncoderConfig, SpecGANConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.specgan import SpecGAN
from audiate.training.initial import begin_with
from audiate.training.recipes import ENTRIES, RECIPES, recipe_from
from audiate.training.recipes.drawing import VAERecipe
from audiate.training.recipes.encoders import LatentEncoderRecipe

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
    for name, words in {
        "vae": ["evaluate", "runs/x"],
        "specgan": ["generate", "runs/x"],
        "say": ["say", "PICTURE", "--model", "runs/x"],
    }.items():
        assert ENTRIES[name].next_command(RECIPES[name], "runs/x") == words
    own = VAERecipe(pairs="mine")
    assert ENTRIES["vae"].next_command(own, "runs/x") == ["draw", "CLIP", "--model", "runs/x"]
    encoder = LatentEncoderRecipe(generator="mine")
    assert ENTRIES["latent-encoder"].next_command(encoder, "runs/x") == [
        *("evaluate", "inversion", "--generator", "mine", "--encoder", "runs/x"),
    ]


def test_a_training_begins_with_other_weights(tmp_path: Path) -> None:
    before, model = (
        audiate.load("match-digits", DualEncoder),
        DualEncoder(DualEncoderConfig(pictures="whole", references=3)),
    )
    begin_with(model, "match-digits")  # the pairs to come have vectors of their own
    for mine, other in zip(model.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(mine, other)
    torch.testing.assert_close(model.references, torch.zeros_like(model.references))
    with pytest.raises(InputError, match="`init` lenet-mnist: is a LeNet, not a DualEncoder; name"):
        begin_with(model, "lenet-mnist")
    SpecGAN(SpecGANConfig(dim=1)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"has other sizes \(discriminator\.\S+\); give one of"):
        begin_with(SpecGAN(SpecGANConfig(dim=2)), str(tmp_path))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_task_prepares(name: str) -> None:
    prepare = import_module(ENTRIES[name].task).prepare
    assert list(signature(prepare).parameters)[:2] == ["recipe", "root"]
