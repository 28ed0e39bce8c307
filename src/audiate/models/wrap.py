"""Generators that are not ours: any module, a TorchScript file, or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from audiate.errors import InputError, check_range

Prior = Literal["uniform", "normal"] | Callable[[int, torch.Generator | None], Tensor]
"""``uniform`` in [-1, 1], ``normal`` with mean 0 and deviation 1, or a function of a count and a
source of randomness that gives latents (count, latent_dim)."""


_LOUDEST = (
    10.0  # a generator without a last tanh may go beyond 1, but 16-bit integers are a mistake
)


class WrappedGenerator(nn.Module):
    """Makes a `Generator` of any callable from latents to waveforms.

    Of a module, gradients flow to the latent; its own settings (training mode, device) are kept.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        *,
        latent_dim: int,
        sample_rate: int,
        prior: Prior = "uniform",
        differentiable: bool = True,
    ) -> None:
        """Wrap ``function``, and call it once to learn its sizes.

        Args:
            function: From latents (batch, latent_dim) to waveforms (batch, samples) or
                (batch, channels, samples) in [-1, 1].
            latent_dim: Numbers in a latent.
            sample_rate: Of the sound, in Hz.
            prior: Where latents come from.
            differentiable: Whether gradients flow back, as far as they do.

        Raises:
            InputError: It does not take such latents, or gives something else.

        """
        super().__init__()
        for name, value in (("latent_dim", latent_dim), ("sample_rate", sample_rate)):
            if not isinstance(value, int):
                raise InputError(f"{name} {value!r}: give a whole number")
        check_range("latent_dim", latent_dim, 1, 10**6)
        check_range("sample_rate", sample_rate, 100, 10**7)
        if prior not in ("uniform", "normal") and not callable(prior):
            raise InputError(f"prior {prior!r}: give uniform, normal or a function")
        self.function = function
        self.latent_dim = latent_dim
        self.sample_rate = sample_rate
        self.prior = prior
        self._sizes: tuple[int, int] | None = None
        self.differentiable = differentiable and self._lets_gradients_through()
        with torch.no_grad():
            waveforms = self(self.sample_latent(2))
        _, self.channels, self.num_samples = waveforms.shape
        self._sizes = (self.channels, self.num_samples)
        peak = waveforms.abs().max().item()
        if peak > _LOUDEST:
            raise InputError(
                f"the generator's samples go up to {peak:.0f}; have it give them in [-1, 1]"
            )

    @property
    def device(self) -> torch.device:
        """Where the wrapped module's parameters are; the CPU if it has none."""
        parameter = next(self.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Latents (n, latent_dim) drawn from the prior, on the CPU, then moved to the device."""
        if self.prior == "uniform":
            z = 2 * torch.rand(n, self.latent_dim, generator=generator) - 1
        elif self.prior == "normal":
            z = torch.randn(n, self.latent_dim, generator=generator)
        else:
            z = self._from_function(n, generator)
        return z.to(self.device)

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) of latents (batch, latent_dim).

        Raises:
            InputError: The wrapped function refuses them, or gives something that is no sound.

        """
        try:
            waveforms = self.function(z)
        except Exception as error:  # it is somebody else's, and may raise anything
            raise InputError(
                f"the generator refuses latents {tuple(z.shape)} ({_reason(error)}); check "
                f"latent_dim, and that it takes a batch of float32 latents and nothing else"
            ) from error
        if isinstance(waveforms, Tensor) and waveforms.dim() == 2:
            waveforms = waveforms.unsqueeze(1)
        _check_sound(waveforms, z)
        if self._sizes not in (None, tuple(waveforms.shape[1:])):
            raise InputError(
                f"the generator gave {tuple(waveforms.shape)}, but (batch, channels, samples) were "
                f"(2, {self.channels}, {self.num_samples}) before; have it give one length"
            )
        return waveforms

    def _lets_gradients_through(self) -> bool:
        z = self.sample_latent(2).requires_grad_(True)
        try:
            with torch.enable_grad():
                return bool(self(z).requires_grad)
        except InputError:  # it may do without gradients
            return False

    def _from_function(self, n: int, generator: torch.Generator | None) -> Tensor:
        assert callable(self.prior)
        try:
            z = self.prior(n, generator)
        except Exception as error:  # as in `forward`
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(
                f"the prior fails ({reason}); it takes a count and a torch.Generator or None"
            ) from error
        if not isinstance(z, Tensor) or z.shape != (n, self.latent_dim):
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise InputError(
                f"the prior gave {got}, but a tensor {(n, self.latent_dim)} was asked for"
            )
        return z.float()


def _reason(error: Exception) -> str:
    """The last line of what it says, which in a long one is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]


def _check_sound(waveforms: object, z: Tensor) -> None:
    wanted = "it is to give waveforms (batch, samples) or (batch, 1 or 2 channels, samples)"
    if not isinstance(waveforms, Tensor):
        raise InputError(
            f"the generator gave a {type(waveforms).__name__} for {tuple(z.shape)}; {wanted}"
        )
    sizes = tuple(waveforms.shape)
    if len(sizes) != 3 or sizes[0] != len(z) or sizes[1] not in (1, 2) or sizes[2] == 0:
        raise InputError(f"the generator gave {sizes} for latents {tuple(z.shape)}; {wanted}")
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
    """Make a `Generator` of a module (or a function) of yours, put in eval mode.

    >>> drum = wrap(nn.Sequential(nn.Linear(8, 400), nn.Tanh()), latent_dim=8, sample_rate=8000)
    >>> drum(drum.sample_latent(2)).shape
    torch.Size([2, 1, 400])

    Raises:
        InputError: As `WrappedGenerator`.

    """
    if isinstance(module, nn.Module):
        module.eval()
    return WrappedGenerator(module, latent_dim=latent_dim, sample_rate=sample_rate, prior=prior)


def wrap_torchscript(
    path: str | Path, *, latent_dim: int, sample_rate: int, prior: Prior = "uniform"
) -> WrappedGenerator:
    """Make a `Generator` of a TorchScript file, as `torch.jit.save` writes it.

    The file's operations run when it is called: take it from whom you would take a program.

    Raises:
        InputError: No such file, or not TorchScript; else as `WrappedGenerator`.

    """
    path = Path(path)
    _check_is_file(path)
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: is no TorchScript file; write one with torch.jit.save, or wrap the module"
        ) from error
    with _naming(path):
        return WrappedGenerator(module, latent_dim=latent_dim, sample_rate=sample_rate, prior=prior)


def wrap_onnx(
    path: str | Path, *, latent_dim: int, sample_rate: int, prior: Prior = "uniform"
) -> WrappedGenerator:
    """Make a `Generator` of an ONNX file with one input and one output; it only runs forward.

    Raises:
        InputError: No such file, not ONNX, onnxruntime is not installed, or as `WrappedGenerator`.

    """
    path = Path(path)
    _check_is_file(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path}: ONNX files need onnxruntime; pip install onnxruntime") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's error classes share no base but Exception
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: cannot be read as ONNX ({reason})") from error
    function = _Session(session, path)
    with _naming(path):
        return WrappedGenerator(
            function,
            latent_dim=latent_dim,
            sample_rate=sample_rate,
            prior=prior,
            differentiable=False,
        )


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        what = "is a folder; name the file in it" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is said of its generator."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


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
        self._batch = batch if isinstance(batch, int) else None  # else of any size
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
        return torch.from_numpy(waveforms).float()
