"""The options of a fine-tuning run, each with a line that explains it; what few need is folded away."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..backend_service import BackendService
from ..translation import tr
from .labels import pale_label
from .shrinking import shrinkable

_MINUTES, _ITERATIONS = 10, 500  # defaults
_CROP, _CROP_STEP = 192, 32
_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)


class FinetuneOptions(QWidget):
    """How long, on what, and how."""

    changed = pyqtSignal()

    def __init__(self, service: BackendService, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._service = service
        self._make_boxes()
        basic, advanced = QGroupBox(tr("Options")), QgsCollapsibleGroupBox(tr("Advanced"))
        advanced.setObjectName("finetuneAdvanced")
        length = QHBoxLayout()
        length.addWidget(self._length)
        length.addWidget(self._unit)
        length.addStretch(1)
        self._form(
            basic,
            (
                tr("Length"),
                length,
                tr("It ends sooner when the hold-out has not been labelled better for a while."),
            ),
            (tr("Device"), self._device, tr("Where to compute; a graphics card is many times faster.")),
        )
        self._form(
            advanced,
            (
                tr("Hold out"),
                self._hold_out,
                tr("What the models are measured on and never learn from; validation polygons come first."),
            ),
            (
                tr("Layers"),
                self._trained,
                tr("More layers adapt further, and forget more when there is little to learn from."),
            ),
            (
                tr("Learning rate"),
                self._rate,
                tr("The largest step; smaller ones are slower and safer."),
            ),
            (
                tr("Crop size"),
                self._crop,
                tr(
                    "Side of the windows that the encoder sees: larger ones show more around, and take longer."
                ),
            ),
        )
        advanced.setCollapsed(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(basic)
        layout.addWidget(advanced)
        self.set_devices([])

    def fields(self) -> dict[str, Any]:
        """The fields of a ``FinetuningMessage``, save the device."""
        unit = self._unit.currentData()
        return {
            unit: self._length.value(),
            "hold_out": self._hold_out.currentData(),
            "trained": self._trained.currentData(),
            "learning_rate": self._rate.currentData(),
            "crop": self._crop.value() // 8 * 8,
        }

    @property
    def device(self) -> str:
        """What to compute on."""
        return str(self._device.currentData())

    def set_devices(self, devices: list[dict[str, Any]]) -> None:
        """Offer the devices of the backend; see the message ``Models``."""
        chosen = self.device if self._device.count() else self._service.settings.device
        self._device.blockSignals(True)
        self._device.clear()
        self._device.addItem(tr("Best there is"), "auto")
        for item in devices:
            self._device.addItem(f"{item['name']}: {item['title']}", item["name"])
        if self._device.findData(chosen) < 0:
            self._device.addItem(chosen, chosen)
        self._device.setCurrentIndex(self._device.findData(chosen))
        self._device.blockSignals(False)

    def _make_boxes(self) -> None:
        self._length = QSpinBox()
        self._length.setObjectName("finetuneLength")
        self._length.setAccessibleName(tr("Length"))
        self._length.setRange(1, 1_000_000)
        self._length.setValue(_MINUTES)
        self._length.setToolTip(tr("How long to fine-tune; pauses do not count."))
        self._unit = _combo("finetuneUnit", tr("Minutes, or episodes that are learnt from."))
        self._unit.addItem(tr("minutes"), "minutes")
        self._unit.addItem(tr("iterations"), "iterations")
        self._device = _combo("finetuneDevice", tr("Where to compute."))
        self._hold_out = _combo("finetuneHoldOutKind", tr("What is set aside to measure on."))
        self._hold_out.addItem(tr("Automatic"), "auto")
        self._hold_out.addItem(tr("Whole rasters"), "raster")
        self._hold_out.addItem(tr("Groups of neighbouring polygons"), "group")
        self._trained = _combo("finetuneTrained", tr("Which layers of the encoder change."))
        self._trained.addItem(tr("Upper layers"), "upper")
        self._trained.addItem(tr("Last layers only"), "last")
        self._trained.addItem(tr("All layers"), "all")
        self._rate = _combo("finetuneRate", tr("The largest step of the optimiser."))
        self._rate.addItem(tr("Automatic"), None)
        for rate in _RATES:
            self._rate.addItem(f"{rate:g}", rate)
        self._crop = QSpinBox()
        self._crop.setObjectName("finetuneCrop")
        self._crop.setRange(96, 1024)
        self._crop.setSingleStep(_CROP_STEP)
        self._crop.setValue(_CROP)
        self._crop.setSuffix(tr(" px"))
        self._crop.setToolTip(tr("Side of the windows, in pixels that the encoder sees."))
        self._unit.activated.connect(self._on_unit)
        for box in (self._device, self._hold_out, self._trained, self._rate):
            box.currentIndexChanged.connect(lambda: self.changed.emit())
        for spin in (self._length, self._crop):
            spin.setKeyboardTracking(False)
            spin.valueChanged.connect(lambda: self.changed.emit())

    def _on_unit(self) -> None:
        minutes = self._unit.currentData() == "minutes"
        value = _MINUTES if minutes else _ITERATIONS
        if self._length.value() == value:
            self.changed.emit()
        self._length.setValue(value)

    @staticmethod
    def _form(box: QGroupBox, *rows: tuple[str, Any, str]) -> None:
        form = QFormLayout(box)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field, explanation in rows:
            holder = QVBoxLayout()
            holder.setSpacing(1)
            if isinstance(field, QWidget):
                holder.addWidget(field)
            else:
                holder.addLayout(field)
            holder.addWidget(pale_label("finetuneExplanation", explanation))
            label = QLabel(title)
            form.addRow(label, holder)
            if isinstance(field, QWidget):
                label.setBuddy(field)


def _combo(name: str, tip: str) -> QComboBox:
    box = shrinkable(QComboBox())
    box.setObjectName(name)
    box.setToolTip(tip)
    box.setAccessibleName(tip.rstrip("."))
    return box
