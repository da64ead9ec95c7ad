"""From a layer that the backend cannot read to a GeoTIFF that it can."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QProgressDialog, QWidget

from .file_names import export_path
from .panels.export_dialog import ExportDialog
from .raster_export import ExportPlan, ExportTask
from .results import place_in_tree
from .session import LabelingSession
from .translation import tr


class RasterExports(QObject):
    """Asks for the part, saves it in the background, and puts the file in the layer's place."""

    said = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(
        self, canvas: QgsMapCanvas, session: LabelingSession, window: QWidget, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._canvas, self._session, self._window = canvas, session, window
        self._task: ExportTask | None = None
        self._progress: QProgressDialog | None = None

    def close(self) -> None:
        """Cancel what is going on."""
        task, self._task = self._task, None
        self._hide_progress()
        if task is not None:
            task.cancel()

    def ask(self) -> None:
        """Ask which part of the raster in work to save."""
        raster = self._session.raster
        if raster is None:
            return
        output = export_path(raster, QgsProject.instance())
        dialog = ExportDialog(raster, self._canvas, output, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.planned.connect(self.start)
        dialog.show()

    def start(self, plan: ExportPlan) -> None:
        """Save a part of the raster in work, and work with the file from then on."""
        raster = self._session.raster
        if raster is None:
            return
        if self._task is not None:
            self.refused.emit(tr("Wait until the export that goes on has ended, or cancel it."))
            return
        self._task = task = ExportTask(raster, plan, QgsProject.instance().transformContext())
        task.setDependentLayers([raster])
        task.taskCompleted.connect(self._on_completed)
        task.taskTerminated.connect(self._on_terminated)
        self._show_progress(task)
        QgsApplication.taskManager().addTask(task)

    def _on_completed(self) -> None:
        task, self._task = self._task, None
        self._hide_progress()
        if task is not None:
            layer = QgsRasterLayer(str(task.plan.path), task.plan.path.stem)
            project = QgsProject.instance()
            # Over the layer that it is a part of, and so under the polygons that were drawn on that.
            place = place_in_tree(project.layerTreeRoot(), self._session.raster) or 0
            project.addMapLayer(layer, False)
            project.layerTreeRoot().insertLayer(place, layer)
            self._session.set_raster(layer)

    def _on_terminated(self) -> None:
        task, self._task = self._task, None
        self._hide_progress()
        if task is not None and task.error:
            self.refused.emit(task.error)

    def _show_progress(self, task: ExportTask) -> None:
        """Show a bar of our own with a Cancel button, beside QGIS's task bar; QGIS can be used meanwhile."""
        text = tr("Exporting {0}…").format(task.plan.path.name)
        self._progress = progress = QProgressDialog(text, tr("Cancel"), 0, 100, self._window)
        progress.setObjectName("protolabelExportProgress")
        progress.setWindowTitle("Protolabel")
        progress.setAutoClose(False)
        progress.setAutoReset(False)
        progress.canceled.connect(task.cancel)
        task.progressChanged.connect(self._on_progress)
        progress.show()

    def _on_progress(self, percent: float) -> None:
        if self._progress is not None:
            self._progress.setValue(round(percent))

    def _hide_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.canceled.disconnect()
            progress.close()
            progress.deleteLater()
