"""WaveGAN: training steps and generating, our networks against a straightforward port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.models.configs import WaveGANConfig
from audiate.models.gan_layers import phase_shuffle
from audiate.models.polyphase import DownConv1d, UpConv1d
from audiate.models.wavegan import WaveGAN
from audiate.training.launch import launch
from audiate.training.loop import update
from audiate.training.options import Precision
from audiate.training.recipes.gans import WAVEGAN_PAPER, WaveGANRecipe
from audiate.training.tasks.gan_task import AudioGANTask
from benchmarks.timing import in_turns

DIM = 64
TRAINING_BATCH = 16
GENERATING_BATCH = 64
ROUNDS = 3
GENERATING_ROUNDS = 7


class PlainGenerator(nn.Module):
    """The published generator with PyTorch's own layers, on the weights of ours."""

    def __init__(self, model: WaveGAN) -> None:
        super().__init__()
        self.ours = model.generator

    def forward(self, z: Tensor) -> Tensor:
        hidden: Tensor = self.ours.project(z).view(len(z), 16, -1).transpose(1, 2)
        for layer in self.ours.upsample:
            assert isinstance(layer, UpConv1d)
            grown = F.conv_transpose1d(hidden.relu(), layer.weight, layer.bias, 4, 10)
            hidden = grown[..., :-1]
        return hidden.tanh()


class PlainDiscriminator(nn.Module):
    """The published discriminator, likewise."""

    def __init__(self, model: WaveGAN) -> None:
        super().__init__()
        self.ours = model.discriminator

    def forward(self, waveforms: Tensor) -> Tensor:
        hidden = waveforms
        for index, layer in enumerate(self.ours.downsample):
            assert isinstance(layer, DownConv1d)
            hidden = F.conv1d(F.pad(hidden, (10, 11)), layer.weight, layer.bias, 4)
            hidden = F.leaky_relu(hidden, 0.2)
            if index < 4:
                hidden = phase_shuffle(hidden, 2)
        score: Tensor = self.ours.score(hidden.transpose(1, 2).flatten(1))
        return score


def plain_step() -> Callable[[], None]:
    """`wavegan-paper` as a first script would have it: float32, five critic updates, WGAN-GP."""
    torch.manual_seed(0)
    model = WaveGAN(WaveGANConfig(dim=DIM))
    generator, critic = PlainGenerator(model), PlainDiscriminator(model)
    rate, betas = WAVEGAN_PAPER.learning_rate, (0.5, 0.9)
    for_generator = torch.optim.Adam(model.generator.parameters(), rate, betas)
    for_critic = torch.optim.Adam(model.discriminator.parameters(), rate, betas)
    real = 2 * torch.rand(TRAINING_BATCH, 1, 16_384) - 1

    def step() -> None:
        for _ in range(WAVEGAN_PAPER.critic_updates):
            fake = generator(model.sample_latent(TRAINING_BATCH)).detach()
            mixed = real + torch.rand(TRAINING_BATCH, 1, 1) * (fake - real)
            mixed.requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            penalty = (slope.square().sum((1, 2)).sqrt() - 1).square().mean()
            loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
            for_critic.zero_grad()
            loss.backward()
            for_critic.step()
        loss = -critic(generator(model.sample_latent(TRAINING_BATCH))).mean()
        for_generator.zero_grad()
        loss.backward()
        for_generator.step()

    return step


def our_step(recipe: WaveGANRecipe, precision: Precision) -> Callable[[], None]:
    """A step of the training loop by a recipe, as many as the penalty comes round once."""
    noise = torch.Generator().manual_seed(0)
    clips = torch.randint(-9000, 9000, (100, 1, 16_384), generator=noise).to(torch.int16)
    labels = torch.arange(100) % 10
    sounds = SoundSet(clips, labels, torch.zeros_like(labels), tuple("0123456789"), 16_000)
    sizes = replace(recipe.network, dim=DIM)
    recipe = replace(recipe, network=sizes, batch_size=TRAINING_BATCH)
    task = AudioGANTask(recipe, sounds, *launch("cpu"))
    steps = count(0)

    def step() -> None:
        for _ in range(recipe.penalty_every):
            number = next(steps)
            for stage in task.stages(number):
                update(task, stage, precision)
            task.end_step(number)

    return step


def training() -> None:
    """Seconds for each update of the generator."""
    ours = WaveGANRecipe()
    seconds = in_turns(
        {
            "plain port of wavegan-paper": plain_step(),
            "audiate wavegan-paper, float32": our_step(WAVEGAN_PAPER, "float32"),
            "audiate wavegan-paper, bf16": our_step(WAVEGAN_PAPER, "bf16"),
            "audiate wavegan, bf16": our_step(ours, "bf16"),
        },
        ROUNDS,
    )
    seconds["audiate wavegan, bf16"] /= ours.penalty_every
    base = seconds["plain port of wavegan-paper"]
    print(
        f"One update of WaveGAN's generator and all that goes with it, d = {DIM}, batch "
        f"{TRAINING_BATCH}, {torch.get_num_threads()} threads:"
    )
    for name, value in seconds.items():
        print(f"  {name:<32} {value:6.2f} s    {base / value:5.2f}x as fast")


def generating() -> None:
    """Seconds for each second of sound."""
    torch.manual_seed(0)
    model = WaveGAN(WaveGANConfig(dim=DIM)).eval()
    plain = PlainGenerator(model).eval()
    z = model.sample_latent(GENERATING_BATCH)

    def in_bf16(generator: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return generator(z)

    with torch.inference_mode():
        largest = (plain(z) - model(z)).abs().max().item()
        seconds = in_turns(
            {
                "plain port, float32": lambda: plain(z),
                "audiate, float32": lambda: model(z),
                "plain port, bf16": lambda: in_bf16(plain),
                "audiate, bf16": lambda: in_bf16(model),
            },
            GENERATING_ROUNDS,
        )
    base = seconds["plain port, float32"]
    length = GENERATING_BATCH * model.num_samples / model.sample_rate
    print(
        f"Generating {GENERATING_BATCH} clips, d = {DIM}, {torch.get_num_threads()} threads "
        f"(largest difference in float32: {largest:.0e}):"
    )
    for name, value in seconds.items():
        pace = 1e3 * value / length
        print(f"  {name:<32} {pace:6.1f} ms a second of sound   {base / value:4.2f}x as fast")


def main() -> None:
    generating()
    training()


if __name__ == "__main__":
    main()
