"""Labelling sample points on the map: goes from point to point, keeps the label map out of sight meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..canvas.point_keys import PointKeys
from ..canvas.point_marker import PointMarker
from ..classes import ClassEntry
from ..panels.point_dock import PointDock
from ..results import RESULT_PROPERTY, classes_of
from ..translation import tr
from .pixel_grid import PixelGrid, corners
from .sample_points import SampleCount, SamplePoints, SamplePointsError
from .sample_style import leave_out_of_sight, style_sample

_HIDDEN = "protolabel/hidden"  # of nodes in the layer tree that are out of sight for a while
_CONTEXT = 100  # pixels of the map around a point that are seen at first


class PointLabeling(QObject):
    """One layer of points at a time; :meth:`stop` leaves the map as it was."""

    started = pyqtSignal()
    changed = pyqtSignal()  # labels
    ended = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(
        self, canvas: QgsMapCanvas, project: QgsProject, dock: PointDock, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._canvas, self._project, self._dock = canvas, project, dock
        self._marker = PointMarker(canvas)
        self._keys = PointKeys(self)
        self._points: SamplePoints | None = None
        self._grid: PixelGrid | None = None
        self._entries: dict[int, ClassEntry] = {}
        self._map_id = ""
        self._index = 0
        dock.classChosen.connect(self.label)
        dock.nextRequested.connect(lambda: self.go(1))
        dock.previousRequested.connect(lambda: self.go(-1))
        dock.skipRequested.connect(self.skip)
        dock.undoRequested.connect(self.undo)
        dock.zoomRequested.connect(self.zoom)
        dock.predictionToggled.connect(self._on_prediction)
        dock.closing.connect(self.stop)
        keys = self._keys
        keys.digitPressed.connect(self._on_digit)
        keys.nextPressed.connect(lambda: self.go(1))
        keys.previousPressed.connect(lambda: self.go(-1))
        keys.skipPressed.connect(self.skip)
        keys.undoPressed.connect(self.undo)
        keys.zoomPressed.connect(self.zoom)

    def close(self) -> None:
        """Take everything off the map."""
        self.stop()
        self._marker.close()

    @property
    def active(self) -> bool:
        """Whether points are being labelled."""
        return self._points is not None

    @property
    def index(self) -> int:
        """Which point is in hand, from 0."""
        return self._index

    def count(self) -> SampleCount | None:
        """How far the labelling is, None while there is none."""
        return self._points.count() if self._points is not None else None

    def start(self, layer: QgsVectorLayer, label_map: QgsRasterLayer) -> None:
        """Label the points of a layer, from the first that is not labelled yet.

        Args:
            layer: Of sample points.
            label_map: The map that they were drawn from; its classes are offered.

        Raises:
            SamplePointsError: When the layer is none of sample points, or the map names no classes.
        """
        self.stop()
        entries = classes_of(label_map)
        if not entries:
            raise SamplePointsError(
                tr("{0} names no classes: give it a paletted style, or choose another map.").format(
                    label_map.name()
                )
            )
        points = SamplePoints(layer, self)
        self.started.emit()
        points.changed.connect(self._on_changed)
        points.gone.connect(self._on_gone)
        self._points, self._grid, self._map_id = points, PixelGrid.of(label_map), label_map.id()
        self._offer(entries)
        style_sample(layer, entries)
        label_map.styleChanged.connect(self._on_style)
        self._hide_results()
        self._index = points.next_open() or 0
        self._show_point()
        self._show_place(at_first_scale=True)
        self._dock.say("" if points.count().left else tr("All points are done: assess the map now."))
        self._tell_of_other_classes()
        self._canvas.setFocus()

    def stop(self) -> None:
        """End the labelling; everything is saved already."""
        points, self._points = self._points, None
        if points is None:
            return
        if points.layer is not None:
            leave_out_of_sight(points.layer, None)
        points.close()
        points.deleteLater()
        self._keys.release()
        self._marker.clear()
        self.show_results()
        label_map = self._project.mapLayer(self._map_id)
        if label_map is not None:
            label_map.styleChanged.disconnect(self._on_style)
        self.ended.emit()

    def label(self, class_id: int) -> None:
        """Give the point in hand a class and go on to the next that is not labelled yet."""
        points, entry = self._points, self._entries.get(class_id)
        if points is not None and entry is not None:
            self._save(lambda: points.label(self._index, entry))

    def skip(self) -> None:
        """Tell that the point in hand cannot be told, and go on."""
        points = self._points
        if points is not None:
            self._save(lambda: points.skip(self._index))

    def undo(self) -> None:
        """Take back the last label and show its point."""
        if self._points is None:
            return
        try:
            index = self._points.undo()
        except SamplePointsError as error:
            self._dock.say(str(error), trouble=True)
            return
        if index is None:
            self._dock.say(tr("There is nothing to take back."))
        else:
            self._go_to(index)

    def go(self, step: int) -> None:
        """Go to the next point (1) or the one before (-1), labelled or not; round and round."""
        if self._points is not None:
            self._go_to((self._index + step) % len(self._points))

    def zoom(self) -> None:
        """Show the point in hand at the first scale."""
        self._show_place(at_first_scale=True)

    def _save(self, step: Callable[[], None]) -> None:
        try:
            step()
        except SamplePointsError as error:
            self._dock.say(str(error), trouble=True)
            self._show_point()  # the button that was clicked is not what the file says
            return
        following = self._points.next_open(self._index)
        if following is not None:
            self._go_to(following)
        else:
            self._show_point()
            self._dock.say(tr("All points are done: assess the map now."))

    def _go_to(self, index: int) -> None:
        self._index = index
        self._dock.say("")
        self._show_point()
        self._show_place()

    def _show_point(self) -> None:
        points = self._points
        if points is not None:
            self._index = min(self._index, len(points) - 1)
            self._dock.show_point(self._index, len(points), points[self._index], points.count())
            if points.layer is not None:
                leave_out_of_sight(points.layer, points[self._index].feature)

    def _show_place(self, at_first_scale: bool = False) -> None:
        """Bring the point into the middle of the map, and mark its pixel; the analyst's scale stays."""
        points, grid = self._points, self._grid
        if points is None or points.layer is None or grid is None:
            return
        layer_crs, map_crs = points.layer.crs(), self._canvas.mapSettings().destinationCrs()
        place = points[self._index].place
        try:
            on_grid = QgsCoordinateTransform(layer_crs, grid.crs, self._project).transform(place)
            view = grid.around(on_grid, _CONTEXT)
            view = QgsCoordinateTransform(grid.crs, map_crs, self._project).transformBoundingBox(view)
        except QgsCsException:
            self._marker.clear()
            self._dock.say(tr("The point cannot be shown in the CRS of the map."), trouble=True)
            return
        self._marker.mark(corners(grid.pixel_at(on_grid)), grid.crs)
        if at_first_scale:
            self._canvas.setExtent(view)
        else:
            self._canvas.setCenter(view.center())
        self._canvas.refresh()

    def _offer(self, entries: Sequence[ClassEntry]) -> None:
        """Offer these classes to the analyst."""
        self._entries = {entry.id: entry for entry in entries}
        self._dock.set_classes(entries)
        self._keys.watch(self._canvas, self._dock, *self._dock.findChildren(QWidget))

    def _on_digit(self, digit: int) -> None:
        class_id = self._dock.class_of_key(digit)
        if class_id is not None:
            self.label(class_id)

    def _on_style(self) -> None:
        """The map has other classes now, or other colours for them."""
        points, label_map = self._points, self._project.mapLayer(self._map_id)
        entries = classes_of(label_map) if label_map is not None else ()
        if (
            points is None
            or points.layer is None
            or not entries
            or list(entries) == list(self._entries.values())
        ):
            return
        self._offer(entries)
        style_sample(points.layer, entries)
        self._show_point()
        self._tell_of_other_classes()

    def _tell_of_other_classes(self) -> None:
        others = self._points.other_classes(self._entries) if self._points is not None else []
        if others:
            text = tr("Some points have classes that this map does not have ({0}): label them again.")
            self._dock.say(text.format(", ".join(map(str, others))), trouble=True)

    def _on_changed(self) -> None:
        self._show_point()
        self.changed.emit()

    def _on_gone(self) -> None:
        self.stop()
        self.refused.emit(
            tr("The layer of the points was removed. All labels are in its file: open it to label on.")
        )

    # What shows the answer is out of sight meanwhile.

    def _on_prediction(self, shown: bool) -> None:
        if self._points is not None:
            if shown:
                self.show_results()
            else:
                self._hide_results()
            self._show_point()

    def _hide_results(self) -> None:
        if self._dock.shows_prediction:
            return
        for node in self._project.layerTreeRoot().findLayers():
            layer = node.layer()
            is_answer = layer is not None and (
                layer.id() == self._map_id or layer.customProperty(RESULT_PROPERTY)
            )
            if is_answer and node.itemVisibilityChecked():
                node.setItemVisibilityChecked(False)
                node.setCustomProperty(_HIDDEN, True)  # kept with the project, which may be closed meanwhile

    def show_results(self) -> None:
        """Show again what was taken out of sight, be it before the project was closed."""
        for node in self._project.layerTreeRoot().findLayers():
            if node.customProperty(_HIDDEN):
                node.removeCustomProperty(_HIDDEN)
                node.setItemVisibilityChecked(True)
