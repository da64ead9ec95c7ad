"""An analyst who fine-tunes on polygons of two rasters: looks, starts, loses the worker, resumes, compares, uses."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import qgis.utils
from desktop import Report, Watch, pause, run_scenario, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtWidgets import QAction, QComboBox, QLineEdit, QPushButton, QSpinBox, QWidget
from qgis.utils import iface

FOLDER = Path(os.environ["PROTOLABEL_WORK"])
WIDE, NARROW = (900, 860), (440, 780)


def scenario(report: Report) -> None:
    values = report.values
    plugin = qgis.utils.plugins[os.environ["PROTOLABEL_PLUGIN"]]
    project = QgsProject.instance()
    workspace = plugin.show_dock()
    for name in ("first", "second"):
        raster = QgsRasterLayer(str(FOLDER / f"{name}.tif"), name)
        project.addMapLayer(raster)
        pause(0.3)
        workspace.session.set_raster(raster)
        source = QgsVectorLayer(os.environ[f"PROTOLABEL_SUPPORT_{name.upper()}"], name, "ogr")
        workspace.layers.import_layer(source, "class_id", "class_name")
    iface.mapCanvas().setExtent(raster.extent())
    if os.environ.get("PROTOLABEL_MODEL"):
        workspace.session.set_options(model=os.environ["PROTOLABEL_MODEL"])
    former = workspace.session.options.model
    action = iface.mainWindow().findChild(QAction, "protolabelFineTuneAction")
    values["button"] = action.text()
    action.trigger()
    room = plugin.finetuning
    dialog, run = room.dialog, room.run

    def find(kind: type, name: str) -> QWidget:
        return dialog.findChild(kind, name)

    def pictures(name: str) -> None:
        for size, word in ((NARROW, "narrow"), (WIDE, "wide")):
            dialog.resize(*size)
            pause(1.0)
            report.picture(f"{name}_{word}", dialog)

    # What there is, with an estimate.
    find(QComboBox, "finetuneUnit").setCurrentIndex(0)  # minutes: as long on every machine
    find(QSpinBox, "finetuneLength").setValue(int(os.environ["PROTOLABEL_MINUTES"]))
    find(QSpinBox, "finetuneCrop").setValue(96)
    find(QComboBox, "finetuneTrained").setCurrentIndex(1)
    start = find(QPushButton, "finetuneStart")
    wait_until(lambda: "About" in dialog.input.status.text(), "the estimate", 120)
    table = dialog.input.findings.table
    values["found"] = [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]
    values["estimate"], values["notes"] = dialog.input.status.text(), dialog.input.findings.notes
    pictures("1_input")
    report.screen("1_screen")

    # A run; the dialog is closed and opened meanwhile, and the worker is lost.
    start.click()
    wait_until(lambda: run.status.iteration >= 1, "the first iteration", 180)
    values["button_running"] = action.text()
    pictures("2_running")
    report.screen("2_screen")
    watch, reached = Watch(), run.status.iteration
    with watch.watching():
        wait_until(lambda: run.status.iteration > reached, "the next iteration", 120)
        pause(1.0)
    values["blocks"] = sorted(watch.gaps)[-5:]
    find(QPushButton, "finetuneClose").click()
    values["goes_on"] = run.active and not dialog.isVisible()
    action.trigger()
    values["came_back"] = dialog.progress.isVisible()
    find(QPushButton, "finetunePause").click()
    wait_until(lambda: run.phase.value == "paused", "the pause", 60)
    pictures("3_paused")
    os.kill(plugin._service.client("finetuning").pid, signal.SIGKILL)
    wait_until(lambda: run.phase.value == "interrupted", "the loss of the worker", 20)
    values["reason"] = dialog.progress.status.text()
    pictures("4_interrupted")
    find(QPushButton, "finetuneResume").click()
    wait_until(lambda: run.phase.value in ("done", "interrupted"), "the end", 240)
    values["phase"], values["trouble"] = run.phase.value, run.reason
    pictures("5_result")

    # The tuned model, in this session and back.
    values["verdict"] = dialog.result.verdict.text()
    find(QLineEdit, "finetuneName").setText("local")
    dialog.result._on_name()

    def agree() -> None:
        values["asked"] = values.get("asked", 0) + dialog.result.question.isVisible()
        if dialog.result.question.isVisible():
            report.picture("6_question", dialog)
            dialog.result.question.agree.click()

    find(QPushButton, "finetuneSave").click()
    agree()
    wait_until(lambda: dialog.result.saved, "the saved model", 60)
    find(QPushButton, "finetuneUse").click()
    agree()
    values["used"] = workspace.session.options.model
    wait_until(
        lambda: workspace.dock.options.findChild(QComboBox, "protolabelModel").currentText() == "local",
        "the model in the dock", 60,
    )  # fmt: skip
    pictures("7_used")
    pause(0.5)
    report.screen("7_screen")
    bar = iface.messageBar().currentItem()
    bar.findChild(QPushButton).click()
    values["undone"] = workspace.session.options.model == former
    values["worse"] = run.comparison.verdict.value == "worse"


run_scenario(scenario)
