"""Tables 1 and 2 of the paper on latent recovery, with small models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from audiate.cli import main
from audiate.errors import InputError
from audiate.evaluation import inversion
from audiate.evaluation.clips import choose_evenly
from audiate.evaluation.independent import SoundsToJudge
from audiate.evaluation.inversion import InversionProtocolSettings, evaluate_inversion
from audiate.evaluation.inversion_report import InversionReport
from audiate.models.resnet import DigitClassifier
from audiate.models.specgan import SpecGAN

pytestmark = pytest.mark.usefixtures("few_latents")


@pytest.mark.parametrize(
    ("settings", "iterations"),
    [
        ({}, 200),
        ({"max_iterations": 60}, 60),
        ({"hybrid_iterations": 600}, 600),
        ({"hybrid_iterations": 600, "max_iterations": 300}, 300),
    ],
)
def test_both_settings_bound_the_descent_after_a_start(
    settings: dict[str, Any], iterations: int
) -> None:
    assert InversionProtocolSettings(**settings).after_start == iterations


def report(small_models: Path, root: Path, **settings: Any) -> InversionReport:
    generator = SpecGAN.from_pretrained(small_models / "gan")
    classifier = DigitClassifier.from_pretrained(small_models / "classifier")
    return evaluate_inversion(
        "gan",
        generator,
        "classifier",
        classifier,
        root,
        InversionProtocolSettings(
            **{"judged": 0, **settings},
            encoder=str(small_models / "encoder"),
            count=4,
            max_iterations=2,
        ),
    )


def test_a_generator_of_another_sample_rate_is_refused(small_models: Path, tmp_path: Path) -> None:
    generator = SpecGAN.from_pretrained(small_models / "gan")
    slow = SpecGAN(replace(generator.config, sample_rate=8000)).eval()
    with pytest.raises(InputError, match=r"drums: makes sound at 8,000 Hz.*`audiate invert CLIPS"):
        evaluate_inversion("drums", slow, "classifier", DigitClassifier(), tmp_path)


def test_synthesised_clips(small_models: Path, tmp_path: Path) -> None:
    found = report(small_models, tmp_path)
    clips, silence, gradient, encoder, hybrid, ours, unguided, search, refined = found.rows
    assert [row.method for row in found.rows] == [
        "clips", "silence", "gradient", "encoder", "hybrid", "ours", "unguided", "search",
        "refined",
    ]  # fmt: skip
    assert silence.prior_distance is None
    assert search.evaluations == 1
    assert search.prior_distance == pytest.approx(found.prior_distance, rel=0.5)
    assert refined.evaluations > 1
    assert silence.inception.mean == pytest.approx(1)
    assert silence.drawn == 0
    assert clips.accuracy == 1
    assert clips.mse is None
    assert all(0 <= row.drawn <= 1 for row in found.rows)
    for row in (gradient, encoder, hybrid, ours, unguided, search, refined):
        assert row.mse is not None
        assert row.mse > 0
        assert row.ssim is not None
        assert 0 < row.ssim < 1
        assert row.seconds > 0
        assert row.log_spectral_distance is not None
        assert 0 < row.log_spectral_distance < 100
    assert encoder.evaluations == 1
    assert gradient.evaluations > 2
    text = found.to_text()
    assert "7.50 ± 0.288" in text
    assert "compare methods with each other" in " ".join(text.split())
    values = json.loads(found.to_json())
    assert values["methods"]["ours"]["ssim"] == ours.ssim
    found.save_figure(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_missing_data_is_named_before_a_search_samples_latents(
    small_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion, "inverter", lambda *_, **__: pytest.fail("too early"))
    with pytest.raises(InputError, match="audiate data fetch speech_commands"):
        report(small_models, tmp_path, source="real", methods=("search",))


@pytest.mark.parametrize("method", ["refined", "ours"])
def test_judges_are_given_plain_outputs_of_gradients(
    small_models: Path, shared_data: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[SoundsToJudge] = []

    def judge_sounds(sets: list[SoundsToJudge], *_: Any, most: int) -> None:
        assert most == 4
        judged.extend(sets)

    monkeypatch.setattr(inversion, "judge_sounds", judge_sounds)
    monkeypatch.setattr(inversion, "number_judged", lambda most: most)
    report(small_models, shared_data, source="real", methods=(method,), judged=4)
    assert [each.what for each in judged] == ["clips", "lookup", "nearest", method]
    assert not any(each.waveforms.requires_grad for each in judged)
    assert all(each.target is judged[0].waveforms for each in judged[1:])


@pytest.mark.parametrize("protocol", ["paper", "default"])
def test_real_clips(small_models: Path, shared_data: Path, protocol: Any) -> None:
    found = report(
        small_models, shared_data, source="real", protocol=protocol, methods=("encoder",)
    )
    assert found.n == 4
    assert [row.method for row in found.rows] == [
        "clips", "silence", "lookup", "nearest", "encoder",
    ]  # fmt: skip
    text = found.to_text()
    assert "71.06 %" in text
    # The classifier has part in the encoder's training and in the lookup, and judges neither.
    assert "%" in next(line for line in text.splitlines() if "lookup" in line)
    assert " *" in next(line for line in text.splitlines() if "lookup" in line)
    assert all(0 <= row.accuracy <= 1 for row in found.rows)


def test_the_command(
    small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        "evaluate", "inversion", "--generator", str(small_models / "gan"),
        "--encoder", str(small_models / "encoder"), "--device", "cpu",
        "--classifier", str(small_models / "classifier"), "--count", "4",
        "--max-iterations", "1", "--judged", "0", "--figure", str(tmp_path / "figure.png"),
    ]  # fmt: skip
    assert main([*flags, "--methods", "encoder", "hybrid", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["n"] == 4
    assert values["classifier"] == str(small_models / "classifier")
    assert list(values["methods"]) == ["clips", "silence", "encoder", "hybrid"]
    for extra, complaint in (
        (["--count", "1"], "--count 1"),
        (["--max-iterations", "-1"], "--max-iterations -1: give 0 to"),
        (["--generator", "vae-fsdd"], "does not generate sound"),
        (["--methods", "gradient+encoder"], "--methods gradient+encoder: give any of exact"),
        (["--figure", str(tmp_path)], "is a folder; name another with --figure"),
    ):
        assert main([*flags, *extra]) == 2
        assert complaint in capsys.readouterr().err


def test_several_starts_of_a_search(small_models: Path, tmp_path: Path) -> None:
    one = report(small_models, tmp_path, methods=("refined",))
    three = report(small_models, tmp_path, methods=("refined",), restarts=3)
    assert three.rows[2].evaluations > 2 * one.rows[2].evaluations
    assert "begin with the 3 nearest" in " ".join(three.to_text().split())
    assert "begin with the" not in " ".join(one.to_text().split())
    with pytest.raises(InputError, match="`restarts` 0: give 1 to"):
        report(small_models, tmp_path, restarts=0)


def test_some_of_the_methods(small_models: Path, tmp_path: Path) -> None:
    found = report(small_models, tmp_path, methods=("encoder",))
    assert [row.method for row in found.rows] == ["clips", "silence", "encoder"]
    with pytest.raises(InputError, match="`methods` guess: give any of exact gradient"):
        report(small_models, tmp_path, methods=("guess",))


def test_gradients_alone_need_no_encoder(
    small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [
        "evaluate", "inversion", "--generator", str(small_models / "gan"), "--count", "4",
        "--classifier", str(small_models / "classifier"), "--max-iterations", "1", "--json",
        "--judged", "0", "--figure", str(tmp_path / "figure.png"),
    ]  # fmt: skip
    assert main([*flags, "--methods", "gradient"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["methods"].keys() == {"clips", "silence", "gradient"}
    assert found["encoder"] == "none"
    assert main(flags) == 0  # all that need none
    found = json.loads(capsys.readouterr().out)
    assert list(found["methods"]) == [
        "clips", "silence", "gradient", "hybrid", "ours", "unguided", "search", "refined",
    ]  # fmt: skip
    assert found["methods"]["hybrid"]["evaluations"] > 2  # of the search, and from there
    assert main([*flags, "--methods", "gradient", "encoder"]) == 2
    told = capsys.readouterr().err
    assert "no encoder is shipped for this generator" in told
    assert "leave encoder out of --methods" in told


def test_an_encoder_is_scored_with_its_generator(
    small_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = str(small_models / "encoder")
    assert main(["evaluate", encoder]) == 2
    wanted = f"`audiate evaluate inversion --generator gan --encoder {encoder}`"
    assert wanted in capsys.readouterr().err


def test_real_clips_are_balanced_and_none_is_there_twice() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    rows = choose_evenly(labels, 20, seed=0)
    assert len(set(rows.tolist())) == 20
    assert torch.bincount(labels[rows]).tolist() in ([8, 3, 9], [9, 3, 8])
    assert sorted(choose_evenly(labels, 500, seed=0).tolist()) == list(range(73))
