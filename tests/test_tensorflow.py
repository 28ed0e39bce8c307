"""Published WaveGAN checkpoints: the original graph in TensorFlow, saved, imported, compared."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Command, once, shared_folder

import audiate as package
from audiate.cli import main
from audiate.errors import InputError
from audiate.models.tensorflow import convert_wavegan, read_checkpoint
from audiate.models.wavegan import WaveGAN

if importlib.util.find_spec("tensorflow") is None:  # to import it takes seconds in each worker
    pytest.skip("TensorFlow is not installed: pip install audiate[dev]", True)

# A process of its own: TensorFlow keeps threads and memory. It builds the layers that the
# published program builds, by the same names and with the same reshapes, and random weights.
_ORIGINAL = """
import sys
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()

def write(out, dim, channels, length):
    strides = {16384: [4] * 5, 32768: [4] * 5 + [2], 65536: [4] * 6}[length]
    random = np.random.default_rng(0)

    def variable(name, *shape):
        value = random.normal(0, 1 / np.sqrt(np.prod(shape[:-1]) or 1), shape).astype(np.float32)
        return v1.get_variable(name, initializer=value)

    z = v1.placeholder(tf.float32, [None, 100])
    sound = v1.placeholder(tf.float32, [None, length, channels])
    count = tf.shape(z)[0]
    width = dim * 2 ** (len(strides) - 1)
    with v1.variable_scope("G"):
        with v1.variable_scope("z_project/dense"):
            h = z @ variable("kernel", 100, 16 * width) + variable("bias", 16 * width)
        h = tf.nn.relu(tf.reshape(h, [count, 16, width]))
        size = 16
        for i, stride in enumerate(strides):
            last = i == len(strides) - 1
            inputs, width = width, channels if last else width // 2
            size *= stride
            with v1.variable_scope(f"upconv_{i}/conv2d_transpose"):
                kernel, bias = variable("kernel", 1, 25, width, inputs), variable("bias", width)
                h = tf.nn.conv2d_transpose(
                    h[:, None], kernel, [count, 1, size, width], [1, 1, stride, 1], "SAME"
                )[:, 0] + bias
            h = tf.tanh(h) if last else tf.nn.relu(h)
    def judged(scope, head, outputs):
        with v1.variable_scope(scope):
            d, inputs = sound, channels
            for i, stride in enumerate(strides):
                width = dim * 2**i
                with v1.variable_scope(f"downconv_{i}/conv1d"):
                    kernel, bias = variable("kernel", 25, inputs, width), variable("bias", width)
                    d = tf.nn.leaky_relu(tf.nn.conv1d(d, kernel, stride, "SAME") + bias, 0.2)
                inputs = width
            with v1.variable_scope(head + "/dense"):
                flat = tf.reshape(d, [tf.shape(d)[0], 16 * width])
                return flat @ variable("kernel", 16 * width, outputs) + variable("bias", outputs)

    score = judged("D", "output", 1)[:, 0]
    code = judged("Q", "Qoutput", 5) if dim == 2 else score
    for name in ("G/z_project/dense/kernel/Adam_1", "D/output/dense/bias/RMSProp"):
        v1.get_variable(name, initializer=np.zeros(3, np.float32))
    step = v1.get_variable("global_step", initializer=np.int64(7))

    zs = random.uniform(-1, 1, (3, 100)).astype(np.float32)
    sounds = random.uniform(-1, 1, (2, length, channels)).astype(np.float32)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, out + "/model.ckpt", global_step=7)
        if dim == 2:
            own = [v for v in v1.global_variables() if v.name.startswith("G/")]
            v1.train.Saver(own).save(session, out + "/generator/model")
            first = v1.train.Saver(write_version=v1.train.SaverDef.V1)
            tf.io.gfile.makedirs(out + "/first")
            first.save(session, out + "/first/model.ckpt", global_step=7)
        found = session.run([h, score, code], {z: zs, sound: sounds})
    names = ("waveforms", "scores", "codes")
    np.savez(out + "/expected.npz", z=zs, sounds=sounds, **dict(zip(names, found)))

for size in sys.argv[2:]:
    with tf.Graph().as_default():
        write(sys.argv[1] + "/" + size, *map(int, size.split("-")))
"""


SIZES = ("64-1-16384", "4-1-32768", "4-2-65536", "2-1-16384")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of generators of several sizes, each in a folder ``dim-channels-length``."""
    folder = shared_folder(tmp_path_factory, "tensorflow")
    command = [sys.executable, "-c", _ORIGINAL, str(folder), *SIZES]

    def write() -> None:
        for size in SIZES:
            (folder / size).mkdir(parents=True)
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, check=True, env=quiet, capture_output=True)

    once(tmp_path_factory, folder.with_name(".tensorflow.lock"), write)
    return folder


def compare(model: WaveGAN, folder: Path) -> None:
    expected = np.load(folder / "expected.npz")
    with torch.no_grad():
        waveforms = model(torch.from_numpy(expected["z"])).transpose(1, 2).numpy()
        scores = model.discriminator(torch.from_numpy(expected["sounds"]).transpose(1, 2)).numpy()
    assert np.abs(expected["waveforms"]).max() > 0.01
    np.testing.assert_allclose(waveforms, expected["waveforms"], atol=1e-4)
    np.testing.assert_allclose(scores, expected["scores"], atol=1e-4, rtol=1e-4)


def test_the_published_size_by_the_command(
    audiate_here: Command, originals: Path, tmp_path: Path
) -> None:
    folder = originals / "64-1-16384"
    done = audiate_here("import-wavegan", folder / "model.ckpt-7", "imported")
    assert done.returncode == 0, done.stderr
    assert "36,493,314 parameters" in done.stdout
    model = package.load(tmp_path / "imported")
    assert isinstance(model, WaveGAN)
    compare(model, folder)


@pytest.mark.parametrize(("channels", "length"), [(1, 32_768), (2, 65_536)])
def test_other_sizes(originals: Path, channels: int, length: int) -> None:
    folder = originals / f"4-{channels}-{length}"
    variables = read_checkpoint(folder)
    assert not any("Adam" in n or "RMSProp" in n or "global_step" in n for n in variables)
    model = convert_wavegan(variables, "it", num_samples=length, sample_rate=44_100)
    assert (model.channels, model.num_samples, model.sample_rate) == (channels, length, 44_100)
    compare(model, folder)


def test_the_first_format_of_checkpoints(originals: Path) -> None:
    folder = originals / "2-1-16384"
    assert not list((folder / "first").glob("*.index"))
    compare(convert_wavegan(read_checkpoint(folder / "first" / "model.ckpt-7"), "it"), folder)


@pytest.mark.parametrize("code", ["one-hot", "binary"])
def test_a_network_of_codes(
    originals: Path, tmp_path: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = originals / "2-1-16384", tmp_path / "imported"
    assert main(["import-wavegan", str(folder), str(out), "--code", code]) == 0
    assert "Q-network" not in capsys.readouterr().err
    model = package.load(out)
    assert isinstance(model, WaveGAN)
    compare(model, folder)
    expected = np.load(folder / "expected.npz")
    sounds = torch.from_numpy(expected["sounds"]).transpose(1, 2)
    with torch.no_grad():
        logits = model.code_logits(sounds)
    np.testing.assert_allclose(logits, expected["codes"], atol=1e-4, rtol=1e-4)
    assert model.config.code.count == {"one-hot": 5, "binary": 32}[code]


def test_a_network_of_codes_that_is_left_out_is_named(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["import-wavegan", str(originals / "2-1-16384"), str(tmp_path / "imported")]
    assert main(command) == 0
    told = "its Q-network is left out, and the model has no codes; give --code one-hot for a ciwGAN"
    assert told in capsys.readouterr().err
    none = ["import-wavegan", str(originals / "2-1-16384" / "generator" / "model")]
    assert main([*none, str(tmp_path / "other"), "--code", "binary"]) == 2
    assert "no Q-network in it; leave out --code" in capsys.readouterr().err


def test_without_a_discriminator_it_says_so(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = originals / "2-1-16384" / "generator" / "model"
    assert main(["import-wavegan", str(checkpoint), str(tmp_path / "imported")]) == 0
    out = capsys.readouterr().out
    assert "no discriminator in it; a training that begins with it has a new one" in out


class TestWrongCheckpoints:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no checkpoint"):
            read_checkpoint(tmp_path)
        with pytest.raises(InputError, match=r"model\.ckpt-9: no checkpoint there"):
            read_checkpoint(tmp_path / "model.ckpt-9")
        (tmp_path / "bad.index").write_bytes(b"x" * 100)
        with pytest.raises(InputError, match="bad: cannot be read as a checkpoint"):
            read_checkpoint(tmp_path / "bad.meta")

    def test_of_something_else(self, originals: Path) -> None:
        variables = read_checkpoint(originals / "4-1-32768")
        with pytest.raises(InputError, match="6 layers; give `num_samples` 32768 or 65536"):
            convert_wavegan(variables, "it")
        with pytest.raises(InputError, match="6 layers; give `num_samples` 32768 or 65536"):
            convert_wavegan(variables, "it", num_samples=16_384)
        with pytest.raises(InputError, match="no WaveGAN generator in it"):
            convert_wavegan({"x": np.zeros(3, np.float32)}, "it")
        shape = variables["G/upconv_2/conv2d_transpose/kernel"].shape
        wrong = {**variables, "G/upconv_2/conv2d_transpose/kernel": np.zeros((1, 9, *shape[2:]))}
        with pytest.raises(InputError, match=r"upsample\.2\.weight is \(.*, 9\), but"):
            convert_wavegan(wrong, "it", num_samples=32_768)
        normed = {**variables, "G/upconv_0/batch_normalization/gamma": np.zeros(3, np.float32)}
        with pytest.raises(InputError, match="only the published default is known"):
            convert_wavegan(normed, "it", num_samples=32_768)
        without = {name: value for name, value in variables.items() if name.startswith("G/")}
        assert convert_wavegan(without, "it", num_samples=32_768).config.dim == 4


class TestWithoutReading:
    """What is refused before TensorFlow is imported, or without a checkpoint."""

    def variables(self, **changed: Any) -> dict[str, Any]:
        shapes = {"G/z_project/dense/kernel": (100, 512), "G/z_project/dense/bias": (512,)}
        widths = [32, 16, 8, 4, 2, 1]
        for index in range(5):
            layer = f"G/upconv_{index}/conv2d_transpose"
            shapes[f"{layer}/kernel"] = (1, 25, widths[index + 1], widths[index])
            shapes[f"{layer}/bias"] = (widths[index + 1],)
        made = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return {k: v for k, v in {**made, **changed}.items() if v is not None}

    def test_near_misses(self) -> None:
        convert_wavegan(self.variables(), "it")
        layer, other = (f"G/upconv_{number}/conv2d_transpose" for number in (4, 9))
        broken = np.full(512, np.nan, np.float32)
        with pytest.raises(InputError, match="it: G/z_project/dense/bias holds NaN or infinity"):
            convert_wavegan(self.variables(**{"G/z_project/dense/bias": broken}), "it")
        wrong: list[dict[str, Any]] = [
            {"G/z_project/dense/kernel": np.zeros(5)},
            {f"{layer}/kernel": np.zeros(25)},
            {
                f"{layer}/kernel": None,
                f"{other}/kernel": np.zeros((1, 25, 1, 2)),
            },
            {f"{layer}/kernel": np.zeros((1, 25, 3, 2)), f"{layer}/bias": np.zeros(3)},
        ]
        for changed in wrong:
            with pytest.raises(InputError, match="it: its layers are not those of the published"):
                convert_wavegan(self.variables(**changed), "it")

    def test_nothing_is_overwritten(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "config.json").write_text("{}")
        assert main(["import-wavegan", "anything", str(tmp_path)]) == 2
        assert f"{tmp_path}: holds a config.json already" in capsys.readouterr().err
        (tmp_path / "config.json").rename(tmp_path / "model.safetensors")
        assert main(["import-wavegan", "anything", str(tmp_path)]) == 2
        assert f"{tmp_path}: holds a model.safetensors already" in capsys.readouterr().err
