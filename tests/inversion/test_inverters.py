"""Inverters on small generators whose answers are known."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiate.errors import InputError
from audiate.inversion.build import inverter
from audiate.inversion.encoder import EncoderInverter
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.gradient import GradientInverter
from audiate.inversion.hybrid import BudgetInverter, HybridInverter
from audiate.inversion.inverter import Inversion, Inverter, latent_bounds
from audiate.inversion.objectives import (
    Objective,
    Term,
    WaveformTerm,
    plain_objective,
    speech_objective,
)
from audiate.models.wrap import WrappedGenerator, wrap


class Chord(nn.Module):
    """Tones whose levels and phases are the latent: smooth, and one latent for each sound."""

    tones: Tensor

    def __init__(self, dim: int = 6) -> None:
        super().__init__()
        time = torch.arange(2048, dtype=torch.double) / 8000
        tones = [torch.sin(2 * math.pi * 300 * (1 + i) * time + i) for i in range(dim)]
        self.register_buffer("tones", torch.stack(tones))

    def forward(self, z: Tensor) -> Tensor:
        mixed: Tensor = torch.tanh(z @ self.tones.to(z.dtype) / 3)
        return mixed


class SquaredWaveform(Term):
    """Smooth, so that searches end where they should."""

    def features(self, waveforms: Tensor) -> list[Tensor]:
        return [waveforms]

    def distance(self, output: Any, target: Any) -> Tensor:
        distance: Tensor = (output[0] - target[0]).square().flatten(1).mean(1)
        return distance


SMOOTH = Objective({"waveform": (1.0, SquaredWaveform())})


@pytest.fixture
def generator() -> WrappedGenerator:
    return wrap(Chord(), latent_dim=6, sample_rate=8000)


def clips(generator: WrappedGenerator, count: int, seed: int = 5) -> tuple[Tensor, Tensor]:
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return z, generator(z)


def same(one: Inversion, other: Inversion, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(one.latent, other.latent, atol=tolerance, rtol=0)
    torch.testing.assert_close(one.loss, other.loss, atol=tolerance, rtol=0)


class TestGradients:
    @pytest.mark.parametrize("engine", ["batched", "scipy"])
    @pytest.mark.parametrize("box", ["none", "projected", "clipped"])
    def test_recovers_the_latent(self, generator: WrappedGenerator, engine: Any, box: Any) -> None:
        z, target = clips(generator, 5)
        invert = GradientInverter(generator, SMOOTH, engine=engine, box=box, max_iterations=200)
        found = invert(target)
        torch.testing.assert_close(found.latent, z, atol=1e-2, rtol=0)
        torch.testing.assert_close(found.output, target, atol=1e-2, rtol=0)
        assert (found.loss < 1e-6).all()
        assert (found.num_evals > 3).all()
        torch.testing.assert_close(found.loss, SMOOTH(found.output, target))

    def test_on_the_papers_objective(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 4)
        found = GradientInverter(generator, max_iterations=300)(target)
        torch.testing.assert_close(found.latent, z, atol=0.02, rtol=0)

    def test_a_clip_does_not_depend_on_its_neighbours(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 6)
        invert = GradientInverter(generator, SMOOTH, max_iterations=15, restarts=2)
        together = invert(target)
        reversed_ = invert(target.flip(0))
        same(together, Inversion(*(each.flip(0) for each in vars(reversed_).values())))
        for row in range(3):
            alone = invert(target[row : row + 1])
            same(alone, Inversion(*(each[row : row + 1] for each in vars(together).values())))
            assert alone.num_evals[0] == together.num_evals[row]

    @pytest.mark.parametrize("engine", ["batched", "scipy"])
    def test_restarts_keep_the_best(self, generator: WrappedGenerator, engine: Any) -> None:
        _, target = clips(generator, 3)
        settings: dict[str, Any] = {"max_iterations": 2, "engine": engine, "seed": 1}
        one = GradientInverter(generator, **settings)(target)
        many = GradientInverter(generator, restarts=8, **settings)(target)
        assert (many.loss <= one.loss + 1e-7).all()
        assert (many.loss < one.loss - 1e-4).any()
        assert (many.num_evals > one.num_evals).all()

    @pytest.mark.parametrize("engine", ["batched", "scipy"])
    @pytest.mark.parametrize("box", ["projected", "clipped"])
    def test_stays_in_the_box(self, generator: WrappedGenerator, engine: Any, box: Any) -> None:
        with torch.no_grad():
            target = generator(torch.full((2, 6), 1.8))  # nothing of the prior's
        found = GradientInverter(generator, SMOOTH, engine=engine, box=box, max_iterations=60)(
            target
        )
        assert found.latent.abs().max() <= 1 + 1e-6
        if box == "projected":
            torch.testing.assert_close(found.latent, torch.ones(2, 6), atol=1e-3, rtol=0)

    def test_as_many_starts_as_fit_are_worked_at_together(
        self, generator: WrappedGenerator
    ) -> None:
        _, target = clips(generator, 2)
        sizes: list[int] = []
        hook = generator.register_forward_hook(lambda *given: sizes.append(len(given[2])))
        settings: dict[str, Any] = {"max_iterations": 3, "restarts": 5}
        few = GradientInverter(generator, SMOOTH, batch_size=4, **settings)(target)
        hook.remove()
        assert max(sizes) == 4
        same(few, GradientInverter(generator, SMOOTH, **settings)(target))

    def test_begins_where_it_is_told(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 3)
        found = GradientInverter(generator, SMOOTH, max_iterations=0)(target, z)
        torch.testing.assert_close(found.latent, z)
        assert (found.loss < 1e-12).all()

    def test_starts_are_not_the_clips_of_that_seed(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2, seed=0)
        found = GradientInverter(generator, seed=0, max_iterations=0)(target)
        assert (found.loss > 0.01).all()

    def test_within_inference_mode(self, generator: WrappedGenerator) -> None:
        with torch.inference_mode():
            _, target = clips(generator, 2)
            found = GradientInverter(generator, max_iterations=5)(target)
        same(found, GradientInverter(generator, max_iterations=5)(clips(generator, 2)[1]))

    def test_the_batch_size_does_not_matter(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 5)
        one, other = (
            GradientInverter(generator, SMOOTH, max_iterations=10, batch_size=size)(target)
            for size in (2, 64)
        )
        same(one, other)


class TestTheOthers:
    def test_an_encoder_is_asked_once(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 3)
        found = EncoderInverter(generator, lambda waveforms: z[: len(waveforms)])(target)
        torch.testing.assert_close(found.output, target)
        assert (found.num_evals == 1).all()

    def test_what_an_encoder_says_is_brought_into_the_prior(
        self, generator: WrappedGenerator
    ) -> None:
        _, target = clips(generator, 2)
        found = EncoderInverter(generator, lambda _: torch.full((2, 6), 7.0))(target)
        assert found.latent.max() <= 1

    def test_a_hybrid_is_never_worse(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 4)
        encode = EncoderInverter(generator, lambda _: z + 0.2, SMOOTH)
        found = HybridInverter(encode, GradientInverter(generator, SMOOTH, max_iterations=30))(
            target
        )
        assert (found.loss < 0.01 * encode(target).loss).all()
        assert (found.num_evals > 1).all()

    def test_evolution_needs_no_gradients(self, generator: WrappedGenerator) -> None:
        generator.differentiable = False
        z, target = clips(generator, 2)
        found = EvolutionInverter(generator, SMOOTH, generations=120)(target)
        torch.testing.assert_close(found.latent, z, atol=0.1, rtol=0)
        assert (found.num_evals > 120).all()
        again = EvolutionInverter(generator, SMOOTH, generations=120)(target[1:])
        torch.testing.assert_close(again.latent, found.latent[1:], atol=1e-3, rtol=0)


class TestBudgets:
    def test_more_time_is_no_worse_and_is_kept(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 2)
        look = EncoderInverter(generator, lambda part: z[: len(part)] * 0.5, SMOOTH)
        losses = []
        for seconds in (0.001, 0.5):
            began = time.monotonic()
            found = BudgetInverter(look, generator, SMOOTH, seconds)(target)
            assert time.monotonic() - began < 2 * seconds + 0.3
            losses.append(found.loss)
        assert (losses[1] <= losses[0]).all()
        assert (losses[1] < 1e-5).all()

    def test_without_time_there_is_one_look(self, generator: WrappedGenerator) -> None:
        z, target = clips(generator, 2)
        look = EncoderInverter(generator, lambda _: z, SMOOTH)
        found = BudgetInverter(look, generator, SMOOTH, 1e-6)(target)
        assert found.num_evals.tolist() == [1, 1]


class TestBuilding:
    def test_evolution_lasts_so_many_rounds(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 1)
        one, two = (inverter(generator, "evolution", max_iterations=n)(target) for n in (1, 2))
        # A search and the start are evaluated once each.
        assert two.num_evals[0] - 2 == 2 * (one.num_evals[0] - 2)

    def test_objective_and_iterations_are_ones_own(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2)
        invert = inverter(generator, "gradient", objective=plain_objective(), max_iterations=2)
        expected = GradientInverter(generator, max_iterations=2)(target)
        same(invert(target), expected)


class TestBadInput:
    def test_no_gradients(self, generator: WrappedGenerator) -> None:
        generator.differentiable = False
        with pytest.raises(InputError, match=r"only runs forward.*`method=encoder`"):
            GradientInverter(generator)

    @pytest.mark.parametrize("shape", [(2, 2048), (2, 1, 2049), (2, 2, 2048)])
    def test_clips_of_another_shape(self, generator: WrappedGenerator, shape: Any) -> None:
        with pytest.raises(InputError, match=r"the generator makes \(batch, 1, 2048\)"):
            GradientInverter(generator)(torch.ones(shape))

    def test_silence_and_nan(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2)
        target[1] = 0
        with pytest.raises(InputError, match="clip 1 of the batch is silent"):
            GradientInverter(generator)(target)
        target[1] = torch.nan
        with pytest.raises(InputError, match="NaN"):
            EvolutionInverter(generator)(target)

    def test_what_is_no_sound(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2)
        with pytest.raises(InputError, match=r"clips of torch\.int16: give a tensor of floats"):
            GradientInverter(generator)((32767 * target).to(torch.int16))
        array: Any = target.numpy()
        with pytest.raises(InputError, match="clips of ndarray"):
            GradientInverter(generator)(array)

    def test_what_is_no_generator_or_objective(self, generator: WrappedGenerator) -> None:
        module: Any = nn.Linear(2, 3)
        with pytest.raises(InputError, match=r"Linear: is no generator yet; give audiate\.wrap"):
            inverter(module, "gradient")
        word: Any = "plain"
        with pytest.raises(InputError, match=r"objective 'plain': give one"):
            inverter(generator, "gradient", objective=word)

    def test_latents_of_another_size(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2)
        with pytest.raises(InputError, match=r"latents \(2, 7\): give \(2, 6\)"):
            GradientInverter(generator)(target, torch.zeros(2, 7))

    def test_no_encoder(self, generator: WrappedGenerator) -> None:
        with pytest.raises(InputError, match=r"no encoder is shipped for this generator.*train"):
            inverter(generator, "encoder")

    def test_clips_on_another_device(self, generator: WrappedGenerator) -> None:
        _, target = clips(generator, 2)
        for invert in (
            EncoderInverter(generator, lambda _: torch.zeros(2, 6)),
            GradientInverter(generator),
            EvolutionInverter(generator),
        ):
            elsewhere = r"on the device meta, the generator on cpu: .*\.to\('cpu'\)"
            with pytest.raises(InputError, match=f"clips {elsewhere}"):
                invert(target.to("meta"))
            with pytest.raises(InputError, match=f"latents {elsewhere}"):
                invert(target, torch.zeros(2, 6, device="meta"))

    def test_no_such_method(self, generator: WrappedGenerator) -> None:
        method: Any = "guess"
        with pytest.raises(InputError, match="give one of exact, encoder, search"):
            inverter(generator, method)

    def test_no_terms(self) -> None:
        with pytest.raises(InputError, match="needs a term"):
            Objective({})
        with pytest.raises(InputError, match="weight of it"):
            Objective({"it": (-1.0, WaveformTerm())})


class TestPriors:
    def test_the_edges_are_learnt_from_samples(self, generator: WrappedGenerator) -> None:
        bounds = latent_bounds(generator)
        assert bounds is not None
        torch.testing.assert_close(
            torch.stack(bounds)[:, 0], torch.tensor([-1.0, 1]), atol=0.01, rtol=0
        )
        assert all((edge == edge[0]).all() for edge in bounds)
        normal = wrap(Chord(), latent_dim=6, sample_rate=8000, prior="normal")
        assert latent_bounds(normal) is None

    def test_a_box_of_another_place_and_size(self) -> None:
        scales = torch.tensor([1.0, 2, 0.5, 1, 1, 1])

        def prior(count: int, source: torch.Generator | None) -> Tensor:
            return scales * torch.rand(count, 6, generator=source)

        generator = wrap(Chord(), latent_dim=6, sample_rate=8000, prior=prior)
        bounds = latent_bounds(generator)
        assert bounds is not None
        torch.testing.assert_close(bounds[0], torch.zeros(6), atol=0.02, rtol=0)
        torch.testing.assert_close(bounds[1], scales, atol=0.02, rtol=0)
        with torch.no_grad():
            target = generator(torch.full((2, 6), -1.0))
        for box in ("projected", "clipped"):
            invert = GradientInverter(generator, SMOOTH, box=box, max_iterations=20)
            assert invert(target).latent.min() >= bounds[0].min() - 1e-6
        found = EvolutionInverter(generator, SMOOTH, generations=2)(target, -torch.ones(2, 6))
        assert found.latent.min() >= bounds[0].min() - 1e-6

    def test_a_prior_without_edges_is_searched_near_its_samples(self) -> None:
        seen: list[float] = []

        def sound(z: Tensor) -> Tensor:
            seen.append(z.detach().abs().max().item())
            waveforms: Tensor = Chord()(z)
            return waveforms

        generator = wrap(sound, latent_dim=6, sample_rate=8000, prior="normal")
        _, target = clips(generator, 3)
        GradientInverter(generator, max_iterations=40)(target)
        assert max(seen) < 15


class TestStereo:
    @pytest.mark.parametrize("method", ["encoder", "gradient", "evolution"])
    def test_of_two_channels_each_counts(self, method: str) -> None:
        def stereo(z: Tensor) -> Tensor:
            return torch.stack([Chord(3)(z[:, :3]), Chord(3)(z[:, 3:])], 1)

        generator = wrap(stereo, latent_dim=6, sample_rate=8000)
        z, target = clips(generator, 3)
        for objective in (None, speech_objective(None, 8000)):
            makers: dict[str, Inverter] = {
                "encoder": EncoderInverter(generator, lambda _: 0.9 * z, objective),
                "gradient": GradientInverter(generator, objective, max_iterations=15),
                "evolution": EvolutionInverter(generator, objective, generations=3),
            }
            found = makers[method](target, 0.7 * z)
            assert found.loss.shape == (3,)
            assert found.output.shape == target.shape
            if method == "gradient":
                begun = EncoderInverter(generator, lambda _: 0.7 * z, objective)(target)
                assert (found.loss < 0.6 * begun.loss).all()
