"""Evaluation of GAN inversion: tables 1 and 2 of Keyes et al. 2020."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.audio.spectrograms import Spectrogram
from audiate.errors import InputError, check_range
from audiate.evaluation.classifying import classify_clips
from audiate.evaluation.clips import read_validation, train_clips
from audiate.evaluation.independent import (
    MOST_JUDGED,
    JudgeTable,
    SoundsToJudge,
    judge_sounds,
    number_judged,
)
from audiate.evaluation.inversion_report import (
    SPLITS,
    InversionProtocol,
    InversionReport,
    Recovered,
    Scorer,
    Source,
)
from audiate.inversion.build import inverter
from audiate.inversion.encoder import EncoderInverter, find_encoder, shipped_encoder
from audiate.inversion.gradient import GradientInverter, HalvingInverter
from audiate.inversion.hybrid import HYBRID_ITERATIONS, HybridInverter
from audiate.inversion.inverter import Inverter, joined
from audiate.inversion.objectives import paper_objective, speech_objective
from audiate.inversion.search import SearchInverter
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.fingerprint import fingerprint
from audiate.models.generator import GeneratorModel, RecoveringGenerator, generate
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, WRITTEN_CLASSIFIER
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.batching import in_batches
from audiate.utils.progress import tracked

METHODS = ("exact", "gradient", "encoder", "hybrid", "ours", "unguided", "search", "refined")
"""The methods, in the order of the table's rows below those of the clips and the trivial ones."""

REFINED_ITERATIONS = 40
"""Largest number of iterations of L-BFGS after a search, of the method ``refined``."""

_SEARCHED = {"unguided", "search", "refined"}
_ENCODED = {"encoder", "hybrid", "ours"}  # methods that begin with an encoder, if there is one
_BATCH = 64
_PRIOR = 200  # latents that stand for the prior


@dataclass(frozen=True)
class InversionProtocolSettings:
    """Settings of an evaluation of inversion.

    Attributes:
        encoder: Name, folder or hub id of the generator's encoder; by default, the shipped one. The
            method ``gradient`` needs none.
        source: ``synthesized`` inverts clips that the generator made, ``real`` inverts recordings.
        protocol: With ``paper``, SSIM compares the real parts of spectrograms, as the paper's
            program does; with ``default``, it compares levels. Real clips are those of held-out
            speakers in both, as in the paper.
        methods: The methods to evaluate, out of `METHODS`; by default all, but without ``exact``
            where the generator does not run backwards, and without ``encoder`` where none is given
            or shipped. Hybrid and ours begin with the encoder's latents, else with the exact ones,
            else with a search.
        count: Number of clips. All real clips are taken where there are fewer.
        max_iterations: Largest number of iterations of the method ``gradient`` (the paper's is
            50,000). It also bounds ``hybrid`` and ``ours`` where it is less than
            ``hybrid_iterations``, and ``refined`` where it is less than its `REFINED_ITERATIONS`.
        hybrid_iterations: Largest number of iterations of ``hybrid`` and ``ours`` (the paper's is
            200).
        restarts: Number of latents of a search from which ``refined`` begins, and ``ours`` where it
            begins with a search; fewer and fewer of them go on.
        judged: Largest number of clips of each row that the judges of
            `audiate.evaluation.independent` listen to; with 0, they do not.
        seed: Seed of the clips, and of random starts.

    Raises:
        InputError: There is no such method, a number is out of range, or there are too few clips
            for the Inception Score.

    """

    encoder: str | None = None
    source: Source = "synthesized"
    protocol: InversionProtocol = "paper"
    methods: tuple[str, ...] | None = None
    count: int = 500
    max_iterations: int = 1_000
    hybrid_iterations: int = HYBRID_ITERATIONS
    restarts: int = 1
    judged: int = MOST_JUDGED
    seed: int = 0

    def __post_init__(self) -> None:
        if self.methods is not None and not (self.methods and set(self.methods) <= set(METHODS)):
            raise InputError(
                f"`methods` {' '.join(self.methods)}: give any of {' '.join(METHODS)}, with spaces "
                f"between them"
            )
        check_range("`count`", self.count, 2 * SPLITS, 10**6)
        check_range("`max_iterations`", self.max_iterations, 0, 10**9)
        check_range("`hybrid_iterations`", self.hybrid_iterations, 0, 10**9)
        check_range("`restarts`", self.restarts, 1, 10_000)
        check_range("`judged`", self.judged, 0, 10**6)

    @property
    def after_start(self) -> int:
        """Largest number of iterations of ``hybrid`` and ``ours``, within both bounds."""
        return min(self.max_iterations, self.hybrid_iterations)


def evaluate_inversion(
    generator_name: str,
    generator: GeneratorModel,
    classifier_name: str,
    classifier: DigitClassifier,
    root: Path,
    settings: InversionProtocolSettings | None = None,
) -> InversionReport:
    """Invert clips by each method, on the generator's device, and score the outputs.

    Args:
        generator_name: Name of the generator, for the report.
        generator: The generator whose latents are recovered.
        classifier_name: Name of the classifier, for the report.
        classifier: The classifier of spoken digits. It also guides the method ``ours``.
        root: Data folder. It is needed for real clips only.
        settings: The clips and the methods.

    Raises:
        InputError: The data or the encoder is missing, or the generator has another sample rate
            than the classifier.

    """
    settings = settings or InversionProtocolSettings()
    judged = number_judged(settings.judged)
    _check_rates(generator_name, generator, classifier)
    device, classifier = generator.device, classifier.to(generator.device)
    encoder = _encoder(generator, settings)
    clips = _clips(generator, classifier, root, settings)  # before a search samples latents
    inverters = _make_inverters(generator, classifier, encoder, settings)
    scorer = Scorer(
        classifier,
        AudioToImageModel.from_pretrained(DEFAULT_AUDIO_TO_IMAGE, device=device),
        load(WRITTEN_CLASSIFIER, LeNet).to(device),
        generator.sample_rate,
        *clips,
        settings.protocol,
        _prior(generator, 0),
    )
    target = scorer.target
    recovered = {"silence": Recovered(torch.zeros_like(target))}
    if settings.source == "real":
        recovered |= _looked_up(generator, classifier, root, target, settings.seed)
    recovered |= {name: _invert(name, each, target, device) for name, each in inverters.items()}
    rows = [scorer.score("clips", Recovered(target))]
    rows += [scorer.score(name, each) for name, each in recovered.items()]
    return InversionReport(
        generator_name,
        "none" if encoder is None else settings.encoder or f"that of {encoder.config.generator}",
        classifier_name,
        settings.source,
        settings.protocol,
        len(target),
        settings.max_iterations,
        settings.after_start,
        settings.restarts,
        scorer.distance_from_prior(_prior(generator, 1)),
        _judge(scorer, recovered, root if settings.source == "real" else None, judged),
        rows,
    )


def _check_rates(name: str, generator: GeneratorModel, classifier: DigitClassifier) -> None:
    """Check that generator and classifier have one sample rate."""
    if generator.sample_rate != classifier.sample_rate:
        raise InputError(
            f"{name}: makes sound at {generator.sample_rate:,} Hz, and the classifier of spoken "
            f"digits takes {classifier.sample_rate:,} Hz; `audiate invert CLIPS --generator "
            f"{name}` scores clips of your own"
        )


def _prior(generator: GeneratorModel, seed: int) -> Tensor:
    """Sample latents of the prior, on the CPU."""
    return generator.sample_latent(_PRIOR, generator=torch.Generator().manual_seed(seed)).cpu()


def _encoder(
    generator: GeneratorModel, settings: InversionProtocolSettings
) -> LatentEncoder | None:
    """Find the encoder, where a method needs one; None where none is asked for or shipped."""
    methods = set(settings.methods or METHODS)
    asked = settings.encoder is not None or (settings.methods is not None and "encoder" in methods)
    there = settings.encoder is not None or shipped_encoder(fingerprint(generator)) is not None
    if not _ENCODED & methods or not (asked or there):
        return None
    if not there:
        raise InputError(
            "no encoder is shipped for this generator; train one (`audiate train latent-encoder "
            "--generator ...`) and name its folder with `encoder`, or leave encoder out of "
            "`methods`"
        )
    encoder: LatentEncoder = find_encoder(generator, settings.encoder).to(generator.device)
    return encoder


def _make_inverters(
    generator: GeneratorModel,
    classifier: DigitClassifier,
    encoder: LatentEncoder | None,
    settings: InversionProtocolSettings,
) -> dict[str, Inverter]:
    """Return the inverter of each of the methods, in the order of `METHODS`.

    ``hybrid`` and ``ours`` begin with the encoder, else with ``exact``, else with a search.
    """
    methods = settings.methods or METHODS
    rate, most = generator.sample_rate, settings.max_iterations
    plain = paper_objective(classifier, rate).to(generator.device)
    ours = speech_objective(classifier, rate).to(generator.device)
    few = settings.after_start
    refine = GradientInverter(generator, plain, max_iterations=few)
    refine_ours = GradientInverter(generator, ours, box="projected", max_iterations=few)
    gradient = GradientInverter(generator, plain, max_iterations=most, seed=settings.seed)
    found: dict[str, Inverter] = {"gradient": gradient}
    first: Inverter | None = None
    if isinstance(generator, RecoveringGenerator) or "exact" in (settings.methods or ()):
        first = found["exact"] = inverter(generator, "exact")
    if encoder is not None:
        first = found["encoder"] = EncoderInverter(generator, encoder, plain)
    if set(methods) & (_SEARCHED if first is not None else _SEARCHED | _ENCODED):
        search = found["search"] = inverter(generator, "search", classifier=classifier)
        found["unguided"] = inverter(generator, "search")
        first = search if first is None else first
        least = min(most, REFINED_ITERATIONS)
        found["refined"] = inverter(
            generator,
            "search",
            classifier=classifier,
            max_iterations=least,
            restarts=settings.restarts if least else 1,
        )
    if first is not None:
        found["hybrid"] = HybridInverter(first, refine)
        found["ours"] = HybridInverter(first, refine_ours)
    if isinstance(first, SearchInverter) and settings.restarts > 1:
        nearest = partial(first.nearest, count=settings.restarts)
        found["ours"] = HalvingInverter(nearest, refine_ours)
    return {name: found[name] for name in METHODS if name in found and name in methods}


def _judge(
    scorer: Scorer, recovered: Mapping[str, Recovered], root: Path | None, judged: int
) -> JudgeTable | None:
    """Judge the clips and what each method gives back; `judge_sounds` adds silence itself."""
    target, rate = scorer.target, scorer.sample_rate
    sets = [SoundsToJudge("clips", target, rate, scorer.digits)]
    for name, each in recovered.items():
        if name != "silence":
            sets.append(SoundsToJudge(name, each.output, rate, scorer.digits, target))
    return judge_sounds(sets, root, most=judged)


def _invert(method: str, inverter: Inverter, target: Tensor, device: torch.device) -> Recovered:
    """Invert clips (count, channels, samples) by one method, and take the time."""
    parts = torch.split(target, _BATCH)
    sizes, began = [len(part) for part in parts], time.monotonic()
    tracked_parts = tracked(parts, f"inverting by {method}", weights=sizes)
    found = joined([inverter(part.to(device)) for part in tracked_parts])
    seconds = (time.monotonic() - began) / len(target)
    output, latent = (each.detach().cpu() for each in (found.output, found.latent))
    return Recovered(output, latent, found.num_evals.double().mean().item(), seconds)


def _looked_up(
    generator: GeneratorModel, classifier: DigitClassifier, root: Path, target: Tensor, seed: int
) -> dict[str, Recovered]:
    """Give train clips back in place of clips (count, channels, samples), without a generator.

    ``lookup`` takes any clip of the digit that the classifier reads; ``nearest`` takes the clip
    whose levels have the least mean squared difference. An inversion that scores no better than
    these is none.
    """
    sounds = train_clips(root, generator.sample_rate, generator.num_samples)
    read = classify_clips(classifier, target, generator.sample_rate).argmax(1)
    shuffled = torch.randperm(len(sounds.labels), generator=torch.Generator().manual_seed(seed))
    labels = sounds.labels[shuffled]
    turn = torch.nn.functional.one_hot(read).cumsum(0).gather(1, read[:, None])[:, 0] - 1
    any_of_digit = torch.stack(
        [
            (of := shuffled[labels == digit])[number % len(of)]
            for digit, number in zip(read, turn, strict=True)
        ]
    )
    levels = partial(_levels, Spectrogram())
    known = in_batches(
        lambda rows: levels(sounds.waveforms(rows)),
        torch.arange(len(labels)),
        _BATCH,
        "looking for the nearest train clips",
    )
    nearest = torch.cdist(levels(target), known).argmin(1)
    return {
        name: Recovered(to_peak(sounds.waveforms(rows)).expand(-1, generator.channels, -1))
        for name, rows in (("lookup", any_of_digit), ("nearest", nearest))
    }


def _levels(spectrogram: Spectrogram, waveforms: Tensor) -> Tensor:
    """Compute levels (count, frames * bins) of waveforms (count, channels, samples)."""
    levels: Tensor = spectrogram(to_peak(waveforms).mean(1))
    return levels.flatten(1)


def _clips(
    generator: GeneratorModel,
    classifier: DigitClassifier,
    root: Path,
    settings: InversionProtocolSettings,
) -> tuple[Tensor, Tensor]:
    """Return the clips (count, channels, samples), on the CPU, and their digits (count,)."""
    if settings.source == "real":
        return _real_clips(generator, root, settings)
    random = torch.Generator().manual_seed(settings.seed)
    z = generator.sample_latent(settings.count, generator=random)
    target = in_batches(
        partial(generate, generator), z, _BATCH, "generating clips", generator.device
    )
    return target, classify_clips(classifier, target, generator.sample_rate).argmax(1)


def _real_clips(
    generator: GeneratorModel, root: Path, settings: InversionProtocolSettings
) -> tuple[Tensor, Tensor]:
    """Return recordings (count, channels, samples) of one peak level, and their digits (count,)."""
    size = generator.sample_rate, generator.num_samples
    waveforms, digits, _ = read_validation(root, *size, "reports")
    random = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(len(digits), generator=random)[: settings.count]
    clips, labels = waveforms[chosen].unsqueeze(1), digits[chosen]
    return to_peak(clips.expand(-1, generator.channels, -1)), labels
