"""The part of the dock with the options of the backend; the defaults suit most rasters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QWidget,
)

from ..backend_service import BackendService
from ..head_titles import head_titles
from ..session import LabelingSession
from ..translation import tr
from .model_box import ModelBox
from .shrinking import shrinkable


class OptionsSection(QgsCollapsibleGroupBox):
    """Model, head, scale, refinement and device; follows the session and changes it."""

    def __init__(
        self, session: LabelingSession, service: BackendService, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Options"), parent)
        self._session, self._service = session, service
        self.setObjectName("protolabelOptions")
        self.setCollapsed(True)
        self._model = ModelBox("protolabel", tr("The encoder; more can be put into the models folder."))
        self._head = self._combo(
            "protolabelHead", tr("How features are matched with polygons; a prototype is a mean.")
        )
        self._scale = self._combo("protolabelScale", tr("Enlargement before the encoder: finer, and slower."))
        self._device = self._combo("protolabelDevice", tr("Where to compute."))
        self._spectral = QCheckBox(tr("Use pixel values"))
        self._spectral.setObjectName("protolabelSpectral")
        self._spectral.setToolTip(tr("Compare colours and further bands beside what the encoder sees."))
        self._crf = QCheckBox(tr("Follow edges (DenseCRF)"))
        self._crf.setObjectName("protolabelCrf")
        self._crf.setToolTip(tr("Let the borders of the labels follow the edges of the image."))
        for name, title in head_titles().items():
            self._head.addItem(title, name)
        self._scale.addItem(tr("By pixel and polygon size"), None)
        for factor in (0.5, 1.0, 2.0, 4.0):
            self._scale.addItem(f"{factor:g}", factor)
        self.set_models({})
        form = QFormLayout(self)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        label = QLabel(tr("Model"))
        label.setBuddy(self._model.box)
        form.addRow(label, self._model)
        form.addRow(tr("Matching"), self._head)
        form.addRow(tr("Scale"), self._scale)
        form.addRow(tr("Device"), self._device)
        form.addRow(self._spectral)
        form.addRow(self._crf)
        self.show_options()
        self.show_backend()
        session.loaded.connect(self.show_options)
        session.changed.connect(self._show_model)  # a fine-tuned one may take the place of the other
        self._model.chosen.connect(lambda: session.set_options(model=self._model.model))
        self._head.activated.connect(lambda: session.set_options(head=self._head.currentData()))
        self._scale.activated.connect(lambda: session.set_options(scale=self._scale.currentData()))
        self._spectral.toggled.connect(lambda on: session.set_options(spectral=on))
        self._crf.toggled.connect(lambda on: session.set_options(crf=on))
        self._device.activated.connect(self._on_device)
        service.changed.connect(self.show_backend)

    def set_models(self, value: dict[str, Any]) -> None:
        """Offer what the backend has; see the message ``Models``."""
        self._model.set_models(value.get("models", []))
        device = self._service.settings.device
        self._device.clear()
        self._device.addItem(tr("Best there is"), "auto")
        for item in value.get("devices", []):
            self._device.addItem(f"{item['name']}: {item['title']}", item["name"])
        if self._device.findData(device) < 0:
            self._device.addItem(device, device)
        self._device.setCurrentIndex(self._device.findData(device))
        self._show_model()

    def show_options(self) -> None:
        """Show what the session holds."""
        options = self._session.options
        self._show_model()
        self._head.setCurrentIndex(max(self._head.findData(options.head), 0))
        if options.scale is not None and self._scale.findData(options.scale) < 0:
            self._scale.addItem(f"{options.scale:g}", options.scale)
        self._scale.setCurrentIndex(max(self._scale.findData(options.scale), 0))
        for box, on in ((self._spectral, options.spectral), (self._crf, options.crf)):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)

    def show_backend(self) -> None:
        """Offer the refinement only where the backend has it."""
        verified = self._service.verified()
        missing = verified is not None and not verified.crf
        self._crf.setEnabled(not missing)
        self._crf.setText(tr("Follow edges (not installed)") if missing else tr("Follow edges (DenseCRF)"))
        if missing:
            self._session.set_options(crf=False)
            self.show_options()

    def _on_device(self) -> None:
        self._service.use(replace(self._service.settings, device=self._device.currentData()))

    def _show_model(self) -> None:
        self._model.set_model(self._session.options.model)

    @staticmethod
    def _combo(name: str, tip: str) -> QComboBox:
        box = shrinkable(QComboBox())
        box.setObjectName(name)
        box.setToolTip(tip)
        return box
