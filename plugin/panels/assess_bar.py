"""The button that assesses the map, and in its place the progress while that runs."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from ..label_run import time_text
from ..translation import tr
from .progress_row import ProgressRow


class AssessBar(QWidget):
    """Either the button or the progress with Cancel; below it what there is to tell."""

    assessRequested = pyqtSignal()
    cancelRequested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.assess = QPushButton(tr("Assess"))
        self.assess.setObjectName("protolabelAssess")
        self.assess.setToolTip(tr("Compare the map with the reference and show how good it is."))
        self.assess.clicked.connect(self.assessRequested)
        self._progress = ProgressRow(
            "protolabelAssess", tr("How far the assessment is."), tr("Stop it; nothing is written.")
        )
        self.bar, self.cancel = self._progress.bar, self._progress.cancel
        self.cancel.clicked.connect(self.cancelRequested)
        self._text = QLabel()
        self._text.setObjectName("protolabelAssessText")
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # with names of layers and files
        self._text.setWordWrap(True)
        layout = QVBoxLayout(self)
        for widget in (self.assess, self._progress, self._text):
            layout.addWidget(widget)
        self.show_idle("")

    @property
    def text(self) -> str:
        """What the user reads there."""
        return self._text.text()

    def show_idle(self, text: str) -> None:
        """The button, and what became of the last attempt."""
        self.assess.show()
        self._progress.hide()
        self._say(text)

    def show_running(
        self, text: str, done: int = 0, total: int = 0, seconds_left: float | None = None
    ) -> None:
        """The progress; without a total it is not known yet."""
        if self.assess.isVisibleTo(self):
            self.cancel.setEnabled(True)
        self.assess.hide()
        self._progress.show()
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        left = tr(", {0} left").format(time_text(seconds_left)) if seconds_left is not None else ""
        self._say(text + left)

    def show_cancelling(self) -> None:
        """It was told to end."""
        self.cancel.setEnabled(False)
        self._say(tr("Cancelling…"))

    def _say(self, text: str) -> None:
        self._text.setText(text)
        self._text.setVisible(bool(text))
