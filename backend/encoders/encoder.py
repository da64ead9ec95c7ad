"""The encoder: backbone levels, optional projections and compression, one feature map at 1/8."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .backbones import STRIDE, build_backbone
from .layout import Compression, EncoderLayout


class Encoder(nn.Module):
    """From 8-bit RGB images to one feature map at 1/8 of their size.

    The levels that the layout names are projected to a common width where the layout has projections (DPCL,
    Section 4.1: "one-layer MLPs", here 1 x 1 convolutions), scaled, concatenated, and compressed where the layout has
    a compression (Jiang et al., Section II-C).

    Attributes:
        stride: Input pixels per feature, 8.
        first_center: Position of the first feature in input pixels from the edge, see :class:`ResNet50`.
        channels: Channels of the feature map.
    """

    stride = STRIDE

    def __init__(self, layout: EncoderLayout) -> None:
        super().__init__()
        self.layout = layout
        self.backbone = build_backbone(layout)
        sizes = [self.backbone.channels[level] for level in layout.layers]
        self.projections = nn.ModuleDict()
        for level, size_in, size_out in zip(layout.layers, sizes, layout.projections, strict=False):
            self.projections[f"layer{level}"] = nn.Conv2d(size_in, size_out, kernel_size=1)
        self.channels = sum(layout.projections or sizes)
        self.compression = nn.Sequential()  # nothing
        if layout.compression is not None:
            self.compression = _convolution(self.channels, layout.compression)
            self.channels = layout.compression.channels
        self.first_center = self.backbone.first_center
        pre = layout.preprocessing
        order = slice(None) if pre.order == "RGB" else [2, 1, 0]
        self.factor: Tensor
        self.offset: Tensor
        factor = pre.high / 255.0 / torch.tensor(pre.std)[order]
        offset = (torch.tensor(pre.mean) / torch.tensor(pre.std))[order]
        self.register_buffer("factor", factor.view(3, 1, 1), persistent=False)
        self.register_buffer("offset", offset.view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images.

        Args:
            images: RGB images with values 0..255 and shape (batch_size, 3, height, width); height and width
                are multiples of 8.

        Returns:
            Features with shape (batch_size, channels, height / 8, width / 8).
        """
        x = images * self.factor - self.offset
        if self.layout.preprocessing.order == "BGR":
            x = x.flip(1)
        levels = self.backbone(x)
        if self.projections:
            heads = [self.projections[f"layer{level}"] for level in self.layout.layers]
            levels = [head(f) for head, f in zip(heads, levels, strict=True)]
        if self.layout.level_scales:
            levels = [f * s for f, s in zip(levels, self.layout.level_scales, strict=True)]
        features = levels[0] if len(levels) == 1 else torch.cat(levels, dim=1)
        compressed: Tensor = self.compression(features)
        return compressed


def _convolution(channels: int, compression: Compression) -> nn.Sequential:
    """The compression of that many channels."""
    reach = compression.dilation
    conv = nn.Conv2d(channels, compression.channels, kernel_size=3, padding=reach, dilation=reach)
    return nn.Sequential(conv, nn.ReLU(inplace=True)) if compression.relu else nn.Sequential(conv)
