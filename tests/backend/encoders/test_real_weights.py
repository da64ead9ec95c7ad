"""Weights that were converted from Keras compute what they computed there."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, max_pool2d, pad

from backend.encoders.checkpoint import fill_encoder, load_checkpoint
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout

KERAS_FILE = "resnet50_imagenet_layer1-3.safetensors"


def _keras_resnet(tensors: dict[str, Tensor], image: Tensor) -> dict[str, Tensor]:
    """Keras' ResNet-50, written down: BGR less the mean, stride on the first convolution, eps 1.001e-5."""

    def norm(x: Tensor, name: str) -> Tensor:
        parts = [
            tensors[f"{name}.{key}"].float() for key in ("running_mean", "running_var", "weight", "bias")
        ]
        return batch_norm(x, *parts, training=False, eps=1.001e-5)

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{name}.weight"].float()
        return conv2d(pad(x, [weight.shape[-1] // 2] * 4), weight, stride=stride)

    x = image.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    x = norm(conv(x, "conv1", 2), "bn1").relu()
    x = max_pool2d(pad(x, (1, 1, 1, 1)), 3, stride=2)  # padded by 0, after a ReLU as good as by -inf
    levels = {}
    for level, blocks in ((1, 3), (2, 4), (3, 6)):
        for block in range(blocks):
            name = f"layer{level}.{block}"
            stride = 2 if level > 1 and block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
            x = norm(conv(x, f"{name}.conv2"), f"{name}.bn2").relu()
            x = (norm(conv(x, f"{name}.conv3"), f"{name}.bn3") + shortcut).relu()
        levels[f"layer{level}"] = x
    return levels


@pytest.fixture(scope="module")
def keras_file(shared: Path) -> Path:
    path = shared / "weights" / KERAS_FILE
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return path


def _natural_image() -> Tensor:
    """Smooth colours with edges; noise alone would leave the deeper layers nearly alike."""
    rows, cols = torch.meshgrid(torch.linspace(0, 6, 96), torch.linspace(0, 9, 128), indexing="ij")
    bands = [110 + 70 * torch.sin(rows + k) + 50 * torch.cos(cols * (k + 1)).sign() for k in range(3)]
    return torch.stack(bands)[None].clamp(0, 255)


def test_real_weights_compute_what_keras_computes(keras_file: Path) -> None:
    encoder = load_checkpoint(keras_file).encoder
    assert (encoder.layout.layers, encoder.layout.stride_on) == ((2, 3), "conv1")
    with torch.no_grad():
        layer2, layer3 = encoder(_natural_image()).split([512, 1024], dim=1)
        expected = _keras_resnet(load_file(keras_file), _natural_image())
    for ours, theirs in ((layer2, expected["layer2"]), (layer3[..., ::2, ::2], expected["layer3"])):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.max()))


def _surprise(encoder: Encoder, image: Tensor) -> float:
    """How far layer2's and layer3's activations are from those in training, in standard deviations."""
    found = []

    def look(norm: nn.Module, args: tuple[Tensor, ...]) -> None:
        mean, variance = norm.running_mean, norm.running_var
        found.append(float(((args[0].mean((0, 2, 3)) - mean) / (variance + norm.eps).sqrt()).abs().mean()))

    parts = (encoder.backbone.layer2, encoder.backbone.layer3)
    norms = [module for part in parts for module in part.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    with torch.no_grad():
        encoder(image)
    for hook in hooks:
        hook.remove()
    return sum(found) / len(found)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_real_weights_computed_as_torchvisions_are_wrong(keras_file: Path, shared: Path) -> None:
    paths = sorted((shared / "data" / "camvid" / "test" / "images").glob("*"))[::80][:2]
    if not paths:
        pytest.skip("needs CamVid")
    images = []
    for path in paths:
        with rasterio.open(path) as src:
            images.append(torch.from_numpy(src.read([1, 2, 3])).float()[:, 80:272, 120:376])
    batch = torch.stack(images)
    ours = load_checkpoint(keras_file).encoder
    naive = Encoder(EncoderLayout(layers=(2, 3))).eval()
    fill_encoder(naive, load_file(keras_file))
    with torch.no_grad():
        a, b = ours(batch), naive(batch)
    assert float((a - b).norm() / a.norm()) > 0.3
    # Photographs look to our network like the images that it was trained on.
    assert _surprise(ours, batch) < 0.6 * _surprise(naive, batch)
