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
Tensors = dict[str, Tensor]
MakeDinov2 = Callable[..., Tensors]


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


@pytest.fixture(scope="session")
def make_dinov2() -> MakeDinov2:
    """Makes the tensors of a DINOv2 with random weights, by timm's names: ``make(width, depth, side, seed)``."""

    def make(width: int = 64, depth: int = 1, side: int = 5, seed: int = 0) -> Tensors:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int, spread: float = 1.0) -> Tensor:
            return spread * torch.randn(shape, generator=generator)

        tensors = {
            "cls_token": normal(1, 1, width),
            "pos_embed": normal(1, 1 + side**2, width),
            "patch_embed.proj.weight": normal(width, 3, 14, 14, spread=0.05),
            "patch_embed.proj.bias": normal(width),
            "norm.weight": 1.0 + normal(width, spread=0.2),
            "norm.bias": normal(width, spread=0.2),
        }
        for block in range(depth):
            own = {}
            for name, rows, cols in (
                ("attn.qkv", 3 * width, width),
                ("attn.proj", width, width),
                ("mlp.fc1", 4 * width, width),
                ("mlp.fc2", width, 4 * width),
            ):
                own[f"{name}.weight"] = normal(rows, cols, spread=1.5 / cols**0.5)
                own[f"{name}.bias"] = normal(rows, spread=0.2)
            for name in ("norm1", "norm2"):
                own[f"{name}.weight"] = 1.0 + normal(width, spread=0.2)
                own[f"{name}.bias"] = normal(width, spread=0.2)
            for name in ("ls1", "ls2"):
                own[f"{name}.gamma"] = normal(width, spread=0.5)
            tensors |= {f"blocks.{block}.{name}": tensor for name, tensor in own.items()}
        return tensors

    return make


@pytest.fixture(scope="session")
def as_transformers() -> Callable[[Tensors], Tensors]:
    """Gives the tensors of a DINOv2 the names that they have in transformers, where queries, keys and values part."""
    names = {
        "norm1": "norm1",
        "norm2": "norm2",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
        "ls1": "layer_scale1",
        "ls2": "layer_scale2",
    }
    first = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }

    def rename(tensors: Tensors) -> Tensors:
        renamed = {}
        for name, tensor in tensors.items():
            if name in first:
                renamed[first[name]] = tensor
                continue
            _, block, rest = name.split(".", 2)
            part, kind = rest.rsplit(".", 1)
            if part == "attn.qkv":
                for which, own in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                    renamed[f"encoder.layer.{block}.attention.attention.{which}.{kind}"] = own.clone()
            else:
                kind = "lambda1" if kind == "gamma" else kind
                renamed[f"encoder.layer.{block}.{names[part]}.{kind}"] = tensor
        return renamed

    return rename
