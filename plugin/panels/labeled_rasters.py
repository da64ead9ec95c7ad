"""Rows of rasters with their labels, to which rows can be added and from which they can be removed."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsVectorLayer
from qgis.gui import QgsFieldComboBox
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from ..finetuning.material import LabeledRaster
from ..icons import icon
from ..session import is_readable
from ..translation import tr
from .layer_or_file import LayerOrFile
from .shrinking import shrinkable


class LabeledRasters(QWidget):
    """A raster, its labels and their class field in each row."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(2)
        self._grid.setVerticalSpacing(2)
        for column, (title, stretch) in enumerate(((tr("Raster"), 4), (tr("Labels"), 4), (tr("Field"), 2))):
            self._grid.addWidget(QLabel(title), 0, column)
            self._grid.setColumnStretch(column, stretch)
        add = QPushButton(icon("add"), tr("Add Raster"))
        add.setObjectName("finetuneAddRow")
        add.setAutoDefault(False)
        add.setToolTip(tr("Add another raster with its labels."))
        add.clicked.connect(lambda: self.add_row())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._grid)
        layout.addWidget(add, 0, Qt.AlignmentFlag.AlignLeft)
        self.add_row()

    def rows(self) -> list[LabeledRaster]:
        """What is chosen; rows that are not filled in yet are left out."""
        return [
            LabeledRaster(row.raster.value, row.labels.value, row.field.currentField())
            for row in self._rows
            if row.raster.value is not None and row.labels.value is not None
        ]

    def add_row(self) -> None:
        """Add a row, with a raster of the project that no other row has."""
        row = _Row(self)
        used = [other.raster.value for other in self._rows]
        free = [
            layer
            for layer in QgsProject.instance().mapLayers().values()
            if is_readable(layer) and layer.bandCount() >= 3 and layer not in used
        ]
        row.raster.set_value(free[0] if free else None)
        self._rows.append(row)
        self._lay_out()
        row.changed.connect(self.changed)
        row.removed.connect(self._remove)
        self.changed.emit()

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        for widget in row.widgets:
            self._grid.removeWidget(widget)
            widget.deleteLater()
        row.deleteLater()
        if not self._rows:
            self.add_row()
        self._lay_out()
        self.changed.emit()

    def _lay_out(self) -> None:
        for number, row in enumerate(self._rows, 1):
            for column, widget in enumerate(row.widgets):
                self._grid.addWidget(widget, number, column)


class _Row(QObject):
    """The widgets of one raster."""

    changed = pyqtSignal()
    removed = pyqtSignal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        filters = QgsMapLayerProxyModel.Filter
        self.raster = LayerOrFile(
            "finetuneRaster",
            filters.RasterLayer,
            tr("Choose a raster"),
            tr("The imagery."),
            tr("Rasters (*)"),
        )
        self.labels = LayerOrFile(
            "finetuneLabels",
            filters.RasterLayer | filters.PolygonLayer,
            tr("Choose labels"),
            tr("A raster of class ids, or polygons with a field of classes."),
            tr("Rasters and polygons (*)"),
        )
        self.field = shrinkable(QgsFieldComboBox())
        self.field.setMinimumContentsLength(3)
        self.field.setObjectName("finetuneClassField")
        self.field.setAccessibleName(tr("Class field"))
        self.field.setToolTip(tr("Of polygons: whole numbers are class ids, texts are class names."))
        self.remove = QToolButton()
        self.remove.setObjectName("finetuneRemoveRow")
        self.remove.setIcon(icon("remove"))
        self.remove.setAutoRaise(True)
        self.remove.setToolTip(tr("Leave this raster out."))
        self.remove.setAccessibleName(tr("Leave this raster out"))
        self.widgets = (self.raster, self.labels, self.field, self.remove)
        self._file: QgsVectorLayer | None = None  # kept, since the box of the fields does not
        self.raster.changed.connect(self.changed)
        self.labels.changed.connect(self._on_labels)
        self.field.fieldChanged.connect(lambda: self.changed.emit())
        self.remove.clicked.connect(lambda: self.removed.emit(self))
        self._on_labels()

    def _on_labels(self) -> None:
        labels = self.labels.value
        if isinstance(labels, str):
            labels = self._file = QgsVectorLayer(labels, "", "ogr")
        layer = labels if isinstance(labels, QgsVectorLayer) and labels.isValid() else None
        self.field.blockSignals(True)
        self.field.setLayer(layer)
        for name in ("class_id", "class", "class_name"):
            if layer is not None and layer.fields().lookupField(name) >= 0:
                self.field.setField(name)
                break
        self.field.blockSignals(False)
        self.field.setEnabled(layer is not None)
        self.changed.emit()
