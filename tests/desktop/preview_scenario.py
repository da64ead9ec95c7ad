"""An analyst who imports polygons and looks at the preview; two of them may do so at the same time."""

from __future__ import annotations

import os

import qgis.utils
from desktop import Report, pause, run_scenario, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer


def scenario(report: Report) -> None:
    plugin = qgis.utils.plugins[os.environ["PROTOLABEL_PLUGIN"]]
    raster = QgsRasterLayer(os.environ["PROTOLABEL_RASTER"], "raster")
    QgsProject.instance().addMapLayer(raster)
    pause(0.5)
    workspace = plugin.show_dock()
    workspace.session.set_raster(raster)
    workspace.session.set_options(model=os.environ["PROTOLABEL_MODEL"])
    source = QgsVectorLayer(os.environ["PROTOLABEL_SUPPORT"], "source", "ogr")
    workspace.layers.import_layer(source, "class_id", "class_name")
    stages: list[str] = []
    workspace.preview.shown.connect(stages.append)
    workspace.set_preview(True)
    wait_until(lambda: "refined" in stages, "the preview", 180)
    report.values["worker"] = plugin._service.client().pid
    report.values["support"] = workspace.session.support.source()
    report.values["log"] = str(plugin._service.log)
    report.screen("preview")


run_scenario(scenario)
