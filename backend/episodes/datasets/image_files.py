"""Datasets of one label file per image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..cache import cache_folder, cached_array, fingerprint
from ..episode import SegmentationSample
from .labeled_file import LabeledFile, require, require_min_pixels


class ImageFiles:
    """Labelled images, read one file at a time.

    What classes each image has is found out once, by reading every label file, and kept in the cache.
    """

    def __init__(
        self,
        what: str,
        classes: Sequence[str],
        files: Sequence[LabeledFile],
        min_pixels: int = 1,
        cache: Path | None = None,
    ) -> None:
        """Collect images.

        Args:
            what: Name of the dataset and its folder, for messages.
            classes: Names of the classes 1..C.
            files: The images.
            min_pixels: A class counts as present with this many pixels. PFENet takes 2 * 32 * 32, PANet 1.
            cache: Folder for the index, else the user's cache folder.

        Raises:
            DatasetError: When files are missing or malformed.
        """
        require(files, what)
        require_min_pixels(min_pixels)
        self.classes = tuple(classes)
        self.files = tuple(files)
        self.min_pixels = min_pixels
        self.fingerprint = fingerprint(path for file in files for path in (file.image, file.labels))
        folder = cache or cache_folder()
        name = f"index-{fingerprint((file.labels for file in files), self.classes)}"
        self._counts = cached_array(folder, name, self._count)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read an image and its labels."""
        return self.files[index].read()

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in an image."""
        return frozenset((np.flatnonzero(self._counts[index] >= self.min_pixels) + 1).tolist())

    def _count(self) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        """Pixels of each class in each image: (images, classes)."""
        counts = np.zeros((len(self.files), len(self.classes)), np.int64)
        for row, file in zip(counts, self.files, strict=True):
            labels = file.read().labels.numpy()
            row[:] = np.bincount(labels.ravel(), minlength=256)[1 : len(self.classes) + 1]
        return counts
