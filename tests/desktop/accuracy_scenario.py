"""An analyst who finds out how good a label map is: draws points, labels them by the keyboard, comes back, assesses."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import qgis.utils
from desktop import Report, children_of, pause, run_scenario, wait_until
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QEvent, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAction,
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPushButton,
    QSpinBox,
    QWidget,
)
from qgis.utils import iface

FOLDER = Path(os.environ["PROTOLABEL_WORK"])
RASTER, LABELS, CONFIDENCE, TRUTH, SUPPORT = (
    os.environ[f"PROTOLABEL_{name}"] for name in ("RASTER", "LABELS", "CONFIDENCE", "TRUTH", "SUPPORT")
)
POINTS = 60


def scenario(report: Report) -> None:
    values, window = report.values, iface.mainWindow()
    name = os.environ["PROTOLABEL_PLUGIN"]
    plugin = qgis.utils.plugins[name]
    canvas, project = iface.mapCanvas(), QgsProject.instance()
    raster = QgsRasterLayer(RASTER, "orthophoto")
    project.addMapLayer(raster)
    pause(0.5)  # QGIS takes over the system of the first layer a little later
    project.setFileName(str(FOLDER / "project.qgz"))
    importlib.import_module(f"{name}.plugin.results").add_result_group(
        project, "labels", Path(LABELS), Path(CONFIDENCE), None, (), above=raster
    )
    canvas.setExtent(raster.extent())
    window.findChild(QAction, "protolabelAccuracyAction").trigger()
    pause(0.5)
    workspace, accuracy = plugin.workspace, plugin.workspace.accuracy
    dock = accuracy.dock
    dock.setMinimumWidth(430)
    workspace.session.set_raster(raster)
    workspace.layers.import_layer(QgsVectorLayer(SUPPORT, "support", "ogr"), "class_id", "class_name")
    values["labeling_dock_stays_closed"] = not workspace.dock.isVisible()
    values["map"] = dock.findChild(QComboBox, "protolabelAccuracyMap").currentText()
    values["confidence"] = dock.findChild(QComboBox, "protolabelAccuracyConfidence").currentText()
    pause(1.0)
    report.screen("1_dock")

    def button(text: str, owner: QWidget | None = None) -> QPushButton:
        return (owner or dock).findChild(QPushButton, f"protolabel{text}")

    def read(text: str, owner: QWidget | None = None) -> str:
        return (owner or dock).findChild(QLabel, f"protolabel{text}").text()

    # Points.
    button("DrawPoints").click()
    dialog = window.findChild(QDialog, "protolabelDrawPointsDialog")
    draw = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    wait_until(draw.isEnabled, "a suggestion", 60)
    values["suggested"] = dialog.findChild(QSpinBox, "protolabelPointsCount").value()
    report.picture("2_draw_points_suggested", dialog)
    dialog.findChild(QSpinBox, "protolabelPointsCount").setValue(POINTS)
    dialog.findChild(QSpinBox, "protolabelPointsMinimum").setValue(6)
    pause(1.5)
    wait_until(draw.isEnabled, "the spread of the points", 60)
    report.picture("3_draw_points", dialog)
    draw.click()
    wait_until(lambda: accuracy.session.points is not None, "the points", 60)
    values["points_file"] = accuracy.session.points.source().partition("|")[0]
    pause(1.0)
    report.screen("4_points_drawn")

    # Labels, by the keyboard; what is true is read from the reference.
    truth = QgsRasterLayer(TRUTH, "truth")
    point_dock = accuracy.point_dock

    def press_truth() -> None:
        place = accuracy.points._points[accuracy.points.index].place
        value, known = truth.dataProvider().sample(place, 1)
        QTest.keyClick(canvas, Qt.Key.Key_0 + int(value) if known else Qt.Key.Key_S)

    button("LabelPoints").click()
    pause(1.5)
    values["map_is_hidden"] = not any(
        node.isVisible()
        for node in project.layerTreeRoot().findLayers()
        if node.layer().source() in (LABELS, CONFIDENCE)
    )
    report.screen("5_first_point")
    for _ in range(12):
        press_truth()
    QTest.keyClick(canvas, Qt.Key.Key_S)
    press_truth()
    QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    pause(1.0)
    values["after_some"] = read("PointCount", point_dock)
    report.screen("6_some_labelled")
    point_dock.findChild(QWidget, "protolabelPointPrediction").click()
    pause(1.0)
    report.screen("7_map_shown")
    point_dock.findChild(QWidget, "protolabelPointPrediction").click()

    # Drawing polygons takes the keys, and labelling gives them back.
    workspace.toggle_drawing(True)
    values["drawing_ends_labelling"] = workspace.drawing.active and not accuracy.points.active
    button("LabelPoints").click()
    values["labelling_ends_drawing"] = accuracy.points.active and not workspace.drawing.active

    # The next day.
    values["saved"] = project.write()
    project.clear()
    pause(0.5)
    values["ended_with_project"] = not accuracy.points.active and not point_dock.isVisible()
    project.read(str(FOLDER / "project.qgz"))
    pause(0.5)
    values["count_after_reading"] = read("ReferenceAbout")
    button("LabelPoints").click()
    values["resumed_at"] = accuracy.points.index
    while accuracy.points._points.count().left:
        press_truth()
    pause(1.0)
    report.screen("8_all_labelled")

    # How good the map is.
    point_dock.close()
    values["map_is_back"] = project.layerTreeRoot().findLayer(accuracy.session.label_map.id()).isVisible()
    button("Assess").click()
    wait_until(lambda: not accuracy.busy, "the assessment", 120)
    pause(1.0)
    values["bar"], values["overall"] = dock.bar.text, read("Overall")
    values["meaning"], values["interval"] = read("Meaning"), read("OverallInterval")
    report.screen("9_assessed")
    dock.setFloating(True)
    dock.resize(470, 1150)
    pause(0.5)
    report.picture("10_dock_with_points", dock)
    report.picture("11_numbers", dock.view)
    accuracy.save_report_as(report.folder / "accuracy.html")
    accuracy.save_report_as(FOLDER / "accuracy.html")
    values["files"] = sorted(path.name for path in FOLDER.iterdir())

    # Against the whole reference.
    project.addMapLayer(truth)
    pause(0.2)
    kind = dock.findChild(QComboBox, "protolabelReferenceKind")
    kind.setCurrentIndex(kind.findText("Reference raster"))
    kind.activated.emit(kind.currentIndex())
    layer = dock.findChild(QComboBox, "protolabelReferenceLayer")
    layer.setCurrentIndex(layer.findText("truth"))
    layer.activated.emit(layer.currentIndex())
    button("Assess").click()
    wait_until(lambda: not accuracy.busy, "the assessment against a raster", 120)
    pause(0.5)
    values["raster_bar"], values["raster_overall"] = dock.bar.text, read("Overall")
    values["basis"] = read("Basis")
    report.picture("12_dock_with_raster", dock)
    report.picture("13_numbers_of_raster", dock.view)

    # Nothing is left of it.
    folder = accuracy._folder
    qgis.utils.unloadPlugin(name)
    pause(0.5)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # which wait for an outer event loop
    values["left_children"] = [line for line in children_of(os.getpid()) if "backend" in line]
    values["left_widgets"] = [
        widget.objectName() for widget in window.findChildren(QWidget) if "protolabel" in widget.objectName()
    ]
    values["left_folder"] = folder.exists()


run_scenario(scenario)
