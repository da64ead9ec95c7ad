"""The numbers of an assessment in the dock: one in large letters, what it means, and the tables behind it."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..accuracy.assessment import Assessment, basis, headline, meaning, number_text, percent_text
from ..translation import tr
from .class_accuracy_table import ClassAccuracyTable
from .confusion_table import ConfusionTable


class AssessmentView(QGroupBox):
    """Hidden until there is an assessment."""

    openRequested = pyqtSignal()
    saveRequested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("How Good the Map Is"), parent)
        self.setObjectName("protolabelAssessment")
        self._number, self._interval = _label("protolabelOverall"), _label("protolabelOverallInterval")
        font = self._number.font()
        font.setPointSizeF(font.pointSizeF() * 2.4)
        font.setBold(True)
        self._number.setFont(font)
        self._number.setWordWrap(False)
        self._meaning = _label("protolabelMeaning")
        self._means = _label("protolabelMeans")
        self._basis = _label("protolabelBasis")
        self._notes = _label("protolabelAssessmentNotes")
        self.classes, self.confusion = ClassAccuracyTable(), ConfusionTable()
        self._caption = _label("protolabelConfusionCaption")
        self._caption.setText(
            tr("Confusion matrix: rows are the map, columns the reference; green agrees, orange differs.")
        )
        head = QHBoxLayout()
        head.addWidget(self._number)
        head.addWidget(self._interval, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        for part in (self._meaning, self._build_means(), self._build_buttons(), self.classes):
            layout.addWidget(part)
        for part in (self._caption, self.confusion, self._basis, self._notes):
            layout.addWidget(part)
        self.hide()

    def show_assessment(self, assessment: Assessment) -> None:
        """Show it."""
        number, interval = headline(assessment)
        self._number.setText(number)
        self._interval.setText(interval)
        self._meaning.setText(meaning(assessment))
        for name, value in (
            ("kappa", assessment.kappa),
            ("iou", assessment.mean_iou),
            ("f1", assessment.mean_f1),
        ):
            self._tiles[name].setText(number_text(value))
        error = assessment.calibration_error
        self._tiles["calibration"].setText("-" if error is None else percent_text(error))
        self._tiles["calibration"].parentWidget().setVisible(error is not None)
        self.classes.show_assessment(assessment)
        self.confusion.show_assessment(assessment)
        self._basis.setText(f"{basis(assessment)} {assessment.statement}")
        self._notes.setText("\n".join(assessment.notes))
        self._notes.setVisible(bool(assessment.notes))
        self.open.setEnabled(assessment.report is not None)
        self.save.setEnabled(assessment.report is not None)
        self.show()

    def _build_means(self) -> QWidget:
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        self._tiles: dict[str, QLabel] = {}
        for name, title, tip in (
            ("kappa", tr("Kappa"), tr("Agreement beyond what chance gives: 0 is chance, 1 is perfect.")),
            (
                "iou",
                tr("Mean IoU"),
                tr("Mean over the classes, so that small ones count as much as large ones."),
            ),
            ("f1", tr("Mean F1"), tr("Mean over the classes of precision and recall in one number.")),
            (
                "calibration",
                tr("Confidence error"),
                tr("How far the confidence raster is from the share that is right, on average."),
            ),
        ):
            tile, number = _tile(name, title, tip)
            self._tiles[name] = number
            row.addWidget(tile)
        return holder

    def _build_buttons(self) -> QWidget:
        holder = QWidget()
        self.open = QPushButton(tr("Open Report"))
        self.open.setObjectName("protolabelOpenReport")
        self.open.setToolTip(
            tr("Open the report with all numbers and figures in the browser; it can be printed.")
        )
        self.open.clicked.connect(self.openRequested)
        self.save = QPushButton(tr("Save Report As…"))
        self.save.setObjectName("protolabelSaveReport")
        self.save.setToolTip(tr("Save the report as HTML, and its tables as CSV beside it."))
        self.save.clicked.connect(self.saveRequested)
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open)
        row.addWidget(self.save)
        row.addStretch(1)
        return holder


def _label(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _tile(name: str, title: str, tip: str) -> tuple[QWidget, QLabel]:
    frame = QFrame()
    frame.setFrameShape(QFrame.Shape.StyledPanel)
    frame.setToolTip(tip)
    number, caption = QLabel(), QLabel(title)
    number.setObjectName(f"protolabelTile_{name}")
    number.setAccessibleName(title)
    font = number.font()
    font.setBold(True)
    font.setPointSizeF(font.pointSizeF() * 1.2)
    number.setFont(font)
    small = caption.font()
    small.setPointSizeF(small.pointSizeF() * 0.9)
    caption.setFont(small)
    caption.setWordWrap(True)
    column = QVBoxLayout(frame)
    column.setContentsMargins(6, 4, 6, 4)
    column.setSpacing(0)
    column.addWidget(number)
    column.addWidget(caption)
    column.addStretch(1)
    return frame, number
