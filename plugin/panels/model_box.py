"""A box of the models that there are, with a button that shows the card of the chosen one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from ..icons import icon
from ..translation import tr
from .model_card_dialog import ModelCardDialog, card_tip
from .shrinking import shrinkable


class ModelBox(QWidget):
    """Chooses a model: a name, the path of a file, or None for the default one."""

    chosen = pyqtSignal()  # by the user

    def __init__(self, prefix: str, tip: str, parent: QWidget | None = None) -> None:
        """Make it.

        Args:
            prefix: Of the names of the box and the button, ``prefixModel`` and ``prefixAboutModel``.
            tip: The tooltip of the box.
            parent: The widget that it belongs to.
        """
        super().__init__(parent)
        self._cards: dict[str | None, tuple[str, str]] = {}  # name and card, by what stands for the model
        self._dialog: ModelCardDialog | None = None
        self.box = shrinkable(QComboBox())
        self.box.setObjectName(f"{prefix}Model")
        self.box.setToolTip(tip)
        self.box.setAccessibleName(tr("Model"))
        self._about = QToolButton()
        self._about.setObjectName(f"{prefix}AboutModel")
        self._about.setIcon(icon("about"))
        self._about.setAutoRaise(True)
        self._about.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._about.setToolTip(
            tr("About this model: what it was trained on, and for which imagery. Needs the backend.")
        )
        self._about.setAccessibleName(tr("About this model"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box, 1)
        layout.addWidget(self._about)
        self._about.clicked.connect(self._show_card)
        self.box.currentIndexChanged.connect(self._on_shown)
        self.box.activated.connect(lambda: self.chosen.emit())
        self.set_models([])

    @property
    def model(self) -> str | None:
        """What stands for the chosen model."""
        return self.box.currentData()

    @property
    def name(self) -> str:
        """What the chosen model is called."""
        known, _ = self._cards.get(self.model, ("", ""))
        return known or (Path(self.model).stem if self.model else self.box.currentText())

    @property
    def names(self) -> set[str]:
        """What all the models are called."""
        return {name for name, _ in self._cards.values()}

    def set_models(self, found: list[dict[str, Any]]) -> None:
        """Offer what the backend has; see the message ``Models``."""
        self.box.clear()
        first = tr("Default ({0})").format(found[0]["name"]) if found else tr("Default")
        self._cards = {None: (found[0]["name"], found[0]["card"])} if found else {}
        self.box.addItem(first, None)
        for model in found:
            chosen = model["path"] or model["name"]
            self._cards[chosen] = model["name"], model["card"]
            self.box.addItem(model["name"], chosen)
        for row in range(self.box.count()):
            _, card = self._cards.get(self.box.itemData(row), ("", ""))
            self.box.setItemData(row, card_tip(card), Qt.ItemDataRole.ToolTipRole)

    def set_model(self, model: str | None) -> None:
        """Choose a model; one that is not on this machine is offered, too."""
        if model is not None and self.box.findData(model) < 0:
            self.box.addItem(Path(model).name, model)
        self.box.setCurrentIndex(max(self.box.findData(model), 0))
        self._on_shown()

    def _on_shown(self) -> None:
        """The button, and the card while it is open, follow the model."""
        name, card = self._cards.get(self.model, ("", ""))
        self._about.setEnabled(bool(card))
        if self._dialog is not None and self._dialog.isVisible() and card:
            self._dialog.set_card(name, card)

    def _show_card(self) -> None:
        if self._dialog is None:
            self._dialog = ModelCardDialog(self)
        self._dialog.set_card(*self._cards[self.model])
        self._dialog.show()
        self._dialog.raise_()
        self._dialog.activateWindow()
