"""Offers runs that were interrupted, one after the other: go on with it, or discard it."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QDateTime, QLocale, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..finetuning.run_folder import RunFolder
from ..translation import tr
from .labels import plain_label


class LeftRuns(QFrame):
    """A frame that is seen while there is such a run."""

    resumed = pyqtSignal(object)  # RunFolder
    discarded = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("finetuneLeft")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._run: RunFolder | None = None
        mark, size = QLabel(), self.fontMetrics().height()
        mark.setPixmap(QgsApplication.getThemeIcon("/mIconInfo.svg").pixmap(size, size))
        self.text = plain_label("finetuneLeftText")
        self.resume = QPushButton(objectName="finetuneLeftResume", autoDefault=False)
        self.discard = QPushButton(tr("Discard"), objectName="finetuneLeftDiscard", autoDefault=False)
        self.discard.setToolTip(tr("Remove the run and its files."))
        self.resume.clicked.connect(lambda: self.resumed.emit(self._run))
        self.discard.clicked.connect(lambda: self.discarded.emit(self._run))
        head, buttons = QHBoxLayout(), QHBoxLayout()
        head.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.text, 1)
        buttons.addStretch(1)
        buttons.addWidget(self.discard)
        buttons.addWidget(self.resume)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addLayout(buttons)
        self.hide()

    def show_runs(self, runs: list[RunFolder]) -> None:
        """Offer the first of these runs; none hides the frame."""
        self._run = runs[0] if runs else None
        self.setVisible(self._run is not None)
        if self._run is not None:
            self.text.setText(left_text(self._run))
            done = self._run.result is not None
            self.resume.setText(tr("Show Result") if done else tr("Resume"))
            self.resume.setToolTip(
                tr("Compare the models, and save the tuned one.")
                if done
                else tr("Go on from the last checkpoint.")
            )


def left_text(run: RunFolder) -> str:
    """One sentence on a run of an earlier day."""
    text = (
        tr("The model of the fine-tuning of {base} of {date} was not saved yet.")
        if run.result is not None
        else tr("The fine-tuning of {base} of {date} was interrupted.")
    )
    date = QLocale().toString(QDateTime(run.started), QLocale.FormatType.ShortFormat)
    return text.format(base=run.base, date=date)
