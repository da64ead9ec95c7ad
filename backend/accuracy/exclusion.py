"""The support polygons, under which nothing is assessed: a map agrees with what it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..rasters.support import ClassInfo, SupportSet, inside_raster, to_pixels
from ..rasters.support_layer import read_layer
from .mapped import LabelMap


class Exclusion:
    """Pixels that are left out."""

    def __init__(self, path: str | Path | None, labels: LabelMap, notes: list[str]) -> None:
        """Read the polygons; those that are kept aside for validation do not count.

        Args:
            path: Anything that OGR reads, or None for no polygon.
            labels: The label map.
            notes: What the user should know is added here.

        Raises:
            SupportError: When it cannot be read, or holds no polygon.
        """
        polygons = []
        if path is not None:
            layer = read_layer(str(path), None, None)
            parts = inside_raster(to_pixels(layer, labels, notes), labels)
            polygons = [part for part in parts if not part.is_empty]
            notes.extend(layer.notes)
            if not polygons:
                notes.append(f"No polygon of {path} lies on the label map, so that none of it is left out.")
        # All of one class, so that they are no rivals where they overlap.
        self._polygons = SupportSet((ClassInfo(0, "support"),), tuple(polygons), (0,) * len(polygons))

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Which pixels of a window are left out; shape (window.height, window.width)."""
        result = np.zeros((int(window.height), int(window.width)), np.bool_)
        for index in self._polygons.touching(window):
            bounds = self._polygons.bounds(index, window)
            if bounds is not None:
                part = inside(bounds, window)
                result[part] |= self._polygons.mask(index, bounds)
        return result


def inside(part: Window, window: Window) -> tuple[slice, slice]:
    """Where a window lies in the array of a larger one."""
    row, col = int(part.row_off - window.row_off), int(part.col_off - window.col_off)
    return slice(row, row + int(part.height)), slice(col, col + int(part.width))
