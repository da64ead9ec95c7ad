from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.episodes.augmentation import augment


@pytest.fixture
def scene() -> tuple[Tensor, Tensor]:
    """A bright object on dark ground, with an ignored strip."""
    labels = torch.zeros(64, 80, dtype=torch.uint8)
    labels[8:40, 12:60] = 2
    labels[60:] = 255
    return torch.where(labels == 2, 230.0, 25.0).expand(3, -1, -1).clone(), labels


def test_labels_move_with_the_image(scene):
    image, labels = scene
    torch.manual_seed(0)
    places = set()
    for _ in range(40):
        view, moved = augment(image, labels)
        assert view.shape == image.shape and view.dtype == torch.float32 and type(view) is Tensor
        assert moved.shape == labels.shape and moved.dtype == torch.uint8 and type(moved) is Tensor
        assert view.min() >= 0 and view.max() <= 255
        assert set(moved.unique().tolist()) <= {0, 2, 255}
        places.add(int((moved == 2).sum()))
        if 200 < (moved == 2).sum() < 4000:
            bright = view.mean(dim=0)
            threshold = (bright.min() + bright.max()) / 2
            assert ((bright > threshold) == (moved == 2)).float().mean() > 0.95
    assert len(places) > 30


def test_views_follow_from_the_seed(scene):
    torch.manual_seed(5)
    first = augment(*scene)
    second = augment(*scene)
    torch.manual_seed(5)
    again = augment(*scene)
    assert again[0].equal(first[0]) and again[1].equal(first[1])
    assert not second[0].equal(first[0])


def test_the_given_image_stays(scene):
    image, labels = scene[0].clone(), scene[1].clone()
    torch.manual_seed(0)
    augment(*scene)
    assert image.equal(scene[0]) and labels.equal(scene[1])


def test_lost_objects_are_drawn_again():
    image, labels = torch.full((3, 64, 64), 100.0), torch.zeros(64, 64, dtype=torch.uint8)
    labels[2:6, 2:6] = 1
    torch.manual_seed(0)
    once = sum(bool((augment(image, labels)[1] == 1).any()) for _ in range(40))
    more = sum(bool((augment(image, labels, redraws=5)[1] == 1).any()) for _ in range(40))
    assert once < 30 < more
    # Nothing to lose: it ends all the same.
    augment(image, torch.zeros_like(labels), redraws=2)
