"""From a layer that the backend cannot read to a GeoTIFF that it can."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from .panels.export_dialog import ExportDialog
from .raster_export import ExportPlan, ExportTask
from .run_control import free_name
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

    def close(self) -> None:
        """Cancel what is going on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def ask(self) -> None:
        """Ask which part of the raster in work to save."""
        raster = self._session.raster
        if raster is None:
            return
        home = QgsProject.instance().homePath() or str(Path.home())
        output = free_name(Path(home) / f"{raster.name()}.tif")
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
            self.refused.emit(
                tr("Wait until the export that goes on has ended, or cancel it in the task bar.")
            )
            return
        self._task = task = ExportTask(raster, plan, QgsProject.instance().transformContext())
        task.setDependentLayers([raster])
        task.taskCompleted.connect(self._on_completed)
        task.taskTerminated.connect(self._on_terminated)
        QgsApplication.taskManager().addTask(task)
        self.said.emit(tr("{0} is written; the task bar shows how far it is.").format(plan.path.name))

    def _on_completed(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            layer = QgsRasterLayer(str(task.plan.path), task.plan.path.stem)
            QgsProject.instance().addMapLayer(layer)
            self._session.set_raster(layer)

    def _on_terminated(self) -> None:
        task, self._task = self._task, None
        if task is not None and task.error:
            self.refused.emit(task.error)
