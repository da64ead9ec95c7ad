"""The part of the dock that says what a run labels, and into which files."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from ..area import AreaKind
from ..session import LabelingSession
from ..translation import tr
from .shrinking import shrinkable


class RunSection(QGroupBox):
    """Area and outputs of the next run."""

    rectangleRequested = pyqtSignal()
    areaChanged = pyqtSignal()

    def __init__(self, session: LabelingSession, parent: QWidget | None = None) -> None:
        super().__init__(tr("Label Map"), parent)
        self._session = session
        self._build_inputs()
        form = QFormLayout(self)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("Area"), self._area)
        form.addRow("", self._features)
        form.addRow("", self._draw)
        form.addRow(tr("File"), self.output)
        also = QHBoxLayout()
        also.addWidget(self._confidence)
        also.addWidget(self._vector)
        also.addStretch(1)
        form.addRow(tr("Also"), also)
        self._on_area()
        self.show_options()
        session.loaded.connect(self.show_options)

    @property
    def area(self) -> AreaKind:
        """Which part is to be labelled."""
        return AreaKind(self._area.currentData())

    @property
    def features(self) -> QgsVectorLayer | None:
        """The layer whose selected features are meant."""
        return self._features.currentLayer()

    def _build_inputs(self) -> None:
        self._area = shrinkable(QComboBox())
        self._area.setObjectName("protolabelArea")
        self._area.setToolTip(tr("Which part of the raster is labelled."))
        self._area.addItem(tr("Whole raster"), AreaKind.WHOLE.value)
        self._area.addItem(tr("What is in view"), AreaKind.VIEW.value)
        self._area.addItem(tr("Rectangle"), AreaKind.RECTANGLE.value)
        self._area.addItem(tr("Selected features"), AreaKind.FEATURES.value)
        self._area.currentIndexChanged.connect(self._on_area)
        self._features = shrinkable(QgsMapLayerComboBox())
        self._features.setObjectName("protolabelAreaLayer")
        self._features.setAccessibleName(tr("Layer of the selected features"))
        self._features.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self._features.setToolTip(tr("What lies under the selected features of this layer is labelled."))
        self._draw = QPushButton(tr("Draw the Rectangle"))
        self._draw.setObjectName("protolabelDrawRectangle")
        self._draw.setToolTip(tr("Drag a rectangle on the map."))
        self._draw.clicked.connect(self.rectangleRequested)
        self.output = QgsFileWidget()
        self.output.setObjectName("protolabelOutput")
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter(tr("GeoTIFF (*.tif)"))
        self.output.setToolTip(tr("The label map; confidence and polygons get names like it."))
        self._confidence = QCheckBox(tr("Confidence"))
        self._confidence.setObjectName("protolabelConfidence")
        self._confidence.setToolTip(tr("Write a raster of how sure each label is, in percent."))
        self._vector = QCheckBox(tr("Polygons"))
        self._vector.setObjectName("protolabelVector")
        self._vector.setToolTip(tr("Write the labels as polygons as well."))
        self._confidence.toggled.connect(lambda on: self._session.set_options(confidence=on))
        self._vector.toggled.connect(lambda on: self._session.set_options(vector=on))

    def show_options(self) -> None:
        """Show what the session holds."""
        for box, on in (
            (self._confidence, self._session.options.confidence),
            (self._vector, self._session.options.vector),
        ):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)

    def _on_area(self) -> None:
        self._features.setVisible(self.area is AreaKind.FEATURES)
        self._draw.setVisible(self.area is AreaKind.RECTANGLE)
        self.areaChanged.emit()
