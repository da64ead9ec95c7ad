"""What a pixel of the label map covers on the ground."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from ..rasters.measures import Measures
from .mapped import LabelMap

_SAME = 1e-9  # share by which planar areas of pixels may differ


class PixelAreas:
    """Areas of pixels: planar where the coordinate system's metres are metres, else on the ellipsoid.

    Attributes:
        unit: "m²", or "px" for a map without a coordinate system, where every pixel counts 1.
    """

    def __init__(self, labels: LabelMap) -> None:
        self._transform = labels.transform
        self._measures = Measures(labels.src)
        self.unit = "px" if self._measures.area == "area_px" else "m²"
        first, last = self._areas(np.array([0, labels.height - 1]), labels.width // 2)
        self._constant = float(first) if abs(last / first - 1) <= _SAME else None

    def of_rows(self, window: Window) -> NDArray[np.float64]:
        """The area of one pixel in each row of a window, at its middle column; shape (window.height,)."""
        if self._constant is not None:
            return np.full(int(window.height), self._constant)
        rows = np.arange(int(window.row_off), int(window.row_off + window.height))
        return self._areas(rows, int(window.col_off + window.width // 2))

    def _areas(self, rows: NDArray[np.int64], col: int) -> NDArray[np.float64]:
        forward = self._transform
        squares = np.array([shapely.box(col, row, col + 1, row + 1) for row in rows.tolist()], object)
        matrix = [[forward.a, forward.d], [forward.b, forward.e]]
        polygons = shapely.transform(squares, lambda xy: xy @ matrix + [forward.c, forward.f])
        areas, _ = self._measures.of(polygons)
        return areas
