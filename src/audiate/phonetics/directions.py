"""Directions in a generator's latents along which an attribute of the sound changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.pitch import require_praat
from audiate.errors import InputError, check_range
from audiate.models.generator import AudioGAN, Generator, device_of, generate
from audiate.phonetics.measures import LEAST_VOICED, MEASURES, UNITS, Array, measure_one, voice_of
from audiate.utils.batching import in_batches

Method = Literal["ridge", "hyperplane", "factorisation", "components", "random"]
"""Methods. ``ridge``: a linear regression of the attribute, measured on samples.
``hyperplane``: the normal of the plane that parts samples with a low attribute from those with a
high one (Shen et al. 2020). ``factorisation``: an eigenvector of the first layer's weights (Shen
and Zhou 2021). ``components``: a principal component of its outputs (Härkönen et al. 2020).
``random``: a random one. Of the last three the one along which the attribute changes most is taken,
out of ten."""

_ALONG = (-1.0, -0.5, 0.5, 1.0)  # moves by which a direction is calibrated, in prior deviations
_CALIBRATED = 24  # samples that they are tried on
_CHOICES = 10  # directions without supervision that are tried
_BATCH = 32


class Attribute(NamedTuple):
    """A property of a sound that can be measured.

    Attributes:
        name: As the user calls it.
        unit: The unit of its values, for people.
        measure: From a waveform (samples,) and its sample rate, in Hz, to the value; NaN where it
            cannot be measured.

    """

    name: str
    unit: str
    measure: Callable[[Tensor, int], float]


@dataclass(frozen=True)
class Direction:
    """A direction in latents, calibrated in the attribute's own unit.

    Attributes:
        attribute: Name of the attribute.
        unit: Its unit: a latent that is moved by ``vector`` changes by 1 of it, in the mean.
        vector: (latent_dim,).
        fit: Share of the attribute's variance among held-out samples that a line along the
            direction explains, at most 1.
        method: One of `Method`.

    """

    attribute: str
    unit: str
    vector: Tensor
    fit: float
    method: str

    def __repr__(self) -> str:
        return f"Direction of {self.attribute}, in {self.unit}: fit {self.fit:.2f} ({self.method})"

    def move(self, z: Tensor, amount: float) -> Tensor:
        """Latents (batch, latent_dim), moved by ``amount`` of the unit."""
        return z + amount * self.vector.to(z.device)


def attribute_of(name: str) -> Attribute:
    """Return the attribute of a name.

    Args:
        name: ``pitch`` (mean F0, in semitones; NaN where less than `LEAST_VOICED` of the word is
            voiced, as F0 that is found in noise is none), ``loudness`` (in dB), ``duration`` (in
            octaves: 1 is twice as long), or one of `audiate.phonetics.measures.MEASURES`.

    Raises:
        InputError: There is no such attribute, or praat-parselmouth is missing.

    """
    require_praat()
    if name == "pitch":
        return Attribute(name, "st", _pitch)
    if name == "duration":
        return Attribute(name, "octaves", lambda *sound: _log2(_measured("duration", *sound)))
    measured = {"loudness": "intensity"}.get(name, name)
    if measured not in MEASURES:
        known = ", ".join(("pitch", "loudness", *MEASURES))
        raise InputError(f"attribute {name}: give one of {known}")
    return Attribute(name, UNITS[measured], lambda *sound: _measured(measured, *sound))


def _measured(name: str, waveform: Tensor, sample_rate: int) -> float:
    try:
        return measure_one(name, waveform.double().numpy(), sample_rate)
    except InputError:
        return float("nan")


def _pitch(waveform: Tensor, sample_rate: int) -> float:
    try:
        f0, voiced = voice_of(waveform.double().numpy(), sample_rate)
    except InputError:
        return float("nan")
    return 12 * _log2(f0 / 100) if voiced >= LEAST_VOICED else float("nan")


def _log2(value: float) -> float:
    return float(np.log2(value)) if value > 0 else float("nan")


def measured(generator: Generator, z: Tensor, attribute: Attribute) -> Array:
    """Measure an attribute in the sounds of latents (batch, latent_dim): values (batch,)."""

    def measure(part: Tensor) -> Tensor:
        sounds = generate(generator, part).cpu()
        values = [attribute.measure(sound.mean(0), generator.sample_rate) for sound in sounds]
        return torch.tensor(values, dtype=torch.float64)

    what = f"measuring {attribute.name} of samples"
    return in_batches(measure, z, _BATCH, what, device_of(generator)).numpy()


class Samples(NamedTuple):
    """Latents of a generator and an attribute of their sounds.

    Attributes:
        z: Latents (count, latent_dim), on the CPU.
        values: (count,), all of them measured.

    """

    z: Tensor
    values: Array


def sample_attribute(
    generator: Generator, attribute: Attribute, *, count: int = 400, seed: int = 0
) -> Samples:
    """Draw latents from the prior and measure their sounds; what cannot be measured is left out.

    Raises:
        InputError: Fewer than a fifth of the sounds, or fewer than ten, can be measured.

    """
    check_range("count", count, 20, 10**6)
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed)).cpu()
    values = measured(generator, z, attribute)
    known = np.isfinite(values)
    if known.sum() < max(0.2 * count, 10):
        raise InputError(
            f"{attribute.name}: can be measured in {known.sum()} of {count} sounds of this "
            f"generator; choose another attribute, or give more samples with count"
        )
    return Samples(z[torch.from_numpy(known)], values[known])


def directions(
    generator: Generator,
    attribute: str | Attribute,
    *,
    method: Method = "ridge",
    count: int = 400,
    seed: int = 0,
    orthogonal_to: Sequence[Direction] = (),
    samples: Samples | None = None,
) -> Direction:
    """Find the direction in a generator's latents along which an attribute changes.

    Args:
        generator: Any generator; ``factorisation`` and ``components`` need one of ours, whose first
            layer is known.
        attribute: A name as for `attribute_of`, or an attribute of your own.
        method: One of `Method`.
        count: Number of samples that are measured.
        seed: Seed of the samples.
        orthogonal_to: Directions to which the result is made orthogonal, so that a move along it
            does not move along those.
        samples: Samples that were measured before, in place of ``count`` new ones.

    Raises:
        InputError: There is no such attribute or method, it cannot be measured, or the generator
            has no first layer that is known.

    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: give one of {', '.join(get_args(Method))}")
    sought = attribute if isinstance(attribute, Attribute) else attribute_of(attribute)
    found = samples or sample_attribute(generator, sought, count=count, seed=seed)
    z, values = found.z.double().numpy(), found.values
    match method:
        case "ridge":
            choices = [ridge(z, values)]
        case "hyperplane":
            choices = [hyperplane(z, values > np.median(values))]
        case "random":
            choices = list(np.random.default_rng(seed).normal(size=(_CHOICES, z.shape[1])))
        case _:
            choices = list(_unsupervised(generator, found.z, method)[:_CHOICES])
    kept = [_orthogonal(choice, orthogonal_to) for choice in choices]
    best = max(kept, key=lambda vector: _explained(z @ vector, values))
    fit = _held_out(z, values) if method == "ridge" else _explained(z @ best, values)
    direction = Direction(sought.name, sought.unit, torch.from_numpy(best).float(), fit, method)
    return calibrated(generator, direction, sought, found)


def calibrated(
    generator: Generator, direction: Direction, attribute: Attribute, samples: Samples
) -> Direction:
    """Scale a direction such that a move by its vector changes the attribute by 1 of its unit.

    The scale is the median slope of what is measured in samples that are moved along it.
    """
    z = samples.z[:_CALIBRATED]
    unit = direction.vector / direction.vector.norm().clamp_min(1e-12)
    step = float(samples.z.std())
    before = samples.values[:_CALIBRATED]
    reach = 0.5 * sqrt(z.shape[1])  # half of a latent's length, in deviations of one entry
    slopes = []
    for along in _ALONG:
        moved = measured(generator, z + along * step * unit * reach, attribute)
        slopes.append((moved - before) / (along * step * reach))
    every = np.concatenate(slopes)
    slope = float(np.median(every[np.isfinite(every)])) if np.isfinite(every).any() else 0.0
    least = 1e-3 * float(samples.values.std()) / step + 1e-9
    if abs(slope) < least:  # it does not change: the direction stays as long as the prior is wide
        return replace(direction, vector=unit * step)
    return replace(direction, vector=unit / slope)


def ridge(z: Array, values: Array) -> Array:
    """The move (latent_dim,) along which a ridge regression of values (n,) on z changes by 1.

    The weight of the penalty is the one of eight with the least error left out one by one (the
    closed form of Allen 1974).
    """
    weights = _ridge_weights(z, values)
    norm = float(weights @ weights)
    move: Array = weights / max(norm, 1e-12)
    return move


def _ridge_weights(z: Array, values: Array) -> Array:
    centred, wanted = z - z.mean(0), values - values.mean()
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    best, found = np.inf, np.zeros(z.shape[1])
    for strength in np.logspace(-2, 2, 8) * np.square(sizes).mean():
        shrunk = np.square(sizes) / (np.square(sizes) + strength)
        residual = wanted - left @ (shrunk * (left.T @ wanted))
        error = float(np.square(residual / (1 - np.square(left) @ shrunk - 1 / len(z))).mean())
        if error < best:
            best = error
            found = right.T @ (shrunk / np.maximum(sizes, 1e-9) * (left.T @ wanted))
    return found


def _held_out(z: Array, values: Array) -> float:
    """Share of the variance in a fifth of the samples that a regression on the others explains."""
    tested = np.arange(len(z)) % 5 == 0
    weights = _ridge_weights(z[~tested], values[~tested])
    predicted = values[~tested].mean() + (z[tested] - z[~tested].mean(0)) @ weights
    total = np.square(values[tested] - values[~tested].mean()).sum()
    unexplained = float(np.square(values[tested] - predicted).sum())
    return 1 - unexplained / max(float(total), 1e-12)


def hyperplane(z: Array, inside: NDArray[np.bool_]) -> Array:
    """The normal (latent_dim,) of the plane that parts samples inside (n,) from the others.

    It is that of a logistic regression with a small penalty, by Newton's method.

    Raises:
        InputError: All samples are on one side.

    """
    if not 0 < inside.sum() < len(inside):
        raise InputError("hyperplane: all samples are alike; give more of them with count")
    points = np.column_stack([z, np.ones(len(z))])
    weights = np.zeros(points.shape[1])
    penalty = np.full(points.shape[1], 1.0)
    penalty[-1] = 1e-6
    for _ in range(25):
        share = 1 / (1 + np.exp(-np.clip(points @ weights, -30, 30)))
        gradient = points.T @ (share - inside) + penalty * weights
        curvature = (points.T * (share * (1 - share))) @ points + np.diag(penalty)
        weights -= np.linalg.solve(curvature, gradient)
    normal: Array = weights[:-1]
    return normal


def _unsupervised(generator: Generator, z: Tensor, method: str) -> Array:
    """Directions (n, latent_dim) that are found without an attribute, the strongest first."""
    layer = getattr(getattr(generator, "generator", None), "project", None)
    if not isinstance(generator, AudioGAN) or not isinstance(layer, torch.nn.Linear):
        raise InputError(
            f"method {method}: needs the first layer of one of our generators; take ridge"
        )
    if method == "factorisation":
        weight = layer.weight[:, : generator.latent_dim].detach().double().cpu().numpy()
        _, vectors = np.linalg.eigh(weight.T @ weight)
        return np.ascontiguousarray(vectors.T[::-1])
    with torch.inference_mode():
        hidden = layer(z.to(device_of(generator))).double().cpu().numpy()
    centred = hidden - hidden.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    scores = left[:, :_CHOICES] * sizes[:_CHOICES]
    rows = z.double().numpy()
    found: Array = np.linalg.lstsq(rows - rows.mean(0), scores, rcond=None)[0].T
    return found


def _orthogonal(vector: Array, others: Sequence[Direction]) -> Array:
    """Remove the parts of a vector along other directions."""
    if others:
        columns = np.stack([other.vector.double().numpy() for other in others]).T
        for row in np.linalg.qr(columns)[0].T:
            vector = vector - (vector @ row) * row
    return vector


def _explained(scores: Array, values: Array) -> float:
    """Squared correlation of scores (n,) with values (n,)."""
    if scores.std() < 1e-12 or values.std() < 1e-12:
        return 0.0
    correlation = float(np.corrcoef(scores, values)[0, 1])
    return correlation * correlation
