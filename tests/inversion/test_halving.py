"""Several starts of each clip, of which fewer and fewer go on."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from audiate.inversion.build import inverter
from audiate.inversion.gradient import GradientInverter, HalvingInverter
from audiate.inversion.hybrid import HybridInverter
from audiate.inversion.objectives import Objective, WaveformTerm
from audiate.inversion.search import SearchInverter
from audiate.models.wrap import WrappedGenerator, wrap

STARTS = torch.linspace(-0.9, 0.9, 8).view(1, 8, 1)


def chirp(z: Tensor) -> Tensor:
    """A tone of 200 to 1,800 Hz; as a function of its pitch, a distance has many minima."""
    time = torch.arange(2048) / 16_000
    tone: Tensor = 0.9 * torch.sin(2 * torch.pi * (1000 + 800 * z) * time)
    return tone


@pytest.fixture
def generator() -> WrappedGenerator:
    return wrap(chirp, latent_dim=1, sample_rate=16_000)


@pytest.fixture
def objective() -> Objective:
    return Objective({"waveform": (1.0, WaveformTerm())})


def clips(generator: WrappedGenerator, count: int) -> Tensor:
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        target: Tensor = generator(z)
    return target


def test_more_starts_escape_more_minima(generator: WrappedGenerator, objective: Objective) -> None:
    target = clips(generator, 40)
    found = []
    for count in (1, 3, 8):
        refine = GradientInverter(generator, objective, max_iterations=80)
        invert = HalvingInverter(
            lambda part, count=count: STARTS[:, -count:].expand(len(part), -1, -1),  # type: ignore[misc]
            refine,
        )
        found.append(invert(target))
        assert torch.equal(found[-1].output, generator(found[-1].latent))
        torch.testing.assert_close(objective(found[-1].output, target), found[-1].loss)
    solved = [int((each.loss < 0.01).sum()) for each in found]
    assert solved[0] < solved[1] < solved[2]
    assert (found[0].num_evals < found[2].num_evals).all()


def test_one_start_is_a_hybrid(generator: WrappedGenerator, objective: Objective) -> None:
    target = clips(generator, 5)
    refine = GradientInverter(generator, objective, max_iterations=80)
    search = SearchInverter(generator, objective, size=50)
    alone = HalvingInverter(search.nearest, refine)(target)
    hybrid = HybridInverter(search, refine)(target)
    assert torch.equal(alone.latent, hybrid.latent)
    assert torch.equal(alone.num_evals, hybrid.num_evals - 1)  # which measures the search's loss


@pytest.mark.parametrize("limit", [0, 10, 30, 60])
def test_the_best_is_kept_wherever_the_limit_ends_it(
    generator: WrappedGenerator, objective: Objective, limit: int
) -> None:
    target = clips(generator, 6)
    refine = GradientInverter(generator, objective, max_iterations=limit)
    starts = STARTS.expand(6, -1, -1)
    found = HalvingInverter(lambda part: starts[: len(part)], refine)(target)
    first = refine.minima(target, starts, min(limit, 15)).loss.view(6, 8)
    assert (found.loss <= first.amin(1) + 1e-6).all()
    alone = HalvingInverter(lambda part: starts[: len(part)], refine)(target[2:3])
    torch.testing.assert_close(alone.loss, found.loss[2:3], atol=1e-4, rtol=1e-3)


@pytest.mark.usefixtures("few_latents")
def test_restarts_after_a_search_are_the_nearest_of_the_pool(
    generator: WrappedGenerator, objective: Objective
) -> None:
    target = clips(generator, 3)
    invert = inverter(generator, "search", objective=objective, restarts=4, max_iterations=5)
    assert isinstance(invert, HalvingInverter)
    pool = SearchInverter(generator, objective)
    assert torch.equal(invert.starts(target), pool.nearest(target, 4))
    expected = HalvingInverter(partial(pool.nearest, count=4), invert.refine)(target)
    assert torch.equal(invert(target).loss, expected.loss)
    hybrid = inverter(generator, "hybrid", objective=objective, restarts=4)
    assert isinstance(hybrid, HalvingInverter)
