"""The part of the dock that controls the live preview."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ..translation import tr
from .expectation_view import ExpectationView


class PreviewSection(QGroupBox):
    """Switches the preview, chooses between labels and uncertainty, sets the opacity, tells what is expected."""

    toggled_preview = pyqtSignal(bool)
    uncertaintyChosen = pyqtSignal(bool)
    opacityChanged = pyqtSignal(float)
    nextPlaceRequested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Preview"), parent)
        self.toggle = QPushButton(tr("Live Preview"))
        self.toggle.setObjectName("protolabelPreview")
        self.toggle.setCheckable(True)
        self.toggle.setToolTip(tr("Label what is in view after each polygon and after each move of the map."))
        self.toggle.toggled.connect(self.toggled_preview)
        self.next_place = QPushButton(tr("Next Place"))
        self.next_place.setObjectName("protolabelNextPlace")
        self.next_place.setToolTip(tr("Zoom to where one more polygon helps most."))
        self.next_place.clicked.connect(self.nextPlaceRequested)
        self._labels = QRadioButton(tr("Labels"))
        self._labels.setObjectName("protolabelShowLabels")
        self._labels.setToolTip(tr("Show the class of each pixel."))
        self._labels.setChecked(True)
        self._uncertainty = QRadioButton(tr("Uncertainty"))
        self._uncertainty.setObjectName("protolabelShowUncertainty")
        self._uncertainty.setToolTip(
            tr("Show where two classes are nearly as likely: orange, over red where most.")
        )
        self._uncertainty.toggled.connect(self.uncertaintyChosen)
        group = QButtonGroup(self)
        group.addButton(self._labels)
        group.addButton(self._uncertainty)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setObjectName("protolabelOpacity")
        self.opacity.setRange(0, 100)
        self.opacity.setValue(60)
        self.opacity.setToolTip(tr("Opacity of the preview."))
        self.opacity.valueChanged.connect(lambda value: self.opacityChanged.emit(value / 100.0))
        self.status = QLabel()
        self.status.setObjectName("protolabelPreviewStatus")
        self.status.setWordWrap(True)
        self.expectation = ExpectationView()

        buttons, choices, slider = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.toggle)
        buttons.addWidget(self.next_place)
        choices.addWidget(self._labels)
        choices.addWidget(self._uncertainty)
        choices.addStretch(1)
        opacity = QLabel(tr("Opacity"))
        opacity.setBuddy(self.opacity)
        slider.addWidget(opacity)
        slider.addWidget(self.opacity)
        layout = QVBoxLayout(self)
        for row in (buttons, choices, slider):
            layout.addLayout(row)
        layout.addWidget(self.status)
        layout.addWidget(self.expectation)
