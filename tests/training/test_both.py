"""Training the models that match and say, on made-up pairs of tones and bars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audiate.data.pairs import Pairs, list_pairs
from audiate.models.audio_to_image import Posterior
from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.training.augment import changed_images
from audiate.training.loop import train_step
from audiate.training.recipes.paired import MatchRecipe, SayRecipe
from audiate.training.task import Shard
from audiate.training.tasks.dual_encoder_task import MatchTask, _contrast, _correspondence
from audiate.training.tasks.image_to_audio_task import SayTask, _longest

MATCHING = MatchRecipe(
    epochs=4,
    batch_size=64,
    images_per_recording=4,
    speech_commands=False,
    ears="none",
    augment=False,
)


def log_odds(together: Tensor, sounds: Tensor, images: Tensor) -> Tensor:
    return (together / (sounds.unsqueeze(1) * images)).log()


class TestLosses:
    @pytest.mark.parametrize("loss", [_correspondence, _contrast])
    def test_the_density_ratio_is_the_minimum(self, loss: object) -> None:
        """Of many pairs of two kinds, the score that is learnt is log p(s, i) / p(s) p(i)."""
        torch.manual_seed(0)
        kinds = torch.randint(2, (400,))
        own = torch.eye(400, dtype=torch.bool)
        table = torch.zeros(2, 2, requires_grad=True)
        search = torch.optim.LBFGS([table], max_iter=50, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            search.zero_grad()
            found: Tensor = loss(table[kinds][:, kinds], own)  # type: ignore[operator]
            (found + 1e-4 * table.square().sum()).backward()  # type: ignore[no-untyped-call]
            return found

        search.step(value)  # type: ignore[no-untyped-call]
        apart = table[0, 0] - table[0, 1]
        assert apart > 4  # together half of the time each, never across
        if loss is _correspondence:
            share = torch.bincount(kinds).double() / 400
            expected = -share.log()  # p(k, k) / p(k)² = 1 / p(k)
            torch.testing.assert_close(table.diag().double(), expected, atol=0.02, rtol=0)


class TestMatch:
    def test_tones_find_their_bars(self, shared_data: Path) -> None:
        pairs = list_pairs(shared_data).read(sample_rate=8000, seed=0)
        task = MatchTask(MATCHING, pairs.train, torch.device("cpu"), Shard())
        first = last = 0.0
        for step in range(task.steps):
            (losses,) = train_step(task, step)
            first, last = (first or losses["matching"].item()), losses["matching"].item()
        assert last < 0.6 * first
        task.end_epoch()
        task.model.eval()
        assert task.preview().shape == (256, 256)
        own = task.model.embed_images(pairs.train.images[:1].float() / 255)
        torch.testing.assert_close(task.model.references[:1], own)
        with torch.inference_mode():
            spectrograms = task.model.features.many(pairs.test.recordings)
            scores = task.model(spectrograms, pairs.test.images[:50].float() / 255)
        spoken = torch.tensor([clip.label for clip in pairs.test_clips])
        best = pairs.test_labels[:50][scores.argmax(1)]
        assert (best == spoken).float().mean() > 0.4  # by chance, 0.1

    def test_borrowed_ears_stay_as_they_are(self, shared_data: Path, tmp_path: Path) -> None:
        flow = LatentFlow()
        flow.save_pretrained(tmp_path / "flow")
        pairs = list_pairs(shared_data).read(sample_rate=8000, seed=0)
        recipe = replace(MATCHING, ears=str(tmp_path / "flow"))
        task = MatchTask(recipe, pairs.train, torch.device("cpu"), Shard())
        before = {name: value.clone() for name, value in task.model.state_dict().items()}
        for step in range(2):
            train_step(task, step)
        for name, value in flow.condition_network.state_dict().items():
            assert torch.equal(task.model.state_dict()[f"audio_encoder.{name}"], value), name
        after = task.model.state_dict()
        assert not torch.equal(after["audio_head.1.weight"], before["audio_head.1.weight"])

    def test_encoders_that_score_all_alike_are_reported(self, shared_data: Path) -> None:
        pairs = list_pairs(shared_data).read(sample_rate=8000, seed=0)
        task = MatchTask(MATCHING, pairs.train, torch.device("cpu"), Shard())
        assert "score all pairs alike" in (task.diagnose({"matching": 1.386}) or "")
        assert task.diagnose({"matching": 0.9}) is None


class TestSay:
    def test_the_flow_learns_which_latents_belong_to_an_image(
        self, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is said of a bar is nearest to the recordings that are paired with such bars."""
        torch.manual_seed(0)
        codec = Codec(CodecConfig(width=8, latent_channels=4))
        codec.save_pretrained(tmp_path / "codec")
        DualEncoder().save_pretrained(tmp_path / "match")
        pairs = list_pairs(shared_data).read(sample_rate=16_000, seed=0)
        recipe = SayRecipe(
            epochs=60, batch_size=100, codec=str(tmp_path / "codec"), speed_perturbation=(1.1,),
            matcher=str(tmp_path / "match"), augment=False, learning_rate=5e-3, width=64, blocks=1,
            shift=200, average_halflife=10, guidance=1.0,
        )  # fmt: skip
        task = SayTask(recipe, pairs.train, torch.device("cpu"), Shard(), codec=codec)
        # Latents that tell the digit, in place of those of an untrained codec.
        images = pairs.train.images.float() / 255
        kinds, digits = torch.unique(images.flatten(1), dim=0, return_inverse=True)
        meant = torch.randn(len(kinds), 4, 32)
        mu = torch.zeros(len(pairs.train.recordings), 4, 32)
        mu[pairs.train.heard] = meant[digits]
        monkeypatch.setattr(
            task,
            "_posterior",
            Posterior(mu.repeat_interleave(2, 0), -6 + 0 * mu.repeat_interleave(2, 0)),
        )
        task.model.scale.measure(task._posterior)
        condition = torch.nn.Linear(28 * 28, 128)  # an untrained network that tells bars apart
        monkeypatch.setattr(
            task.model, "condition", lambda images: 5 * condition(images.flatten(1)).detach()
        )
        first = last = 0.0
        for step in range(task.steps):
            (losses,) = train_step(task, step)
            task.end_step(step)
            first, last = (first or losses["flow"].item()), losses["flow"].item()
        assert last < 0.8 * first
        task.model.eval()
        said = task.model.say_batch(images[:40], samples=1)[0].view(40, 32, 4).transpose(1, 2)
        found = torch.cdist(said.flatten(1), meant.flatten(1)).argmin(1)
        assert (found == digits[:40]).float().mean() > 0.8
        assert task.preview().shape[1] % 8 == 0
        assert task.preview_sound().waveform.shape == (1, 8 * 16_384)

    def test_pairs_of_ones_own_are_as_long_as_the_longest(self) -> None:
        images, heard = torch.zeros(2, 28, 28), torch.zeros(2, dtype=torch.long)
        lengths = {100: 4096, 5000: 5120, 100_000: 65_536}
        for samples, expected in lengths.items():
            pairs = Pairs(images, [torch.zeros(50), torch.zeros(samples)], heard, 16_000)
            assert _longest(pairs) == expected


def test_images_stay_images_and_in_their_place() -> None:
    torch.manual_seed(0)
    images = torch.zeros(64, 28, 28)
    images[:, 8:20, 12:16] = 1
    changed = changed_images(images)
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert (changed - images).abs().mean((1, 2)).min() > 0
    middle = changed.mean(0)
    assert middle[12:16, 12:16].mean() > 0.7
    assert middle[:4].mean() < 0.1
