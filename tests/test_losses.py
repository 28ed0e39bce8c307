"""Loss terms against torch.distributions and closed forms."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from audiate.training.losses import (
    bernoulli_nll,
    discriminator_loss,
    gaussian_kl,
    non_saturating_loss,
)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_kl_is_that_of_torch_distributions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(2, 5, 7, generator=generator)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(gaussian_kl(mu, logvar), expected)


def test_kl_closed_forms() -> None:
    zero = torch.zeros(1, 3)
    assert gaussian_kl(zero, zero).item() == 0
    assert gaussian_kl(zero + 2, zero).item() == 3 * 2.0  # mu² / 2 for each dimension


def test_likelihood_of_black_and_white_is_bernoullis() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 28, 28, generator=generator)
    images = (torch.rand(4, 28, 28, generator=generator) > 0.5).float()
    bernoulli = Bernoulli(logits=logits)
    expected = -bernoulli.log_prob(images).sum((1, 2))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(bernoulli_nll(logits, images), expected)


def test_the_mean_of_images_costs_the_mean_of_their_costs() -> None:
    """What lets one pass of the VAE serve all images of a recording."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 28, 28, generator=generator)
    images = torch.rand(9, 28, 28, generator=generator)
    each = bernoulli_nll(logits.expand(9, -1, -1), images).mean()
    torch.testing.assert_close(bernoulli_nll(logits, images.mean(0, keepdim=True)).squeeze(), each)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_adversarial_losses_are_logarithms_of_probabilities(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    real, drawn = torch.randn(2, 6, generator=generator).double()
    torch.testing.assert_close(non_saturating_loss(drawn), -drawn.sigmoid().log())
    expected = -real.sigmoid().log() - (1 - drawn.sigmoid()).log()
    torch.testing.assert_close(discriminator_loss(real, drawn), expected)


def test_a_discriminator_that_cannot_tell_has_ln_4() -> None:
    zero = torch.zeros(1)
    torch.testing.assert_close(discriminator_loss(zero, zero), torch.tensor([4.0]).log())
    assert non_saturating_loss(torch.tensor([-1000.0])).item() == 1000  # no overflow
