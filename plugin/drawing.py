"""Drawing support polygons: the map tool, the class in hand, the layer that takes the polygons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsGeometry, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor

from .canvas.drawing_tool import DrawingTool
from .classes import ClassEntry
from .file_names import support_path
from .session import LabelingSession, is_readable
from .support_layer import (
    PolygonCount,
    SupportLayerError,
    add_polygon,
    count_polygons,
    create_support_layer,
    missing_file,
    style_support_layer,
    update_class_names,
)
from .support_package import SupportExistsError
from .translation import tr

if TYPE_CHECKING:
    from qgis.core import QgsRasterLayer


class Drawing(QObject):
    """Puts what is drawn into the support layer, which it makes when there is none, and keeps its style and counts."""

    activeChanged = pyqtSignal(bool)
    classKeyPressed = pyqtSignal(int)
    polygonsChanged = pyqtSignal(dict)  # PolygonCount by class id
    layerCreated = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(self, canvas: QgsMapCanvas, session: LabelingSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._session = canvas, session
        self.tool = DrawingTool(canvas)
        self.tool.polygonDrawn.connect(self.add)
        self.tool.classKeyPressed.connect(self.classKeyPressed)
        self.tool.undoRequested.connect(self.undo)
        self.tool.redoRequested.connect(self.redo)
        self.tool.refused.connect(self.refused)
        self.tool.leaveRequested.connect(self.stop)
        self.tool.activated.connect(lambda: self.activeChanged.emit(True))
        self.tool.deactivated.connect(lambda: self.activeChanged.emit(False))
        self._earlier: QgsMapTool | None = None
        self._entry: ClassEntry | None = None
        self._layer: QgsVectorLayer | None = None
        self.use = "support"
        self._count_soon = QTimer(self)
        self._count_soon.setSingleShot(True)
        self._count_soon.timeout.connect(self.count)
        session.supportChanged.connect(self._follow)
        session.rasterChanged.connect(self._on_change)
        session.loaded.connect(self._restyle)
        session.classes.changed.connect(self._restyle)
        session.project.writeProject.connect(self.save)
        self._follow()

    def close(self) -> None:
        """Give the map back and save the polygons."""
        self.stop()
        self.save()
        self._session.project.writeProject.disconnect(self.save)
        self._release()
        self._canvas.unsetMapTool(self.tool)
        self.tool.close()

    @property
    def active(self) -> bool:
        """Whether the map takes polygons."""
        return self._canvas.mapTool() is self.tool

    def start(self, entry: ClassEntry) -> None:
        """Draw polygons of a class from now on."""
        self._entry = entry
        self.tool.set_color(QColor(entry.color))
        if not self.active:
            self._earlier = self._canvas.mapTool()
            self._canvas.setMapTool(self.tool)
        self._canvas.setFocus()

    def stop(self) -> None:
        """Return to the tool that was in use before."""
        if self.active:
            if self._earlier is not None:
                self._canvas.setMapTool(self._earlier)
            else:
                self._canvas.unsetMapTool(self.tool)
        self._earlier = None

    def add(self, geometry: QgsGeometry) -> None:
        """Add a polygon in map coordinates to the class in hand."""
        raster, entry = self._session.raster, self._entry
        if raster is None:
            self.refused.emit(tr("Choose the raster first."))
            return
        if entry is None:
            self.refused.emit(tr("Choose a class first."))
            return
        try:
            layer = self.layer_for(raster)
            transform = QgsCoordinateTransform(
                self._canvas.mapSettings().destinationCrs(), layer.crs(), self._session.project
            )
            geometry.transform(transform)
            add_polygon(layer, geometry, entry, self.use)
        except QgsCsException:
            self.refused.emit(tr("The polygon lies outside of the area of the support layer's CRS."))
        except SupportLayerError as error:
            self.refused.emit(str(error))

    def layer_for(self, raster: QgsRasterLayer) -> QgsVectorLayer:
        """The support layer; a new one when the session has none.

        Raises:
            SupportLayerError: When it cannot be made.
        """
        if self._session.support is None:
            path = support_path(raster, self._session.project)
            try:
                layer = create_support_layer(path, raster.crs(), path.stem)
            except SupportExistsError:  # another QGIS was faster
                path = support_path(raster, self._session.project)
                layer = create_support_layer(path, raster.crs(), path.stem)
            self._session.project.addMapLayer(layer)
            self._session.set_support(layer)
            self.layerCreated.emit(str(path))
        return self._session.support

    def undo(self) -> None:
        """Take back the last change of the polygons."""
        if self._session.support is not None:
            self._session.support.undoStack().undo()
            self._canvas.refresh()

    def redo(self) -> None:
        """Make the last change that was taken back again."""
        if self._session.support is not None:
            self._session.support.undoStack().redo()
            self._canvas.refresh()

    def save(self, *document: object) -> None:
        """Write the polygons into their file; the layer stays editable."""
        layer = self._session.support
        if layer is None:
            return
        gone = missing_file(layer)
        if gone is not None:  # a failed commit would leave QGIS with a layer that crashes it
            if layer.isModified():
                self.refused.emit(
                    tr("{0} is gone, so the support polygons were not saved: bring the file back.").format(
                        gone
                    )
                )
            return
        try:
            update_class_names(layer, self._session.classes.entries())
        except SupportLayerError as error:
            self.refused.emit(str(error))
            return
        if layer.isModified() and not layer.commitChanges(False):
            self.refused.emit(
                tr(
                    "The support polygons cannot be saved ({0}); check that their file may be written to."
                ).format(layer.commitErrors()[-1].strip())
            )

    def count(self) -> None:
        """Tell how many polygons and pixels each class has."""
        self._count_soon.stop()
        layer, raster = self._session.support, self._session.raster
        counts: dict[int, PolygonCount] = {}
        if layer is not None and raster is not None:
            area = 0.0  # the pixels of a service are of no size
            if is_readable(raster):
                area = raster.rasterUnitsPerPixelX() * raster.rasterUnitsPerPixelY()
            counts = count_polygons(layer, raster.crs(), area or None)
        self.polygonsChanged.emit(counts)

    def _follow(self) -> None:
        """Take over the session's support layer."""
        self._release()
        layer = self._session.support
        if layer is not None:
            layer.undoStack().indexChanged.connect(self._on_change)
            layer.afterRollBack.connect(self._on_change)
            layer.editingStopped.connect(self._on_change)
            self._layer = layer
            self._restyle()
        self._on_change()

    def _release(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            try:
                layer.undoStack().indexChanged.disconnect(self._on_change)
                layer.afterRollBack.disconnect(self._on_change)
                layer.editingStopped.disconnect(self._on_change)
            except RuntimeError:
                pass  # removed from the project, Qt has deleted it

    def _on_change(self, *change: object) -> None:
        self._count_soon.start(0)  # several changes come at once

    def _restyle(self) -> None:
        if self._session.support is not None:
            style_support_layer(self._session.support, self._session.classes.entries())
        if self._entry is not None:
            self._entry = self._session.classes.entry(self._entry.id)
            if self._entry is None:
                self.stop()
            else:
                self.tool.set_color(QColor(self._entry.color))
        self._on_change()
