"""Shows the card of a model: what it was trained on, and for which imagery."""

from __future__ import annotations

import re
from html import escape

from qgis.PyQt.QtGui import QPalette, QTextCursor, QTextDocument, QTextFrameFormat, QTextTable
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from ...backend.card_text import first_paragraph
from ..compat import MARKDOWN
from ..translation import tr


class ModelCardDialog(QDialog):
    """Not modal: another model can be chosen and looked at meanwhile."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("protolabelModelCard")
        self.setModal(False)
        self._text = QTextBrowser()
        self._text.setObjectName("protolabelModelCardText")
        self._text.setAccessibleName(tr("About the model"))
        self._text.setOpenLinks(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self._text)
        layout.addWidget(buttons)
        self.setSizeGripEnabled(True)
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 84, metrics.height() * 28)

    def set_card(self, name: str, card: str) -> None:
        """Show the card of a model, in Markdown.

        It came with a file from somewhere: no link in it is followed, and pictures become links, since a picture's
        address may lead to another machine.
        """
        self.setWindowTitle(tr("About the Model {0}").format(name))
        document = self._text.document()
        if MARKDOWN is not None:
            document.setMarkdown(re.sub(r"!+\[", "[", card), MARKDOWN)
            self._space_out(document)
        else:
            document.setPlainText(card)
        document.setDocumentMargin(self.fontMetrics().height())
        self._text.moveCursor(QTextCursor.MoveOperation.Start)

    def _space_out(self, document: QTextDocument) -> None:
        """Give headings and tables room, and tables thin lines; Qt sets them close."""
        space = self.fontMetrics().height()
        cursor, block = QTextCursor(document), document.begin()
        while block.isValid():
            form = block.blockFormat()
            if form.headingLevel() and block.position() > 0:
                form.setTopMargin(space)
                cursor.setPosition(block.position())
                cursor.setBlockFormat(form)
            block = block.next()
        for frame in document.rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                table = frame.format()
                table.setCellSpacing(0)
                table.setCellPadding(space / 4)
                table.setBorder(1)
                table.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
                table.setBorderCollapse(True)
                table.setBorderBrush(self.palette().brush(QPalette.ColorRole.Mid))
                table.setTopMargin(space / 2)
                frame.setFormat(table)


def card_tip(card: str) -> str:
    """The first paragraph of a card as a tooltip, which wraps; "" for an empty card."""
    text = first_paragraph(card)
    return f"<p>{escape(text)}</p>" if text else ""
