"""ResNet-50 and VGG-16 without their classifiers, dilated so that every level comes out at 1/8.

Both keep torchvision's parameter names, so that its checkpoints load unchanged. Torchvision itself is imported
with the first backbone: that takes a second, in which a preview shows what needs none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from .layout import EncoderLayout, StrideOn
from .vision_transformer import VisionTransformer

if TYPE_CHECKING:
    from torchvision.models.resnet import Bottleneck

STRIDE = 8


class LinearBottleneck(nn.Module):
    """A bottleneck block without its last ReLU, made of the parts of one that keeps its size."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = block.conv1, block.conv2, block.conv3
        self.bn1, self.bn2, self.bn3 = block.bn1, block.bn2, block.bn3
        self.relu = block.relu

    def forward(self, x: Tensor) -> Tensor:
        """As torchvision's, less the last activation."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        residual: Tensor = self.bn3(self.conv3(out))
        return residual + x


class ResNet50(nn.Module):
    """ResNet-50 up to the deepest level that is asked for; layer3 and layer4 are dilated instead of strided.

    Removing a stride and dilating what follows computes the strided network's features on a denser grid:
    every second feature in each direction is the same number (tested). For that the first 3 x 3 convolution
    after a removed stride keeps its dilation when the stride sat on it, but doubles it when the stride sat on
    the 1 x 1 convolution before it.

    Attributes:
        channels: Channels of each level, by level.
        first_center: Where the first feature looks, in input pixels from the left or top edge. By the
            geometry of its strided convolutions, each centred on the first pixel of its block, a feature
            ``k`` would lie at ``8 k + 0.5``. Training moves it towards the middle of its block, since
            otherwise the right and bottom of every training image would be seen less: at ImageNet weights
            edges between textures are found at ``8 k + 3`` (measured by
            ``tests/benchmarks/feature_center.py``).
    """

    channels: ClassVar[dict[int, int]] = {2: 512, 3: 1024, 4: 2048}
    first_center = 3.0

    def __init__(self, layers: tuple[int, ...], stride_on: StrideOn = "conv2", bn_eps: float = 1e-5) -> None:
        from torchvision.models import resnet50

        super().__init__()
        network = resnet50(
            weights=None,
            replace_stride_with_dilation=[False, True, True],
            norm_layer=partial(nn.BatchNorm2d, eps=bn_eps),
        )
        self.layers = layers
        self.conv1, self.bn1 = network.conv1, network.bn1
        self.relu, self.maxpool = network.relu, network.maxpool
        self.layer1 = network.layer1
        self.layer2: nn.Sequential = network.layer2
        if max(layers) >= 3:
            self.layer3: nn.Sequential = network.layer3
        if max(layers) >= 4:
            self.layer4: nn.Sequential = network.layer4
        if stride_on == "conv1":
            self._move_strides()
        if 4 in layers:
            # PPNet's ResNet-50 for PANet removes the last ReLU of layer4; a cosine needs both signs.
            self.layer4[-1] = LinearBottleneck(self.layer4[-1])

    def _move_strides(self) -> None:
        """Put layer2.0's stride on its 1 x 1 convolution, and dilate layer3.0 and layer4.0 to fit."""
        first: Bottleneck = self.layer2[0]
        first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)
        for level, dilation in ((3, 2), (4, 4)):
            if hasattr(self, f"layer{level}"):
                conv = getattr(self, f"layer{level}")[0].conv2
                conv.dilation = conv.padding = (dilation, dilation)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the levels.

        Args:
            x: Preprocessed images with shape (batch_size, 3, height, width).

        Returns:
            One tensor per level of ``layers``, each with shape (batch_size, channels, ceil(height / 8),
            ceil(width / 8)).
        """
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        levels = []
        for level in range(2, max(self.layers) + 1):
            x = getattr(self, f"layer{level}")(x)
            if level in self.layers:
                levels.append(x)
        return levels


class VGG16(nn.Module):
    """VGG-16 as PANet uses it: three poolings halve, the fourth is left out, and block 5 is dilated by 2.

    Level 2 is block 3 after its pooling (256 channels), level 3 block 4, level 4 block 5 without its last
    ReLU (512 channels each), all at 1/8.
    """

    channels: ClassVar[dict[int, int]] = {2: 256, 3: 512, 4: 512}
    first_center = 4.0

    def __init__(self, layers: tuple[int, ...]) -> None:
        from torchvision.models.vgg import cfgs, make_layers

        super().__init__()
        self.layers = layers
        features = make_layers(cfgs["D"])  # VGG-16 without its classifier, which fills 400 MB
        ends = {2: 17, 3: 23, 4: 29}  # one past pool3, relu4_3, conv5_3
        self.features = features[: ends[max(layers)]]
        self._ends = {ends[level]: level for level in layers}
        for index in (24, 26, 28):
            if index < len(self.features):
                conv = self.features[index]
                conv.dilation = conv.padding = (2, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the levels; shapes as in :meth:`ResNet50.forward`, but with floor instead of ceil."""
        levels = []
        for index, module in enumerate(self.features):
            if index != 23:  # pool4: left out, block 5 is dilated instead
                x = module(x)
            if index + 1 in self._ends:
                levels.append(x)
        return levels


def build_backbone(layout: EncoderLayout) -> ResNet50 | VGG16 | VisionTransformer:
    """The backbone that a layout names, with random weights: a checkpoint is loaded into it next."""
    with torch.device("cpu"):
        if layout.architecture == "vgg16":
            return VGG16(layout.layers)
        if layout.transformer is not None:
            return VisionTransformer(layout.transformer, STRIDE)
        return ResNet50(layout.layers, layout.stride_on, layout.bn_eps)
