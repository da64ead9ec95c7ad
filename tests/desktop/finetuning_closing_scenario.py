"""An analyst who closes QGIS in the middle of a fine-tuning, and goes on with it when QGIS is opened again."""

from __future__ import annotations

import os

import qgis.utils
from desktop import Report, agree, pause, run_scenario, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QComboBox, QPushButton, QSpinBox
from qgis.utils import iface


def begin(report: Report, plugin: object) -> None:
    """Start a run and close QGIS."""
    raster = QgsRasterLayer(os.environ["PROTOLABEL_RASTER"], "orthophoto")
    QgsProject.instance().addMapLayer(raster)
    pause(0.5)
    workspace = plugin.show_dock()
    workspace.session.set_raster(raster)
    workspace.session.set_options(model=os.environ["PROTOLABEL_MODEL"])
    source = QgsVectorLayer(os.environ["PROTOLABEL_SUPPORT"], "source", "ogr")
    workspace.layers.import_layer(source, "class_id", "class_name")
    plugin.show_finetuning()
    dialog, run = plugin.finetuning.dialog, plugin.finetuning.run
    dialog.findChild(QComboBox, "finetuneUnit").setCurrentIndex(1)
    dialog.findChild(QSpinBox, "finetuneLength").setValue(100_000)
    dialog.findChild(QSpinBox, "finetuneCrop").setValue(96)
    dialog.findChild(QComboBox, "finetuneTrained").setCurrentIndex(1)
    start = dialog.findChild(QPushButton, "finetuneStart")
    wait_until(start.isEnabled, "what was found", 120)
    start.click()
    wait_until(lambda: run.status.iteration >= 2, "two iterations", 180)
    run.set_paused(True)  # which keeps a checkpoint
    wait_until(lambda: run.phase.value == "paused", "the pause", 60)
    report.values["reached"] = reached = run.status.iteration
    run.set_paused(False)
    wait_until(lambda: run.status.iteration > reached, "another iteration", 60)
    report.values["worker"] = plugin._service.client("finetuning").pid
    report.values["close"] = "normally"
    timer = QTimer(iface.mainWindow())
    timer.timeout.connect(agree)
    timer.start(100)
    again = QTimer(iface.mainWindow())
    again.timeout.connect(iface.actionExit().trigger)
    again.start(1500)


def go_on(report: Report, plugin: object) -> None:
    """See what is offered, and go on."""
    wait_until(lambda: iface.messageBar().currentItem() is not None, "the offer in the message bar", 10)
    bar = iface.messageBar().currentItem()
    report.values["offer"] = bar.text()
    report.screen("offer")
    bar.findChild(QPushButton).click()
    dialog, run = plugin.finetuning.dialog, plugin.finetuning.run
    report.values["offer_of_dialog"] = dialog.left.text.text()
    pause(1.0)
    report.picture("offer_of_dialog", dialog)
    dialog.findChild(QPushButton, "finetuneLeftResume").click()
    reached = int(os.environ["PROTOLABEL_REACHED"])
    wait_until(lambda: run.status.iteration >= 1, "an iteration", 180)
    report.values["first"] = run.status.iteration
    wait_until(lambda: run.status.iteration > reached, "a later iteration", 180)
    report.picture("gone_on", dialog)
    dialog.findChild(QPushButton, "finetuneCancel").click()
    wait_until(lambda: run.phase.value == "interrupted", "the end", 20)


def scenario(report: Report) -> None:
    plugin = qgis.utils.plugins[os.environ["PROTOLABEL_PLUGIN"]]
    (go_on if os.environ.get("PROTOLABEL_REACHED") else begin)(report, plugin)


run_scenario(scenario)
