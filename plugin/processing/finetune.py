"""``protolabel:finetune``: labelled rasters to a tuned model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingUtils,
)

from ...backend import protocol
from ..translation import tr
from .algorithm import ProtolabelAlgorithm
from .inputs import SupportPolygons, raster_path

_SOURCE, _NUMBER = QgsProcessing.SourceType, QgsProcessingParameterNumber.Type
_HOLD_OUT, _TRAINED = ("auto", "raster", "group"), ("upper", "all", "last")


class FinetuneAlgorithm(ProtolabelAlgorithm):
    """Fine-tunes a model."""

    WORKER = "finetune-algorithm"
    RASTERS, LABELS, POLYGONS = "RASTERS", "LABELS", "POLYGONS"
    CLASS_FIELD, NAME_FIELD, BASE, NAME = "CLASS_FIELD", "NAME_FIELD", "BASE", "NAME"
    MINUTES, ITERATIONS, HOLD_OUT, TRAINED = "MINUTES", "ITERATIONS", "HOLD_OUT", "TRAINED"
    LEARNING_RATE, CROP, DEVICE, SEED = "LEARNING_RATE", "CROP", "DEVICE", "SEED"
    KEEP_WORSE, REPLACE, FOLDER = "KEEP_WORSE", "REPLACE", "FOLDER"
    MODEL, VERDICT, SENTENCE, BEFORE, AFTER = "MODEL", "VERDICT", "SENTENCE", "IOU_BEFORE", "IOU_AFTER"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "finetune"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Fine-tune a model on labels")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Makes an encoder better on your own classes, and tells whether it became so.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("training,fine-tuning,segmentation,land cover,few-shot,deep learning,prototype").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Fine-tunes a model on rasters with label rasters or polygons, by episodes as they come when labelling: a "
            "few small polygons of each class, the rest to be labelled. A part of the labels is held out; on it the "
            "model is measured before and after, and the best one is kept with a card that tells all this.\n"
            "The model is saved under the name only when it is not worse than before. A run that was cancelled goes on "
            "when the same folder is given again."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterMultipleLayers(self.RASTERS, tr("Rasters"), _SOURCE.TypeRaster),
            tr("The orthophotos that labels are known of; two or more show best what the model learns."),
        )
        self._add(
            QgsProcessingParameterMultipleLayers(
                self.LABELS, tr("Label rasters"), _SOURCE.TypeRaster, optional=True
            ),
            tr(
                "One for each raster, in the same order: class ids as pixel values; nodata means not labelled."
            ),
        )
        self._add(
            QgsProcessingParameterFeatureSource(
                self.POLYGONS, tr("Polygons"), [_SOURCE.TypeVectorPolygon], optional=True
            ),
            tr(
                "Labelled polygons on any of the rasters, in any CRS. Those whose field 'use' says 'validation' are "
                "never trained on."
            ),
        )
        self._add(
            QgsProcessingParameterField(
                self.CLASS_FIELD, tr("Class field"), "class_id", self.POLYGONS, optional=True
            ),
            tr("Field of the polygons' class ids, those of the label rasters; empty means class_id."),
        )
        self._add(
            QgsProcessingParameterField(
                self.NAME_FIELD, tr("Name field"), "class_name", self.POLYGONS, optional=True
            ),
            tr("Field of the polygons' class names."),
        )
        self._add(
            QgsProcessingParameterString(self.BASE, tr("Model to begin with"), optional=True),
            tr("A model's name or .safetensors file; empty takes the default."),
        )
        self._add(
            QgsProcessingParameterString(self.NAME, tr("Name of the tuned model"), optional=True),
            tr("It is then found under this name everywhere; empty leaves it in the folder of the run."),
        )
        self._add(
            QgsProcessingParameterNumber(self.MINUTES, tr("Minutes"), _NUMBER.Double, 10.0, minValue=0.1),
            tr("How long to train. Ten are enough to see whether it helps."),
        )
        self._init_options()
        self._add(
            QgsProcessingParameterFolderDestination(self.FOLDER, tr("Folder of the run")),
            tr("For the journal, the checkpoints and the model; a run that is there already goes on."),
        )
        self.addOutput(QgsProcessingOutputFile(self.MODEL, tr("Tuned model")))
        self.addOutput(QgsProcessingOutputString(self.VERDICT, tr("Verdict")))
        self.addOutput(QgsProcessingOutputString(self.SENTENCE, tr("Verdict in words")))
        self.addOutput(QgsProcessingOutputNumber(self.BEFORE, tr("Mean IoU before")))
        self.addOutput(QgsProcessingOutputNumber(self.AFTER, tr("Mean IoU after")))

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Copy the layers."""
        rasters = [
            raster_path(layer) for layer in self.parameterAsLayerList(parameters, self.RASTERS, context) or []
        ]
        labels = [
            raster_path(layer) for layer in self.parameterAsLayerList(parameters, self.LABELS, context) or []
        ]
        if labels and len(labels) != len(rasters):
            raise QgsProcessingException(
                tr(
                    "There are {labels} label rasters for {rasters} rasters; choose one for each, in the same order."
                ).format(labels=len(labels), rasters=len(rasters))
            )
        self._rasters = rasters
        self._data = [{"raster": a, "labels": b} for a, b in zip(rasters, labels)]  # noqa: B905 # QGIS 3.22
        self._polygons: SupportPolygons | None = None
        source = self.parameterAsSource(parameters, self.POLYGONS, context)
        if source is not None:
            class_field = self.parameterAsString(parameters, self.CLASS_FIELD, context) or "class_id"
            name_field = self.parameterAsString(parameters, self.NAME_FIELD, context)
            layer = self.parameterAsVectorLayer(parameters, self.POLYGONS, context)
            self._name = layer.name() if layer is not None else tr("the polygon layer")
            self._polygons = SupportPolygons.read(source, self._name, class_field, name_field)
            self._polygon_fields = {"class_field": class_field, "name_field": name_field or "class_name"}
        self._fields: dict[str, Any] = {
            "id": 0,
            "base": self.parameterAsString(parameters, self.BASE, context).strip() or None,
            "name": self.parameterAsString(parameters, self.NAME, context).strip() or None,
            "minutes": self.parameterAsDouble(parameters, self.MINUTES, context),
            "iterations": self._number(parameters, self.ITERATIONS, context, whole=True),
            "hold_out": self.parameterAsEnumString(parameters, self.HOLD_OUT, context),
            "trained": self.parameterAsEnumString(parameters, self.TRAINED, context),
            "learning_rate": self._number(parameters, self.LEARNING_RATE, context),
            "crop": self.parameterAsInt(parameters, self.CROP, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context).strip() or "auto",
            "seed": self.parameterAsInt(parameters, self.SEED, context),
            "keep_worse": self.parameterAsBool(parameters, self.KEEP_WORSE, context),
            "replace": self.parameterAsBool(parameters, self.REPLACE, context),
        }

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Fine-tune."""
        folder = os.path.abspath(self.parameterAsString(parameters, self.FOLDER, context))
        resume = (Path(folder) / "finetuning.json").exists()
        hidden, data = {}, list(self._data)
        if self._polygons is not None:
            # In the folder, since a run that is resumed reads its labels again.
            path = Path(folder) / "polygons.gpkg"
            if not resume:
                self._write(path, context)
            hidden[str(path)] = self._name
            data += [
                {"raster": raster, "polygons": str(path), **self._polygon_fields} for raster in self._rasters
            ]
        message = protocol.Finetune(data=tuple(data) or None, folder=folder, resume=resume, **self._fields)
        value = self._request(message, feedback, hidden)
        if value is None:
            return {}
        self._tell(value, feedback)
        return {
            self.FOLDER: folder,
            self.MODEL: value["saved"] or value["model"],
            self.VERDICT: value["verdict"],
            self.SENTENCE: value["sentence"],
            self.BEFORE: value["base"]["miou"],
            self.AFTER: value["best"]["miou"],
        }

    def _init_options(self) -> None:
        self._add(
            QgsProcessingParameterNumber(
                self.ITERATIONS, tr("Iterations"), _NUMBER.Integer, optional=True, minValue=1
            ),
            tr("Episodes to train on at most; empty for as many as fit into the minutes."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterEnum(
                self.HOLD_OUT, tr("Held out"), list(_HOLD_OUT), defaultValue="auto", usesStaticStrings=True
            ),
            tr(
                "What is measured on and never trained on: whole rasters, or groups of neighbouring labels; auto takes "
                "validation polygons where they suffice, else rasters where there are two or more."
            ),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterEnum(
                self.TRAINED, tr("Layers to train"), list(_TRAINED), defaultValue="upper", usesStaticStrings=True
            ),
            tr("All but the first two stages (upper), all, or the last stage alone (last)."),
            advanced=True,
        )  # fmt: skip
        self._add(
            QgsProcessingParameterNumber(
                self.LEARNING_RATE, tr("Learning rate"), _NUMBER.Double, optional=True, minValue=0, maxValue=1
            ),
            tr("Largest step; empty for the usual one. A smaller one learns slower and forgets less."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterNumber(
                self.CROP, tr("Crop"), _NUMBER.Integer, 192, minValue=96, maxValue=1024
            ),
            tr("Side of the crops that the encoder sees, a multiple of 8; larger ones take longer."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterString(self.DEVICE, tr("Device"), "auto"),
            tr("auto, cpu, cuda or cuda:1."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterNumber(self.SEED, tr("Seed"), _NUMBER.Integer, 1, minValue=0),
            tr("Of all that is drawn by chance."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterBoolean(self.KEEP_WORSE, tr("Save it also when it is worse"), False),
            tr("Save the model under its name even when it labels the hold-out worse than before."),
            advanced=True,
        )
        self._add(
            QgsProcessingParameterBoolean(self.REPLACE, tr("Replace a model of this name"), False),
            tr("Let the tuned model take the place of another one of your own models."),
            advanced=True,
        )

    def _number(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext, whole: bool = False
    ) -> float | int | None:
        if parameters.get(name) in (None, ""):
            return None
        read = self.parameterAsInt if whole else self.parameterAsDouble
        return read(parameters, name, context)

    def _write(self, path: Path, context: QgsProcessingContext) -> None:
        """Copy the polygons; what is under the name is whole."""
        part = Path(QgsProcessingUtils.generateTempFilename("polygons.gpkg"))
        self._polygons.write(part, context.transformContext())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(part.read_bytes())
        except OSError as error:
            raise QgsProcessingException(
                tr("The folder {folder} cannot be written ({reason}); choose another one.").format(
                    folder=path.parent, reason=error.strerror
                )
            ) from error

    def _tell(self, value: dict[str, Any], feedback: QgsProcessingFeedback) -> None:
        for item in value["classes"]:
            numbers = [
                "-" if item[key] is None else f"{item[key]:.3f}" for key in ("iou_before", "iou_after")
            ]
            text = tr("{name}: IoU {before} before, {after} after")
            feedback.pushInfo(text.format(name=item["name"], before=numbers[0], after=numbers[1]))
        feedback.pushInfo(value["sentence"])
        if value["name"] and not value["saved"]:
            feedback.pushWarning(
                tr("The model is not saved as {name}, since it is worse; it stays in {model}.").format(
                    name=value["name"], model=value["model"]
                )
            )
