"""Asks how many sample points to draw, and into which file; tells how they would spread over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...backend import protocol
from ..accuracy.assessment import percent_text
from ..backend_service import BackendService
from ..gui_request import GuiRequest
from ..translation import tr
from .swatch import swatch

_SOON = 300  # milliseconds after the last change until the backend is asked
_MOST = 100_000
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class PointPlan:
    """What the user wants drawn; see :class:`backend.messages.SamplePoints`."""

    count: int
    minimum: int
    seed: int
    output: Path


class DrawPointsDialog(QDialog):
    """Not modal: the map stays at hand."""

    planned = pyqtSignal(object)  # PointPlan

    def __init__(
        self,
        service: BackendService,
        labels: str,
        support: str | None,
        output: Path,
        parent: QWidget | None = None,
    ) -> None:
        """Ask the backend for a suggestion at once.

        Args:
            service: The connection to the backend.
            labels: The label map.
            support: File of the polygons under which no point is drawn.
            output: The file to suggest.
            parent: The window that it belongs to.
        """
        super().__init__(parent)
        self.setObjectName("protolabelDrawPointsDialog")
        self.setWindowTitle(tr("Draw Sample Points"))
        self._service, self._labels, self._support = service, labels, support
        self._request: GuiRequest | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON)
        self._soon.timeout.connect(lambda: self._ask(self._count.value()))
        self._build_inputs(output)
        about = QLabel(
            tr(
                "Each class of the map gets its share of random points. More points make the figures surer; the "
                "minimum sees to it that rare classes can be judged as well."
            )
        )
        about.setWordWrap(True)
        self._status = QLabel()
        self._status.setObjectName("protolabelDrawPointsStatus")
        self._status.setWordWrap(True)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setText(tr("Draw"))
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.close)
        form = QFormLayout()
        form.addRow(tr("Standard error"), self._error)
        form.addRow(tr("Points"), self._count)
        form.addRow(tr("Of each class at least"), self._minimum)
        form.addRow(tr("Seed"), self._seed)
        form.addRow(tr("File"), self._file)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addLayout(form)
        layout.addWidget(self._table)
        layout.addWidget(self._status)
        layout.addWidget(buttons)
        self.resize(self.fontMetrics().averageCharWidth() * 66, self.sizeHint().height())
        self._ok.setEnabled(False)
        self._ask(None)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hear nothing more of what was asked."""
        self._soon.stop()
        if self._request is not None:
            self._request.abandon()
        super().closeEvent(event)

    def _build_inputs(self, output: Path) -> None:
        self._error = QDoubleSpinBox()
        self._error.setObjectName("protolabelPointsError")
        self._error.setRange(0.5, 20.0)
        self._error.setSingleStep(0.5)
        self._error.setDecimals(1)
        self._error.setSuffix(tr(" % of overall accuracy"))
        self._error.setValue(100 * protocol.SamplePoints.standard_error)
        self._error.setToolTip(
            tr(
                "How sure the overall accuracy shall be; the 95 % interval is about twice as wide to each side."
            )
        )
        self._error.valueChanged.connect(lambda: self._suggest_soon.start())
        self._suggest_soon = QTimer(self)
        self._suggest_soon.setSingleShot(True)
        self._suggest_soon.setInterval(_SOON)
        self._suggest_soon.timeout.connect(lambda: self._ask(None))
        self._count = _spin_box("protolabelPointsCount", 1, _MOST, 100)
        self._count.setToolTip(tr("As many as the standard error needs, unless you choose another number."))
        self._count.valueChanged.connect(lambda: self._soon.start())
        self._minimum = _spin_box("protolabelPointsMinimum", 0, _MOST, protocol.SamplePoints.minimum)
        self._minimum.setToolTip(tr("Rare classes get at least so many points."))
        self._minimum.valueChanged.connect(lambda: self._soon.start())
        self._seed = _spin_box("protolabelPointsSeed", 0, 2**31 - 1, 1)
        self._seed.setToolTip(tr("The same number draws the same points, in the same order."))
        self._file = QgsFileWidget()
        self._file.setObjectName("protolabelPointsFile")
        self._file.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self._file.setFilter(tr("GeoPackage (*.gpkg)"))
        self._file.setConfirmOverwrite(False)  # files that exist are refused
        self._file.setToolTip(tr("Points and labels are kept there, so that you can go on another day."))
        self._file.setFilePath(str(output))
        self._file.fileChanged.connect(self._check_file)
        self._table = QTableWidget(0, 3)
        self._table.setObjectName("protolabelPointsStrata")
        for column, title in enumerate((tr("Class"), tr("Of the map"), tr("Points"))):
            item = QTableWidgetItem(title)
            item.setTextAlignment(_RIGHT if column else _LEFT)
            self._table.setHorizontalHeaderItem(column, item)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._table.setAlternatingRowColors(True)
        self._table.setShowGrid(False)
        self._table.verticalHeader().hide()
        self._table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._table.setMinimumHeight(self.fontMetrics().height() * 12)

    def _ask(self, count: int | None) -> None:
        """Ask the backend how points would spread; without a count also how many there should be."""
        if self._request is not None:
            self._request.abandon()
        self._soon.stop()
        self._status.setText(tr("Looking at the map…"))
        self._request = GuiRequest(self)
        self._request.done.connect(lambda value: self._on_spread(value, suggested=count is None))
        self._request.failed.connect(self._on_failed)
        message = protocol.SamplePoints(
            0,
            labels=self._labels,
            count=count,
            standard_error=self._error.value() / 100,
            minimum=self._minimum.value(),
            seed=self._seed.value(),
            support=self._support,
        )
        self._request.send(self._service, message)

    def _on_spread(self, value: dict[str, Any], suggested: bool) -> None:
        self._request = None
        if suggested:
            self._count.blockSignals(True)
            self._count.setValue(value["points"])
            self._count.blockSignals(False)
        self._table.setRowCount(len(value["strata"]))
        for row, stratum in enumerate(value["strata"]):
            texts = stratum["name"], percent_text(stratum["share"]), str(stratum["points"])
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(_RIGHT)
                else:
                    item.setIcon(swatch(stratum["color"]))
                self._table.setItem(row, column, item)
        self._table.resizeRowsToContents()
        self._check_file()

    def _on_failed(self, text: str) -> None:
        self._request = None
        self._status.setText(text)
        self._ok.setEnabled(False)

    def _output(self) -> Path:
        text = self._file.filePath().strip()
        path = Path(text)
        return path if not text or path.suffix.lower() == ".gpkg" else path.with_name(path.name + ".gpkg")

    def _check_file(self, *change: object) -> None:
        """Labels are hours of work: an existing file is never replaced."""
        path = self._output()
        text = ""
        if not self._file.filePath().strip():
            text = tr("Name the file of the points.")
        elif not path.is_absolute() or not path.parent.is_dir():
            text = tr("The folder of the file does not exist; choose another one.")
        elif path.exists():
            text = tr("{0} exists already; choose another name, or open it to label on.").format(path.name)
        self._status.setText(text)
        self._ok.setEnabled(not text and self._table.rowCount() > 0)

    def _accept(self) -> None:
        plan = PointPlan(self._count.value(), self._minimum.value(), self._seed.value(), self._output())
        self.planned.emit(plan)
        self.close()


def _spin_box(name: str, low: int, high: int, value: int) -> QSpinBox:
    box = QSpinBox()
    box.setObjectName(name)
    box.setRange(low, high)
    box.setValue(value)
    box.setGroupSeparatorShown(True)
    return box
