"""The part of the fine-tuning dialog that shows what was found: pixels and polygons per class and raster, warnings."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QGroupBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..finetuning.findings import Amount, Findings, FoundClass
from ..translation import tr
from .class_model import short_number
from .labels import pale_label, plain_label
from .table_cells import table_cell

_ROWS = 8  # that are seen without scrolling
_WIDEST = 16  # characters of a raster's name in the header
_LONGEST = 22  # characters of a class name that are seen at least, where the table has to be scrolled


class FindingsView(QGroupBox):
    """A table of classes and rasters; a class whose tick is taken away takes no part."""

    classesChanged = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Found"), parent)
        self._known: dict[int, FoundClass] = {}  # also those that were left out, to be ticked again
        self._ignored: set[int] = set()
        self.table = QTableWidget()
        self.table.setObjectName("finetuneFound")
        self.table.setAccessibleName(tr("Polygons and pixels of each class"))
        self.table.setToolTip(tr("Untick the classes that shall take no part."))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setAlternatingRowColors(True)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.itemChanged.connect(self._on_item)
        self._units = pale_label("finetuneUnits", tr("Polygons / pixels of each class."))
        self._hold_out = plain_label("finetuneHoldOut")
        self._notes = QGridLayout()
        self._notes.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addWidget(self._units)
        layout.addWidget(self._hold_out)
        layout.addLayout(self._notes)
        self.forget()

    @property
    def ignored(self) -> tuple[int, ...]:
        """The ids of the classes that take no part."""
        return tuple(sorted(self._ignored))

    @property
    def notes(self) -> list[str]:
        """What is told under the table: why no run can be started, warnings."""
        labels = (self._notes.itemAtPosition(row, 1) for row in range(self._notes.rowCount()))
        return [item.widget().text() for item in labels if item is not None]

    def forget(self) -> None:
        """Other material was chosen."""
        self._known, self._ignored = {}, set()
        self.show_problem("")

    def show_asking(self) -> None:
        """What is shown may be of the earlier choice."""
        self.table.setEnabled(False)

    def show_problem(self, text: str) -> None:
        """Nothing could be looked at.

        Args:
            text: Why, or nothing.
        """
        self.table.setEnabled(True)
        self._hold_out.hide()
        for widget in (self.table, self._units):
            widget.setVisible(bool(self._known))
        self._tell([("mIconCritical.svg", text)] if text else [])

    def show_hint(self, text: str) -> None:
        """Tell what is to be chosen yet."""
        self._tell([("mIconInfo.svg", text)])

    def show_findings(self, findings: Findings) -> None:
        """Show what was found."""
        self.table.setEnabled(True)
        self._known.update({item.id: item for item in findings.classes})
        self._fill(findings)
        self._fit()
        self._hold_out.setText(findings.hold_out)
        self._hold_out.setVisible(bool(findings.hold_out))
        for widget in (self.table, self._units):
            widget.show()
        problem = [("mIconCritical.svg", findings.problem)] if findings.problem else []
        self._tell([*problem, *(("mIconWarning.svg", text) for text in findings.warnings)])

    def _fill(self, findings: Findings) -> None:
        rasters, rows = findings.rasters, sorted(self._known.values(), key=lambda item: item.id)
        total = len(rasters) > 1
        self.table.blockSignals(True)
        self.table.setColumnCount(1 + len(rasters) + total)
        self.table.setRowCount(len(rows))
        self._set_header(0, tr("Class"), "")
        for column, raster in enumerate(rasters, 1):
            name = _shortened(raster.name)
            name = tr("{0}\n(held out)").format(name) if raster.held_out else name
            self._set_header(column, name, raster.path)
        if total:
            self._set_header(1 + len(rasters), tr("All"), "")
        for row, item in enumerate(rows):
            part = item.id not in self._ignored
            self._set_class(row, item, part)
            amounts = [raster.amounts.get(item.id, Amount()) for raster in rasters]
            for column, amount in enumerate([*amounts, *([item.total] if total else [])], 1):
                self._set_amount(row, column, amount, part)
        self.table.blockSignals(False)

    def _set_header(self, column: int, text: str, tip: str) -> None:
        self.table.setHorizontalHeaderItem(column, table_cell(text, column > 0, tip))

    def _set_class(self, row: int, item: FoundClass, part: bool) -> None:
        cell = table_cell(item.name, tip=tr("{name} (class id {id})").format(name=item.name, id=item.id))
        cell.setData(Qt.ItemDataRole.UserRole, item.id)
        cell.setFlags(cell.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        cell.setCheckState(Qt.CheckState.Checked if part else Qt.CheckState.Unchecked)
        self.table.setItem(row, 0, cell)

    def _set_amount(self, row: int, column: int, amount: Amount, part: bool) -> None:
        locale = self.locale()
        tip = tr("Polygons: {polygons}; pixels: {pixels}, of which {held_out} are held out.").format(
            polygons=amount.polygons,
            pixels=locale.toString(amount.pixels),
            held_out=locale.toString(amount.held_out),
        )
        self.table.setItem(row, column, table_cell(_amount_text(amount) if part else "", True, tip))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the table to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As high as needed within limits, and the names as wide as there is room."""
        if not self.table.columnCount():
            return
        header, letter = self.table.horizontalHeader(), self.fontMetrics().averageCharWidth()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        others = 0
        for column in range(1, self.table.columnCount()):
            wanted = max(self.table.sizeHintForColumn(column), header.sectionSizeHint(column)) + 2 * letter
            header.resizeSection(column, wanted)
            others += wanted
        left = self.table.viewport().width() - others
        header.resizeSection(0, max(left, min(self.table.sizeHintForColumn(0), letter * _LONGEST)))
        scrolls = left < header.sectionSize(0)
        bar = self.table.horizontalScrollBar().sizeHint().height() if scrolls else 0
        rows = min(max(self.table.rowCount(), 1), _ROWS)
        height = rows * self.table.verticalHeader().defaultSectionSize() + header.sizeHint().height()
        self.table.setFixedHeight(height + bar + 2 * self.table.frameWidth())

    def _tell(self, notes: list[tuple[str, str]]) -> None:
        while self._notes.count():
            self._notes.takeAt(0).widget().deleteLater()
        size = self.fontMetrics().height()
        for row, (picture, text) in enumerate(notes):
            mark, label = QLabel(), plain_label("finetuneNote", text)
            mark.setPixmap(QgsApplication.getThemeIcon(f"/{picture}").pixmap(size, size))
            self._notes.addWidget(mark, row, 0, Qt.AlignmentFlag.AlignTop)
            self._notes.addWidget(label, row, 1)

    def _on_item(self, item: QTableWidgetItem) -> None:
        id = item.data(Qt.ItemDataRole.UserRole)
        if item.column() == 0 and id is not None:
            part = item.checkState() == Qt.CheckState.Checked
            ignored = self._ignored - {id} if part else self._ignored | {id}
            if ignored != self._ignored:
                self._ignored = ignored
                self.classesChanged.emit()


def _amount_text(amount: Amount) -> str:
    if not amount.pixels and not amount.polygons:
        return "-"
    pixels = short_number(amount.pixels)
    return f"{amount.polygons} / {pixels}" if amount.polygons else f"- / {pixels}"


def _shortened(name: str) -> str:
    """Beginning and end, in which the names of tiles differ."""
    return name if len(name) <= _WIDEST else f"{name[:6]}…{name[7 - _WIDEST :]}"
