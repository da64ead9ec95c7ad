"""The fine-tuning dialog with the real worker on generated data: choosing, running, its end, and what goes wrong."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QLineEdit, QPushButton, QSpinBox

pytestmark = pytest.mark.slow
LONG = 100_000  # iterations that nobody waits for
START, STEP = 180_000, 120_000  # milliseconds, on a machine with other work


@pytest.fixture
def labels(scene):
    """The label raster of the generated scene."""
    return str(Path(scene.raster).with_name("labels.tif"))


@pytest.fixture
def own_service(plugin_module, backend_python, tmp_path):
    """A backend whose data and models are in a folder of the test's own."""
    environ = {
        **os.environ,
        "PROTOLABEL_PYTHON": backend_python,
        "PROTOLABEL_DATA": str(tmp_path / "data"),
        "XDG_DATA_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
    }
    service = plugin_module("plugin.backend_service").BackendService(environ=environ)
    yield service
    service.close()


@pytest.fixture
def run(plugin_module, own_service):
    run = plugin_module("plugin.finetuning.run").FineTuningRun(own_service)
    yield run
    run.close()


@pytest.fixture
def dialog(plugin_module, run, filled_session, own_service, qtbot):
    dialog = plugin_module("plugin.panels.finetune_dialog").FinetuneDialog(run, filled_session, own_service)
    qtbot.addWidget(dialog)
    choose_small(dialog)
    dialog.show()
    yield dialog
    dialog.close()


@pytest.fixture
def phase(plugin_module):
    return plugin_module("plugin.finetuning.run").Phase


def choose_small(dialog, iterations: int = LONG) -> None:
    """Options for a run that is quick on any machine."""
    find(dialog, QComboBox, "finetuneUnit").setCurrentIndex(1)
    find(dialog, QSpinBox, "finetuneLength").setValue(iterations)
    find(dialog, QSpinBox, "finetuneCrop").setValue(96)
    find(dialog, QComboBox, "finetuneTrained").setCurrentIndex(1)
    find(dialog, QComboBox, "finetuneDevice").setCurrentIndex(0)


def find(dialog, kind, name):
    found = dialog.findChild(kind, name)
    assert found is not None, name
    return found


def click(dialog, name: str, qtbot) -> None:
    button = find(dialog, QPushButton, name)
    assert button.isVisible() and button.isEnabled(), name
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def start(dialog, qtbot) -> None:
    button = find(dialog, QPushButton, "finetuneStart")
    qtbot.waitUntil(button.isEnabled, timeout=START)
    click(dialog, "finetuneStart", qtbot)


def wait_iterations(run, count: int, qtbot) -> None:
    qtbot.waitUntil(lambda: run.status.iteration >= count or not run.active, timeout=START)
    assert run.active, run.reason


def notes(dialog) -> str:
    return " ".join(dialog.input.findings.notes)


def text(dialog, name: str) -> str:
    return find(dialog, QLabel, name).text()


def is_one_sentence(told: str) -> bool:
    return bool(told) and told.endswith(".") and "Traceback" not in told and "\n" not in told


# Before the start.


def test_what_the_session_holds_is_shown_with_an_estimate(dialog, filled_session, qtbot) -> None:
    table = dialog.input.findings.table
    qtbot.waitUntil(lambda: "iterations" in text(dialog, "finetuneStatus"), timeout=START)
    names = [table.item(row, 0).text() for row in range(table.rowCount())]
    assert names == [entry.name for entry in filled_session.classes.entries()]
    assert [table.horizontalHeaderItem(column).text() for column in range(table.columnCount())] == [
        "Class",
        "orthophoto.tif",
    ]
    assert all("/" in table.item(row, 1).text() for row in range(table.rowCount()))
    assert text(dialog, "finetuneHoldOut")
    assert find(dialog, QPushButton, "finetuneStart").isEnabled()
    assert dialog.input.model.name == Path(filled_session.options.model).stem


def test_a_class_can_be_left_out_and_taken_in_again(dialog, qtbot) -> None:
    findings, button = dialog.input.findings, find(dialog, QPushButton, "finetuneStart")
    qtbot.waitUntil(button.isEnabled, timeout=START)
    count = findings.table.rowCount()
    findings.table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    assert not button.isEnabled(), "what was found is of another choice"
    qtbot.waitUntil(button.isEnabled, timeout=START)
    assert findings.table.rowCount() == count and findings.ignored
    assert findings.table.item(0, 0).checkState() == Qt.CheckState.Unchecked
    assert findings.table.item(0, 1).text() == ""
    findings.table.item(0, 0).setCheckState(Qt.CheckState.Checked)
    qtbot.waitUntil(button.isEnabled, timeout=START)
    assert "/" in findings.table.item(0, 1).text() and not findings.ignored


def test_a_single_class_is_told_in_one_sentence(dialog, qtbot) -> None:
    table, button = dialog.input.findings.table, find(dialog, QPushButton, "finetuneStart")
    qtbot.waitUntil(button.isEnabled, timeout=START)
    for row in range(1, table.rowCount()):
        table.item(row, 0).setCheckState(Qt.CheckState.Unchecked)
    qtbot.waitUntil(lambda: "one class" in notes(dialog), timeout=START)
    assert is_one_sentence(dialog.input.findings.notes[0])
    assert not button.isEnabled()


def test_label_raster_of_a_file(dialog, scene, labels, qtbot) -> None:
    dialog.input.material.set_from_session(False)
    row = dialog.input.material.rows._rows[0]
    assert row.raster.value is not None, "the raster of the project"
    row.labels.set_value(labels)
    assert not row.field.isEnabled()
    qtbot.waitUntil(find(dialog, QPushButton, "finetuneStart").isEnabled, timeout=START)
    table = dialog.input.findings.table
    assert table.rowCount() >= 2 and table.item(0, 1).text().startswith("- / ")


def test_rows_come_and_go(dialog, scene, qtbot) -> None:
    dialog.input.material.set_from_session(False)
    rows = dialog.input.material.rows
    click(dialog, "finetuneAddRow", qtbot)
    assert len(rows._rows) == 2 and rows.rows() == []
    polygons = QgsVectorLayer(scene.support, "polygons", "ogr")
    QgsProject.instance().addMapLayer(polygons)
    rows._rows[0].labels.set_value(polygons)
    assert [(row.labels, row.class_field) for row in rows.rows()] == [(polygons, "class_id")]
    rows._rows[0].remove.click()
    rows._rows[0].remove.click()
    assert len(rows._rows) == 1, "one row stays, to be filled in"


def test_labels_that_lie_elsewhere(dialog, make_geotiff, qtbot) -> None:
    dialog.input.material.set_from_session(False)
    row = dialog.input.material.rows._rows[0]
    row.labels.set_value(str(make_geotiff("elsewhere.tif", bands=1)))
    qtbot.waitUntil(lambda: "elsewhere" in notes(dialog), timeout=START)
    assert is_one_sentence(dialog.input.findings.notes[0]), notes(dialog)
    assert not find(dialog, QPushButton, "finetuneStart").isEnabled()


def test_file_that_is_no_raster(dialog, scene, labels, tmp_path, qtbot) -> None:
    dialog.input.material.set_from_session(False)
    row = dialog.input.material.rows._rows[0]
    (tmp_path / "broken.tif").write_text("no raster")
    row.raster.set_value(str(tmp_path / "broken.tif"))
    row.labels.set_value(labels)
    qtbot.waitUntil(lambda: "broken.tif" in notes(dialog), timeout=START)
    assert is_one_sentence(dialog.input.findings.notes[0]), notes(dialog)


def test_no_polygons_and_no_backend(
    plugin_module, dialog, filled_session, no_service, qtbot, tmp_path
) -> None:
    filled_session.set_support(None)
    dialog.input.look_if_changed()
    qtbot.waitUntil(lambda: "Choose at least one raster" in notes(dialog), timeout=START)
    run = plugin_module("plugin.finetuning.run").FineTuningRun(no_service)
    other = plugin_module("plugin.panels.finetune_dialog").FinetuneDialog(run, filled_session, no_service)
    qtbot.addWidget(other)
    other.show()
    qtbot.waitUntil(lambda: "is no Python any more" in notes(other) or "names" in notes(other))
    assert not find(other, QPushButton, "finetuneStart").isEnabled()


# A run.


def test_from_start_to_the_model_in_use(
    plugin_module, dialog, run, phase, filled_session, own_service, qtbot
) -> None:
    choose_small(dialog, 3)
    former = filled_session.options.model
    start(dialog, qtbot)
    assert run.phase is phase.RUNNING
    qtbot.waitUntil(lambda: run.phase is phase.DONE, timeout=2 * START)
    assert run.status.iteration == 3 and run.curves.untuned is not None
    assert len(run.curves.miou.points) >= 1 and "Segmentation" in run.curves.losses
    assert run.status.example is None or run.status.example.suffix == ".png"
    table = dialog.result.table
    assert table.rowCount() == 1 + len(filled_session.classes.entries())
    assert run.comparison.sentence == text(dialog, "finetuneVerdict")
    assert filled_session.options.model == former, "nothing is used that was not asked for"
    assert not find(dialog, QPushButton, "finetuneUse").isEnabled(), "it is not saved yet"
    for name in ("finetuneUse", "finetuneSave"):
        assert not find(dialog, QPushButton, name).isDefault()
    find(dialog, QLineEdit, "finetuneName").setText("local/broken")
    dialog.result._on_name()
    click(dialog, "finetuneSave", qtbot)
    qtbot.waitUntil(lambda: "cannot be the name" in text(dialog, "finetuneMessage"), timeout=STEP)
    assert is_one_sentence(text(dialog, "finetuneMessage"))
    find(dialog, QLineEdit, "finetuneName").setText("local classes")
    dialog.result._on_name()
    folder = run.folder.path
    click(dialog, "finetuneSave", qtbot)
    if dialog.result.question.isVisible():  # by chance it is worse
        click(dialog, "finetuneQuestionAgree", qtbot)
    qtbot.waitUntil(lambda: dialog.result.saved, timeout=STEP)
    assert not folder.exists(), "the model is kept elsewhere now"
    click(dialog, "finetuneUse", qtbot)
    if dialog.result.question.isVisible():
        click(dialog, "finetuneQuestionAgree", qtbot)
    tuned = Path(filled_session.options.model)
    assert tuned.name == "local classes.safetensors" and tuned.is_file()
    assert "Fine-tuned from" in tuned.with_suffix(".md").read_text(encoding="utf-8")
    click(dialog, "finetuneUndo", qtbot)
    assert filled_session.options.model == former
    click(dialog, "finetuneAgain", qtbot)
    qtbot.waitUntil(lambda: "local classes" in dialog.input.model.names, timeout=START)
    assert run.phase is phase.NONE


def test_pause_and_resume(dialog, run, phase, qtbot) -> None:
    start(dialog, qtbot)
    wait_iterations(run, 1, qtbot)
    click(dialog, "finetunePause", qtbot)
    qtbot.waitUntil(lambda: run.phase is phase.PAUSED, timeout=STEP)
    assert find(dialog, QPushButton, "finetunePause").text() == "Resume"
    assert "Paused" in text(dialog, "finetuneProgressText")
    reached = run.status.iteration
    qtbot.wait(3000)
    assert run.status.iteration == reached
    click(dialog, "finetunePause", qtbot)
    wait_iterations(run, reached + 1, qtbot)
    assert run.phase is phase.RUNNING


def test_cancel_within_three_seconds_and_go_on(dialog, run, phase, own_service, qtbot) -> None:
    start(dialog, qtbot)
    wait_iterations(run, 2, qtbot)
    began = time.monotonic()
    click(dialog, "finetuneCancel", qtbot)
    assert run.phase is phase.STOPPING
    qtbot.waitUntil(lambda: run.phase is phase.INTERRUPTED, timeout=15_000)
    assert time.monotonic() - began < 8, "three seconds, and time to be ended for one that does not listen"
    assert "cancelled" in text(dialog, "finetuneProgressText")
    reached = run.status.iteration
    click(dialog, "finetuneResume", qtbot)
    wait_iterations(run, reached + 1, qtbot)
    assert run.curves.losses["Total"].points[0][0] <= reached, "what was before is plotted, too"


def test_worker_that_is_killed_can_be_gone_on_with(dialog, run, phase, own_service, qtbot) -> None:
    start(dialog, qtbot)
    wait_iterations(run, 2, qtbot)
    click(dialog, "finetunePause", qtbot)  # which keeps a checkpoint
    qtbot.waitUntil(lambda: run.phase is phase.PAUSED, timeout=STEP)
    reached = run.status.iteration
    os.kill(own_service.client("finetuning").pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: run.phase is phase.INTERRUPTED, timeout=15_000)
    told = text(dialog, "finetuneProgressText")
    assert "killed" in told and "resume" in told and "Traceback" not in told
    click(dialog, "finetuneResume", qtbot)
    wait_iterations(run, reached + 1, qtbot)


def test_closed_and_opened_again_while_labelling_goes_on(dialog, run, own_service, scene, qtbot) -> None:
    from plugin_of_any_name.backend import protocol

    start(dialog, qtbot)
    wait_iterations(run, 1, qtbot)
    click(dialog, "finetuneClose", qtbot)
    assert not dialog.isVisible() and run.active
    client, reached = own_service.client(), run.status.iteration
    assert client.request(protocol.Inspect(0, scene.raster)).wait(60)["bands"]
    assert client.pid != own_service.client("finetuning").pid
    qtbot.waitUntil(lambda: run.status.iteration > reached, timeout=START)
    dialog.show()
    assert dialog.progress.isVisible()
    assert str(run.status.iteration) in text(dialog, "finetuneProgressText")


def test_another_day(plugin_module, dialog, run, phase, filled_session, own_service, qtbot) -> None:
    start(dialog, qtbot)
    wait_iterations(run, 2, qtbot)
    click(dialog, "finetunePause", qtbot)
    qtbot.waitUntil(lambda: run.phase is phase.PAUSED, timeout=STEP)
    reached = run.status.iteration
    assert run.left() == [], "nobody else is offered a run that is going on"
    run.close()  # as QGIS does when it closes
    own_service.restart()
    later = plugin_module("plugin.finetuning.run").FineTuningRun(own_service)
    other = plugin_module("plugin.panels.finetune_dialog").FinetuneDialog(later, filled_session, own_service)
    qtbot.addWidget(other)
    other.show()
    assert "was interrupted" in text(other, "finetuneLeftText")
    click(other, "finetuneLeftResume", qtbot)
    wait_iterations(later, reached + 1, qtbot)
    later.cancel()
    qtbot.waitUntil(lambda: later.phase is phase.INTERRUPTED, timeout=15_000)
    folder = later.folder.path
    click(other, "finetuneDiscard", qtbot)
    assert folder.exists(), "it is asked for first"
    click(other, "finetuneDiscardQuestionAgree", qtbot)
    assert not folder.exists() and later.phase is phase.NONE
    assert not other.left.isVisible()
    later.close()


def test_raster_that_is_gone_at_the_start(dialog, run, phase, scene, labels, tmp_path, qtbot) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(Path(scene.raster).read_bytes())
    dialog.input.material.set_from_session(False)
    row = dialog.input.material.rows._rows[0]
    row.raster.set_value(str(copy))
    row.labels.set_value(labels)
    button = find(dialog, QPushButton, "finetuneStart")
    qtbot.waitUntil(button.isEnabled, timeout=START)
    copy.unlink()
    click(dialog, "finetuneStart", qtbot)
    qtbot.waitUntil(lambda: run.phase is phase.NONE, timeout=START)
    assert is_one_sentence(text(dialog, "finetuneTrouble")) and "copy.tif" in text(dialog, "finetuneTrouble")
    assert run.left() == [], "there is nothing to go on from"


def test_model_of_another_architecture(dialog, filled_session, tmp_path, qtbot) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    dialog.input.model.set_model(str(tmp_path / "other.safetensors"))
    dialog.input.look()
    qtbot.waitUntil(lambda: "other.safetensors" in notes(dialog), timeout=START)
    assert is_one_sentence(dialog.input.findings.notes[0]), notes(dialog)
