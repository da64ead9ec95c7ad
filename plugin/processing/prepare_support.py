"""``protolabel:prepare_support``: an empty support layer, ready to draw in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterFile,
    QgsProcessingParameterMatrix,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..class_files import ClassFileError, read_csv
from ..classes import ClassEntry, ClassError, ClassTable, ClassWish
from ..support_layer import SupportLayerError, create_support_layer, style_support_layer
from ..translation import tr
from .algorithm import ProtolabelAlgorithm

_COLUMNS = 3


class PrepareSupportAlgorithm(ProtolabelAlgorithm):
    """Makes an empty support layer; needs no backend."""

    USES_BACKEND = False
    RASTER, CLASSES, CLASSES_FILE, SUPPORT = "RASTER", "CLASSES", "CLASSES_FILE", "SUPPORT"

    def name(self) -> str:
        """The name in scripts, never translated."""
        return "prepare_support"

    def displayName(self) -> str:
        """The name in the toolbox."""
        return tr("Prepare support layer")

    def shortDescription(self) -> str:
        """The tooltip in the toolbox."""
        return tr("Makes an empty layer for the support polygons of some classes.")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return tr("training,samples,polygons,classes,land cover").split(",")

    def about(self) -> str:
        """What it does."""
        return tr(
            "Makes an empty GeoPackage for support polygons, with the fields class_id, class_name and use, in the "
            "CRS of a raster and in the colours of the classes. The style is stored in the file, so that "
            "it and the list of classes come back whenever the layer is opened."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Declare the parameters; Processing calls this."""
        self._add(
            QgsProcessingParameterRasterLayer(self.RASTER, tr("Raster")),
            tr("The raster that will be labelled; the layer gets its CRS."),
        )
        self._add(
            QgsProcessingParameterMatrix(
                self.CLASSES, tr("Classes"), headers=[tr("id"), tr("name"), tr("color")], optional=True
            ),
            tr(
                "One class a row: its id, a whole number, its name and its colour as #rrggbb. Ids and colours may be "
                "left empty."
            ),
        )
        self._add(
            QgsProcessingParameterFile(
                self.CLASSES_FILE, tr("Classes from a file"), extension="csv", optional=True
            ),
            tr("A table with the columns id, name and color; its classes come before those above."),
        )
        self._add(
            QgsProcessingParameterVectorDestination(
                self.SUPPORT, tr("Support layer"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            tr("A new GeoPackage; save it to a file of your own, since temporary layers vanish with QGIS."),
        )

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Make the layer."""
        output = self._output(parameters, self.SUPPORT, context)
        try:
            entries = self._classes(parameters, context)
            if Path(output).suffix.lower() != ".gpkg":
                raise QgsProcessingException(
                    tr("A support layer is a GeoPackage; give {path} the ending .gpkg.").format(path=output)
                )
            layer = create_support_layer(Path(output), self._crs, Path(output).stem)
        except (ClassError, ClassFileError, SupportLayerError) as error:
            raise QgsProcessingException(str(error)) from error
        style_support_layer(layer, entries)
        layer.saveStyleToDatabase(Path(output).stem, "", True, "")
        feedback.pushInfo(tr("{count} classes").format(count=len(entries)))
        return {self.SUPPORT: output}

    def read(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take over the raster's coordinate system."""
        raster = self.parameterAsRasterLayer(parameters, self.RASTER, context)
        if raster is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, self.RASTER))
        self._crs = raster.crs()

    def _classes(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Sequence[ClassEntry]:
        file = self.parameterAsFile(parameters, self.CLASSES_FILE, context)
        wishes = read_csv(file) if file else []
        wishes += _wishes(self.parameterAsMatrix(parameters, self.CLASSES, context))
        if not wishes:
            raise QgsProcessingException(tr("Name at least one class, in the table or in a file."))
        table = ClassTable()
        table.merge(wishes, "")
        return table.entries()


def _wishes(cells: Iterable[Any]) -> list[ClassWish]:
    """The classes of the table, which Processing hands over as one long row."""
    texts = [_text(cell) for cell in cells]
    wishes = []
    for start in range(0, len(texts), _COLUMNS):
        id, name, color = (texts[start : start + _COLUMNS] + [""] * _COLUMNS)[:_COLUMNS]
        if not (id or name or color):
            continue
        if id and not id.isdecimal():
            raise QgsProcessingException(
                tr("The class id {id} is not a whole number; mend the table of classes.").format(id=id)
            )
        wishes.append(ClassWish(int(id) if id else None, name or None, color or None))
    return wishes


def _text(cell: Any) -> str:
    """A cell as it was typed; Processing makes a number of what looks like one."""
    if cell is None or cell == NULL:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
