"""The first page of the fine-tuning dialog: what to learn from, the base model, what was found, options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.gui import QgsScrollArea
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QFrame, QGroupBox, QLabel, QPushButton, QVBoxLayout, QWidget

from ...backend import protocol
from ..backend_service import FINE_TUNING, BackendService
from ..finetuning.findings import Findings
from ..finetuning.inspection import Inspection
from ..gui_request import GuiRequest
from ..label_run import time_text
from ..session import LabelingSession
from ..translation import tr
from .findings_view import FindingsView
from .finetune_options import FinetuneOptions
from .labels import plain_label
from .material_section import MaterialSection
from .model_box import ModelBox


class FinetuneInput(QWidget):
    """Everything that is chosen is looked at by the backend before a run can be started."""

    startRequested = pyqtSignal()
    modelsFound = pyqtSignal()

    def __init__(
        self, session: LabelingSession, service: BackendService, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._service = session, service
        self._models: GuiRequest | None = None
        self._asked = False
        self._seen: object = None
        self.inspection = Inspection(service, self)
        self.material = MaterialSection(session)
        self.model = ModelBox("finetune", tr("The model to begin with; it stays as it is."))
        self.findings = FindingsView()
        self.options = FinetuneOptions(service)
        self.status, self.trouble = plain_label("finetuneStatus"), plain_label("finetuneTrouble")
        self.trouble.hide()
        self.start = QPushButton(tr("Start Fine-Tuning"), objectName="finetuneStart", autoDefault=False)
        self.start.setToolTip(tr("Fine-tune in the background; labelling goes on meanwhile."))
        self._lay_out()
        self.material.changed.connect(self._on_material)
        self.model.chosen.connect(self.look)
        self.findings.classesChanged.connect(self.look)
        self.options.changed.connect(self.look)
        self.start.clicked.connect(self.startRequested)
        self.inspection.asking.connect(self._on_asking)
        self.inspection.found.connect(self._on_found)
        self.inspection.failed.connect(self._on_failed)
        self.inspection.missing.connect(self._on_missing)

    def open(self) -> None:
        """The page is shown: look at what the session holds now."""
        self.material.show_session()
        self.look()

    def ask_models(self) -> None:
        """Ask the backend which models and devices there are."""
        if self._models is None:
            self._models = GuiRequest(self, FINE_TUNING)
            self._models.done.connect(self._on_models)
            self._models.failed.connect(self._on_no_models)
            self._models.send(self._service, protocol.Models(0))

    def close_requests(self) -> None:
        """The page is left: ask nothing more, and hear no answer."""
        self.inspection.close()
        if self._models is not None:
            self._models.abandon()
            self._models = None

    def look(self) -> None:
        """Let the backend look at what is chosen."""
        self._seen = self.material.state()
        self.show_trouble("")
        fields, device = self.fields_maker(), self.options.device
        self.inspection.ask(lambda folder: {**fields(folder), "device": device})

    def fields_maker(self) -> Callable[[Path], dict[str, Any]]:
        """What gives the fields of a request, save the device, once it has a folder for files."""

        def fields(folder: Path) -> dict[str, Any]:
            return {
                **self.material.fields(folder),
                **self.options.fields(),
                "base": self.model.model,
                "ignored": self.findings.ignored or None,
            }

        return fields

    def look_if_changed(self) -> None:
        """Look again when the session holds other rasters, polygons or classes than at the last look."""
        if self._seen != self.material.state():
            self.material.show_session()
            self.look()

    def show_trouble(self, text: str) -> None:
        """Tell why the last run could not be begun, until something else is chosen."""
        self.trouble.setText(text)
        self.trouble.setVisible(bool(text))

    def _lay_out(self) -> None:
        base = QGroupBox(tr("Base Model"))
        form = QFormLayout(base)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        label = QLabel(tr("Model"))
        label.setBuddy(self.model.box)
        form.addRow(label, self.model)
        inner = QWidget()
        column = QVBoxLayout(inner)
        for section in (self.material, base, self.findings, self.options):
            column.addWidget(section)
        column.addStretch(1)
        area = QgsScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setWidget(inner)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        bar = area.verticalScrollBar().sizeHint().width()
        area.setMinimumWidth(inner.minimumSizeHint().width() + bar)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area, 1)
        layout.addWidget(self.trouble)
        layout.addWidget(self.status)

    def _on_material(self) -> None:
        self.findings.forget()
        self.look()

    def _on_asking(self) -> None:
        self.start.setEnabled(False)
        self.findings.show_asking()
        self.status.setText(tr("Looking at rasters and labels…"))

    def _on_found(self, findings: Findings, final: bool) -> None:
        self.findings.show_findings(findings)
        self.start.setEnabled(findings.problem is None)
        if findings.problem is not None:
            self.status.setText("")
        elif findings.time is not None:
            self.status.setText(
                tr("About {0} on {1}: up to {2} iterations.").format(
                    time_text(findings.time.seconds),
                    findings.time.device,
                    self.locale().toString(findings.time.iterations),
                )
            )
        else:
            self.status.setText("" if final else tr("Measuring how long it will take…"))

    def _on_failed(self, text: str) -> None:
        self.start.setEnabled(False)
        self.findings.show_problem(text)
        self.status.setText("")

    def _on_missing(self, text: str) -> None:
        self._on_failed("")
        self.findings.show_hint(text)

    def _on_models(self, value: dict[str, Any]) -> None:
        self._models = None
        model = self.model.model if self._asked else self._session.options.model
        self.model.set_models(value["models"])
        self.model.set_model(model)
        self.options.set_devices(value["devices"])
        self._asked = True
        self.modelsFound.emit()

    def _on_no_models(self, text: str) -> None:
        self._models = None
        self._on_failed(text)
