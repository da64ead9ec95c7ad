"""``protolabel:accuracy``: how good a label map is."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
    QgsVectorLayer,
)

from ...backend import protocol
from ..translation import tr
from .algorithm import ProtolabelAlgorithm
from .inputs import raster_path, vector_path

_SOURCE = QgsProcessing.SourceType


class AccuracyAlgorithm(ProtolabelAlgorithm):
    """Compares a label map with a reference."""

    LABELS, REFERENCE, CLASS_FIELD, SUPPORT = "LABELS", "REFERENCE", "CLASS_FIELD", "SUPPORT"
    CONFIDENCE, REPORT, TABLES = "CONFIDENCE", "REPORT", "TABLES"
    OVERALL, LOW, HIGH, KAPPA = "OVERALL_ACCURACY", "OVERALL_LOW", "OVERALL_HIGH", "KAPPA"
    MEAN_IOU, MEAN_F1, COUNTED, REMOVED = "MEAN_IOU", "MEAN_F1", "COUNTED", "REMOVED"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "accuracy"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Accuracy of a label map")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Compares a label map with labelled points, validation polygons or a reference raster.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("validation,confusion matrix,kappa,area estimation,error matrix,land cover").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Compares a label map with a reference: points that were drawn by 'Points for an accuracy assessment' and "
            "labelled, validation polygons, or another raster, which is brought to the map's grid. The report "
            "shows the confusion matrix, kappa, and precision, recall, F1 and IoU of each class; from points that were "
            "drawn at random also the accuracy and the area of each class in the whole map, with 95 % confidence "
            "intervals. What lies under the support polygons is left out."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterRasterLayer(self.LABELS, tr("Label map")),
            tr("A raster of class ids, as 'Label raster by polygons' writes it."),
        )
        kinds = [_SOURCE.TypeVectorPoint, _SOURCE.TypeVectorPolygon, _SOURCE.TypeRaster]
        self._add(
            QgsProcessingParameterMapLayer(self.REFERENCE, tr("Reference"), types=kinds),
            tr(
                "Labelled points, polygons or a raster of class ids, in any CRS. Of polygons with a field 'use' "
                "those count that say 'validation'."
            ),
        )
        self._add(
            QgsProcessingParameterString(self.CLASS_FIELD, tr("Class field"), "class_id", optional=True),
            tr(
                "Field of the points or polygons with the class ids or the class names; empty means class_id."
            ),
        )
        self._add(
            QgsProcessingParameterVectorLayer(
                self.SUPPORT, tr("Support polygons"), [_SOURCE.TypeVectorPolygon], optional=True
            ),
            tr("The polygons that the map was made from; nothing is assessed under them."),
        )
        self._add(
            QgsProcessingParameterRasterLayer(self.CONFIDENCE, tr("Confidence"), optional=True),
            tr("The confidence raster of the map, to see whether its confidences can be believed."),
        )
        self._add(
            QgsProcessingParameterFileDestination(
                self.REPORT, tr("Report"), tr("Web page") + " (*.html)", optional=True
            ),
            tr("A page that any browser shows and prints; it needs no other file."),
        )
        self._add(
            QgsProcessingParameterFolderDestination(
                self.TABLES, tr("Tables"), optional=True, createByDefault=False
            ),
            tr("A folder for the numbers as CSV files."),
        )
        for name, title in (
            (self.OVERALL, tr("Overall accuracy")),
            (self.LOW, tr("Lower end of its 95 % interval")),
            (self.HIGH, tr("Upper end of its 95 % interval")),
            (self.KAPPA, tr("Kappa")),
            (self.MEAN_IOU, tr("Mean IoU")),
            (self.MEAN_F1, tr("Mean F1")),
            (self.COUNTED, tr("Points or pixels compared")),
            (self.REMOVED, tr("Points or pixels under support polygons")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take the files of the layers; layers that are no file, or are edited, are copied."""
        self._fields: dict[str, Any] = {
            "labels": raster_path(self.parameterAsRasterLayer(parameters, self.LABELS, context)),
            "class_field": self.parameterAsString(parameters, self.CLASS_FIELD, context).strip()
            or "class_id",
        }
        reference = self.parameterAsLayer(parameters, self.REFERENCE, context)
        self._hidden: dict[str, str] = {}
        if reference is None:
            raise QgsProcessingException(
                tr("The reference cannot be opened; check that the file is there and whole.")
            )
        if isinstance(reference, QgsVectorLayer):
            self._fields["reference"] = self._vector(reference, "reference", context)
        else:
            self._fields["reference"] = raster_path(reference)
        support = self.parameterAsVectorLayer(parameters, self.SUPPORT, context)
        if support is not None:
            self._fields["support"] = self._vector(support, "support", context)
        confidence = self.parameterAsRasterLayer(parameters, self.CONFIDENCE, context)
        if confidence is not None:
            self._fields["confidence"] = raster_path(confidence)

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Compare."""
        report = self.parameterAsFileOutput(parameters, self.REPORT, context)
        tables = self.parameterAsString(parameters, self.TABLES, context)
        if tables:
            os.makedirs(os.path.dirname(os.path.abspath(tables)), exist_ok=True)
        message = protocol.Accuracy(
            id=0,
            report=os.path.abspath(report) if report else None,  # the worker runs in another folder
            csv=os.path.abspath(tables) if tables else None,
            **self._fields,
        )
        value = self._request(message, feedback, self._hidden)
        if value is None:
            return {}
        self._tell(value, feedback)
        overall = value["overall"]
        outputs = {
            self.OVERALL: overall["value"],
            self.LOW: overall["low"],
            self.HIGH: overall["high"],
            self.KAPPA: value["kappa"],
            self.MEAN_IOU: value["mean_iou"],
            self.MEAN_F1: value["mean_f1"],
            self.COUNTED: value["counted"],
            self.REMOVED: value["removed"],
            self.REPORT: report,
            self.TABLES: tables,
        }
        return {name: found for name, found in outputs.items() if found not in (None, "")}

    def _vector(self, layer: QgsVectorLayer, stem: str, context: QgsProcessingContext) -> str:
        """The file of a layer; what is a copy is called by the name that the user knows."""
        path = vector_path(layer, stem, context)
        self._hidden[path] = layer.name()
        if not os.path.abspath(layer.source()).startswith(path.partition("|")[0]):
            self._fields[f"{stem}_name"] = layer.name()
        return path

    def _tell(self, value: dict[str, Any], feedback: QgsProcessingFeedback) -> None:
        overall = value["overall"]
        text = tr("Overall accuracy {percent}").format(percent=_percent(overall["value"]))
        if overall["se"]:
            text = tr("{text}, 95 % interval {low} to {high}").format(
                text=text, low=_percent(overall["low"]), high=_percent(overall["high"])
            )
        feedback.pushInfo(text)
        for item in value["classes"]:
            feedback.pushInfo(
                tr("{name}: user's accuracy {users}, producer's accuracy {producers}").format(
                    name=item["name"],
                    users=_percent(item["users"]["value"]),
                    producers=_percent(item["producers"]["value"]),
                )
            )
        feedback.pushInfo(tr("Left out under support polygons: {count}").format(count=value["removed"]))
        feedback.pushInfo(value["statement"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"  # noqa: RUF001
