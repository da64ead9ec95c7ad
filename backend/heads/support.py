"""What a head is fitted on: pooled features and pixel values of the support polygons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


def no_cells() -> NDArray[np.float32]:
    """No cell."""
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class SupportFeatures:
    """Features of P support polygons of C classes.

    Attributes:
        labels: Class index of each polygon, shape (P,).
        prototypes: Masked average pooling of each polygon (Jiang et al., eq. 1; DPCL, eq. 1), shape (P, D).
        pixels: A sample of pixel values 0..255 of the polygons, shape (N, bands).
        pixel_polygon: The polygon of each sampled pixel, shape (N,).
        classes: C.
        cells: Features of a sample of the polygons' cells, shape (M, D); thin polygons may have none.
        cell_polygon: The polygon of each of them, shape (M,).
        cell_weights: Pixels of the polygon that each stands for, shape (M,).
    """

    labels: NDArray[np.int64]
    prototypes: NDArray[np.float32]
    pixels: NDArray[np.float32]
    pixel_polygon: NDArray[np.int64]
    classes: int
    cells: NDArray[np.float32] = field(default_factory=no_cells)
    cell_polygon: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    cell_weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def class_prototypes(self) -> NDArray[np.float32]:
        """The mean over each class's polygons, as over K shots in the papers; shape (C, D)."""
        sums = np.zeros((self.classes, self.prototypes.shape[1]))
        np.add.at(sums, self.labels, self.prototypes)
        means = sums / np.bincount(self.labels, minlength=self.classes)[:, None]
        return means.astype(np.float32)

    def without(self, polygon: int) -> SupportFeatures:
        """The same without one polygon, which its class must have another of."""
        kept = np.arange(len(self.labels)) != polygon
        place = np.cumsum(kept) - 1
        pixels, cells = self.pixel_polygon != polygon, self.cell_polygon != polygon
        return SupportFeatures(
            labels=self.labels[kept],
            prototypes=self.prototypes[kept],
            pixels=self.pixels[pixels],
            pixel_polygon=place[self.pixel_polygon[pixels]],
            classes=self.classes,
            cells=self.cells[cells],
            cell_polygon=place[self.cell_polygon[cells]],
            cell_weights=self.cell_weights[cells],
        )
