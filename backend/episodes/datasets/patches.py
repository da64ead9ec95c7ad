"""Large aerial images, cut into patches that serve as the images of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..cache import cache_folder, cached_array, fingerprint
from ..episode import IGNORE, SegmentationSample
from ..errors import DatasetError
from .labeled_file import LabeledFile, require, require_min_pixels


@dataclass(frozen=True)
class Patch:
    """Where a patch lies.

    Args:
        tile: Index of its tile.
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
    """

    tile: int
    top: int
    left: int
    height: int
    width: int


class Patches:
    """Patches of labelled tiles.

    Each tile is decoded once into the cache, from which patches are read without decoding, by several processes at
    once, and without the libraries that decoding needed.

    Attributes:
        classes: Names of the classes 1..C.
        tiles: The files the patches are from.
        shapes: Height and width of each tile.
        patches: Where each patch lies.
    """

    def __init__(
        self,
        what: str,
        classes: Sequence[str],
        tiles: Sequence[LabeledFile],
        options: object = None,
        patch: int | None = 417,
        stride: int | None = None,
        min_pixels: int = 1,
        cache: Path | None = None,
    ) -> None:
        """Cut tiles into patches.

        Patches of nothing but ignored pixels are left out.

        Args:
            what: Name of the dataset and its folder, for messages.
            classes: Names of the classes 1..C.
            tiles: The tiles.
            options: Whatever else decides what is read from the files; part of the cache's names.
            patch: Side of a patch in pixels, 417 in Jiang et al.; None for whole tiles. The last patches of a row
                and a column are shifted inwards; tiles smaller than a patch give smaller patches.
            stride: From patch to patch; None: they touch.
            min_pixels: A class counts as present with this many pixels.
            cache: Folder for decoded tiles, else the user's cache folder.

        Raises:
            DatasetError: When files are missing or malformed, or nothing is labelled.
        """
        require(tiles, what)
        require_min_pixels(min_pixels)
        if patch is not None and (patch < 1 or (stride is not None and not 1 <= stride <= patch)):
            raise DatasetError(
                f"Patches of {patch} pixels every {stride} cannot be cut; use 1 <= stride <= patch."
            )
        self.classes = tuple(classes)
        self.tiles = tuple(tiles)
        self.fingerprint = fingerprint(path for tile in tiles for path in (tile.image, tile.labels))
        self.shapes: list[tuple[int, int]] = []
        self.patches: list[Patch] = []
        self._arrays: list[Path] = []
        self._present: list[frozenset[int]] = []
        folder = cache or cache_folder()
        for index, tile in enumerate(self.tiles):
            name = f"{tile.name}-{fingerprint((tile.image, tile.labels), self.classes, options)}"
            array = cached_array(folder, name, partial(_decode, tile))
            self._arrays.append(folder / f"{name}.npy")
            height, width = array.shape[1:]
            self.shapes.append((height, width))
            for top in _starts(height, patch, stride):
                for left in _starts(width, patch, stride):
                    side = patch or max(height, width)
                    place = Patch(index, top, left, min(side, height), min(side, width))
                    labels = _cut(array[3], place)
                    counts = np.bincount(labels.ravel(), minlength=256)
                    if counts[IGNORE] == labels.size:
                        continue
                    self.patches.append(place)
                    enough = np.flatnonzero(counts[1 : len(self.classes) + 1] >= min_pixels) + 1
                    self._present.append(frozenset(enough.tolist()))
        if not self.patches:
            raise DatasetError(
                f"In {what}, all labels are to be ignored; check the labels and the class list."
            )

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.patches)

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in a patch."""
        return self._present[index]

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Read the labels of a patch: (height, width)."""
        place = self.patches[index]
        return np.array(_cut(np.load(self._arrays[place.tile], mmap_mode="r")[3], place))

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read a patch."""
        place = self.patches[index]
        pixels = np.array(_cut(np.load(self._arrays[place.tile], mmap_mode="r"), place))
        return SegmentationSample(torch.from_numpy(pixels[:3]), torch.from_numpy(pixels[3]))


def _decode(tile: LabeledFile) -> NDArray[np.uint8]:
    """(4, height, width): red, green, blue, labels."""
    decoded = tile.read()
    return np.concatenate((decoded.image.numpy(), decoded.labels.numpy()[None]))


def _starts(length: int, patch: int | None, stride: int | None) -> list[int]:
    if patch is None or length <= patch:
        return [0]
    starts = list(range(0, length - patch + 1, stride or patch))
    return starts if starts[-1] == length - patch else [*starts, length - patch]


def _cut(array: NDArray[np.uint8], place: Patch) -> NDArray[np.uint8]:
    return array[..., place.top : place.top + place.height, place.left : place.left + place.width]
