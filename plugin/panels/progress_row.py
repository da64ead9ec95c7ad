"""How far something is, with the button that stops it."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from ..translation import tr


class ProgressRow(QWidget):
    """A bar and a cancel button in one row.

    Attributes:
        bar: The bar.
        cancel: The button.
    """

    def __init__(self, name: str, progress_tip: str, cancel_tip: str) -> None:
        """Make one.

        Args:
            name: Begins the names of both widgets.
            progress_tip: Tooltip of the bar.
            cancel_tip: Tooltip of the button.
        """
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setObjectName(f"{name}Progress")
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.setToolTip(progress_tip)
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.setObjectName(f"{name}Cancel")
        self.cancel.setToolTip(cancel_tip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar)
        row.addWidget(self.cancel)
