"""Edit a recording by a codec: set its F0 and its length by hand."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.files import Recording, is_silent, load_audio, save_wav, to_peak
from audiate.errors import InputError
from audiate.folders.no_digits import digit_score
from audiate.folders.runner import ClipWork, Product
from audiate.metrics.reconstruction import classifier_input
from audiate.models.codec import BLOCK_LENGTH, Codec
from audiate.models.resnet import DigitClassifier
from audiate.phonetics.directions import attribute_of
from audiate.phonetics.editing import EditResult, changes_of, missed_by, save_comparison, with_gain
from audiate.phonetics.measures import f0_track

_LONGEST = 60.0  # seconds


@torch.no_grad()
def edit_tracks(
    codec: Codec, waveforms: Tensor, *, semitones: float = 0.0, octaves: float = 0.0
) -> Tensor:
    """Give recordings another pitch or another length, by the tracks of a codec.

    F0 is multiplied, and all tracks are read faster or slower. The filters stay as they are, so the
    voice does, too.

    Args:
        codec: The codec.
        waveforms: (batch, 1, samples), of any length.
        semitones: Change of F0.
        octaves: Change of the length: 1 is twice as long.

    Returns:
        (batch, 1, 2 ** octaves * samples), rounded.

    """
    samples = waveforms.shape[2]
    padded = F.pad(waveforms, (0, -samples % BLOCK_LENGTH))
    tracks = codec.tracks(codec.encode(padded).mu)
    tracks = tracks._replace(f0=tracks.f0 * 2 ** (semitones / 12))
    if octaves:
        frames = max(round(tracks.f0.shape[1] * 2**octaves), 1)
        f0, voicing = (_stretched(each.unsqueeze(1), frames)[:, 0] for each in tracks[:2])
        filters = (_stretched(each.transpose(1, 2), 2 * frames) for each in tracks[2:])
        tracks = type(tracks)(f0, voicing, *(each.transpose(1, 2) for each in filters))
    return codec.render(tracks)[..., : max(round(samples * 2**octaves), 1)].clamp(-1, 1)


def _stretched(tracks: Tensor, frames: int) -> Tensor:
    """Tracks (batch, channels, any number of frames) with another number of frames."""
    return F.interpolate(tracks, size=frames, mode="linear")


class TrackEditWork(ClipWork[Tensor, EditResult]):
    """Edit clips of any length by `edit_tracks`."""

    endings = ("{}.wav", "{}-before.wav", "{}.png")
    shared = ()
    result_type = EditResult

    def __init__(
        self, codec: Codec, changes: Mapping[str, float], classifier: DigitClassifier | None
    ) -> None:
        """Prepare the work.

        Args:
            codec: The codec.
            changes: The change of each attribute in its unit: pitch, loudness, duration.
            classifier: Classifies the digit before and after; or None.

        """
        self.codec, self.changes, self.classifier = codec, dict(changes), classifier
        self.attributes = [attribute_of(name) for name in changes]
        self.read = self._read

    def _read(self, path: Path | Recording) -> Tensor:
        """Read a clip."""
        rate = self.codec.config.sample_rate
        waveform, _ = load_audio(path, rate, channels=1, longest=_LONGEST)
        if is_silent(waveform.flatten()):
            raise InputError(f"{path}: is silent, so there is nothing to edit; record it again")
        return waveform

    def compute(self, items: Sequence[Tensor]) -> list[Product[EditResult]]:
        """Edit clips."""
        return [self._edited(item) for item in items]

    def _edited(self, recording: Tensor) -> Product[EditResult]:
        rate, device = self.codec.config.sample_rate, self.codec.device
        given = to_peak(recording)  # as the codec was trained; what it gives has the clip's level
        level = recording.abs().max() / given.abs().max()
        semitones, octaves = (self.changes.get(name, 0.0) for name in ("pitch", "duration"))
        said, edited = (
            (level * edit_tracks(self.codec, given[None].to(device), **how)[0].cpu()).clamp(-1, 1)
            for how in ({}, {"semitones": semitones, "octaves": octaves})
        )
        before, found, after = (self._measured(sound) for sound in (recording, said, edited))
        if "pitch" in before:
            found["pitch"] = before["pitch"] + self._change_of_pitch(recording, said)
            after["pitch"] = before["pitch"] + self._change_of_pitch(recording, edited, 2**octaves)
        for name, value in before.items():
            # F0 is set by hand, so a whisper is edited, and the report says that it has no pitch.
            if not isfinite(value) and name != "pitch":
                raise InputError(f"{name}: cannot be measured in this sound")
        base = {name: value if isfinite(value) else found[name] for name, value in before.items()}
        wanted = {name: base[name] + change for name, change in self.changes.items()}
        gain = 0.0
        if "loudness" in wanted:
            edited, gain = with_gain(edited, wanted["loudness"] - after["loudness"])
            after["loudness"] += gain
        changes = changes_of(self.attributes, before, found, wanted, after)
        known = self.classifier is not None and digit_score(recording, rate) >= 0
        digit, meant = (self._digit(sound) if known else None for sound in (edited, recording))
        missed = missed_by(after, wanted, digit, meant)
        writers = (
            partial(save_wav, waveform=edited, sample_rate=rate),
            partial(save_wav, waveform=said, sample_rate=rate),
            partial(save_comparison, (recording, said, edited), "given back by the codec", rate),
        )
        result = EditResult(changes, missed, gain, digit, meant)
        return Product(None, result, writers)

    def _measured(self, sound: Tensor) -> dict[str, float]:
        rate = self.codec.config.sample_rate
        return {each.name: each.measure(sound.mean(0), rate) for each in self.attributes}

    def _change_of_pitch(self, recording: Tensor, sound: Tensor, length: float = 1.0) -> float:
        """Median change of F0, in semitones, over the frames that are voiced in both sounds.

        Noise that Praat takes for a voice in one of them alone makes no difference. ``length`` is
        that of the sound, over the recording's.
        """
        rate = self.codec.config.sample_rate
        first, other = (f0_track(each.mean(0).numpy(), rate) for each in (recording, sound))
        if not len(other.times):
            return float("nan")
        place = np.searchsorted(other.times, length * first.times).clip(max=len(other.times) - 1)
        change = 12 * np.log2(other.f0[place] / first.f0)
        voiced = change[np.isfinite(change)]
        return float(np.median(voiced)) if len(voiced) else float("nan")

    def _digit(self, sound: Tensor) -> int:
        assert self.classifier is not None
        clip = classifier_input(sound[None], self.codec.config.sample_rate, self.classifier)
        with torch.inference_mode():
            return int(self.classifier(clip.to(self.classifier.device))[0].argmax())
