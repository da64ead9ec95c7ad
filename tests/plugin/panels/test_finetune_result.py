"""The end of a fine-tuning: the table, and the questions about a model that is worse."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QCheckBox, QLabel, QLineEdit, QPushButton, QTextBrowser

VALUE = {
    "verdict": "better",
    "sentence": "The tuned model is better.",
    "base": {"miou": 0.41},
    "best": {"miou": 0.5},
    "classes": [
        {"name": "road", "iou_before": 0.4, "iou_after": 0.62},
        {"name": "tree", "iou_before": 0.42, "iou_after": 0.38},
        {"name": "water", "iou_before": None, "iou_after": None},
    ],
    "iterations": 600,
    "seconds": 500.0,
    "hold_out": "Held out: one raster.",
    "card": "# local\n\nA card.\n",
}


@pytest.fixture
def session(plugin_module, qgis_new_project):
    session = plugin_module("plugin.session").LabelingSession(QgsProject.instance())
    session.set_options(model="/m/former.safetensors")
    yield session
    session.close()


@pytest.fixture
def show(plugin_module, session, no_service, tmp_path, qtbot):
    """Shows the end of a run."""
    run = plugin_module("plugin.finetuning.run").FineTuningRun(no_service)

    def show(**changes):
        run.folder = plugin_module("plugin.finetuning.run_folder").new_run_folder(tmp_path, "aerial", "cpu")
        run.comparison = plugin_module("plugin.finetuning.comparison").read_comparison({**VALUE, **changes})
        page = plugin_module("plugin.panels.finetune_result").FinetuneResult(run, session, no_service)
        qtbot.addWidget(page)
        page.set_names({"aerial", "Local"})
        page.show_result()
        page.show()
        return page

    return show


def find(page, kind, name):
    return page.findChild(kind, name)


def cells(page):
    table = page.table
    return [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount())]


def test_table_with_the_differences_in_colour(show):
    page = show()
    assert cells(page) == [
        ["Mean", "0.410", "0.500", "+0.090"],
        ["road", "0.400", "0.620", "+0.220"],
        ["tree", "0.420", "0.380", "-0.040"],
        ["water", "-", "-", "-"],
    ]
    better, worse = (page.table.item(row, 3).background().color() for row in (1, 2))
    assert better.green() > better.red() and worse.red() > worse.green()
    assert better.alpha() > worse.alpha(), "the more, the stronger"
    assert find(page, QLabel, "finetuneVerdict").text() == "The tuned model is better."


def test_no_difference_has_no_colour(show):
    page = show(best={"miou": 0.4099999})
    assert cells(page)[0][3] == "0.000"
    assert page.table.item(0, 3).background().color().alpha() == 0


def test_name_that_is_taken(show):
    page = show()
    name, save = find(page, QLineEdit, "finetuneName"), find(page, QPushButton, "finetuneSave")
    assert name.text().startswith("aerial-") and save.isEnabled()
    assert not find(page, QCheckBox, "finetuneReplace").isVisible()
    name.setText(" local ")
    name.textEdited.emit(name.text())
    assert not save.isEnabled() and find(page, QCheckBox, "finetuneReplace").isVisible()
    find(page, QCheckBox, "finetuneReplace").setChecked(True)
    assert save.isEnabled()
    name.setText("")
    name.textEdited.emit("")
    assert not save.isEnabled()


def test_worse_model_is_only_saved_and_used_after_a_question(show, session, monkeypatch):
    page = show(verdict="worse", base={"miou": 0.5}, best={"miou": 0.41})
    saved = []
    monkeypatch.setattr(page, "_save", lambda: saved.append(True))
    find(page, QPushButton, "finetuneSave").click()
    question = find(page, QLabel, "finetuneQuestionText")
    assert question.isVisible() and "0.090" in question.text() and "(0.410 against 0.500)" in question.text()
    assert saved == []
    find(page, QPushButton, "finetuneQuestionRefuse").click()
    assert not question.isVisible() and saved == []
    page._on_saved({"name": "aerial-local", "saved": "/m/aerial-local.safetensors"})
    find(page, QPushButton, "finetuneUse").click()
    assert question.isVisible() and session.options.model == "/m/former.safetensors"
    find(page, QPushButton, "finetuneQuestionAgree").click()
    assert session.options.model == "/m/aerial-local.safetensors"


def test_undo_of_the_class_panel_is_seen(show, session):
    page = show()
    page._on_saved({"name": "aerial-local", "saved": "/m/aerial-local.safetensors"})
    use, undo = find(page, QPushButton, "finetuneUse"), find(page, QPushButton, "finetuneUndo")
    assert use.isEnabled() and not undo.isVisible()
    use.click()
    assert not use.isEnabled() and undo.isVisible()
    session.classes.undo_stack.undo()
    assert use.isEnabled() and not undo.isVisible()
    assert session.options.model == "/m/former.safetensors"


def test_card(show):
    page = show()
    find(page, QPushButton, "finetuneCard").click()
    assert "A card." in page.findChild(QTextBrowser, "protolabelModelCardText").toPlainText()
