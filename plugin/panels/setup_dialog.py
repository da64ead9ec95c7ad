"""Installs, verifies, repairs and removes the backend's environment, or takes one that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from .. import setup_jobs
from ..backend_service import FINE_TUNING, BackendService
from ..client.candidates import VARIABLE
from ..client.diagnostics import diagnostics
from ..client.job import Job
from ..translation import tr
from .setup_form import SetupForm
from .setup_progress import SetupProgress
from .setup_state import State, setup_state

_ICONS = {
    State.WORKING: QStyle.StandardPixmap.SP_MessageBoxInformation,
    State.MISSING: QStyle.StandardPixmap.SP_MessageBoxInformation,
    State.OUTDATED: QStyle.StandardPixmap.SP_MessageBoxWarning,
    State.BROKEN: QStyle.StandardPixmap.SP_MessageBoxCritical,
}
_BREAK = "\u200b"  # paths have no blanks to wrap at


class SetupDialog(QDialog):
    """Not modal: QGIS can be used meanwhile, and what runs goes on when the dialog is closed."""

    def __init__(self, service: BackendService, parent: QWidget | None = None) -> None:
        """Show the state of a service, and the job that it may be at."""
        super().__init__(parent)
        self.setObjectName("protolabelSetup")
        self.setWindowTitle(tr("Protolabel: Set Up Backend"))
        self.setModal(False)
        self._service = service
        self._make_widgets()
        self._lay_out()
        self._connect()
        self._refresh()
        if service.setup is not None:
            self.progress.follow(service.setup)

    def _make_widgets(self) -> None:
        service = self._service
        self.icon = QLabel(objectName="setupIcon")
        self.state = _text("setupState")
        self.details = _text("setupDetails")
        self.form = SetupForm(service)
        self.existing = QgsFileWidget(objectName="setupExisting")
        self.existing.setFilePath(service.settings.python)
        self.existing.setDialogTitle(tr("Choose the Python of an environment"))
        self.existing.setToolTip(
            tr("The program python or python.exe of an environment, made by venv or conda.")
        )
        self.use = _button("setupUse", tr("Verify and Use"), tr("Let it compute, and use it if that works."))
        self.use_managed = _button(
            "setupUseManaged", tr("Do Not Use"), tr("Go back to the environment that Protolabel manages.")
        )
        self.device = QComboBox(objectName="setupDevice", editable=True)
        for name, title in (("auto", tr("auto")), ("cpu", "cpu"), ("cuda", "cuda")):
            self.device.addItem(title, name)
        self.device.setToolTip(
            tr(
                "What labelling runs on: auto takes the NVIDIA card where it works; cuda:1 is the second card."
            )
        )
        self.device.setCurrentText(service.settings.device)
        self.verify = _button("setupVerify", tr("&Verify"), tr("Let the environment compute on the device."))
        self.repair = _button(
            "setupRepair",
            tr("R&epair"),
            tr("Verify the environment and install it again if it does not work."),
        )
        self.remove = _button(
            "setupRemove", tr("Re&move…"), tr("Delete the environment that Protolabel manages.")
        )
        self.copy = _button(
            "setupCopy",
            tr("Copy &Diagnostics"),
            tr("Copy versions, state and logs for a report, without names and passwords."),
        )
        self.confirm = QFrame(objectName="setupConfirm", frameShape=QFrame.Shape.StyledPanel)
        self.confirmed = _button("setupConfirmed", tr("Remove"), tr("Delete it now."))
        self.kept = _button("setupKept", tr("Keep"), tr("Leave it as it is."))
        self.confirm.hide()
        self.progress = SetupProgress()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        # Enter in a field is no order to close, let alone to download.
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setAutoDefault(False)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.state, 1)
        tabs = QTabWidget(objectName="setupTabs")
        tabs.addTab(_page(self.form, self.form.install), tr("&Install"))
        tabs.addTab(_page(self._existing_page()), tr("E&xisting Environment"))
        device = QFormLayout()
        device.addRow(tr("C&ompute on"), self.device)
        actions = QHBoxLayout()
        for button in (self.verify, self.repair, self.remove):
            actions.addWidget(button)
        actions.addStretch(1)
        question = _text("setupQuestion")
        question.setText(tr("Delete the environment? Labelling needs it; it can be installed again."))
        confirm = QHBoxLayout(self.confirm)
        confirm.addWidget(question, 1)
        confirm.addWidget(self.confirmed)
        confirm.addWidget(self.kept)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self.details)
        layout.addWidget(tabs, 1)
        layout.addLayout(device)
        layout.addLayout(actions)
        layout.addWidget(self.confirm)
        layout.addWidget(self.progress, 1)
        layout.addWidget(self.buttons)
        width = self.fontMetrics().averageCharWidth()
        self.resize(QSize(70 * width, 34 * self.fontMetrics().lineSpacing()))

    def _existing_page(self) -> QWidget:
        page, about = QWidget(), _text("setupAbout")
        about.setText(
            tr(
                "An environment that holds the packages of requirements/backend.txt can be used in place of the one "
                "that Protolabel makes. For scripts, the variable {variable} names its Python."
            ).format(variable=VARIABLE)
        )
        row = QHBoxLayout()
        row.addWidget(self.use)
        row.addWidget(self.use_managed)
        row.addStretch(1)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(about)
        layout.addWidget(self.existing)
        layout.addLayout(row)
        layout.addStretch(1)
        return page

    def _connect(self) -> None:
        self._service.changed.connect(self._on_changed)
        self._service.jobDone.connect(self._on_job_done)
        self.form.installRequested.connect(self._install)
        self.use.clicked.connect(self._accept_existing)
        self.use_managed.clicked.connect(
            lambda: self._service.use(replace(self._service.settings, python=""))
        )
        self.existing.fileChanged.connect(self._refresh)
        self.device.currentTextChanged.connect(self._keep_device)
        self.verify.clicked.connect(lambda: self._start(setup_jobs.check, self._service))
        self.repair.clicked.connect(self._repair)
        self.remove.clicked.connect(lambda: self.confirm.setVisible(True))
        self.kept.clicked.connect(self.confirm.hide)
        self.confirmed.clicked.connect(self._remove)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.diagnostics()))
        self.buttons.rejected.connect(self.close)

    def diagnostics(self) -> str:
        """The report for a maintainer."""
        service = self._service
        state = setup_state(service)
        facts = {
            "QGIS": Qgis.QGIS_VERSION,
            "Backend": state.text,
            "Backend's Python": str(service.python() or "none"),
            "Device": service.settings.device,
        }
        checked = [f"{line}" for line in state.details]
        facts.update({f"Detail {number}": line for number, line in enumerate(checked, 1)})
        logs = [service.environments.log, service.log, service.log_of(FINE_TUNING)]
        return diagnostics(facts, self.form.verdicts, service.environments.find(), logs)

    def _install(self) -> None:
        if self.form.probe is not None:
            self._start(setup_jobs.install, self._service, self.form.probe, self.form.options())

    def _repair(self) -> None:
        if self.form.probe is not None:
            self._start(setup_jobs.repair, self._service, self.form.probe, self.form.options())

    def _remove(self) -> None:
        self.confirm.hide()
        self._start(setup_jobs.remove, self._service)

    def _accept_existing(self) -> None:
        self._start(setup_jobs.accept, self._service, Path(self.existing.filePath().strip()))

    def _start(self, job: object, *arguments: object) -> None:
        if self._service.setup is None:
            job(*arguments)
            self.progress.follow(self._service.setup)
            self._refresh()

    def _keep_device(self, text: str) -> None:
        self._service.use(replace(self._service.settings, device=text.strip() or "auto"))

    def _on_job_done(self, job: Job) -> None:
        self.progress.look()
        self._refresh()

    def _on_changed(self) -> None:
        self.form.measure()
        self._refresh()

    def _icon(self, state: State) -> QIcon:
        if state is State.READY:
            return QgsApplication.getThemeIcon("/mIconSuccess.svg")
        return self.style().standardIcon(_ICONS[state])

    def _refresh(self) -> None:
        service, state = self._service, setup_state(self._service)
        size = self.style().pixelMetric(QStyle.PixelMetric.PM_LargeIconSize)
        self.icon.setPixmap(self._icon(state.state).pixmap(QSize(size, size)))
        self.state.setText(state.text.replace("/", f"/{_BREAK}"))
        self.details.setText("\n".join(state.details).replace("/", f"/{_BREAK}"))
        self.details.setVisible(bool(state.details))
        idle, managed = service.setup is None, not service.chosen
        self.form.setEnabled(idle)
        self.existing.setEnabled(idle and not service.chosen_by_variable)
        self.form.refresh()
        self.verify.setEnabled(idle and service.python() is not None)
        self.repair.setEnabled(idle and managed and state.state in (State.READY, State.BROKEN))
        there = service.environments.find() is not None or bool(service.environments.leftovers())
        self.remove.setEnabled(idle and there)
        self.use.setEnabled(
            idle and bool(self.existing.filePath().strip()) and not service.chosen_by_variable
        )
        self.use_managed.setEnabled(idle and bool(service.settings.python))


def _text(name: str) -> QLabel:
    """A text that wraps; it cannot be selected, since what is put in for wrapping would be copied."""
    label = QLabel(objectName=name, wordWrap=True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _button(name: str, text: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name, autoDefault=False)
    button.setToolTip(tip)
    return button


def _page(content: QWidget, *below: QWidget) -> QWidget:
    """A page that can be made smaller than its content, with widgets that stay in sight."""
    area = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    for widget in (content, area.viewport()):
        widget.setAutoFillBackground(False)  # or it is of another shade than the tab
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.addWidget(area, 1)
    for widget in below:
        layout.addWidget(widget)
    return page
