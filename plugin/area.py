"""Which part of the raster a run labels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from .compat import POLYGON_GEOMETRY
from .request_fields import NotReadyError
from .translation import tr


class AreaKind(Enum):
    """How the part is chosen."""

    WHOLE = "whole"
    VIEW = "view"
    RECTANGLE = "rectangle"
    FEATURES = "features"


@dataclass(frozen=True)
class Area:
    """A part of a raster, in the raster's system; the whole raster when both are None.

    Attributes:
        extent: Label this rectangle only.
        polygons: A file with polygons: label what lies in them only.
    """

    extent: QgsRectangle | None = None
    polygons: Path | None = None

    def fields(self) -> dict[str, object]:
        """The fields of the message ``Label``."""
        box = self.extent
        return {
            "extent": None
            if box is None
            else (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()),
            "area": None if self.polygons is None else str(self.polygons),
        }


def rectangle_area(
    rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, raster_crs: QgsCoordinateReferenceSystem
) -> Area:
    """The part of the raster under a rectangle of another system.

    Raises:
        NotReadyError: When the rectangle has no place in the raster's system.
    """
    try:
        transform = QgsCoordinateTransform(crs, raster_crs, QgsProject.instance())
        box = transform.transformBoundingBox(rectangle)
    except QgsCsException:
        box = QgsRectangle()
    if box.isEmpty():
        raise NotReadyError(tr("Draw the rectangle to label on the raster."))
    return Area(extent=box)


def features_area(layer: QgsVectorLayer | None, path: Path) -> Area:
    """What lies under the selected features of a polygon layer.

    Args:
        layer: The layer.
        path: The GeoPackage that they are written to.

    Raises:
        NotReadyError: When nothing is selected, or cannot be written.
    """
    if layer is None or layer.geometryType() != POLYGON_GEOMETRY:
        raise NotReadyError(tr("Choose a polygon layer whose selected features are to be labelled."))
    if not layer.selectedFeatureCount():
        raise NotReadyError(tr("Select the features of {0} that are to be labelled.").format(layer.name()))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.onlySelectedFeatures = True
    options.skipAttributeCreation = True
    options.layerName = "area"
    context = QgsProject.instance().transformContext()
    error, text, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    if error != QgsVectorFileWriter.WriterError.NoError:
        raise NotReadyError(
            tr("The selected features cannot be written ({0}); check the free disk space.").format(text)
        )
    return Area(polygons=path)
