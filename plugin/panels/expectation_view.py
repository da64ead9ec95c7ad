"""The part of the preview section that tells how well the polygons teach the classes."""

from __future__ import annotations

import re
from html import escape

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from ..expectation import (
    ClassExpectation,
    Expectation,
    means_text,
    no_borders_text,
    number_text,
    weakest_text,
)
from ..head_titles import head_title
from ..translation import tr

_LONGEST_WORD = 10  # characters; longer ones are broken


class ExpectationView(QWidget):
    """A line or two, under which a table of the classes can be opened; hidden while there is nothing to tell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelExpectation")
        self._toggle = QToolButton()
        self._toggle.setObjectName("protolabelExpectationToggle")
        self._toggle.setCheckable(True)
        self._toggle.setAutoRaise(True)
        self._toggle.setArrowType(Qt.ArrowType.RightArrow)
        self._toggle.setToolTip(tr("Show IoU and F1 of each class."))
        self._toggle.setAccessibleName(tr("IoU and F1 of each class"))
        self._toggle.toggled.connect(self._on_toggle)
        self._line = _wrapping_label("protolabelExpectationLine")
        self._table = _wrapping_label("protolabelExpectationTable")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(2)
        layout.addWidget(self._toggle, 0, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._line, 0, 1)
        layout.addWidget(self._table, 1, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self.clear()

    def show_expectation(self, expectation: Expectation | None) -> None:
        """Tell what is expected of the polygons as they are now.

        Args:
            expectation: None when that is not known, since no class has two polygons.
        """
        if expectation is None:
            self._line.setText(
                tr("Draw a second polygon of a class to learn how well the classes are told apart.")
            )
            self._line.setToolTip("")
            self._table.clear()
        else:
            self._line.setText(_line(expectation))
            self._line.setToolTip(_explanation(expectation))
            self._table.setText(_table(expectation))
        self._show()

    def show_outdated(self) -> None:
        """The polygons have changed: nothing is told until the next answer, and the place for that is kept."""
        if not self.isHidden():
            self.setMinimumHeight(self.height())  # or all below would jump up and down with each polygon
            self._line.setText(tr("Labelling left-out polygons…"))
            self._line.setToolTip("")
            self._table.clear()
            self._show_table()

    def clear(self) -> None:
        """There is no preview."""
        self._line.clear()
        self._table.clear()
        self.setVisible(False)

    def _show(self) -> None:
        self.setMinimumHeight(0)
        self._toggle.setVisible(bool(self._table.text()))
        self._show_table()
        self.setVisible(True)

    def _show_table(self) -> None:
        self._table.setVisible(bool(self._table.text()) and self._toggle.isChecked())

    def _on_toggle(self, open: bool) -> None:
        self._toggle.setArrowType(Qt.ArrowType.DownArrow if open else Qt.ArrowType.RightArrow)
        self._show_table()


def _wrapping_label(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    label.setWordWrap(True)
    return label


def _line(expectation: Expectation) -> str:
    means = escape(means_text(expectation))
    weakest = weakest_text(expectation, lambda text: f"<b>{_breakable(text)}</b>")
    return f"{means}<br>{tr('Weakest: {0}').format(weakest)}" if weakest else means


def _table(expectation: Expectation) -> str:
    rows = "".join(map(_row, expectation.weakest_first))
    header = f"<tr><td>{tr('Class')}</td>{_right(tr('IoU'))}{_right(tr('F1'))}</tr>"
    notes = [tr("Classes in bold need more polygons.")] if weakest_text(expectation) else []
    if expectation.known < len(expectation.classes):
        notes.append(tr("Classes without numbers need a second polygon."))
    notes.append(no_borders_text())
    table = f"<table width='100%' cellspacing='0' cellpadding='1'>{header}{rows}</table>"
    return f"{table}<p>{' '.join(notes)}</p>"


def _row(item: ClassExpectation) -> str:
    begin, end = ("<b>", "</b>") if item.weak else ("", "")
    name = f"{begin}{_breakable(item.name)}{end}"
    numbers = (f"{begin}{number_text(value)}{end}" for value in (item.iou, item.f1))
    return f"<tr><td>{name}</td>{''.join(map(_right, numbers))}</tr>"


def _right(text: str) -> str:
    return f"<td align='right' style='white-space: nowrap; padding-left: 6px'>{text}</td>"


def _breakable(names: str) -> str:
    """As HTML, with places where a long word may be broken; else it would widen the dock."""
    return escape(re.sub(rf"(\S{{{_LONGEST_WORD}}}(?=\S))", "\\1\u200b", names))


def _explanation(expectation: Expectation) -> str:
    told = [
        tr("Each polygon was left out once, and labelled as the others teach."),
        no_borders_text(),
        tr("Matching: {0}.").format(escape(head_title(expectation.head))),
    ]
    return f"<p>{' '.join(told)}</p>"
