"""The colour of a class as a small picture."""

from __future__ import annotations

from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap

_SIDE = 14  # pixels
_EDGE = QColor(0, 0, 0, 110)


def swatch(color: str) -> QIcon:
    """A filled square with a thin edge.

    Args:
        color: "#rrggbb".
    """
    picture = QPixmap(_SIDE, _SIDE)
    picture.fill(QColor(color))
    painter = QPainter(picture)
    painter.setPen(_EDGE)
    painter.drawRect(0, 0, _SIDE - 1, _SIDE - 1)
    painter.end()
    return QIcon(picture)
