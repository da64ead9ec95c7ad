"""Joins fine-tuning with QGIS's window: the dialog, the button that opens it, what is told in the message bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qgis.core import Qgis
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QAction, QPushButton

from ..backend_service import FINE_TUNING, BackendService
from ..icons import icon
from ..translation import tr
from .comparison import Verdict
from .model_switch import ModelSwitch
from .run import FineTuningRun, Phase

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from ..panels.finetune_dialog import FinetuneDialog
    from ..workspace import Workspace


class FineTuningRoom(QObject):
    """Lives as long as the plugin; the dialog is made when it is first asked for."""

    def __init__(
        self,
        iface: QgisInterface,
        service: BackendService,
        workspace: Callable[[], Workspace],
        action: QAction,
    ) -> None:
        """Prepare.

        Args:
            iface: QGIS.
            service: The way to the backend.
            workspace: Opens the workspace, whose session is fine-tuned for.
            action: The button, which shows whether a run is going on.
        """
        super().__init__(iface.mainWindow())
        self._iface, self._service, self._workspace, self._action = iface, service, workspace, action
        self.run = FineTuningRun(service, self)
        self.dialog: FinetuneDialog | None = None
        self._text = action.text()
        self.run.phaseChanged.connect(self._on_phase)
        self.run.advanced.connect(self._show_action)
        iface.initializationCompleted.connect(self._offer_left)  # QGIS is not up before

    def show(self) -> None:
        """Show the dialog."""
        if self.dialog is None:
            from ..panels.finetune_dialog import FinetuneDialog

            session = self._workspace().session
            self.dialog = FinetuneDialog(self.run, session, self._service, self._iface.mainWindow())
            self.dialog.result.switched.connect(self._on_switched)
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def close(self) -> None:
        """End everything; a run can be gone on with another day."""
        self._iface.initializationCompleted.disconnect(self._offer_left)
        self.run.close()
        if self.dialog is not None:
            self.dialog.close()
            self.dialog.deleteLater()
            self.dialog = None
        self.deleteLater()

    def _offer_left(self) -> None:
        """Tell of the last run of an earlier day, if it was left unfinished."""
        left = self.run.left()
        if left and self.dialog is None:
            from ..panels.left_runs import left_text

            self._tell(left_text(left[0]), Qgis.MessageLevel.Info, tr("Fine-Tuning…"), self.show)

    def _on_phase(self) -> None:
        self._show_action()
        seen = self.dialog is not None and self.dialog.isVisible()
        if not seen and not self.run.active:
            self._service.dismiss(FINE_TUNING)  # the worker is not kept for nothing
        if self.run.phase is Phase.DONE and not seen:
            better = self.run.comparison.verdict is Verdict.BETTER
            level = Qgis.MessageLevel.Success if better else Qgis.MessageLevel.Info
            self._tell(self.run.comparison.sentence, level, tr("Show Result"), self.show)
        elif self.run.phase is Phase.INTERRUPTED and not seen:
            self._tell(self.run.reason, Qgis.MessageLevel.Warning, tr("Fine-Tuning…"), self.show)

    def _show_action(self) -> None:
        """The button tells that a run is going on, and how far it is."""
        status = self.run.status
        share = f" {100 * status.iteration // status.iterations} %" if status.iterations else ""
        text = {
            Phase.RUNNING: tr("Fine-Tuning…{0}"),
            Phase.STOPPING: tr("Fine-Tuning…{0}"),
            Phase.PAUSED: tr("Fine-Tuning Is Paused{0}"),
        }.get(self.run.phase)
        self._action.setText(text.format(share) if text else self._text)
        self._action.setIcon(icon("finetune_running" if self.run.active else "finetune"))

    def _on_switched(self, name: str, step: ModelSwitch) -> None:
        """Tell of another model where it is seen when the dialog is closed, and let it be undone there."""
        self._tell(
            tr("This session now labels with {0}.").format(name),
            Qgis.MessageLevel.Success,
            tr("Undo"),
            self.dialog.result.undo_switch,
        )

    def _tell(self, text: str, level: Qgis.MessageLevel, button: str, slot: Callable[[], object]) -> None:
        bar = self._iface.messageBar()
        item = bar.createMessage("Protolabel", text)
        push = QPushButton(button, item)
        push.clicked.connect(lambda: (slot(), bar.popWidget(item)))
        item.layout().addWidget(push)
        bar.pushWidget(item, level)
