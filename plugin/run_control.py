"""A run from the question what it takes to the layers on the map."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..backend import protocol
from .area import Area
from .backend_service import BackendService
from .client.errors import ClientError
from .gui_request import GuiRequest
from .label_run import LabelTask, RunState
from .message_log import log
from .request_fields import labeling_fields
from .result_text import result_description, result_message
from .results import add_result_group
from .session import LabelingSession
from .translation import tr

_LONG = 600.0  # seconds; a longer run is confirmed first


class RunControl(QObject):
    """One run at a time: estimate, confirmation, task, result."""

    estimating = pyqtSignal()
    asked = pyqtSignal(dict)  # the estimate, for the user to confirm
    started = pyqtSignal()
    progressed = pyqtSignal(object)
    cancelling = pyqtSignal()
    ended = pyqtSignal(str, bool)  # a text for the user, and whether there is a result

    def __init__(
        self, session: LabelingSession, service: BackendService, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._service = session, service
        self._folder: Path | None = None
        self._request: GuiRequest | None = None
        self._message: protocol.Label | None = None
        self._task: LabelTask | None = None

    @property
    def busy(self) -> bool:
        """Whether a run is estimated or going on."""
        return self._request is not None or self._task is not None

    def new_folder(self) -> Path:
        """A folder for the files of the next run."""
        self._remove_folder()
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-run-"))
        return self._folder

    def ask(self, output: Path, area: Area) -> None:
        """Find out what a run takes, and start it at once when that is little.

        Args:
            output: The label map.
            area: Which part of the raster.

        Raises:
            NotReadyError: When the raster or the polygons are missing.
            SupportLayerError: When the polygons cannot be written.
        """
        folder = self._folder or self.new_folder()
        fields = labeling_fields(self._session, folder / "support.gpkg", self._service.settings.device)
        options = self._session.options
        self._message = protocol.Label(
            **fields,
            **area.fields(),
            output=str(output),
            confidence=str(beside(output, "confidence", ".tif")) if options.confidence else None,
            vector=str(beside(output, "polygons", ".gpkg")) if options.vector else None,
        )
        self._request = GuiRequest(self)
        self._request.done.connect(self._on_estimate)
        self._request.failed.connect(lambda text: self._end(text))
        self._request.cancelled.connect(lambda: self._end(tr("Cancelled; nothing was written.")))
        self.estimating.emit()
        self._request.send(self._service, protocol.Estimate(**fields, **area.fields(), output=str(output)))

    def start(self) -> None:
        """Start the run that was asked for."""
        if self._message is None or self._task is not None:
            return
        try:
            task = LabelTask(self._service, self._message)
        except ClientError as error:
            self._end(str(error))
            return
        raster = self._session.raster
        if raster is not None:
            task.setDependentLayers([raster])  # the run ends with its layer
        self._task = task  # QGIS keeps no reference that Python would know of
        task.stateChanged.connect(self._on_state)
        task.taskCompleted.connect(self._on_completed)
        task.taskTerminated.connect(self._on_terminated)
        self.started.emit()
        self.progressed.emit(RunState(0.0, tr("Starting…")))
        QgsApplication.taskManager().addTask(task)

    def cancel(self) -> None:
        """Cancel what is going on."""
        if self._request is not None:
            self._request.cancel()
        if self._task is not None:
            self.cancelling.emit()
            self._task.cancel()

    def withdraw(self) -> None:
        """Forget a run that was not confirmed."""
        if not self.busy:
            self._message = None
            self._remove_folder()

    def close(self) -> None:
        """End everything and remove all files."""
        if self._request is not None:
            self._request.abandon()
        task, self._task = self._task, None
        if task is not None:
            for signal in (task.taskCompleted, task.taskTerminated, task.stateChanged):
                signal.disconnect()
            task.cancel()
        self._remove_folder()

    def _on_estimate(self, estimate: dict[str, Any]) -> None:
        self._request = None
        if not estimate["possible"]:
            self._end(estimate["warnings"][0])
            return
        warnings = list(estimate.get("warnings", []))
        output = Path(self._message.output)
        if output.exists():
            warnings.append(tr("{0} exists and will be replaced.").format(output.name))
        if estimate["seconds"] > _LONG or warnings:
            self.asked.emit({**estimate, "warnings": warnings})
        else:
            self.start()

    def _on_state(self, state: RunState) -> None:
        if self._task is not None:
            self.progressed.emit(state)

    def _on_completed(self) -> None:
        task, message = self._task, self._message
        if task is None or message is None or task.value is None:
            return
        output = Path(task.value["output"])
        group = add_result_group(
            QgsProject.instance(),
            output.stem,
            output,
            Path(message.confidence) if message.confidence else None,
            Path(message.vector) if message.vector else None,
            self._session.classes.entries(),
            self._session.support,
            self._session.raster,
            result_description(task.value),
        )
        for note in task.notes:
            log(note)
        self._end(result_message(group.name(), task.value), True)

    def _on_terminated(self) -> None:
        if self._task is not None:
            self._end(self._task.error or tr("Cancelled; nothing was written."))

    def _end(self, text: str, success: bool = False) -> None:
        self._request = self._task = self._message = None
        self._remove_folder()
        self.ended.emit(text, success)

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def beside(output: Path, what: str, suffix: str) -> Path:
    """The name of a file that belongs to a label map."""
    return output.with_name(f"{output.stem}_{what}{suffix}")
