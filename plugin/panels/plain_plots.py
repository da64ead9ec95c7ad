"""Plots painted with Qt alone, for a QGIS without matplotlib: the same curves, with fewer numbers on the axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..compat import flag_number
from ..expectation import number_text
from ..finetuning.curves import Curves, Point
from ..translation import tr
from .plot_colors import BASE_COLOR, LINE_COLORS, MIOU_COLOR

_TOP, _LEFT, _RIGHT = map(
    flag_number, (Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)
)
_SIDE_BY_SIDE = 34  # characters of width that each plot needs beside the other


@dataclass(frozen=True)
class _Line:
    """One curve, and how it is painted."""

    title: str
    points: Sequence[Point]
    color: str
    dashed: bool = False


class PlainPlots(QWidget):
    """Loss and mean IoU, painted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("finetunePlots")
        self.setAccessibleName(tr("Plots of the loss and of the mean IoU"))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(self.fontMetrics().height() * 14)
        self._curves = Curves()

    def show_curves(self, curves: Curves) -> None:
        """Paint curves soon."""
        self._curves = curves
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint both plots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, height = float(self.width()), float(self.height())
        if width >= 2 * _SIDE_BY_SIDE * self.fontMetrics().averageCharWidth():
            boxes = QRectF(0, 0, width / 2, height), QRectF(width / 2, 0, width / 2, height)
        else:
            boxes = QRectF(0, 0, width, height / 2), QRectF(0, height / 2, width, height / 2)
        self._paint(painter, boxes[0], tr("Loss"), self._losses())
        self._paint(painter, boxes[1], tr("Mean IoU on the hold-out"), self._miou())
        painter.end()

    def _losses(self) -> list[_Line]:
        return [
            _Line(title, curve.thinned(), LINE_COLORS[number % len(LINE_COLORS)])
            for number, (title, curve) in enumerate(self._curves.losses.items())
        ]

    def _miou(self) -> list[_Line]:
        curves, lines = self._curves, []
        if curves.untuned is not None:
            level = [(0.0, curves.untuned), (max(curves.last, 1.0), curves.untuned)]
            lines.append(_Line(tr("Base model"), level, BASE_COLOR, True))
        if curves.miou.points:
            lines.append(_Line(tr("Fine-tuned"), curves.miou.thinned(), MIOU_COLOR))
        return lines

    def _paint(self, painter: QPainter, box: QRectF, title: str, lines: Sequence[_Line]) -> None:
        metrics = self.fontMetrics()
        line, text = float(metrics.height()), self.palette().color(QPalette.ColorRole.WindowText)
        left = float(metrics.horizontalAdvance("0.000 "))
        legend = self._legend(lines, box.width() - left - line)
        inner = box.adjusted(left, 1.4 * line, -line, -(1.6 + len(legend)) * line)
        painter.setPen(text)
        painter.drawText(box.adjusted(left, 0, 0, 0), _TOP, title)
        painter.fillRect(inner, self.palette().color(QPalette.ColorRole.Base))
        painter.setPen(self.palette().color(QPalette.ColorRole.Mid))
        painter.drawRect(inner)
        points = [point for item in lines for point in item.points]
        if not points:
            return
        right = max(self._curves.last, 1.0)
        low, high = min(y for _, y in points), max(y for _, y in points)
        room = 0.05 * (high - low) or 0.05
        low, high = max(low - room, 0.0), high + room
        painter.setPen(text)
        for value, place in ((high, inner.top()), (low, inner.bottom() - line)):
            label = QRectF(box.left(), place, left - 4, line)
            painter.drawText(label, _RIGHT, number_text(value))
        below = QRectF(inner.left(), inner.bottom() + 2, inner.width(), line)
        painter.drawText(below, _LEFT, "0")
        painter.drawText(below, _RIGHT, f"{right:.0f}")
        for item in lines:
            places = [
                QPointF(
                    inner.left() + x / right * inner.width(),
                    inner.bottom() - (y - low) / (high - low) * inner.height(),
                )
                for x, y in item.points
            ]
            style = Qt.PenStyle.DashLine if item.dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(QColor(item.color), 1.8, style))
            painter.drawPolyline(QPolygonF(places))
            painter.drawEllipse(places[-1], 2.0, 2.0)
        for row, entries in enumerate(legend):
            for start, item, told in entries:
                place = QRectF(inner.left() + start, below.bottom() + row * line, inner.width(), line)
                painter.setPen(QColor(item.color))
                painter.drawText(place, _LEFT, told)

    def _legend(self, lines: Sequence[_Line], width: float) -> list[list[tuple[float, _Line, str]]]:
        """Rows of titles with the last value, each with where it begins."""
        rows: list[list[tuple[float, _Line, str]]] = [[]]
        place = 0.0
        for item in lines:
            told = f"{item.title} {number_text(item.points[-1][1])}"
            needed = self.fontMetrics().horizontalAdvance(told)
            if rows[-1] and place + needed > width:
                rows.append([])
                place = 0.0
            rows[-1].append((place, item, told))
            place += needed + self.fontMetrics().horizontalAdvance("   ")
        return rows
