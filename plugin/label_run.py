"""Labelling a raster in QGIS's task manager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..backend import protocol
from .backend_service import BackendService
from .client.errors import ClientError, RequestCancelled
from .client.pending import Pending
from .message_log import log_crash
from .request_fields import for_people
from .translation import tr

_TICK = 0.1  # seconds


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        percent: 0 to 100.
        text: For the user.
        seconds_left: None when it cannot be told yet.
    """

    percent: float
    text: str
    seconds_left: float | None = None


class LabelTask(QgsTask):
    """One run; everything that it needs was read from layers before it was made.

    Attributes:
        value: The result's values, None unless it succeeded.
        error: Why it failed, None when it succeeded or was cancelled.
        notes: What the backend said meanwhile: choices made, warnings.
    """

    stateChanged = pyqtSignal(object)

    def __init__(self, service: BackendService, message: protocol.Label) -> None:
        """Prepare a run; asks the service for its client here, in the GUI thread.

        Raises:
            ClientError: When there is no backend.
        """
        super().__init__(tr("Label {0}").format(Path(message.raster).name), QgsTask.Flag.CanCancel)
        self._client, self._message = service.client(), message
        self._pending: Pending | None = None
        self.value: dict[str, Any] | None = None
        self.error: str | None = None
        self.notes: list[str] = []

    def run(self) -> bool:
        """Do it, in a thread of the task manager."""
        try:
            self._pending = pending = self._client.request(self._message)
            while not pending.wait_done(_TICK):
                if self.isCanceled():
                    pending.cancel()
                self._tell(pending)
            self._tell(pending)
            self.value = pending.wait(0)
        except RequestCancelled:
            return False
        except (ClientError, protocol.ProtocolError) as error:
            log_crash(error)
            self.error = for_people(str(error), self._message)
            return False
        return True

    def cancel(self) -> None:
        """Cancel it; QGIS calls this, and the panel's own button."""
        if self._pending is not None:
            self._pending.cancel()
        super().cancel()

    def _tell(self, pending: Pending) -> None:
        for news in pending.poll():
            if isinstance(news, protocol.Progress):
                percent = 100.0 * news.done / max(news.total, 1)
                self.setProgress(percent)
                self.stateChanged.emit(RunState(percent, _with_tiles(news), news.seconds_left))
            elif isinstance(news, protocol.Log):
                self.notes.append(news.text)


def _with_tiles(news: protocol.Progress) -> str:
    if news.stage == "labels":
        return tr("Labelling, tile {0} of {1}").format(news.done, news.total)
    return stage_text(news.stage)


def stage_text(stage: str) -> str:
    """What a run does at the moment, for people."""
    if stage == "support":
        return tr("Learning from the polygons")
    if stage == "writing":
        return tr("Writing the files")
    if stage == "sampling":
        return tr("Drawing points")
    if stage == "assessing":
        return tr("Comparing the label map with the reference")
    if stage == "training":
        return tr("Fine-tuning")
    return tr("Labelling")


def time_text(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 90:
        return tr("{0} s").format(max(1, round(seconds)))
    if seconds < 5400:
        return tr("{0} min").format(round(seconds / 60))
    return tr("{0:.1f} h").format(seconds / 3600)


def size_text(size: float) -> str:
    """A number of bytes for people."""
    if size < 1e9:
        return tr("{0} MB").format(max(1, round(size / 1e6)))
    return tr("{0:.1f} GB").format(size / 1e9)
