"""``protolabel:vectorize``: a label map to polygons."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...backend import protocol
from ..results import classes_of, style_polygons
from ..translation import tr
from .algorithm import ProtolabelAlgorithm
from .inputs import raster_path

_NUMBER = QgsProcessingParameterNumber.Type


class VectorizeAlgorithm(ProtolabelAlgorithm):
    """Turns a label map into polygons."""

    LABELS, SIEVE, SIMPLIFY, POLYGONS = "LABELS", "SIEVE", "SIMPLIFY", "POLYGONS"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "vectorize"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Label map to polygons")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Turns a label map into polygons without small patches and stairs.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("polygonize,sieve,simplify,label map,land cover").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Turns a label map into polygons with the fields class_id, class_name and their area. Small patches can be "
            "given to their neighbours first, and borders can be straightened; neighbours keep their common border, so "
            "that no gaps and overlaps arise."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterRasterLayer(self.LABELS, tr("Label map")),
            tr("A raster of class ids, as 'Label raster by polygons' writes it."),
        )
        self._add(
            QgsProcessingParameterNumber(
                self.SIEVE, tr("Smallest patch (pixels)"), _NUMBER.Integer, 0, minValue=0
            ),
            tr("Patches of fewer pixels are given to their largest neighbour; 0 keeps all."),
        )
        self._add(
            QgsProcessingParameterNumber(
                self.SIMPLIFY, tr("Simplify (pixels)"), _NUMBER.Double, 0.0, minValue=0.0
            ),
            tr(
                "How far borders may move to become straight; 0 keeps the edges of the pixels, 1 to 2 removes stairs."
            ),
        )
        self._add(
            QgsProcessingParameterVectorDestination(
                self.POLYGONS, tr("Polygons"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            tr("The polygons, in the colours of the label map."),
        )

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Whether the parameters can serve; Processing asks before the run."""
        fits, text = super().checkParameterValues(parameters, context)
        if fits:
            try:
                raster_path(self.parameterAsRasterLayer(parameters, self.LABELS, context))
            except QgsProcessingException as error:
                return False, str(error)
        return fits, text

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take over what is known of the label map."""
        layer = self.parameterAsRasterLayer(parameters, self.LABELS, context)
        self._labels, self._entries = raster_path(layer), classes_of(layer)
        self._sieve = self.parameterAsInt(parameters, self.SIEVE, context)
        self._simplify = self.parameterAsDouble(parameters, self.SIMPLIFY, context)

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Turn it into polygons."""
        output = self._output(parameters, self.POLYGONS, context)
        message = protocol.Vectorize(0, self._labels, os.path.abspath(output), self._sieve, self._simplify)
        value = self._request(message, feedback)
        if value is None:
            return {}
        feedback.pushInfo(tr("{count} polygons").format(count=value["polygons"]))
        self._style(output, context, lambda layer: style_polygons(layer, self._entries))
        return {self.POLYGONS: output}
