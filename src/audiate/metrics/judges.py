"""Judges of speech that audiate did not train: pocketsphinx, DNSMOS, Praat and Resemblyzer.

They guide nothing: neither training, nor inversion, nor export imports this module, and a test
holds that. All four come as packages with their weights, so that nothing is downloaded when they
run (``pip install "audiate[judges]"``, see `require_judges`).

Every clip is brought into the same second first (`same_second`), since the scores of the judges
depend on the silence around a word and on its level.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.files import resample
from audiate.audio.pitch import F0_CEILING, F0_FLOOR
from audiate.errors import InputError
from audiate.utils.filesystem import cache_folder, uninterrupted, writing
from audiate.utils.progress import tracked

SAMPLE_RATE, NUM_SAMPLES = 16_000, 16_384
"""Sample rate in Hz, and length, of the clips that are judged."""

F0_STEP = 0.01
"""Seconds from one frame of F0 to the next."""

_PROTOCOL = 1  # raise it where a clip is judged in another way, so that kept ones are not used
_PEAK = 0.9
_SILENCE = 0.01  # of the peak: -40 dB
_PAD = 2_400  # samples of noise around a word that pocketsphinx recognises: 0.15 s
_NOISE = 3e-3  # standard deviation of that noise, which lies under the word as well
_DNSMOS_SAMPLES = 144_160  # 9.01 s
# Polynomials that turn the outputs of the network into opinion scores (Reddy et al. 2022).
_DNSMOS_SIGNAL = np.poly1d([-0.08397278, 1.22083953, 0.0052439])
_TAKES = 3  # times that a clip is repeated before its voice is embedded

_MODULES = ("librosa", "onnxruntime", "parselmouth", "pocketsphinx", "resemblyzer", "speechmos")

Array = NDArray[np.float32]


class Judgement(NamedTuple):
    """Scores of a clip by all judges.

    Attributes:
        word: The word that pocketsphinx recognises; empty where it recognises none.
        signal: Quality of the speech by DNSMOS P.835, a mean opinion score from 1 to 5; NaN where
            it was not asked for.
        voiced: Share of the frames of the trimmed clip that Praat finds voiced, in [0, 1].
        voice: Resemblyzer's embedding of the voice, (256,), of length 1; all NaN for silence.

    """

    word: str
    signal: float
    voiced: float
    voice: Array


def require_judges() -> None:
    """Make sure that all judges are installed.

    Raises:
        InputError: One of them is missing.

    """
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"the independent judges need {', '.join(missing)}; install them: pip install "
            f'"audiate[judges]" && pip install --no-deps Resemblyzer'
        )


def trimmed(waveform: Tensor, sample_rate: int) -> Tensor:
    """Bring a clip to 16 kHz, cut off what lies 40 dB below its peak, and scale the peak to 0.9.

    Args:
        waveform: (samples,).
        sample_rate: Its sample rate, in Hz.

    Returns:
        (at most `NUM_SAMPLES`,), from the middle of longer clips; empty where the clip is silent.

    """
    waveform = resample(waveform.detach().cpu().float(), sample_rate, SAMPLE_RATE)
    level = waveform.abs()
    peak = level.max() if len(level) else torch.tensor(0.0)
    if not peak > 0:
        return waveform[:0]
    loud = (level > _SILENCE * peak).nonzero().flatten()
    word = waveform[int(loud[0]) : int(loud[-1]) + 1] * (_PEAK / peak)
    begin = max((len(word) - NUM_SAMPLES) // 2, 0)
    return word[begin : begin + NUM_SAMPLES]


def same_second(waveform: Tensor, sample_rate: int) -> Tensor:
    """Trim a clip, and centre it in 1.024 s of zeros: (`NUM_SAMPLES`,) at 16 kHz."""
    word = trimmed(waveform, sample_rate)
    before = (NUM_SAMPLES - len(word)) // 2
    return F.pad(word, (before, NUM_SAMPLES - len(word) - before))


def in_dictionary(words: Sequence[str]) -> list[str]:
    """Those of the words that pocketsphinx's dictionary of English knows.

    Raises:
        InputError: The judges are not installed.

    """
    require_judges()
    import pocketsphinx

    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    known = {line.split(" ", 1)[0] for line in path.read_text(encoding="utf-8").splitlines()}
    return [word for word in words if word.lower() in known]


class WordRecognizer:
    """Recognises a word among some that are given, by pocketsphinx with a grammar of these words.

    Args:
        words: The words. Upper and lower case are the same.

    Raises:
        InputError: There is no word, or pocketsphinx's dictionary of English does not know one.

    """

    def __init__(self, words: Sequence[str]) -> None:
        """Load the acoustic model and the dictionary."""
        import pocketsphinx

        self.words = [word.lower() for word in words]
        path = Path(pocketsphinx.get_model_path()) / "en-us"
        self._decoder = pocketsphinx.Decoder(
            hmm=str(path / "en-us"),
            dict=str(path / "cmudict-en-us.dict"),
            lm=None,
            loglevel="FATAL",
        )
        unknown = [word for word in self.words if self._decoder.lookup_word(word) is None]
        if unknown or not self.words:
            raise InputError(
                f"{', '.join(unknown) or 'no word'}: not in pocketsphinx's dictionary of English; "
                f"give words that are in it"
            )
        choice = " | ".join(self.words)
        grammar = f"#JSGF V1.0;\ngrammar words;\npublic <word> = {choice};\n"
        self._decoder.add_jsgf_string("words", grammar)
        self._decoder.activate_search("words")

    def __call__(self, word: Tensor) -> str:
        """Recognise a trimmed clip (samples,) at 16 kHz: one of `words`, or nothing.

        The clip is padded by 0.15 s, and noise is laid under all of it: the recogniser needs some
        before a word to estimate the background. Of real clips it understands more that way.
        """
        noise = torch.randn(len(word) + 2 * _PAD, generator=torch.Generator().manual_seed(0))
        padded = F.pad(word, (_PAD, _PAD)) + _NOISE * noise
        pcm = (padded.clamp(-1, 1) * 32_767).short().numpy().tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return "" if found is None else str(found.hypstr)


class SpeechQuality:
    """Quality of speech by DNSMOS P.835 (Reddy et al. 2022), as the package speechmos has it."""

    def __init__(self) -> None:
        """Load the network."""
        import onnxruntime
        import speechmos

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(speechmos.__path__[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

    def __call__(self, clip: Tensor) -> float:
        """Score the signal of a clip (samples,) at 16 kHz, which is repeated to 9.01 s: 1 to 5."""
        repeated = clip.repeat(-(-_DNSMOS_SAMPLES // len(clip)))[:_DNSMOS_SAMPLES]
        (signal, _, _), *_ = self._session.run(None, {"input_1": repeated.numpy()[None]})[0]
        return float(_DNSMOS_SIGNAL(signal))


def f0_track(clip: Tensor) -> Array:
    """Find F0 by Praat's autocorrelation: (frames,) in Hz, 0 where a frame is not voiced.

    Args:
        clip: (samples,) at 16 kHz.

    """
    import parselmouth

    if len(clip) < SAMPLE_RATE * 3 / F0_FLOOR:  # a frame holds three periods of the lowest F0
        return np.zeros(0, np.float32)
    sound = parselmouth.Sound(clip.double().numpy(), SAMPLE_RATE)
    pitch = sound.to_pitch_ac(F0_STEP, F0_FLOOR, pitch_ceiling=F0_CEILING)
    found: Array = pitch.selected_array["frequency"].astype(np.float32)
    return found


def voicing(word: Tensor) -> float:
    """Share of the frames of a trimmed clip (samples,) at 16 kHz that Praat finds voiced."""
    f0 = f0_track(word)
    return float((f0 > 0).mean()) if len(f0) else 0.0


class VoiceEncoder:
    """Embeds voices by Resemblyzer's network (Wan et al. 2018).

    The clip in its second is repeated three times, which of ten ways tells speakers apart best: two
    takes of a word by one speaker have a cosine of 0.85, two words of one speaker 0.76, two
    speakers 0.68.
    """

    def __init__(self) -> None:
        """Load the network."""
        import resemblyzer

        self._network: Any = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def __call__(self, clip: Tensor) -> Array:
        """Embed a clip (samples,) at 16 kHz: (256,), of length 1."""
        found: Array = self._network.embed_utterance(clip.repeat(_TAKES).numpy())
        return found


class Judges:
    """All judges, each of which is loaded when it is first needed.

    Args:
        words: The words that pocketsphinx chooses from.

    """

    def __init__(self, words: Sequence[str]) -> None:
        """Keep the words."""
        self.words = list(words)

    @cached_property
    def recognizer(self) -> WordRecognizer:
        """Pocketsphinx with a grammar of the words."""
        return WordRecognizer(self.words)

    @cached_property
    def quality(self) -> SpeechQuality:
        """DNSMOS."""
        return SpeechQuality()

    @cached_property
    def voices(self) -> VoiceEncoder:
        """Resemblyzer."""
        return VoiceEncoder()

    def __call__(self, waveform: Tensor, sample_rate: int, *, quality: bool = True) -> Judgement:
        """Judge a clip (samples,); by DNSMOS, which takes most of the time, if ``quality``."""
        word = trimmed(waveform, sample_rate)
        clip = same_second(waveform, sample_rate)
        silent = not len(word)
        return Judgement(
            "" if silent else self.recognizer(word),
            self.quality(clip) if quality else float("nan"),
            voicing(word),
            np.full(256, np.nan, np.float32) if silent else self.voices(clip),
        )


def judge_clips(
    waveforms: Tensor,
    sample_rate: int,
    words: Sequence[str],
    *,
    quality: int = 100,
    processes: int | None = None,
) -> list[Judgement]:
    """Judge clips, on all cores, and show the progress.

    Judgements are kept in the cache folder, so that clips are judged once.

    Args:
        waveforms: (count, channels, samples); the mean of the channels is judged.
        sample_rate: Their sample rate, in Hz.
        words: The words that pocketsphinx chooses from.
        quality: Number of clips, the first ones, that DNSMOS scores, too. It takes ten times as
            long as all other judges together.
        processes: Number of processes; by default, one for each core. With 1, no other process is
            started.

    Raises:
        InputError: A judge is not installed, pocketsphinx does not know a word, or the cache folder
            cannot be written.

    """
    require_judges()
    clips = waveforms.detach().cpu().float().mean(1)
    kept = _cached(clips, sample_rate, words, quality)
    if not kept.is_file():
        work = [(clip, number < quality) for number, clip in enumerate(clips)]
        _keep(_judge_all(work, sample_rate, words, processes or os.cpu_count() or 1), kept)
    with np.load(kept, allow_pickle=False) as columns:
        return [
            Judgement(str(word), float(signal), float(voiced), voice)
            for word, signal, voiced, voice in zip(
                *(columns[name] for name in Judgement._fields), strict=True
            )
        ]


def _cached(clips: Tensor, sample_rate: int, words: Sequence[str], quality: int) -> Path:
    """Return the file in the cache folder for judgements of clips (count, samples)."""
    versions = [version(name) for name in ("pocketsphinx", "speechmos", "Resemblyzer")]
    settings = (_PROTOCOL, *versions, sample_rate, *words, min(quality, len(clips)), *clips.shape)
    found = blake2b(repr(settings).encode(), digest_size=8)
    found.update(clips.contiguous().numpy().tobytes())
    return cache_folder() / "judged" / f"{found.hexdigest()}.npz"


def _keep(judgements: Sequence[Judgement], path: Path) -> None:
    """Write judgements into the cache folder, as real clips are judged in every table."""
    word, signal, voiced, voice = map(np.array, zip(*judgements, strict=True))
    with writing(path, argument=None) as partial, partial.open("wb") as file:
        np.savez(file, word=word, signal=signal, voiced=voiced, voice=voice)


def _judge_all(
    work: Sequence[tuple[Tensor, bool]], sample_rate: int, words: Sequence[str], processes: int
) -> list[Judgement]:
    """Judge clips (samples,), each with whether DNSMOS scores it, in some processes."""
    judges = Judges(words)
    _ = judges.recognizer  # words that it does not know are refused here, not in a process
    if processes == 1:
        return [
            judges(clip, sample_rate, quality=scored)
            for clip, scored in tracked(work, "judging clips")
        ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_judging, (words, sample_rate)) as pool:
        try:
            # Arrays travel as bytes; tensors would travel through shared memory, which runs out.
            found = [pool.submit(_judge, clip.numpy(), scored) for clip, scored in work]
            return [future.result() for future in tracked(found, "judging clips")]
        except BaseException:
            with uninterrupted():  # another signal would leave what the processes share behind
                pool.shutdown(cancel_futures=True)
            raise


_worker: tuple[Judges, int] | None = None  # of this process, where it is one of the pool


def _start_judging(words: Sequence[str], sample_rate: int) -> None:
    global _worker
    for number in (signal.SIGINT, signal.SIGTERM):  # the process that started it acts on them
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Judges(words), sample_rate


def _end_with_parent() -> None:
    """End this process when the one that started it was killed, which the pool does not see."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _judge(clip: Array, quality: bool) -> Judgement:
    assert _worker is not None
    judges, sample_rate = _worker
    return judges(torch.from_numpy(clip), sample_rate, quality=quality)
