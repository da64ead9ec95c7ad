"""A request to the worker whose answers arrive in the GUI thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal

from .client.errors import ClientError, RequestCancelled
from .client.pending import Pending
from .message_log import log_crash
from .request_fields import for_people

if TYPE_CHECKING:
    from ..backend import protocol
    from .backend_service import BackendService


class GuiRequest(QObject):
    """Sends one request; the signals come in the thread that made this object.

    Attributes:
        worker_lost: Whether it failed since the worker ended in the middle.

    Keep a reference until ``done``, ``failed`` or ``cancelled`` has come, of which exactly one comes unless
    :meth:`abandon` was called.
    """

    news = pyqtSignal(object)
    done = pyqtSignal(dict)
    failed = pyqtSignal(str)
    cancelled = pyqtSignal()

    _settled = pyqtSignal(object)  # from the client's thread to this object's
    _arrived = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None, purpose: str = "") -> None:
        """Prepare a request.

        Args:
            parent: The Qt object that it belongs to.
            purpose: Of the worker that shall have it; see :meth:`BackendService.client`.
        """
        super().__init__(parent)
        self._purpose = purpose
        self._pending: Pending | None = None
        self._message: protocol.Request | None = None
        self._abandoned = self.worker_lost = False
        self._settled.connect(self._settle, Qt.ConnectionType.QueuedConnection)
        self._arrived.connect(self._take, Qt.ConnectionType.QueuedConnection)

    @property
    def id(self) -> int | None:
        """The request's number, None when it could not be sent."""
        return self._pending.id if self._pending is not None else None

    def send(self, service: BackendService, message: protocol.Request) -> None:
        """Send it; what goes wrong is told by ``failed``, too, and never before this returns."""
        self._message = message
        try:
            self._pending = service.client(self._purpose).request(
                message, on_news=self._emit_news, on_done=self._emit_done
            )
        except ClientError as error:
            self._settled.emit(error)

    def cancel(self) -> None:
        """Cancel it; ``cancelled`` follows, or ``done`` when it came too late."""
        if self._pending is not None:
            self._pending.cancel()

    def abandon(self) -> None:
        """Cancel it and hear nothing more of it."""
        self._abandoned = True
        self.cancel()

    # Called in the client's threads, possibly when Qt has deleted this object already.

    def _emit_news(self, news: protocol.News) -> None:
        self._emit(self._arrived, news)

    def _emit_done(self, pending: Pending) -> None:
        self._emit(self._settled, pending)

    def _emit(self, signal: Any, value: object) -> None:
        if self._abandoned:
            return
        try:
            signal.emit(value)
        except RuntimeError:
            self._abandoned = True

    # In the GUI thread.

    def _take(self, news: object) -> None:
        if not self._abandoned:
            self.news.emit(news)

    def _settle(self, outcome: object) -> None:
        if self._abandoned:
            return
        error = outcome.error if isinstance(outcome, Pending) else outcome
        if error is None:
            self.done.emit(outcome.wait(0))
        elif isinstance(error, RequestCancelled):
            self.cancelled.emit()
        else:
            self.worker_lost = log_crash(error)
            self.failed.emit(for_people(str(error), self._message))
