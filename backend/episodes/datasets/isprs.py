"""What ISPRS Vaihingen and Potsdam share: classes, colours of the labels, how tiles are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..episode import IGNORE, SegmentationSample
from ..errors import DatasetError
from .bands import read_bands
from .labeled_file import join

CLASSES = ("impervious surface", "building", "low vegetation", "tree", "car", "clutter")

Labels = Literal["full", "eroded"]
Part = Literal["train", "test"]

# Index: 4 red + 2 green + blue, each 0 or 1. Black is the boundary (noBoundary labels) or undefined; magenta is none
# of the colours (descriptions that give it to cars are wrong: cars are yellow).
_CLASS_OF_COLOR = np.array([IGNORE, 2, 4, 3, 6, IGNORE, 5, 1], np.uint8)


def decode_colors(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """From the colours of ISPRS labels to class ids.

    White 1 impervious surface, blue 2 building, cyan 3 low vegetation, green 4 tree, yellow 5 car, red 6 clutter,
    black 255. Each channel is compared with 128, since some official files have colours beside the palette
    (Potsdam 4_12).

    Args:
        colors: (3, height, width).

    Returns:
        (height, width).
    """
    red, green, blue = (colors >= 128).astype(np.uint8)
    return _CLASS_OF_COLOR[4 * red + 2 * green + blue]


def off_palette(colors: NDArray[np.uint8]) -> float:
    """Share of pixels (0..1) whose colour is not exactly one of the palette.

    Args:
        colors: (3, height, width).
    """
    red, green, blue = colors >= 128
    pure = ((colors == 0) | (colors == 255)).all(axis=0)
    return float(1 - (pure & ~(red & ~green & blue)).mean())


def read_tile(
    image: Path, labels: Path, bands: Sequence[int] = (0, 1, 2), halved: bool = False
) -> SegmentationSample:
    """Read a tile.

    Args:
        image: Its file.
        labels: The file of its labels, as colours.
        bands: Which bands become red, green and blue, from 0.
        halved: Half the resolution: means of 2 x 2 pixels, of their labels the first.

    Raises:
        DatasetError: When they are malformed.
    """
    pixels, colors = read_bands(image), read_bands(labels)
    if len(pixels) <= max(bands) or len(colors) < 3:
        raise DatasetError(
            f"The tile {image} has {len(pixels)} bands and its labels {labels} have {len(colors)}; "
            f"{max(bands) + 1} and 3 are needed: use the original files."
        )
    tile = join(np.ascontiguousarray(pixels[list(bands)]), decode_colors(colors[:3]), image, labels)
    return halve(tile) if halved else tile


def halve(tile: SegmentationSample) -> SegmentationSample:
    """Half the resolution; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in tile.labels.shape)
    blocks = tile.image[:, :height, :width].reshape(3, height // 2, 2, width // 2, 2).float().mean((2, 4))
    return SegmentationSample(
        blocks.round().to(tile.image.dtype), tile.labels[:height:2, :width:2].contiguous()
    )
