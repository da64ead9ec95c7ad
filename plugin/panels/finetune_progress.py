"""The second page of the fine-tuning dialog: how far a run is, live plots, an example; pause and cancel."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..expectation import number_text
from ..finetuning.run import FineTuningRun, Phase
from ..finetuning.run_status import RunStatus
from ..label_run import time_text
from ..translation import tr
from .comparison_table import DIGITS
from .example_view import ExampleView
from .labels import plain_label
from .live_plots import LivePlots, make_plots


class FinetuneProgress(QWidget):
    """Follows a run; nothing here has to be open for it to go on."""

    def __init__(self, run: FineTuningRun, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run = run
        self._plots: LivePlots | None = None
        self.title = plain_label("finetuneTitle")
        self.status = plain_label("finetuneProgressText")
        self.score = plain_label("finetuneScore")
        self.bar = QProgressBar(objectName="finetuneBar", textVisible=True)
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.setToolTip(tr("Iterations that are done; a run may end sooner."))
        self.example = ExampleView()
        self.pause = QPushButton(tr("Pause"), objectName="finetunePause", autoDefault=False)
        self.pause.setToolTip(tr("Let the run wait, and give the computer back; a checkpoint is kept."))
        self.cancel = QPushButton(tr("Cancel"), objectName="finetuneCancel", autoDefault=False)
        self.cancel.setToolTip(tr("Stop the run; it can be gone on with from its last checkpoint."))
        self._mark = QLabel()
        size = round(self.fontMetrics().height() * 1.6)
        self._mark.setPixmap(QgsApplication.getThemeIcon("/mIconWarning.svg").pixmap(size, size))
        self._controls = QWidget()
        row = QHBoxLayout(self._controls)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.pause)
        row.addWidget(self.cancel)
        told = QHBoxLayout()
        told.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        told.addWidget(self.status, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(self.title)
        self._layout.addWidget(self._controls)
        self._layout.addLayout(told)
        self._layout.addWidget(self.score)
        self._layout.addStretch(0)  # where the plots go
        self._layout.addWidget(self.example)
        self.pause.clicked.connect(self._on_pause)
        self.cancel.clicked.connect(run.cancel)
        run.phaseChanged.connect(self.show_run)
        run.advanced.connect(self.show_run)

    def show_run(self) -> None:
        """Show how far the run is."""
        phase = self._run.phase
        if phase in (Phase.NONE, Phase.DONE) or not self.isVisible():
            return
        if self._plots is None:
            self._plots = make_plots(self)
            self._layout.insertWidget(4, self._plots, 1)
        status, interrupted = self._run.status, phase is Phase.INTERRUPTED
        name = self._run.folder.base if self._run.folder is not None else ""
        self.title.setText(tr("Fine-tuning of {0}").format(name))
        self._controls.setVisible(not interrupted)
        self._mark.setVisible(interrupted)
        way_out = tr("Everything up to the last checkpoint is kept: resume the run, or discard it.")
        self.status.setText(f"{self._run.reason}\n{way_out}" if interrupted else _status_text(status, phase))
        self.score.setText(_score_text(status))
        self.score.setVisible(bool(self.score.text()))
        self.bar.setRange(0, status.iterations or 0)
        self.bar.setValue(min(status.iteration, status.iterations or status.iteration))
        stopping = phase is Phase.STOPPING
        self.cancel.setEnabled(not stopping)
        self.pause.setEnabled(not stopping and status.stage in ("training", "paused"))
        self.pause.setText(tr("Resume") if phase is Phase.PAUSED else tr("Pause"))
        self._plots.show_curves(self._run.curves)
        self.example.show_example(status.example)

    def _on_pause(self) -> None:
        self._run.set_paused(self._run.phase is not Phase.PAUSED)
        self.pause.setEnabled(False)  # until the worker has done so


def _status_text(status: RunStatus, phase: Phase) -> str:
    if phase is Phase.STOPPING:
        return tr("Cancelling…")
    stages = {
        "reading": tr("Reading rasters and labels…"),
        "measuring": tr("Measuring on the hold-out…"),
        "paused": tr("Paused"),
    }
    if status.iteration == 0 and status.stage != "training":
        return stages.get(status.stage, "")
    parts = [stages[status.stage].rstrip("…")] if status.stage in stages else []
    parts.append(
        tr("Iteration {0} of {1}").format(status.iteration, status.iterations)
        if status.iterations
        else tr("Iteration {0}").format(status.iteration)
    )
    if status.speed:
        parts.append(
            tr("{0} iterations per second").format(number_text(status.speed))
            if status.speed >= 1
            else tr("{0} s per iteration").format(number_text(1 / status.speed))
        )
    if status.seconds_left is not None and status.stage != "paused":
        parts.append(tr("{0} left").format(time_text(status.seconds_left)))
    return " · ".join(parts)


def _score_text(status: RunStatus) -> str:
    if status.base is None:
        return ""
    if status.best is None:
        return tr("Mean IoU on the hold-out: base model {0}").format(number_text(status.base, DIGITS))
    return tr("Mean IoU on the hold-out: base model {0}, best so far {1} (iteration {2})").format(
        number_text(status.base, DIGITS), number_text(status.best, DIGITS), status.best_iteration
    )
