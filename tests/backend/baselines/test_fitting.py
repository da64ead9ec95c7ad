from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backend.baselines.fcn import FCN
from backend.baselines.fitting import FittingOptions, SupervisedSegmenter, merge_support
from backend.baselines.segnet import SegNet
from backend.dpcl.options import MethodError
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout


@pytest.fixture
def support() -> tuple[Tensor, Tensor]:
    """Two ways of one colour each on grey ground, two shots."""
    torch.manual_seed(0)
    images, masks = torch.full((2, 2, 3, 32, 32), 90.0), torch.zeros(2, 2, 32, 32, dtype=torch.uint8)
    for way in range(2):
        images[way, :, way, :, 4:20] = 220.0
        masks[way, :, :, 4:20] = 1
    return images + torch.randn_like(images) * 4, masks


def small(classes: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, classes, 1))


def test_fits_the_support(support):
    segmenter = SupervisedSegmenter(small, FittingOptions(iterations=120, learning_rate=0.05))
    before = torch.get_rng_state()
    segmenter.fit(*support)
    scores = segmenter.predict(support[0][:, 0])
    assert torch.get_rng_state().equal(before)
    assert scores.shape == (2, 3, 32, 32) and not scores.requires_grad
    expected = support[1][:, 0] * torch.tensor([1, 2])[:, None, None]
    assert (scores.argmax(dim=1) == expected).float().mean() > 0.95
    again = SupervisedSegmenter(small, segmenter.options)
    again.fit(*support)
    assert again.predict(support[0][:, 0]).equal(scores)


def test_each_image_has_one_label_map():
    image, other = torch.rand(3, 4, 4), torch.rand(3, 4, 4)
    masks = torch.zeros(2, 2, 4, 4, dtype=torch.uint8)
    masks[0, 0, 0], masks[1, 0, 1], masks[1, 0, 0] = 1, 1, 255
    masks[:, 0, 3] = 255
    masks[0, 1, 2], masks[1, 1, 2] = 1, 0
    images = torch.stack([torch.stack([image, other]), torch.stack([image, other * 0.5])])
    found, labels = merge_support(images, masks)
    assert len(found) == 3
    assert labels[0, :, 0].tolist() == [1, 2, 0, 255]
    assert labels[1, :, 0].tolist() == [0, 0, 1, 0]
    assert labels[2].eq(0).all()


def test_bad_input(support):
    images, masks = support
    segmenter = SupervisedSegmenter(small, FittingOptions(iterations=2))
    with pytest.raises(MethodError, match="call fit"):
        segmenter.predict(images[0])
    with pytest.raises(MethodError, match="No pixel"):
        segmenter.fit(images, torch.full_like(masks, 255))
    with pytest.raises(MethodError, match="iteration 0"):
        segmenter.fit(torch.full_like(images, float("nan")), masks)
    with pytest.raises(MethodError, match="must be above 0"):
        FittingOptions(iterations=0)


@pytest.mark.parametrize("size", [(32, 32), (37, 50)])
def test_segnet_keeps_the_size(size):
    network = SegNet(4).eval()
    assert network(torch.rand(1, 3, *size) * 255).shape == (1, 4, *size)


def test_segnet_starts_from_vgg16():
    from torchvision.models.vgg import cfgs, make_layers

    weights = {f"features.{name}": value for name, value in make_layers(cfgs["D"]).state_dict().items()}
    network = SegNet(2, weights)
    assert network.down[0][0].weight.equal(weights["features.0.weight"])
    assert network.down[4][6].weight.equal(weights["features.28.weight"])
    assert network.down[4][6].bias.equal(weights["features.28.bias"])
    del weights["features.28.weight"]
    with pytest.raises(MethodError, match="13 convolutions"):
        SegNet(2, weights)


def test_networks_learn():
    torch.manual_seed(0)
    images, labels = torch.rand(1, 3, 32, 32) * 255, torch.zeros(1, 32, 32, dtype=torch.int64)
    labels[:, :, 16:] = 1
    images[:, :, :, 16:] *= 0.2
    for network in (SegNet(2), FCN(Encoder(EncoderLayout("vgg16", layers=(2,))), 2)):
        optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.9)
        losses = []
        for _ in range(12):
            scores = network(images)
            assert scores.shape == (1, 2, 32, 32)
            loss = nn.functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.6 * losses[0]
