"""Inversion: our batched L-BFGS against SciPy's, one clip after the other; and the encoder.

Ours runs until its mean loss is that of SciPy's, or of the encoder's, and is timed until then.
``python -m benchmarks.inversion wavegan-digits cuda`` for another generator, on a GPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from audiate import load
from audiate.errors import InputError
from audiate.inversion.encoder import EncoderInverter, find_encoder
from audiate.inversion.gradient import GradientInverter
from audiate.inversion.objectives import Objective, plain_objective, speech_objective
from audiate.models.generator import AudioGAN

CLIPS = 64
FEW = 16  # for what takes long
ITERATIONS = 30  # of SciPy's
MOST = 400  # of ours


class _ReachedError(Exception):
    """The mean loss is low enough."""


class _Until(Objective):
    """An objective that ends the search once its mean over clips is low enough."""

    def __init__(self, objective: Objective, loss: float) -> None:
        super().__init__(
            {name: (objective.weights[name], term) for name, term in objective.terms.items()}
        )
        self.loss, self.best = loss, torch.empty(0)

    def features(self, waveforms: Tensor) -> dict[str, list[Tensor]]:
        row = torch.arange(len(waveforms), device=waveforms.device)
        return {**super().features(waveforms), "row": [row]}

    def compare(
        self, output: Mapping[str, Sequence[Tensor]], target: Mapping[str, Sequence[Tensor]]
    ) -> Tensor:
        losses, rows = super().compare(output, target), target["row"][0]
        if not len(self.best):
            self.best = torch.full((len(rows),), torch.inf, device=rows.device)
        self.best[rows] = torch.minimum(self.best[rows], losses.detach())
        if self.best.mean().item() <= self.loss:
            raise _ReachedError
        return losses


def until(
    objective: Objective, loss: float, generator: AudioGAN, target: Tensor
) -> tuple[float, float]:
    """Seconds of the batched engine until its mean loss is no higher, and that loss."""
    watched = _Until(objective, loss)
    began = now()
    try:
        GradientInverter(generator, watched, box="projected", max_iterations=MOST)(target)
        print(f"  a loss of {loss:.5f} is not reached in {MOST} iterations:")
    except _ReachedError:
        pass
    return now() - began, watched.best.mean().item()


def now() -> float:
    """The time in seconds, after all work that was given to a GPU has been done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic()


def main(name: str = "specgan-digits", device: str = "cpu") -> None:
    """Print what each takes."""
    generator = load(name, device=device)
    assert isinstance(generator, AudioGAN)
    z = generator.sample_latent(CLIPS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        target = generator(z)
    print(f"Inverting {CLIPS} clips of {name}, {device}, {torch.get_num_threads()} threads:")
    began = now()
    one = GradientInverter(generator, engine="scipy", max_iterations=ITERATIONS)(target)
    theirs = now() - began
    ours, reached = until(plain_objective(), one.loss.mean().item(), generator, target)
    for label, seconds, loss in (
        (f"SciPy, one by one, {ITERATIONS} iterations", theirs, one.loss.mean().item()),
        ("batched", ours, reached),
    ):
        print(
            f"  {label:<36} {seconds:6.1f} s    loss {loss:.5f}    {theirs / seconds:5.2f}x as fast"
        )
    try:
        encoder = find_encoder(generator, None).to(device)
    except InputError:
        return
    with torch.no_grad():
        encoder(target)
        began = now()
        encoder(target)
        rate = CLIPS / (now() - began)
    print(f"  encoder alone: {rate:.0f} clips a second; batched gradients until as good:")
    for label, objective in (
        ("by the paper's objective", plain_objective()),
        ("by ours", speech_objective(None, generator.sample_rate)),
    ):
        found = EncoderInverter(generator, encoder, objective)(target[:FEW])
        loss = found.loss.mean().item()
        gradient, reached = until(objective, loss, generator, target[:FEW])
        print(
            f"  {label:<36} {FEW / gradient:.2f} clips a second    loss {reached:.5f}    encoder "
            f"{rate * gradient / FEW:.0f}x as fast"
        )


if __name__ == "__main__":
    main(*sys.argv[1:3])
