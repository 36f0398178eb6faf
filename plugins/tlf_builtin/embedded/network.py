"""The residual network for small images of He et al., 2015, section 4.2."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut.

    Args:
        inputs: Number of channels that go in.
        outputs: Number of channels that come out.
        stride: Of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, outputs, H / stride, W / stride)` of `(N, inputs, H, W)`."""
        residual = self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(images)))))
        return nn.functional.relu(residual + self.shortcut(images))


class ResNet20(nn.Module):
    """ResNet-20: a convolution, three times three blocks, pooling, a linear layer.

    After https://arxiv.org/abs/1512.03385, section 4.2, with projections where a shortcut changes
    its shape (option B there) and the initialisation of https://arxiv.org/abs/1502.01852.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _blocks(16, 16, stride=1)
        self.layer2 = _blocks(16, 32, stride=2)
        self.layer3 = _blocks(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits `(N, classes)` of images `(N, 3, H, W)` of any size."""
        maps = nn.functional.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        logits: torch.Tensor = self.fc(self.pool(maps).flatten(1))
        return logits


def _blocks(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1)
    )
