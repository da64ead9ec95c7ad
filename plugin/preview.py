"""The live preview: what is in view is labelled whenever the polygons or the view change."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsCsException, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QImage

from ..backend import protocol
from .backend_service import BackendService
from .canvas.preview_overlay import PreviewOverlay, class_picture, uncertainty_picture
from .expectation import read_expectation
from .gui_request import GuiRequest
from .request_fields import NotReadyError, labeling_fields
from .session import LabelingSession
from .support_layer import SupportLayerError
from .translation import tr

_SETTLE = 300  # milliseconds that the view has to stand still
_AT_ONCE = 0


@dataclass(frozen=True)
class PreviewPicture:
    """One answer of the backend.

    Attributes:
        labels: Classes in their colours.
        uncertainty: As a picture.
        corners: Where they lie, in the raster's system.
        crs: That system.
    """

    labels: QImage
    uncertainty: QImage
    corners: list[list[float]]
    crs: QgsCoordinateReferenceSystem


class LivePreview(QObject):
    """Asks for previews and shows them; the latest request wins."""

    statusChanged = pyqtSignal(str)
    failed = pyqtSignal(str)
    crashed = pyqtSignal(str)  # the worker was lost; the next preview starts another one
    shown = pyqtSignal(str)  # the stage that is now on the map
    expected = pyqtSignal(object)  # an Expectation; None where no class has two polygons
    expectationOutdated = pyqtSignal()  # another one is to come
    expectationGone = pyqtSignal()  # none is to come

    def __init__(
        self,
        canvas: QgsMapCanvas,
        session: LabelingSession,
        service: BackendService,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._session, self._service = canvas, session, service
        self._overlay = PreviewOverlay(canvas)
        self._folder = Path(tempfile.mkdtemp(prefix="protolabel-preview-"))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        self._request: GuiRequest | None = None
        self._picture: PreviewPicture | None = None
        self._enabled = self._paused = self._uncertainty = False
        self._outdated = False  # more than the view has changed since the last request
        self._count = 0
        canvas.extentsChanged.connect(self._on_view)
        canvas.destinationCrsChanged.connect(self._redraw)
        session.changed.connect(self.refresh)
        service.changed.connect(self.refresh)

    def close(self) -> None:
        """Take the picture off the map and remove all files."""
        self.set_enabled(False)
        self._canvas.extentsChanged.disconnect(self._on_view)
        self._canvas.destinationCrsChanged.disconnect(self._redraw)
        self._session.changed.disconnect(self.refresh)
        self._service.changed.disconnect(self.refresh)
        self._canvas.scene().removeItem(self._overlay)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def enabled(self) -> bool:
        """Whether previews are wanted."""
        return self._enabled

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return self._request is not None

    def set_enabled(self, enabled: bool) -> None:
        """Switch the preview on or off."""
        if enabled == self._enabled:
            return
        self._enabled = enabled
        if enabled:
            self.refresh()
        else:
            self._stop()
            self._picture = None
            self._overlay.clear()
            self.statusChanged.emit("")
            self.expectationGone.emit()

    def set_paused(self, paused: bool) -> None:
        """Ask nothing for a while, since the backend labels a raster; the last picture stays."""
        self._paused = paused
        if paused:
            self._stop()
        else:
            self.refresh()

    def set_uncertainty(self, shown: bool) -> None:
        """Show uncertainties instead of labels."""
        self._uncertainty = shown
        self._redraw()

    def set_opacity(self, opacity: float) -> None:
        """Set the opacity of the picture, 0 to 1."""
        self._overlay.set_opacity(opacity)

    def refresh(self) -> None:
        """Polygons, classes or options have changed."""
        self._outdated = True
        self._schedule(_AT_ONCE)

    def _on_view(self) -> None:
        self._schedule(_SETTLE)

    def _schedule(self, delay: int) -> None:
        if self._enabled and not self._paused:
            # A change that has to be shown at once is not put off by a moving view.
            if self._timer.isActive():
                delay = min(delay, self._timer.remainingTime()) if delay == _AT_ONCE else delay
            self._timer.start(delay)

    def _stop(self) -> None:
        self._timer.stop()
        if self._request is not None:
            self._request.abandon()
            self._request = None

    def _ask(self) -> None:
        self._stop()
        if self._outdated:
            self._outdated = False
            self.expectationOutdated.emit()
        raster = self._session.raster
        try:
            message = self._message()
        except (NotReadyError, SupportLayerError) as error:
            self._picture = None
            self._overlay.clear()
            self.statusChanged.emit(str(error))
            self.expectationGone.emit()
            return
        self._request = GuiRequest(self)
        crs, entries = raster.crs(), self._session.classes.entries()
        colors = {entry.id: entry.color for entry in entries}
        self._request.news.connect(lambda news: self._on_news(news, crs, colors))
        self._request.done.connect(lambda value: self._on_done(value, crs, colors))
        self._request.failed.connect(self._on_failed)
        self._request.cancelled.connect(self._on_cancelled)
        self.statusChanged.emit(tr("Preview…"))
        self._request.send(self._service, message)

    def _message(self) -> protocol.Preview:
        raster = self._session.raster
        fields = labeling_fields(self._session, self._next_file(), self._service.settings.device)
        extent = self._visible(raster)
        if extent.isEmpty():
            raise NotReadyError(tr("The raster is not in view."))
        return protocol.Preview(
            **fields,
            folder=str(self._folder),
            extent=(extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()),
            width=self._canvas.mapSettings().outputSize().width(),
            height=self._canvas.mapSettings().outputSize().height(),
        )

    def _next_file(self) -> Path:
        """A new name for the polygons, since the worker may still read the last ones."""
        for old in self._folder.glob("support-*"):
            with suppress(OSError):
                old.unlink()
        self._count += 1
        return self._folder / f"support-{self._count}.gpkg"

    def _visible(self, raster: Any) -> QgsRectangle:
        """The part of the raster that is in view, in its own system."""
        view = self._canvas.mapSettings().visibleExtent()
        transform = QgsCoordinateTransform(
            self._canvas.mapSettings().destinationCrs(), raster.crs(), self._session.project
        )
        try:
            return transform.transformBoundingBox(view).intersect(raster.extent())
        except QgsCsException:
            return QgsRectangle()

    def _on_news(self, news: object, crs: QgsCoordinateReferenceSystem, colors: dict[int, str]) -> None:
        if isinstance(news, protocol.Partial):
            self._show(news.value, crs, colors)
            done, total = news.value.get("tiles", 0), news.value.get("tiles_total", 0)
            if news.value.get("stage") == "coarse":
                percent = 100 * done // max(total, 1)
                self.statusChanged.emit(tr("Rough preview, {0} % of the view seen closely").format(percent))
            else:
                self.statusChanged.emit(tr("Preview, following the edges…"))

    def _on_done(
        self, value: dict[str, Any], crs: QgsCoordinateReferenceSystem, colors: dict[int, str]
    ) -> None:
        self._request = None
        self._show(value, crs, colors)
        self.statusChanged.emit(" ".join([tr("Preview is up to date."), *value.get("notes", [])]))

    def _on_failed(self, text: str) -> None:
        lost = self._request is not None and self._request.worker_lost
        self._request = None
        self.statusChanged.emit(text)
        self.expectationGone.emit()
        self.failed.emit(text)
        if lost:
            self.crashed.emit(text)

    def _on_cancelled(self) -> None:
        self._request = None
        self.expectationGone.emit()

    def _show(self, value: dict[str, Any], crs: QgsCoordinateReferenceSystem, colors: dict[int, str]) -> None:
        width, height = value["width"], value["height"]
        try:
            labels, uncertainty = _take_file(value["labels"]), _take_file(value["uncertainty"])
        except OSError:
            return  # removed with the folder meanwhile
        shades = [colors.get(item["id"], "#808080") for item in value["classes"]]
        self._picture = PreviewPicture(
            class_picture(labels, width, height, shades),
            uncertainty_picture(uncertainty, width, height),
            value["corners"],
            crs,
        )
        self._redraw()
        self.shown.emit(value["stage"])
        if value["stage"] != "coarse":  # which may know a part of the polygons only
            self.expected.emit(read_expectation(value["expected"]))

    def _redraw(self) -> None:
        picture = self._picture
        if picture is not None:
            image = picture.uncertainty if self._uncertainty else picture.labels
            self._overlay.show_picture(image, picture.corners, picture.crs)


def _take_file(path: str) -> bytes:
    data = Path(path).read_bytes()
    with suppress(OSError):
        Path(path).unlink()
    return data
