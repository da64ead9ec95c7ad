"""Classes that are held out are ignored in training."""

from __future__ import annotations

import torch

from backend.episodes.episode import IGNORE, SegmentationSample
from backend.episodes.held_out import HeldOutIgnored


class Images:
    classes = ("a", "b", "c")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> SegmentationSample:
        labels = torch.tensor([[0, 1, 2], [3, 3, IGNORE]], dtype=torch.uint8)
        under = dict.fromkeys((1, 3), labels == 2)
        return SegmentationSample(torch.zeros(3, 2, 3, dtype=torch.uint8), labels, under)

    def present(self, index: int) -> frozenset[int]:
        return frozenset({1, 2, 3})


def test_only_kept_classes_are_labelled():
    images = HeldOutIgnored(Images(), (1, 2))
    sample = images[0]
    assert sample.labels.tolist() == [[0, 1, 2], [IGNORE, IGNORE, IGNORE]]
    assert images.present(0) == {1, 2} and images.classes == ("a", "b", "c") and len(images) == 1
    assert set(sample.hidden) == {1}
    assert (sample.mask(3) != 1).all()
    assert Images()[0].labels.tolist()[1][0] == 3  # the images themselves are as they were
