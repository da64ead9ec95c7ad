"""The pixels of a raster as places on the ground, kept apart from its layer, which may go."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsRasterLayer, QgsRectangle


@dataclass(frozen=True)
class PixelGrid:
    """Where the pixels of a raster lie.

    Attributes:
        left: Of the upper left pixel.
        top: Of it.
        width: Of a pixel, in the raster's coordinates.
        height: Of a pixel.
        crs: The raster's.
    """

    left: float
    top: float
    width: float
    height: float
    crs: QgsCoordinateReferenceSystem

    @classmethod
    def of(cls, raster: QgsRasterLayer) -> PixelGrid:
        """The grid of a raster layer."""
        box = raster.extent()
        return cls(
            box.xMinimum(),
            box.yMaximum(),
            box.width() / max(raster.width(), 1),
            box.height() / max(raster.height(), 1),
            raster.crs(),
        )

    def pixel_at(self, place: QgsPointXY) -> QgsRectangle:
        """The pixel that holds a place in the raster's coordinates."""
        column = floor((place.x() - self.left) / self.width)
        row = floor((self.top - place.y()) / self.height)
        left, top = self.left + column * self.width, self.top - row * self.height
        return QgsRectangle(left, top - self.height, left + self.width, top)

    def around(self, place: QgsPointXY, pixels: float) -> QgsRectangle:
        """A square around a place, of so many pixels on each side."""
        half = pixels / 2
        return QgsRectangle(
            place.x() - half * self.width,
            place.y() - half * self.height,
            place.x() + half * self.width,
            place.y() + half * self.height,
        )


def corners(box: QgsRectangle) -> list[QgsPointXY]:
    """The corners of a rectangle in order."""
    return [
        QgsPointXY(box.xMinimum(), box.yMaximum()),
        QgsPointXY(box.xMaximum(), box.yMaximum()),
        QgsPointXY(box.xMaximum(), box.yMinimum()),
        QgsPointXY(box.xMinimum(), box.yMinimum()),
    ]
