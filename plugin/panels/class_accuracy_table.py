"""How good the map is for each class, as a table."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QTableWidgetItem, QWidget

from ..accuracy.assessment import (
    Assessment,
    ClassAccuracy,
    Estimate,
    area_text,
    estimate_text,
    number_text,
    percent_text,
)
from ..translation import tr
from .swatch import swatch
from .whole_table import WholeTable


class ClassAccuracyTable(WholeTable):
    """One row a class; a column's tooltip tells what its numbers mean, a cell's what they are precisely."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelClassAccuracy")
        self.setAccessibleName(tr("Accuracy of the classes"))
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.verticalHeader().hide()
        self.setColumnCount(6)
        self._name_width = _LONGEST
        self.setWordWrap(False)

    def show_assessment(self, assessment: Assessment) -> None:
        """Show the classes of an assessment."""
        titles = (
            (tr("Class"), ""),
            (
                tr("Precision"),
                tr("Of what the map calls this class, how much is it; also called user's accuracy."),
            ),
            (
                tr("Recall"),
                tr("Of what is this class, how much does the map call so; also called producer's accuracy."),
            ),
            (tr("F1"), tr("Precision and recall in one number (their harmonic mean), of what was counted.")),
            (tr("IoU"), tr("What map and reference both call so, by what either does, of what was counted.")),
            (
                tr("Area ({0})").format(assessment.area_unit),
                tr("What the class truly covers, estimated from map and reference; tooltips tell what the map has."),
            ),
        )  # fmt: skip
        for column, (title, tip) in enumerate(titles):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            item.setTextAlignment(_LEFT if column == 0 else _RIGHT)
            self.setHorizontalHeaderItem(column, item)
        self.setRowCount(len(assessment.classes))
        for row, entry in enumerate(assessment.classes):
            self._show_class(row, entry, assessment)
        self.resizeColumnsToContents()
        self._name_width = min(self.columnWidth(0), _LONGEST)
        self.resizeRowsToContents()
        self.fit()

    def fit(self) -> None:
        """Give the names the room that the numbers leave."""
        numbers = sum(self.columnWidth(column) for column in range(1, self.columnCount()))
        self.setColumnWidth(0, max(self._name_width, self.viewport().width() - numbers))
        super().fit()

    def _show_class(self, row: int, entry: ClassAccuracy, assessment: Assessment) -> None:
        name = QTableWidgetItem(swatch(entry.color), entry.name)
        name.setToolTip(
            tr("{0}: {1} in the map, {2} in the reference.").format(
                entry.name, entry.map_count, entry.reference_count
            )
        )
        self.setItem(row, 0, name)
        area = tr("{0} {1} in the map.").format(number_text(entry.mapped_area), assessment.area_unit)
        cells = (
            (estimate_text(entry.users, entry.precision), _tip(entry.users, entry.precision)),
            (estimate_text(entry.producers, entry.recall), _tip(entry.producers, entry.recall)),
            (number_text(entry.f1), ""),
            (number_text(entry.iou), ""),
            (area_text(entry), area),
        )
        for column, (text, tip) in enumerate(cells, 1):
            item = QTableWidgetItem(text)
            item.setTextAlignment(_RIGHT)
            item.setToolTip(tip)
            self.setItem(row, column, item)


_LONGEST = 130  # pixels of a class name
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def _tip(estimate: Estimate | None, counted: float | None) -> str:
    if estimate is None:
        return tr("Of what was counted.")
    if estimate.low is None or estimate.high is None or estimate.margin is None:
        return tr("Estimated for the whole map; of what was counted: {0}.").format(number_text(counted))
    return tr("Estimated for the whole map, 95 %: {0} to {1}; of what was counted: {2}.").format(
        percent_text(estimate.low), percent_text(estimate.high), number_text(counted)
    )
