"""Short-time Fourier transforms, by FFT or by products with matrices.

All of it is computed in float32 (or float64, after ``.double()``), also within a block of autocast:
in bfloat16 levels would be off by a hundredth and waveforms by more than a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")


class Parts(NamedTuple):
    """Real and imaginary parts of spectra, of one shape."""

    real: Tensor
    imaginary: Tensor

    def power(self) -> Tensor:
        """The squared magnitude."""
        return self.real.square() + self.imaginary.square()


class FourierModule(nn.Module):
    """The base of modules that compute short-time Fourier transforms, under a Hann window.

    Attributes:
        window: The periodic Hann window (window_length,).
        hop_length: Number of samples between the beginnings of frames.
        n_fft: Length of the transform, in samples; that of the window by default.
        by_products: Whether transforms are products with matrices of sines and cosines, so that no
            tensor is complex, as a network needs it to be exported.

    """

    window: Tensor
    by_products: bool = False

    def __init__(self, window_length: int, hop_length: int, n_fft: int | None = None) -> None:
        super().__init__()
        self.hop_length, self.n_fft = hop_length, n_fft or window_length
        self.register_buffer("window", hann_window(window_length), persistent=False)

    def parts(
        self, waveforms: Tensor, *, centred: bool = True, kernels: Tensor | None = None
    ) -> Parts:
        """Real and imaginary parts of spectra of waveforms (batch, samples).

        Arguments are those of `spectrum_parts`.
        """
        return spectrum_parts(
            waveforms,
            self.window,
            self.hop_length,
            n_fft=self.n_fft,
            centred=centred,
            by_products=self.by_products,
            kernels=kernels,
        )


@contextmanager
def matrix_products(network: nn.Module) -> Iterator[None]:
    """Let all parts of a network compute their Fourier transforms as products with matrices."""
    parts = [part for part in network.modules() if isinstance(part, FourierModule)]
    try:
        for part in parts:
            part.by_products = True
        yield
    finally:
        for part in parts:
            part.by_products = False


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of tensors compute without autocast, in the precision of its arguments."""

    @wraps(function)
    def without_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        device = next(each.device for each in given if isinstance(each, Tensor))
        if not torch.is_autocast_enabled(device.type):  # an exported graph needs no such block
            return function(*args, **kwargs)
        with torch.autocast(device.type, enabled=False):
            return function(*args, **kwargs)

    return without_autocast


def hann_window(length: int) -> Tensor:
    """A periodic Hann window (length,), on the CPU.

    It is made there even where a network is only sketched, on the device ``meta``, because PyTorch
    imports its compiler for such arithmetic there, which takes seconds.
    """
    return torch.hann_window(length, device="cpu")


@full_precision
def spectrum_parts(
    waveforms: Tensor,
    window: Tensor,
    hop_length: int,
    *,
    n_fft: int | None = None,
    centred: bool = True,
    by_products: bool = False,
    kernels: Tensor | None = None,
) -> Parts:
    """The short-time Fourier transform of waveforms.

    Args:
        waveforms: (batch, samples).
        window: (window_length,), which is put in the middle of ``n_fft`` samples.
        hop_length: Number of samples between the beginnings of frames.
        n_fft: Length of the transform, in samples; that of the window by default.
        centred: True: frame t is centred at sample ``t * hop_length``, with zeros around the clip.
            False: frame t begins there, and only whole frames count.
        by_products: As in `FourierModule`.
        kernels: What `_kernels` gives for the window, where it is at hand.

    Returns:
        Spectra (batch, n_fft / 2 + 1, frames), in the window's precision, but at least in that of
        float32.

    """
    length = n_fft or len(window)
    if not by_products:
        precision = torch.promote_types(window.dtype, torch.float32)
        if window.is_inference():  # made in inference mode, and now perhaps used with gradients
            window = window.clone()
        spectrum = torch.stft(
            waveforms.to(precision),
            length,
            hop_length,
            len(window),
            window.to(precision),
            center=centred,
            pad_mode="constant",
            return_complex=True,
        )
        return Parts(spectrum.real, spectrum.imag)
    kernels = _kernels(window, length) if kernels is None else kernels
    edge = length // 2 if centred else 0
    padded = F.pad(waveforms, (edge, edge)).unsqueeze(1)
    return Parts(*F.conv1d(padded, kernels, stride=hop_length).chunk(2, 1))


def _kernels(window: Tensor, length: int) -> Tensor:
    """Waves (2 (length // 2 + 1), 1, length) under a window, with which products are spectra."""
    before = (length - len(window)) // 2
    window = F.pad(window, (before, length - len(window) - before))
    return (_waves(length) * window).unsqueeze(1)


def _waves(length: int) -> Tensor:
    """Cosines and negative sines (2 (length // 2 + 1), length) of a Fourier transform.

    They are made anew each time, so that an exported graph makes them, and no file holds them.
    """
    bins, samples = torch.arange(length // 2 + 1).unsqueeze(1), torch.arange(length)
    angles = (bins * samples % length).float() * (2 * torch.pi / length)
    return torch.cat([angles.cos(), -angles.sin()])


def transform(frames: Tensor, *, by_products: bool = False) -> Parts:
    """The Fourier transform (..., n // 2 + 1) of frames (..., n) of even length."""
    if by_products:
        waves = _waves(frames.shape[-1]).to(frames.dtype)
        return Parts(*(frames @ waves.T).chunk(2, -1))
    spectrum = torch.fft.rfft(frames)
    return Parts(spectrum.real, spectrum.imag)


def inverse_transform(spectrum: Parts, *, by_products: bool = False) -> Tensor:
    """Frames (..., n) of their Fourier transform (..., n // 2 + 1)."""
    if by_products:
        n = 2 * (spectrum.real.shape[-1] - 1)
        weights = F.pad(torch.full((n // 2 - 1, 1), 2 / n), (0, 0, 1, 1), value=1 / n)
        waves = _waves(n) * weights.repeat(2, 1)
        frames: Tensor = torch.cat(spectrum, -1) @ waves.to(spectrum.real.dtype)
        return frames
    whole: Tensor = torch.fft.irfft(torch.complex(*spectrum))
    return whole


class ShortTimeTransform(FourierModule):
    """The short-time Fourier transform of whole clips, and its inverse.

    Frames have ``n_fft`` samples, are ``hop_length`` apart and centred (the clip is surrounded by
    zeros), and lie under a periodic Hann window. Waveforms (batch, samples) become complex spectra
    (batch, n_fft / 2 + 1, samples / hop_length). Of one frame more that there is, the last is left
    out, or the first where ``first`` is 1: where frames are two hops long, frame t then begins at
    sample ``t * hop_length``, as in TensorFlow.
    """

    phases: Tensor

    def __init__(self, n_fft: int, hop_length: int, num_samples: int, first: int = 0) -> None:
        super().__init__(n_fft, hop_length)
        self.num_samples, self.frames = num_samples, num_samples // hop_length
        self._kept, self._left_out = slice(first, first + self.frames), (first, 1 - first)
        bins = torch.arange(n_fft // 2 + 1, device="cpu")
        frames = torch.arange(self.frames, device="cpu")
        # From frame to frame, a tone in the middle of its bin turns by this much.
        turns = bins.unsqueeze(1) * hop_length * frames % n_fft / n_fft
        source = torch.Generator().manual_seed(0)
        turns += torch.rand(len(bins), 1, generator=source, device="cpu")
        phases = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
        # Real and imaginary parts: a module that is brought to a real type loses complex numbers.
        both = torch.stack([phases.real, phases.imag])
        self.register_buffer("phases", both, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectra (batch, bins, frames) of waveforms (batch, num_samples)."""
        return torch.complex(*self.parts(waveforms))[..., self._kept]

    def power(self, waveforms: Tensor) -> Tensor:
        """Squared magnitudes (batch, bins, frames) of the spectra of waveforms."""
        return self.parts(waveforms).power()[..., self._kept]

    @full_precision
    def inverse(self, spectra: Tensor) -> Tensor:
        """The waveforms (batch, num_samples) whose spectra are nearest in least squares."""
        return torch.istft(
            F.pad(spectra, self._left_out),
            self.n_fft,
            self.hop_length,
            window=self.window,
            length=self.num_samples,
        )

    @full_precision
    def griffin_lim(
        self,
        magnitudes: Tensor,
        iterations: int,
        momentum: float = 0.99,
        *,
        through_phases: bool = True,
    ) -> Tensor:
        """Waveforms (batch, num_samples) whose spectra have nearly these magnitudes.

        Griffin and Lim 1984; with momentum, Perraudin et al. 2013. It begins with the same phases
        for every clip, a tone in the middle of each bin, so a clip does not depend on others, nor
        on a seed. Differentiable. More iterations bring magnitudes nearer, and make the waveform
        depend on them less smoothly.

        Args:
            magnitudes: (batch, bins, frames), at least 0.
            iterations: Number of times that the phases are brought nearer to those of a sound.
            momentum: Weight of the step before; 0 for the original algorithm.
            through_phases: Whether gradients take into account that phases depend on magnitudes.
                Without, they take less time and memory, and are right for distances that do not
                depend on phases.

        """
        joined = self._joining()
        with nullcontext() if through_phases else torch.no_grad():
            phases = self._phases(joined, magnitudes, iterations, momentum)
        return joined(Parts(*(magnitudes * part for part in phases)))

    def _phases(
        self,
        joined: Callable[[Parts], Tensor],
        magnitudes: Tensor,
        iterations: int,
        momentum: float,
    ) -> Parts:
        """Phases (batch, bins, frames) as points on the unit circle."""
        phases = Parts(*self.phases)
        before = [torch.zeros_like(magnitudes)] * 2
        kernels = _kernels(self.window, self.n_fft) if self.by_products else None
        for _ in range(iterations):
            waveforms = joined(Parts(*(magnitudes * part for part in phases)))
            parts = self.parts(waveforms, kernels=kernels)
            rebuilt = [part[..., self._kept] for part in parts]
            real, imaginary = (
                new - old * (momentum / (1 + momentum))
                for new, old in zip(rebuilt, before, strict=True)
            )
            before = rebuilt
            # Not sgn: its derivative at 0 is infinite, and silence is common.
            size = (real.square() + imaginary.square() + 1e-16).sqrt()
            phases = Parts(real / size, imaginary / size)
        return phases

    def _joining(self) -> Callable[[Parts], Tensor]:
        """A function that makes waveforms (batch, num_samples) of parts: `inverse`, in either form.

        What it needs is made once, so that an exported graph is traced in less time.
        """
        if not self.by_products:
            return lambda parts: self.inverse(torch.complex(*parts))
        weights = torch.full((self.n_fft // 2 - 1, 1), 2 / self.n_fft)  # each stands for two bins
        weights = F.pad(weights, (0, 0, 1, 1), value=1 / self.n_fft)
        kernels = (_waves(self.n_fft) * weights.repeat(2, 1) * self.window).unsqueeze(1)
        squares = self.window.square().view(1, 1, -1)
        ones = torch.ones(1, 1, self.frames + 1)
        begin = self.n_fft // 2
        inside = slice(begin, begin + self.num_samples)
        shares = F.conv_transpose1d(ones, squares, stride=self.hop_length)[..., inside]

        def joined(parts: Parts) -> Tensor:
            padded = F.pad(torch.cat(parts, 1), self._left_out)
            summed = F.conv_transpose1d(padded, kernels, stride=self.hop_length)
            return (summed[..., inside] / shares).squeeze(1)

        return joined
