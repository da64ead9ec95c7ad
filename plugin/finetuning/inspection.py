"""Asks the worker what there is to fine-tune on, each time that something was chosen; the last question counts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ...backend import protocol
from ..backend_service import FINE_TUNING, BackendService
from ..gui_request import GuiRequest
from ..message_log import log
from ..request_fields import NotReadyError
from ..support_layer import SupportLayerError
from ..translation import tr
from .findings import read_findings

_PATIENCE = 500  # milliseconds after the last change, for there may be another one


class Inspection(QObject):
    """One question at a time, in the worker that does the fine-tuning, so that labelling does not wait."""

    asking = pyqtSignal()
    found = pyqtSignal(object, bool)  # Findings, and whether they are final
    missing = pyqtSignal(str)  # something is to be chosen yet
    failed = pyqtSignal(str)

    def __init__(self, service: BackendService, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._request: GuiRequest | None = None
        self._folder: Path | None = None
        self._fields: Callable[[Path], dict[str, Any]] | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_PATIENCE)
        self._soon.timeout.connect(self._ask)

    def ask(self, fields: Callable[[Path], dict[str, Any]]) -> None:
        """Ask soon.

        Args:
            fields: Gives the fields of the request, and may write files into the folder that it is given.
        """
        self._stop()
        self._fields = fields
        self.asking.emit()
        self._soon.start()

    def close(self) -> None:
        """Ask nothing more, and hear no answer."""
        self._soon.stop()
        self._stop()

    def _ask(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-material-"))
        try:
            message = protocol.Material(id=0, **self._fields(self._folder))
        except (NotReadyError, SupportLayerError) as error:
            self._stop()
            self.missing.emit(str(error))
            return
        except protocol.ProtocolError as error:
            self._fail(str(error))
            return
        self._request = GuiRequest(self, FINE_TUNING)
        self._request.news.connect(self._on_news)
        self._request.done.connect(self._on_done)
        self._request.failed.connect(self._fail)
        self._request.send(self._service, message)

    def _on_news(self, news: protocol.News) -> None:
        if isinstance(news, protocol.Partial):
            self.found.emit(read_findings(news.value), False)
        elif isinstance(news, protocol.Log):
            log(news.text)

    def _on_done(self, value: dict[str, Any]) -> None:
        self._stop()
        self.found.emit(read_findings(value), True)

    def _fail(self, text: str) -> None:
        if self._folder is not None:
            for path in self._folder.glob("*.gpkg"):  # files that nobody but this request knows
                text = text.replace(str(path), tr("the polygons"))
        self._stop()
        self.failed.emit(text)

    def _stop(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.abandon()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
