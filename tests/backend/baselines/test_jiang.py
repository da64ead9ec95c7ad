from __future__ import annotations

import torch
from torch import nn

from backend.baselines.jiang import CompressedEncoder
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodOptions
from backend.encoders.layout import EncoderLayout
from backend.episodes.episode import Episode


def test_compresses_both_levels_to_256_channels():
    encoder = CompressedEncoder(EncoderLayout(layers=(2, 3))).eval()
    assert encoder.compress.in_channels == 512 + 1024
    images = torch.rand(1, 3, 32, 40) * 255
    features = encoder(images)
    assert features.shape == (1, 256, 4, 5) and encoder.channels == 256
    assert (features < 0).any()


def test_canets_dilation_and_relu():
    encoder = CompressedEncoder(EncoderLayout("vgg16", layers=(2, 3)), dilation=2, relu=True)
    features = encoder(torch.rand(1, 3, 32, 32) * 255)
    assert features.shape == (1, 256, 4, 4) and (features >= 0).all()


def test_trains_with_the_segmentation_loss():
    encoder = CompressedEncoder(EncoderLayout("vgg16", layers=(2,)))
    method = DualPrototypicalContrast(encoder, MethodOptions.jiang()).train()
    masks = torch.zeros(1, 2, 32, 32, dtype=torch.uint8)
    masks[..., :16] = 1
    images = torch.rand(1, 2, 3, 32, 32) * 255
    parts = method([Episode(images, masks, images[0], masks[0], (1,))])
    parts.total.backward()
    assert isinstance(encoder.compress, nn.Conv2d) and encoder.compress.weight.grad is not None
    assert parts.alignment == 0 and encoder.compress.weight.grad.abs().sum() > 0
