"""An analyst at work: opens a raster, draws polygons, watches the preview, labels, saves, comes back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import qgis.utils
from desktop import Report, Watch, children_of, click_map, draw_on_map, pause, run_scenario, wait_until
from qgis.core import QgsCoordinateTransform, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QEvent, QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QPushButton, QWidget
from qgis.utils import iface

FOLDER = Path(os.environ["PROTOLABEL_WORK"])
RASTER = os.environ["PROTOLABEL_RASTER"]
SUPPORT = os.environ["PROTOLABEL_SUPPORT"]
MODEL = os.environ.get("PROTOLABEL_MODEL") or None


def scenario(report: Report) -> None:
    values = report.values
    plugin = qgis.utils.plugins[os.environ["PROTOLABEL_PLUGIN"]]
    canvas, project = iface.mapCanvas(), QgsProject.instance()
    raster = QgsRasterLayer(RASTER, "orthophoto")
    project.addMapLayer(raster)
    pause(0.5)  # QGIS takes over the system of the first layer a little later
    project.setFileName(str(FOLDER / "project.qgz"))
    canvas.setExtent(raster.extent())
    iface.mainWindow().findChild(QWidget, "protolabelToolbar").actions()[0].trigger()
    workspace = plugin.workspace
    workspace.session.set_options(model=MODEL)
    dock = workspace.dock
    values["raster_chosen_by_itself"] = workspace.session.raster is raster
    report.picture("1_dock_at_start", dock)

    # Classes, as the support file names them.
    source = QgsVectorLayer(SUPPORT, "support", "ogr")
    features = sorted(source.getFeatures(), key=lambda feature: feature["class_id"])
    for feature in features:
        if workspace.session.classes.entry(feature["class_id"]) is None:
            workspace.session.classes.add(feature["class_name"], id=feature["class_id"])
    keys = {entry.id: number + 1 for number, entry in enumerate(workspace.session.classes.entries())}

    # Polygons, by the mouse, with the class chosen by its key.
    workspace.draw(features[0]["class_id"])
    transform = QgsCoordinateTransform(source.crs(), canvas.mapSettings().destinationCrs(), project)

    def drawn() -> int:
        support = workspace.session.support
        return support.featureCount() if support is not None else 0

    for count, feature in enumerate(features, 1):
        geometry = feature.geometry()
        geometry.transform(transform)
        QTest.keyClick(canvas, Qt.Key.Key_1 + keys[feature["class_id"]] - 1)
        draw_on_map(canvas, geometry)
        wait_until(lambda number=count: drawn() == number, f"polygon {count} in the layer", 5)
    count = len(features)
    values["polygons"] = count
    values["support_file"] = workspace.session.support.source()

    # Undo and redo through the layer's own stack; a polygon that is begun and dropped.
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait_until(lambda: drawn() == count - 1, "undo", 5)
    QTest.keyClick(
        canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    wait_until(lambda: drawn() == count, "redo", 5)
    for x in (300, 340, 360):
        click_map(canvas, QPoint(x, 300 + x % 50))
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    values["after_escape"] = workspace.session.support.featureCount()

    # The preview of a part, then with one more polygon, then of another part.
    watch = Watch()
    stages: list[tuple[str, float]] = []
    begun = time.monotonic()
    workspace.preview.shown.connect(lambda stage: stages.append((stage, time.monotonic() - begun)))
    box = raster.extent()
    box.scale(0.6)
    canvas.setExtent(box)
    canvas.waitWhileRendering()
    with watch.watching():
        begun = time.monotonic()
        dock.findChild(QPushButton, "protolabelPreview").click()
        wait_until(lambda: any(stage == "refined" for stage, _ in stages), "the first preview", 120)
        values["cold"] = list(stages)
        report.screen("2_preview_labels", watch)
        stages.clear()
        begun = time.monotonic()
        workspace.drawing.undo()
        wait_until(lambda: any(stage == "refined" for stage, _ in stages), "a preview after undo", 60)
        values["warm"] = list(stages)
        stages.clear()
        workspace.drawing.redo()
        wait_until(lambda: any(stage == "refined" for stage, _ in stages), "a preview after redo", 60)
        dock.findChild(QWidget, "protolabelShowUncertainty").click()
        pause(0.3)
        report.screen("3_preview_uncertainty", watch)
        dock.findChild(QWidget, "protolabelShowLabels").click()
        dock.findChild(QPushButton, "protolabelNextPlace").click()
        wait_until(
            lambda: "Uncertain place" in workspace.dock.preview.status.text(), "an uncertain place", 60
        )
        pause(0.5)
        report.screen("4_uncertain_place", watch)
    values["preview_block_ms"] = watch.longest
    values["preview_blocks"] = sorted(watch.gaps)[-5:]

    # The run, with the box ticked for polygons.
    dock.findChild(QWidget, "protolabelVector").click()
    dock.findChild(QWidget, "protolabelOutput").setFilePath(str(FOLDER / "labels.tif"))
    canvas.setExtent(raster.extent())
    watch = Watch()
    with watch.watching():
        run = dock.findChild(QPushButton, "protolabelRun")
        run.click()
        wait_until(lambda: not run.isVisible(), "the run begins", 10)
        wait_until(lambda: dock.bar.bar.value() > 10, "progress", 120)
        report.screen("5_running", watch)
        wait_until(lambda: run.isVisible(), "the end of the run", 300)
        pause(0.5)
    values["run_block_ms"] = watch.longest
    values["run_blocks"] = sorted(watch.gaps)[-5:]
    values["run_text"] = dock.bar.text
    workspace.set_preview(False)
    workspace.drawing.stop()
    pause(1.0)
    report.screen("6_result")
    root = project.layerTreeRoot()
    group = next(child for child in root.children() if child.name().startswith("labels"))
    values["group"] = [node.name() for node in group.findLayers()]
    layers = {node.layer().source(): node.layer() for node in group.findLayers()}
    labels = layers[str(FOLDER / "labels.tif")]
    values["legend"] = [(item.value, item.label, item.color.name()) for item in labels.renderer().classes()]
    values["classes"] = [(entry.id, entry.name, entry.color) for entry in workspace.session.classes.entries()]

    # The project keeps all of it, with relative paths.
    values["saved"] = project.write()
    before = workspace.session.classes.to_dict(), workspace.session.options, workspace.session.choice
    project.clear()
    values["cleared"] = workspace.session.raster is None and not workspace.session.classes.entries()
    project.read(str(FOLDER / "project.qgz"))
    after = workspace.session.classes.to_dict(), workspace.session.options, workspace.session.choice
    values["came_back"] = before == after and before[2] is not None
    values["before"], values["after"] = repr(before), repr(after)
    values["support_came_back"] = (
        workspace.session.support is not None and workspace.session.support.featureCount()
    )
    pause(0.5)
    report.screen("7_project_reloaded")

    # Dialogs.
    plugin.show_setup()
    pause(2.0)
    report.picture("8_setup", plugin._setup)
    plugin._setup.close()
    workspace.layers.ask_import()
    pause(0.5)
    dialog = iface.mainWindow().findChild(QWidget, "protolabelImport")
    report.picture("9_import", dialog)
    dialog.close()
    workspace.exports.ask()
    pause(0.5)
    dialog = iface.mainWindow().findChild(QWidget, "protolabelExportDialog")
    report.picture("10_export", dialog)
    dialog.close()
    workspace.dock.bar.show_question(
        {
            "width": 60_000, "height": 60_000, "seconds": 29_500.0, "memory": 1.7e9, "disk": 7.3e9,
            "warnings": ["The run takes more than an hour; label a part first."],
        }
    )  # fmt: skip
    pause(0.2)
    report.picture("11_question", workspace.dock)
    workspace.dock.bar.show_idle("")

    # Reloading leaves nothing and comes back.
    qgis.utils.unloadPlugin(os.environ["PROTOLABEL_PLUGIN"])
    pause(0.5)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # which wait for an outer event loop
    values["left_children"] = [line for line in children_of(os.getpid()) if "backend" in line]
    values["left_widgets"] = [
        widget.objectName()
        for widget in iface.mainWindow().findChildren(QWidget)
        if "protolabel" in widget.objectName()
    ]
    values["loaded_again"] = qgis.utils.loadPlugin(
        os.environ["PROTOLABEL_PLUGIN"]
    ) and qgis.utils.startPlugin(os.environ["PROTOLABEL_PLUGIN"])
    pause(0.5)


run_scenario(scenario)
