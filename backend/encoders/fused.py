"""Convolutions that add and rectify as they write: on a CPU, most of an encoder's time goes to memory otherwise."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .backbones import LinearBottleneck, ResNet50

if TYPE_CHECKING:
    from torchvision.models.resnet import Bottleneck


class FusedConv(nn.Module):
    """A convolution followed by a ReLU, or by nothing.

    Args:
        conv: The convolution, with a bias.
        relu: Whether the ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.attribute = "relu" if relu else "none"
        self.shape = list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.shape, self.attribute, [], ""
        )
        return result

    def add_to(self, other: Tensor, x: Tensor) -> Tensor:
        """``relu(other + conv(x))``, written over ``other``."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_(
            other, x, self.weight, self.bias, *self.shape, "add", 1.0, "relu", [], ""
        )
        return result


class FusedBottleneck(nn.Module):
    """A bottleneck block whose batch normalisations are folded into its convolutions.

    Without a downsampling branch it writes over its input, which is the output of the block before and wanted by
    nobody else: each level begins with a block that has one.
    """

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1, self.conv2 = FusedConv(block.conv1, True), FusedConv(block.conv2, True)
        self.conv3 = FusedConv(block.conv3, False)
        self.branch = None if block.downsample is None else FusedConv(block.downsample[0], False)

    def forward(self, x: Tensor) -> Tensor:
        """As torchvision's."""
        kept = x if self.branch is None else self.branch(x)
        return self.conv3.add_to(kept, self.conv2(self.conv1(x)))


def fuse(encoder: nn.Module) -> nn.Module:
    """A copy of a ResNet encoder with folded batch normalisations that computes the same in less time on a CPU.

    Any other encoder comes back as it is; so does one on a machine, or with a torch, that lacks these operations.
    """
    if not isinstance(getattr(encoder, "backbone", None), ResNet50):
        return encoder
    fused = copy.deepcopy(encoder)
    backbone: Any = fused.backbone
    backbone.conv1, backbone.relu = FusedConv(backbone.conv1, True), nn.Identity()
    for level in range(1, max(backbone.layers) + 1):
        blocks = getattr(backbone, f"layer{level}")
        for index, block in enumerate(blocks):
            if not isinstance(block, LinearBottleneck):
                blocks[index] = FusedBottleneck(block)
    return fused if _agree(encoder, fused) else encoder


@torch.inference_mode()
def _agree(encoder: nn.Module, fused: nn.Module) -> bool:
    """Try it: the operations are torch's own, and may not be there or mean something else in another version."""
    image = torch.linspace(0.0, 255.0, 3 * 64 * 64).reshape(1, 3, 64, 64)
    image = image.contiguous(memory_format=torch.channels_last)
    try:
        expected, found = encoder(image), fused(image)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool(torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())))
