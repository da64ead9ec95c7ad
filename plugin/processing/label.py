"""``protolabel:label``: a raster and support polygons to a label map."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ...backend import protocol
from ...backend.heads import HEADS
from ..results import classes_of, style_confidence, style_labels, style_polygons
from ..translation import tr
from .algorithm import ProtolabelAlgorithm
from .inputs import SupportPolygons, classes_in_style, raster_path

_SOURCE, _NUMBER = QgsProcessing.SourceType, QgsProcessingParameterNumber.Type


class LabelAlgorithm(ProtolabelAlgorithm):
    """Labels a raster."""

    RASTER, SUPPORT, CLASS_FIELD, NAME_FIELD = "RASTER", "SUPPORT", "CLASS_FIELD", "NAME_FIELD"
    EXTENT, MODEL, BANDS, SCALE, HEAD = "EXTENT", "MODEL", "BANDS", "SCALE", "HEAD"
    SPECTRAL, CRF, DEVICE, TILE, SUPPORT_RASTERS = "SPECTRAL", "CRF", "DEVICE", "TILE", "SUPPORT_RASTERS"
    LABELS, CONFIDENCE, POLYGONS = "LABELS", "CONFIDENCE", "POLYGONS"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "label"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Label raster by polygons")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Labels a whole raster from a few support polygons of each class.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("classification,segmentation,land cover,few-shot,deep learning,prototype").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Labels a whole raster from a few polygons of each class: an encoder turns the imagery into features, "
            "those under the polygons become the prototypes of the classes, every pixel is matched with them, and a "
            "DenseCRF follows the edges. The label map comes with the colours and names of the classes.\n"
            "The same options, raster and polygons give the same label map as in the panel and on the command line."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterRasterLayer(self.RASTER, tr("Raster")),
            tr("The orthophoto to label; any raster file with one band or more."),
        )
        self._add(
            QgsProcessingParameterFeatureSource(
                self.SUPPORT, tr("Support polygons"), [_SOURCE.TypeVectorPolygon]
            ),
            tr(
                "Some polygons of each class, in any CRS. Edits that are not saved count. Polygons whose "
                "field 'use' says 'validation' are left out."
            ),
        )
        self._add(
            # Optional, since QGIS 3.22 does not see the default of a field that has to be named.
            QgsProcessingParameterField(
                self.CLASS_FIELD, tr("Class field"), "class_id", self.SUPPORT, optional=True
            ),
            tr(
                "Field of the class ids, whole numbers that become the values of the label map; empty means class_id."
            ),
        )
        self._add(
            QgsProcessingParameterField(
                self.NAME_FIELD, tr("Name field"), "class_name", self.SUPPORT, optional=True
            ),
            tr("Field of the class names for the legend."),
        )
        self._add(
            QgsProcessingParameterExtent(self.EXTENT, tr("Extent"), optional=True),
            tr("Label this part only; polygons outside of it are learnt from all the same."),
        )
        self._init_options()
        self._init_outputs()

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Whether the parameters can serve; Processing asks before the run."""
        fits, text = super().checkParameterValues(parameters, context)
        if not fits:
            return fits, text
        try:
            raster_path(self.parameterAsRasterLayer(parameters, self.RASTER, context))
            self._bands(parameters, context)
        except QgsProcessingException as error:
            return False, str(error)
        return True, ""

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Copy the layers."""
        raster = self.parameterAsRasterLayer(parameters, self.RASTER, context)
        path = raster_path(raster)
        source = self.parameterAsSource(parameters, self.SUPPORT, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, self.SUPPORT))
        layer = self.parameterAsVectorLayer(parameters, self.SUPPORT, context)
        class_field = self.parameterAsString(parameters, self.CLASS_FIELD, context) or "class_id"
        name_field = self.parameterAsString(parameters, self.NAME_FIELD, context)
        self._support_name = layer.name() if layer is not None else tr("the support layer")
        self._support = SupportPolygons.read(source, self._support_name, class_field, name_field)
        others = self.parameterAsLayerList(parameters, self.SUPPORT_RASTERS, context) or []
        known = {self._support.fields.at(i).name() for i in range(self._support.fields.count())}
        entries = classes_in_style(layer, class_field)
        self._fields: dict[str, Any] = {
            "id": 0,
            "raster": path,
            "class_field": class_field,
            "name_field": name_field if name_field in known else "class_name",
            "model": self.parameterAsString(parameters, self.MODEL, context).strip() or None,
            "head": self.parameterAsEnumString(parameters, self.HEAD, context),
            "spectral": self.parameterAsBool(parameters, self.SPECTRAL, context),
            "bands": self._bands(parameters, context),
            "scale": self._scale(parameters, context),
            "crf": self.parameterAsBool(parameters, self.CRF, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context).strip() or "auto",
            "tile": self.parameterAsInt(parameters, self.TILE, context),
            "support_rasters": tuple(map(raster_path, others)) or None,
            "classes": tuple({"id": e.id, "name": e.name, "color": e.color} for e in entries) or None,
            **self._extent(parameters, context, raster),
        }

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Label."""
        support = Path(QgsProcessingUtils.generateTempFilename("support.gpkg"))
        self._support.write(support, context.transformContext())
        labels = self._output(parameters, self.LABELS, context)
        confidence = self._output(parameters, self.CONFIDENCE, context)
        polygons = self._output(parameters, self.POLYGONS, context)
        message = protocol.Label(
            support=str(support),
            output=os.path.abspath(labels),  # the worker runs in another folder
            confidence=os.path.abspath(confidence) if confidence else None,
            vector=os.path.abspath(polygons) if polygons else None,
            **self._fields,
        )
        value = self._request(message, feedback, {str(support): self._support_name})
        if value is None:
            return {}
        self._tell(value, feedback)
        self._style(labels, context, style_labels)
        self._style(confidence, context, style_confidence)
        # The label map is whole by then, and names the classes and their colours.
        self._style(
            polygons, context, lambda layer: style_polygons(layer, classes_of(QgsRasterLayer(labels)))
        )
        outputs = {self.LABELS: labels, self.CONFIDENCE: confidence, self.POLYGONS: polygons}
        return {name: path for name, path in outputs.items() if path}

    def _init_options(self) -> None:
        self._add(
            QgsProcessingParameterBoolean(self.CRF, tr("Refine along edges"), True),
            tr("Let a DenseCRF follow the edges of the imagery."),
        )
        self._add(
            QgsProcessingParameterString(self.MODEL, tr("Model"), optional=True),
            tr("A model's name or .safetensors file; empty takes the default."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterString(self.BANDS, tr("Bands"), optional=True),
            tr(
                "Numbers of the red, green and blue band and of extra ones, like 4,3,2,8; empty chooses by their names."
            ),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterNumber(
                self.SCALE, tr("Scale"), _NUMBER.Double, optional=True, minValue=0.1, maxValue=8
            ),
            tr("Enlargement before the encoder; empty chooses by the size of pixels and polygons."),
            advanced=True,
        )  # fmt: skip
        self._add(
            QgsProcessingParameterEnum(
                self.HEAD, tr("Prototypes"), list(HEADS), defaultValue="auto", usesStaticStrings=True
            ),
            tr("One prototype a class (auto, prototype) or one a polygon (polygons)."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterBoolean(self.SPECTRAL, tr("Use pixel values beside features"), True),
            tr(
                "Let the values of all bands, also beyond red, green and blue, help to tell the classes apart."
            ),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterString(self.DEVICE, tr("Device"), "auto"),
            tr("auto, cpu, cuda or cuda:1."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterNumber(
                self.TILE, tr("Tile"), _NUMBER.Integer, 704, minValue=384, maxValue=8192
            ),
            tr("Side of the encoder's windows in pixels; smaller ones take less memory."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterMultipleLayers(
                self.SUPPORT_RASTERS, tr("Other rasters under the polygons"), _SOURCE.TypeRaster, optional=True
            ),
            tr("Rasters that some or all of the polygons lie on, to label one raster by polygons drawn on another."),
            advanced=True,
        )  # fmt: skip

    def _init_outputs(self) -> None:
        self._add(
            QgsProcessingParameterRasterDestination(self.LABELS, tr("Labels")),
            tr(
                "The label map: a GeoTIFF of class ids with colours and names; its nodata value means no label."
            ),
        )
        self._add(
            QgsProcessingParameterRasterDestination(
                self.CONFIDENCE, tr("Confidence"), optional=True, createByDefault=False
            ),
            tr("How sure each label is, in percent."),
        )
        self._add(
            QgsProcessingParameterVectorDestination(
                self.POLYGONS, tr("Polygons"), _SOURCE.TypeVectorPolygon, optional=True, createByDefault=False
            ),
            tr("The areas of the label map as polygons with class, name and area."),
        )  # fmt: skip

    def _bands(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[int, ...] | None:
        text = self.parameterAsString(parameters, self.BANDS, context).strip()
        if not text:
            return None
        numbers = re.split(r"[\s,;]+", text)
        if not all(number.isdecimal() and int(number) > 0 for number in numbers):
            raise QgsProcessingException(
                tr(
                    "The bands {text} are not understood; write their numbers with commas, for example 4,3,2."
                ).format(text=text)
            )
        return tuple(map(int, numbers))

    def _scale(self, parameters: dict[str, Any], context: QgsProcessingContext) -> float | None:
        given = parameters.get(self.SCALE) not in (None, "")
        return self.parameterAsDouble(parameters, self.SCALE, context) if given else None

    def _extent(
        self, parameters: dict[str, Any], context: QgsProcessingContext, raster: QgsRasterLayer
    ) -> dict[str, Any]:
        extent = self.parameterAsExtent(parameters, self.EXTENT, context)
        if extent.isNull():
            return {}
        crs = self.parameterAsExtentCrs(parameters, self.EXTENT, context)
        if crs.isValid() and raster.crs().isValid() and not crs.authid():
            # A system without a name: QGIS brings it to the raster's, which needs none.
            extent = self.parameterAsExtent(parameters, self.EXTENT, context, raster.crs())
            crs = raster.crs()
        foreign = crs.isValid() and raster.crs().isValid() and crs != raster.crs()
        bounds = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        return {"extent": bounds, "extent_crs": crs.authid() if foreign else None}

    def _tell(self, value: dict[str, Any], feedback: QgsProcessingFeedback) -> None:
        total = sum(item["pixels"] for item in value["classes"]) or 1
        for item in value["classes"]:
            text = tr("{name}: {percent:.1f} % of the labelled pixels")
            feedback.pushInfo(text.format(name=item["name"], percent=100 * item["pixels"] / total))
