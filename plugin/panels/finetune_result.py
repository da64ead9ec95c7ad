"""The third page of the fine-tuning dialog: is the tuned model better? Saves it, and lets the session use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...backend import protocol
from ..backend_service import FINE_TUNING, BackendService
from ..expectation import number_text
from ..finetuning.comparison import Comparison, Verdict
from ..finetuning.model_switch import ModelSwitch, switch_model, undo_switch
from ..finetuning.run import FineTuningRun
from ..gui_request import GuiRequest
from ..label_run import time_text
from ..session import LabelingSession
from ..translation import tr
from .comparison_table import DIGITS, ComparisonTable
from .labels import pale_label, plain_label
from .model_card_dialog import ModelCardDialog
from .question_frame import QuestionFrame

_ICONS = {
    Verdict.BETTER: "mIconSuccess.svg",
    Verdict.UNCLEAR: "mIconWarning.svg",
    Verdict.WORSE: "mIconCritical.svg",
}


class FinetuneResult(QWidget):
    """Nothing is saved or used unless that is asked for, and a model that is worse only after a question."""

    switched = pyqtSignal(str, object)  # name of the model, ModelSwitch
    modelSaved = pyqtSignal()

    def __init__(
        self,
        run: FineTuningRun,
        session: LabelingSession,
        service: BackendService,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._run, self._session, self._service = run, session, service
        self._request: GuiRequest | None = None
        self._comparison: Comparison | None = None
        self._saved: tuple[str, str] | None = None  # name and file
        self._step: ModelSwitch | None = None
        self._card: ModelCardDialog | None = None
        self._names: set[str] = set()
        self._make_widgets()
        self._lay_out()
        session.changed.connect(self._show_state)

    @property
    def saved(self) -> bool:
        """Whether the tuned model is kept."""
        return self._saved is not None

    def show_result(self) -> None:
        """Show the end of the run."""
        comparison = self._run.comparison
        if comparison is None or comparison is self._comparison:
            return
        self._comparison, self._saved, self._step = comparison, None, None
        icon = QgsApplication.getThemeIcon(f"/{_ICONS[comparison.verdict]}")
        size = round(self.fontMetrics().height() * 1.6)
        self._mark.setPixmap(icon.pixmap(size, size))
        self.verdict.setText(comparison.sentence)
        self._about.setText(
            " ".join(
                (
                    tr("{0} iterations in {1}.").format(comparison.iterations, time_text(comparison.seconds)),
                    comparison.hold_out,
                )
            )
        )
        self.table.show_comparison(comparison)
        folder = self._run.folder
        base = folder.base if folder is not None else "model"
        self.name.setText(f"{base}-{folder.started:%Y%m%d}" if folder is not None else base)
        self.replace.setChecked(False)
        self.replace.hide()
        self.question.hide()
        self._say("")
        self._show_state()

    def _make_widgets(self) -> None:
        self._mark = QLabel()
        self.verdict = plain_label("finetuneVerdict")
        font = self.verdict.font()
        font.setBold(True)
        self.verdict.setFont(font)
        self._about = pale_label("finetuneResultAbout")
        self.table = ComparisonTable()
        self.name = QLineEdit(objectName="finetuneName")
        self.name.setAccessibleName(tr("Name of the model"))
        self.name.setToolTip(tr("What the tuned model is called in the list of models."))
        self.replace = QCheckBox(tr("Replace the model of this name"), objectName="finetuneReplace")
        self.replace.setToolTip(tr("The earlier model is gone then."))
        self.save = _button(
            "finetuneSave", tr("Save Model"), tr("Keep the tuned model among your own models.")
        )
        self.card = _button(
            "finetuneCard",
            tr("Model Card…"),
            tr("What the tuned model was made from, and how well it labels."),
        )
        self.use = _button(
            "finetuneUse", tr("Use in This Session"), tr("Label with the tuned model from now on.")
        )
        self.undo = _button("finetuneUndo", tr("Undo"), tr("Go back to the model that was used before."))
        self.message = plain_label("finetuneMessage")
        self.question = QuestionFrame("finetuneQuestion")
        self.name.textEdited.connect(self._on_name)
        self.replace.toggled.connect(self._show_state)
        self.save.clicked.connect(lambda: self._unless_worse(self._save))
        self.card.clicked.connect(self._show_card)
        self.use.clicked.connect(lambda: self._unless_worse(self._use))
        self.undo.clicked.connect(self.undo_switch)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.verdict, 1)
        row = QHBoxLayout()
        label = QLabel(tr("Name"))
        label.setBuddy(self.name)
        row.addWidget(label)
        row.addWidget(self.name, 1)
        row.addWidget(self.save)
        actions = QHBoxLayout()
        for button in (self.card, self.use, self.undo):
            actions.addWidget(button)
        actions.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self._about)
        layout.addWidget(self.table, 1)
        layout.addLayout(row)
        layout.addWidget(self.replace)
        layout.addLayout(actions)
        layout.addWidget(self.question)
        layout.addWidget(self.message)

    def _unless_worse(self, action: Callable[[], object]) -> None:
        """Do something at once, or after a question when the tuned model is worse."""
        comparison = self._comparison
        if comparison is None or comparison.verdict is not Verdict.WORSE:
            action()
            return
        text = tr(
            "On the hold-out the tuned model is worse than the base model by {0} mean IoU ({1} against {2})."
        ).format(
            number_text(comparison.before - comparison.after, DIGITS),
            number_text(comparison.after, DIGITS),
            number_text(comparison.before, DIGITS),
        )
        self.question.ask(text, tr("Do It Nevertheless"), tr("Keep the Base Model"), action)

    def _save(self) -> None:
        folder = self._run.folder
        if folder is None or self._request is not None:
            return
        self._request = GuiRequest(self, FINE_TUNING)
        self._request.done.connect(self._on_saved)
        self._request.failed.connect(self._on_not_saved)
        self._request.cancelled.connect(lambda: self._on_not_saved(""))
        message = protocol.KeepModel(
            0, str(folder.path), self.name.text().strip(), self.replace.isChecked(), keep_worse=True
        )
        self._request.send(self._service, message)
        self._show_state()

    def _on_saved(self, value: dict[str, Any]) -> None:
        self._request = None
        self._saved = value["name"], value["saved"]
        self.name.setText(value["name"])
        self._say(tr("Saved as {0}.").format(value["name"]))
        self._show_state()
        self.modelSaved.emit()

    def _on_not_saved(self, text: str) -> None:
        self._request = None
        self._say(text)
        self._show_state()

    def _use(self) -> None:
        if self._saved is None:
            return
        name, file = self._saved
        self._step = switch_model(self._session, file, tr("Use model {name}").format(name=name))
        self._say(tr("This session now labels with {0}.").format(name))
        self._show_state()
        self.switched.emit(name, self._step)

    def undo_switch(self) -> None:
        """Go back to the model that the session used before."""
        if self._step is not None and self._saved is not None:
            step, self._step = self._step, None
            undo_switch(self._session, step, tr("Use the model as before {name}").format(name=self._saved[0]))
            self._say(tr("This session labels with its former model again."))
            self._show_state()

    def set_names(self, names: set[str]) -> None:
        """The names that models have already."""
        self._names = {name.casefold() for name in names}
        self._show_state()

    def _on_name(self) -> None:
        self.replace.setChecked(False)
        self._say("")
        self._show_state()

    def _show_state(self) -> None:
        """Enable what can be done; the session may have been switched by its own undo, too."""
        name = self.name.text().strip()
        taken, saved, busy = (
            name.casefold() in self._names,
            self._saved is not None,
            self._request is not None,
        )
        used = saved and self._session.options.model == self._saved[1]
        self.name.setEnabled(not saved and not busy)
        self.replace.setVisible(taken and not saved)
        self.save.setEnabled(
            bool(name) and not saved and not busy and (not taken or self.replace.isChecked())
        )
        self.use.setEnabled(saved and not used)
        self.undo.setVisible(used and self._step is not None)

    def _show_card(self) -> None:
        if self._comparison is not None:
            self._card = self._card or ModelCardDialog(self)
            self._card.set_card(self._saved[0] if self._saved else self.name.text(), self._comparison.card)
            self._card.show()
            self._card.raise_()

    def _say(self, text: str) -> None:
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _button(name: str, text: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name, autoDefault=False)
    button.setToolTip(tip)
    return button
