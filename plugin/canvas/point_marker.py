"""The sample point in hand on the map: the outline of its pixel, and a crosshair that leaves the pixel free."""

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
from qgis.PyQt.QtCore import QLineF, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPen, QPolygonF

_LINE, _HALO = QColor("#e6007e"), QColor(255, 255, 255, 220)  # seen on ground of any colour
_LINE_WIDTH, _HALO_WIDTH = 1.6, 4.0  # screen pixels, as all that follow
_SMALLEST = 8.0  # side of the outline where a pixel of the map is smaller
_GAP, _ARM = 5.0, 22.0  # between outline and crosshair, and how long its arms are


class PointMarker(QgsMapCanvasItem):
    """Marks one pixel of a label map; nothing is marked at first."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._ring: tuple[QgsPointXY, ...] = ()
        self._crs = QgsCoordinateReferenceSystem()
        self._shown: tuple[QgsPointXY, ...] = ()  # in map coordinates
        self.setZValue(200)
        canvas.destinationCrsChanged.connect(self._transform)
        self.hide()

    def close(self) -> None:
        """Take it off the canvas; it cannot be used any more."""
        self._canvas.destinationCrsChanged.disconnect(self._transform)
        self._canvas.scene().removeItem(self)

    def mark(self, ring: Sequence[QgsPointXY], crs: QgsCoordinateReferenceSystem) -> None:
        """Mark a pixel.

        Args:
            ring: Its corners in order.
            crs: Of the corners.
        """
        self._ring, self._crs = tuple(ring), crs
        self._transform()

    def clear(self) -> None:
        """Mark nothing."""
        self._ring = ()
        self._transform()

    def updatePosition(self) -> None:
        """Follow the map; QGIS calls this when it has moved."""
        # The item stays at the canvas's origin and paints in its coordinates, since pixels are no squares on a rotated
        # canvas.
        self.prepareGeometryChange()
        self.update()

    def boundingRect(self) -> QRectF:
        """The item's area on the canvas."""
        return QRectF(0, 0, self._canvas.width(), self._canvas.height())

    def outline(self) -> QPolygonF:
        """The pixel on the canvas, never too small to be seen; empty when nothing is marked."""
        if not self._shown:
            return QPolygonF()
        polygon = QPolygonF([QPointF(self.toCanvasCoordinates(point)) for point in self._shown])
        box = polygon.boundingRect()
        if max(box.width(), box.height()) >= _SMALLEST:
            return polygon
        side, center = _SMALLEST, box.center()
        corners = QRectF(center.x() - side / 2, center.y() - side / 2, side, side)
        return QPolygonF([corners.topLeft(), corners.topRight(), corners.bottomRight(), corners.bottomLeft()])

    def paint(self, painter: QPainter, *args: object) -> None:
        """Paint it; QGIS calls this."""
        outline = self.outline()
        if outline.isEmpty():
            return
        arms = _arms(outline.boundingRect())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((_HALO, _HALO_WIDTH), (_LINE, _LINE_WIDTH)):
            painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawPolygon(outline)
            painter.drawLines(arms)
        painter.restore()

    def _transform(self) -> None:
        """Bring the corners into the map's system; what has no place there is not shown."""
        transform = QgsCoordinateTransform()
        target = self._canvas.mapSettings().destinationCrs()
        if self._crs.isValid() and target.isValid() and self._crs != target:
            transform = QgsCoordinateTransform(self._crs, target, QgsProject.instance())
        try:
            shown = tuple(transform.transform(point) for point in self._ring)
        except QgsCsException:
            shown = ()
        self._shown = shown if all(isfinite(p.x()) and isfinite(p.y()) for p in shown) else ()
        self.setVisible(bool(self._shown))
        self.updatePosition()


def _arms(box: QRectF) -> list[QLineF]:
    center, near, far = box.center(), _GAP, _GAP + _ARM
    return [
        QLineF(box.left() - far, center.y(), box.left() - near, center.y()),
        QLineF(box.right() + near, center.y(), box.right() + far, center.y()),
        QLineF(center.x(), box.top() - far, center.x(), box.top() - near),
        QLineF(center.x(), box.bottom() + near, center.x(), box.bottom() + far),
    ]
