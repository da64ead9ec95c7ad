"""Joins the session, the dock and the map: what a panel asks for is done here or in a room of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import Qgis, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal

from ..backend import protocol
from .area import Area, AreaKind, features_area, rectangle_area
from .backend_service import BackendService
from .canvas.area_rectangle import AreaRectangle
from .drawing import Drawing
from .file_names import labels_path
from .gui_request import GuiRequest
from .message_log import log
from .panels.labeling_dock import LabelingDock
from .preview import LivePreview
from .raster_exports import RasterExports
from .request_fields import NotReadyError
from .run_control import RunControl
from .session import LabelingSession, is_readable
from .support_choice import SupportChoice
from .support_layer import SupportLayerError
from .translation import tr
from .uncertain_places import UncertainPlaces

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .accuracy.room import AccuracyRoom


class Workspace(QObject):
    """All that is open while the dock is; :meth:`close` leaves nothing of it."""

    setupRequested = pyqtSignal()
    drawingChanged = pyqtSignal(bool)
    previewChanged = pyqtSignal(bool)
    accuracyShown = pyqtSignal(bool)

    def __init__(self, iface: QgisInterface, service: BackendService) -> None:
        super().__init__(iface.mainWindow())
        self._iface, self._service = iface, service
        canvas = iface.mapCanvas()
        self.session = LabelingSession(QgsProject.instance(), self)
        self.drawing = Drawing(canvas, self.session, self)
        self.preview = LivePreview(canvas, self.session, service, self)
        self.places = UncertainPlaces(canvas, self.session, service, self)
        self.runs = RunControl(self.session, service, self)
        self.layers = SupportChoice(self.session, self.drawing, iface.mainWindow(), self)
        self.exports = RasterExports(canvas, self.session, iface.mainWindow(), self)
        self.dock = LabelingDock(self.session, service, iface.mainWindow())
        self._models: GuiRequest | None = None
        self.rectangle = AreaRectangle(canvas, self)
        self._accuracy: AccuracyRoom | None = None
        self._suggested = ""
        self._connect()
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        if self.session.raster is None:
            self._choose_active_raster()
        self._ask_models()
        self._suggest_output()

    def close(self) -> None:
        """End what runs, save the polygons, and take everything off the window and the map."""
        self._service.changed.disconnect(self._ask_models)
        if self._models is not None:
            self._models.abandon()
        if self._accuracy is not None:
            self._accuracy.close()
        self.exports.close()
        self.runs.close()
        self.places.close()
        self.preview.close()
        self.drawing.close()
        self.rectangle.close()
        self.dock.raster.close_requests()
        self._iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        self.session.close()
        self.deleteLater()

    def _connect(self) -> None:
        dock, drawing, preview = self.dock, self.drawing, self.preview
        dock.setupRequested.connect(self.setupRequested)
        dock.closing.connect(self._on_dock_closing)
        dock.classes.drawRequested.connect(self.draw)
        dock.classes.currentClassChanged.connect(self._on_current_class)
        dock.stopDrawingRequested.connect(drawing.stop)
        dock.useChanged.connect(lambda use: setattr(drawing, "use", use))
        dock.newSupportRequested.connect(self.layers.ask_new)
        dock.chooseSupportRequested.connect(self.layers.ask_existing)
        dock.importRequested.connect(self.layers.ask_import)
        dock.raster.exportRequested.connect(self.exports.ask)
        for room in (self.layers, self.exports):
            room.said.connect(self.say)
            room.refused.connect(self.warn)
        dock.preview.toggled_preview.connect(self.set_preview)
        dock.preview.uncertaintyChosen.connect(preview.set_uncertainty)
        dock.preview.opacityChanged.connect(preview.set_opacity)
        dock.preview.nextPlaceRequested.connect(self.next_place)
        dock.bar.runRequested.connect(self.ask_run)
        dock.bar.confirmed.connect(self.runs.start)
        dock.bar.withdrawn.connect(self.runs.withdraw)
        dock.bar.cancelRequested.connect(self.runs.cancel)
        dock.run.rectangleRequested.connect(self.rectangle.draw)
        dock.run.areaChanged.connect(self._show_rectangle)
        dock.visibilityChanged.connect(self._show_rectangle)
        self.rectangle.drawn.connect(lambda: dock.bar.show_idle(tr("The rectangle is drawn.")))
        drawing.activeChanged.connect(dock.show_drawing)
        drawing.activeChanged.connect(self.drawingChanged)
        drawing.classKeyPressed.connect(self._on_class_key)
        drawing.polygonsChanged.connect(self._on_polygons)
        drawing.layerCreated.connect(self._on_layer_created)
        drawing.refused.connect(self.warn)
        preview.statusChanged.connect(dock.preview.status.setText)
        preview.crashed.connect(self.warn)
        preview.expected.connect(dock.preview.expectation.show_expectation)
        preview.expectationOutdated.connect(dock.preview.expectation.show_outdated)
        preview.expectationGone.connect(dock.preview.expectation.clear)
        self.places.said.connect(dock.preview.status.setText)
        runs, bar = self.runs, dock.bar
        runs.estimating.connect(bar.show_estimating)
        runs.asked.connect(bar.show_question)
        runs.started.connect(lambda: preview.set_paused(True))
        runs.progressed.connect(bar.show_running)
        runs.cancelling.connect(bar.show_cancelling)
        runs.ended.connect(self._on_run_ended)
        self.session.rasterChanged.connect(self._on_raster)
        self.session.loaded.connect(self._on_loaded)
        self._service.changed.connect(self._ask_models)

    # Classes and polygons.

    def draw(self, class_id: int) -> None:
        """Draw polygons of a class."""
        entry = self.session.classes.entry(class_id)
        if entry is not None:
            self.drawing.start(entry)

    def toggle_drawing(self, on: bool) -> None:
        """Draw polygons of the current class, or stop that."""
        entry = self.dock.classes.current()
        if not on:
            self.drawing.stop()
        elif entry is not None:
            self.drawing.start(entry)
        else:
            self.warn(tr("Add a class first."))
            self.drawingChanged.emit(False)

    def _on_layer_created(self, path: str) -> None:
        self._iface.setActiveLayer(self.session.support)  # Ctrl+Z is for it, wherever the keyboard is
        self.say(tr("Support polygons are kept in {0}.").format(path))

    def _on_current_class(self, class_id: int) -> None:
        if self.drawing.active:
            self.draw(class_id)

    def _on_class_key(self, key: int) -> None:
        entries = self.session.classes.entries()
        if key <= len(entries):
            self.dock.classes.set_current(entries[key - 1].id)
            self.draw(entries[key - 1].id)

    def _on_polygons(self, counts: dict[int, Any]) -> None:
        self.dock.classes.set_counts(counts)
        self.places.forget()
        self.preview.refresh()

    # Preview.

    def set_preview(self, on: bool) -> None:
        """Switch the preview on or off, wherever that was asked for."""
        self.preview.set_enabled(on)
        self.dock.preview.toggle.setChecked(on)
        self.previewChanged.emit(on)

    def next_place(self) -> None:
        """Zoom to the next uncertain place."""
        self.places.go_on()

    # Runs.

    def ask_run(self) -> None:
        """Find out what the run takes that the dock describes."""
        if self.runs.busy:
            return
        raster = self.session.raster
        try:
            self.runs.ask(self._output(), self._area(raster))
        except (NotReadyError, SupportLayerError, protocol.ProtocolError) as error:
            self.dock.bar.show_idle(str(error))

    def _show_rectangle(self, dock_visible: bool = True) -> None:
        self.rectangle.set_shown(dock_visible and self.dock.run.area is AreaKind.RECTANGLE)

    def _output(self) -> Path:
        text = self.dock.run.output.filePath().strip()
        if not text:
            raise NotReadyError(tr("Name the file of the label map."))
        path = Path(text)
        path = path if path.suffix.lower() in (".tif", ".tiff") else path.with_name(path.name + ".tif")
        home = QgsProject.instance().homePath()
        return path if path.is_absolute() else Path(home or Path.home()) / path

    def _area(self, raster: QgsRasterLayer | None) -> Area:
        kind, settings = self.dock.run.area, self._iface.mapCanvas().mapSettings()
        if raster is None or kind is AreaKind.WHOLE:
            return Area()
        if kind is AreaKind.VIEW:
            return rectangle_area(settings.visibleExtent(), settings.destinationCrs(), raster.crs())
        if kind is AreaKind.RECTANGLE:
            drawn = self.rectangle.rectangle
            return rectangle_area(
                drawn or QgsRectangle(), drawn.crs() if drawn else raster.crs(), raster.crs()
            )
        return features_area(self.dock.run.features, self.runs.new_folder() / "area.gpkg")

    def _on_run_ended(self, text: str, success: bool) -> None:
        self.dock.bar.show_idle(text)
        self.preview.set_paused(False)
        if success:
            self.say(text, Qgis.MessageLevel.Success)
            self._suggest_output(True)
        elif text:
            self.warn(text)

    def _suggest_output(self, anew: bool = False) -> None:
        """Suggest a name that no file has; one that the user has written stays."""
        raster, field = self.session.raster, self.dock.run.output
        if raster is not None and (anew or field.filePath() in ("", self._suggested)):
            self._suggested = str(labels_path(raster, QgsProject.instance()))
            field.setFilePath(self._suggested)

    def _on_loaded(self) -> None:
        """Nothing of another project's runs stays."""
        self.rectangle.forget()
        self.dock.run.output.setFilePath("")  # a name is suggested with the raster

    def _on_raster(self) -> None:
        """A run that was not confirmed yet was for another raster or other bands."""
        self._suggest_output()
        if not self.runs.busy:
            self.runs.withdraw()
            self.dock.bar.show_idle("")

    # Accuracy.

    @property
    def accuracy(self) -> AccuracyRoom:
        """The accuracy assessment, which is made when it is first asked for."""
        if self._accuracy is None:
            from .accuracy.room import AccuracyRoom

            self._accuracy = AccuracyRoom(self._iface, self.session, self._service, self)
            self._accuracy.said.connect(self.say)
            self._accuracy.refused.connect(self.warn)
            self._accuracy.dock.visibilityChanged.connect(self.accuracyShown)
            self._accuracy.points.started.connect(self._on_labelling)
            self.drawing.activeChanged.connect(self._on_drawing)
            self.drawing.polygonsChanged.connect(self._accuracy.refresh)
        return self._accuracy

    def _on_labelling(self) -> None:
        """Drawing takes the same keys, and a preview would suggest the answers."""
        self.drawing.stop()
        self.set_preview(False)

    def _on_drawing(self, on: bool) -> None:
        if on and self._accuracy is not None:
            self._accuracy.points.stop()

    # The backend and the window.

    def _ask_models(self) -> None:
        if self._models is None and self._service.python() is not None:
            self._models = GuiRequest(self)
            self._models.done.connect(self._on_models)
            self._models.failed.connect(self._on_models)
            self._models.cancelled.connect(self._on_models)
            self._models.send(self._service, protocol.Models(0))

    def _on_models(self, value: object = None) -> None:
        self._models = None
        if isinstance(value, dict):
            self.dock.options.set_models(value)

    def _choose_active_raster(self) -> None:
        """Begin with the raster that the user looks at, or the only one there is."""
        rasters = [layer for layer in QgsProject.instance().mapLayers().values() if is_readable(layer)]
        active = self._iface.activeLayer()
        if active in rasters or len(rasters) == 1:
            self.session.set_raster(active if active in rasters else rasters[0])

    def _on_dock_closing(self) -> None:
        self.drawing.stop()
        self.set_preview(False)

    def say(self, text: str, level: Any = Qgis.MessageLevel.Info) -> None:
        """Tell something in QGIS's message bar."""
        self._iface.messageBar().pushMessage("Protolabel", text, level)

    def warn(self, text: str) -> None:
        """Tell what went wrong in QGIS's message bar, and keep it in the log."""
        log(text, Qgis.MessageLevel.Warning)
        self.say(text, Qgis.MessageLevel.Warning)
