"""Terms of an inversion's objective, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audiate.audio.spectrograms import Spectrogram
from audiate.errors import InputError
from audiate.inversion.objectives import (
    LevelTerm,
    Objective,
    PerceptualTerm,
    SpectrogramTerm,
    StructureTerm,
    Term,
    WaveformTerm,
    paper_objective,
)
from audiate.models.resnet import DigitClassifier


def noise(count: int = 3, seed: int = 0, samples: int = 4096, channels: int = 1) -> Tensor:
    waveforms = torch.rand(count, channels, samples, generator=torch.Generator().manual_seed(seed))
    return 2 * waveforms - 1


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    torch.manual_seed(0)
    return DigitClassifier().eval().requires_grad_(False)


def terms(classifier: DigitClassifier) -> list[Term]:
    return [
        WaveformTerm(),
        SpectrogramTerm(),
        LevelTerm(),
        StructureTerm("real"),
        StructureTerm("log"),
        PerceptualTerm(classifier, 16_000, ["stem"]),
    ]


def test_nothing_is_lost_on_equal_clips_and_something_on_others(
    classifier: DigitClassifier,
) -> None:
    target = noise()
    for term in terms(classifier):
        same = term.distance(term.features(target), term.features(target))
        torch.testing.assert_close(same, torch.zeros(3), atol=1e-5, rtol=0)
        other = term.distance(term.features(noise(seed=1)), term.features(target))
        assert (other > 1e-3).all()


@pytest.mark.parametrize("channels", [1, 2])
def test_each_clip_has_its_own_loss(classifier: DigitClassifier, channels: int) -> None:
    output, target = noise(channels=channels), noise(seed=1, channels=channels)
    for term in terms(classifier):
        together = term.distance(term.features(output), term.features(target))
        alone = term.distance(term.features(output[1:2]), term.features(target[1:2]))
        torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-6)


def test_waveform_and_spectrogram_by_hand() -> None:
    target = noise()
    objective = Objective({"waveform": (2.0, WaveformTerm()), "other": (0.0, SpectrogramTerm())})
    torch.testing.assert_close(objective(target + 0.25, target), torch.full((3,), 0.5))
    see = Spectrogram("real")
    expected = (see(target[:, 0]) - see(noise(seed=1)[:, 0])).abs().mean((1, 2))
    torch.testing.assert_close(
        Objective({"it": (1.0, SpectrogramTerm())})(noise(seed=1), target), expected
    )


def test_levels_are_decibels_whatever_the_phase() -> None:
    target = noise()
    term = LevelTerm()
    louder = term.distance(term.features(2 * target), term.features(target))
    torch.testing.assert_close(louder, torch.full((3,), 20 * math.log10(2) / 80), rtol=1e-3, atol=0)
    turned = term.distance(term.features(-target), term.features(target))
    assert (turned < 1e-6).all()


def test_blocks_are_chosen_by_name(classifier: DigitClassifier) -> None:
    assert PerceptualTerm(classifier, 16_000, ["block3", "stem"]).blocks == ("stem", "block3")
    target = noise()
    one, other = (
        PerceptualTerm(classifier, 16_000, ["block1"]),
        PerceptualTerm(classifier, 16_000, ["block2"]),
    )
    both = PerceptualTerm(classifier, 16_000, ["block1", "block2"])
    a, b, mean = (
        term.distance(term.features(noise(seed=1)), term.features(target))
        for term in (one, other, both)
    )
    torch.testing.assert_close(mean, (a + b) / 2)
    with pytest.raises(InputError, match="blocks block9: give any of stem, block1"):
        PerceptualTerm(classifier, 16_000, ["block9"])
    with pytest.raises(InputError, match="blocks none"):
        PerceptualTerm(classifier, 16_000, [])


def test_gradients_reach_the_waveform(classifier: DigitClassifier) -> None:
    for term in terms(classifier):
        output = noise().requires_grad_(True)
        loss = term.distance(term.features(output), term.features(noise(seed=1))).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert output.grad is not None
        assert output.grad.isfinite().all()
        assert output.grad.abs().sum() > 0


def test_a_classifier_has_its_own_rate_and_length(classifier: DigitClassifier) -> None:
    with pytest.raises(InputError, match=r"takes 16,000 Hz, and the clips have 8,000 Hz.*none"):
        PerceptualTerm(classifier, 8_000)
    short = noise(samples=4096)
    padded = torch.nn.functional.pad(short, (6144, 6144))
    term = PerceptualTerm(classifier, 16_000, ["block1"])
    torch.testing.assert_close(term.features(short), term.features(padded))


def test_the_papers_perceptual_distance_is_absolute_and_after_the_second_stage(
    classifier: DigitClassifier,
) -> None:
    output, target = noise(samples=16_384), noise(seed=1, samples=16_384)
    weight = paper_objective(classifier, 16_000).weights["perceptual"]
    papers = paper_objective(classifier, 16_000).terms["perceptual"]
    found = papers.distance(papers.features(output), papers.features(target))
    features = []
    for clips in (output, target):
        hidden = classifier.spectrogram(clips[:, 0]).unsqueeze(1)
        for name in ("stem", "block1", "block2", "block3", "block4"):
            hidden = getattr(classifier.network, name)(hidden)
        features.append(hidden.double().numpy())
    assert features[0].shape == (3, 128, 16, 17)
    expected = np.abs(features[0] - features[1]).mean((1, 2, 3))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)
    assert weight == 0.002


def test_ours_is_brought_to_one_scale(classifier: DigitClassifier) -> None:
    output, target = noise(), noise(seed=1)
    term = PerceptualTerm(classifier, 16_000, ["block2"])
    (found,), (wanted,) = term.features(output), term.features(target)
    expected = (found - wanted).square().mean((1, 2, 3)) / wanted.square().mean((1, 2, 3))
    torch.testing.assert_close(term.distance([found], [wanted]), expected)
