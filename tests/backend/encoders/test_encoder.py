"""What happens before and after the backbone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backend.encoders.encoder import Encoder
from backend.encoders.layout import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Compression,
    EncoderLayout,
    Preprocessing,
)


class _Levels(nn.Module):
    """Stands in for a backbone: keeps its input and gives fixed levels."""

    def __init__(self, levels: list[Tensor]) -> None:
        super().__init__()
        self.levels = levels
        self.seen = torch.empty(0)

    def forward(self, x: Tensor) -> list[Tensor]:
        self.seen = x
        return self.levels


def _encoder(layout: EncoderLayout) -> tuple[Encoder, _Levels]:
    encoder = Encoder(layout)
    levels = [torch.randn(1, encoder.backbone.channels[level], 3, 5) for level in layout.layers]
    backbone = _Levels(levels)
    encoder.backbone = backbone  # type: ignore[assignment]
    return encoder.eval(), backbone


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(),
        Preprocessing("BGR", 1.0, (0.4, 0.45, 0.5), (0.2, 0.25, 0.3)),
        Preprocessing("RGB", 255.0, (120.0, 110.0, 100.0), (50.0, 60.0, 70.0)),
        Preprocessing.parse("BGR, 0..255, minus (103.939, 116.779, 123.68)"),
    ],
    ids=str,
)
def test_preprocessing(preprocessing: Preprocessing) -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (2,), preprocessing=preprocessing))
    image = np.random.default_rng(0).integers(0, 256, (3, 24, 40))
    expected = np.empty(image.shape)
    for position, channel in enumerate(preprocessing.order):
        value = image["RGB".index(channel)] / 255.0 * preprocessing.high
        expected[position] = (value - preprocessing.mean[position]) / preprocessing.std[position]
    encoder(torch.from_numpy(image).float()[None])
    np.testing.assert_allclose(backbone.seen[0].numpy(), expected, rtol=1e-5, atol=2e-5)


def test_the_default_is_torchvisions_preprocessing() -> None:
    assert Preprocessing() == Preprocessing("RGB", 1.0, IMAGENET_MEAN, IMAGENET_STD)


def test_bytes_are_taken_too() -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (2,)))
    image = torch.arange(3 * 64, dtype=torch.uint8).reshape(1, 3, 8, 8)
    encoder(image)
    seen = backbone.seen
    encoder(image.float())
    torch.testing.assert_close(seen, backbone.seen)


def test_levels_are_concatenated_in_order() -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (2, 3, 4)))
    features = encoder(torch.zeros(1, 3, 24, 40))
    assert encoder.channels == 256 + 512 + 512 == features.shape[1]
    torch.testing.assert_close(features, torch.cat(backbone.levels, dim=1), rtol=0, atol=0)


def test_one_level_is_left_as_it_is() -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (3,)))
    assert encoder(torch.zeros(1, 3, 24, 40)) is backbone.levels[0]


def test_projections_and_scales() -> None:
    layout = EncoderLayout("vgg16", (2, 4), projections=(6, 10), level_scales=(0.5, 3.0))
    encoder, backbone = _encoder(layout)
    features = encoder(torch.zeros(1, 3, 24, 40))
    assert encoder.channels == 16
    parts = []
    for level, scale, values in zip((2, 4), (0.5, 3.0), backbone.levels, strict=True):
        linear = encoder.projections[f"layer{level}"]
        weight, bias = linear.weight[:, :, 0, 0], linear.bias
        parts.append(scale * (torch.einsum("oi,bihw->bohw", weight, values) + bias[None, :, None, None]))
    torch.testing.assert_close(features, torch.cat(parts, dim=1), rtol=1e-4, atol=1e-4)


def test_scales_without_projections() -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (2, 3), level_scales=(2.0, 0.25)))
    expected = torch.cat([2.0 * backbone.levels[0], 0.25 * backbone.levels[1]], dim=1)
    torch.testing.assert_close(encoder(torch.zeros(1, 3, 24, 40)), expected)


def test_compression_is_a_convolution_of_all_levels() -> None:
    encoder, backbone = _encoder(EncoderLayout("vgg16", (2, 4), compression=Compression(16)))
    features = encoder(torch.zeros(1, 3, 24, 40))
    conv = encoder.compression[0]
    assert encoder.channels == 16 and conv.in_channels == 256 + 512
    together = nn.functional.pad(torch.cat(backbone.levels, dim=1), (1, 1, 1, 1))
    patches = together.unfold(2, 3, 1).unfold(3, 3, 1)
    expected = torch.einsum("oihw,bixyhw->boxy", conv.weight, patches) + conv.bias[:, None, None]
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    assert (features < 0).any()


def test_compression_with_canets_dilation_and_relu() -> None:
    layout = EncoderLayout("vgg16", (2, 3), projections=(8, 8), compression=Compression(32, 2, relu=True))
    encoder, _ = _encoder(layout)
    assert encoder.compression[0].in_channels == 16 and encoder.compression[0].dilation == (2, 2)
    features = encoder(torch.zeros(1, 3, 24, 40))
    assert features.shape == (1, 32, 3, 5) and (features >= 0).all() and (features > 0).any()


def test_preprocessing_is_no_weight() -> None:
    names = set(Encoder(EncoderLayout("vgg16", (2,))).state_dict())
    assert names == {
        f"backbone.features.{i}.{w}" for i in (0, 2, 5, 7, 10, 12, 14) for w in ("weight", "bias")
    }
