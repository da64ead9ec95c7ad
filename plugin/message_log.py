"""QGIS's message log, in the panel that carries the plugin's name."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsMessageLog

from .client.errors import WorkerError


def log(text: str, level: Any = Qgis.MessageLevel.Info) -> None:
    """Keep a text in the log; any thread may do so."""
    QgsMessageLog.logMessage(text, "Protolabel", level)


def log_crash(error: BaseException | None) -> bool:
    """Keep the end of the worker's log when that is what was lost; tells whether it was."""
    lost = isinstance(error, WorkerError)
    if lost and error.tail:
        log(error.tail, Qgis.MessageLevel.Warning)
    return lost
