"""Strided convolutions of kernel 25, computed by polyphase decomposition in bfloat16.

Where the output is ``stride`` times as long as the input, every ``stride``-th sample depends only
on every ``stride``-th weight; likewise the other way round. So a strided convolution is an ordinary
one with ``stride`` times as many channels and that much shorter kernels. In bfloat16 that is faster
than PyTorch's strided convolutions on a CPU; in float32 PyTorch's own are used. Results are those
of TensorFlow with "same" padding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_KERNEL = 25


class UpConv1d(nn.ConvTranspose1d):
    """A transposed convolution, whose output is ``stride`` times as long as its input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (batch, inputs, n) to (batch, outputs, n * stride)."""
        assert output_size is None
        stride = self.stride[0]
        if not torch.is_autocast_enabled(input.device.type):
            left = (_KERNEL - stride) // 2
            grown = F.conv_transpose1d(input, self.weight, self.bias, stride, left)
            return grown[..., : input.shape[2] * stride]
        weight = _polyphase(self.weight, stride).flip(2)  # taps run the other way
        taps = weight.shape[2]
        weight = weight.permute(3, 1, 0, 2).reshape(-1, self.in_channels, taps)
        phases = F.conv1d(input, weight, padding=taps // 2)
        phases = phases.view(len(input), stride, self.out_channels, -1).permute(0, 2, 3, 1)
        assert self.bias is not None
        return phases.flatten(2) + self.bias[:, None]


class DownConv1d(nn.Conv1d):
    """A convolution, whose input is ``stride`` times as long as its output."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)

    def forward(self, input: Tensor) -> Tensor:
        """Map (batch, inputs, n) to (batch, outputs, n / stride)."""
        stride = self.stride[0]
        if not torch.is_autocast_enabled(input.device.type):
            left = (_KERNEL - stride) // 2
            padded = F.pad(input, (left, _KERNEL - stride - left))
            return F.conv1d(padded, self.weight, self.bias, stride)
        weight = _polyphase(self.weight, stride).transpose(2, 3)  # (outputs, inputs, stride, taps)
        taps = weight.shape[3]
        phases = input.reshape(*input.shape[:2], -1, stride).transpose(2, 3)
        return F.conv1d(phases.flatten(1, 2), weight.flatten(1, 2), self.bias, padding=taps // 2)


def _polyphase(weight: Tensor, stride: int) -> Tensor:
    """Pad kernels (..., 25) with zeros and reshape them to (..., taps, stride), with odd taps.

    TensorFlow's "same" padding is (25 - stride) // 2 on the left, so that tap 0 of phase 0 lies
    a multiple of ``stride`` before the centre.
    """
    left_padding = (_KERNEL - stride) // 2
    before = -left_padding % stride
    half = (left_padding + before) // stride
    after = (2 * half + 1) * stride - _KERNEL - before
    return F.pad(weight, (before, after)).view(*weight.shape[:-1], -1, stride)
