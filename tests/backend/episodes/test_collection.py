"""Several data sets as one."""

from __future__ import annotations

import pytest
import torch

from backend.episodes.datasets.collection import Collection
from backend.episodes.episode import SegmentationSample


class Part:
    """Images that all show the same labels."""

    def __init__(self, classes: tuple[str, ...], labels: list[list[int]], count: int) -> None:
        self.classes = classes
        self._labels, self._count = torch.tensor(labels, dtype=torch.uint8), count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> SegmentationSample:
        if index >= self._count:
            raise IndexError
        image = torch.full((3, *self._labels.shape), index, dtype=torch.uint8)
        return SegmentationSample(image, self._labels, {1: self._labels == 2})

    def present(self, index: int) -> frozenset[int]:
        return frozenset(self._labels.unique().tolist()) - {0, 255}


def test_classes_of_one_name_are_one_class():
    first = Part(("road", "water"), [[0, 1, 2]], 2)
    second = Part(("roof", "road"), [[1, 2, 255]], 3)
    images = Collection([first, second])
    assert images.classes == ("road", "water", "roof")
    assert len(images) == 5
    assert images[1].labels.tolist() == [[0, 1, 2]] and images[1].image.max() == 1
    assert images[2].labels.tolist() == [[3, 1, 255]] and images[2].image.max() == 0
    assert images[4].image.max() == 2
    assert images.present(0) == {1, 2} and images.present(3) == {1, 3}
    assert images[2].mask(3).tolist() == [[1, 1, 255]]  # hidden below the road
    assert set(images[2].hidden) == {3} and set(images[0].hidden) == {1}
    with pytest.raises(IndexError):
        images[5]
