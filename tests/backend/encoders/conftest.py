"""Random weights that make every batch normalisation and every residual branch count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout

Randomise = Callable[[nn.Module, int], nn.Module]
MakeEncoder = Callable[[EncoderLayout], Encoder]


def _randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            spread = (6.0 / part.weight[0].numel()) ** 0.5
            uniform(part.weight, -spread, spread)
            if part.bias is not None:
                uniform(part.bias, -0.1, 0.1)
        elif isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            uniform(part.weight, 0.4, 0.8)
            uniform(part.bias, -0.2, 0.2)
            uniform(part.running_mean, -0.3, 0.3)
            uniform(part.running_var, 0.6, 1.6)
    return module.eval()


@pytest.fixture(scope="session")
def randomise() -> Randomise:
    """Fills a module's weights and statistics in place from a seed, and returns it in evaluation mode."""
    return _randomise


@pytest.fixture(scope="session")
def make_encoder() -> MakeEncoder:
    """Makes an encoder with random weights."""

    def make(layout: EncoderLayout) -> Encoder:
        encoder = Encoder(layout)
        _randomise(encoder)
        return encoder

    return make
