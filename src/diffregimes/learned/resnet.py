"""Networks that tell classes apart: a ResNet for images, smaller ones for small images and vectors.

He, Zhang, Ren and Sun 2016: eight residual blocks x + F(x) in four stages, each stage after the
first at half the size and twice the channels of the one before. Batch norm makes what a block gives
depend on its batch in training; in eval mode every sample is on its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE, MEDIUM, SMALL = 64, 32, 16  # sides of images from which on a network is the next larger


class ClassNetwork(nn.Module):
    """Samples (m, H, W, C) or (m, d) -> logits (m, classes), whatever the scale of the data.

    `mean` (C,) or (d,) and `spread` () are taken off first: one spread for all numbers, as in the
    diffusion, for a pixel that never varies must not become as loud as the others.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, sample_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(sample_shape[-1]))
        self.register_buffer("spread", torch.ones(()))
        self.body = body(sample_shape, classes)

    def forward(self, x: Tensor) -> Tensor:
        given = ((x - self.mean) / self.spread).movedim(-1, 1)
        out: Tensor = self.body(given)
        return out


def body(sample_shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """The network for samples (H, W, C) or (d,): by the smaller side of an image."""
    if len(sample_shape) == 1:
        return nn.Sequential(*_dense(sample_shape[0], 256), *_dense(256, 256), _last(256, classes))
    side, channels = min(sample_shape[:2]), sample_shape[2]
    if side < SMALL:
        layers = [*_convolved(channels, 32), *_convolved(32, 64, 2), *_convolved(64, 64)]
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), *_dense(1024, 128), _last(128, classes)
        )
    width = 64 if side >= MEDIUM else 16
    stem = _convolved(channels, width)
    if side >= LARGE:  # as in the paper for 224 x 224: a quarter of the size from the start
        stem = [*_convolved(channels, width, 2, 7), nn.MaxPool2d(3, 2, 1)]
    blocks = []
    for stage in range(4):
        out = width * 2**stage
        blocks += [_Block(out // 2 if stage else out, out, 2 if stage else 1), _Block(out, out)]
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*stem, *blocks, *pool, _last(8 * width, classes))


class _Block(nn.Module):
    """Two convolutions beside a way around them."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        *first, self.norm = [*_convolved(channels, out, stride), *_convolved(out, out)[:-1]]
        self.inside = nn.Sequential(*first)
        self.around: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            convolution = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.around = nn.Sequential(convolution, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.inside(x)) + self.around(x))


def _convolved(channels: int, out: int, stride: int = 1, size: int = 3) -> list[Any]:
    convolution = nn.Conv2d(channels, out, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(out), nn.ReLU()]


def _dense(d: int, out: int) -> list[Any]:
    return [nn.Linear(d, out), nn.BatchNorm1d(out), nn.ReLU()]


def _last(d: int, classes: int) -> nn.Linear:
    """No class is preferred before there are data."""
    layer = nn.Linear(d, classes)
    nn.init.normal_(layer.weight, std=0.1 / math.sqrt(d))
    nn.init.zeros_(layer.bias)
    return layer
