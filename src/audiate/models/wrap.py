"""Generators that are not ours: any module or function, a TorchScript file, or an ONNX file."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from audiate.audio.config import check_sample_rate
from audiate.errors import InputError, check_range
from audiate.models.generator import check_latents

Prior = Literal["uniform", "normal"] | Callable[[int, torch.Generator | None], Tensor]
"""Distribution of latents. ``uniform``: every entry is uniform in [-1, 1]. ``normal``: every entry
has mean 0 and deviation 1. A function takes a count and a source of randomness (or None), and
returns latents (count, latent_dim)."""

# A generator without a last tanh may go beyond 1; one of 16-bit integers is a mistake.
_MAX_PEAK = 10.0

# TorchScript modules keep the name of the class that they were made of, not the class.
_MODE_DEPENDENT = re.compile(r"\w*Dropout\d?d?|\w*BatchNorm(\dd)?")


class WrappedGenerator(nn.Module):
    """A `Generator` made of any callable from latents to waveforms.

    A module is used as it is: its mode, its device and its precision stay what they are. Latents
    are drawn in float32, and moved and cast to what the module's parameters are; waveforms are
    float32.
    """

    def __repr__(self) -> str:
        """Describe input and output in one line."""
        sound = f"{self.num_samples:,} samples at {self.sample_rate:,} Hz"
        return f"WrappedGenerator: latent {self.latent_dim} → {sound}"

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        *,
        latent_dim: int,
        sample_rate: int,
        prior: Prior = "uniform",
        differentiable: bool = True,
    ) -> None:
        """Wrap ``function``, and call it to learn its sizes and whether gradients reach z.

        Args:
            function: Maps latents (batch, latent_dim) to waveforms (batch, samples) or
                (batch, channels, samples) in [-1, 1].
            latent_dim: Number of entries of a latent.
            sample_rate: Sample rate of the sound, in Hz.
            prior: Distribution that latents are drawn from.
            differentiable: False keeps gradients from being tried. True: they are used if the
                gradient of the waveforms with respect to z is there and not 0.

        Raises:
            InputError: ``function`` does not take such latents, gives something else, or is a
                module in training mode whose outputs depend on that mode.

        """
        super().__init__()
        for name, value in (("latent_dim", latent_dim), ("sample_rate", sample_rate)):
            if not isinstance(value, int):
                raise InputError(f"{name} {value!r}: give a whole number")
        check_range("latent_dim", latent_dim, 1, 10**6)
        check_sample_rate(sample_rate)
        if prior not in ("uniform", "normal") and not callable(prior):
            raise InputError(f"prior {prior!r}: give uniform, normal or a function")
        if isinstance(function, nn.Module):
            _check_mode(function)
        self.function = function
        self.latent_dim = latent_dim
        self.sample_rate = sample_rate
        self.prior = prior
        self._sizes: tuple[int, int] | None = None
        probe = self.sample_latent(2, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            waveforms = self(probe)
        _, self.channels, self.num_samples = waveforms.shape
        self._sizes = (self.channels, self.num_samples)
        peak = waveforms.abs().max().item()
        if peak > _MAX_PEAK:
            raise InputError(
                f"the generator's samples go up to {peak:.0f}; have it give them in [-1, 1]"
            )
        self.differentiable = differentiable and self._has_gradient(probe)

    @property
    def device(self) -> torch.device:
        """The device of the module's parameters, or else of its buffers, or else the CPU."""
        tensor = next(self._tensors(), None)
        return torch.device("cpu") if tensor is None else tensor.device

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents (n, latent_dim), float32, on the CPU, and move them to the device."""
        if self.prior == "uniform":
            z = 2 * torch.rand(n, self.latent_dim, generator=generator) - 1
        elif self.prior == "normal":
            z = torch.randn(n, self.latent_dim, generator=generator)
        else:
            z = self._from_function(n, generator)
        return z.to(self.device)

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples), float32, of latents (batch, latent_dim).

        Raises:
            InputError: z holds no latents, as `check_latents` says; the wrapped function refuses
                them, or gives something that is no sound.

        """
        check_latents(z, self.latent_dim)
        floating = (each.dtype for each in self._tensors() if each.is_floating_point())
        try:
            waveforms = self.function(z.to(next(floating, torch.float32)))
        except Exception as error:  # it is somebody else's, and may raise anything
            raise InputError(
                f"the generator refuses latents {tuple(z.shape)} ({_reason(error)}); check "
                f"latent_dim, and that it takes a batch of latents and nothing else"
            ) from error
        if isinstance(waveforms, Tensor) and waveforms.dim() == 2:
            waveforms = waveforms.unsqueeze(1)
        _check_sound(waveforms, z)
        if self._sizes not in (None, tuple(waveforms.shape[1:])):
            raise InputError(
                f"the generator gave {tuple(waveforms.shape)}, but (batch, channels, samples) were "
                f"(2, {self.channels}, {self.num_samples}) before; have it give one length"
            )
        return waveforms.float()

    def _tensors(self) -> Iterator[Tensor]:
        return chain(self.parameters(), self.buffers())

    @torch.inference_mode(mode=False)
    @torch.enable_grad()
    def _has_gradient(self, probe: Tensor) -> bool:
        """Whether a gradient of the waveforms with respect to z exists and is not 0 everywhere."""
        z = probe.clone().requires_grad_(True)
        try:
            waveforms = self(z)
            # Weights by chance: the plain sum of samples may be a constant.
            weights = torch.rand(waveforms.shape, generator=torch.Generator().manual_seed(0))
            (gradient,) = torch.autograd.grad(
                waveforms, z, weights.to(waveforms), allow_unused=True
            )
        except (InputError, RuntimeError):  # it may run without gradients alone
            return False
        return gradient is not None and bool(gradient.any())

    def _from_function(self, n: int, generator: torch.Generator | None) -> Tensor:
        assert callable(self.prior)
        try:
            z = self.prior(n, generator)
        except Exception as error:  # as in `forward`
            raise InputError(
                f"the prior fails ({_reason(error)}); it takes a count and a torch.Generator or "
                f"None"
            ) from error
        if not isinstance(z, Tensor) or z.shape != (n, self.latent_dim):
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise InputError(
                f"the prior gave {got}, but a tensor {(n, self.latent_dim)} was asked for"
            )
        return z.float()


def _check_mode(module: nn.Module) -> None:
    """Refuse a module whose outputs depend on chance or on the batch because it is in training."""
    for part in module.modules():
        name = getattr(part, "original_name", type(part).__name__)
        depends = isinstance(part, (_DropoutNd, _BatchNorm)) or _MODE_DEPENDENT.fullmatch(name)
        if depends and part.training:
            raise InputError(
                f"the module is in training mode and holds {name}, so that the sound of a latent "
                f"changes from call to call; call `.eval()` on it first"
            )


def _reason(error: BaseException) -> str:
    """An error's class and the last line of its message, which in a long one is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]


def _check_sound(waveforms: object, z: Tensor) -> None:
    expected = "it is to give waveforms (batch, samples) or (batch, 1 or 2 channels, samples)"
    if not isinstance(waveforms, Tensor):
        raise InputError(
            f"the generator gave a {type(waveforms).__name__} for {tuple(z.shape)}; {expected}"
        )
    sizes = tuple(waveforms.shape)
    if len(sizes) != 3 or sizes[0] != len(z) or sizes[1] not in (1, 2) or sizes[2] == 0:
        raise InputError(f"the generator gave {sizes} for latents {tuple(z.shape)}; {expected}")
    if not waveforms.is_floating_point():
        raise InputError(f"the generator gave {waveforms.dtype}; have it give floats in [-1, 1]")
    if not waveforms.isfinite().all():
        raise InputError("the generator gave NaN or infinite samples; check its weights")


def wrap(
    module: nn.Module | Callable[[Tensor], Tensor],
    *,
    latent_dim: int,
    sample_rate: int,
    prior: Prior = "uniform",
) -> WrappedGenerator:
    """Make a `Generator` of a module (or a function) of yours, which stays as it is.

    A module with dropout or batch norm has to be in eval mode, as it is to give one sound for one
    latent.

    >>> drum = wrap(nn.Sequential(nn.Linear(8, 400), nn.Tanh()), latent_dim=8, sample_rate=8000)
    >>> drum(drum.sample_latent(2)).shape
    torch.Size([2, 1, 400])

    Args:
        module: Maps latents (batch, latent_dim) to waveforms (batch, samples) or
            (batch, channels, samples) in [-1, 1].
        latent_dim: Number of entries of a latent.
        sample_rate: Sample rate of the sound, in Hz.
        prior: Distribution that latents are drawn from.

    Raises:
        InputError: As for `WrappedGenerator`.

    """
    return WrappedGenerator(module, latent_dim=latent_dim, sample_rate=sample_rate, prior=prior)


def wrap_torchscript(
    path: str | Path, *, latent_dim: int, sample_rate: int, prior: Prior = "uniform"
) -> WrappedGenerator:
    """Make a `Generator` of a TorchScript file, as `torch.jit.save` writes it, in eval mode.

    The file's operations run when it is called: take it from whom you would take a program.
    Arguments other than ``path`` are those of `wrap`.

    Raises:
        InputError: There is no such file, or it is not TorchScript; else as for
            `WrappedGenerator`.

    """
    path = Path(path)
    _check_is_file(path)
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: is no TorchScript file; write one with torch.jit.save, or wrap the module"
        ) from error
    with naming(path):
        return WrappedGenerator(module, latent_dim=latent_dim, sample_rate=sample_rate, prior=prior)


def open_onnx(path: Path) -> Any:
    """Open an ONNX file by onnxruntime, on the CPU.

    Raises:
        InputError: It is not ONNX, or onnxruntime is not installed.

    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path}: ONNX files need onnxruntime; pip install onnxruntime") from error
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's error classes share no base but Exception
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as ONNX ({reason})") from error


def wrap_onnx(
    path: str | Path, *, latent_dim: int, sample_rate: int, prior: Prior = "uniform"
) -> WrappedGenerator:
    """Make a `Generator` of an ONNX file with one input and one output; it only runs forward.

    Arguments other than ``path`` are those of `wrap`.

    Raises:
        InputError: There is no such file, it is not ONNX, or onnxruntime is not installed; else as
            for `WrappedGenerator`.

    """
    path = Path(path)
    _check_is_file(path)
    function = _Session(open_onnx(path), path)
    with naming(path):
        return WrappedGenerator(
            function,
            latent_dim=latent_dim,
            sample_rate=sample_rate,
            prior=prior,
            differentiable=False,
        )


def _check_is_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the file in it")
    raise InputError(f"{path}: {'is a pipe or a device' if path.exists() else 'no such file'}")


@contextmanager
def naming(source: str | Path) -> Iterator[None]:
    """Put the name of a file or function before messages about the generator in it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


class _Session:
    """An ONNX session as a function of tensors."""

    def __init__(self, session: Any, path: Path) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(
                f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; a generator has one "
                f"of each, latents and waveforms"
            )
        self._session, self._name = session, inputs[0].name
        batch = inputs[0].shape[0] if inputs[0].shape else None
        self._batch = batch if isinstance(batch, int) else None  # None: batches of any size
        self._double = inputs[0].type == "tensor(double)"

    def __call__(self, z: Tensor) -> Tensor:
        given = z.detach().cpu().to(torch.float64 if self._double else torch.float32)
        if self._batch is None:
            return self._run(given).to(z.device)
        missing = -len(z) % self._batch
        padded = torch.cat([given, given[:1].expand(missing, -1)])
        parts = [self._run(part) for part in torch.split(padded, self._batch)]
        return torch.cat(parts)[: len(z)].to(z.device)

    def _run(self, z: Tensor) -> Tensor:
        (waveforms,) = self._session.run(None, {self._name: z.numpy()})
        return torch.from_numpy(waveforms)
