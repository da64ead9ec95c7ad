"""Patches that overlap, in which each pixel of a tile counts once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..episode import IGNORE, SegmentationSample
from .patches import Patch, Patches


class PixelsOnce:
    """The patches of tiles, in each of which the pixels of earlier ones are ignored.

    The last patches of a row and a column are shifted inwards, over what the patches before them show: without this,
    a test would count those pixels twice. Patches of which nothing is left are left out.

    Attributes:
        classes: Names of the classes 1..C.
    """

    def __init__(self, patches: Patches) -> None:
        """Find out what is left of each patch."""
        self.classes = patches.classes
        self._patches = patches
        self._indices: list[int] = []
        self._earlier: list[list[Patch]] = []
        self._present: list[frozenset[int]] = []
        before: dict[int, list[Patch]] = defaultdict(list)
        for index, place in enumerate(patches.patches):
            earlier = [other for other in before[place.tile] if _overlap(other, place)]
            before[place.tile].append(place)
            left = frozenset(np.unique(_without(patches.labels(index), place, earlier)).tolist()) - {IGNORE}
            if left:
                self._indices.append(index)
                self._earlier.append(earlier)
                self._present.append(left - {0})

    @property
    def fingerprint(self) -> str:
        """Of the files."""
        return self._patches.fingerprint

    def __len__(self) -> int:
        """Number of patches."""
        return len(self._indices)

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in what is left of a patch."""
        return self._present[index]

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read a patch."""
        sample = self._patches[self._indices[index]]
        _without(sample.labels.numpy(), self._patches.patches[self._indices[index]], self._earlier[index])
        return sample


def _overlap(one: Patch, other: Patch) -> bool:
    # The patches of one tile have one size.
    return abs(one.top - other.top) < one.height and abs(one.left - other.left) < one.width


def _without(labels: NDArray[np.uint8], place: Patch, earlier: Sequence[Patch]) -> NDArray[np.uint8]:
    """The labels of a patch, (height, width), changed in place: 255 where an earlier patch has been."""
    for other in earlier:
        top, left = max(other.top - place.top, 0), max(other.left - place.left, 0)
        bottom = max(other.top + other.height - place.top, 0)
        right = max(other.left + other.width - place.left, 0)
        labels[top:bottom, left:right] = IGNORE
    return labels
