"""A joint latent flow, in the manner of Multi-modal Latent Diffusion.

After Bounoua et al. 2024, Entropy 26(4):320: each side has an autoencoder that knows nothing of the
other, and one network, in which each side has a time of its own, learns the latents of both. It is
small here, and a flow on straight paths takes the place of diffusion, with our own solver, guidance
and kind of network, so that ours has no advantage by these.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from audiate.models.conditional_flow import Velocity, follow
from audiate.models.latent_flow import LatentFlow
from audiate.training.losses import bernoulli_nll, gaussian_kl
from audiate.training.task import renew_average
from benchmarks.joint_models import SAY, SOUND, Made, Material, Voice, passing, set_rate

SIDES = slice(0, SOUND), slice(SOUND, SOUND + LatentFlow.latent_dim)
AUTOENCODER_SHARE = 0.2  # of the minutes
IMAGE_KL = 0.05  # as in our latent flow, whose autoencoder this is
GUIDANCE = 1.5  # as ours have it


class JointFlow(nn.Module):
    """A velocity of the latents of sound and image together, given a time for each side.

    Either side is at time 0 for noise and at time 1 for data, so one network has p(sound, image),
    both conditional distributions and both marginal ones (multi-time training of MLD).
    """

    def __init__(self) -> None:
        super().__init__()
        self.velocity = Velocity(
            SIDES[1].stop, 64, tokens=SIDES[1].stop // 32, width=SAY.width, blocks=SAY.blocks
        )

    def forward(self, latents: Tensor, times: Tensor) -> Tensor:
        """Velocities (batch, latents) of ``latents`` at ``times`` (batch, 2), sound's first."""
        angles = times[:, 1:] * self.velocity.frequencies
        of_image = torch.cat([angles.sin(), angles.cos()], 1)
        velocity: Tensor = self.velocity(latents, times[:, 0], of_image)
        return velocity

    def loss(self, latents: Tensor) -> Tensor:
        """The loss of flow matching: both sides at one time, one side clean, or one side noise."""
        count = len(latents)
        times = torch.randn(count, 1).sigmoid().repeat(1, 2)
        kind, side = torch.rand(count), torch.randint(2, (count,))
        rows = torch.arange(count)
        times[rows, side] = torch.where(kind < 0.5, 1.0, times[rows, side])
        times[rows, side] = torch.where(kind < 0.15, 0.0, times[rows, side])
        moves = ((times > 0) & (times < 1)).float()
        noise = torch.randn_like(latents)
        of_each = times.repeat_interleave(torch.tensor([SOUND, LatentFlow.latent_dim]), 1)
        found = self(torch.lerp(noise, latents, of_each), times)
        error = (found - (latents - noise)).square()
        sides = torch.stack([error[:, side].mean(1) for side in SIDES], 1)
        return (moves * sides).sum() / count

    def sample(self, noise: Tensor, given: Mapping[int, Tensor], guidance: float) -> Tensor:
        """Follow the flow from noise (count, latents), where the sides of ``given`` are known.

        Guidance leads either side away from what it would be beside noise.
        """

        def velocity(latents: Tensor, times: Tensor, _: Tensor) -> Tensor:
            state, at = latents.clone(), times.unsqueeze(1).repeat(1, 2)
            for number, known in given.items():
                state[:, SIDES[number]], at[:, number] = known, 1.0
            together, change = self(state, at), torch.zeros_like(state)
            for number, side in enumerate(SIDES):
                if number in given:
                    continue
                apart, alone = noise.clone(), torch.zeros_like(at)
                apart[:, side], alone[:, number] = state[:, side], times
                own = self(apart, alone)[:, side]
                change[:, side] = own + guidance * (together[:, side] - own)
            return change

        nothing = torch.zeros(len(noise), 1)
        return follow(velocity, noise, nothing, nothing[0], guidance=1.0, steps=5, solver="rk4")


def train_autoencoder(model: LatentFlow, train: Material, minutes: float) -> None:
    """Train the autoencoder of images that a latent flow has."""
    optimizer = torch.optim.AdamW(model.parameters())
    batches = train.batches()
    for share in passing(minutes):
        set_rate(optimizer, share, 2e-3)
        images, _ = next(batches)
        posterior = model.encode_images(images)
        logits = model.decode_logits(posterior.sample(torch.randn_like(posterior.mu)))
        loss = bernoulli_nll(logits, images).mean() + IMAGE_KL * gaussian_kl(*posterior).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def joint_flow(train: Material, test: Material, voice: Voice, minutes: float) -> Made:
    """Train the autoencoder of images and the joint flow, and sample."""
    torch.manual_seed(0)
    begun, autoencoder = time.process_time(), LatentFlow().train()
    train_autoencoder(autoencoder, train, minutes * AUTOENCODER_SHARE)
    autoencoder.eval().requires_grad_(False)
    live, batches = JointFlow().train(), train.batches(SAY.batch_size)
    flow = deepcopy(live)
    optimizer = torch.optim.AdamW(live.parameters(), betas=(0.9, 0.99), weight_decay=0.05)
    for step, share in enumerate(passing(minutes * (1 - AUTOENCODER_SHARE))):
        set_rate(optimizer, share, 1e-3)
        images, sounds = next(batches)
        posterior = autoencoder.encode_images(images)
        drawn = posterior.sample(torch.randn_like(posterior.mu))
        loss = live.loss(torch.cat([sounds, drawn], 1))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        renew_average(flow, live, step, 300.0)
    used = time.process_time() - begun
    with torch.inference_mode():
        flow.eval()
        noise = torch.randn(3, len(test.pairs.heard), SIDES[1].stop)
        seen = autoencoder.encode_images(test.images).mu
        joint = flow.sample(noise[0], {}, GUIDANCE)
        drawn = flow.sample(noise[1], {0: test.sounds}, GUIDANCE)[:, SIDES[1]]
        said = flow.sample(noise[2], {1: seen}, GUIDANCE)[:, SIDES[0]]
        images, drawn = (
            autoencoder.decode_logits(each).sigmoid() for each in (joint[:, SIDES[1]], drawn)
        )
    return Made(images, voice.decode(joint[:, SIDES[0]]), drawn, voice.decode(said), used / 60)
