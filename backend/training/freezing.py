"""Layers that keep their weights."""

from __future__ import annotations

import torch

from ..encoders.backbones import VGG16, ResNet50
from ..encoders.encoder import Encoder

_RESNET = ("conv1 bn1", "layer1", "layer2", "layer3", "layer4")
_VGG = (5, 10, 17, 24, 30)  # where the blocks of VGG-16's features end


def freeze(encoder: Encoder, stages: int) -> None:
    """Keep the weights of the first stages; PPNet trains levels 3 and 4 only, which is 3."""
    backbone = encoder.backbone
    if isinstance(backbone, ResNet50):
        for name in " ".join(_RESNET[:stages]).split():
            getattr(backbone, name, torch.nn.Identity()).requires_grad_(False)
    elif stages and isinstance(backbone, VGG16):
        backbone.features[: _VGG[stages - 1]].requires_grad_(False)
