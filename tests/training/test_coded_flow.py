"""Flows of sound with codes: their latents, groups without labels, and the commands on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tones, write_tone

import audiate
from audiate.cli import main
from audiate.errors import InputError
from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig, CodeConfig, SpeechFlowConfig
from audiate.models.speech_flow import SpeechFlow
from audiate.phonetics.code_words import evaluate_codes
from audiate.training import discovery
from audiate.training.loop import train_step
from audiate.training.recipes.codecs import CodedFlowRecipe
from audiate.training.task import Shard
from audiate.training.tasks.speech_flow_task import CodedFlowTask

CODEC = CodecConfig(width=8, latent_channels=4)
SMALL = CodedFlowRecipe(
    codes=2, steps=3, batch_size=8, width=64, blocks=1, variants=2, shift=100, preview_every=3
)
NOISE = 4 * 8  # entries of a latent after the code, for a quarter of a second


@pytest.fixture(autouse=True)
def short_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that are learnt in a few updates, for sounds that are easily told apart."""
    for name, value in (("_STEPS", 15), ("_ROUNDS", 1), ("_VIEWS", 2), ("_BATCH", 32)):
        monkeypatch.setattr(discovery, name, value)


def small_codec() -> Codec:
    torch.manual_seed(0)
    return Codec(CODEC).eval()


def small_flow(codes: int = 3) -> SpeechFlow:
    """A flow with codes that moves noise, though it was never trained."""
    torch.manual_seed(0)
    code = CodeConfig("one-hot", codes, "words")
    flow = SpeechFlow(SpeechFlowConfig(CODEC, code=code, num_samples=4096, width=64, blocks=1))
    torch.nn.init.normal_(flow.velocity.last.weight, std=0.05)
    return flow.eval()


def task_of(recipe: CodedFlowRecipe = SMALL, **changes: Any) -> CodedFlowTask:
    sounds = replace(tones(4096), **changes)
    return CodedFlowTask(recipe, small_codec(), sounds, torch.device("cpu"), Shard())


class TestModel:
    def test_a_latent_is_a_code_and_normal_noise(self) -> None:
        z = small_flow().sample_latent(3000, generator=torch.Generator().manual_seed(0))
        assert z.shape == (3000, 3 + NOISE)
        assert torch.equal(z[:, :3].sum(1), torch.ones(3000))
        assert set(z[:, :3].flatten().tolist()) == {0.0, 1.0}
        assert z[:, 3:].std().item() == pytest.approx(1, abs=0.02)
        assert small_flow().sample_latent(2, labels=torch.tensor([2, 0]))[:, :3].tolist() == [
            [0, 0, 1],
            [1, 0, 0],
        ]

    def test_entries_of_the_code_are_the_condition_as_they_stand(self) -> None:
        flow = small_flow()
        z = flow.sample_latent(1, labels=torch.tensor([0]))
        between, beyond = z.clone(), z.clone()
        between[:, :3] = torch.tensor([0.5, 0.5, 0.0])
        beyond[:, :3] = torch.tensor([2.0, 0.0, 0.0])
        with torch.inference_mode():
            found = [flow.codec_latents(each) for each in (z, between, beyond)]
        assert (found[0] - found[1]).abs().max() > 1e-4
        assert (found[0] - found[2]).abs().max() > 1e-4

    def test_what_is_recovered_has_no_code_and_gives_the_sound_back(self) -> None:
        flow = small_flow()
        flow.config = replace(flow.config, steps=50)
        sounds = 0.1 * torch.randn(2, 1, 4096)
        with torch.inference_mode():
            z = flow.recover(sounds)
            given = flow.codec_latents(z)
            expected = flow.codec.encode(sounds).mu
        assert z.shape == (2, 3 + NOISE)
        assert not z[:, :3].any()
        assert flow.labels_of(z).tolist() == [-1, -1]
        torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-3)

    def test_the_code_is_read_from_sounds_and_kept_with_the_weights(self, tmp_path: Path) -> None:
        flow = small_flow()
        flow.save_pretrained(tmp_path)
        again = audiate.load(tmp_path, SpeechFlow)
        sounds = torch.randn(5, 1, 4096)
        assert torch.equal(again.codes_of(sounds), flow.codes_of(sounds))
        with pytest.raises(InputError, match="no codes"):
            SpeechFlow(SpeechFlowConfig(CODEC, num_samples=4096, width=64)).codes_of(sounds)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"code": CodeConfig("binary", 3, "words")}, "one-hot"),
            ({"code": CodeConfig("one-hot", 3, "words"), "classes": 2}, "never both"),
        ],
    )
    def test_codes_that_do_not_fit_are_refused(self, wrong: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            SpeechFlowConfig(**wrong)


class TestTraining:
    def test_like_sounds_get_one_code_which_the_q_network_reads(self) -> None:
        """The labels of the clips are wrong on purpose: they must have no part in it."""
        task = task_of(replace(SMALL, steps=1, voices="one"), labels=torch.zeros(20).long())
        train_step(task, 0)
        sounds, kinds = tones(4096), tones(4096).labels
        found = task.model.codes_of(sounds.waveforms(torch.arange(20)))
        assert torch.equal(found, kinds) or torch.equal(found, 1 - kinds)
        assert task.model.names == ()

    def test_groups_belong_to_the_state_of_the_run(self) -> None:
        first, again = task_of(), task_of()
        train_step(first, 0)
        before = first.modules["groups"].state_dict()
        assert int(before["numbers"].min()) >= 0
        for name, module in first.modules.items():
            again.modules[name].load_state_dict(module.state_dict())
        torch.manual_seed(1)  # the order of the groups would be another one
        train_step(again, 1)
        assert torch.equal(again.modules["groups"].state_dict()["numbers"], before["numbers"])

    def test_previews_show_each_code(self) -> None:
        task = task_of()
        assert task.model.labels_of(task._latents).tolist() == [0, 1] * 8

    def test_it_may_begin_with_a_flow_of_other_labels(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        small_flow(codes=3).save_pretrained(tmp_path)
        task = task_of(replace(SMALL, init=str(tmp_path)))
        assert capsys.readouterr().err == (
            f"audiate: --init {tmp_path}: all weights are taken over but for code_network.head, "
            "velocity.of_condition, which begin anew, as sizes differ\n"
        )
        before, after = small_flow().velocity, task.model.velocity
        assert torch.equal(after.first.weight, before.first.weight)
        assert after.of_condition.weight.shape == (64, 2)
        with pytest.raises(InputError, match="has other sizes"):
            task_of(replace(SMALL, init=str(tmp_path), blocks=2))

    def test_too_few_clips_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"too few clips \(20\) to find 11 groups"):
            task_of(replace(SMALL, codes=11))


def test_the_commands_on_a_flat_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for index in range(12):
        name = f"words/{('low', 'high')[index % 2]}_ann_{index}.wav"
        write_tone(tmp_path / name, hertz=(300, 1500)[index % 2], seconds=0.3, rate=16_000)
    small_codec().save_pretrained(tmp_path / "codec")
    words = "--codec codec --codes 2 --steps 2 --batch-size 4 --width 64 --blocks 1 --variants 1"
    pattern = ["--label-from", "{word}_{voice}_*"]
    assert main(["train", "coded-flow", "--data", "words", *pattern, *words.split(),
                 "--out", "runs/words"]) == 0  # fmt: skip
    assert "clips of 0.51 s" in capsys.readouterr().err  # 0.3 s, in steps of 4,096 samples
    model = audiate.load("runs/words", SpeechFlow)
    assert model.num_samples == 8192
    assert main(["generate", "runs/words", "--label", "1", "--count", "2", "--out", "ones"]) == 0
    rows = (tmp_path / "ones" / "latents.csv").read_text().splitlines()
    assert rows[0].split(",")[1] == "code"
    assert [row.split(",")[1] for row in rows[1:]] == ["1", "1"]
    assert main(["generate", "runs/words", "--set", "0=0.5", "--set", "1=0.5", "--count", "1",
                 "--out", "between"]) == 0  # fmt: skip
    report = evaluate_codes("words", model, (), None, "groups", count=4)
    assert report.recovered is not None
    assert len(report.recovered) == 2
