"""The accuracy assessment: joins its dock, the labelling of points, and the backend."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, Qt, QTimer, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QFileDialog

from ...backend import protocol
from ..backend_service import BackendService
from ..file_names import points_path
from ..gui_request import GuiRequest
from ..label_run import stage_text
from ..panels.accuracy_dock import AccuracyDock
from ..panels.draw_points_dialog import DrawPointsDialog, PointPlan
from ..panels.point_dock import PointDock
from ..request_fields import NotReadyError
from ..results import classes_of
from ..session import LabelingSession
from ..translation import tr
from .assessment import Assessment, read_assessment
from .point_labeling import PointLabeling
from .report_files import save_report
from .request import accuracy_fields, map_source, support_file
from .sample_points import SamplePointsError, open_sample
from .sample_style import style_sample
from .session import AccuracySession, ReferenceKind

if TYPE_CHECKING:
    from qgis.gui import QgisInterface


class AccuracyRoom(QObject):
    """All that is open for it; :meth:`close` leaves nothing of it."""

    said = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(
        self,
        iface: QgisInterface,
        labeling: LabelingSession,
        service: BackendService,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._iface, self._labeling, self._service = iface, labeling, service
        self.project = QgsProject.instance()
        self.session = AccuracySession(self.project, self)
        self.dock = AccuracyDock(self.session, labeling, iface.mainWindow())
        self.point_dock = PointDock(iface.mainWindow())
        self.points = PointLabeling(iface.mapCanvas(), self.project, self.point_dock, self)
        self._request: GuiRequest | None = None
        self._layers_in_use: list[str] = []
        self._dialog: DrawPointsDialog | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-accuracy-"))
        self._assessment: Assessment | None = None
        self._report: Path | None = None  # of it, where the user has saved it last
        self._show_soon = QTimer(self)
        self._show_soon.setSingleShot(True)
        self._show_soon.timeout.connect(self.dock.show_choices)
        self._connect()
        self.points.show_results()  # where the project was closed while points were labelled
        side = Qt.DockWidgetArea.RightDockWidgetArea
        iface.addTabifiedDockWidget(side, self.dock, ["protolabelDock"], True)
        iface.addTabifiedDockWidget(side, self.point_dock, [self.dock.objectName()])
        self.point_dock.hide()

    def close(self) -> None:
        """End what runs and take everything off the window and the map."""
        self.project.removeAll.disconnect(self.points.stop)
        self.project.layersAdded.disconnect(self.refresh)
        self.project.layersRemoved.disconnect(self.refresh)
        self.project.layersWillBeRemoved.disconnect(self._on_layers_going)
        self._show_soon.stop()
        if self._request is not None:
            self._request.abandon()
        if self._dialog is not None:
            self._dialog.close()
        self.points.close()
        self.session.close()
        self.session.changed.disconnect(self.dock.show_choices)
        self._labeling.supportChanged.disconnect(self.dock.show_choices)
        for dock in (self.dock, self.point_dock):
            self._iface.removeDockWidget(dock)
            dock.deleteLater()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def busy(self) -> bool:
        """Whether the backend works for it."""
        return self._request is not None

    def refresh(self, *change: object) -> None:
        """Layers or polygons are not what they were; several changes may come at once."""
        self._show_soon.start(0)

    def assess(self) -> None:
        """Assess the map as the dock says."""
        if self.busy:
            return
        folder = self._new_folder()
        try:
            fields = accuracy_fields(self.session, self._labeling, folder)
            message = protocol.Accuracy(
                0, **fields, report=str(folder / "accuracy.html"), csv=str(folder / "tables")
            )
        except (NotReadyError, protocol.ProtocolError) as error:
            self.dock.bar.show_idle(str(error))
            return
        self._send(message, "assessing", self._on_assessed)

    def cancel(self) -> None:
        """Cancel what runs."""
        if self._request is not None:
            self.dock.bar.show_cancelling()
            self._request.cancel()

    def ask_points(self) -> None:
        """Ask how many points to draw."""
        if self.busy:
            return
        try:
            labels = map_source(self.session)
            support, _ = support_file(self.session, self._labeling, self._new_folder())
        except NotReadyError as error:
            self.dock.bar.show_idle(str(error))
            return
        if self._dialog is not None:
            self._dialog.close()
        output = points_path(self.session.label_map, self.project)
        dialog = DrawPointsDialog(self._service, labels, support, output, self._iface.mainWindow())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.planned.connect(lambda plan: self._draw(labels, support, plan))
        dialog.destroyed.connect(lambda: self._on_dialog_gone(dialog))
        self._dialog = dialog
        dialog.show()

    def ask_file(self) -> None:
        """Ask for a file of points that were drawn before."""
        path, _ = QFileDialog.getOpenFileName(
            self._iface.mainWindow(), tr("Sample Points"), self.project.homePath(), tr("GeoPackage (*.gpkg)")
        )
        if path:
            self.open_points(Path(path))

    def open_points(self, path: Path) -> None:
        """Use the points of a file."""
        try:
            layer = open_sample(path)
        except SamplePointsError as error:
            self.dock.bar.show_idle(str(error))
            return
        label_map = self.session.label_map
        style_sample(layer, classes_of(label_map) if label_map is not None else ())
        self.project.addMapLayer(layer, False)
        self.project.layerTreeRoot().insertLayer(0, layer)
        self.session.choose(points=layer.id(), kind=ReferenceKind.POINTS.value)

    def label_points(self) -> None:
        """Let the analyst label the points."""
        layer, label_map = self.session.points, self.session.label_map
        try:
            if label_map is None:
                raise SamplePointsError(tr("Choose the label map to assess."))
            if layer is None:
                raise SamplePointsError(tr("There are no points yet: draw some with Draw Points…."))
            self.points.start(layer, label_map)
        except SamplePointsError as error:
            self.dock.bar.show_idle(str(error))
            return
        self.dock.bar.show_idle("")
        self.point_dock.setUserVisible(True)
        self._iface.mapCanvas().setFocus()

    def save_report(self) -> None:
        """Ask where the report goes."""
        label_map = self.session.label_map
        name = f"{Path(label_map.source()).stem}_accuracy.html" if label_map is not None else "accuracy.html"
        path, _ = QFileDialog.getSaveFileName(
            self._iface.mainWindow(),
            tr("Save Report"),
            str(Path(self.project.homePath() or Path.home()) / name),
            tr("Web page (*.html)"),
        )
        if path:
            self.save_report_as(Path(path))

    def save_report_as(self, path: Path) -> None:
        """Save the report, and its tables beside it.

        Args:
            path: The HTML file; earlier ones are replaced.
        """
        assessment = self._assessment
        if assessment is None or assessment.report is None:
            return
        try:
            path, tables = save_report(assessment.report, assessment.tables, path)
        except OSError as error:
            text = tr("{0} cannot be written ({1}); choose another folder.")
            self.refused.emit(text.format(path, error.strerror or str(error)))
            return
        self._report = path
        self.said.emit(tr("The report is saved as {0}, with {1} tables beside it.").format(path, tables))

    def open_report(self) -> None:
        """Open the report in the browser."""
        if self._report is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._report)))

    def _connect(self) -> None:
        reference, bar, view = self.dock.reference, self.dock.bar, self.dock.view
        reference.drawRequested.connect(self.ask_points)
        reference.openRequested.connect(self.ask_file)
        reference.labelRequested.connect(self.label_points)
        bar.assessRequested.connect(self.assess)
        bar.cancelRequested.connect(self.cancel)
        view.openRequested.connect(self.open_report)
        view.saveRequested.connect(self.save_report)
        self.points.changed.connect(self._on_labels)
        self.points.ended.connect(self.point_dock.hide)
        self.points.refused.connect(self.refused)
        self.session.loaded.connect(self._on_loaded)
        self.project.removeAll.connect(self.points.stop)  # another project comes
        self.project.layersAdded.connect(self.refresh)
        self.project.layersRemoved.connect(self.refresh)
        self.project.layersWillBeRemoved.connect(self._on_layers_going)

    def _draw(self, labels: str, support: str | None, plan: PointPlan) -> None:
        message = protocol.SamplePoints(
            0, labels=labels, output=str(plan.output), count=plan.count, minimum=plan.minimum, seed=plan.seed,
            support=support,
        )  # fmt: skip
        self._send(message, "sampling", self._on_drawn)

    def _send(self, message: Any, stage: str, then: Callable[[dict[str, Any]], None]) -> None:
        layers = (self.session.label_map, self.session.raster)  # others were written to files of their own
        self._layers_in_use = [layer.id() for layer in layers if layer is not None]
        self._request = request = GuiRequest(self)
        request.news.connect(self._on_news)
        request.done.connect(lambda value: self._on_done(value, then))
        request.failed.connect(self._end)
        request.cancelled.connect(lambda: self._end(tr("Cancelled; nothing was written.")))
        self.dock.bar.show_running(f"{stage_text(stage)}…")
        request.send(self._service, message)

    def _on_done(self, value: dict[str, Any], then: Callable[[dict[str, Any]], None]) -> None:
        self._end("")
        then(value)

    def _end(self, text: str) -> None:
        self._request, self._layers_in_use = None, []
        self.dock.bar.show_idle(text)

    def _on_news(self, news: protocol.News) -> None:
        if self._request is not None and isinstance(news, protocol.Progress):
            self.dock.bar.show_running(stage_text(news.stage), news.done, news.total, news.seconds_left)

    def _on_assessed(self, value: dict[str, Any]) -> None:
        self._assessment = read_assessment(value)
        self._report = self._assessment.report
        self.dock.show_assessment(self._assessment)

    def _on_drawn(self, value: dict[str, Any]) -> None:
        self.open_points(Path(value["output"]))
        self.dock.bar.show_idle(tr("{0} points are drawn: choose Label Points.").format(value["points"]))

    def _on_dialog_gone(self, dialog: object) -> None:
        if self._dialog is dialog:  # and not another one that was opened meanwhile
            self._dialog = None

    def _on_labels(self) -> None:
        count = self.points.count()
        if count is not None:
            self.dock.reference.show_labels(count)

    def _on_loaded(self) -> None:
        """Nothing of another project's map stays."""
        self._assessment = self._report = None
        self.points.show_results()
        self.dock.view.hide()
        if not self.busy:
            self.dock.bar.show_idle("")

    def _on_layers_going(self, ids: list[str]) -> None:
        """What is read at the moment may lose its file with its layer."""
        if self._request is not None and set(ids) & set(self._layers_in_use):
            self._request.abandon()
            self._end(tr("A layer in use was removed, so it was cancelled; nothing was written."))

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))
