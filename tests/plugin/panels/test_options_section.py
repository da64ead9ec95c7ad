"""The options: models with their cards."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QColor, QImage
from qgis.PyQt.QtWidgets import QComboBox, QDialogButtonBox, QTextBrowser, QToolButton

MODELS = {
    "models": [
        {"name": "aerial", "path": "/m/aerial.safetensors", "card": "# aerial\n\nFor *0.3 m* & <more>.\n\n- a\n- b\n"},
        {"name": "bare", "path": "/m/bare.safetensors", "card": ""},
        {"name": "resnet50-imagenet", "path": None, "card": "# resnet50-imagenet\n\nPhotographs.\n"},
    ],
    "devices": [{"name": "cpu", "title": "2 cores"}],
}  # fmt: skip


@pytest.fixture
def session(plugin_module, qgis_new_project):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    yield session
    session.close()


@pytest.fixture
def section(plugin_module, session, no_service, qtbot):
    section = plugin_module("plugin.panels.options_section").OptionsSection(session, no_service)
    qtbot.addWidget(section)
    section.setCollapsed(False)
    section.show()
    return section


def parts(section):
    return section.findChild(QComboBox, "protolabelModel"), section.findChild(
        QToolButton, "protolabelAboutModel"
    )


def dialog_text(section):
    return section.findChild(QTextBrowser, "protolabelModelCardText")


def choose(box, name):
    box.setCurrentIndex(box.findText(name))
    box.activated.emit(box.currentIndex())


def test_without_a_backend_nothing_can_be_told(section, session) -> None:
    box, about = parts(section)
    assert not about.isEnabled()
    session.set_options(model="/elsewhere/gone.safetensors")
    section.show_options()
    assert box.currentText() == "gone.safetensors" and not about.isEnabled()


def test_card_of_the_chosen_model(section, session, qtbot) -> None:
    section.set_models(MODELS)
    box, about = parts(section)
    assert box.currentText() == "Default (aerial)" and about.isEnabled()
    qtbot.mouseClick(about, Qt.MouseButton.LeftButton)
    text = dialog_text(section)
    dialog = text.window()
    assert dialog.isVisible() and not dialog.isModal() and "aerial" in dialog.windowTitle()
    assert text.toPlainText().splitlines() == ["aerial", "For 0.3 m & <more>.", "a", "b"]
    choose(box, "resnet50-imagenet")
    assert session.options.model == "resnet50-imagenet"
    assert "Photographs." in text.toPlainText() and "resnet50-imagenet" in dialog.windowTitle()
    choose(box, "bare")
    assert not about.isEnabled()
    dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Close).click()
    assert not dialog.isVisible()
    choose(box, "aerial")
    assert about.isEnabled() and not dialog.isVisible()
    qtbot.mouseClick(about, Qt.MouseButton.LeftButton)
    assert dialog.isVisible() and dialog_text(section) is text, "there is one dialog"


def test_tips_of_the_models(section) -> None:
    section.set_models(MODELS)
    box, _ = parts(section)
    tips = {box.itemText(row): box.itemData(row, Qt.ItemDataRole.ToolTipRole) for row in range(box.count())}
    assert tips["aerial"] == tips["Default (aerial)"] == "<p>For 0.3 m &amp; &lt;more&gt;.</p>"
    assert not tips["bare"]
    section.set_models({})
    assert [box.itemText(row) for row in range(box.count())] == ["Default"]
    assert not parts(section)[1].isEnabled()


def test_links_are_not_followed_and_pictures_not_read(section, qtbot, tmp_path) -> None:
    picture = QImage(400, 300, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.red)
    assert picture.save(str(tmp_path / "a.png"))
    address = QUrl.fromLocalFile(str(tmp_path / "a.png")).toString()
    card = f"# a\n\n[there](https://a.example) ![picture]({address}) !![other][1]\n\n[1]: {address}\n"
    section.set_models({"models": [{"name": "a", "path": "/a.safetensors", "card": card}]})
    qtbot.mouseClick(parts(section)[1], Qt.MouseButton.LeftButton)
    text = dialog_text(section)
    assert not text.openLinks() and not text.openExternalLinks()
    assert "there" in text.toPlainText()
    pixels = text.grab().toImage()
    colors = {pixels.pixel(x, y) for x in range(0, pixels.width(), 4) for y in range(0, pixels.height(), 4)}
    assert QColor(Qt.GlobalColor.red).rgb() not in colors


def test_a_long_card_begins_at_its_top(section, qtbot) -> None:
    card = "# a\n\nText.\n\n## Measured\n\n| b | c |\n|---|--:|\n| 1 | 2 |\n\n" + "More.\n\n" * 200
    section.set_models({"models": [{"name": "a", "path": "/a.safetensors", "card": card}]})
    qtbot.mouseClick(parts(section)[1], Qt.MouseButton.LeftButton)
    text = dialog_text(section)
    assert text.verticalScrollBar().maximum() > 0 and text.verticalScrollBar().value() == 0
    assert "|" not in text.toPlainText(), "a table is a table"
    assert len(text.document().rootFrame().childFrames()) == 1


@pytest.mark.slow
def test_cards_come_from_the_backend(plugin_module, session, service, qtbot) -> None:
    from plugin_of_any_name.backend import protocol

    section = plugin_module("plugin.panels.options_section").OptionsSection(session, service)
    qtbot.addWidget(section)
    request = plugin_module("plugin.gui_request").GuiRequest(section)
    request.done.connect(section.set_models)
    request.send(service, protocol.Models(0))
    qtbot.waitUntil(parts(section)[1].isEnabled, timeout=60_000)
    box, about = parts(section)
    choose(box, "vgg16-imagenet")
    about.click()
    assert "ImageNet-1k" in dialog_text(section).toPlainText()
