"""The parts of `benchmarks.multivae` that have closed forms."""

import torch
from torch import Tensor

from audiate.data.pairs import Pairs
from benchmarks.joint_flow import SIDES, JointFlow
from benchmarks.joint_models import SOUND, Material, Voice, lookup


class TimesOfOthers(JointFlow):
    """Moves each side at the time of the other one."""

    def forward(self, latents: Tensor, times: Tensor) -> Tensor:
        moved = torch.zeros_like(latents)
        for number, side in enumerate(SIDES):
            moved[:, side] = times[:, 1 - number, None]
        return moved


def test_joint_flow_moves_both_sides_together_or_one_beside_what_is_given() -> None:
    flow, noise = TimesOfOthers(), torch.randn(3, SIDES[1].stop)
    together = flow.sample(noise, {}, 1.5)
    # Alone a side rests, as the other one is noise: the integral of 1.5 t is 0.75.
    assert torch.allclose(together, noise + 0.75, atol=1e-5)
    for number, side in enumerate(SIDES):
        given = {1 - number: torch.zeros_like(noise[:, SIDES[1 - number]])}
        beside = flow.sample(noise, given, 1.5)
        assert torch.allclose(beside[:, side], noise[:, side] + 1.5, atol=1e-5)


def test_loss_of_the_joint_flow_is_that_of_the_sides_that_move() -> None:
    torch.manual_seed(0)
    flow = JointFlow()  # its last layer is zero at first, so it predicts no motion
    loss = flow.loss(torch.zeros(4000, SIDES[1].stop))
    # Of noise to zero, the squared velocity is 1 an entry: both sides move in half of the cases,
    # and one of them in the others.
    assert abs(loss.item() - 1.5) < 0.05


class Unchanged(Voice):
    """Gives latents back in place of sound."""

    def __init__(self) -> None: ...

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def test_lookup_finds_the_pairs_that_it_is_asked_for() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 28, 28), generator=random, dtype=torch.uint8)
    mean, heard = torch.randn(3, SOUND, generator=random), torch.tensor([2, 0, 1, 0, 2, 1])
    pairs = Pairs(images, [torch.zeros(1)] * 3, heard, 16_000)
    train = Material(pairs, pairs, mean, torch.zeros(3, SOUND))
    made = lookup(train, train, Unchanged(), 0.0)
    assert torch.equal(made.said, mean[heard])
    rows = torch.cdist(made.drawn.flatten(1), train.images.flatten(1)).argmin(1)
    assert torch.equal(heard[rows], heard)
    rows = torch.cdist(made.images.flatten(1), train.images.flatten(1)).argmin(1)
    assert torch.equal(made.sounds, mean[heard[rows]])
