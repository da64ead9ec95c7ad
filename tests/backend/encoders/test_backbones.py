"""The dilated networks against torchvision's strided ones, and what every backbone has in common."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain, combinations

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from backend.encoders.backbones import VGG16, ResNet50
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.encoders.runner import fold_batch_norms

Randomise = Callable[..., nn.Module]
LEVELS = (2, 3, 4)
CHOICES = list(chain.from_iterable(combinations(LEVELS, count) for count in (1, 2, 3)))
LAYOUTS = [
    *(EncoderLayout("resnet50", layers) for layers in CHOICES),
    *(EncoderLayout("vgg16", layers) for layers in CHOICES),
    *(EncoderLayout("resnet50", layers, stride_on="conv1", bn_eps=1e-3) for layers in [(2, 3), (4,)]),
    EncoderLayout("resnet50", (2, 3), projections=(8, 16), level_scales=(1.0, 0.5)),
    EncoderLayout("vgg16", (2, 4), projections=(8, 16)),
]


def _image(height: int = 96, width: int = 72, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def _assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert theirs.std() > 1e-3  # or the comparison would say little
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def _strided(ours: ResNet50, stride_on: str, eps: float) -> nn.Module:
    """Torchvision's network with the same weights, its strides put on the first convolution by hand."""
    network = torchvision.models.resnet50(norm_layer=lambda size: nn.BatchNorm2d(size, eps=eps))
    loaded = network.load_state_dict(ours.state_dict(), strict=False)
    assert loaded.missing_keys == ["fc.weight", "fc.bias"]
    assert not loaded.unexpected_keys
    if stride_on == "conv1":
        for layer in (network.layer2, network.layer3, network.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    return network.eval()


@pytest.fixture(scope="module", params=["conv1", "conv2"])
def resnets(
    request: pytest.FixtureRequest, randomise: Randomise
) -> tuple[list[Tensor], dict[str, Tensor], nn.Module]:
    """Our levels 2, 3, 4, the strided network's by name, and the strided network."""
    ours = ResNet50(LEVELS, request.param, bn_eps=1e-3)
    randomise(ours)
    strided = _strided(ours, request.param, 1e-3)
    with torch.no_grad():
        theirs = create_feature_extractor(strided, ["layer2", "layer3", "layer4"])(_image())
        return ours(_image()), theirs, strided


def test_resnet_layer2_is_not_dilated(resnets: tuple[list[Tensor], dict[str, Tensor], nn.Module]) -> None:
    ours, theirs, _ = resnets
    _assert_same(ours[0], theirs["layer2"])


def test_resnet_layer3_has_the_strided_features(
    resnets: tuple[list[Tensor], dict[str, Tensor], nn.Module],
) -> None:
    ours, theirs, _ = resnets
    _assert_same(ours[1][..., ::2, ::2], theirs["layer3"])
    # Between them are others, not copies.
    assert not torch.allclose(ours[1][..., 1::2, ::2], ours[1][..., ::2, ::2], rtol=0.1)


def test_resnet_layer4_has_the_strided_features_before_the_last_relu(
    resnets: tuple[list[Tensor], dict[str, Tensor], nn.Module],
) -> None:
    ours, theirs, _ = resnets
    level = ours[2]
    assert (level < 0).float().mean() > 0.05
    _assert_same(level.relu()[..., ::4, ::4], theirs["layer4"])


def test_resnet_layer4_is_torchvisions_dilated_one(randomise: Randomise) -> None:
    ours = randomise(ResNet50((4,)))
    network = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True])
    network.load_state_dict(ours.state_dict(), strict=False)
    with torch.no_grad():
        theirs = create_feature_extractor(network.eval(), ["layer4"])(_image())["layer4"]
        _assert_same(ours(_image())[0].relu(), theirs)


def test_resnet_keeps_only_what_it_needs() -> None:
    names = {name.partition(".")[0] for name in ResNet50((2,)).state_dict()}
    assert names == {"conv1", "bn1", "layer1", "layer2"}


@pytest.fixture(scope="module")
def vgg(randomise: Randomise) -> tuple[VGG16, nn.Sequential]:
    ours = VGG16(LEVELS)
    randomise(ours)
    with torch.device("meta"):  # its classifier would take 400 MB
        theirs = torchvision.models.vgg16(init_weights=False).features
    theirs = theirs.to_empty(device="cpu")
    theirs.load_state_dict(ours.features.state_dict())
    return ours, theirs.eval()


def test_vgg_is_torchvisions_up_to_block_4(vgg: tuple[VGG16, nn.Sequential]) -> None:
    ours, theirs = vgg
    assert isinstance(theirs[16], nn.MaxPool2d)
    assert isinstance(theirs[22], nn.ReLU)
    with torch.no_grad():
        levels = ours(_image())
        _assert_same(levels[0], theirs[:17](_image()))
        _assert_same(levels[1], theirs[:23](_image()))


def test_vgg_block_5_has_the_features_behind_a_stride(vgg: tuple[VGG16, nn.Sequential]) -> None:
    ours, theirs = vgg
    strided = copy.deepcopy(theirs)
    strided[23] = nn.MaxPool2d(kernel_size=1, stride=2)  # the fourth pooling, without its maximum
    with torch.no_grad():
        level = ours(_image())[2]
        assert (level < 0).any()
        _assert_same(level[..., ::2, ::2], strided[:29](_image()))


def test_vgg_changes_no_level_after_it_was_taken(vgg: tuple[VGG16, nn.Sequential]) -> None:
    # The activations work in place.
    with torch.no_grad():
        alone, first = vgg[0].features[:23](_image()), vgg[0](_image())[1]
    torch.testing.assert_close(first, alone)


def _name(layout: EncoderLayout) -> str:
    levels = "".join(map(str, layout.layers))
    return f"{layout.architecture}-{levels}-{layout.stride_on}{'-projected' if layout.projections else ''}"


@pytest.fixture(scope="class")  # one at a time, since each takes up to 100 MB
def encoder(layout: EncoderLayout, make_encoder: Callable[[EncoderLayout], Encoder]) -> Encoder:
    return make_encoder(layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=_name, scope="class")
class TestEveryEncoder:
    def test_sizes(self, encoder: Encoder) -> None:
        with torch.no_grad():
            for height, width in [(64, 64), (72, 40), (8, 24)]:
                features = encoder(100.0 * _image(height, width))
                assert features.shape == (1, encoder.channels, height // 8, width // 8)
                assert torch.isfinite(features).all()

    def test_gradients_reach_every_weight(self, encoder: Encoder) -> None:
        encoder.zero_grad()
        encoder(100.0 * _image(64, 64)).square().mean().backward()
        for name, weight in encoder.named_parameters():
            assert weight.grad is not None, name
            assert torch.isfinite(weight.grad).all(), name
            assert weight.grad.abs().max() > 0, name
        encoder.zero_grad(set_to_none=True)

    def test_copies_and_folds_to_the_same(self, encoder: Encoder) -> None:
        images = 60.0 * _image(64, 64, batch=2) + 120.0
        folded = fold_batch_norms(copy.deepcopy(encoder))
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        with torch.no_grad():
            expected = encoder(images)
            # One by one and together, again and again, whole or folded.
            torch.testing.assert_close(encoder(images), expected, rtol=0, atol=0)
            _assert_same(encoder(images[:1]), expected[:1])
            _assert_same(folded(images), expected)
