"""The confusion matrix as a coloured table: the map's classes in rows, the reference's in columns."""

from __future__ import annotations

from qgis.PyQt.QtCore import QRect, QSize, Qt
from qgis.PyQt.QtGui import QBrush, QColor, QPainter
from qgis.PyQt.QtWidgets import QHeaderView, QTableWidgetItem, QWidget

from ..accuracy.assessment import Assessment, percent_text, short_text, whole_text
from ..translation import tr
from .swatch import swatch
from .whole_table import WholeTable

_RIGHT, _WRONG = QColor("#1b7f5c"), QColor("#d55e00")  # told apart by colour-blind eyes, too
_LONGEST = 110  # pixels of a class name in the header
_PAD = 6


class ConfusionTable(WholeTable):
    """Each cell is as dark as its share of its row: green where map and reference agree, orange where they differ."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelConfusion")
        self.setAccessibleName(tr("Confusion matrix"))
        self.setHorizontalHeader(_UprightHeader(self))

    def show_assessment(self, assessment: Assessment) -> None:
        """Show the counts of an assessment."""
        names = [item.name for item in assessment.classes]
        self.clear()
        self.setRowCount(len(names))
        self.setColumnCount(len(names))
        for place, item in enumerate(assessment.classes):
            column, row = (
                QTableWidgetItem(item.name),
                QTableWidgetItem(swatch(item.color), self._short(item.name)),
            )
            column.setToolTip(tr("Reference: {0}").format(item.name))
            row.setToolTip(tr("Map: {0}").format(item.name))
            self.setHorizontalHeaderItem(place, column)
            self.setVerticalHeaderItem(place, row)
        for row, counts in enumerate(assessment.confusion):
            total = sum(counts)
            for column, count in enumerate(counts):
                share = count / total if total else 0.0
                tip = self._tip(assessment, names[row], names[column], count, share)
                self.setItem(row, column, _cell(count, share, row == column, tip))
        self.resizeRowsToContents()
        widest = max((self.sizeHintForColumn(column) for column in range(len(names))), default=0)
        self.horizontalHeader().setMinimumSectionSize(max(widest, self.fontMetrics().height()) + _PAD)
        self.fit()

    def _short(self, name: str) -> str:
        return self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, _LONGEST)

    @staticmethod
    def _tip(assessment: Assessment, row: str, column: str, count: int, share: float) -> str:
        unit = tr("{0} points") if assessment.points else tr("{0} pixels")
        text = tr("Map: {0}; reference: {1}; {2}, {3} of what the map calls {0}.")
        return text.format(row, column, unit.format(whole_text(count)), percent_text(share))


class _UprightHeader(QHeaderView):
    """Column titles that are read from the bottom to the top, since the columns are narrow."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)

    def sizeHint(self) -> QSize:
        """As high as the longest title."""
        texts = [self._title(section) for section in range(self.count())]
        longest = max((self.fontMetrics().horizontalAdvance(text) for text in texts), default=0)
        return QSize(super().sizeHint().width(), min(longest, _LONGEST) + 2 * _PAD + 2)

    def sectionSizeFromContents(self, section: int) -> QSize:
        """As wide as a title is high."""
        return QSize(self.fontMetrics().height() + 2 * _PAD, self.sizeHint().height())

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        """Paint a title; Qt calls this."""
        painter.save()
        painter.fillRect(rect, self.palette().button())
        painter.setPen(self.palette().mid().color())
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.drawLine(rect.topRight(), rect.bottomRight())
        painter.setPen(self.palette().buttonText().color())
        painter.translate(rect.left(), rect.bottom())
        painter.rotate(-90)
        room = QRect(_PAD, 0, rect.height() - 2 * _PAD, rect.width())
        text = self.fontMetrics().elidedText(self._title(section), Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def _title(self, section: int) -> str:
        return str(self.model().headerData(section, Qt.Orientation.Horizontal) or "")


def _cell(count: int, share: float, right: bool, tip: str) -> QTableWidgetItem:
    item = QTableWidgetItem(short_text(count))
    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    item.setToolTip(tip)
    if count:
        color = _tint(_RIGHT if right else _WRONG, share)
        item.setBackground(QBrush(color))
        item.setForeground(QBrush(QColor("#ffffff" if color.lightness() < 120 else "#1a1a1a")))
    else:
        item.setForeground(QBrush(QColor("#9a9a9a")))
    return item


def _tint(color: QColor, share: float) -> QColor:
    """From nearly white to the full colour; small shares are seen as well."""
    strength = 0.12 + 0.88 * share
    return QColor(*[round(255 + (part - 255) * strength) for part in color.getRgb()[:3]])
