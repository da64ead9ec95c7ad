"""What a head is fitted on: pooled features and pixel values of the support polygons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SupportFeatures:
    """Features of P support polygons of C classes.

    Attributes:
        labels: Class index of each polygon, shape (P,).
        prototypes: Masked average pooling of each polygon (Jiang et al., eq. 1; DPCL, eq. 1), shape (P, D).
        pixels: A sample of pixel values 0..255 of the polygons, shape (N, bands).
        pixel_polygon: The polygon of each sampled pixel, shape (N,).
        classes: C.
    """

    labels: NDArray[np.int64]
    prototypes: NDArray[np.float32]
    pixels: NDArray[np.float32]
    pixel_polygon: NDArray[np.int64]
    classes: int

    def class_prototypes(self) -> NDArray[np.float32]:
        """The mean over each class's polygons, as over K shots in the papers; shape (C, D)."""
        sums = np.zeros((self.classes, self.prototypes.shape[1]))
        np.add.at(sums, self.labels, self.prototypes)
        means = sums / np.bincount(self.labels, minlength=self.classes)[:, None]
        return means.astype(np.float32)
