"""The part of the dock with the options of the backend; the defaults suit most rasters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QWidget,
)

from ..backend_service import BackendService
from ..head_titles import head_titles
from ..icons import icon
from ..session import LabelingSession
from ..translation import tr
from .model_card_dialog import ModelCardDialog, card_tip
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
        self._model = self._combo(
            "protolabelModel", tr("The encoder; more can be put into the models folder.")
        )
        self._cards: dict[str | None, tuple[str, str]] = {}  # name and card, by what stands for the model
        self._card_dialog: ModelCardDialog | None = None
        self._about = QToolButton()
        self._about.setObjectName("protolabelAboutModel")
        self._about.setIcon(icon("about"))
        self._about.setAutoRaise(True)
        self._about.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._about.setToolTip(
            tr("About this model: what it was trained on, and for which imagery. Needs the backend.")
        )
        self._about.setAccessibleName(tr("About this model"))
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
        label, row = QLabel(tr("Model")), QHBoxLayout()
        label.setBuddy(self._model)
        row.addWidget(self._model, 1)
        row.addWidget(self._about)
        form.addRow(label, row)
        form.addRow(tr("Matching"), self._head)
        form.addRow(tr("Scale"), self._scale)
        form.addRow(tr("Device"), self._device)
        form.addRow(self._spectral)
        form.addRow(self._crf)
        self.show_options()
        self.show_backend()
        session.loaded.connect(self.show_options)
        self._about.clicked.connect(self._show_card)
        self._model.currentIndexChanged.connect(self._on_model_shown)
        self._model.activated.connect(lambda: session.set_options(model=self._model.currentData()))
        self._head.activated.connect(lambda: session.set_options(head=self._head.currentData()))
        self._scale.activated.connect(lambda: session.set_options(scale=self._scale.currentData()))
        self._spectral.toggled.connect(lambda on: session.set_options(spectral=on))
        self._crf.toggled.connect(lambda on: session.set_options(crf=on))
        self._device.activated.connect(self._on_device)
        service.changed.connect(self.show_backend)

    def set_models(self, value: dict[str, Any]) -> None:
        """Offer what the backend has; see the message ``Models``."""
        self._model.clear()
        found = value.get("models", [])
        first = tr("Default ({0})").format(found[0]["name"]) if found else tr("Default")
        self._cards = {None: (found[0]["name"], found[0]["card"])} if found else {}
        self._model.addItem(first, None)
        for model in found:
            chosen = model["path"] or model["name"]
            self._cards[chosen] = model["name"], model["card"]
            self._model.addItem(model["name"], chosen)
        for row in range(self._model.count()):
            _, card = self._cards.get(self._model.itemData(row), ("", ""))
            self._model.setItemData(row, card_tip(card), Qt.ItemDataRole.ToolTipRole)
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
        model = self._session.options.model
        if model is not None and self._model.findData(model) < 0:
            self._model.addItem(Path(model).name, model)  # of the project, though it is not on this machine
        self._model.setCurrentIndex(max(self._model.findData(model), 0))
        self._on_model_shown()

    def _on_model_shown(self) -> None:
        """The button, and the card while it is open, follow the model."""
        name, card = self._cards.get(self._model.currentData(), ("", ""))
        self._about.setEnabled(bool(card))
        if self._card_dialog is not None and self._card_dialog.isVisible() and card:
            self._card_dialog.set_card(name, card)

    def _show_card(self) -> None:
        if self._card_dialog is None:
            self._card_dialog = ModelCardDialog(self)
        self._card_dialog.set_card(*self._cards[self._model.currentData()])
        self._card_dialog.show()
        self._card_dialog.raise_()
        self._card_dialog.activateWindow()

    @staticmethod
    def _combo(name: str, tip: str) -> QComboBox:
        box = shrinkable(QComboBox())
        box.setObjectName(name)
        box.setToolTip(tip)
        return box
