"""A fine-tuning run in a worker of its own: start, pause, cancel, and going on after whatever has ended it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QLockFile, QObject, pyqtSignal

from ...backend import protocol
from ..backend_service import FINE_TUNING, BackendService
from ..client.errors import ClientError
from ..gui_request import GuiRequest
from ..message_log import log
from ..request_fields import NotReadyError
from ..translation import tr
from .comparison import Comparison, read_comparison
from .curves import Curves
from .run_folder import RunFolder, left_runs, new_run_folder
from .run_status import RunStatus, add_to_curves, read_journal, read_status


class Phase(Enum):
    """Where a run is."""

    NONE = "none"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    INTERRUPTED = "interrupted"  # and can be gone on with
    DONE = "done"


class FineTuningRun(QObject):
    """One run at a time; no window need be open for it.

    Attributes:
        phase: Where it is.
        status: How far it is.
        curves: What is plotted of it.
        reason: Why it was interrupted, or could not be begun.
        comparison: Its end, None before.
        folder: Where it keeps everything, None when there is no run.
    """

    phaseChanged = pyqtSignal()
    advanced = pyqtSignal()

    def __init__(self, service: BackendService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._request: GuiRequest | None = None
        self._lock: QLockFile | None = None
        self._resumed = self._fresh = False
        self.phase = Phase.NONE
        self._forget()

    @property
    def active(self) -> bool:
        """Whether the worker is at it, be it paused."""
        return self._request is not None

    def start(self, base: str, device: str, fields: Callable[[Path], dict[str, Any]]) -> None:
        """Begin a run.

        Args:
            base: The name of the model that it begins with.
            device: What it runs on, also when it is gone on with.
            fields: Gives the fields of the request, and may write files into the run's folder.

        Raises:
            NotReadyError: When something is missing, or the folder cannot be written.
        """
        try:
            folder = new_run_folder(self._service.environments.root, base, device)
        except OSError as error:
            raise NotReadyError(
                tr("{path} cannot be written ({reason}); free some space there.").format(
                    path=self._service.environments.root, reason=error.strerror or error
                )
            ) from error
        try:
            message = protocol.Finetune(id=0, folder=str(folder.path), device=device, **fields(folder.path))
        except BaseException:
            folder.remove()
            raise
        self._forget()
        self._send(folder, message, resumed=False)

    def left(self) -> list[RunFolder]:
        """Runs of earlier days that can be gone on with, or whose models were not saved."""
        return left_runs(self._service.environments.root)

    def open(self, folder: RunFolder) -> None:
        """Go on with a run of an earlier day, or show its end."""
        if self.active:
            return
        self._forget()
        if folder.result is None:
            self.folder = folder
            self.resume()
        else:
            self.folder, self._lock = folder, folder.lock()
            self._finish(dict(folder.result))

    def resume(self) -> None:
        """Go on with a run that was interrupted, from its last checkpoint."""
        if self.folder is not None and not self.active:
            message = protocol.Finetune(
                id=0, folder=str(self.folder.path), device=self.folder.device, resume=True
            )
            self._send(self.folder, message, resumed=True)

    def set_paused(self, on: bool) -> None:
        """Let the run wait, or go on; the phase follows when the worker has done so."""
        number = self._request.id if self._request is not None else None
        if number is not None:
            message = protocol.Pause(0, number) if on else protocol.Resume(0, number)
            try:
                self._service.client(FINE_TUNING).request(message)
            except ClientError as error:
                log(str(error))  # the run itself tells of a lost worker

    def cancel(self) -> None:
        """End the run; its last checkpoint is kept."""
        if self._request is not None:
            self._set_phase(Phase.STOPPING)
            self._request.cancel()

    def discard(self) -> None:
        """Forget the run and remove its files."""
        if not self.active:
            folder = self.folder
            self._forget()
            if folder is not None:
                folder.remove()
            self._set_phase(Phase.NONE)

    def close(self) -> None:
        """End the worker's part; the files stay, so that the run can be gone on with."""
        if self._request is not None:
            self._request.abandon()
            self._request = None
        self._release()

    def _send(self, folder: RunFolder, message: protocol.Finetune, resumed: bool) -> None:
        self._release()
        self._lock = folder.lock()
        self.folder, self.reason, self._resumed, self._fresh = folder, "", resumed, True
        if self._lock is None:
            self._interrupt(tr("Another QGIS is at this run."))
            return
        self.status = RunStatus()
        self._request = GuiRequest(self, FINE_TUNING)
        self._request.news.connect(self._on_news)
        self._request.done.connect(self._on_done)
        self._request.failed.connect(self._on_failed)
        self._request.cancelled.connect(self._on_cancelled)
        self._request.send(self._service, message)
        self._set_phase(Phase.RUNNING)

    def _on_news(self, news: protocol.News) -> None:
        if isinstance(news, protocol.Log):
            log(news.text)
        elif isinstance(news, protocol.Partial):
            self.status = read_status(news.value)
            if self._fresh and news.value["journal"]:
                self.curves = read_journal(Path(news.value["journal"]))
            self._fresh = False
            add_to_curves(self.curves, news.value)
            if self.phase is not Phase.STOPPING:
                self._set_phase(Phase.PAUSED if self.status.stage == "paused" else Phase.RUNNING)
            self.advanced.emit()

    def _on_done(self, value: dict[str, Any]) -> None:
        self._request = None
        try:
            self.folder.keep_result(value)
        except OSError as error:
            log(str(error))  # it can be saved now, but not another day
        self._finish(value)

    def _finish(self, value: dict[str, Any]) -> None:
        self.comparison = read_comparison(value)
        self._set_phase(Phase.DONE)

    def _on_failed(self, text: str) -> None:
        lost, self._request = self._request.worker_lost, None
        text = text.replace(str(self.folder.path), tr("the run's folder"))
        text = text[:1].upper() + text[1:]
        if lost or self._resumed or self.status.iteration > 0:
            self._interrupt(text)
            return
        folder = self.folder
        self._forget()
        folder.remove()  # there is nothing in it to go on from
        self.reason = text
        self._set_phase(Phase.NONE)

    def _on_cancelled(self) -> None:
        self._request = None
        self._interrupt(tr("The run was cancelled at iteration {0}.").format(self.status.iteration))

    def _interrupt(self, reason: str) -> None:
        self._release()
        self.reason = reason
        self._set_phase(Phase.INTERRUPTED)

    def _forget(self) -> None:
        self._release()
        self.status, self.curves = RunStatus(), Curves()
        self.reason = ""
        self.comparison: Comparison | None = None
        self.folder: RunFolder | None = None

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None

    def _set_phase(self, phase: Phase) -> None:
        changed, self.phase = phase is not self.phase, phase
        if changed:
            self.phaseChanged.emit()
