"""Cells and headers of small tables that are only read: names on the left, numbers on the right."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QTableWidgetItem

from ..compat import flag_number


def table_cell(text: str, number: bool = False, tip: str = "") -> QTableWidgetItem:
    """A cell, or a header, that cannot be changed."""
    cell = QTableWidgetItem(text)
    cell.setFlags(Qt.ItemFlag.ItemIsEnabled)
    side = Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft
    cell.setTextAlignment(flag_number(side | Qt.AlignmentFlag.AlignVCenter))
    cell.setToolTip(tip)
    return cell
