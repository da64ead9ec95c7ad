from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from backend.baselines.ppnet_parts import PartOptions, PartPrototypeNetwork, kmeans, members_of
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodError, MethodOptions
from backend.dpcl.prototypes import support_prototypes
from backend.encoders.encoder import Encoder
from backend.encoders.layout import EncoderLayout
from backend.episodes.episode import Episode


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderLayout("vgg16", layers=(2,), projections=(8,)))


@pytest.fixture(scope="module")
def episode() -> Episode:
    torch.manual_seed(1)
    masks = torch.zeros(2, 2, 48, 48, dtype=torch.uint8)
    masks[0, :, :24] = 1
    masks[1, :, :, 30:] = 1
    labels = torch.zeros(2, 48, 48, dtype=torch.uint8)
    labels[:, :20] = 1
    labels[:, 30:] = 2
    images = torch.rand(2, 2, 3, 48, 48) * 255
    return Episode(images, masks, images[:, 0] * 0.9, labels, (3, 4))


def test_kmeans_is_lloyds_algorithm():
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(m, 0.1, size=(30, 4)) for m in (-2, 0, 3)])
    torch.manual_seed(2)
    start = points[torch.randint(90, (3,)).numpy()]
    expected = KMeans(3, init=start, n_init=1, max_iter=10, algorithm="lloyd", tol=0).fit(points)
    torch.manual_seed(2)
    found = kmeans(torch.from_numpy(points), 3)
    np.testing.assert_allclose(found, expected.cluster_centers_, atol=1e-9)


def test_kmeans_gradient_is_that_of_means():
    points = torch.tensor([[0.0], [1.0], [10.0], [12.0]], dtype=torch.float64, requires_grad=True)
    for seed in range(20):
        torch.manual_seed(seed)
        centers = kmeans(points, 2)
        if sorted(centers.flatten().tolist()) == [0.5, 11.0]:
            break
    (gradient,) = torch.autograd.grad(centers.max(), points)
    assert gradient.flatten().tolist() == [0, 0, 0.5, 0.5]


def test_kmeans_of_few_points_and_none():
    torch.manual_seed(0)
    centers = kmeans(torch.tensor([[1.0, 2.0]]), 5)
    assert all(row in ([0, 0], [1, 2]) for row in centers.tolist()) and [1, 2] in centers.tolist()
    assert kmeans(torch.zeros(0, 3), 5).equal(torch.zeros(5, 3))


def test_members_of_a_small_object_are_at_the_masks_resolution():
    features, mask = torch.randn(1, 3, 4, 4), torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, :8, :8] = True
    assert len(members_of(features, mask, scale=2)) == 64
    mask[0, :16, :16] = True
    assert len(members_of(features, mask, scale=2)) == 16
    assert len(members_of(features, torch.zeros_like(mask), scale=2)) == 0


def test_one_part_is_near_panet(encoder, episode):
    """The mean at twice the resolution is nearly that at full resolution."""
    parts = PartPrototypeNetwork(encoder, PartOptions(parts=1)).segment(episode)
    panet = DualPrototypicalContrast(encoder, MethodOptions.panet()).segment(episode)
    assert parts.shape == panet.shape == (2, 3, 48, 48)
    torch.testing.assert_close(parts, panet, atol=0.3, rtol=0)


def test_a_share_of_the_mean_is_added_to_each_part(encoder, episode):
    with_share, without = (
        PartPrototypeNetwork(encoder, PartOptions(share=share)).support_parts(
            episode.support_images, episode.support_masks
        )
        for share in (0.8, 0.0)
    )
    features = encoder(episode.support_images.flatten(0, 1)).unflatten(0, (2, 2))
    means = support_prototypes(features, episode.support_masks).stacked()
    torch.testing.assert_close(with_share - without, (0.8 * means)[:, None].expand_as(without))


def test_trains_and_is_reproducible(encoder, episode):
    network = PartPrototypeNetwork(deepcopy(encoder)).train()
    before = torch.get_rng_state()
    first = network([episode, episode])
    assert torch.get_rng_state().equal(before)
    first.total.backward()
    gradient = network.encoder.projections["layer2"].weight.grad
    assert gradient is not None and gradient.isfinite().all() and gradient.abs().sum() > 0
    assert first.alignment > 0 and first.class_specific == 0
    assert network.step == 1
    torch.manual_seed(77)
    again = PartPrototypeNetwork(deepcopy(encoder)).train()([episode, episode])
    assert again.total.equal(first.total)


@pytest.mark.parametrize("value", [0, 255])
def test_no_object(encoder, episode, value):
    network = PartPrototypeNetwork(deepcopy(encoder)).train()
    empty = Episode(
        episode.support_images, torch.full_like(episode.support_masks, value), episode.query_images,
        torch.full_like(episode.query_labels, value), episode.classes,
    )  # fmt: skip
    parts = network([empty])
    parts.total.backward()
    assert parts.total.isfinite()
    gradient = network.encoder.projections["layer2"].weight.grad
    assert gradient is not None and gradient.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [{"parts": 0}, {"share": -0.1}, {"alpha": 0.0}, {"alpha": float("nan")}, {"seed": -1}]
)
def test_options_that_are_wrong(wrong):
    with pytest.raises(MethodError, match=f"The option {next(iter(wrong))} must be"):
        PartOptions(**wrong)
