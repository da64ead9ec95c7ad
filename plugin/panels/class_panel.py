"""The class table in the dock: pick, name, colour, order, import and export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import QEvent, QModelIndex, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QKeySequence
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..class_files import ClassFileError, read_csv, read_qml, write_csv, write_qml
from ..classes import ClassEntry, ClassError, ClassTable
from ..icons import icon
from ..support_layer import PolygonCount
from ..translation import tr
from .class_model import COLOR, KEYS, NAME, ClassModel

_ROWS = 4  # that are seen at least
_ALT, _CONTROL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier
_SHIFT, _NONE = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.NoModifier


class ClassPanel(QWidget):
    """Shows a class table and changes it; one click on a class asks to draw its polygons."""

    currentClassChanged = pyqtSignal(int)  # -1 when there is none
    drawRequested = pyqtSignal(int)

    def __init__(self, table: ClassTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("classPanel")
        self._table = table
        self._model = ClassModel(table, self)
        self._current, self._row = -1, 0
        self._view = self._make_view()
        self._empty = QLabel(
            tr("Add a class to begin."), alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True
        )
        self._empty.setObjectName("classesEmpty")
        self._empty.setEnabled(False)  # grey, as a hint is
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._view)
        self._message = QLabel(wordWrap=True, visible=False, objectName="classesMessage")
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._stack, 1)
        layout.addLayout(self._make_buttons())
        layout.addWidget(self._message)
        table.changed.connect(lambda: self._say(""))
        table.changed.connect(self._update)
        self._model.modelReset.connect(self._restore_current)
        self._model.refused.connect(self._say)
        self._restore_current()

    def current(self) -> ClassEntry | None:
        """The class that is picked."""
        return self._table.entry(self._current)

    def set_current(self, id: int) -> None:
        """Pick a class."""
        row = self._model.row(id)
        if row >= 0:
            self._view.setCurrentIndex(self._model.index(row, NAME))

    def set_counts(self, counts: Mapping[int, PolygonCount]) -> None:
        """Show how many polygons and pixels each class has."""
        self._model.set_counts(counts)

    def add(self) -> None:
        """Add a class, and let its name be typed at once."""
        entry = self._try(self._table.add)
        if entry is not None:
            self.set_current(entry.id)
            self.rename()

    def remove(self) -> None:
        """Remove the current class; its polygons stay in the layer."""
        if self.current() is not None:
            self._try(lambda: self._table.remove(self._current))

    def rename(self) -> None:
        """Edit the name of the current class in its place."""
        index = self._model.index(self._model.row(self._current), NAME)
        if index.isValid():
            self._view.setFocus()
            self._view.scrollTo(index)
            self._view.edit(index)

    def move(self, step: int) -> None:
        """Move the current class up (-1) or down (1)."""
        row = self._model.row(self._current) + step
        if self.current() is not None and 0 <= row < self._model.rowCount():
            self._try(lambda: self._table.move(self._current, row))

    def choose_color(self) -> None:
        """Open a dialog for the colour of the current class."""
        entry = self.current()
        if entry is None:
            return
        dialog = QgsColorDialog(self)
        dialog.setObjectName("classColorDialog")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setTitle(tr("Colour of {name}").format(name=entry.name))
        dialog.setAllowOpacity(False)
        dialog.setColor(QColor(entry.color))
        dialog.accepted.connect(
            lambda: self._try(lambda: self._table.recolor(entry.id, dialog.color().name()))
        )
        dialog.setModal(False)
        dialog.show()

    def import_classes(self, path: str) -> None:
        """Take over the classes of a CSV or QML file."""
        read = read_qml if Path(path).suffix.lower() == ".qml" else read_csv
        before = len(self._table.entries())
        text = tr("Import classes of {file}").format(file=Path(path).name)
        merged = self._try(lambda: self._table.merge(read(path), text))
        if merged is not None:
            added = len(self._table.entries()) - before
            found = tr("{count} classes were read, {added} of them new.")
            self._say(found.format(count=len(merged), added=added))

    def export_classes(self, path: str) -> None:
        """Write the classes into a CSV or QML file."""
        write = write_qml if Path(path).suffix.lower() == ".qml" else write_csv
        self._try(lambda: write(self._table.entries(), path))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Handle the keys of the table, before the shortcuts of QGIS do."""
        if event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) and self._view.hasFocus():
            action = self._action(event)
            if action is not None:
                event.accept()
                if event.type() == QEvent.Type.KeyPress:
                    action()
                return True
        return super().eventFilter(watched, event)

    def _action(self, event: QKeyEvent) -> Callable[[], object] | None:
        """What a key does in the table."""
        key = event.key()
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        stack = self._table.undo_stack
        if event.matches(QKeySequence.StandardKey.Undo):
            return stack.undo
        if event.matches(QKeySequence.StandardKey.Redo) or (
            modifiers == _CONTROL | _SHIFT and key == Qt.Key.Key_Z
        ):
            return stack.redo
        if modifiers == _ALT:
            return {Qt.Key.Key_Up: lambda: self.move(-1), Qt.Key.Key_Down: lambda: self.move(1)}.get(key)
        if modifiers != _NONE:
            return None
        if Qt.Key.Key_1 <= key < Qt.Key.Key_1 + KEYS:
            return lambda: self._draw(int(key) - int(Qt.Key.Key_1))
        return {
            Qt.Key.Key_Insert: self.add,
            Qt.Key.Key_Delete: self.remove,
            Qt.Key.Key_F2: self.rename,
            Qt.Key.Key_Return: lambda: self._draw(self._row),
            Qt.Key.Key_Enter: lambda: self._draw(self._row),
        }.get(key)

    def _make_view(self) -> QTableView:
        view = QTableView()
        view.setObjectName("classTable")
        view.setAccessibleName(tr("Classes"))
        view.setModel(self._model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setTabKeyNavigation(False)  # Tab goes on to the buttons
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        height = view.fontMetrics().height() + 8
        view.verticalHeader().setDefaultSectionSize(height)
        view.verticalHeader().hide()
        header = view.horizontalHeader()
        header.setMinimumSectionSize(8)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        view.setMinimumHeight(height * _ROWS + header.sizeHint().height())
        view.clicked.connect(self._on_click)
        view.selectionModel().currentRowChanged.connect(self._on_row)
        view.installEventFilter(self)
        return view

    def _make_buttons(self) -> QHBoxLayout:
        stack = self._table.undo_stack
        self._remove = _button("remove", tr("Remove the class; its polygons stay (Del)."), self.remove)
        self._up = _button("up", tr("Move the class up (Alt+Up)."), lambda: self.move(-1))
        self._down = _button("down", tr("Move the class down (Alt+Down)."), lambda: self.move(1))
        self._undo = _button("undo", tr("Undo"), stack.undo)
        self._redo = _button("redo", tr("Redo"), stack.redo)
        stack.indexChanged.connect(self._update_undo)
        more = _button("more", tr("Import or export the classes."), None)
        menu = QMenu(more)
        menu.setObjectName("classMenu")
        menu.addAction(icon("import"), tr("Import Classes…"), self._ask_import)
        self._export = menu.addAction(icon("export"), tr("Export Classes…"), self._ask_export)
        more.setMenu(menu)
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(_button("add", tr("Add a class (Ins)."), self.add))
        for button in (self._remove, self._up, self._down, self._undo, self._redo):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(more)
        self._update_undo()
        return row

    def _on_click(self, index: QModelIndex) -> None:
        if index.column() == COLOR:
            self.choose_color()
        else:
            self._draw(index.row())

    def _draw(self, row: int) -> None:
        entry = self._model.entry(row)
        if entry is not None:
            self.set_current(entry.id)
            self.drawRequested.emit(entry.id)

    def _on_row(self, index: QModelIndex) -> None:
        entry = self._model.entry(index.row())
        id = -1 if entry is None else entry.id
        self._row = max(0, index.row())
        changed, self._current = id != self._current, id
        self._update()
        if changed:
            self.currentClassChanged.emit(id)

    def _restore_current(self) -> None:
        """Pick the same class again after rows came, went or moved, or the one in its place."""
        count = self._model.rowCount()
        row = self._model.row(self._current)
        row = min(self._row, count - 1) if row < 0 else row
        self._view.setCurrentIndex(self._model.index(row, NAME))
        self._on_row(self._model.index(row, NAME))

    def _update(self) -> None:
        """Enable what can be done."""
        count = self._model.rowCount()
        picked = self._current >= 0
        self._stack.setCurrentWidget(self._view if count else self._empty)
        self._remove.setEnabled(picked)
        self._up.setEnabled(picked and self._row > 0)
        self._down.setEnabled(picked and self._row < count - 1)
        self._export.setEnabled(count > 0)

    def _update_undo(self) -> None:
        stack = self._table.undo_stack
        self._undo.setEnabled(stack.canUndo())
        self._redo.setEnabled(stack.canRedo())
        undo, redo = stack.undoText(), stack.redoText()
        self._undo.setToolTip(tr("Undo: {text}").format(text=undo) if undo else tr("Undo"))
        self._redo.setToolTip(tr("Redo: {text}").format(text=redo) if redo else tr("Redo"))

    def _ask_import(self) -> None:
        filters = tr("Classes (*.csv *.qml);;All files (*)")
        path, _ = QFileDialog.getOpenFileName(self, tr("Import Classes"), "", filters)
        if path:
            self.import_classes(path)

    def _ask_export(self) -> None:
        filters = {".csv": tr("Table of classes (*.csv)"), ".qml": tr("QGIS style (*.qml)")}
        path, chosen = QFileDialog.getSaveFileName(
            self, tr("Export Classes"), "", ";;".join(filters.values())
        )
        if path:
            ending = ".qml" if chosen == filters[".qml"] else ".csv"
            self.export_classes(path if Path(path).suffix else path + ending)

    def _try(self, action: Callable[[], object]) -> object | None:
        """Do something that may be refused, and say why it was."""
        try:
            return action()
        except (ClassError, ClassFileError) as error:
            self._say(str(error))
            return None

    def _say(self, text: str) -> None:
        self._message.setText(text)
        self._message.setVisible(bool(text))


def _button(name: str, tooltip: str, slot: Callable[[], object] | None) -> QToolButton:
    button = QToolButton()
    button.setObjectName(f"class{name.capitalize()}Button")
    button.setIcon(icon(name))
    button.setToolTip(tooltip)
    button.setAccessibleName(tooltip)
    button.setAutoRaise(True)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if slot is not None:
        button.clicked.connect(lambda: slot())
    return button
