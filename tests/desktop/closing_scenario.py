"""An analyst who closes QGIS in the middle of a run."""

from __future__ import annotations

import os
from pathlib import Path

import qgis.utils
from desktop import Report, agree, pause, run_scenario, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QPushButton
from qgis.utils import iface

FOLDER = Path(os.environ["PROTOLABEL_WORK"])


def scenario(report: Report) -> None:
    plugin = qgis.utils.plugins[os.environ["PROTOLABEL_PLUGIN"]]
    raster = QgsRasterLayer(os.environ["PROTOLABEL_RASTER"], "large")
    QgsProject.instance().addMapLayer(raster)
    pause(0.5)
    workspace = plugin.show_dock()
    workspace.session.set_raster(raster)
    workspace.session.set_options(model=os.environ["PROTOLABEL_MODEL"])
    source = QgsVectorLayer(os.environ["PROTOLABEL_SUPPORT"], "source", "ogr")
    workspace.layers.import_layer(source, "class_id", "class_name")
    workspace.dock.run.output.setFilePath(str(FOLDER / "map.tif"))
    workspace.runs.asked.connect(lambda estimate: workspace.runs.start())
    workspace.dock.findChild(QPushButton, "protolabelRun").click()
    wait_until(lambda: workspace.dock.bar.bar.value() > 0, "progress", 120)
    report.values["worker"] = plugin._service.client().pid
    report.values["close"] = "normally"
    timer = QTimer(iface.mainWindow())
    timer.timeout.connect(agree)
    timer.start(100)
    # QGIS asks for running tasks to be cancelled, and may have to be closed once more after that.
    again = QTimer(iface.mainWindow())
    again.timeout.connect(iface.actionExit().trigger)
    again.start(1500)


run_scenario(scenario)
