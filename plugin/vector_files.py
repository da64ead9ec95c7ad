"""Vector layers as files that the backend can read: their own, or a copy of what is no file, filtered or edited."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from qgis.core import QgsCoordinateTransformContext, QgsVectorFileWriter, QgsVectorLayer


def file_of(layer: QgsVectorLayer) -> str | None:
    """What the backend opens a layer by; None when the file would not tell what the layer shows."""
    file, _, options = layer.source().partition("|")
    if (
        layer.providerType() != "ogr"
        or not os.path.exists(file)
        or layer.subsetString()
        or layer.isModified()
    ):
        return None
    if not all(part.startswith("layername=") for part in options.split("|") if part):
        return None
    return os.path.abspath(file) + (f"|{options}" if options else "")  # the worker runs in another folder


def copy_layer(
    layer: QgsVectorLayer,
    path: Path,
    context: QgsCoordinateTransformContext,
    fields: Collection[str] | None = None,
) -> str:
    """Write a layer as it is now, with edits that are not saved yet.

    Args:
        layer: The layer, in the thread that it lives in.
        path: A GeoPackage that does not exist.
        context: Of the project.
        fields: Those that are copied, as far as the layer has them; None copies all.

    Returns:
        Why it could not be written, "" when it was.
    """
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", path.stem
    # The layer may have a field "fid" of its own.
    options.layerOptions = ["SPATIAL_INDEX=NO", "FID=protolabel_fid"]
    if fields is not None:
        places = {layer.fields().lookupField(name) for name in fields}
        options.attributes = sorted(place for place in places if place >= 0)
    error, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    if error == QgsVectorFileWriter.WriterError.NoError:
        return ""
    return reason.strip().rstrip(".") or str(path)
