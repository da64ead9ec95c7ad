"""A question in the window itself, which does not stand in the way of the rest of QGIS."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..translation import tr


class QuestionFrame(QFrame):
    """Hidden until something is asked; the answer that changes nothing has the keyboard."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make it.

        Args:
            name: Of the frame; the buttons are called ``nameAgree`` and ``nameRefuse``.
            parent: The widget that it belongs to.
        """
        super().__init__(parent)
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._action: Callable[[], object] = self.hide
        self.text = QLabel(objectName=f"{name}Text", wordWrap=True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.agree = QPushButton(objectName=f"{name}Agree", autoDefault=False)
        self.agree.setToolTip(tr("Do it nevertheless."))
        self.refuse = QPushButton(objectName=f"{name}Refuse", autoDefault=False)
        self.refuse.setToolTip(tr("Leave everything as it is."))
        self.agree.clicked.connect(self._on_agreed)
        self.refuse.clicked.connect(self.hide)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.agree)
        row.addWidget(self.refuse)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.hide()

    def ask(self, text: str, agree: str, refuse: str, action: Callable[[], object]) -> None:
        """Ask something.

        Args:
            text: The question.
            agree: The button that does it.
            refuse: The button that does not.
            action: Done when the user agrees.
        """
        self._action = action
        self.text.setText(text)
        self.agree.setText(agree)
        self.refuse.setText(refuse)
        self.show()
        self.refuse.setFocus()

    def _on_agreed(self) -> None:
        self.hide()
        self._action()
