"""Support polygons in a GeoPackage: the fields, and a file that is whole or not there."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .translation import tr

FIELDS = ("class_id", "class_name", "use")
TABLE = "support"  # name of the layer inside of the GeoPackage


class SupportLayerError(Exception):
    """A support layer that cannot serve; the message is one sentence, with the fix where there is one."""


class SupportExistsError(SupportLayerError):
    """A file of that name is there already."""


def polygon_fields() -> QgsFields:
    """The fields of a support layer."""
    # By way of a layer in memory, since the enum for the types of fields is another one in newer versions of QGIS.
    address = "MultiPolygon?field=class_id:integer&field=class_name:string&field=use:string"
    return QgsVectorLayer(address, "", "memory").fields()


def write_polygons(path: Path, crs: QgsCoordinateReferenceSystem, features: Sequence[QgsFeature]) -> None:
    """Write a GeoPackage of support polygons beside its place, and put it there when it is whole.

    Args:
        path: An earlier file is replaced.
        crs: Of the polygons.
        features: With the fields of :func:`polygon_fields`; may be none.

    Raises:
        SupportLayerError: When it cannot be written.
    """
    _check_folder(path)
    part = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", TABLE
    options.layerOptions = ["SPATIAL_INDEX=NO"] if features else []
    context = QgsProject.instance().transformContext()
    kind = QgsWkbTypes.Type.MultiPolygon
    try:
        writer = QgsVectorFileWriter.create(str(part), polygon_fields(), kind, crs, context, options)
        done = writer.addFeatures(list(features), QgsFeatureSink.Flag.FastInsert) if features else True
        failed = not done or writer.hasError() != QgsVectorFileWriter.WriterError.NoError
        reason = writer.errorMessage()
        del writer  # closes the file
        if failed:
            raise _not_writable(path, reason or tr("the disk may be full"))
        os.replace(part, path)
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                part.with_name(part.name + ending).unlink()


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise SupportLayerError(
            tr("The folder {folder} does not exist; create it or choose another one.").format(
                folder=path.parent
            )
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass  # permissions alone do not tell: there are read-only disks and network shares
    except OSError as error:
        raise _not_writable(path, error.strerror or str(error)) from error


def _not_writable(path: Path, reason: str) -> SupportLayerError:
    return SupportLayerError(
        tr(
            "{path} cannot be written ({reason}); choose another folder that has free space and may be written to."
        ).format(path=path, reason=reason.strip().rstrip("."))
    )
