"""The class panel, by mouse and keys."""

import pytest
from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QKeySequence
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QApplication,
    QLabel,
    QLineEdit,
    QMainWindow,
    QShortcut,
    QTableView,
    QToolButton,
)

KEY, COLOR, NAME, POLYGONS, PIXELS = range(5)
LEFT = Qt.MouseButton.LeftButton
ALT, CONTROL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier


class Desk:
    """A panel in a window; what it says is in ``said``."""

    def __init__(self, plugin_module, qtbot):
        self.table = plugin_module("plugin.classes").ClassTable()
        self.window = QMainWindow()
        qtbot.addWidget(self.window)
        self.panel = plugin_module("plugin.panels.class_panel").ClassPanel(self.table)
        self.window.setCentralWidget(self.panel)
        self.window.resize(240, 300)
        self.window.show()
        qtbot.waitExposed(self.window)
        self.window.activateWindow()
        self.view = self.panel.findChild(QTableView, "classTable")
        self.said = []
        self.panel.currentClassChanged.connect(lambda id: self.said.append(("current", id)))
        self.panel.drawRequested.connect(lambda id: self.said.append(("draw", id)))

    def fill(self, *names):
        for name in names:
            self.table.add(name)
        self.said.clear()
        return self

    def names(self):
        return [entry.name for entry in self.table.entries()]

    def cell(self, row, column, role=Qt.ItemDataRole.DisplayRole):
        return self.view.model().index(row, column).data(role)

    def place(self, row, column):
        return self.view.visualRect(self.view.model().index(row, column)).center()

    def click(self, row, column=NAME):
        QTest.mouseClick(self.view.viewport(), LEFT, pos=self.place(row, column))

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        self.view.setFocus()
        QTest.keyClick(self.view, key, modifier)

    def button(self, name):
        return self.panel.findChild(QToolButton, f"class{name}Button")

    def press(self, name):
        QTest.mouseClick(self.button(name), LEFT)

    def editor(self):
        return next(editor for editor in self.view.viewport().findChildren(QLineEdit) if editor.isVisible())

    def type_name(self, name):
        editor = self.editor()
        editor.setText(name)
        QTest.keyClick(editor, Qt.Key.Key_Return)
        QApplication.processEvents()  # the name is taken over a little later

    @property
    def message(self):
        label = self.panel.findChild(QLabel, "classesMessage")
        return label.text() if label.isVisible() else ""


@pytest.fixture
def desk(plugin_module, qtbot, qgis_app):
    return Desk(plugin_module, qtbot)


def test_an_empty_table_says_how_to_begin(desk):
    hint = desk.panel.findChild(QLabel, "classesEmpty")
    assert hint.isVisible() and hint.text() == "Add a class to begin."
    assert desk.panel.current() is None
    assert not desk.button("Remove").isEnabled() and not desk.button("Undo").isEnabled()
    desk.press("Add")
    assert not hint.isVisible() and desk.view.isVisible()
    desk.type_name("Water")
    assert desk.names() == ["Water"]
    assert desk.said == [("current", 1)]
    desk.press("Undo")
    desk.press("Undo")
    assert hint.isVisible() and desk.said[-1] == ("current", -1)


def test_one_click_picks_a_class_and_asks_to_draw(desk):
    desk.fill("water", "field", "road")
    desk.click(2)
    assert desk.said == [("current", 3), ("draw", 3)] and desk.panel.current().name == "road"
    desk.click(2, POLYGONS)
    assert desk.said[2:] == [("draw", 3)], "again, without picking another one"


def test_number_keys_and_return_ask_to_draw(desk):
    desk.fill("water", "field", "road")
    desk.key(Qt.Key.Key_2)
    desk.key(Qt.Key.Key_9)
    desk.key(Qt.Key.Key_Down)
    desk.key(Qt.Key.Key_Return)
    assert desk.said == [("current", 2), ("draw", 2), ("current", 3), ("draw", 3)]


def test_renaming_in_place(desk):
    desk.fill("water", "field")
    place = desk.place(1, NAME)
    QTest.mouseClick(desk.view.viewport(), LEFT, pos=place)
    QTest.mouseDClick(desk.view.viewport(), LEFT, pos=place)
    desk.type_name("Wiese ä")
    assert desk.names() == ["water", "Wiese ä"] and desk.panel.current().id == 2
    desk.key(Qt.Key.Key_F2)
    desk.type_name("WATER")
    assert desk.names() == ["water", "Wiese ä"] and "already a class WATER" in desk.message
    desk.key(Qt.Key.Key_F2)
    desk.type_name("lake")
    assert desk.names() == ["water", "lake"] and desk.message == ""


def test_counts_that_come_while_a_name_is_typed(desk):
    desk.press("Add")
    desk.panel.set_counts({})  # as they do after every change of the table
    QTest.keyClicks(desk.editor(), "for")
    desk.panel.set_counts({})
    QTest.keyClicks(desk.editor(), "est")
    assert desk.editor().text() == "forest"


def test_keys_in_the_editor_edit_the_name(desk):
    desk.fill("water", "field")
    desk.click(0)
    desk.key(Qt.Key.Key_F2)
    editor = desk.editor()
    for key in (Qt.Key.Key_Insert, Qt.Key.Key_Delete, Qt.Key.Key_1):
        QTest.keyClick(editor, key)
    assert editor.text() == "1" and len(desk.names()) == 2


def test_adding_removing_and_undoing_by_keys(desk):
    desk.fill("water", "field", "road")
    desk.click(1)
    desk.key(Qt.Key.Key_Delete)
    assert desk.names() == ["water", "road"] and desk.panel.current().name == "road"
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert desk.names() == ["water", "field", "road"] and desk.panel.current().name == "road"
    desk.key(Qt.Key.Key_Y, CONTROL)
    assert desk.names() == ["water", "road"]
    desk.key(Qt.Key.Key_Insert)
    desk.type_name("barn")
    assert desk.names() == ["water", "road", "barn"] and desk.panel.current().id == 4


def test_shortcuts_of_the_window_do_not_take_the_keys(desk):
    taken = []
    for keys in ("Ctrl+Z", "Delete", "1"):
        QShortcut(QKeySequence(keys), desk.window, lambda keys=keys: taken.append(keys))
    desk.fill("water", "field")
    desk.key(Qt.Key.Key_1)
    desk.key(Qt.Key.Key_Delete)
    desk.key(Qt.Key.Key_Z, CONTROL)
    assert taken == [] and desk.names() == ["water", "field"]


def test_the_order_changes_and_the_current_class_stays(desk):
    desk.fill("water", "field", "road")
    desk.click(2)
    desk.said.clear()
    desk.key(Qt.Key.Key_Up, ALT)
    desk.press("Up")
    assert desk.names() == ["road", "water", "field"]
    assert not desk.button("Up").isEnabled() and desk.button("Down").isEnabled()
    desk.key(Qt.Key.Key_Up, ALT)
    desk.key(Qt.Key.Key_Down, ALT)
    assert desk.names() == ["water", "road", "field"]
    assert desk.panel.current().name == "road" and desk.said == []
    assert [desk.cell(row, KEY) for row in range(3)] == ["1", "2", "3"]


def test_colours(desk, qtbot):
    desk.fill("water", "field")
    desk.click(1, COLOR)
    dialog = desk.panel.findChild(QgsColorDialog, "classColorDialog")
    assert dialog.isVisible() and not dialog.isModal()
    assert dialog.color() == QColor(desk.table.entry(2).color)
    assert ("draw", 2) not in desk.said
    dialog.setColor(QColor("#123456"))
    dialog.accept()
    assert desk.table.entry(2).color == "#123456" and desk.panel.current().id == 2
    shown = desk.view.grab().toImage().pixelColor(desk.view.viewport().mapTo(desk.view, desk.place(1, COLOR)))
    assert shown == QColor("#123456"), "not tinted in the row that is picked"


def test_a_class_that_is_removed_while_its_colour_is_chosen(desk):
    desk.fill("water")
    desk.click(0, COLOR)
    dialog = desk.panel.findChild(QgsColorDialog, "classColorDialog")
    desk.table.remove(1)
    dialog.accept()
    assert "no class with the id 1" in desk.message


def test_counts(desk, plugin_module):
    count = plugin_module("plugin.support_layer").PolygonCount
    desk.fill("water", "field", "road")
    desk.panel.set_counts({1: count(5, 1_234_567, 2), 2: count(3, None, 0)})
    rows = [[desk.cell(row, column) for column in (POLYGONS, PIXELS)] for row in range(3)]
    assert rows == [["5", "1.2 M"], ["3", ""], ["0", ""]]
    tooltip = desk.cell(0, NAME, Qt.ItemDataRole.ToolTipRole)
    assert "class id 1" in tooltip and "polygons: 5, about 1,234,567 pixels" in tooltip
    assert "Validation polygons: 2" in tooltip
    assert desk.view.currentIndex().row() == 0


def test_files(desk, tmp_path):
    desk.fill("water", "field")
    for name in ("klassen ä.csv", "stil.qml"):
        desk.panel.export_classes(str(tmp_path / name))
        before = desk.table.entries()
        desk.table.remove(2)
        desk.table.rename(1, "Water")
        desk.panel.import_classes(str(tmp_path / name))
        assert desk.message == "2 classes were read, 1 of them new."
        assert [e.id for e in desk.table.entries()] == [1, 2] and desk.table.entry(2) == before[1]
        assert desk.table.undo_stack.undoText() == f"Import classes of {name}"
    desk.panel.import_classes(str(tmp_path / "none.csv"))
    assert "cannot be read" in desk.message
    (tmp_path / "bad.csv").write_text("id,name\n70000,a\n")
    desk.panel.import_classes(str(tmp_path / "bad.csv"))
    assert "70000" in desk.message
    desk.panel.export_classes(str(tmp_path / "none" / "a.csv"))
    assert "cannot be written" in desk.message


def test_it_fits_into_a_narrow_dock(desk):
    desk.fill("a class with a rather long name", *(f"c{i}" for i in range(30)))
    assert desk.panel.minimumSizeHint().width() <= 240
    assert desk.view.columnWidth(NAME) >= 60
    assert not desk.view.horizontalScrollBar().isVisible()
    assert desk.cell(9, KEY) == "" and desk.cell(8, KEY) == "9"


def test_every_button_says_what_it_does(desk):
    buttons = desk.panel.findChildren(QToolButton)
    assert len(buttons) == 7
    for button in buttons:
        assert (
            button.toolTip() and not button.icon().isNull() and button.focusPolicy() & Qt.FocusPolicy.TabFocus
        )
    desk.fill("water")
    assert desk.button("Undo").toolTip() == "Undo: Add class water"
    assert all(desk.cell(0, column, Qt.ItemDataRole.ToolTipRole) for column in range(5))


def test_it_follows_a_table_that_is_loaded_anew(desk):
    desk.fill("water", "field")
    desk.click(1)
    desk.table.load_dict({"classes": [{"id": 9, "name": "road", "color": "#112233"}]})
    assert desk.panel.current().id == 9 and desk.said[-1] == ("current", 9)
    desk.table.load_dict({})
    assert desk.panel.current() is None and desk.said[-1] == ("current", -1)
