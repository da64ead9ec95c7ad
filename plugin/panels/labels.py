"""Texts that wrap: plain ones, and paler ones that explain what is beside them."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QLabel

_PALE = 165  # of 255


def plain_label(name: str, text: str = "") -> QLabel:
    """A text that may hold names of files and classes, and can be copied."""
    label = QLabel(text)
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    return label


def pale_label(name: str, text: str = "") -> QLabel:
    """A text that is read after the rest; paler, but not as pale as what is switched off."""
    label = plain_label(name, text)
    palette = label.palette()
    color = palette.color(QPalette.ColorRole.WindowText)
    color.setAlpha(_PALE)
    palette.setColor(QPalette.ColorRole.WindowText, color)
    label.setPalette(palette)
    return label
