"""Saves a part of a layer that the backend cannot read, such as a map service, as a GeoTIFF."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRasterProjector,
    QgsRectangle,
    QgsTask,
)

from .compat import RASTER_WRITTEN
from .translation import tr

LARGEST = 400_000_000  # pixels; more is better asked of the service's owner than of its server


@dataclass(frozen=True)
class ExportPlan:
    """What is saved.

    Attributes:
        extent: In ``crs``.
        crs: Of the file.
        resolution: Units of the CRS per pixel.
        path: The .tif.
    """

    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    resolution: float
    path: Path

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width = ceil(self.extent.width() / self.resolution)
        height = ceil(self.extent.height() / self.resolution)
        return max(width, 1), max(height, 1)

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return self.size[0] * self.size[1]


class ExportTask(QgsTask):
    """Writes the file in a thread; on any failure there is none.

    Attributes:
        error: Why it failed, None when it succeeded or was cancelled.
    """

    def __init__(
        self, layer: QgsRasterLayer, plan: ExportPlan, context: QgsCoordinateTransformContext
    ) -> None:
        """Prepare; reads the layer here, in the GUI thread.

        Args:
            layer: What to save, as its provider gives it.
            plan: Which part.
            context: Of the project.
        """
        super().__init__(tr("Export {0}").format(layer.name()), QgsTask.Flag.CanCancel)
        self.plan, self._context = plan, context
        self._provider = layer.dataProvider().clone()
        self._crs = layer.crs()
        self._feedback = QgsRasterBlockFeedback()
        self._feedback.progressChanged.connect(self.setProgress)
        self.error: str | None = None

    def run(self) -> bool:
        """Do it, in a thread of the task manager."""
        path = self.plan.path
        part = path.with_name(f".{path.stem}.{os.getpid()}.part.tif")
        try:
            failure = self._write(part)
            if self.isCanceled():
                return False
            if failure is None:
                part.replace(path)
                return True
            self.error = failure
        except OSError as error:
            self.error = tr("{0} cannot be written: {1}.").format(path, error.strerror or error)
        finally:
            for leftover in part.parent.glob(f"{part.name}*"):
                leftover.unlink()
        return False

    def cancel(self) -> None:
        """Cancel it."""
        self._feedback.cancel()
        super().cancel()

    def _write(self, part: Path) -> str | None:
        """Write a file; tells what went wrong."""
        plan = self.plan
        pipe = QgsRasterPipe()
        if not pipe.set(self._provider):
            return tr("The layer cannot be read.")
        if plan.crs != self._crs:
            projector = QgsRasterProjector()
            projector.setCrs(self._crs, plan.crs, self._context)
            pipe.insert(1, projector)
        writer = QgsRasterFileWriter(str(part))
        writer.setOutputFormat("GTiff")
        writer.setCreateOptions(["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"])
        width, height = plan.size
        result = writer.writeRaster(pipe, width, height, plan.extent, plan.crs, self._context, self._feedback)
        if self._feedback.isCanceled():
            return None
        if result != RASTER_WRITTEN or not part.exists():
            reasons = "; ".join(self._feedback.errors())
            return tr("The export failed ({0}); check the connection and the free disk space.").format(
                reasons or result
            )
        return None
