"""Ways that share their support images: encoded once, with the losses of ways that have copies of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from backend.dpcl.batching import draw_support_views
from backend.dpcl.method import DualPrototypicalContrast
from backend.dpcl.options import MethodOptions


@pytest.fixture
def shared(make_episode):
    """Three ways over the same two support images; each way's object is elsewhere, way 2 is in one image only."""
    episode = make_episode(way=3, shot=2, queries=2)
    masks = torch.full_like(episode.support_masks, 255)
    for way in range(3):
        masks[way, :, 4 + 14 * way : 16 + 14 * way, 4:40] = 1
    masks[1, 1] = 255
    masks[:, 0, :, 44:] = 0
    return replace(
        episode,
        support_images=episode.support_images[:1].expand(3, -1, -1, -1, -1),
        support_masks=masks,
    )


def test_same_losses_gradients_and_scores_as_copies(encoder, shared):
    copies = replace(shared, support_images=shared.support_images.contiguous())
    found = []
    for episode in (shared, copies):
        method = DualPrototypicalContrast(encoder, MethodOptions.panet()).train()
        encoder.zero_grad()
        total = method([episode]).total
        total.backward()
        found.append(
            (total.detach(), encoder.projections["layer2"].weight.grad.clone(), method.segment(episode))
        )
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)
    assert found[0][0] > 0


def test_each_image_is_encoded_once(encoder, shared):
    seen = []
    encoder.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    method = DualPrototypicalContrast(
        encoder, MethodOptions(dictionary_size=16, dictionary_negatives=8)
    ).train()
    method.momentum_encoder.encoder.register_forward_pre_hook(
        lambda module, inputs: seen.append(len(inputs[0]))
    )
    parts = method([shared])
    assert parts.class_specific > 0
    assert sorted(set(seen)) == [4]  # 2 support images and 2 queries, clean and augmented


def test_views_keep_each_ways_object_in_its_place(shared):
    torch.manual_seed(3)
    marked = shared.support_images.clone()[:1] * 0 + 10.0
    for way in range(3):
        marked[0, 0, 0][shared.support_masks[way, 0] == 1] = 60.0 * (way + 1)
    episode = replace(shared, support_images=marked.expand(3, -1, -1, -1, -1))
    images, masks = draw_support_views(episode, redraws=0)
    assert images.shape == episode.support_images.shape and masks.shape == episode.support_masks.shape
    assert images.stride(0) == 0
    assert not ((masks == 1).sum(dim=0) > 1).any()  # no pixel in two ways
    assert set(masks.unique().tolist()) <= {0, 1, 255}
    # What is a way's in the view has that way's colour order, whatever the jitter did to the values.
    means = [images[0, 0].mean(dim=0)[masks[way, 0] == 1].mean() for way in range(3)]
    means = [float(mean) for mean in means if not torch.isnan(mean)]
    assert means == sorted(means) and len(means) >= 2


@pytest.mark.parametrize("value", [0, 255])
def test_views_keep_what_is_background_and_what_is_unknown(shared, value):
    masks = torch.full_like(shared.support_masks, value)
    assert (draw_support_views(replace(shared, support_masks=masks), 0)[1] == value).all()
