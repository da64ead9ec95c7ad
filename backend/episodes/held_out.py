"""Images without the labels of classes that are held out for the test."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import torch

from .episode import IGNORE, LabeledImages, SegmentationSample


class HeldOutIgnored:
    """The same images, in which classes that are not trained on are ignored, neither objects nor background.

    PANet and its followers leave them as background. Few images of PASCAL show a class of the test fold, but where
    nearly every image shows nearly every class, as in a street or an aerial scene, a network is so taught to take
    the very classes that it is tested on for background.

    Attributes:
        classes: Names of all classes 1..C, trained on or not.
    """

    def __init__(self, images: LabeledImages, kept: Collection[int]) -> None:
        """Hide classes.

        Args:
            images: The images.
            kept: Ids of the classes that are trained on.
        """
        self.classes = images.classes
        self._images, self._kept = images, frozenset(kept)
        self._new = torch.arange(256, dtype=torch.uint8)
        for number in range(1, len(images.classes) + 1):
            if number not in self._kept:
                self._new[number] = IGNORE

    @property
    def fingerprint(self) -> str:
        """Of the files."""
        return self._images.fingerprint

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image; where a kept class overlaps a hidden one (COCO), it stays."""
        sample = self._images[index]
        hidden = {number: mask for number, mask in sample.hidden.items() if number in self._kept}
        return replace(sample, labels=self._new[sample.labels.long()], hidden=hidden)

    def present(self, index: int) -> frozenset[int]:
        """Ids of the kept classes in an image."""
        return self._images.present(index) & self._kept
