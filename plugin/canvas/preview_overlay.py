"""The preview as a picture over the map."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPolygonF, QTransform

NO_DATA = 255
_PATCHES = 8  # the picture is bent in so many by so many flat pieces where the map's system is another one
_SURE, _UNSURE, _LOST = QColor(255, 255, 255, 0), QColor(255, 170, 0, 190), QColor(215, 0, 40, 235)


class PreviewOverlay(QgsMapCanvasItem):
    """Draws one picture of class indices or of uncertainty over the layers, wherever the map is moved."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._image: QImage | None = None
        self._points: list[list[QgsPointXY]] = []  # a lattice over the picture, in map coordinates
        self._opacity = 0.6
        self.setZValue(5)  # under rubber bands

    def show_picture(
        self, image: QImage, corners: Sequence[Sequence[float]], crs: QgsCoordinateReferenceSystem
    ) -> None:
        """Show a picture.

        Args:
            image: What to show.
            corners: Where its upper left, upper right, lower right and lower left corners lie.
            crs: The system of the corners; an invalid one stands for the map's own.
        """
        points = _lattice(corners, self._canvas.mapSettings().destinationCrs(), crs)
        self._image = image if points else None
        self._points = points
        self.updatePosition()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._image, self._points = None, []
        self.update()

    @property
    def empty(self) -> bool:
        """Whether nothing is shown."""
        return self._image is None

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity, 0 to 1."""
        self._opacity = opacity
        self.update()

    def updatePosition(self) -> None:
        """Follow the map; QGIS calls this when it has moved."""
        # The item stays at the origin of the canvas, whose size may be another one now, and paints in its coordinates:
        # a rectangle in the map is no rectangle on a rotated canvas.
        self.prepareGeometryChange()
        self.update()

    def boundingRect(self) -> QRectF:
        """The item's area on the canvas."""
        return QRectF(0, 0, self._canvas.width(), self._canvas.height())

    def paint(self, painter: QPainter, *args: object) -> None:
        """Paint the picture; QGIS calls this."""
        if self._image is None:
            return
        painter.save()
        painter.setOpacity(self._opacity)
        count = len(self._points) - 1
        width, height = self._image.width() / count, self._image.height() / count
        for row in range(count):
            for col in range(count):
                ring = (self._points[row][col], self._points[row][col + 1],
                        self._points[row + 1][col + 1], self._points[row + 1][col])  # fmt: skip
                source = QRectF(col * width, row * height, width, height)
                transform = QTransform()
                target = QPolygonF([QPointF(self.toCanvasCoordinates(point)) for point in ring])
                if QTransform.quadToQuad(QPolygonF(_ring(source)), target, transform):
                    painter.save()
                    painter.setTransform(transform, True)
                    painter.drawImage(source, self._image, source)
                    painter.restore()
        painter.restore()


def class_picture(data: bytes, width: int, height: int, colors: Sequence[str]) -> QImage:
    """A picture of class indices in class colours.

    Args:
        data: One byte a pixel: an index into ``colors``, or 255.
        width: Of the picture.
        height: Of the picture.
        colors: "#rrggbb" of each class.
    """
    table = [QColor(color).rgba() for color in colors]
    return _indexed(data, width, height, table)


def uncertainty_picture(data: bytes, width: int, height: int) -> QImage:
    """A picture of uncertainties: nothing where the labels are sure, over orange to red where they are not.

    Args:
        data: One byte a pixel: 0..100 percent, or 255.
        width: Of the picture.
        height: Of the picture.
    """
    table = [_mix(_SURE, _UNSURE, step / 50) for step in range(50)]
    table += [_mix(_UNSURE, _LOST, step / 50) for step in range(51)]
    return _indexed(data, width, height, [color.rgba() for color in table])


def _indexed(data: bytes, width: int, height: int, table: list[int]) -> QImage:
    if len(data) != width * height:
        raise ValueError(f"A picture of {width} x {height} pixels cannot have {len(data)} bytes.")
    transparent = QColor(0, 0, 0, 0).rgba()
    image = QImage(data, width, height, width, QImage.Format.Format_Indexed8)
    image.setColorTable([*table[:NO_DATA], *[transparent] * (256 - len(table[:NO_DATA]))])
    # A picture of its own: the bytes go, and painting an indexed one is slower.
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _mix(first: QColor, second: QColor, share: float) -> QColor:
    a, b = first.getRgb(), second.getRgb()
    return QColor(*[round(a[band] + (b[band] - a[band]) * share) for band in range(4)])


def _ring(rect: QRectF) -> list[QPointF]:
    return [rect.topLeft(), rect.topRight(), rect.bottomRight(), rect.bottomLeft()]


def _lattice(
    corners: Sequence[Sequence[float]],
    map_crs: QgsCoordinateReferenceSystem,
    crs: QgsCoordinateReferenceSystem,
) -> list[list[QgsPointXY]]:
    """Points over a picture in map coordinates; none where it cannot be brought to the map's system."""
    transform = QgsCoordinateTransform()
    bent = crs.isValid() and map_crs.isValid() and crs != map_crs
    if bent:
        transform = QgsCoordinateTransform(crs, map_crs, QgsProject.instance())
    count = _PATCHES if bent else 1
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    points = []
    try:
        for row in range(count + 1):
            down = row / count
            left = x0 + (x3 - x0) * down, y0 + (y3 - y0) * down
            right = x1 + (x2 - x1) * down, y1 + (y2 - y1) * down
            points.append(
                [
                    transform.transform(
                        QgsPointXY(
                            left[0] + (right[0] - left[0]) * col / count,
                            left[1] + (right[1] - left[1]) * col / count,
                        )
                    )
                    for col in range(count + 1)
                ]
            )
    except QgsCsException:
        return []
    # Where a projection ends, PROJ may give what is no number instead of an error.
    return points if all(isfinite(p.x()) and isfinite(p.y()) for row in points for p in row) else []
