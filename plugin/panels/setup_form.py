"""The choices of an installation: which Python, which build, from where, to where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..backend_service import BackendService
from ..client.candidates import Source
from ..client.environment import FOLDER_VARIABLE
from ..client.install_steps import InstallOptions, compiler_needed
from ..client.interpreter import Probe, Verdict
from ..client.job import Job
from ..client.machine import what_builds
from ..proxy import qgis_proxy
from ..setup_jobs import Survey, judge_one, measure_space, survey
from ..translation import tr

_INTERVAL = 100  # milliseconds between two looks at the search
_GIGABYTE = 1e9
_TOGETHER = "C\u2060+\u2060+"  # not to be broken at the end of a line


class SetupForm(QWidget):
    """What the user chooses before an installation; choices are kept in the settings at once.

    Signals:
        installRequested: The button was clicked.
    """

    installRequested = pyqtSignal()

    def __init__(self, service: BackendService, parent: QWidget | None = None) -> None:
        """Show the settings and start to look for Pythons."""
        super().__init__(parent)
        self._service = service
        self._survey: Survey | None = None
        self.verdicts: list[Verdict] = []  # all Pythons that were looked at
        self._searches: list[tuple[Job, int]] = []  # with how much of each was shown
        self._free: int | None = None
        self._measuring: Job | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self._look)
        self._make_widgets()
        self._lay_out()
        self._connect()
        service.jobDone.connect(self._on_job_done)
        self.measure()
        self.search()

    @property
    def probe(self) -> Probe | None:
        """The Python that is chosen, None when none fits."""
        verdict = self.python.currentData()
        return verdict.probe if verdict is not None and verdict.fits else None

    def options(self) -> InstallOptions:
        """What to install from where."""
        wheels = self.wheels.filePath().strip()
        proxy = qgis_proxy() if self.proxy.isChecked() else None
        return InstallOptions(
            cuda=self.build.currentData() == "cuda", proxy=proxy, wheels=Path(wheels) if wheels else None
        )

    def search(self) -> None:
        """Look for Pythons anew."""
        self.python.clear()
        self.verdicts.clear()
        self._follow(survey(self._service))

    def measure(self) -> None:
        """Ask for the free space anew."""
        self._measuring = measure_space(self._service, self._service.environments.root)

    def refresh(self) -> None:
        """Tell what an installation will take, and whether one can begin."""
        options = self.options()
        self.proxy.setVisible(qgis_proxy() is not None)
        download = self._gigabytes(options.download)
        again = self._service.environments.find() is not None
        if options.wheels is not None:
            action = tr("Install Again from the Folder") if again else tr("Install from the Folder")
        else:
            action = tr("Download {size} and Install Again") if again else tr("Download {size} and Install")
        self.install.setText(action.format(size=download))
        self.install.setEnabled(self.probe is not None and self._service.setup is None)
        self.space.setText(self._about_space(options))
        for label, text in ((self.verdict, self._about_python()), (self.hint, self._about_compiler(options))):
            label.setText(text.replace("C++", _TOGETHER))
            label.setVisible(bool(text))

    def _make_widgets(self) -> None:
        settings = self._service.settings
        self.python = QComboBox(objectName="setupPython")
        self.python.setToolTip(tr("The Python that the environment is made with; it is not changed itself."))
        # The paths are long, and must not make the dialog wide.
        self.python.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.python.setMinimumContentsLength(12)
        self.browse = QToolButton(objectName="setupBrowse", text="…")
        self.browse.setToolTip(tr("Choose another Python, such as one from python.org."))
        self.verdict = _note("setupVerdict")
        self.build = QComboBox(objectName="setupBuild")
        self.build.addItem(tr("CPU"), "cpu")
        self.build.addItem(tr("CUDA (NVIDIA graphics card)"), "cuda")
        self.build.setToolTip(
            tr("What PyTorch computes on; the build for CUDA is large and needs an NVIDIA card.")
        )
        self.build.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.build.setMinimumContentsLength(12)
        self.build.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.wheels = _folder_widget("setupWheels", settings.wheels, tr("Folder of wheels"))
        self.wheels.setToolTip(
            tr("Install from the wheels in this folder, without any network; empty to download.")
        )
        self.folder = _folder_widget("setupFolder", str(self._service.environments.root), tr("Folder"))
        self.folder.setToolTip(
            tr("Where the environment goes; the folder of the plugin is replaced at every update.")
        )
        if self._service.folder_by_variable:
            self.folder.setEnabled(False)
            text = tr("The variable {variable} names this folder.")
            self.folder.setToolTip(text.format(variable=FOLDER_VARIABLE))
        self.proxy = QCheckBox(tr("Use QGIS's proxy"), objectName="setupProxy", checked=settings.use_proxy)
        self.proxy.setToolTip(tr("Download through the proxy of QGIS's network settings."))
        self.space, self.hint = _note("setupSpace"), _note("setupHint")
        self.install = QPushButton(objectName="setupInstall", autoDefault=False)
        self.install.setToolTip(tr("Make the environment; QGIS can be used meanwhile."))

    def _lay_out(self) -> None:
        chooser = QHBoxLayout()
        chooser.addWidget(self.python, 1)
        chooser.addWidget(self.browse)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow(tr("&Python"), chooser)
        form.labelForField(chooser).setBuddy(self.python)
        form.addRow(self.verdict)
        form.addRow(tr("&Build"), self.build)
        form.addRow(tr("&Offline wheels"), self.wheels)
        form.addRow(tr("&Folder"), self.folder)
        form.addRow(self.proxy)
        # The button stands outside, where it stays in sight when this is scrolled.
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.hint)
        layout.addWidget(self.space)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.python.currentIndexChanged.connect(self.refresh)
        self.browse.clicked.connect(self._choose_python)
        self.build.activated.connect(lambda: self._keep(build=self.build.currentData()))
        self.wheels.fileChanged.connect(lambda path: self._keep(wheels=path.strip()))
        self.folder.fileChanged.connect(self._keep_folder)
        self.proxy.toggled.connect(lambda on: self._keep(use_proxy=on))
        self.install.clicked.connect(self.installRequested)

    def _keep(self, **changes: object) -> None:
        self._service.use(replace(self._service.settings, **changes))
        self.refresh()

    def _keep_folder(self, path: str) -> None:
        path = path.strip()
        if Path(path) != self._service.environments.root:
            self._keep(folder=path)
            self.measure()

    def _choose_python(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Choose a Python"), self._service.settings.python)
        if path:
            self.add_python(Path(path))

    def add_python(self, path: Path) -> None:
        """Look at a Python that the user names."""
        self._follow(judge_one(self._service, path))

    def _follow(self, job: Job) -> None:
        self._searches.append((job, 0))
        self._timer.start()
        self.refresh()

    def _look(self) -> None:
        """Show what the searches have found since the last look."""
        finished = []
        for index, (job, shown) in enumerate(self._searches):
            done = job.done  # before the look, which may otherwise miss the last words
            verdicts, shown = job.said(shown)
            self._searches[index] = (job, shown)
            for verdict in verdicts:
                self._show(verdict)
            if done:
                finished.append(job)
                if isinstance(job.result, Survey):
                    self._survey = job.result
                    self._choose_build()
        self._searches = [pair for pair in self._searches if pair[0] not in finished]
        if not self._searches:
            self._timer.stop()
        self.refresh()

    def _choose_build(self) -> None:
        wanted = self._service.settings.build
        if wanted == "auto" and self._survey is not None:
            wanted = "cuda" if self._survey.nvidia else "cpu"
        self.build.setCurrentIndex(max(0, self.build.findData(wanted)))

    def _show(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        chosen = verdict.candidate.source is Source.CHOSEN
        if verdict.probe is None and not chosen:
            return  # a stub of some version manager
        version = ".".join(map(str, verdict.probe.version)) if verdict.probe else "?"
        self.python.addItem(f"{version}  {verdict.candidate.path}", verdict)
        row = self.python.count() - 1
        tip = verdict.reason or tr("{path} ({source})").format(
            path=verdict.candidate.path, source=verdict.candidate.source.value
        )
        self.python.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        if chosen or (verdict.fits and self.probe is None):
            self.python.setCurrentIndex(row)

    def _about_python(self) -> str:
        verdict = self.python.currentData()
        if verdict is not None and verdict.reason:
            return verdict.reason
        if verdict is not None and not self._searches:
            return ""
        if self._searches:
            return tr("Looking for Python…")
        return tr(
            "No Python was found; install Python 3.12 from python.org, or choose one with the button “…”."
        )

    def _about_space(self, options: InstallOptions) -> str:
        free = self._free
        needed = self._gigabytes(options.needed)
        there = self._gigabytes(free) if free is not None else tr("an unknown amount")
        if options.wheels is not None:
            text = tr("Nothing is downloaded. The environment takes up to {needed}; {free} is free.")
        else:
            text = tr("Downloads {download}. The environment takes up to {needed}; {free} is free.")
        text = text.format(download=self._gigabytes(options.download), needed=needed, free=there)
        if free is not None and free < options.needed:
            text += " " + tr("That is too little: choose another folder.")
        return text

    def _about_compiler(self, options: InstallOptions) -> str:
        probe = self.probe
        if self._survey is None or probe is None or (self._survey.compiler and probe.headers):
            return ""
        if not compiler_needed(self._service.requirements, options.wheels):
            return ""
        text = tr(
            "DenseCRF, which sharpens the edges of the labels, has to be built and needs {what}. "
            "Without it all else works; it can be added later with Repair."
        )
        return text.format(what=what_builds())

    def _on_job_done(self, job: Job) -> None:
        if job is self._measuring:
            self._free = job.result
            self.refresh()

    def _gigabytes(self, size: int) -> str:
        return tr("{size} GB").format(size=self.locale().toString(size / _GIGABYTE, "f", 1))


def _note(name: str) -> QLabel:
    """A text below a field, which may be long."""
    label = QLabel(objectName=name, wordWrap=True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setMinimumSize(QSize(1, 1))
    return label


def _folder_widget(name: str, path: str, title: str) -> QgsFileWidget:
    widget = QgsFileWidget(objectName=name)
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    widget.setDialogTitle(title)
    widget.setFilePath(path)
    return widget
