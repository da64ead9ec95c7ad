"""Several data sets as one, with the classes of all by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..episode import LabeledImages, SegmentationSample


class Collection:
    """Images of several data sets; classes of one name are one class.

    Attributes:
        classes: Names of all classes, in the order in which they first occur.
    """

    def __init__(self, parts: Sequence[LabeledImages]) -> None:
        """Put data sets together, of which there must be one at least."""
        self.classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        numbers = {name: number for number, name in enumerate(self.classes, start=1)}
        self._new = []
        for part in parts:
            table = torch.arange(256, dtype=torch.uint8)
            for old, name in enumerate(part.classes, start=1):
                table[old] = numbers[name]
            self._new.append(table)

    @property
    def fingerprint(self) -> str:
        """Of the files."""
        return " ".join(part.fingerprint for part in self._parts)

    def __len__(self) -> int:
        """Number of images."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image, with the class ids of the collection."""
        part, own = self._find(index)
        sample = self._parts[part][own]
        new = self._new[part]
        hidden = {int(new[number]): mask for number, mask in sample.hidden.items()}
        return replace(sample, labels=new[sample.labels.long()], hidden=hidden)

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in an image."""
        part, own = self._find(index)
        return frozenset(int(self._new[part][number]) for number in self._parts[part].present(own))

    def _find(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        part = int(np.searchsorted(self._ends, index, side="right"))
        return part, index - (int(self._ends[part - 1]) if part else 0)
