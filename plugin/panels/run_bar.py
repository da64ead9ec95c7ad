"""The foot of the dock, always in sight: starts a run, shows what it will take and how far it is, cancels it."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..label_run import RunState, size_text, time_text
from ..translation import tr
from .progress_row import ProgressRow


class RunBar(QWidget):
    """One of four things at a time: the button, an estimate to confirm, the progress, the end of it."""

    runRequested = pyqtSignal()
    confirmed = pyqtSignal()
    withdrawn = pyqtSignal()
    cancelRequested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build_states()
        layout = QVBoxLayout(self)
        for widget in (self.run, self._question, self._progress, self._text):
            layout.addWidget(widget)
        self.show_idle("")

    @property
    def text(self) -> str:
        """What the user reads there."""
        return self._text.text()

    def _build_states(self) -> None:
        self.run = QPushButton(tr("Label Raster"))
        self.run.setObjectName("protolabelRun")
        self.run.setToolTip(tr("Label the chosen area and add the result to the map."))
        self.run.clicked.connect(self.runRequested)
        self._question = QFrame()
        self._question.setObjectName("protolabelQuestion")
        self._question.setFrameShape(QFrame.Shape.StyledPanel)
        self._estimate = QLabel()
        self._estimate.setObjectName("protolabelEstimate")
        self._estimate.setWordWrap(True)
        start, back = QPushButton(tr("Start")), QPushButton(tr("Back"))
        start.setObjectName("protolabelStart")
        start.setToolTip(tr("Start the run nevertheless."))
        back.setObjectName("protolabelBack")
        back.setToolTip(tr("Do not start it."))
        start.clicked.connect(self.confirmed)
        back.clicked.connect(self._on_back)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(start)
        buttons.addWidget(back)
        question = QVBoxLayout(self._question)
        question.addWidget(self._estimate)
        question.addLayout(buttons)
        self._progress = ProgressRow(
            "protolabel", tr("How far the run is."), tr("Stop the run; nothing is written.")
        )
        self.bar, self.cancel = self._progress.bar, self._progress.cancel
        self.cancel.clicked.connect(self.cancelRequested)
        self._text = QLabel()
        self._text.setObjectName("protolabelRunText")
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.PlainText)  # with names of files and classes

    def show_idle(self, text: str) -> None:
        """A run can be asked for; tell what became of the last one."""
        self._show(run=True)
        self._say(text)

    def show_estimating(self) -> None:
        """It is found out what the run will take."""
        self._show(progress=True)
        self.bar.setRange(0, 0)
        self._say(tr("Finding out what the run will take…"))

    def show_question(self, estimate: dict[str, Any]) -> None:
        """The run takes so much that it has to be confirmed."""
        lines = [
            tr("{0} x {1} pixels: about {2}, {3} of memory and {4} on the disk.").format(
                estimate["width"], estimate["height"], time_text(estimate["seconds"]),
                size_text(estimate["memory"]), size_text(estimate["disk"]),
            ),
            *estimate.get("warnings", []),
        ]  # fmt: skip
        self._estimate.setText("\n".join(lines))
        self._show(question=True)
        self._say("")

    def show_running(self, state: RunState) -> None:
        """The run goes on."""
        self._show(progress=True)
        self.bar.setRange(0, 100)
        self.bar.setValue(round(state.percent))
        left = (
            tr(", {0} left").format(time_text(state.seconds_left)) if state.seconds_left is not None else ""
        )
        self._say(state.text + left)

    def show_cancelling(self) -> None:
        """The run was told to end."""
        self.cancel.setEnabled(False)
        self._say(tr("Cancelling…"))

    def _show(self, run: bool = False, question: bool = False, progress: bool = False) -> None:
        self.run.setVisible(run)
        self._question.setVisible(question)
        if progress and not self._progress.isVisibleTo(self):
            self.cancel.setEnabled(True)
        self._progress.setVisible(progress)

    def _say(self, text: str) -> None:
        self._text.setText(text)
        self._text.setVisible(bool(text))

    def _on_back(self) -> None:
        self.show_idle("")
        self.withdrawn.emit()
