"""The keys that label sample points, taken from the map and from the panel before QGIS's own shortcuts get them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence
from qgis.PyQt.QtWidgets import QWidget

_NEXT = (Qt.Key.Key_N, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_PREVIOUS = (Qt.Key.Key_P, Qt.Key.Key_Left)


class PointKeys(QObject):
    """Watches widgets and tells which of its keys was pressed in one of them; every other key passes."""

    digitPressed = pyqtSignal(int)  # 0 to 9
    nextPressed = pyqtSignal()
    previousPressed = pyqtSignal()
    skipPressed = pyqtSignal()
    undoPressed = pyqtSignal()
    zoomPressed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watched: list[QWidget] = []

    def watch(self, *widgets: QWidget) -> None:
        """Take the keys of these widgets, and of no others any more."""
        self.release()
        for widget in widgets:
            widget.installEventFilter(self)
            self._watched.append(widget)

    def release(self) -> None:
        """Take no keys."""
        for widget in self._watched:
            with suppress(RuntimeError):  # Qt has deleted it
                widget.removeEventFilter(self)
        self._watched = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt calls this for the events of the widgets."""
        if event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            action = self._action(event)
            if action is not None:
                event.accept()
                if event.type() == QEvent.Type.KeyPress:
                    action()
                return True
        return super().eventFilter(watched, event)

    def _action(self, event: QKeyEvent) -> Callable[[], object] | None:
        key = event.key()
        if event.matches(QKeySequence.StandardKey.Undo):
            return self.undoPressed.emit
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        is_digit = Qt.Key.Key_0 <= key <= Qt.Key.Key_9
        # French keyboards, for one, give digits with Shift only.
        if modifiers and not (is_digit and modifiers == Qt.KeyboardModifier.ShiftModifier):
            return None
        if is_digit:
            number = int(key) - int(Qt.Key.Key_0)
            return lambda: self.digitPressed.emit(number)
        if key in _NEXT:
            return self.nextPressed.emit
        if key in _PREVIOUS:
            return self.previousPressed.emit
        return {
            Qt.Key.Key_S: self.skipPressed.emit,
            Qt.Key.Key_Backspace: self.undoPressed.emit,
            Qt.Key.Key_Z: self.zoomPressed.emit,
        }.get(key)
