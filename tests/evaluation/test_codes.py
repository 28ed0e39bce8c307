"""What codes stand for: the tables, who listens, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_specgan, write_tone
from torch import Tensor

from audiate.cli import main
from audiate.data.sounds import list_sounds
from audiate.errors import InputError, with_flags
from audiate.metrics.judges import Judgement
from audiate.models.configs import CodeConfig
from audiate.phonetics import word_classifier as listening
from audiate.phonetics.code_words import classify_by, evaluate_codes
from audiate.phonetics.codes_report import CodesReport
from audiate.phonetics.word_classifier import NONE, train_word_classifier

WORDS = ("low", "high")


def first_word(waveforms: Tensor) -> Tensor:
    """Hear the first word in every sound, with a probability of 0.8."""
    return torch.tensor([0.8, 0.2]).expand(len(waveforms), -1)


def report(counts: list[list[int]]) -> CodesReport:
    names = [str(number) for number in range(len(counts))]
    words = ["low", "high", "none"][: len(counts[0])]
    return CodesReport("gan", "ears", names, words, torch.tensor(counts), None, None, None)


class TestReport:
    def test_pure_codes_and_information(self) -> None:
        clear, blurred = report([[100, 0], [0, 100]]), report([[50, 50], [50, 50]])
        assert (clear.pure, blurred.pure) == (2, 0)
        assert clear.information == pytest.approx(1)
        assert blurred.information == pytest.approx(0)
        assert report([[95, 5], [91, 9]]).to_text().count("low") >= 3

    def test_it_tells_pure_codes_from_distinct_words(self) -> None:
        found = json.loads(report([[100, 0], [98, 2]]).to_json())
        assert (found["pure_codes"], found["distinct_words"]) == (2, 1)

    def test_a_word_that_never_comes_out_has_no_code(self) -> None:
        last = report([[2, 2, 0], [4, 0, 0]]).to_text().split("share of the word")[1]
        assert "1: 67" in last.replace("\n", " ")
        assert ": 0" not in last

    def test_the_csv_holds_the_counts(self) -> None:
        assert report([[3, 1], [0, 4]]).to_csv() == "code,low,high\n0,3,1\n1,0,4\n"


def test_words_are_counted_for_each_code() -> None:
    model = small_specgan(latent_dim=6, code=CodeConfig("binary", 2, "words"))
    calls = []

    def listener(waveforms: Tensor) -> Tensor:
        calls.append(len(waveforms))
        return first_word(waveforms)

    found = evaluate_codes("gan", model, WORDS, listener, "ears", count=3, judged=0)
    assert found.codes == ["00", "01", "10", "11"]
    assert found.counts.tolist() == [[3, 0]] * 4
    assert found.pairs == [[("low", 1.0)] * 2] * 2
    assert found.pairs_to_csv().splitlines() == [
        "entry,other_entry,low,high",
        *("0,0,3,0", "1,0,3,0", "1,1,3,0"),
    ]
    assert json.loads(found.to_json())["pair_counts"] == [[[3, 0]] * 2] * 2
    assert not found.one_sound
    assert "Note" not in found.to_text()
    assert sum(calls) == 4 * 3 + 3 * 3
    assert found.recovered is not None
    assert all(0 <= share <= 1 for share in found.recovered)
    assert "Two entries" in found.to_text()


def test_pocketsphinx_listens_for_the_most_frequent_word_of_each_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small_specgan(latent_dim=6, code=CodeConfig("one-hot", 2, "words"))
    heard = iter(["low", "low", "high", "low"])

    def judge_clips(waveforms: Tensor, *_: object, quality: int) -> list[Judgement]:
        assert quality == 0
        return [Judgement(next(heard), 0, 0, np.zeros(0, np.float32)) for _ in waveforms]

    monkeypatch.setattr("audiate.phonetics.code_words.judge_clips", judge_clips)

    found = evaluate_codes("gan", model, WORDS, first_word, "ears", count=3, judged=2)
    assert found.understood == [1, 0.5]
    assert found.confidence == pytest.approx([0.8, 0.8])
    text = found.to_text()
    assert text.index("understood by pocketsphinx") < text.index("words (%)")
    assert "75.0" in text


def test_words_that_pocketsphinx_does_not_know_are_noted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pocketsphinx", reason="the judges are not installed")
    model = small_specgan(latent_dim=6, code=CodeConfig("one-hot", 2, "words"))
    words = ("low", "qwrtz")
    found = evaluate_codes("gan", model, words, first_word, "ears", count=1)
    assert found.understood is None
    assert "low, qwrtz: not in pocketsphinx's dictionary" in capsys.readouterr().err


def test_pocketsphinx_listens_for_the_words_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pocketsphinx", reason="the judges are not installed")
    model = small_specgan(latent_dim=6, code=CodeConfig("one-hot", 2, "words"))
    asked: list[str] = []

    def judge_clips(waveforms: Tensor, _: int, words: list[str], **__: int) -> list[Judgement]:
        asked.extend(words)
        return [Judgement("low", 0, 0, np.zeros(0, np.float32)) for _ in waveforms]

    monkeypatch.setattr("audiate.phonetics.code_words.judge_clips", judge_clips)
    words = ("low", "high", "qwrtz", NONE)
    found = evaluate_codes("gan", model, words, first_word, "ears", count=1)
    assert asked == ["low", "high"]
    assert found.understood == [1, 1]
    found = evaluate_codes("gan", model, words[::-1], first_word, "ears", count=1)
    assert found.understood == [None, None]


def test_a_code_that_is_the_whole_latent_has_one_sound_and_says_so() -> None:
    model = small_specgan(latent_dim=3, code=CodeConfig("one-hot", 3, "words"))
    found = evaluate_codes("gan", model, WORDS, first_word, "ears", judged=0)
    assert "one sound only" in " ".join(found.to_text().split())
    assert json.loads(found.to_json())["one_sound_per_code"]


def test_without_labels_pairs_are_put_into_the_groups_that_were_found() -> None:
    model = small_specgan(latent_dim=6, code=CodeConfig("one-hot", 3, "words"))
    found = evaluate_codes("gan", model, (), None, "groups", count=4)
    assert found.pair_counts is not None
    assert found.pair_counts.sum(2).tolist() == [[4] * 3] * 3
    assert found.words == ["A", "B", "C"]
    with pytest.raises(InputError, match="`count` 1: give 2"):
        evaluate_codes("gan", model, (), None, "groups", count=1)


def test_a_generator_without_codes_has_none() -> None:
    with pytest.raises(InputError, match="has no codes") as raised:
        evaluate_codes("gan", small_specgan(), WORDS, None, "ears")
    assert "`audiate train coded-flow`" in with_flags(str(raised.value))


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    defaults = listening.train_word_classifier.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "steps", 30)
    for word, hertz in (("low", 300.0), ("high", 1500.0)):
        for take in range(8):
            write_tone(tmp_path / "words" / f"{word}_a{take}.wav", hertz=hertz * (1 + take / 60))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "words"


def test_a_listener_learns_the_words_of_a_folder(words: Path) -> None:
    sounds = list_sounds((str(words),), words, label_from="{word}_*").read(num_samples=4096)
    listener = train_word_classifier(sounds)
    assert listener.accuracy == 1
    clips = sounds.waveforms(torch.arange(len(sounds.labels)))
    classify = classify_by(listener, 8000)
    assert torch.equal(classify(clips).argmax(1), sounds.labels)
    assert listener.names == ("high", "low", NONE)
    noise = 0.5 * torch.randn(40, 1, 4096, generator=torch.Generator().manual_seed(1))
    noise[:, :, 2000:] *= torch.rand(40, 1, 1, generator=torch.Generator().manual_seed(2)) > 0.5
    assert (classify(noise).argmax(1) == 2).double().mean() > 0.9
    assert listener.refused > 0.6
    with pytest.raises(InputError, match="two words"):
        train_word_classifier(list_sounds((str(words),), words).read(num_samples=4096))


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("ears", ["--data words --label-from {word}_*", "--listener none"])
def test_the_command(ears: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_specgan(latent_dim=6, code=CodeConfig("one-hot", 2, "words"))
    model.save_pretrained("gan")
    assert main(["codes", "gan", *ears.split(), "--count", "6", "--judged", "0"]) == 0
    assert "codes are one word" in " ".join(capsys.readouterr().out.split())
    found = json.loads(Path("out/codes/codes.json").read_text())
    assert [sum(row) for row in found["counts"]] == [6, 6]
    assert all(
        (Path("out/codes") / name).exists()
        for name in ("codes.png", "codes.csv", "codes-pairs.csv")
    )
