"""The part of the accuracy dock that chooses what the label map is compared with."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsFieldComboBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QLabel,
    QPushButton,
    QWidget,
)

from ..accuracy.sample_points import SampleCount, SamplePoints, SamplePointsError, is_sample_layer
from ..accuracy.session import AccuracySession, ReferenceKind
from ..session import LabelingSession
from ..support_layer import count_polygons, is_support_layer
from ..translation import tr
from .shrinking import shrinkable


class ReferenceSection(QGroupBox):
    """The kind of reference, and of each kind the layer; points can be drawn and labelled from here."""

    drawRequested = pyqtSignal()
    openRequested = pyqtSignal()
    labelRequested = pyqtSignal()

    def __init__(
        self, session: AccuracySession, labeling: LabelingSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Reference"), parent)
        self._session, self._labeling = session, labeling
        self._build_inputs()
        form = QFormLayout(self)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("Kind"), self._kind)
        self._layer_title, self._field_title = QLabel(tr("Layer")), QLabel(tr("Classes"))
        form.addRow(self._layer_title, self._layer)
        form.addRow(self._field_title, self._field)
        form.addRow("", self._about)
        form.addRow(self._buttons)
        form.addRow(self._without_support)

    def show_choices(self) -> None:
        """Show what the session takes."""
        session, kind = self._session, self._session.kind
        self._kind.setCurrentIndex(self._kind.findData(kind.value))
        self._layer.setFilters(_FILTERS[kind])
        layer = self._chosen_layer()
        self._layer.setLayer(layer)
        own = kind is ReferenceKind.RASTER or is_sample_layer(layer) or is_support_layer(layer)
        self._show_field(None if own else layer)
        self._buttons.setVisible(kind is ReferenceKind.POINTS)
        self._label.setEnabled(is_sample_layer(layer))
        self._without_support.setChecked(session.choices.without_support)
        self._without_support.setEnabled(self._labeling.support is not None)
        text = self._count_text(layer)
        self._about.setText(text)
        self._about.setVisible(bool(text))

    def show_labels(self, count: SampleCount) -> None:
        """Tell how far the labelling of the points is."""
        if self._session.kind is ReferenceKind.POINTS:
            self._about.setText(_labels_text(count))

    def _build_inputs(self) -> None:
        self._kind = shrinkable(QComboBox())
        self._kind.setObjectName("protolabelReferenceKind")
        self._kind.setToolTip(
            tr("Random points tell of the whole map; polygons only of the places where they were drawn.")
        )
        self._kind.addItem(tr("Sample points"), ReferenceKind.POINTS.value)
        self._kind.addItem(tr("Validation polygons"), ReferenceKind.POLYGONS.value)
        self._kind.addItem(tr("Reference raster"), ReferenceKind.RASTER.value)
        self._kind.activated.connect(self._on_kind)
        self._layer = shrinkable(QgsMapLayerComboBox())
        self._layer.setObjectName("protolabelReferenceLayer")
        self._layer.setAllowEmptyLayer(True, tr("None"))
        self._layer.setToolTip(tr("The layer that says what is true."))
        self._layer.activated.connect(self._on_layer)
        self._field = shrinkable(QgsFieldComboBox())
        self._field.setObjectName("protolabelReferenceField")
        self._field.setToolTip(
            tr("The field with the class ids of the map, or with the names of its classes.")
        )
        self._field.activated.connect(self._on_field)
        self._about = QLabel()
        self._about.setObjectName("protolabelReferenceAbout")
        self._about.setWordWrap(True)
        self._draw = QPushButton(tr("Draw Points…"))
        self._draw.setObjectName("protolabelDrawPoints")
        self._draw.setToolTip(tr("Draw random points, so many in each class of the map, for you to label."))
        self._draw.clicked.connect(self.drawRequested)
        self._label = QPushButton(tr("Label Points"))
        self._label.setObjectName("protolabelLabelPoints")
        self._label.setToolTip(
            tr("Go from point to point and tell what is there; begins at the first that is not labelled yet.")
        )
        self._label.clicked.connect(self.labelRequested)
        self._open = QPushButton(tr("Open…"))
        self._open.setObjectName("protolabelOpenPoints")
        self._open.setToolTip(tr("Go on with points of a file that were drawn before."))
        self._open.clicked.connect(self.openRequested)
        self._buttons = QWidget()
        grid = QGridLayout(self._buttons)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self._draw, 0, 0)
        grid.addWidget(self._open, 0, 1)
        grid.addWidget(self._label, 1, 0, 1, 2)
        self._without_support = QCheckBox(tr("Leave out support polygons"))
        self._without_support.setObjectName("protolabelWithoutSupport")
        self._without_support.setToolTip(
            tr("The map was made from these places, so it is better there than elsewhere.")
        )
        self._without_support.clicked.connect(lambda on: self._session.choose(without_support=on))

    def _chosen_layer(self) -> object:
        kind = self._session.kind
        if kind is ReferenceKind.POINTS:
            return self._session.points
        if kind is ReferenceKind.POLYGONS:
            return self._session.polygons(self._labeling)
        return self._session.raster

    def _show_field(self, layer: QgsVectorLayer | None) -> None:
        shown = layer is not None
        self._field_title.setVisible(shown)
        self._field.setVisible(shown)
        if shown:
            self._field.setLayer(layer)
            self._field.setField(self._session.class_field(layer))

    def _count_text(self, layer: object) -> str:
        kind = self._session.kind
        if kind is ReferenceKind.POINTS:
            return _points_text(layer)
        if kind is ReferenceKind.POLYGONS and is_support_layer(layer):
            counts = count_polygons(layer, layer.crs(), None).values()
            polygons, classes = sum(c.validation for c in counts), sum(c.validation > 0 for c in counts)
            if not polygons:
                return tr("No validation polygon yet: choose “Draw for validation” in the Protolabel panel.")
            return tr("{0} validation polygons of {1} classes").format(polygons, classes)
        if kind is ReferenceKind.POLYGONS and layer is not None:
            return tr("{0} polygons").format(layer.featureCount())
        return ""

    def _on_kind(self) -> None:
        self._session.choose(kind=self._kind.currentData())

    def _on_layer(self) -> None:
        layer = self._layer.currentLayer()
        self._session.choose(**{self._session.kind.value: layer.id() if layer is not None else ""})

    def _on_field(self) -> None:
        self._session.choose(class_field=self._field.currentField())


_FILTERS = {
    ReferenceKind.POINTS: QgsMapLayerProxyModel.Filter.PointLayer,
    ReferenceKind.POLYGONS: QgsMapLayerProxyModel.Filter.PolygonLayer,
    ReferenceKind.RASTER: QgsMapLayerProxyModel.Filter.RasterLayer,
}


def _points_text(layer: object) -> str:
    if not isinstance(layer, QgsVectorLayer):
        return tr(
            "Draw random points and tell what is at each: the way to figures that hold for the whole map."
        )
    try:
        points = SamplePoints(layer)
    except SamplePointsError:
        return tr("{0} points").format(layer.featureCount())
    count = points.count()
    points.close()
    return _labels_text(count)


def _labels_text(count: SampleCount) -> str:
    total = count.labelled + count.left + count.skipped
    text = tr("{0} of {1} points labelled").format(count.labelled, total)
    return text + (tr(", {0} skipped").format(count.skipped) if count.skipped else "")
