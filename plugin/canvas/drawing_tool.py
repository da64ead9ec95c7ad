"""The map tool that draws support polygons."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand, QgsSnapIndicator
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QKeySequence

from ..compat import POINT_GEOMETRY, POLYGON_GEOMETRY
from ..geometries import clean_polygon
from ..translation import tr

_FILL_OPACITY = 60  # of 255
_WIDTH = 2  # pixels
_FREEHAND_TOLERANCE = 1.5  # pixels that a freehand outline may be off after it is simplified
_TAKE_BACK = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)
_FINISH = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class DrawingTool(QgsMapTool):
    """Draws one polygon after the other, in the coordinates of the canvas.

    A left click adds a vertex; a right click, Enter or a double click finishes; Backspace and Ctrl+Z take back a
    vertex; Esc cancels. Dragging with Shift held draws freehand. Vertices snap as the project says.
    """

    polygonDrawn = pyqtSignal(QgsGeometry)
    classKeyPressed = pyqtSignal(int)  # 1 to 9
    undoRequested = pyqtSignal()  # Ctrl+Z while nothing is drawn
    redoRequested = pyqtSignal()
    leaveRequested = pyqtSignal()  # Esc while nothing is drawn
    refused = pyqtSignal(str)  # why a polygon cannot be finished

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._vertices: list[QgsPointXY] = []
        self._pointer: QgsPointXY | None = None
        self._freehand = False
        self._band = QgsRubberBand(canvas, POLYGON_GEOMETRY)
        self._band.setWidth(_WIDTH)
        self._dots = QgsRubberBand(canvas, POINT_GEOMETRY)
        self._dots.setIcon(QgsRubberBand.IconType.ICON_FULL_BOX)
        self._dots.setIconSize(6)
        self._snap = QgsSnapIndicator(canvas)
        canvas.destinationCrsChanged.connect(self.cancel)  # the vertices would be somewhere else
        self.set_color(QColor("#0072b2"))

    def close(self) -> None:
        """Take everything off the canvas; the tool cannot be used any more."""
        canvas = self.canvas()
        canvas.destinationCrsChanged.disconnect(self.cancel)
        canvas.unsetMapTool(self)
        for band in (self._band, self._dots):
            canvas.scene().removeItem(band)

    def set_color(self, color: QColor) -> None:
        """Draw in the colour of a class."""
        fill, halo = QColor(color), QColor(Qt.GlobalColor.white)
        fill.setAlpha(_FILL_OPACITY)
        halo.setAlpha(200)
        self._band.setFillColor(fill)
        self._band.setStrokeColor(color)
        self._band.setSecondaryStrokeColor(halo)  # keeps the line visible on ground of the same colour
        self._dots.setColor(color)
        self._dots.setSecondaryStrokeColor(halo)
        self._show()

    def is_drawing(self) -> bool:
        """Whether a polygon is begun."""
        return bool(self._vertices)

    def cancel(self) -> None:
        """Drop the polygon that is begun."""
        self._vertices.clear()
        self._freehand = False
        self._show()

    def take_back(self) -> None:
        """Take back the last vertex."""
        del self._vertices[-1:]
        self._show()

    def finish(self) -> None:
        """Finish the polygon; what cannot be one stays, so that it can be mended."""
        geometry = QgsGeometry.fromPolygonXY([[*self._vertices, *self._vertices[:1]]])
        if len(self._vertices) < 3:
            self.refused.emit(tr("A polygon needs at least three vertices; click another one."))
        elif clean_polygon(geometry).isNull():
            self.refused.emit(tr("This polygon encloses no area; click another vertex."))
        elif not geometry.isGeosValid():
            self.refused.emit(
                tr("This polygon crosses itself; take back vertices with Backspace, or cancel it with Esc.")
            )
        else:
            self.cancel()
            self.polygonDrawn.emit(geometry)

    def activate(self) -> None:
        """Called by the canvas."""
        super().activate()
        self.canvas().installEventFilter(self)
        self.canvas().setFocus()

    def deactivate(self) -> None:
        """Called by the canvas."""
        self.canvas().removeEventFilter(self)
        self.cancel()
        self._pointer = None
        self._snap.setVisible(False)
        super().deactivate()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Add a vertex or finish; vertices come on pressing, so that a double click needs no special care."""
        if event.button() == Qt.MouseButton.RightButton:
            if self._vertices:
                self.finish()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._freehand = (
                bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier) and not self._vertices
            )
            self._add(self._place(event))

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Show where the next vertex would be."""
        self._pointer = event.mapPoint() if self._freehand else self._place(event)
        if self._freehand:
            self._add(self._pointer)
        elif self._vertices:
            self._show()

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Finish what is drawn freehand."""
        if self._freehand and event.button() == Qt.MouseButton.LeftButton:
            self._finish_freehand()

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:
        """Finish; the first of the two clicks has set the last vertex."""
        if event.button() == Qt.MouseButton.LeftButton and self._vertices and not self._freehand:
            self.finish()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Do what the key says; an ignored one tells the canvas to do nothing else with it."""
        if self._handle(event, act=True):
            event.ignore()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep QGIS's shortcuts, such as Ctrl+Z for its current layer, from taking the keys of this tool."""
        if event.type() == QEvent.Type.ShortcutOverride and self._handle(event, act=False):
            event.accept()
            return True
        return super().eventFilter(watched, event)

    def _handle(self, event: QKeyEvent, act: bool) -> bool:
        """Tell whether a key is one of this tool, and do what it says."""
        key, action = event.key(), None
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.matches(QKeySequence.StandardKey.Undo):
            action = self.take_back if self._vertices else self.undoRequested.emit
        elif event.matches(QKeySequence.StandardKey.Redo) or _is_redo(event):
            action = self.redoRequested.emit
        elif plain and Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            number = int(key) - int(Qt.Key.Key_0)
            action = lambda: self.classKeyPressed.emit(number)  # noqa: E731
        elif plain and key == Qt.Key.Key_Escape:
            action = self.cancel if self._vertices else self.leaveRequested.emit
        elif plain and self._vertices and key in _TAKE_BACK:
            action = self.take_back
        elif plain and self._vertices and key in _FINISH:
            action = self.finish
        if action is not None and act:
            action()
        return action is not None

    def _place(self, event: QgsMapMouseEvent) -> QgsPointXY:
        """Where a vertex goes, by the snapping of the project."""
        place = event.snapPoint()
        self._snap.setMatch(event.mapPointMatch())
        return QgsPointXY(place)

    def _add(self, place: QgsPointXY) -> None:
        if not self._vertices or place != self._vertices[-1]:
            self._vertices.append(place)
        self._show()

    def _finish_freehand(self) -> None:
        """Simplify what the hand has drawn, and drop the loops where it crosses itself."""
        ring = [*self._vertices, *self._vertices[:1]]
        self.cancel()
        if len(ring) < 4:
            return  # a click
        tolerance = _FREEHAND_TOLERANCE * self.canvas().mapUnitsPerPixel()
        geometry = clean_polygon(QgsGeometry.fromPolygonXY([ring]).simplify(tolerance))
        parts = [] if geometry.isNull() else geometry.asGeometryCollection()
        largest = max(parts, key=QgsGeometry.area, default=QgsGeometry())
        if largest.isNull() or largest.area() < (2 * tolerance) ** 2:
            self.refused.emit(tr("This polygon encloses no area; draw it again, or zoom in."))
        else:
            self.polygonDrawn.emit(largest)

    def _show(self) -> None:
        """Draw what is there, with the edge to the pointer."""
        self._band.reset(POLYGON_GEOMETRY)
        self._dots.reset(POINT_GEOMETRY)
        pending = [self._pointer] if self._vertices and self._pointer and not self._freehand else []
        for place in [*self._vertices, *pending]:
            self._band.addPoint(place, False)
        if not self._freehand:
            for place in self._vertices:
                self._dots.addPoint(place, False)
        for band in (self._band, self._dots):
            band.setVisible(bool(self._vertices))
            band.updatePosition()
            band.update()


def _is_redo(event: QKeyEvent) -> bool:
    """Ctrl+Y and Ctrl+Shift+Z, both on every platform."""
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    pressed = event.modifiers()
    return (event.key() == Qt.Key.Key_Y and pressed == control) or (
        event.key() == Qt.Key.Key_Z and pressed == control | shift
    )
