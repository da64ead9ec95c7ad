"""The rectangle to label: dragged on the map, then seen there."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsRectangle, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsMapToolExtent, QgsRubberBand
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ..compat import POLYGON_GEOMETRY

_COLOR = QColor("#d55e00")
_WIDTH = 2  # pixels


class AreaRectangle(QObject):
    """Lets the user drag a rectangle, and shows it while it counts."""

    drawn = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._tool = QgsMapToolExtent(canvas)
        self._tool.extentChanged.connect(self._on_drawn)
        self._earlier: QgsMapTool | None = None
        self._rectangle: QgsReferencedRectangle | None = None
        self._shown = False
        self._band = QgsRubberBand(canvas, POLYGON_GEOMETRY)
        self._band.setStrokeColor(_COLOR)
        self._band.setFillColor(QColor(Qt.GlobalColor.transparent))
        self._band.setWidth(_WIDTH)
        self._band.setLineStyle(Qt.PenStyle.DashLine)
        canvas.destinationCrsChanged.connect(self._update)

    def close(self) -> None:
        """Take everything off the canvas."""
        self._canvas.destinationCrsChanged.disconnect(self._update)
        self._canvas.unsetMapTool(self._tool)
        self._tool.deleteLater()
        self._canvas.scene().removeItem(self._band)

    @property
    def rectangle(self) -> QgsReferencedRectangle | None:
        """The rectangle in the system that the map had when it was drawn."""
        return self._rectangle

    def draw(self) -> None:
        """Let the user drag the rectangle; the map tool that was in use comes back after that."""
        if self._canvas.mapTool() is not self._tool:
            self._earlier = self._canvas.mapTool()
        self._canvas.setMapTool(self._tool)

    def forget(self) -> None:
        """There is no rectangle any more."""
        self._rectangle = None
        self._update()

    def set_shown(self, shown: bool) -> None:
        """Show it on the map or not."""
        self._shown = shown
        self._update()

    def _on_drawn(self, rectangle: QgsRectangle) -> None:
        if self._canvas.mapTool() is self._tool and self._earlier is not None:
            self._canvas.setMapTool(self._earlier)
        self._earlier = None
        if rectangle.isEmpty():
            return  # a click
        crs = self._canvas.mapSettings().destinationCrs()
        self._rectangle = QgsReferencedRectangle(rectangle, crs)
        self._update()
        self.drawn.emit()

    def _update(self) -> None:
        self._band.reset(POLYGON_GEOMETRY)
        if self._shown and self._rectangle is not None:
            self._band.setToGeometry(QgsGeometry.fromRect(self._rectangle), self._rectangle.crs())
