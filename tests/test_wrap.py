"""Generators that are not ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import refuses_what_is_no_latent
from torch import Tensor, nn

from audiate.errors import InputError
from audiate.models.generator import Generator, generate
from audiate.models.wrap import WrappedGenerator, wrap, wrap_onnx, wrap_torchscript


class Drum(nn.Module):
    """A decaying tone: pitch, decay and noise are its latent. No network, and not about speech."""

    def forward(self, z: Tensor) -> Tensor:
        time = torch.arange(800) / 8000
        pitch = 100 * torch.exp(z[:, :1])
        decay = torch.exp(-time * 20 * torch.exp(z[:, 1:2]))
        return 0.5 * decay * torch.sin(2 * math.pi * pitch * time) * torch.sigmoid(z[:, 2:3])


class Stereo(nn.Module):
    """Two channels, of a network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2 * 300)
        self.noise = nn.Dropout(0.5)

    def forward(self, z: Tensor) -> Tensor:
        waveforms: Tensor = self.noise(self.layer(z)).tanh().view(len(z), 2, 300)
        return waveforms


def each_kind(tmp_path: Path) -> list[WrappedGenerator]:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000}
    torch.jit.script(Drum()).save(str(tmp_path / "drum.pt"))  # type: ignore[no-untyped-call]
    torch.onnx.export(
        Drum(),
        (torch.zeros(2, 3),),
        tmp_path / "drum.onnx",
        input_names=["z"],
        dynamic_axes={"z": {0: "batch"}},
        dynamo=False,
    )
    return [
        wrap(Drum(), **sizes),
        wrap_torchscript(tmp_path / "drum.pt", **sizes),
        wrap_onnx(tmp_path / "drum.onnx", **sizes),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_module_torchscript_and_onnx_are_the_same_generator(tmp_path: Path) -> None:
    z = torch.rand(4, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = Drum()(z).unsqueeze(1)
    for generator in each_kind(tmp_path):
        assert isinstance(generator, Generator)
        assert (generator.num_samples, generator.channels) == (800, 1)
        assert generator.sample_rate == 8000
        torch.testing.assert_close(generate(generator, z), expected, atol=1e-5, rtol=0)
        own = z.clone().requires_grad_(True)
        if generator.differentiable:
            generator(own).sum().backward()
            assert own.grad is not None
            assert own.grad.abs().sum() > 0
        else:
            assert not generator(own).requires_grad
    assert [g.differentiable for g in each_kind(tmp_path)] == [True, True, False]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("batch", "dtype"), [(1, torch.float32), (3, torch.float64)])
def test_an_onnx_file_for_batches_of_one_size(
    tmp_path: Path, batch: int, dtype: torch.dtype
) -> None:
    path = tmp_path / "drum.onnx"
    torch.onnx.export(Drum(), (torch.zeros(batch, 3, dtype=dtype),), path, dynamo=False)
    generator = wrap_onnx(path, latent_dim=3, sample_rate=8000)
    z = generator.sample_latent(4)
    torch.testing.assert_close(generator(z), Drum()(z).unsqueeze(1), atol=1e-4, rtol=0)


class TestModulesAsTheyAre:
    def test_channels_and_prior(self) -> None:
        generator = wrap(Stereo().eval(), latent_dim=5, sample_rate=16_000, prior="normal")
        z = generator.sample_latent(3)
        assert torch.equal(generator(z), generator(z))
        assert generator(z).shape == (3, 2, 300)

    def test_the_mode_is_not_changed(self) -> None:
        for training in (True, False):
            module = nn.Sequential(nn.Linear(3, 90), nn.Tanh()).train(training)
            wrap(module, latent_dim=3, sample_rate=8000)
            assert module.training == module[0].training == training

    @pytest.mark.parametrize(
        ("layer", "name"),
        [
            (nn.Dropout(0.5), "Dropout"),
            (nn.BatchNorm1d(90), "BatchNorm1d"),
            (torch.jit.script(nn.Dropout(0.5)), "Dropout"),
        ],
    )
    def test_training_mode_is_refused_where_it_matters(self, layer: Any, name: str) -> None:
        module = nn.Sequential(nn.Linear(3, 90), layer)
        module.train()
        with pytest.raises(InputError, match=rf"training mode and holds {name}.*`\.eval\(\)`"):
            wrap(module, latent_dim=3, sample_rate=8000)
        assert module.training
        wrap(module.eval(), latent_dim=3, sample_rate=8000)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
    def test_latents_are_cast_to_the_modules_precision(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 90), nn.Tanh())
        z = torch.rand(4, 3)
        expected = module(z).unsqueeze(1)
        generator = wrap(module.to(dtype), latent_dim=3, sample_rate=8000)
        assert generator.differentiable
        assert generator.sample_latent(1).dtype == torch.float32
        found = generate(generator, z)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=0.01, rtol=0)

    def test_a_function_in_double_precision(self) -> None:
        generator = wrap(lambda z: z.double().tanh(), latent_dim=3, sample_rate=8000)
        assert generator(generator.sample_latent(2)).dtype == torch.float32

    def test_the_device_is_that_of_buffers_where_there_are_no_parameters(self) -> None:
        module = nn.Module()
        module.register_buffer("tones", torch.zeros(3, 90))
        module.forward = lambda z: z @ module.tones
        generator = wrap(module, latent_dim=3, sample_rate=8000)
        assert generator.device == torch.device("cpu")
        assert generator.to("meta").sample_latent(2).device == torch.device("meta")

    def test_nothing_random_is_used_up(self) -> None:
        torch.manual_seed(0)
        expected = torch.rand(1)
        torch.manual_seed(0)
        wrap(Drum(), latent_dim=3, sample_rate=8000)
        assert torch.equal(torch.rand(1), expected)


class TestPriors:
    def test_uniform_and_normal(self) -> None:
        uniform, normal = (
            wrap(Drum(), latent_dim=3, sample_rate=8000, prior=prior).sample_latent(
                4000, generator=torch.Generator().manual_seed(0)
            )
            for prior in ("uniform", "normal")
        )
        assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() <= 1
        assert normal.std().item() == pytest.approx(1, abs=0.03)
        assert normal.abs().max() > 3

    def test_a_function(self) -> None:
        def ones(n: int, generator: torch.Generator | None) -> Tensor:
            return torch.ones(n, 3)

        generator = wrap(Drum(), latent_dim=3, sample_rate=8000, prior=ones)
        assert generator.sample_latent(2).eq(1).all()
        with pytest.raises(InputError, match=r"the prior gave \(2, 3\), but a tensor \(2, 4\)"):
            wrap(Drum(), latent_dim=4, sample_rate=8000, prior=ones)

    def test_functions_that_do_not_give_latents(self) -> None:
        wrong: list[tuple[Any, str]] = [
            (lambda n, g: [[0.0] * 3] * n, r"the prior gave list, but a tensor \(2, 3\)"),
            (lambda n: torch.zeros(n, 3), r"the prior fails \(TypeError: .*\); it takes a count"),
            (None, "prior None: give uniform, normal or a function"),
        ]
        for prior, complaint in wrong:
            with pytest.raises(InputError, match=complaint):
                wrap(Drum(), latent_dim=3, sample_rate=8000, prior=prior)

    def test_an_unknown_name(self) -> None:
        with pytest.raises(InputError, match="prior 'gauss'"):
            wrap(Drum(), latent_dim=3, sample_rate=8000, prior="gauss")  # type: ignore[arg-type]


class TestGradients:
    def test_whether_they_flow_is_tried_out(self) -> None:
        sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000}
        for function, flows in (
            (Drum(), True),
            (torch.tanh, True),
            (lambda z: torch.tanh(z.detach()), False),
            (lambda z: torch.from_numpy(np.tanh(z.detach().numpy())), False),
            (lambda z: torch.from_numpy(np.tanh(z.numpy())), False),
        ):
            generator = wrap(function, **sizes)
            assert generator.differentiable == flows
            assert len(generator(generator.sample_latent(4))) == 4

    def test_parameters_that_need_gradients_are_no_path_to_the_latent(self) -> None:
        class Table(nn.Module):
            """Sounds by number, each of them learnt."""

            def __init__(self) -> None:
                super().__init__()
                self.sounds = nn.Parameter(torch.rand(4, 90))

            def forward(self, z: Tensor) -> Tensor:
                return self.sounds[z.argmax(1)]

        sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000}
        generator = wrap(Table(), **sizes)
        assert generator(generator.sample_latent(1)).requires_grad
        assert not generator.differentiable
        assert not wrap(lambda z: (8 * z).round() / 8, **sizes).differentiable  # 0 everywhere

    def test_a_sum_of_samples_that_never_changes(self) -> None:
        generator = wrap(lambda z: z.softmax(1), latent_dim=3, sample_rate=8000)
        assert generator.differentiable

    def test_within_inference_mode(self) -> None:
        module = nn.Linear(3, 90)
        with torch.inference_mode():
            assert wrap(module, latent_dim=3, sample_rate=8000).differentiable


class TestBadGenerators:
    def test_a_length_that_varies(self) -> None:
        generator = wrap(lambda z: z.repeat(1, len(z)), latent_dim=3, sample_rate=8000)
        with pytest.raises(InputError, match=r"gave \(5, 1, 15\), but .* were \(2, 1, 6\) before"):
            generator(generator.sample_latent(5))

    def test_what_is_generated_is_checked(self) -> None:
        generator = wrap(Drum(), latent_dim=3, sample_rate=8000)
        for z in (torch.zeros(2, 4), torch.zeros(3), np.zeros((2, 3))):
            with pytest.raises(InputError, match=r"latents .*: give a tensor \(batch, 3\)"):
                generate(generator, z)  # type: ignore[arg-type]
        refuses_what_is_no_latent(generator)

    def test_wrong_shape(self) -> None:
        with pytest.raises(InputError, match=r"gave \(2,\) for latents \(2, 3\); it is to give wa"):
            wrap(lambda z: z.sum(1), latent_dim=3, sample_rate=8000)
        with pytest.raises(InputError, match="gave a float for"):
            wrap(lambda z: 0.5, latent_dim=3, sample_rate=8000)  # type: ignore[arg-type, return-value]

    def test_wrong_latent(self) -> None:
        with pytest.raises(
            InputError, match=r"refuses latents \(2, 4\) \(RuntimeError: .*\); check latent_dim"
        ):
            wrap(Stereo().eval(), latent_dim=4, sample_rate=8000)

    def test_nan(self) -> None:
        with pytest.raises(InputError, match="NaN or infinite"):
            wrap(lambda z: z * torch.nan, latent_dim=3, sample_rate=8000)

    @pytest.mark.parametrize(
        ("function", "complaint"),
        [
            (lambda z: (z * 1000).short(), "gave torch.int16; have it give floats"),
            (lambda z: 30_000 * torch.ones(len(z), 9), "go up to 30000; have it give them in"),
            (lambda z: torch.zeros(len(z), 9, 8), r"gave \(2, 9, 8\)"),
            (lambda z: torch.zeros(len(z), 0), r"gave \(2, 1, 0\)"),
            (lambda z: {0: z}[1], "refuses latents .*KeyError"),
        ],
    )
    def test_what_is_no_sound(self, function: Any, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            wrap(function, latent_dim=3, sample_rate=8000)

    @pytest.mark.parametrize(
        "wrong", [{"latent_dim": "3"}, {"latent_dim": 3.0}, {"sample_rate": 0}]
    )
    def test_wrong_sizes(self, wrong: dict[str, Any]) -> None:
        sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000, **wrong}
        with pytest.raises(InputError, match=next(iter(wrong))):
            wrap(Drum(), **sizes)

    def test_a_length_that_changes(self) -> None:
        generator = wrap(Drum(), latent_dim=3, sample_rate=8000)
        generator.num_samples = 900
        with pytest.raises(InputError, match=r"gave \(2, 1, 800\) .* is to be \(2, 1, 900\)"):
            generate(generator, generator.sample_latent(2))

    def test_wrong_files(self, tmp_path: Path) -> None:
        sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000}
        (tmp_path / "x").write_bytes(b"what is this")
        with pytest.raises(InputError, match="x: is no TorchScript file"):
            wrap_torchscript(tmp_path / "x", **sizes)
        with pytest.raises(InputError, match="x: cannot be read as ONNX"):
            wrap_onnx(tmp_path / "x", **sizes)
        for function in (wrap_torchscript, wrap_onnx):
            with pytest.raises(InputError, match="nowhere: no such file"):
                function(tmp_path / "nowhere", **sizes)

    @pytest.mark.parametrize(
        ("place", "complaint"),
        [
            ("../weights.bin", "cannot be read as ONNX"),
            ("FOLDER/weights.bin", "cannot be read as ONNX"),
            ("missing.bin", "cannot be read as ONNX"),
            ("nan.bin", "NaN or infinite"),
            ("beside.bin", None),
        ],
    )
    def test_onnx_weights_in_another_file(
        self, tmp_path: Path, place: str, complaint: str | None
    ) -> None:
        """They are read beside the file, and nowhere else."""
        onnx = pytest.importorskip("onnx")
        path = tmp_path / "model" / "drum.onnx"
        path.parent.mkdir()
        for file, level in (("weights", 0.5), ("model/beside", 0.5), ("model/nan", np.nan)):
            np.full((3, 8), level, np.float32).tofile(tmp_path / f"{file}.bin")
        weights = onnx.TensorProto(name="w", data_type=1, dims=[3, 8], data_location=1)
        weights.external_data.add(key="location", value=place.replace("FOLDER", str(tmp_path)))
        (z, y), make = (("n", 3), ("n", 8)), onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["z", "w"], ["y"])],
            *("drum", [make("z", 1, z)], [make("y", 1, y)], [weights]),
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, ir_version=8, opset_imports=opset)
        path.write_bytes(model.SerializeToString())
        sizes: dict[str, Any] = {"latent_dim": 3, "sample_rate": 8000}
        if complaint is None:
            assert wrap_onnx(path, **sizes).num_samples == 8
            return
        with pytest.raises(InputError, match=rf"drum\.onnx: .*{complaint}") as caught:
            wrap_onnx(path, **sizes)
        assert "\n" not in str(caught.value)
