"""Short-time Fourier transforms against independent ones, and the way back to sound."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import scipy
import torch
from conftest import small_specgan
from torch import Tensor

from audiate.audio.log_mel import LogMel
from audiate.audio.spectrograms import MelSpectrogram, Spectrogram
from audiate.audio.stft import ShortTimeTransform, full_precision
from audiate.inversion.objectives import LevelTerm
from audiate.metrics.reconstruction import structural_similarity


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chirp(samples: int = 4096) -> torch.Tensor:
    time = torch.arange(samples) / 16_000
    return (0.5 * torch.sin(2 * torch.pi * (300 + 4000 * time) * time)).unsqueeze(0)


class TestSpectrogram:
    def test_the_papers_size(self) -> None:
        assert Spectrogram("real")(noise(2, 16_384)).shape == (2, 128, 129)
        assert Spectrogram("log")(noise(2, 16_001)).shape == (2, 126, 129)

    def test_real_part_frame_by_frame(self) -> None:
        waveform = noise(1, 1000)
        padded = np.pad(waveform[0].numpy().astype(np.float64), (0, 200))
        window = scipy.signal.get_window("hann", 256)  # periodic
        for frame, found in enumerate(Spectrogram("real")(waveform)[0]):
            expected = np.fft.rfft(padded[128 * frame : 128 * frame + 256] * window).real
            np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)

    def test_levels_are_decibels_below_the_peak(self) -> None:
        waveform = noise(1, 16_384)
        padded = np.pad(waveform[0].numpy(), (0, 128))
        magnitudes = np.abs(
            librosa.stft(padded, n_fft=256, hop_length=128, window="hann", center=False)
        )
        expected = librosa.amplitude_to_db(magnitudes, ref=np.max, top_db=80) / 80 + 1
        np.testing.assert_allclose(Spectrogram("log")(waveform)[0].T, expected, atol=1e-4)

    def test_level_does_not_matter_and_silence_is_no_error(self) -> None:
        spectrogram = Spectrogram("log")
        quiet = spectrogram(0.001 * chirp())
        torch.testing.assert_close(spectrogram(chirp()), quiet, atol=1e-4, rtol=0)
        assert spectrogram(torch.zeros(1, 4096)).isfinite().all()

    @pytest.mark.parametrize("kind", ["log", "real"])
    def test_gradients_are_finite_even_in_silence(self, kind: str) -> None:
        waveform = chirp().requires_grad_(True)
        padded = torch.nn.functional.pad(waveform, (0, 4096))
        Spectrogram(kind)(padded).square().sum().backward()  # type: ignore[arg-type]
        assert waveform.grad is not None
        assert waveform.grad.isfinite().all()
        assert waveform.grad.abs().sum() > 0


class TestShortTimeTransform:
    @pytest.mark.parametrize(("frame", "hop"), [(256, 128), (1024, 256), (512, 256)])
    def test_there_and_back(self, frame: int, hop: int) -> None:
        waveforms = noise(2, 8192)
        transform = ShortTimeTransform(frame, hop, 8192)
        spectra = transform(waveforms)
        assert spectra.shape == (2, frame // 2 + 1, 8192 // hop)
        # The last half frame is heard in one frame alone, which is left out.
        torch.testing.assert_close(
            transform.inverse(spectra)[:, : -frame // 2],
            waveforms[:, : -frame // 2],
            atol=1e-5,
            rtol=0,
        )

    def test_it_is_librosas(self) -> None:
        waveform = noise(1, 8192)
        expected = librosa.stft(
            waveform[0].numpy(), n_fft=512, hop_length=128, window="hann", pad_mode="constant"
        )
        found = ShortTimeTransform(512, 128, 8192)(waveform)[0]
        np.testing.assert_allclose(found.numpy(), expected[:, :-1], atol=1e-5)

    def test_more_iterations_bring_magnitudes_nearer(self) -> None:
        transform = ShortTimeTransform(512, 128, 4096)
        magnitudes = transform(chirp()).abs()

        def error(iterations: int, momentum: float = 0.99) -> float:
            rebuilt = transform(transform.griffin_lim(magnitudes, iterations, momentum)).abs()
            relative: float = ((rebuilt - magnitudes).norm() / magnitudes.norm()).item()
            return relative

        assert error(64) < 0.6 * error(2)
        assert error(64) < 0.25
        # Griffin and Lim prove that without momentum the error never grows.
        plain = [error(n, momentum=0.0) for n in (1, 2, 4, 8, 16)]
        assert plain == sorted(plain, reverse=True)

    def test_as_near_as_librosa(self) -> None:
        transform = ShortTimeTransform(512, 128, 4096)
        magnitudes = transform(chirp()).abs()
        ours = transform.griffin_lim(magnitudes, 32)
        theirs = librosa.griffinlim(
            np.pad(magnitudes[0].numpy(), ((0, 0), (0, 1))),
            n_iter=32,
            hop_length=128,
            length=4096,
            random_state=0,
        )
        ours_error = (transform(ours).abs() - magnitudes).norm()
        theirs_error = (transform(torch.from_numpy(theirs)[None]).abs() - magnitudes).norm()
        assert ours_error < 1.3 * theirs_error

    def test_a_clip_does_not_depend_on_its_neighbours_or_a_seed(self) -> None:
        # In float32, phases of faint bins enlarge rounding, which differs among versions of torch.
        transform = ShortTimeTransform(512, 128, 4096).double()
        magnitudes = transform(noise(3, 4096).double()).abs()
        torch.manual_seed(1)
        together = transform.griffin_lim(magnitudes, 8)
        alone = transform.griffin_lim(magnitudes[1:2], 8)
        torch.testing.assert_close(together[1:2], alone, atol=1e-9, rtol=0)

    def test_gradients_are_finite_and_right(self) -> None:
        transform = ShortTimeTransform(32, 16, 64).double()
        magnitudes = (transform(noise(1, 64).double()).abs() + 0.1).requires_grad_(True)
        assert torch.autograd.gradcheck(lambda m: transform.griffin_lim(m, 3), magnitudes)
        silent = torch.zeros(1, 33, 8, requires_grad=True)
        ShortTimeTransform(64, 32, 256).griffin_lim((silent + 1e-20).sqrt(), 8).sum().backward()  # type: ignore[no-untyped-call]
        assert silent.grad is not None
        assert silent.grad.isfinite().all()


class TestMelSpectrogram:
    @pytest.mark.parametrize(
        ("rate", "samples"), [(16_000, 16_384), (8000, 4000), (44_100, 65_536)]
    )
    def test_sixty_four_by_sixty_four_whatever_the_clip(self, rate: int, samples: int) -> None:
        see = MelSpectrogram(rate, samples)
        waveforms = torch.rand(2, samples, generator=torch.Generator().manual_seed(0)) - 0.5
        levels = see(waveforms)
        assert levels.shape == (2, 64, 64)
        assert levels.amax((1, 2)).tolist() == [1, 1]
        assert levels.min() >= 0
        torch.testing.assert_close(see(0.1 * waveforms), levels, atol=1e-4, rtol=0)
        torch.testing.assert_close(see(waveforms[1:]), levels[1:])

    def test_as_librosa_has_it(self) -> None:
        see = MelSpectrogram(16_000, 16_384)
        waveform = torch.rand(16_384, generator=torch.Generator().manual_seed(0)) - 0.5
        power = np.abs(
            librosa.stft(waveform.numpy(), n_fft=1024, hop_length=256, pad_mode="constant")
        )
        decibels = librosa.power_to_db(see.filters.numpy() @ power[:, :64] ** 2, ref=np.max)
        np.testing.assert_allclose(see(waveform[None])[0].T, 1 + decibels / 80, atol=1e-4)

    def test_where_a_tone_is(self) -> None:
        see = MelSpectrogram(16_000, 16_384)
        time = torch.arange(16_384) / 16_000
        bands = [see(torch.sin(2 * torch.pi * f * time)[None])[0, 32].argmax() for f in (200, 2000)]
        assert bands[0] < bands[1] - 20


def test_gradients_that_leave_phases_out_change_no_value() -> None:
    transform = ShortTimeTransform(256, 64, 2048)
    magnitudes = torch.rand(2, 129, 32, generator=torch.Generator().manual_seed(0))
    found = []
    for through in (True, False):
        begin = magnitudes.clone().requires_grad_(True)
        waveforms = transform.griffin_lim(begin, 4, through_phases=through)
        waveforms.square().sum().backward()  # type: ignore[no-untyped-call]
        found.append((waveforms.detach(), begin.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[0][1] is not None
    assert found[1][1] is not None
    assert not torch.allclose(found[0][1], found[1][1])


def level_distance(waveforms: Tensor) -> Tensor:
    term = LevelTerm()
    clips = waveforms.unsqueeze(1), noise(2, 4096).unsqueeze(1)
    return term.distance(*map(term.features, clips))


@pytest.mark.parametrize(
    "function",
    [
        Spectrogram("log"),
        Spectrogram("real"),
        MelSpectrogram(16_000, 4096),
        LogMel(),
        lambda x: small_specgan().analyse(x.unsqueeze(1)),
        lambda x: small_specgan().levels(x.unsqueeze(1)),
        lambda x: small_specgan().render(x.view(2, 1, 64, 64).clamp(-1, 1)),
        lambda x: structural_similarity(x.view(2, 64, 64), noise(2, 64, 64)),
        level_distance,
    ],
    ids=[
        "log", "real", "mel", "LogMel", "analyse", "levels", "render", "SSIM", "LevelTerm",
    ],
)  # fmt: skip
def test_autocast_changes_nothing(function: Callable[[Tensor], Tensor]) -> None:
    waveforms = noise(2, 4096, seed=1)
    with torch.no_grad():
        expected = function(waveforms)
        with torch.autocast("cpu", torch.bfloat16):
            found = function(waveforms)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_full_precision_finds_the_device_of_arguments_by_name() -> None:
    @full_precision
    def product(*, one: Tensor, other: Tensor) -> Tensor:
        return one @ other

    with torch.autocast("cpu", torch.bfloat16):
        assert product(one=torch.ones(2, 2), other=torch.ones(2, 2)).dtype == torch.float32


def test_doubles_stay_doubles_and_halves_are_computed_in_float32() -> None:
    waveform = noise(1, 1000)
    double = Spectrogram("log").double()(waveform.double())
    assert double.dtype == torch.float64
    half = Spectrogram("log").bfloat16()(waveform)
    assert half.dtype == torch.float32
    torch.testing.assert_close(double.float(), Spectrogram("log")(waveform))
