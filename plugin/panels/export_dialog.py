"""Asks which part of a layer is saved as a GeoTIFF, and how fine."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle, QgsUnitTypes
from qgis.gui import QgsExtentGroupBox, QgsFileWidget, QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from ..label_run import size_text
from ..raster_export import LARGEST, ExportPlan
from ..translation import tr


class ExportDialog(QDialog):
    """Not modal: the extent can be drawn on the map."""

    planned = pyqtSignal(object)  # ExportPlan

    def __init__(
        self, layer: QgsRasterLayer, canvas: QgsMapCanvas, output: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelExportDialog")
        self.setWindowTitle(tr("Export a Part of {0}").format(layer.name()))
        self._crs = metric_crs(layer, canvas)
        self._extent = QgsExtentGroupBox()
        self._extent.setObjectName("protolabelExportExtent")
        self._extent.setToolTip(tr("The part of the layer to save; it can be drawn on the map."))
        self._extent.setOriginalExtent(layer.extent(), layer.crs())
        self._extent.setCurrentExtent(canvas.extent(), canvas.mapSettings().destinationCrs())
        self._extent.setOutputCrs(self._crs)
        self._extent.setOutputExtentFromCurrent()
        self._extent.setMapCanvas(canvas, False)
        self._resolution = QDoubleSpinBox()
        self._resolution.setObjectName("protolabelExportResolution")
        self._resolution.setDecimals(3)
        self._resolution.setRange(0.005, 10_000.0)
        self._resolution.setSuffix(" " + QgsUnitTypes.toAbbreviatedString(self._crs.mapUnits()))
        self._resolution.setToolTip(tr("Side of a pixel; aerial images have 0.1 to 1 m."))
        self._resolution.setValue(_native(layer, canvas, self._crs))
        self._file = QgsFileWidget()
        self._file.setObjectName("protolabelExportFile")
        self._file.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self._file.setFilter(tr("GeoTIFF (*.tif)"))
        self._file.setToolTip(tr("The GeoTIFF to write; it is added to the project."))
        self._file.setFilePath(str(output))
        self._about = QLabel()
        self._about.setObjectName("protolabelExportAbout")
        self._about.setWordWrap(True)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setText(tr("Export"))
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.close)
        form = QFormLayout()
        form.addRow(tr("Pixel size"), self._resolution)
        form.addRow(tr("File"), self._file)
        layout = QVBoxLayout(self)
        layout.addWidget(self._extent)
        layout.addLayout(form)
        layout.addWidget(self._about)
        layout.addWidget(buttons)
        self._extent.extentChanged.connect(self._update)
        self._resolution.valueChanged.connect(self._update)
        self._file.fileChanged.connect(self._update)
        self._update()

    def plan(self) -> ExportPlan:
        """What the fields say."""
        path = Path(self._file.filePath().strip() or ".tif")
        path = path if path.suffix.lower() in (".tif", ".tiff") else path.with_name(path.name + ".tif")
        return ExportPlan(
            QgsRectangle(self._extent.outputExtent()), self._crs, self._resolution.value(), path
        )

    def _update(self, *change: object) -> None:
        plan = self.plan()
        empty, large = plan.extent.isEmpty(), plan.pixels > LARGEST
        ready = not empty and not large and bool(self._file.filePath().strip())
        self._ok.setEnabled(ready)
        if empty:
            self._about.setText(tr("Choose an extent that holds an area."))
        elif large:
            self._about.setText(
                tr("{0} x {1} pixels are too many; choose a smaller extent or larger pixels.").format(
                    *plan.size
                )
            )
        else:
            self._about.setText(
                tr("{0} x {1} pixels, at most {2}.").format(*plan.size, size_text(plan.pixels * 4))
            )

    def _accept(self) -> None:
        self.planned.emit(self.plan())
        self.close()


def metric_crs(layer: QgsRasterLayer, canvas: QgsMapCanvas) -> QgsCoordinateReferenceSystem:
    """The first system at hand whose units are not degrees."""
    candidates = (canvas.mapSettings().destinationCrs(), layer.crs(), QgsProject.instance().crs())
    metric = [crs for crs in candidates if crs.isValid() and not crs.isGeographic()]
    return metric[0] if metric else QgsCoordinateReferenceSystem("EPSG:3857")


def _native(layer: QgsRasterLayer, canvas: QgsMapCanvas, crs: QgsCoordinateReferenceSystem) -> float:
    """The layer's own pixel size where it has one, else that of the screen."""
    own = layer.rasterUnitsPerPixelX()
    if layer.crs() == crs and own > 0 and layer.width() > 0:
        return own
    settings = canvas.mapSettings()
    return settings.mapUnitsPerPixel() if settings.destinationCrs() == crs else 0.5
