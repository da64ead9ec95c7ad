"""FCN on a dilated backbone."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation.fcn import FCNHead

from ..encoders.encoder import Encoder


class FCN(nn.Module):
    """A fully convolutional network: torchvision's head on an encoder's features, brought to the images' size.

    The dilated backbone keeps 1/8, so there are no skip connections to shallower levels, as in torchvision's FCN.

    Args:
        encoder: With the weights to start from.
        classes: Background included.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = FCNHead(encoder.channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """From images (batch_size, 3, height, width), 0..255, to scores (batch_size, classes, height, width)."""
        scores = self.head(self.encoder(images))
        return F.interpolate(scores, size=images.shape[-2:], mode="bilinear", align_corners=False)
