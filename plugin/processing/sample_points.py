"""``protolabel:sample_points``: points on a label map, for the analyst to label."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)

from ...backend import protocol
from ..translation import tr
from .algorithm import ProtolabelAlgorithm
from .inputs import raster_path, vector_path

_SOURCE, _NUMBER = QgsProcessing.SourceType, QgsProcessingParameterNumber.Type


class SamplePointsAlgorithm(ProtolabelAlgorithm):
    """Draws points by stratified random sampling."""

    LABELS, COUNT, STANDARD_ERROR, MINIMUM = "LABELS", "COUNT", "STANDARD_ERROR", "MINIMUM"
    SUPPORT, SEED, POINTS, DRAWN = "SUPPORT", "SEED", "POINTS", "DRAWN"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "sample_points"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Points for an accuracy assessment")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Draws points on a label map by stratified random sampling.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("validation,sampling,random points,stratified,land cover").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Draws points at random on each class of a label map. Somebody who knows the place, or better imagery, "
            "then writes into the field class_id what each point really is, without looking at the map; a point that "
            "cannot be told gets 1 in the field skipped. 'Accuracy of a label map' takes them from there. The "
            "points are in a random order, so that the first ones will do when time is short."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterRasterLayer(self.LABELS, tr("Label map")),
            tr("A raster of class ids, as 'Label raster by polygons' writes it."),
        )
        self._add(
            QgsProcessingParameterNumber(
                self.COUNT, tr("Number of points"), _NUMBER.Integer, optional=True, minValue=1
            ),
            tr("How many points in all; empty takes as many as the standard error below needs."),
        )
        self._add(
            QgsProcessingParameterNumber(
                self.STANDARD_ERROR, tr("Standard error"), _NUMBER.Double, 0.025, minValue=0.001, maxValue=0.5
            ),
            tr(
                "That the overall accuracy shall have, as a share: 0.025 gives it to about 5 percentage points. Ten "
                "times as precise takes a hundred times as many points."
            ),
        )
        self._add(
            QgsProcessingParameterNumber(
                self.MINIMUM, tr("Points of each class at least"), _NUMBER.Integer, 25, minValue=0
            ),
            tr("Small classes get that many, the others in proportion to their areas."),
        )
        self._add(
            QgsProcessingParameterVectorLayer(
                self.SUPPORT, tr("Support polygons"), [_SOURCE.TypeVectorPolygon], optional=True
            ),
            tr("The polygons that the map was made from; no point is drawn under them."),
        )
        self._add(
            QgsProcessingParameterNumber(self.SEED, tr("Seed"), _NUMBER.Integer, 0, minValue=0),
            tr("The same number draws the same points."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterVectorDestination(self.POINTS, tr("Points"), _SOURCE.TypeVectorPoint),
            tr("A new GeoPackage; save it to a file of your own, since temporary layers vanish with QGIS."),
        )
        self.addOutput(QgsProcessingOutputNumber(self.DRAWN, tr("Points drawn")))

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take the files of the layers."""
        self._labels = raster_path(self.parameterAsRasterLayer(parameters, self.LABELS, context))
        support = self.parameterAsVectorLayer(parameters, self.SUPPORT, context)
        self._support = vector_path(support, "support", context) if support is not None else None
        self._hidden = {self._support: support.name()} if self._support else {}
        given = parameters.get(self.COUNT) not in (None, "")
        self._count = self.parameterAsInt(parameters, self.COUNT, context) if given else None

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Draw."""
        output = self._output(parameters, self.POINTS, context)
        message = protocol.SamplePoints(
            id=0,
            labels=self._labels,
            output=os.path.abspath(output),  # the worker runs in another folder
            count=self._count,
            standard_error=self.parameterAsDouble(parameters, self.STANDARD_ERROR, context),
            minimum=self.parameterAsInt(parameters, self.MINIMUM, context),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            support=self._support,
        )
        value = self._request(message, feedback, self._hidden)
        if value is None:
            return {}
        for item in value["strata"]:
            feedback.pushInfo(
                tr("{name}: {count} points, {percent:.1f} % of the map").format(
                    name=item["name"], count=item["points"], percent=100 * item["share"]
                )
            )
        return {self.POINTS: output, self.DRAWN: value["points"]}
