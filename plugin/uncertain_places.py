"""Where one more polygon helps most: asks the backend, and goes from place to place."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..backend import protocol
from .backend_service import BackendService
from .gui_request import GuiRequest
from .request_fields import NotReadyError, labeling_fields
from .session import LabelingSession
from .support_layer import SupportLayerError
from .translation import tr


class UncertainPlaces(QObject):
    """The most uncertain places of the raster in work, best first; new polygons change them."""

    said = pyqtSignal(str)
    arrived = pyqtSignal()

    def __init__(
        self,
        canvas: QgsMapCanvas,
        session: LabelingSession,
        service: BackendService,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._session, self._service = canvas, session, service
        self._request: GuiRequest | None = None
        self._folder: Path | None = None
        self._places: list[QgsRectangle] = []
        self._next = 0
        session.changed.connect(self.forget)

    def close(self) -> None:
        """Hear nothing more of what was asked."""
        if self._request is not None:
            self._request.abandon()
            self._request = None
            self._remove_folder()

    def forget(self) -> None:
        """The polygons or the classes have changed, so other places are uncertain now."""
        self._places, self._next = [], 0

    def go_on(self) -> None:
        """Zoom to the next place; the first time, and after changes, the backend is asked."""
        if self._request is not None:
            return
        if self._next < len(self._places):
            self._show()
            return
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-places-"))
        try:
            polygons = self._folder / "support.gpkg"
            fields = labeling_fields(self._session, polygons, self._service.settings.device)
        except (NotReadyError, SupportLayerError) as error:
            self._remove_folder()
            self.said.emit(str(error))
            return
        self.said.emit(tr("Looking for uncertain places…"))
        self._request = GuiRequest(self)
        for signal in (self._request.done, self._request.failed, self._request.cancelled):
            signal.connect(self._settle)
        self._request.send(self._service, protocol.Uncertain(**fields))

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _settle(self, outcome: Any = None) -> None:
        self._request = None
        self._remove_folder()
        if isinstance(outcome, dict):
            self._places = [QgsRectangle(*place["extent"]) for place in outcome["places"]]
            self._next = 0
            if self._places:
                self._show()
            else:
                self.said.emit(tr("No place is uncertain enough for one more polygon."))
        else:
            self.said.emit(outcome or "")

    def _show(self) -> None:
        place, raster = self._places[self._next], self._session.raster
        self._next += 1
        if raster is None:
            return
        crs = self._canvas.mapSettings().destinationCrs()
        try:
            box = QgsCoordinateTransform(raster.crs(), crs, self._session.project).transformBoundingBox(place)
        except QgsCsException:
            self.said.emit(tr("The place cannot be shown in the CRS of the map."))
            return
        self._canvas.setExtent(box)
        self._canvas.refresh()
        self.said.emit(tr("Uncertain place {0} of {1}.").format(self._next, len(self._places)))
        self.arrived.emit()
