"""Generators with codes: their prior, their Q-networks, the groups they begin with, training."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_specgan, tones, trained, write_tone

import audiate as package
from audiate.cli import main
from audiate.data.sounds import SoundSet
from audiate.errors import InputError, Interrupted
from audiate.models.code_network import WordCodeNetwork, code_names, decode_codes, encode_codes
from audiate.models.configs import CodeConfig, CodeNetworkKind, WaveGANConfig
from audiate.models.wavegan import WaveGAN
from audiate.training import discovery
from audiate.training.discovery import discover, find_conditions, first_groups, joined
from audiate.training.grouping import (
    _spectral,
    arrange_binary,
    balanced,
    match_groups,
    silhouette,
    warped_distances,
)
from audiate.training.loop import _stop_signals, train_step, update
from audiate.training.recipes import ENTRIES, RECIPES
from audiate.training.recipes.coded_gans import (
    CIWGAN_PAPER,
    FIWGAN_PAPER,
    CiwSpecGANRecipe,
    CodedRecipe,
    FiwSpecGANRecipe,
)
from audiate.training.task import Shard
from audiate.training.tasks.coded_gan_task import CodedGANTask

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def short_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that are learnt in a few updates, for sounds that are easily told apart."""
    for name, value in (("_STEPS", 15), ("_ROUNDS", 1), ("_VIEWS", 2), ("_BATCH", 32)):
        monkeypatch.setattr(discovery, name, value)


ONE_HOT, BINARY = CodeConfig("one-hot", 5, "words"), CodeConfig("binary", 3, "words")
SIZES = replace(CiwSpecGANRecipe().network, dim=2, num_samples=4096, n_fft=256, iterations=2)
SMALL = CiwSpecGANRecipe(steps=3, batch_size=8, network=SIZES, codes=2, preview_every=3)


def task_of(recipe: CodedRecipe, sounds: SoundSet | None = None) -> CodedGANTask:
    return CodedGANTask(recipe, sounds or tones(recipe.network.num_samples), CPU, Shard())


class TestCodes:
    @pytest.mark.parametrize("code", [ONE_HOT, BINARY], ids=["one-hot", "binary"])
    def test_numbers_and_entries_are_each_others_inverse(self, code: CodeConfig) -> None:
        numbers = torch.arange(code.count)
        entries = encode_codes(code, numbers)
        assert entries.shape == (code.count, code.size)
        assert torch.equal(decode_codes(code, entries), numbers)
        assert len(set(code_names(code))) == code.count

    def test_binary_codes_are_numbers_in_base_two(self) -> None:
        assert encode_codes(BINARY, torch.tensor([6])).tolist() == [[1, 1, 0]]
        assert code_names(BINARY)[6] == "110"

    @pytest.mark.parametrize("code", [ONE_HOT, BINARY], ids=["one-hot", "binary"])
    def test_the_prior_begins_with_a_code_and_is_uniform_after_it(self, code: CodeConfig) -> None:
        model = small_specgan(latent_dim=12, code=code)
        z = model.sample_latent(4000, generator=torch.Generator().manual_seed(0))
        first, rest = z[:, : code.size], z[:, code.size :]
        assert set(first.flatten().tolist()) == {0.0, 1.0}
        if code.kind == "one-hot":
            assert torch.equal(first.sum(1), torch.ones(4000))
        shares = torch.bincount(model.labels_of(z), minlength=code.count) / 4000
        assert (shares - 1 / code.count).abs().max() < 0.02
        assert rest.min() >= -1
        assert rest.std().item() == pytest.approx(3**-0.5, abs=0.01)

    def test_a_code_that_is_asked_for_is_drawn(self) -> None:
        model = small_specgan(latent_dim=12, code=BINARY)
        labels = torch.tensor([0, 7, 5])
        assert torch.equal(model.labels_of(model.sample_latent(3, labels=labels)), labels)
        with pytest.raises(InputError, match="knows 8"):
            model.sample_latent(1, labels=torch.tensor([8]))

    def test_a_code_that_does_not_fit_is_refused(self) -> None:
        with pytest.raises(InputError, match="code size"):
            WaveGANConfig(latent_dim=3, code=CodeConfig("one-hot", 4))
        with pytest.raises(InputError, match="never both"):
            WaveGANConfig(classes=2, code=ONE_HOT)
        with pytest.raises(InputError, match="code kind"):
            CodeConfig("gray", 3)  # type: ignore[arg-type]

    def test_it_is_kept_with_the_weights(self, tmp_path: Path) -> None:
        model = small_specgan(latent_dim=12, code=ONE_HOT)
        model.save_pretrained(tmp_path)
        again = package.SpecGAN.from_pretrained(tmp_path)
        sounds = model(model.sample_latent(4))
        assert again.config.code == ONE_HOT
        assert torch.equal(again.codes_of(sounds), model.codes_of(sounds))

    def test_a_model_without_a_q_network_says_so(self) -> None:
        model = small_specgan()
        with pytest.raises(InputError, match="no Q-network"):
            model.codes_of(torch.zeros(1, 1, 4096))


class TestQNetworks:
    @pytest.mark.parametrize("kind", ["published", "words"])
    def test_both_kinds_in_both_networks(self, kind: CodeNetworkKind) -> None:
        code = replace(ONE_HOT, network=kind, judged=True)
        for model in (
            small_specgan(latent_dim=12, code=code),
            WaveGAN(WaveGANConfig(dim=1, latent_dim=12, code=code)).eval(),
        ):
            draft = model.draft(model.sample_latent(2))
            assert model.code_logits(draft).shape == (2, 5)
            assert model.discriminator(draft, torch.tensor([0, 4])).shape == (2,)

    def test_the_published_one_is_the_discriminator_with_another_head(self) -> None:
        model = WaveGAN(WaveGANConfig(dim=4, code=CodeConfig("one-hot", 10, "published")))
        own = dict(model.code_network.named_parameters())  # type: ignore[union-attr]
        other = dict(model.discriminator.named_parameters())
        trunk = [name for name in other if name.startswith("downsample")]
        assert all(own[name].shape == other[name].shape for name in trunk)
        assert own["head.weight"].shape == (10, 16 * 4 * 16)

    def test_words_hears_neither_level_nor_place(self) -> None:
        network = WordCodeNetwork(16_000, ONE_HOT.size).eval()
        time = torch.arange(4000) / 16_000
        word = torch.sin(2 * torch.pi * (300 + 2000 * time) * time) * torch.hann_window(4000)
        here, there = torch.zeros(2, 1, 1, 16_384)
        here[..., 2000:6000], there[..., 6096:10_096] = word, 0.1 * word
        one, other = (network(network.power(clip)) for clip in (here, there))
        torch.testing.assert_close(one, other, atol=0.02, rtol=0)


class TestGroups:
    def test_two_kinds_of_sounds_become_two_groups(self) -> None:
        sounds = tones(count=60)
        network = WordCodeNetwork(16_000, ONE_HOT.size)
        swell = torch.hann_window(4096)
        waveforms = sounds.waveforms(torch.arange(60)) * swell
        found = discover(network, waveforms, 2, 0, torch.arange(60) // 2 % 2)
        same = (found.groups == sounds.labels).float().mean().item()
        assert max(same, 1 - same) == 1
        assert found.conditions == 2

    @pytest.mark.parametrize(
        ("voices", "conditions"),
        [
            ([0] * 19 + [1], 1),  # a voice of one clip, which the Q-network sorts
            ([0] * 16 + [1, 2, 3, 4], 2),  # four of them, together
            (range(20), 1),
        ],
    )
    def test_voices_of_few_clips_are_sorted_too(
        self, voices: Sequence[int], conditions: int
    ) -> None:
        network = WordCodeNetwork(16_000, ONE_HOT.size)
        waveforms = tones().waveforms(torch.arange(20)) * torch.hann_window(4096)
        found = discover(network, waveforms, 4, 0, torch.tensor(voices))
        assert found.conditions == conditions
        assert set(found.groups.tolist()) == {0, 1, 2, 3}

    def test_conditions_of_few_clips_are_joined(self) -> None:
        few = np.array([7, 7, 7, 2, 5, 2, 7])
        assert joined(few, 3).tolist() == [7, 7, 7, 8, 8, 8, 7]
        assert joined(few, 4).tolist() == [7, 7, 7, -1, -1, -1, 7]
        assert joined(few, 2).tolist() == [7, 7, 7, 2, -1, 2, 7]

    @pytest.mark.filterwarnings("error")
    def test_copies_of_one_clip_are_grouped_without_a_warning(self) -> None:
        network = WordCodeNetwork(16_000, ONE_HOT.size)
        waveforms = tones().waveforms(torch.zeros(20, dtype=torch.int64))
        assert len(discover(network, waveforms, 4, 0).groups) == 20

    def test_a_graph_whose_eigenvalues_are_alike_has_an_embedding(self) -> None:
        points = _spectral(np.zeros((20, 20)), 4)  # of which a search finds no eigenvectors
        assert points.shape == (20, 4)
        assert np.isfinite(points).all()

    def test_fewer_clips_than_groups_need_are_refused(self) -> None:
        network = WordCodeNetwork(16_000, ONE_HOT.size)
        with pytest.raises(InputError, match=r"\(7\) to find 4 groups in; give 8"):
            discover(network, torch.zeros(7, 1, 4096), 4, 0)

    def test_groups_are_of_even_size_and_begin_where_they_are_told(self) -> None:
        source = np.random.default_rng(0)
        values = np.concatenate([source.normal(place, 0.3, (40, 2)) for place in (0.0, 3.0)])
        groups, _ = balanced(values, np.array([[3.0, 3.0], [0.0, 0.0]]))
        assert (groups == np.repeat([1, 0], 40)).all()

    def test_warped_distances_are_librosas(self) -> None:
        librosa = pytest.importorskip("librosa")
        series = np.random.default_rng(0).normal(size=(5, 12, 3))
        for band in (12, 3):
            found = warped_distances(series, band)
            for one in range(5):
                for other in range(5):
                    costs = np.linalg.norm(series[one][:, None] - series[other], axis=2)
                    outside = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) > band
                    costs[outside] = 1e6
                    expected = librosa.sequence.dtw(C=costs, backtrack=False)[-1, -1] / 12
                    assert found[one, other] == pytest.approx(expected, rel=1e-4, abs=1e-6)

    def test_words_at_another_pace_are_grouped(self) -> None:
        """Two words of two sounds each, whose first sound lasts shorter or longer."""
        views = 0.1 * torch.rand(40, 48, 48, generator=torch.Generator().manual_seed(0))
        for clip in range(40):
            change = 14 + clip // 2
            views[clip, 5 + 20 * (clip % 2) :, :change] += 0.9
            views[clip, :35, change:] += 0.9
        groups = first_groups(views, torch.zeros(40), np.zeros(40, dtype=np.int64), 2)
        assert len({(clip % 2, int(group)) for clip, group in enumerate(groups)}) == 2

    def test_numbers_of_groups_are_matched_over_conditions(self) -> None:
        source = np.random.default_rng(0)
        truth, conditions = np.arange(120) % 3, np.arange(120) // 60
        near = (truth[:, None] == truth) * source.uniform(0.2, 1, (120, 120))
        shuffled = np.where(conditions == 0, truth, np.array([2, 0, 1])[truth])
        matched = match_groups(near + near.T, conditions, shuffled, 3)
        pairs = set(zip(matched.tolist(), truth.tolist(), strict=True))
        assert len(pairs) == 3

    def test_conditions_are_found_where_they_are_apart_and_only_there(self) -> None:
        source = np.random.default_rng(0)
        one = source.normal(0, 1, (150, 8))
        assert len(np.unique(find_conditions(one))) == 1
        three = one + 12 * np.eye(8)[np.arange(150) % 3]
        found = find_conditions(three)
        assert len(set(zip(found.tolist(), (np.arange(150) % 3).tolist(), strict=True))) == 3

    def test_the_silhouette_is_scikit_learns(self) -> None:
        oracle = pytest.importorskip("sklearn.metrics")
        source = np.random.default_rng(0)
        values, groups = source.normal(size=(30, 4)), np.arange(30) % 3
        distances = np.linalg.norm(values[:, None] - values, axis=2)
        expected = oracle.silhouette_score(values, groups)
        assert silhouette(distances, groups) == pytest.approx(expected)

    def test_binary_numbers_share_digits_where_groups_are_alike(self) -> None:
        places = np.array([[0.0, 0], [10, 0], [0, 1], [10, 1]])
        numbers = arrange_binary(places)
        assert sorted(numbers) == [0, 1, 2, 3]
        assert numbers[0] // 2 == numbers[2] // 2 != numbers[1] // 2


class TestRecipes:
    def test_the_papers(self) -> None:
        for recipe in (CIWGAN_PAPER, FIWGAN_PAPER):
            assert (recipe.loss, recipe.penalty, recipe.critic_updates) == ("wgan-gp", 10, 5)
            assert (recipe.code_optimizer, recipe.code_rate) == ("rmsprop", 1e-4)
            assert (recipe.code_network, recipe.discover) == ("published", False)
            assert (recipe.network.dim, recipe.network.num_samples) == (64, 16_384)
            assert not recipe.code.judged

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"codes": 200}, "`latent_dim` 100: too small.*give 200 or more, or lower `codes`"),
            ({"code_network": "published"}, "`discover`"),
            ({"codes": 1}, "`codes` 1"),
        ],
    )
    def test_settings_that_do_not_go_together(
        self, changes: dict[str, object], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            replace(SMALL, **changes)  # type: ignore[arg-type]

    def test_every_recipe_says_what_is_next(self) -> None:
        assert ENTRIES["fiwgan"].next_command(RECIPES["fiwgan"], "runs/x") == ["codes", "runs/x"]


class TestTraining:
    @pytest.mark.parametrize(
        "recipe",
        [
            SMALL,
            replace(SMALL, discover=False, code_network="published", code_optimizer="rmsprop"),
            FiwSpecGANRecipe(steps=3, batch_size=8, network=SMALL.network, bits=2),
            replace(SMALL, network=replace(SMALL.network, latent_dim=3)),
        ],
        ids=["groups", "published", "binary", "three-latents"],
    )
    def test_every_network_learns(self, recipe: CodedRecipe) -> None:
        task = task_of(recipe, tones(count=24))
        before = {
            name: [p.clone() for p in module.parameters()]
            for name, module in task.model.named_children()
            if list(module.parameters())
        }
        losses = trained(task)
        assert all(torch.stack(list(each.values())).isfinite().all() for each in losses)
        task.end_epoch()
        for name, parameters in before.items():
            now = dict(task.model.named_children())[name].parameters()
            assert any(not torch.equal(a, b) for a, b in zip(parameters, now, strict=True)), name

    def test_labels_have_no_part_in_it(self) -> None:
        sounds = tones(count=24)
        shuffled = replace(sounds, labels=sounds.labels.flip(0), names=("a", "b"))
        one, other = (trained(task_of(SMALL, each)) for each in (sounds, shuffled))
        for a, b in zip(one, other, strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[name], b[name]) for name in a)

    def test_the_generator_is_led_by_what_the_q_network_hears(self) -> None:
        """One update of the generator, with a large weight, makes its codes easier to recover."""
        recipe = replace(SMALL, discover=False, code_network="published", learning_rate=1e-3)
        task = task_of(replace(recipe, code_weight=100.0), tones(count=24))
        for step in range(2):
            train_step(task, step)
        losses = []
        for step in range(2, 8):
            torch.manual_seed(0)
            task.begin_step(step)
            losses.append(update(task, task.stages(step)[0])["code"].item())
        assert losses[-1] < losses[0] - 0.02

    def test_groups_belong_to_the_state_of_the_run(self) -> None:
        task = task_of(SMALL, tones(count=24))
        train_step(task, 0)
        groups = task.modules["groups"].state_dict()["numbers"]
        assert set(groups.tolist()) == {0, 1}
        again = task_of(SMALL, tones(count=24))
        again.modules["groups"].load_state_dict({"numbers": 1 - groups})
        again.begin_step(1)
        assert torch.equal(again._sounds.labels, 1 - groups)

    def test_codes_that_are_not_recovered_raise_an_alarm(self) -> None:
        task = task_of(replace(SMALL, discover=False))
        trained(task)
        alarm = task.diagnose({"told_apart": 0.7, "recovered": 0.69})
        assert alarm is None or "codes are not recovered" in alarm or "collapse" in alarm

    def test_too_few_clips_are_refused_before_the_training(self) -> None:
        bits = FiwSpecGANRecipe(steps=3, batch_size=8, network=SIZES, bits=3)
        for recipe, setting in ((replace(SMALL, codes=8), "codes"), (bits, "bits")):
            few = rf"\(15\) to find 8 groups in; give 16 or more.*`{setting}`"
            with pytest.raises(InputError, match=few):
                task_of(recipe, tones(count=15))
            task_of(replace(recipe, discover=False), tones(count=15))

    def test_a_signal_ends_the_sorting_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discovery, "_STEPS", 1_000_000)
        task, begun = task_of(SMALL), time.monotonic()
        killer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
        with _stop_signals():
            killer.start()
            with pytest.raises(Interrupted, match="sorted into groups"):
                task.begin_step(0)
        assert time.monotonic() - begun < 30  # under load; it would take hours

    def test_voices_that_nothing_names_are_refused(self) -> None:
        task = task_of(replace(SMALL, voices="named"))
        with pytest.raises(InputError, match="nothing names any"):
            task.begin_step(0)


def test_the_command_trains_on_a_flat_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for word, hertz in (("low", 300.0), ("high", 1200.0)):
        for voice in ("anna", "bert"):
            for take in range(4):
                pitch = hertz * (1 + 0.02 * take)
                write_tone(tmp_path / "words" / f"{word}_{voice}_{take}.wav", hertz=pitch)
    command = (
        "train ciwgan-spectrogram --data words --codes 2 --label-from {word}_{voice}_* --steps 2 "
        "--batch-size 4 --dim 2 --num-samples 4096 --n-fft 256 --latent-dim 4 --out run"
    )
    assert main(command.split()) == 0
    assert "next: audiate codes run" in capsys.readouterr().out
    assert package.load("run").config.code.count == 2
