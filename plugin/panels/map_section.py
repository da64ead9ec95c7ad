"""The part of the accuracy dock that chooses the label map and its confidence raster."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QFormLayout, QGroupBox, QLabel, QWidget

from ..accuracy.session import NO_CONFIDENCE, AccuracySession
from ..results import classes_of
from ..translation import tr
from .shrinking import shrinkable


class MapSection(QGroupBox):
    """Shows what the session takes as long as the user has not chosen anything else."""

    def __init__(self, session: AccuracySession, parent: QWidget | None = None) -> None:
        super().__init__(tr("Label Map"), parent)
        self._session = session
        self._map = shrinkable(QgsMapLayerComboBox())
        self._map.setObjectName("protolabelAccuracyMap")
        self._map.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self._map.setAllowEmptyLayer(True, tr("Choose a label map"))
        self._map.setToolTip(tr("The map to assess; the latest result unless you choose another one."))
        self._confidence = shrinkable(QgsMapLayerComboBox())
        self._confidence.setObjectName("protolabelAccuracyConfidence")
        self._confidence.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self._confidence.setAllowEmptyLayer(True, tr("None"))
        self._confidence.setToolTip(
            tr(
                "Its confidence raster, to see whether 80 % confidence means 80 % right; found beside the map."
            )
        )
        self._about = QLabel()
        self._about.setObjectName("protolabelAccuracyMapAbout")
        self._about.setWordWrap(True)
        form = QFormLayout(self)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(tr("Map"), self._map)
        form.addRow("", self._about)
        form.addRow(tr("Confidence"), self._confidence)
        # By the user only: while a project is read, layers come and go in the boxes.
        self._map.activated.connect(self._on_map)
        self._confidence.activated.connect(self._on_confidence)

    def show_choices(self) -> None:
        """Show what the session takes."""
        label_map = self._session.label_map
        self._map.setLayer(label_map)
        self._about.setText(_about(label_map))
        self._about.setVisible(label_map is not None)
        self._show_confidence()

    def _show_confidence(self) -> None:
        session, box = self._session, self._confidence
        beside = session.confidence_beside()
        layer = next(
            (
                layer
                for layer in session.project.mapLayers().values()
                if isinstance(layer, QgsRasterLayer) and beside is not None and layer.source() == str(beside)
            ),
            None,
        )
        # The file beside the map is offered even where no layer shows it.
        box.setAdditionalItems([beside.name] if beside is not None and layer is None else [])
        chosen = session.project.mapLayer(session.choices.confidence)
        if chosen is not None or session.choices.confidence == NO_CONFIDENCE:
            box.setLayer(chosen)
        elif layer is not None:
            box.setLayer(layer)
        elif beside is not None:
            box.setCurrentIndex(box.findText(beside.name))
        else:
            box.setLayer(None)

    def _on_map(self) -> None:
        layer = self._map.currentLayer()
        self._session.choose(map=layer.id() if layer is not None else "", confidence="")
        self.show_choices()

    def _on_confidence(self) -> None:
        layer, beside = self._confidence.currentLayer(), self._session.confidence_beside()
        by_itself = beside is not None and (
            self._confidence.currentText() == beside.name
            or (layer is not None and layer.source() == str(beside))
        )
        chosen = "" if by_itself else layer.id() if layer is not None else NO_CONFIDENCE
        self._session.choose(confidence=chosen)


def _about(layer: QgsRasterLayer | None) -> str:
    if layer is None:
        return ""
    classes = len(classes_of(layer))
    if not classes:
        return tr("This raster names no classes.")
    return tr("{0} classes, {1} x {2} pixels").format(classes, layer.width(), layer.height())
