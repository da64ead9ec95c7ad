"""A box for a layer of the project, with a button for a file that is not in it."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QToolButton, QWidget

from ..results import RESULT_PROPERTY
from ..translation import tr
from .shrinking import shrinkable


class LayerOrFile(QWidget):
    """Chooses a layer or a file."""

    changed = pyqtSignal()

    def __init__(
        self, name: str, filters: Any, hint: str, tip: str, files: str, parent: QWidget | None = None
    ) -> None:
        """Make it.

        Args:
            name: Of the box, for tests and style sheets.
            filters: Of ``QgsMapLayerProxyModel``.
            hint: Shown while nothing is chosen.
            tip: Its tooltip.
            files: The filter of the file dialog.
            parent: The widget that it belongs to.
        """
        super().__init__(parent)
        self._files = files
        self.box = shrinkable(QgsMapLayerComboBox())
        self.box.setMinimumContentsLength(3)  # three boxes share a row
        self.box.setObjectName(name)
        self.box.setFilters(filters)
        self.box.setAllowEmptyLayer(True, hint)
        self.box.setToolTip(tip)
        self.box.setAccessibleName(tip)
        layers = QgsProject.instance().mapLayers().values()
        self.box.setExceptedLayerList([layer for layer in layers if layer.customProperty(RESULT_PROPERTY)])
        self.box.setLayer(None)
        browse = QToolButton()
        browse.setObjectName(f"{name}Browse")
        browse.setText("…")
        browse.setToolTip(tr("Choose a file that is not in the project."))
        browse.setAccessibleName(tr("Choose a file"))
        browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.box, 1)
        layout.addWidget(browse)
        self.box.currentIndexChanged.connect(lambda: self.changed.emit())

    @property
    def value(self) -> QgsMapLayer | str | None:
        """The layer, the path of the file, or None."""
        text = self.box.currentText()
        return text if text in self.box.additionalItems() else self.box.currentLayer()

    def set_value(self, value: QgsMapLayer | str | None) -> None:
        """Choose a layer or a file."""
        if isinstance(value, str):
            self.box.setAdditionalItems([value])
            self.box.setCurrentIndex(self.box.findText(value))
        else:
            self.box.setLayer(value)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Choose a File"), QgsProject.instance().homePath(), self._files
        )
        if path:
            self.set_value(path)
