"""What there is to fine-tune on: labelled scenes in memory, and the units that a hold-out never divides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..episodes.episode import IGNORE, SegmentationSample
from ..rasters.support import ClassInfo

FEWEST = 50
"""Pixels from which on a class of a scene can be drawn into episodes; see :class:`DrawnEpisodes`."""


@dataclass(frozen=True)
class RasterInfo:
    """One of the rasters.

    Attributes:
        path: As given.
        name: Of the file.
        pixel_size: Side of a pixel in metres, None where it is not known.
    """

    path: str
    name: str
    pixel_size: float | None


@dataclass(frozen=True)
class Scene:
    """A raster, or a part of it that has labels.

    Attributes:
        raster: Index into the material's rasters.
        image: Shape (3, height, width), uint8, RGB.
        labels: Shape (height, width), uint8: 1..C the material's classes, 255 not labelled.
        units: Number of the polygon or the part of a label raster that each label comes from, 0 for none; shape
            (height, width), int32.
        cell: Raster pixels per feature cell at which the tool would label the raster.
    """

    raster: int
    image: Tensor
    labels: NDArray[np.uint8]
    units: NDArray[np.int32]
    cell: int


@dataclass(frozen=True)
class Units:
    """What labels come from: polygons, and square parts of label rasters; their numbers are indices here.

    Attributes:
        polygon: Whether it is a polygon, shape (1 + U,).
        validation: Whether it is set aside for validation, shape (1 + U,).
    """

    polygon: NDArray[np.bool_]
    validation: NDArray[np.bool_]


@dataclass(frozen=True)
class Tally:
    """Labelled pixels, one row for each raster, unit and class that occur together.

    Attributes:
        raster: Shape (N,).
        unit: Shape (N,).
        label: Class index 0..C-1, shape (N,).
        pixels: Shape (N,).
    """

    raster: NDArray[np.int64]
    unit: NDArray[np.int64]
    label: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def table(self, rows: NDArray[np.int64], count: int, classes: int) -> NDArray[np.int64]:
        """Pixels by some row number of each entry and class, shape (count, classes)."""
        table = np.zeros((count, classes), np.int64)
        np.add.at(table, (rows, self.label), self.pixels)
        return table


@dataclass(frozen=True)
class Material:
    """Everything that was read.

    Attributes:
        rasters: In the order in which they were given.
        classes: Sorted by id; number 1 in the scenes' labels is the first.
        scenes: Of each raster those parts that are labelled.
        units: Of all scenes.
        notes: What the user should know.
    """

    rasters: tuple[RasterInfo, ...]
    classes: tuple[ClassInfo, ...]
    scenes: tuple[Scene, ...]
    units: Units
    notes: tuple[str, ...] = ()

    @cached_property
    def tally(self) -> Tally:
        """Counts the pixels."""
        rows: list[NDArray[np.int64]] = []
        for scene in self.scenes:
            labelled = scene.labels != IGNORE
            keys = scene.units[labelled].astype(np.int64) * 256 + scene.labels[labelled]
            found, pixels = np.unique(keys, return_counts=True)
            raster = np.full_like(found, scene.raster)
            rows.append(np.stack([raster, found // 256, found % 256 - 1, pixels]))
        joined = np.concatenate(rows, axis=1) if rows else np.zeros((4, 0), np.int64)
        return Tally(*joined)


class SceneImages:
    """Scenes as the images of episodes.

    Attributes:
        classes: Names of the classes 1..C.
        fingerprint: Empty, since nothing of them is kept in a cache.
    """

    fingerprint = ""

    def __init__(self, scenes: Sequence[Scene], classes: Sequence[ClassInfo]) -> None:
        """Wrap scenes."""
        self.classes = tuple(info.name for info in classes)
        self._samples = [SegmentationSample(scene.image, torch.from_numpy(scene.labels)) for scene in scenes]

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self._samples)

    def __getitem__(self, index: int) -> SegmentationSample:
        """A scene; nothing is copied."""
        return self._samples[index]

    def present(self, index: int) -> frozenset[int]:
        """Ids of the classes in a scene."""
        return frozenset(np.unique(self._samples[index].labels.numpy()).tolist()) - {0, IGNORE}
