"""What the preview section tells of left-out polygons."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QTextDocument
from qgis.PyQt.QtWidgets import QApplication, QLabel, QToolButton


@pytest.fixture
def section(plugin_module, qtbot):
    section = plugin_module("plugin.panels.preview_section").PreviewSection()
    qtbot.addWidget(section)
    section.resize(300, 400)
    section.show()
    return section


@pytest.fixture
def view(section):
    return section.expectation


@pytest.fixture
def make(plugin_module):
    expectation = plugin_module("plugin.expectation")

    def make(**classes: float | None):
        found = (expectation.ClassExpectation(name, iou, iou) for name, iou in classes.items())
        return expectation.Expectation("polygons", 0.6, 0.75, tuple(found))

    return make


def shown(view, name: str) -> str:
    """What a label shows, as plain text; "" when it is hidden."""
    label = view.findChild(QLabel, f"protolabelExpectation{name}")
    document = QTextDocument()
    document.setHtml(label.text())
    return document.toPlainText().replace("\u200b", "") if label.isVisible() else ""


def toggle(view) -> QToolButton:
    return view.findChild(QToolButton, "protolabelExpectationToggle")


def test_hidden_without_a_preview(view, make) -> None:
    assert view.isHidden()
    view.show_outdated()
    assert view.isHidden(), "the first numbers are waited for without a word"
    view.show_expectation(make(a=0.9))
    assert view.isVisible()
    view.clear()
    assert view.isHidden()


def test_means_and_weakest_class(view, make) -> None:
    view.show_expectation(make(water=0.9, road=0.41))
    assert shown(view, "Line").splitlines() == [
        "Left-out polygons: mean IoU 0.60, F1 0.75",
        "Weakest: road 0.41",
    ]
    tip = view.findChild(QLabel, "protolabelExpectationLine").toolTip()
    assert "no borders" in tip and "One prototype per polygon" in tip
    view.show_expectation(make(water=0.9, road=0.6))
    assert "Weakest" not in shown(view, "Line")


def test_one_polygon_of_each_class(view, make) -> None:
    view.show_expectation(make(water=0.9))
    view.show_expectation(None)
    assert shown(view, "Line").startswith("Draw a second polygon")
    assert not toggle(view).isVisible() and not shown(view, "Table")
    assert view.findChild(QLabel, "protolabelExpectationLine").toolTip() == ""


def test_table_of_the_classes(view, make, qtbot) -> None:
    view.show_expectation(make(water=0.9, road=0.41, roof=None, **{"<b>Forest</b> & wood": 0.7}))
    assert not shown(view, "Table")
    qtbot.mouseClick(toggle(view), Qt.MouseButton.LeftButton)
    cells = shown(view, "Table").split("\n")
    cells = [text for text in cells if text]
    assert cells[:3] == ["Class", "IoU", "F1"]
    assert cells[3:12:3] == ["road", "<b>Forest</b> & wood", "water"]
    assert cells[4:12:3] == ["0.41", "0.70", "0.90"]
    assert cells[12:15] == ["roof", "-", "-"]
    assert "without numbers" in cells[-1] and "in bold" in cells[-1] and "no borders" in cells[-1]
    view.show_expectation(make(water=0.9))
    assert "0.90" in shown(view, "Table"), "it stays open"
    assert "bold" not in shown(view, "Table") and "without" not in shown(view, "Table")


def test_what_is_outdated_goes_and_its_place_stays(view, make) -> None:
    view.show_expectation(make(water=0.9, road=0.41))
    toggle(view).click()
    QApplication.processEvents()
    height = view.height()
    view.show_outdated()
    QApplication.processEvents()
    assert "0." not in shown(view, "Line") + shown(view, "Table")
    assert view.height() >= height
    toggle(view).click()
    view.show_expectation(make(water=0.9, road=0.41))
    QApplication.processEvents()
    assert view.minimumHeight() == 0


def test_no_name_makes_the_dock_wider(section, view, make) -> None:
    narrow = section.minimumSizeHint().width()
    view.show_expectation(make(Einfamilienhausgebiete_mit_Garten_und_Pool=0.1, b=0.2))
    toggle(view).click()
    QApplication.processEvents()
    assert section.minimumSizeHint().width() == narrow <= 260
