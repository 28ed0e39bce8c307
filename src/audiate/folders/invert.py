"""Invert a folder of clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from audiate.audio.files import (
    MAX_FILE_SECONDS,
    Recording,
    fit_length,
    is_hit,
    is_silent,
    load_audio,
    save_wav,
    to_peak,
)
from audiate.audio.spectrograms import levels_of
from audiate.data.folders import REPORT_NAME, first_of
from audiate.data.latents import read_table
from audiate.data.sounds import find_clips
from audiate.data.sources import DIGIT_SETS
from audiate.errors import InputError
from audiate.folders.no_digits import digit_score
from audiate.folders.record import LATENTS_NAME
from audiate.folders.runner import ClipWork, FolderReport, Notify, Product, name_of, run_folder
from audiate.inversion.build import (
    Initialization,
    build,
    choose_initialization,
    with_method,
)
from audiate.inversion.inverter import Inversion, Inverter
from audiate.inversion.objectives import (
    Objective,
    PerceptualTerm,
    objective_named,
    plain_objective,
)
from audiate.inversion.settings import (
    NUM_CANDIDATES,
    InversionSettings,
    Method,
    ObjectiveName,
    Start,
)
from audiate.metrics.reconstruction import check_comparable, score_clips
from audiate.models.fingerprint import digest, fingerprint
from audiate.models.generator import Generator, device_of
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.models.storage import Provenance
from audiate.utils.filesystem import save_array
from audiate.utils.plots import save_side_by_side
from audiate.utils.progress import counted, note

_BAD = 0.5  # of the loss of silence: more is a bad minimum
_NEARLY = 0.05  # seconds by which a clip may be longer without a note


@dataclass(frozen=True)
class ClipResult:
    """The result of an inversion for one clip.

    Attributes:
        loss: Value of the objective at the latent that was found.
        silent_loss: Value of the objective for silence in place of the output; None where no
            gradients are followed, and where only levels are compared.
        mse: Mean squared difference of samples.
        ssim: Structural similarity of the real parts of spectrograms, at most 1.
        log_spectral_distance: In dB.
        digit_before: The classifier's digit of the clip; None without a classifier, and of a clip
            with a digit score below 0, which is probably no digit.
        digit_after: The classifier's digit of the output.
        evaluations: Number of runs of the generator.
        seconds: Time of the search, in seconds; clips of one batch share it evenly.
        duration: Length of the clip before it was cut or padded, in seconds.

    """

    loss: float
    silent_loss: float | None
    mse: float
    ssim: float
    log_spectral_distance: float
    digit_before: int | None
    digit_after: int | None
    evaluations: int
    seconds: float
    duration: float


@dataclass(frozen=True, repr=False)
class InversionReport(FolderReport[ClipResult]):
    """The result of `invert_folder` for all clips.

    Attributes:
        begin: The source of the first latents.

    """

    begin: Initialization

    def summary(self) -> str:
        """A line about all clips."""
        results = list(self.results.values())
        where = f"see {self.folder / REPORT_NAME}"
        if not results:
            return f"0 clips inverted: {where}"
        mean = sum(each.log_spectral_distance for each in results) / len(results)
        same = [r.digit_before == r.digit_after for r in results if r.digit_before is not None]
        share = f", {sum(same):,} of {counted(len(same), 'spoken digit')} kept" if same else ""
        return f"{self.counted('inverted')}: {mean:.1f} dB log-spectral distance{share}; {where}"

    def notes(self, *, seconds: float, budget: float | None = None) -> list[str]:
        """Return notes on cut clips, bad minima and a missed budget, for clips of this call.

        Args:
            seconds: Length of the generator's clips.
            budget: Seconds that were allowed for each clip.

        """
        new = [result for name, result in self.results.items() if name in self.new]
        found = []
        if longer := sum(each.duration > seconds + _NEARLY for each in new):
            found.append(
                f"the generator makes {seconds:.2f} s; {longer} of {len(new)} clips are longer: "
                f"the part with the most energy was taken"
            )
        silent = [(each.loss, each.silent_loss) for each in new if each.silent_loss is not None]
        if bad := sum(loss > _BAD * of_silence for loss, of_silence in silent):
            found.append(
                f"{bad} of {len(new)} clips ended in a bad minimum, above half of the loss of "
                f"silence: try more iterations, or several starts, as in `restarts=10`"
            )
        shared: dict[bytes, list[str]] = {}
        table = read_table(self.folder / LATENTS_NAME)  # with the clips of earlier calls
        for name, latent in table.items():
            shared.setdefault(latent.tobytes(), []).append(name)
        if groups := [names for names in shared.values() if len(names) > 1]:
            found.append(
                f"{sum(map(len, groups))} of {len(table)} clips share a latent with another, such "
                f"as {first_of(groups[0])}: they hold the same sound, or a search has no nearer "
                f"ones, from which `method=hybrid` goes on"
            )
        slowest = max((each.seconds for each in new), default=0.0)
        if budget is not None and slowest > 1.1 * budget:
            found.append(
                f"`budget` {budget:g} s: a clip took {slowest:.2f} s, as {self.begin.described} "
                f"whatever the budget"
            )
        return found


TARGETS_FOLDER = "heard"
_LOOKED_UP = 32  # clips in a batch where an encoder or a search gives the latents
_SEARCHED = 4  # clips in a batch of searches: 8 are 5 % faster, but an interruption loses a batch
_GPU_BATCH = 64


class Target(NamedTuple):
    """A clip with the channels, sample rate, length and peak of a generator's clips.

    Attributes:
        waveform: (channels, num_samples), with a peak of 0.9.
        duration: Length of the clip before it was cut or padded, in seconds.
        digit: Whether it may be a spoken digit, by its digit score, where that was asked for.

    """

    waveform: Tensor
    duration: float
    digit: bool = True


class Sizes(Protocol):
    """The form of a generator's clips: channels, sample rate in Hz, number of samples."""

    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def num_samples(self) -> int: ...  # noqa: D102


def invert_folder(
    clips: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    generator: str | Path | Generator = DEFAULT_GENERATOR,
    method: Method | None = InversionSettings.method,
    start: Start = InversionSettings.start,
    encoder: str | Path | LatentEncoder | None = None,
    classifier: str | Path | DigitClassifier | None = SPOKEN_CLASSIFIER,
    objective: ObjectiveName | None = InversionSettings.objective,
    budget: float | None = InversionSettings.budget,
    restarts: int = InversionSettings.restarts,
    max_iterations: int | None = InversionSettings.max_iterations,
    seed: int = InversionSettings.seed,
    deterministic: bool = False,
    device: str | torch.device = "cpu",
    name: str | None = None,
    notify: Notify | None = None,
) -> InversionReport:
    """Find the latents of sound files, and write them and their sounds to a folder.

    Writes for each clip ``<clip>.wav``, the output; ``<clip>.npy``, the latent; ``<clip>.png``,
    clip and output; ``heard/<clip>.wav``, the clip at the generator's rate and length; and for
    all ``latents.npz``, the names of the clips and their latents (clips, latent_dim), and
    ``report.json``, the settings and a `ClipResult` for each clip. Clips that are done stay.

    Args:
        clips: Sound files, or folders of them.
        out: The folder. Only files that an earlier call has written are replaced there.
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: As for `audiate.inverter`, like the next two.
        start: Where the method begins.
        encoder: The generator's encoder.
        classifier: Classifies the digit of clip and output, and guides the objective where it has
            the generator's sample rate. It is left out where the generator says other words.
        objective: Name of what is minimised; by default levels after a search alone, else speech.
        budget: As for `audiate.inverter`, like the next three.
        restarts: Number of starts.
        max_iterations: Limit of iterations.
        seed: Seed of random starts.
        deterministic: Whether clips are inverted one by one: no result depends on the others.
        device: Where to load a generator that is given by name: auto, cpu, cuda or mps.
        name: Name of the generator in the record.
        notify: It is called with the error of each clip that cannot be used.

    Raises:
        InputError: As of `audiate.inverter` and of `audiate.draw_folder`.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    out, given = Path(out), [clips] if isinstance(clips, (str, Path)) else clips
    found = find_clips(given, out, reserved=(TARGETS_FOLDER,))
    name, generator = name or name_of(generator), load(generator, Generator, device=device)
    given_by = method, start, objective, budget, restarts, max_iterations, seed
    settings = with_method(InversionSettings(*given_by), generator, encoder=encoder is not None)
    size = _checked_batch_size(generator, settings, deterministic=deterministic)
    run, record, begin = prepare_inversion(generator, name, settings, encoder, classifier)
    record |= {"deterministic": "True"} if deterministic else {}
    report = run_folder(run, found, out, "invert", record, "inverting", size, notify)
    return InversionReport(report.folder, report.clips, report.new, begin)


def _checked_batch_size(
    generator: Generator, settings: InversionSettings, *, deterministic: bool
) -> int:
    check_comparable(generator.num_samples)
    if deterministic and settings.budget is not None:
        raise InputError("`deterministic`: a budget depends on the time; leave one of them out")
    return 1 if deterministic else batch_size_for(generator, settings)


def says_digits(generator: Generator) -> bool | None:
    """Whether a generator was trained on spoken digits; None where that is unknown."""
    provenance = getattr(generator, "provenance", Provenance())
    data = provenance.settings.get("data", ())
    return set([data] if isinstance(data, str) else data) <= set(DIGIT_SETS) if data else None


def classifier_for(
    generator: Generator, classifier: str | Path | DigitClassifier | None
) -> str | Path | DigitClassifier | None:
    """Leave out a classifier of digits, with a note, where a generator says other words."""
    if classifier is None or says_digits(generator) in (True, None):
        return classifier
    note("the generator was trained on other words than digits: no classifier of digits is used")
    return None


def prepare_inversion(
    generator: Generator,
    name: str,
    settings: InversionSettings,
    encoder: str | Path | LatentEncoder | None,
    classifier: str | Path | DigitClassifier | None,
) -> tuple[InversionWork, dict[str, str], Initialization]:
    """Load what an inversion needs: its work, its settings for the record, its first latents."""
    known = fingerprint(generator)
    classifier = classifier_for(generator, classifier)
    record: dict[str, object] = {
        "generator": f"{name} ({digest(known)})",
        **vars(settings),
    }
    scorer = None if classifier is None else load(classifier, DigitClassifier)
    record["classifier"] = "none" if scorer is None else digest(scorer)
    begin = choose_initialization(generator, settings, encoder, fingerprint=known)
    if (found := begin.encoder) is not None:
        weights = digest(found.network.head.weight.tolist())
        record["encoder"] = f"{name_of(encoder or found.config.generator)} ({weights})"
    if begin.search:
        record["search"] = f"{NUM_CANDIDATES} latents"
    chosen = record["objective"] = settings.objective or begin.objective
    # A classifier of another sample rate scores the output, but guides nothing.
    guide = scorer if scorer and scorer.sample_rate == generator.sample_rate else None
    objective = objective_named(chosen, guide, generator.sample_rate).to(device_of(generator))
    minimised = objective if settings.refines else plain_objective()
    make = partial(build, generator, settings, begin, minimised, guide, fingerprint=known)
    # Losses by levels alone have another scale, on which silence is no measure of a minimum.
    descends = settings.method in ("gradient", "hybrid") and settings.budget is None
    compares_silence = descends and chosen != "levels"
    run = InversionWork(
        generator,
        make,
        scorer,
        measured_by=None if settings.refines else objective,
        compared_by=objective if compares_silence else None,
    )
    return run, {key: str(value) for key, value in record.items() if value is not None}, begin


def read_target(
    path: Path | Recording, sizes: Sizes, *, hits: bool = False, scored: bool = False
) -> Target:
    """Read a clip, fit it to the generator's length, and bring it to a peak of 0.9.

    With ``hits``, a clip that begins with its onset and fades, as of a drum, begins the target.
    With ``scored``, its digit score is computed.

    Raises:
        InputError: It cannot be read, or is silent.

    """
    waveform, rate = load_audio(
        path, sizes.sample_rate, channels=sizes.channels, longest=MAX_FILE_SECONDS
    )
    if not waveform.numel():
        raise InputError(f"{path}: lasts not even a sample; record it again")
    if is_silent(waveform.flatten()):
        raise InputError(f"{path}: is silent, so there is nothing to recover; record it again")
    start = hits and is_hit(waveform, rate)
    fitted = to_peak(fit_length(waveform, sizes.num_samples, start=start))
    digit = not scored or digit_score(waveform, rate) >= 0
    return Target(fitted, waveform.shape[1] / rate, digit)


class InversionWork(ClipWork[Target, ClipResult]):
    """Invert clips in batches.

    Attributes:
        generator: The generator.
        make_inverter: Makes the inverter that finds latents. A search samples latents for it.
        classifier: Classifies the digit of clips and outputs; None leaves that out.
        measured_by: Measures the loss of what the inverter found; None where the inverter has
            measured it by the same objective.
        compared_by: Measures the loss of silence, for comparison; None leaves that out.

    """

    endings = ("{}.wav", "{}.npy", "{}.png", TARGETS_FOLDER + "/{}.wav")
    result_type = ClipResult

    def __init__(
        self,
        generator: Generator,
        make_inverter: Callable[[], Inverter],
        classifier: DigitClassifier | None = None,
        *,
        measured_by: Objective | None = None,
        compared_by: Objective | None = None,
    ) -> None:
        hits = not says_digits(generator)
        scored = classifier is not None
        self.generator = generator
        self.read = partial(read_target, sizes=generator, hits=hits, scored=scored)
        self.make_inverter, self.classifier = make_inverter, classifier
        self.measured_by, self.compared_by = measured_by, compared_by
        self.latent_dim = generator.latent_dim
        self._device = device_of(generator)

    def prepare(self) -> None:
        """Make the inverter, once the folder is known to be free for the results."""
        self.invert = self.make_inverter()

    def compute(self, items: Sequence[Target]) -> list[Product[ClipResult]]:
        """Invert a batch, and score it."""
        target = torch.stack([item.waveform for item in items])
        began = time.monotonic()
        found = self.invert(target.to(self._device))
        seconds = (time.monotonic() - began) / len(target)
        found, logits = self._measure(found, target.to(self._device))
        rate = self.generator.sample_rate
        scores = score_clips(found.output, target, rate, self.classifier, logits=logits)
        silent_losses = self._silent_losses(target)
        outputs, latents = found.output.detach().cpu(), found.latent.detach().float().cpu().numpy()
        products = []
        for row, (item, clip) in enumerate(zip(items, scores, strict=True)):
            if not item.digit:
                clip = replace(clip, digit_before=None)
            result = ClipResult(
                loss=found.loss[row].item(),
                silent_loss=silent_losses[row],
                **vars(clip),
                evaluations=int(found.num_evals[row]),
                seconds=round(seconds, 4),
                duration=round(item.duration, 4),
            )
            writers = (
                partial(save_wav, waveform=outputs[row], sample_rate=rate),
                partial(save_array, latents[row]),
                partial(_save_comparison, item.waveform, outputs[row], rate),
                partial(save_wav, waveform=item.waveform, sample_rate=rate),
            )
            products.append(Product(latents[row], result, writers))
        return products

    @torch.inference_mode()
    def _measure(
        self, found: Inversion, target: Tensor
    ) -> tuple[Inversion, tuple[Tensor, Tensor] | None]:
        """Measure the loss of an encoder's latents; also return the logits.

        The classifier, which costs most, runs once for loss and digits together.
        """
        objective = self.measured_by
        if objective is None:
            return found, None
        output, wanted = objective.features(found.output), objective.features(target)
        found = replace(found, loss=objective.compare(output, wanted))
        term = objective.terms.get("perceptual")
        if not isinstance(term, PerceptualTerm) or target.shape[-1] > term.classifier.num_samples:
            return found, None
        logits = term.logits(output["perceptual"]), term.logits(wanted["perceptual"])
        return found, None if logits[0] is None or logits[1] is None else (logits[0], logits[1])

    @torch.inference_mode()
    def _silent_losses(self, target: Tensor) -> Sequence[float | None]:
        if self.compared_by is None:
            return [None] * len(target)
        target = target.to(self._device)
        losses: list[float] = self.compared_by(torch.zeros_like(target), target).tolist()
        return losses


def _save_comparison(target: Tensor, output: Tensor, rate: int, path: Path) -> None:
    """Write a picture of a clip and of its reconstruction, each (channels, samples)."""
    waveforms = torch.stack([target.mean(0), output.mean(0)])
    save_side_by_side(waveforms, levels_of(waveforms), ("before", "after"), rate, path)


def batch_size_for(generator: Generator, settings: InversionSettings) -> int:
    """Number of clips that are inverted together."""
    if settings.budget is not None:
        return 1
    if device_of(generator).type == "cuda":
        return _GPU_BATCH
    return _SEARCHED if settings.refines else _LOOKED_UP
