"""Plain references in numpy, small encoders and small episodes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.episodes.episode import Episode

Array = NDArray[np.float64]


def _bilinear(maps: Array, size: tuple[int, int]) -> Array:
    """Upsample (..., h, w) pixel by pixel, centres aligned as torch does without align_corners."""
    h, w = maps.shape[-2:]
    out = np.zeros((*maps.shape[:-2], *size))
    for y in range(size[0]):
        for x in range(size[1]):
            v = min(max((y + 0.5) * h / size[0] - 0.5, 0), h - 1)
            u = min(max((x + 0.5) * w / size[1] - 0.5, 0), w - 1)
            y0, x0 = int(v), int(u)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            fy, fx = v - y0, u - x0
            top = (1 - fx) * maps[..., y0, x0] + fx * maps[..., y0, x1]
            bottom = (1 - fx) * maps[..., y1, x0] + fx * maps[..., y1, x1]
            out[..., y, x] = (1 - fy) * top + fy * bottom
    return out


def _cosine(a: Array, b: Array) -> float:
    lengths = float(np.sqrt((a * a).sum()) * np.sqrt((b * b).sum()))
    return float((a * b).sum()) / lengths if lengths else 0.0


def _gradient(function: Callable[[Array], float], at: Array, step: float = 1e-6) -> Array:
    """Central differences."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


@pytest.fixture(scope="session")
def bilinear() -> Callable[[Array, tuple[int, int]], Array]:
    return _bilinear


@pytest.fixture(scope="session")
def cosine() -> Callable[[Array, Array], float]:
    return _cosine


@pytest.fixture(scope="session")
def numeric_gradient() -> Callable[..., Array]:
    return _gradient


@pytest.fixture(scope="session")
def _vgg() -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(EncoderLayout(architecture="vgg16", layers=(2,), projections=(8,)))
    torch.nn.init.normal_(encoder.projections["layer2"].weight, std=0.3)
    return encoder


@pytest.fixture(scope="session")
def _resnet() -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderLayout(layers=(2,), projections=(8,)))


@pytest.fixture
def encoder(_vgg: Encoder) -> Encoder:
    """Without batch normalisation, 8 channels."""
    return deepcopy(_vgg)


@pytest.fixture
def resnet(_resnet: Encoder) -> Encoder:
    """With batch normalisation, 8 channels."""
    return deepcopy(_resnet)


@pytest.fixture(scope="session")
def make_episode() -> Callable[..., Episode]:
    """Noise with an object in each image: ``make_episode(way, shot, queries, size, seed)``."""

    def make(way: int = 1, shot: int = 1, queries: int = 1, size: int = 48, seed: int = 0) -> Episode:
        random = torch.Generator().manual_seed(seed)

        def images(*lead: int) -> torch.Tensor:
            return torch.rand(*lead, 3, size, size, generator=random) * 255

        masks = torch.zeros(way, shot, size, size, dtype=torch.uint8)
        masks[..., : size // 2, : size * 2 // 3] = 1
        masks[..., size // 2, :] = 255
        labels = torch.zeros(queries, size, size, dtype=torch.uint8)
        band = size // (way + 1)
        for index in range(way):
            labels[:, index * band : (index + 1) * band] = index + 1
        labels[:, :, -3:] = 255
        support, query = images(way, shot), images(queries)
        support[masks[:, :, None].expand_as(support) == 1] *= 0.3
        query *= 1 - 0.6 * (labels[:, None] > 0).float()
        return Episode(support, masks, query, labels, tuple(range(5, 5 + way)))

    return make
