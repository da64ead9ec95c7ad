"""The part of the dock that chooses the raster and its bands."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsRasterLayer
from qgis.gui import QgsCheckableComboBox, QgsMapLayerComboBox, QgsRasterBandComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...backend import protocol
from ..backend_service import BackendService
from ..gui_request import GuiRequest
from ..results import RESULT_PROPERTY
from ..session import LabelingSession, is_readable
from ..translation import tr
from .shrinking import shrinkable


class RasterSection(QGroupBox):
    """Chooses the raster, tells how the backend reads it, and lets the bands be chosen."""

    exportRequested = pyqtSignal()

    def __init__(
        self, session: LabelingSession, service: BackendService, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Raster"), parent)
        self._session, self._service = session, service
        self._request: GuiRequest | None = None
        self._filling = False
        self._shown: tuple[int, ...] = ()
        self._build()
        session.rasterChanged.connect(self._on_raster)
        session.loaded.connect(self._on_raster)
        service.changed.connect(self._inspect)
        # By the user only: while a project is read, layers come and go in the box.
        self._layers.activated.connect(lambda: session.set_raster(self._layers.currentLayer()))
        QgsProject.instance().layersAdded.connect(self._except_results)
        self._except_results()
        self._on_raster()

    def close_requests(self) -> None:
        """Hear nothing more of what was asked."""
        QgsProject.instance().layersAdded.disconnect(self._except_results)
        if self._request is not None:
            self._request.abandon()

    def _build(self) -> None:
        self._layers = shrinkable(QgsMapLayerComboBox())
        self._layers.setObjectName("protolabelRaster")
        self._layers.setAccessibleName(tr("Raster"))
        self._layers.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self._layers.setAllowEmptyLayer(True, tr("Choose a raster"))
        self._layers.setToolTip(
            tr("The raster to label. Classes and polygons stay when you choose another one.")
        )
        self._about = QLabel()
        self._about.setObjectName("protolabelRasterAbout")
        self._about.setWordWrap(True)
        self._about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._toggle = QToolButton()
        self._toggle.setObjectName("protolabelBandsToggle")
        self._toggle.setText(tr("Bands"))
        self._toggle.setToolTip(
            tr("Choose which bands are red, green and blue, and which are used beside them.")
        )
        self._toggle.setCheckable(True)
        self._toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._toggle.setArrowType(Qt.ArrowType.RightArrow)
        self._toggle.setAutoRaise(True)
        self._export = QPushButton(tr("Export a Part of It…"))
        self._export.setObjectName("protolabelExport")
        self._export.setToolTip(tr("Save a part of this layer as a GeoTIFF, which the backend can read."))
        self._export.clicked.connect(self.exportRequested)
        self._bands = self._build_bands()
        row = QHBoxLayout()
        row.addWidget(self._toggle)
        row.addStretch(1)
        row.addWidget(self._export)
        layout = QVBoxLayout(self)
        layout.addWidget(self._layers)
        layout.addWidget(self._about)
        layout.addLayout(row)
        layout.addWidget(self._bands)
        self._toggle.toggled.connect(self._on_toggle)

    def _build_bands(self) -> QWidget:
        holder = QWidget()
        form = QFormLayout(holder)
        form.setContentsMargins(0, 0, 0, 0)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._colors = []
        for name, text in (("Red", tr("Red")), ("Green", tr("Green")), ("Blue", tr("Blue"))):
            box = shrinkable(QgsRasterBandComboBox())
            box.setObjectName(f"protolabelBand{name}")
            box.setToolTip(tr("The encoder sees three bands; near infrared as red works as well."))
            box.bandChanged.connect(self._on_bands)
            self._colors.append(box)
            form.addRow(text, box)
        self._extra = shrinkable(QgsCheckableComboBox())
        self._extra.setObjectName("protolabelBandsExtra")
        self._extra.setToolTip(
            tr("Further bands, such as near infrared, tell classes apart by their pixel values.")
        )
        self._extra.setDefaultText(tr("none"))
        self._extra.model().dataChanged.connect(self._on_bands)
        form.addRow(tr("Further"), self._extra)
        self._automatic = QPushButton(tr("Choose by Names"))
        self._automatic.setObjectName("protolabelBandsAutomatic")
        self._automatic.setToolTip(tr("Let the backend choose the bands by their names and colours."))
        self._automatic.clicked.connect(lambda: self._session.set_bands(None))
        form.addRow("", self._automatic)
        holder.setVisible(False)
        return holder

    def _on_toggle(self, open: bool) -> None:
        self._toggle.setArrowType(Qt.ArrowType.DownArrow if open else Qt.ArrowType.RightArrow)
        self._bands.setVisible(open)

    def _except_results(self, *layers: object) -> None:
        found = QgsProject.instance().mapLayers().values()
        self._layers.setExceptedLayerList([layer for layer in found if layer.customProperty(RESULT_PROPERTY)])

    def _on_raster(self) -> None:
        raster = self._session.raster
        if self._layers.currentLayer() is not raster:
            self._layers.setLayer(raster)
        readable = raster is not None and is_readable(raster)
        self._export.setVisible(raster is not None and not readable)
        self._toggle.setVisible(readable)
        self._bands.setVisible(readable and self._toggle.isChecked())
        if raster is None:
            self._about.setText(tr("Open an aerial image in QGIS and choose it here."))
        elif not readable:
            self._about.setText(
                tr("This layer comes from a server, so the backend cannot read it by itself.")
            )
        else:
            self._fill_bands(raster)
        self._inspect()

    def _fill_bands(self, raster: QgsRasterLayer, bands: tuple[int, ...] | None = None) -> None:
        choice = self._session.choice
        bands = bands or (choice.bands if choice else None) or tuple(range(1, min(raster.bandCount(), 3) + 1))
        colors = (bands * 3)[:3] if len(bands) < 3 else bands[:3]
        self._filling = True  # the boxes signal whatever blockSignals says
        for index, box in enumerate(self._colors):
            box.setLayer(raster)
            box.setBand(colors[index])
        self._extra.clear()
        for band in range(1, raster.bandCount() + 1):
            checked = Qt.CheckState.Checked if band in bands[3:] else Qt.CheckState.Unchecked
            self._extra.addItemWithCheckState(raster.bandName(band), checked, band)
        self._filling = False
        self._shown = self._chosen_bands()

    def _on_bands(self, *change: object) -> None:
        bands = self._chosen_bands()
        if self._filling:
            return
        # Some of the boxes signal later what was not changed by the user.
        if bands != self._shown and all(band > 0 for band in bands):
            self._shown = bands
            self._session.set_bands(bands)

    def _chosen_bands(self) -> tuple[int, ...]:
        colors = [box.currentBand() for box in self._colors]
        rows = range(self._extra.count())
        ticked = [row + 1 for row in rows if self._extra.itemCheckState(row) == Qt.CheckState.Checked]
        return (*colors, *(band for band in ticked if band not in colors))

    def _inspect(self) -> None:
        """Ask the backend how it reads the raster."""
        if self._request is not None:
            self._request.abandon()
            self._request = None
        raster, choice = self._session.raster, self._session.choice
        if raster is None or choice is None or not is_readable(raster):
            return
        self._about.setText(self._short(raster))
        if self._service.python() is None:
            return  # the banner tells
        self._request = GuiRequest(self)
        layer_id = raster.id()
        self._request.done.connect(lambda value: self._on_inspected(layer_id, value))
        self._request.failed.connect(self._on_failed)
        self._request.send(self._service, protocol.Inspect(0, raster.source(), choice.bands))

    def _on_inspected(self, layer_id: str, value: dict[str, Any]) -> None:
        self._request = None
        raster, choice = self._session.raster, self._session.choice
        if raster is None or choice is None or raster.id() != layer_id:
            return
        bands = tuple(value.get("bands") or ())
        if bands and choice.bands is None:
            self._fill_bands(raster, bands)
        if value.get("stretch"):
            self._session.set_stretch(layer_id, value["stretch"])
        names = [tr("red {0}"), tr("green {0}"), tr("blue {0}")]
        texts = [
            names[i].format(band) if i < 3 else tr("and {0}").format(band) for i, band in enumerate(bands)
        ]
        self._about.setText(
            self._short(raster) + (tr("; bands: {0}").format(", ".join(texts)) if texts else "")
        )

    def _on_failed(self, text: str) -> None:
        self._request = None
        self._about.setText(text)
        self._export.setVisible(True)  # QGIS can read formats that the backend cannot

    def _short(self, raster: QgsRasterLayer) -> str:
        return tr("{0} x {1} pixels").format(raster.width(), raster.height())
