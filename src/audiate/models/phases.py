"""Strided convolutions of kernel 25, computed phase by phase as ordinary convolutions.

In bf16 that is faster than PyTorch's strided ones, and by matrix products without gradients it
always is; in float32, with gradients, PyTorch's own are taken.

Of an output that is ``stride`` times as long as the input, every ``stride``-th sample depends on
every ``stride``-th weight alone; likewise the other way round. Numbers are those of TensorFlow
with "same" padding.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

_KERNEL = 25
_CHUNK_BYTES = 2**23  # of columns at a time: they stay in the processor's cache
_NARROW = 64  # outputs of all phases; with fewer, adding up products moves less memory


_updates = 0  # by any optimiser: fused ones change weights without their count of changes


def _count_update(*_: object) -> None:
    global _updates
    _updates += 1


register_optimizer_step_post_hook(_count_update)


class UpConv1d(nn.ConvTranspose1d):
    """A transposed convolution: (batch, channels, n) gets ``stride`` times as long."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)
        self._plan: _Plan | None = None

    def train(self, mode: bool = True) -> Self:
        """As of any module; also forgets the rearranged weights."""
        self._plan = None
        return super().train(mode)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(batch, inputs, n) to (batch, outputs, n * stride)."""
        assert output_size is None
        stride = self.stride[0]
        if not torch.is_autocast_enabled(input.device.type):
            left = (_KERNEL - stride) // 2
            grown = F.conv_transpose1d(input, self.weight, self.bias, stride, left)
            return grown[..., : input.shape[2] * stride]
        weight = _by_phase(self.weight, stride).flip(2)  # taps run the other way
        taps = weight.shape[2]
        weight = weight.permute(3, 1, 0, 2).reshape(-1, self.in_channels, taps)
        phases = F.conv1d(input, weight, padding=taps // 2)
        phases = phases.view(len(input), stride, self.out_channels, -1).permute(0, 2, 3, 1)
        assert self.bias is not None
        return phases.flatten(2) + self.bias[:, None]

    def generate(self, input: Tensor) -> Tensor:
        """The same with channels last, (batch, n, inputs) to (batch, n * stride, outputs).

        By matrix products, for the CPU, without gradients; half as long as `forward` takes, or
        less. The rearranged weights are kept until the weights change; who changes them behind
        PyTorch's back, through ``.data``, calls `train` or `eval` afterwards.
        """
        dtype = input.dtype
        if torch.is_autocast_enabled(input.device.type):
            dtype = torch.get_autocast_dtype(input.device.type)
        plan = self._planned(dtype)
        input = input.to(dtype)
        narrow = self.stride[0] * self.out_channels < _NARROW
        return self._scattered(input, plan) if narrow else self._gathered(input, plan)

    def _gathered(self, input: Tensor, plan: _Plan) -> Tensor:
        """Bring together what each output depends on, then multiply."""
        batch, length, inputs = input.shape
        outputs = self.out_channels
        padded = F.pad(input, (0, 0, plan.taps // 2, plan.taps // 2))
        columns = padded.as_strided(
            (batch, length, plan.taps * inputs), (padded.stride(0), inputs, 1)
        )
        phases = input.new_empty(batch, length, self.stride[0] * outputs)
        clips = max(_CHUNK_BYTES // (columns[0].numel() * input.itemsize), 1)
        for begin in range(0, batch, clips):
            chunk = columns[begin : begin + clips].reshape(-1, plan.taps * inputs)
            target = phases[begin : begin + clips].view(-1, phases.shape[2])
            for phase, (first, last, weight) in enumerate(plan.phases):
                torch.addmm(
                    plan.bias,
                    chunk[:, first * inputs : last * inputs],
                    weight,
                    out=target[:, phase * outputs : (phase + 1) * outputs],
                )
        return phases.view(batch, -1, outputs)

    def _scattered(self, input: Tensor, plan: _Plan) -> Tensor:
        """Multiply, then add up what falls on each output."""
        batch, length, inputs = input.shape
        weight = input.new_zeros(inputs, plan.taps, self.stride[0], self.out_channels)
        for phase, (first, last, part) in enumerate(plan.phases):
            weight[:, first:last, phase] = part.view(last - first, inputs, -1).transpose(0, 1)
        products = (input.reshape(-1, inputs) @ weight.view(inputs, -1)).view(
            batch, length, plan.taps, -1
        )
        padded = F.pad(products, (0, 0, 0, 0, plan.taps // 2, plan.taps // 2))
        total = padded[:, :length, 0]
        for tap in range(1, plan.taps):
            total = total + padded[:, tap : tap + length, tap]
        return total.reshape(batch, -1, self.out_channels) + plan.bias

    def _planned(self, dtype: torch.dtype) -> _Plan:
        assert self.bias is not None
        version = (_version(self.weight), _version(self.bias), _updates, dtype)
        if self._plan is None or self._plan.version != version:
            stride = self.stride[0]
            weight = _by_phase(self.weight.detach(), stride).flip(2)
            used = _by_phase(torch.ones(_KERNEL), stride).flip(0) > 0
            phases = []
            for phase in range(stride):
                taps = used[:, phase].nonzero()
                first, last = int(taps[0]), int(taps[-1]) + 1
                part = weight[:, :, first:last, phase].permute(2, 0, 1).flatten(0, 1)
                phases.append((first, last, part.to(dtype).contiguous()))
            bias = self.bias.detach().to(dtype)
            self._plan = _Plan(version, weight.shape[2], phases, bias)
        return self._plan


class _Plan(NamedTuple):
    """Weights as matrices: for each phase the taps it uses, [first, last), and (taps * in, out)."""

    version: tuple[tuple[int, int], tuple[int, int], int, torch.dtype]
    taps: int
    phases: list[tuple[int, int, Tensor]]
    bias: Tensor


class DownConv1d(nn.Conv1d):
    """A convolution: (batch, channels, n) gets ``stride`` times as short."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)

    def forward(self, input: Tensor) -> Tensor:
        """(batch, inputs, n) to (batch, outputs, n / stride)."""
        stride = self.stride[0]
        if not torch.is_autocast_enabled(input.device.type):
            left = (_KERNEL - stride) // 2
            padded = F.pad(input, (left, _KERNEL - stride - left))
            return F.conv1d(padded, self.weight, self.bias, stride)
        weight = _by_phase(self.weight, stride).transpose(2, 3)  # (outputs, inputs, stride, taps)
        taps = weight.shape[3]
        phases = input.reshape(*input.shape[:2], -1, stride).transpose(2, 3)
        return F.conv1d(phases.flatten(1, 2), weight.flatten(1, 2), self.bias, padding=taps // 2)


def _version(tensor: Tensor) -> tuple[int, int]:
    """What changes when the tensor does; those of inference mode keep no count of changes."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


def _by_phase(weight: Tensor, stride: int) -> Tensor:
    """Kernels (..., 25), filled up with zeros, as (..., taps, stride), an odd number of taps.

    TensorFlow's "same" padding is (25 - stride) // 2 on the left, so that tap 0 of phase 0 lies
    a multiple of ``stride`` before the centre.
    """
    left_padding = (_KERNEL - stride) // 2
    before = -left_padding % stride
    half = (left_padding + before) // stride
    after = (2 * half + 1) * stride - _KERNEL - before
    return F.pad(weight, (before, after)).view(*weight.shape[:-1], -1, stride)
