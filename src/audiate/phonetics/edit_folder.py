"""Edit a folder of clips: change pitch, loudness, length or digit of speech."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import save_wav
from audiate.data.sounds import find_clips
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError, check_whole
from audiate.folders.invert import Target, classifier_for, read_target, says_digits
from audiate.folders.no_digits import digit_score, warn_of_no_digits
from audiate.folders.runner import ClipWork, FolderReport, Notify, Product, name_of, run_folder
from audiate.inversion.build import inverter
from audiate.inversion.settings import Method
from audiate.models.fingerprint import digest, fingerprint
from audiate.models.generator import Generator, device_of
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.models.speech_flow import SpeechFlow
from audiate.phonetics.directions import directions
from audiate.phonetics.editing import (
    Edit,
    Editor,
    EditResult,
    EditTarget,
    changes_of,
    save_comparison,
    say_another,
)
from audiate.phonetics.track_editing import TrackEditWork
from audiate.utils.filesystem import save_array

EditMethod = Literal["tracks", "exact", "encoder", "search", "hybrid"]
"""Methods of edits. ``tracks``: by the codec of a flow of sound, whose F0 and length are set by
hand. The others find the latent of a clip, as for `audiate.inverter`, and move it."""

_ITERATIONS = 60  # of the gradients by which a hybrid search finds a clip's latent


def edit_folder(
    clips: str | Path | Sequence[str | Path],
    out: str | Path,
    changes: Mapping[str, float],
    *,
    digit: str | int | None = None,
    generator: str | Path | Generator = DEFAULT_GENERATOR,
    method: EditMethod | None = None,
    classifier: str | Path | DigitClassifier | None = SPOKEN_CLASSIFIER,
    samples: int = 400,
    rounds: int = 6,
    seed: int = 0,
    device: str | torch.device = "cpu",
    name: str | None = None,
    notify: Notify | None = None,
) -> FolderReport[EditResult]:
    """Edit the clips of sound files, and write them to a folder.

    Writes for each clip ``<clip>.wav``, the edited sound; ``<clip>-before.wav``, that without a
    change; ``<clip>.png``, recording and sounds; and ``report.json``, an `EditResult` of each clip.
    Where latents are moved, ``<clip>.npy`` and ``latents.npz`` hold them. Clips that are done stay.

    Args:
        clips: Sound files, or folders of them.
        out: The folder. Only files that an earlier call has written are replaced there.
        changes: The change of each attribute in its unit, by its name: pitch, loudness, duration.
        digit: Digit to say instead, as a number or an English word.
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: By default, ``tracks`` for flows of sound that keep the digit, else ``hybrid``.
        classifier: Classifies the digit, which is kept; or None.
        samples: Number of sounds that are measured to find directions.
        rounds: Number of steps that are corrected by what is measured.
        seed: Seed of the samples and of the search.
        device: Where to load a generator that is given by name: auto, cpu, cuda or mps.
        name: Name of the generator in the record.
        notify: It is called with the error of each clip that cannot be used.

    Raises:
        InputError: Nothing is to change, no clip or model; or as of `run_folder`.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    word, out = check_edit(changes, digit), Path(out)
    samples, rounds, seed = _whole(samples, rounds, seed)
    found = find_clips([clips] if isinstance(clips, (str, Path)) else clips, out)
    name, generator = name or name_of(generator), load(generator, Generator, device=device)
    method = _method_for(generator, method, word)
    classifier = classifier_for(generator, classifier)
    judge = None if classifier is None else load(classifier, DigitClassifier)
    numbers = {"digit": word, "method": method, "seed": seed, "samples": samples, "rounds": rounds}
    settings = {each: str(value) for each, value in numbers.items()}
    settings |= {each: f"{value:g}" for each, value in changes.items()}
    settings |= {"generator": name, "weights": digest(fingerprint(generator))}
    settings["classifier"] = digest(judge) if judge else "none"
    run = partial(run_folder, batch_size=1, what="editing", notify=notify)
    if isinstance(generator, SpeechFlow) and method == "tracks":
        return run(TrackEditWork(generator.codec, changes, judge), found, out, "edit", settings)
    assert method != "tracks"
    work = EditWork(generator, method, judge, word, changes, samples, rounds, seed)
    return _warned(run(work, found, out, "edit", settings), generator, word)


def _warned(
    report: FolderReport[EditResult], generator: Generator, word: int | None
) -> FolderReport[EditResult]:
    """Warn of recordings that are no digits, where another digit is said in their place."""
    if word is not None and says_digits(generator):
        warn_of_no_digits((report.shown(n), Path(report.clips[n].source or n)) for n in report.new)
    return report


def _whole(samples: int, rounds: int, seed: int) -> tuple[int, int, int]:
    """The numbers of an edit, checked."""
    return (
        check_whole("`samples`", samples, 20, 10**6),
        check_whole("`rounds`", rounds, 0, 1000),
        check_whole("`seed`", seed, 0, 2**63 - 1),
    )


def _method_for(generator: Generator, method: EditMethod | None, word: int | None) -> EditMethod:
    """The method that is asked for, or the best for a generator.

    Raises:
        InputError: The method does not suit the generator, or the change.

    """
    flow = isinstance(generator, SpeechFlow)
    if method is None:
        return "tracks" if flow and word is None else "hybrid"
    if method == "tracks" and not flow:
        raise InputError("`method=tracks`: is for flows of sound, which have a codec; give another")
    if method == "tracks" and word is not None:
        raise InputError("`digit`: `method=tracks` keeps the word; leave one of them out")
    return method


def check_edit(changes: Mapping[str, float], digit: str | int | None) -> int | None:
    """Make sure that there is something to edit, and return the number of the digit to say.

    Args:
        changes: The change of each attribute.
        digit: A digit as a number or an English word; None keeps the one that is said.

    Raises:
        InputError: There is nothing to change, or no such digit.

    """
    if digit is None:
        if not changes:
            raise InputError("nothing to edit; give `pitch`, `loudness`, `duration` or `digit`")
        return None
    text = f"{digit}".strip().lower()
    if text in DIGIT_WORDS:
        return DIGIT_WORDS.index(text)
    if text.isdecimal() and int(text) < len(DIGIT_WORDS):
        return int(text)
    raise InputError(f"`digit` {digit}: give 0 to 9, or one of {', '.join(DIGIT_WORDS)}")


class EditWork(ClipWork[Target, EditResult]):
    """Edit clips one by one."""

    endings = ("{}.wav", "{}-before.wav", "{}.npy", "{}.png")
    result_type = EditResult

    def __init__(
        self,
        generator: Generator,
        method: Method,
        judge: DigitClassifier | None,
        word: int | None,
        changes: Mapping[str, float],
        samples: int,
        rounds: int,
        seed: int,
    ) -> None:
        """Prepare the work. Arguments are those of `edit_folder`; ``word`` is the digit to say."""
        hits = not says_digits(generator)
        self.generator, self.read = generator, partial(read_target, sizes=generator, hits=hits)
        self.judge, self.word, self.changes = judge, word, changes
        self.latent_dim = generator.latent_dim
        self._samples, self._rounds, self._seed = samples, rounds, seed
        # A classifier of another sample rate reads the edited sound, but guides no search.
        guide = judge if judge is not None and judge.sample_rate == generator.sample_rate else None
        most = _ITERATIONS if method == "hybrid" else None
        self.invert = inverter(generator, method, classifier=guide, max_iterations=most, seed=seed)

    def prepare(self) -> None:
        """Find the directions in which latents are moved, which takes long."""
        found = (
            directions(self.generator, each, count=self._samples, seed=self._seed)
            for each in self.changes
        )
        self.editor = Editor(
            self.generator,
            list(map(EditTarget, found, self.changes.values())),
            self.judge,
            rounds=self._rounds,
            seed=self._seed,
        )

    def compute(self, items: Sequence[Target]) -> list[Product[EditResult]]:
        """Find the latents of clips, and edit them."""
        return [self._edited(item.waveform) for item in items]

    def _edited(self, recording: Tensor) -> Product[EditResult]:
        generator = self.generator
        found = self.invert(recording[None].to(device_of(generator)))
        latent = found.latent[0].detach().cpu()
        if self.word is not None:
            latent = say_another(generator, latent, self.word)
        edit = self.editor(latent, self.word, recording)
        said = found.output[0].detach().cpu()
        rate = generator.sample_rate
        writers = (
            partial(save_wav, waveform=edit.waveform, sample_rate=rate),
            partial(save_wav, waveform=said, sample_rate=rate),
            partial(save_array, edit.latent[None].numpy()),
            partial(
                save_comparison, (recording, said, edit.waveform), "the sound found for it", rate
            ),
        )
        moved = edit.latent.numpy().astype(np.float32)
        return Product(moved, self._result(edit, recording, said), writers)

    def _result(self, edit: Edit, recording: Tensor, said: Tensor) -> EditResult:
        attributes, rate = self.editor.attributes, self.generator.sample_rate
        before, found = (
            {each.name: each.measure(sound.mean(0), rate) for each in attributes}
            for sound in (recording, said)
        )
        changes = changes_of(attributes, before, found, edit.wanted, edit.after)
        if self.word is None and edit.word is not None and digit_score(recording, rate) < 0:
            edit = replace(edit, word=None, wanted_word=None)  # what is no digit keeps none
        return EditResult(changes, edit.missed, edit.gain, edit.word, edit.wanted_word)
