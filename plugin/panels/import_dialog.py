"""Asks which polygons to take over into the support layer, and which field holds their classes."""

from __future__ import annotations

from qgis.core import QgsFieldProxyModel, QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsFieldComboBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from ..translation import tr


class ImportDialog(QDialog):
    """Not modal: the map and the attribute tables stay at hand."""

    chosen = pyqtSignal(object, str, str)  # layer, class field, name field or ""

    def __init__(self, support: QgsVectorLayer | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelImport")
        self.setWindowTitle(tr("Import Polygons"))
        self._layers = QgsMapLayerComboBox()
        self._layers.setObjectName("protolabelImportLayer")
        self._layers.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self._layers.setToolTip(tr("The polygons that are copied into the support layer."))
        if support is not None:
            self._layers.setExceptedLayerList([support])
        self._class = QgsFieldComboBox()
        self._class.setObjectName("protolabelImportClass")
        self._class.setToolTip(tr("Whole numbers become class ids, texts become class names."))
        self._name = QgsFieldComboBox()
        self._name.setObjectName("protolabelImportName")
        self._name.setFilters(QgsFieldProxyModel.Filter.String)
        self._name.setAllowEmptyFieldName(True)
        self._name.setToolTip(tr("The names of new classes; may be left empty."))
        about = QLabel(
            tr("Classes that the table does not know are added to it. The layer itself is not changed.")
        )
        about.setWordWrap(True)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setText(tr("Import"))
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.close)
        form = QFormLayout()
        form.addRow(tr("Polygon layer"), self._layers)
        form.addRow(tr("Class field"), self._class)
        form.addRow(tr("Name field"), self._name)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self._layers.layerChanged.connect(self._on_layer)
        self._class.fieldChanged.connect(self._update)
        self._on_layer(self._layers.currentLayer())

    def _on_layer(self, layer: QgsVectorLayer | None) -> None:
        self._class.setLayer(layer)
        self._name.setLayer(layer)
        if layer is not None:
            for box, wanted in ((self._class, "class_id"), (self._name, "class_name")):
                if layer.fields().lookupField(wanted) >= 0:
                    box.setField(wanted)
        self._update()

    def _update(self) -> None:
        self._ok.setEnabled(self._layers.currentLayer() is not None and bool(self._class.currentField()))

    def _accept(self) -> None:
        self.chosen.emit(self._layers.currentLayer(), self._class.currentField(), self._name.currentField())
        self.close()
