"""A table of the classes' IoU before and after fine-tuning, with the difference in colour."""

from __future__ import annotations

from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QWidget

from ..expectation import number_text
from ..finetuning.comparison import ClassComparison, Comparison
from ..translation import tr
from .table_cells import table_cell

DIGITS = 3  # of an IoU, as the verdict has
_FULL = 0.15  # difference that gets the full colour
_BETTER, _WORSE = QColor("#009e73"), QColor("#d55e00")  # after Okabe and Ito
_LEAST, _MOST = 30, 150  # alpha: the text is read on it in bright and dark windows


class ComparisonTable(QTableWidget):
    """The mean, and one row a class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("finetuneComparison")
        self.setAccessibleName(tr("IoU of each class before and after"))
        self.setToolTip(tr("IoU of each class on the hold-out, before and after fine-tuning."))
        self.setColumnCount(4)
        for column, title in enumerate((tr("Class"), tr("Before"), tr("After"), tr("Difference"))):
            self.setHorizontalHeaderItem(column, table_cell(title, number=column > 0))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_comparison(self, comparison: Comparison) -> None:
        """Fill the table."""
        rows = [(tr("Mean"), comparison.mean), *((item.name, item) for item in comparison.classes)]
        self.setRowCount(len(rows))
        for row, (name, item) in enumerate(rows):
            self._set_row(row, name, item, bold=row == 0)
        height = self.verticalHeader().defaultSectionSize()
        self.setMinimumHeight(min(len(rows), 6) * height + self.horizontalHeader().sizeHint().height() + 4)

    def _set_row(self, row: int, name: str, item: ClassComparison, bold: bool) -> None:
        texts = (
            name,
            number_text(item.before, DIGITS),
            number_text(item.after, DIGITS),
            _signed(item.difference),
        )
        for column, text in enumerate(texts):
            cell = table_cell(text, number=column > 0, tip="" if column else name)
            font = cell.font()
            font.setBold(bold)
            cell.setFont(font)
            if column == 3 and item.difference is not None:
                cell.setBackground(_shade(item.difference))
            self.setItem(row, column, cell)


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    rounded = round(value, DIGITS) + 0.0  # or there is a negative zero
    return ("+" if rounded > 0 else "") + number_text(rounded, DIGITS)


def _shade(difference: float) -> QColor:
    """The more, the stronger; nothing for what rounds to zero."""
    color = QColor(_BETTER if difference > 0 else _WORSE)
    share = min(abs(difference) / _FULL, 1.0)
    color.setAlpha(round(_LEAST + (_MOST - _LEAST) * share) if round(difference, DIGITS) else 0)
    return color
