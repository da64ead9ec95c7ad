"""Layers as plain data that the backend can read: a raster's path, support polygons in a file of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFields,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)

from ..classes import ClassEntry
from ..geometries import clean_polygon
from ..translation import tr
from ..vector_files import copy_layer, file_of

_USE = "use"  # the field that sets polygons aside for validation


def raster_path(layer: QgsMapLayer | None) -> str:
    """What the backend opens a raster layer by.

    Raises:
        QgsProcessingException: When it cannot.
    """
    if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
        raise QgsProcessingException(
            tr("The raster cannot be opened; check that the file is there and whole.")
        )
    if layer.providerType() != "gdal":
        raise QgsProcessingException(
            tr(
                "The raster {name} comes from a service ({provider}), which the backend cannot read: export it to a "
                "GeoTIFF first, with Layer > Save As or in the Protolabel panel."
            ).format(name=layer.name(), provider=layer.providerType())
        )
    source = layer.source().partition("|option:")[0]
    return os.path.abspath(source) if os.path.exists(source) else source  # the worker runs in another folder


def vector_path(layer: QgsVectorLayer, stem: str, context: QgsProcessingContext) -> str:
    """What the backend opens a vector layer by: its file, or a copy of what is no file, filtered or edited.

    Args:
        layer: The layer, in the thread that it lives in.
        stem: Of the copy's name.
        context: Of the run.

    Raises:
        QgsProcessingException: When it cannot be opened or copied.
    """
    if not layer.isValid():
        raise QgsProcessingException(
            tr("The layer {name} cannot be opened; check that the file is there and whole.").format(
                name=layer.name()
            )
        )
    file = file_of(layer)
    if file is not None:
        return file
    path = QgsProcessingUtils.generateTempFilename(f"{stem}.gpkg")
    reason = copy_layer(layer, Path(path), context.transformContext())
    if reason:
        raise QgsProcessingException(
            tr("The layer {name} cannot be copied ({reason}); check the free disk space.").format(
                name=layer.name(), reason=reason
            )
        )
    return path


@dataclass(frozen=True)
class SupportPolygons:
    """Support polygons as they were when a run began.

    Attributes:
        crs: Their system.
        fields: The class field, the name field and ``use``, as far as the layer has them.
        features: With these fields.
    """

    crs: QgsCoordinateReferenceSystem
    fields: QgsFields
    features: Sequence[QgsFeature]

    @classmethod
    def read(
        cls, source: QgsProcessingFeatureSource, name: str, class_field: str, name_field: str
    ) -> SupportPolygons:
        """Take them from a layer with the edits that are not saved, or from its selection; where the layer lives.

        Args:
            source: The layer as it was chosen.
            name: Of the layer, for messages.
            class_field: Field of the class ids.
            name_field: Field of the class names, may be absent.

        Raises:
            QgsProcessingException: When there is no class field or no polygon.
        """
        known = source.fields()
        if known.lookupField(class_field) < 0:
            raise QgsProcessingException(
                tr(
                    "The layer {name} has no field {field}; choose the field of the class ids: {fields}."
                ).format(name=name, field=class_field, fields=", ".join(known.names()) or tr("it has none"))
            )
        indices = [known.lookupField(field) for field in (class_field, name_field, _USE) if field]
        indices = list(dict.fromkeys(index for index in indices if index >= 0))
        fields = QgsFields()
        for index in indices:
            fields.append(known.at(index))
        # What is not valid is mended here.
        flags = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        features = []
        for feature in source.getFeatures(QgsFeatureRequest().setSubsetOfAttributes(indices), flags):
            geometry = clean_polygon(feature.geometry())
            if not geometry.isNull():
                copy = QgsFeature(fields)
                copy.setAttributes([feature.attributes()[index] for index in indices])
                copy.setGeometry(geometry)
                features.append(copy)
        if not features:
            raise QgsProcessingException(
                tr("There is no polygon to learn from in {name}; draw some for each class, or clear the selection.")
                .format(name=name)
            )  # fmt: skip
        return cls(source.sourceCrs(), fields, features)

    def write(self, path: Path, context: QgsCoordinateTransformContext) -> None:
        """Write them as a GeoPackage; in any thread.

        Raises:
            QgsProcessingException: When that is not possible.
        """
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName = "GPKG", "support"
        # The layer may have a field "fid" of its own.
        options.layerOptions = ["SPATIAL_INDEX=NO", "FID=protolabel_fid"]
        kind = QgsWkbTypes.Type.MultiPolygon
        writer = QgsVectorFileWriter.create(str(path), self.fields, kind, self.crs, context, options)
        done = writer.addFeatures(list(self.features), QgsFeatureSink.Flag.FastInsert)
        failed = not done or writer.hasError() != QgsVectorFileWriter.WriterError.NoError
        reason = writer.errorMessage()
        del writer  # closes the file
        if failed:
            raise QgsProcessingException(
                tr("The support polygons cannot be copied ({reason}); check the free disk space.").format(
                    reason=reason.strip().rstrip(".") or path
                )
            )


def classes_in_style(layer: QgsVectorLayer | None, class_field: str) -> tuple[ClassEntry, ...]:
    """The classes that a layer's style shows by the class field; empty when it shows something else."""
    renderer = layer.renderer() if layer is not None else None
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return ()
    if renderer.classAttribute().strip('"') != class_field:
        return ()
    return tuple(
        ClassEntry(int(category.value()), category.label(), category.symbol().color().name())
        for category in renderer.categories()
        if str(category.value()).isdecimal() and category.label()
    )
