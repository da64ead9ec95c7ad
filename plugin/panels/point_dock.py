"""The small dock in which the analyst labels sample points, one after the other, best by the keyboard."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.gui import QgsDockWidget, QgsScrollArea
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..accuracy.sample_points import SampleCount, SamplePoint
from ..classes import ClassEntry
from ..translation import tr
from .swatch import swatch


class PointDock(QgsDockWidget):
    """Shows where the analyst is; what a button asks for is done elsewhere."""

    classChosen = pyqtSignal(int)  # class id
    nextRequested = pyqtSignal()
    previousRequested = pyqtSignal()
    skipRequested = pyqtSignal()
    undoRequested = pyqtSignal()
    zoomRequested = pyqtSignal()
    predictionToggled = pyqtSignal(bool)
    closing = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Label Sample Points"), parent)
        self.setObjectName("protolabelPointDock")
        self._entries: tuple[ClassEntry, ...] = ()
        self._buttons: dict[int, QPushButton] = {}
        self._keys: dict[int, int] = {}
        holder = QWidget()
        layout = QVBoxLayout(holder)
        for part in (self._build_head(), self._build_classes(), self._build_ways(), self._build_foot()):
            layout.addWidget(part, 1 if isinstance(part, QgsScrollArea) else 0)
        self.setWidget(holder)

    @property
    def shows_prediction(self) -> bool:
        """Whether the analyst wants to see what the map says."""
        return self._prediction.isChecked()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The user has closed the dock."""
        self.closing.emit()
        super().closeEvent(event)

    def set_classes(self, entries: Sequence[ClassEntry]) -> None:
        """Offer these classes."""
        self._entries, self._keys = tuple(entries), class_keys(entries)
        while self._list.count():
            self._list.takeAt(0).widget().deleteLater()
        self._buttons = {}
        for entry in self._entries:
            button = self._class_button(entry)
            self._buttons[entry.id] = button
            self._list.addWidget(button)
        filler = QWidget()
        filler.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._list.addWidget(filler, 1)

    def class_of_key(self, digit: int) -> int | None:
        """The class id that a number key stands for."""
        return next((id for id, key in self._keys.items() if key == digit), None)

    def show_point(self, index: int, total: int, point: SamplePoint, count: SampleCount) -> None:
        """Show which point is in hand, and how far the labelling is."""
        self._head.setText(tr("Point {0} of {1}").format(index + 1, total))
        self._state.setText(self._state_text(point))
        self._bar.setRange(0, total)
        self._bar.setValue(count.labelled + count.skipped)
        self._count.setText(
            tr("{0} labelled, {1} left, {2} skipped").format(count.labelled, count.left, count.skipped)
        )
        for id, button in self._buttons.items():
            button.setChecked(id == point.class_id)
        self._skip.setChecked(point.skipped)
        self._map_says.setText(tr("The map says: {0}").format(self._name(point.map_class)))
        self._map_says.setVisible(self.shows_prediction)

    def say(self, text: str, trouble: bool = False) -> None:
        """Tell something; nothing when it is empty."""
        self._message.setText(text)
        self._message.setStyleSheet("color: #d1242f;" if trouble else "")
        self._message.setVisible(bool(text))

    def _build_head(self) -> QWidget:
        holder = QWidget()
        self._head = QLabel()
        self._head.setObjectName("protolabelPointNumber")
        font = self._head.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.25)
        self._head.setFont(font)
        self._state = QLabel()
        self._state.setObjectName("protolabelPointState")
        self._state.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._bar.setObjectName("protolabelPointProgress")
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(8)
        self._bar.setAccessibleName(tr("Points that are done"))
        self._bar.setToolTip(tr("How many points are labelled or skipped."))
        self._count = QLabel()
        self._count.setObjectName("protolabelPointCount")
        self._count.setWordWrap(True)
        self._zoom = _tool_button(
            "protolabelPointZoom", tr("Zoom (Z)"), tr("Show the point at the first scale again (Z).")
        )
        self._zoom.clicked.connect(self.zoomRequested)
        row = QHBoxLayout()
        row.addWidget(self._head, 1)
        row.addWidget(self._zoom)
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        for part in (self._state, self._bar, self._count):
            layout.addWidget(part)
        return holder

    def _build_classes(self) -> QWidget:
        inner = QWidget()
        self._list = QVBoxLayout(inner)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(3)
        area = QgsScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setWidget(inner)
        return area

    def _build_ways(self) -> QWidget:
        holder = QWidget()
        back = _tool_button(
            "protolabelPointPrevious", tr("Previous (P)"), tr("The point before (P or Left).")
        )
        back.setArrowType(Qt.ArrowType.LeftArrow)
        back.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        back.clicked.connect(self.previousRequested)
        on = _tool_button("protolabelPointNext", tr("Next (N)"), tr("The next point (N, Right or Enter)."))
        on.setArrowType(Qt.ArrowType.RightArrow)
        on.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        on.clicked.connect(self.nextRequested)
        self._skip = _tool_button(
            "protolabelPointSkip",
            tr("Skip (S)"),
            tr("You cannot tell: leave the point out of the figures (S)."),
        )
        self._skip.setCheckable(True)
        self._skip.clicked.connect(self.skipRequested)
        undo = _tool_button(
            "protolabelPointUndo", tr("Undo (⌫)"), tr("Take back the last label (Backspace or Ctrl+Z).")
        )
        undo.clicked.connect(self.undoRequested)
        layout = QGridLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        for place, button in enumerate((back, on, self._skip, undo)):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            layout.addWidget(button, place // 2, place % 2)
        return holder

    def _build_foot(self) -> QWidget:
        holder = QWidget()
        self._prediction = QCheckBox(tr("Show the map"))
        self._prediction.setObjectName("protolabelPointPrediction")
        self._prediction.setToolTip(
            tr(
                "The label map is hidden while you label, since who knows what it says tends to agree with it."
            )
        )
        self._prediction.toggled.connect(self.predictionToggled)
        self._map_says = QLabel()
        self._map_says.setObjectName("protolabelPointMapSays")
        self._map_says.setTextFormat(Qt.TextFormat.PlainText)
        self._message = QLabel()
        self._message.setObjectName("protolabelPointMessage")
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        self._message.setWordWrap(True)
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self._prediction, self._map_says, self._message):
            layout.addWidget(part)
        self._map_says.hide()
        self._message.hide()
        return holder

    def _class_button(self, entry: ClassEntry) -> QPushButton:
        key = self._keys.get(entry.id)
        button = QPushButton(f"{key}   {entry.name}" if key is not None else f"     {entry.name}")
        button.setObjectName(f"protolabelPointClass{entry.id}")
        button.setIcon(swatch(entry.color))
        button.setCheckable(True)
        button.setStyleSheet("text-align: left; padding: 3px 6px;")
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        tip = (
            tr("Label the point as {0} and go on.")
            if key is None
            else tr("Label the point as {0} and go on ({1}).")
        )
        button.setToolTip(tip.format(entry.name, key))
        button.clicked.connect(lambda: self.classChosen.emit(entry.id))
        return button

    def _state_text(self, point: SamplePoint) -> str:
        if point.skipped:
            return tr("skipped")
        return tr("not labelled yet") if point.class_id is None else self._name(point.class_id)

    def _name(self, id: int | None) -> str:
        entry = next((entry for entry in self._entries if entry.id == id), None)
        if entry is not None:
            return entry.name
        return tr("nothing") if id is None else tr("class {0}, which the map does not have").format(id)


def class_keys(entries: Sequence[ClassEntry]) -> dict[int, int]:
    """The number key of each class: its id where all ids are 0 to 9, else its place from 1; none beyond the ninth."""
    if all(entry.id <= 9 for entry in entries):
        return {entry.id: entry.id for entry in entries}
    return {entry.id: place for place, entry in enumerate(entries[:9], 1)}


def _tool_button(name: str, text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    button.setToolTip(tip)
    return button
