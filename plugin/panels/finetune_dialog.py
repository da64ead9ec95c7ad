"""Fine-tunes a model on local classes: choose, watch, compare; what runs goes on when the dialog is closed."""

from __future__ import annotations

from qgis.PyQt.QtCore import QEvent, QSize
from qgis.PyQt.QtGui import QHideEvent, QShowEvent
from qgis.PyQt.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..backend_service import FINE_TUNING, BackendService
from ..finetuning.run import FineTuningRun, Phase
from ..finetuning.run_folder import RunFolder
from ..request_fields import NotReadyError
from ..session import LabelingSession
from ..support_layer import SupportLayerError
from ..translation import tr
from .finetune_input import FinetuneInput
from .finetune_progress import FinetuneProgress
from .finetune_result import FinetuneResult
from .left_runs import LeftRuns
from .question_frame import QuestionFrame


class FinetuneDialog(QDialog):
    """Not modal: QGIS can be used meanwhile."""

    def __init__(
        self,
        run: FineTuningRun,
        session: LabelingSession,
        service: BackendService,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelFinetune")
        self.setWindowTitle(tr("Protolabel: Fine-Tune a Model"))
        self.setModal(False)
        self.setSizeGripEnabled(True)
        self._run, self._session, self._service = run, session, service
        self.left = LeftRuns()
        self.input = FinetuneInput(session, service)
        self.progress = FinetuneProgress(run)
        self.result = FinetuneResult(run, session, service)
        self.again = _button("finetuneAgain", tr("New Fine-Tuning"), tr("Choose other material or options."))
        self.discard = _button("finetuneDiscard", tr("Discard"), tr("Remove the run and its files."))
        self.resume = _button("finetuneResume", tr("Resume"), tr("Go on from the last checkpoint."))
        self.leave = _button("finetuneClose", tr("Close"), tr("Close the window; what runs goes on."))
        self.question = QuestionFrame("finetuneDiscardQuestion")
        self._pages = QStackedWidget()
        for page in (self.input, self.progress, self.result):
            self._pages.addWidget(page)
        foot = QHBoxLayout()
        foot.addStretch(1)
        for button in (self.input.start, self.resume, self.again, self.discard, self.leave):
            foot.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.left)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self.question)
        layout.addLayout(foot)
        metrics = self.fontMetrics()
        self.resize(QSize(metrics.averageCharWidth() * 88, metrics.lineSpacing() * 40))
        self._connect()

    def _connect(self) -> None:
        self.input.startRequested.connect(self._start)
        self.input.modelsFound.connect(lambda: self.result.set_names(self.input.model.names))
        self.leave.clicked.connect(self.close)
        self.resume.clicked.connect(self._run.resume)
        self.discard.clicked.connect(self._ask_discard)
        self.again.clicked.connect(self._run.discard)
        self.left.resumed.connect(self._run.open)
        self.left.discarded.connect(self._on_left_discarded)
        self.result.modelSaved.connect(self._on_saved)
        self._run.phaseChanged.connect(self.show_phase)

    def showEvent(self, event: QShowEvent) -> None:
        """Show what is going on, and what the session holds now."""
        super().showEvent(event)
        self.show_phase()

    def changeEvent(self, event: QEvent) -> None:
        """Look again at what the session holds, which may have changed while another window was at work."""
        super().changeEvent(event)
        window = event.type() == QEvent.Type.ActivationChange and self.isActiveWindow()
        if window and self._pages.currentWidget() is self.input:
            self.input.look_if_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nothing is looked at for a closed dialog, and its worker is not kept for nothing."""
        super().hideEvent(event)
        if not event.spontaneous():
            self.input.close_requests()
            if not self._run.active:
                self._service.dismiss(FINE_TUNING)

    def show_phase(self) -> None:
        """Show the page that fits where the run is."""
        phase = self._run.phase
        page = {Phase.NONE: self.input, Phase.DONE: self.result}.get(phase, self.progress)
        self._pages.setCurrentWidget(page)
        self.result.show_result()
        self.question.hide()
        self.input.start.setVisible(page is self.input)
        self.resume.setVisible(phase is Phase.INTERRUPTED)
        self.again.setVisible(page is self.result and self.result.saved)
        self.discard.setVisible(phase is Phase.INTERRUPTED or (phase is Phase.DONE and not self.result.saved))
        self.left.show_runs(self._run.left() if page is self.input else [])
        if not self.isVisible():
            return
        if page is not self.input:
            self.input.close_requests()
        if page is not self.progress:  # the worker is at the run then
            self.input.ask_models()
        if page is self.input:
            self.input.open()
            self.input.show_trouble(self._run.reason)
        self.progress.show_run()

    def _start(self) -> None:
        try:
            self._run.start(self.input.model.name, self.input.options.device, self.input.fields_maker())
        except (NotReadyError, SupportLayerError) as error:
            self.input.show_trouble(str(error))

    def _ask_discard(self) -> None:
        text = (
            tr("The tuned model was not saved. Discard it?")
            if self._run.phase is Phase.DONE
            else tr("Discard the run with all that was reached?")
        )
        self.question.ask(text, tr("Discard"), tr("Keep"), self._run.discard)

    def _on_left_discarded(self, folder: RunFolder) -> None:
        folder.remove()
        self.left.show_runs(self._run.left())

    def _on_saved(self) -> None:
        self._run.folder.remove()  # the model is kept elsewhere now
        self._service.refresh()  # the lists of models show it
        self.show_phase()


def _button(name: str, text: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name, autoDefault=False)
    button.setToolTip(tip)
    return button
