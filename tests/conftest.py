"""What several tests share: small made-up data, real data where it is, and the command line."""

from __future__ import annotations

import gzip
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

# Threads that wait without spinning: tests must not crawl on a machine that is busy otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # a worker for each core, hence a thread for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from audiate.data.sources import DIGIT_WORDS, SOURCES, SPEAKERS, Source

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.data.sounds import SoundSet
    from audiate.folders.runner import ClipWork
    from audiate.models.specgan import SpecGAN
    from audiate.training.tasks.gan_task import AudioGANTask

WEB = Path(__file__).parent.parent / "web"

WORD_SPEAKERS = ("0a1b2c3d", "1b2c3d4e", "2c3d4e5f", "3d4e5f60")  # the last one for validation

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: some always wait, for a browser or a process that is killed."""
    return (os.cpu_count() or 1) + 1


LONG = (
    *(
        "test_page.py",
        "test_page_looks.py",
        "test_page_firefox.py",
        "test_export.py",
        "test_tensorflow.py",
        "test_bulk_ray.py",
        "test_rooms.py",
    ),
    *("test_tasks.py", "test_inverse.py", "test_loop.py", "test_evaluate_shipped.py"),
)
"""Files with tests that take long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for tests that are thorough: each moment in place of a sample of them."""
    parser.addoption("--runslow", action="store_true", help="try all cases in place of a sample")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that at the end no worker waits for another."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder that is empty at first, for tests and for the commands that they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def few_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches that sample 100 latents by default, for tests of all that is around them."""
    from audiate.inversion.search import SearchInverter

    defaults = SearchInverter.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "size", 100)


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data sets; skips the test where AUDIATE_DATA does not name one."""
    folder = os.environ.get("AUDIATE_DATA")
    if not folder:
        pytest.skip("AUDIATE_DATA is not set: it names the folder of the data sets")
    return Path(folder)


def small_specgan(**changes: Any) -> SpecGAN:
    """A generator of a quarter of a second that was never trained, the same every time."""
    import torch

    from audiate.models.configs import SpecGANConfig
    from audiate.models.specgan import SpecGAN

    sizes = SpecGANConfig(dim=1, size=64, num_samples=4096, n_fft=256, bands="mel", iterations=2)
    torch.manual_seed(0)
    return SpecGAN(replace(sizes, **changes)).eval()


def tones(num_samples: int = 4096, count: int = 20) -> SoundSet:
    """Two kinds of sounds: low and high tones."""
    import torch

    from audiate.data.sounds import SoundSet

    time = torch.arange(num_samples) / 16_000
    labels = torch.arange(count) % 2
    hertz = 500 + 2500 * labels + 10 * torch.arange(count)
    sounds = 20_000 * torch.sin(2 * torch.pi * hertz.unsqueeze(1) * time)
    return SoundSet(
        sounds.to(torch.int16).unsqueeze(1),
        labels,
        torch.zeros_like(labels),
        ("low", "high"),
        16_000,
    )


def trained(task: AudioGANTask) -> list[dict[str, Tensor]]:
    """Do all steps of a training, and return the losses of each update."""
    from audiate.training.loop import train_step

    losses: list[dict[str, Tensor]] = []
    for step in range(task.steps):
        losses += train_step(task, step)
    for module in task.modules.values():
        module.eval()
    return losses


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that were never trained: gan/, its encoder/, and a classifier/ of digits."""

    from audiate.models.configs import DigitClassifierConfig, LatentEncoderConfig
    from audiate.models.fingerprint import fingerprint
    from audiate.models.latent_encoder import LatentEncoder
    from audiate.models.resnet import DigitClassifier

    folder = tmp_path_factory.mktemp("models")
    gan = small_specgan(latent_dim=12)
    gan.save_pretrained(folder / "gan")
    encoder = LatentEncoderConfig(
        num_samples=4096, latent_dim=12, generator="gan", fingerprint=fingerprint(gan)
    )
    LatentEncoder(encoder).save_pretrained(folder / "encoder")
    hears = DigitClassifierConfig(num_samples=4096)
    DigitClassifier(hears).save_pretrained(folder / "classifier")
    return folder


def shared_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A path that is the same for all processes of a test run, and new for each run."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name


def once(factory: pytest.TempPathFactory, lock: Path, work: Callable[[], object]) -> None:
    """Do some work once for all processes of a test run, which wait for it."""
    done = shared_folder(factory, f"done{lock.name}")
    with FileLock(lock, timeout=600):
        if not done.exists():
            work()
            done.touch()


@pytest.fixture(scope="session")
def page_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported models that the page uses, brought up to date once by its own script."""
    # Within this process, which other exports then find warm.
    prepare = partial(runpy.run_path, str(WEB / "prepare.py"), run_name="__main__")
    once(tmp_path_factory, WEB / ".prepare.lock", prepare)
    return WEB / "public" / "assets"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that build and judge the page, installed once, whole before they are read."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt install npm")
    folder = WEB / "node_modules"

    def install() -> None:
        installed, lock = folder / ".package-lock.json", WEB / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], check=True, cwd=WEB)

    once(tmp_path_factory, WEB / ".install.lock", install)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a place: disks take long to flush many files."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def audiate(tmp_path: Path) -> Command:
    """Run the command line as a user does, in a folder of its own."""

    def run(
        *arguments: str | Path, timeout: float = 240, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "audiate", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200", **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def audiate_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """As `audiate`, within this process, which has imported PyTorch already."""
    from audiate.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        told = capfd.readouterr()
        return subprocess.CompletedProcess(list(arguments), status, told.out, told.err)

    return run


def interrupt_second_batch(monkeypatch: pytest.MonkeyPatch, work: type[ClipWork[Any, Any]]) -> None:
    """Have Ctrl-C pressed once, when the second batch of clips is worked at."""
    compute, calls = work.compute, 0

    def stopped(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return compute(*arguments)

    monkeypatch.setattr(work, "compute", stopped)


def peak_megabytes(code: str, *arguments: str | Path) -> float:
    """Run Python code in a process of its own, and return the most memory that it held."""
    tell = "\nimport pathlib; print(pathlib.Path('/proc/self/status').read_text())"
    done = subprocess.run(
        [sys.executable, "-c", code + tell, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    # Unlike resource.getrusage, this does not count what the parent held when it forked.
    return int(done.stdout.split("VmHWM:")[1].split()[0]) / 1024


def write_tone(path: Path, *, hertz: float = 440.0, seconds: float = 0.4, rate: int = 8000) -> Path:
    """A tone that swells and fades, as a sound file."""
    time = np.arange(round(seconds * rate)) / rate
    swell = np.sin(np.pi * time / seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * swell * np.sin(2 * np.pi * hertz * time), rate)
    return path


def write_idx(path: Path, values: np.ndarray) -> None:
    """An array of bytes as a gzipped IDX file."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in values.shape
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `shared_data`, made once."""
    return make_tiny_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def shared_data(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up data sets that all tests share, so they are only to be read.

    There is a tone for each digit and speaker, 100 recordings a speaker, and images of ten bars,
    400 to train on and 100 to test on. Of Speech Commands there are some clips by four more
    speakers, of whom three are for training, and no test list.
    """
    for name, source in tiny_sources().items():
        monkeypatch.setitem(SOURCES, name, source)
    return tiny_root


@pytest.fixture
def tiny_data(shared_data: Path, tmp_path: Path) -> Path:
    """A copy of `shared_data` for a test that changes it."""
    return shutil.copytree(shared_data, tmp_path / "data")


def make_tiny_data(root: Path) -> Path:
    """Write the made-up data sets below ``root``."""
    for number, speaker in enumerate(SPEAKERS):
        for digit in range(10):
            for index in range(10):
                write_tone(
                    root / "fsdd" / "recordings" / f"{digit}_{speaker}_{index}.wav",
                    hertz=200 + 300 * digit + 10 * number + index,
                    seconds=0.1,
                )
    make_tiny_words(root)
    for prefix, count in (("train", 400), ("t10k", 100)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4 : 2 * label + 6, 4:24] = 255
        write_idx(root / "mnist" / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(root / "mnist" / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return root


def make_tiny_words(root: Path) -> Path:
    """Write the made-up Speech Commands below ``root``, and return their folder."""
    folder = root / "speech_commands"
    for number, speaker in enumerate(WORD_SPEAKERS):
        for digit, word in enumerate(DIGIT_WORDS):
            write_tone(
                folder / word / f"{speaker}_nohash_0.flac",
                hertz=200 + 300 * digit + 10 * number,
                seconds=0.1,
                rate=16_000,
            )
    (folder / "validation_list.txt").write_text(
        "".join(f"{word}/{WORD_SPEAKERS[-1]}_nohash_0.wav\n" for word in sorted(DIGIT_WORDS))
    )
    return folder


def tiny_sources() -> dict[str, Source]:
    """What counts as whole for the made-up data sets."""
    return {
        "fsdd": replace(SOURCES["fsdd"], count=400),
        # Without the published checksums; an archive's members are not checked by one either.
        "mnist": replace(SOURCES["mnist"], remotes=(), members=""),
    }


def refuses_what_is_no_latent(model: Any) -> None:
    """Check that one line says what is wrong with latents, and that float64 is as good."""
    import torch

    from audiate.errors import InputError

    z = model.sample_latent(2, generator=torch.Generator().manual_seed(0))
    size = model.latent_dim
    for wrong in (None, z.numpy(), z[0], z[:, 1:], z.unsqueeze(0)):
        with pytest.raises(InputError, match=rf"latents z, .*: give a tensor \(batch, {size}\)"):
            model(wrong)
    with pytest.raises(InputError, match="the batch is empty"):
        model(z[:0])
    broken = z.clone()
    broken[1, -1] = torch.nan
    with pytest.raises(InputError, match="latents z: 1 of 2 hold NaN"):
        model(broken)
    assert torch.equal(model(z.double()), model(z))
