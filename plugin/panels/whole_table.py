"""A table that shows all of its rows, since the panel around it scrolls."""

from __future__ import annotations

from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QSizePolicy, QTableWidget, QWidget


class WholeTable(QTableWidget):
    """Nothing in it can be edited; it scrolls to the sides only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt calls this."""
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Be as high as the rows are, and a scroll bar where the columns need one."""
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        wide = self.horizontalHeader().length() > self.viewport().width()
        bar = self.horizontalScrollBar().sizeHint().height() if wide else 0
        header = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(header + rows + bar + 2 * self.frameWidth())
