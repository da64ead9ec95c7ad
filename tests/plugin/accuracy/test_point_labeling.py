"""Labelling sample points by keyboard and mouse, on a canvas in a window; what the map says stays hidden."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapRendererCustomPainterJob,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QImage, QKeySequence, QPainter
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QCheckBox, QLabel, QMainWindow, QPushButton, QShortcut, QToolButton

KEY = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier


class Desk:
    """A window with a canvas and the dock beside it."""

    def __init__(self, plugin_module, qtbot, assessed_map, sample_file):
        self.project = QgsProject.instance()
        self.labels = QgsRasterLayer(str(assessed_map.labels), "labels")
        plugin_module("plugin.results").style_labels(self.labels)
        self.project.addMapLayer(self.labels)
        self.layer = plugin_module("plugin.accuracy.sample_points").open_sample(sample_file)
        self.project.addMapLayer(self.layer)
        self.window = QMainWindow()
        qtbot.addWidget(self.window)
        self.canvas = QgsMapCanvas(self.window)
        self.canvas.setDestinationCrs(self.labels.crs())
        self.canvas.setLayers([self.labels])
        self.canvas.setExtent(self.labels.extent())
        self.window.setCentralWidget(self.canvas)
        self.dock = plugin_module("plugin.panels.point_dock").PointDock(self.window)
        self.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.window.resize(800, 500)
        self.window.show()
        qtbot.waitExposed(self.window)
        self.window.activateWindow()
        module = plugin_module("plugin.accuracy.point_labeling")
        self.labeling = module.PointLabeling(self.canvas, self.project, self.dock)
        self.refused = []
        self.labeling.refused.connect(self.refused.append)

    def start(self):
        self.labeling.start(self.layer, self.labels)
        return self

    def key(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.canvas, key, modifier)

    def text(self, name):
        return self.dock.findChild(QLabel, f"protolabelPoint{name}").text()

    def click(self, name, kind=QToolButton):
        self.dock.findChild(kind, f"protolabelPoint{name}").click()

    def shown(self):
        return self.project.layerTreeRoot().findLayer(self.labels.id()).itemVisibilityChecked()

    def classes(self):
        return [feature["class_id"] or None for feature in self.layer.getFeatures()]

    def place(self, number):
        feature = next(f for f in self.layer.getFeatures() if f["point_id"] == number)
        transform = QgsCoordinateTransform(
            self.layer.crs(), self.canvas.mapSettings().destinationCrs(), self.project
        )
        return transform.transform(feature.geometry().asPoint())


@pytest.fixture
def desk(plugin_module, qtbot, qgis_new_project, assessed_map, sample_file):
    desk = Desk(plugin_module, qtbot, assessed_map, sample_file)
    yield desk
    desk.labeling.close()


def test_by_keyboard(desk) -> None:
    desk.start()
    assert desk.text("Number") == "Point 1 of 9" and desk.text("State") == "not labelled yet"
    desk.key(KEY.Key_2)
    assert desk.text("Number") == "Point 2 of 9" and "1 labelled, 8 left" in desk.text("Count")
    desk.key(KEY.Key_S)
    desk.key(KEY.Key_N)
    assert desk.text("Number") == "Point 4 of 9"
    desk.key(KEY.Key_Left)
    desk.key(KEY.Key_P)
    assert desk.text("Number") == "Point 2 of 9" and desk.text("State") == "skipped"
    desk.key(KEY.Key_Left)
    assert desk.text("State") == "road"
    desk.key(KEY.Key_3)
    assert desk.classes()[:3] == [3, None, None]
    # Labelled and skipped points are passed over.
    assert desk.text("Number") == "Point 3 of 9"
    for key in (KEY.Key_Right, KEY.Key_Return, KEY.Key_Enter):
        desk.key(key)
    assert desk.text("Number") == "Point 6 of 9"


def test_undo_goes_back_to_the_point(desk) -> None:
    desk.start()
    desk.key(KEY.Key_1)
    desk.key(KEY.Key_3)
    desk.key(KEY.Key_Z, CONTROL)
    assert desk.text("Number") == "Point 2 of 9" and desk.classes()[:2] == [1, None]
    desk.key(KEY.Key_Backspace)
    assert desk.text("Number") == "Point 1 of 9" and desk.classes()[:2] == [None, None]
    desk.key(KEY.Key_Backspace)
    assert "nothing to take back" in desk.text("Message")


def test_by_mouse(desk) -> None:
    desk.start()
    button = desk.dock.findChild(QPushButton, "protolabelPointClass3")
    assert button.text().split() == ["3", "grass"]
    button.click()
    desk.click("Skip")
    desk.click("Next")
    desk.click("Previous")
    assert desk.text("Number") == "Point 3 of 9" and desk.classes()[0] == 3
    desk.click("Undo")
    assert desk.text("Number") == "Point 2 of 9" and desk.text("State") == "not labelled yet"


def test_keys_of_qgis_stay_out(desk) -> None:
    fired = []
    for keys in ("S", "N", "1", "Ctrl+Z"):
        QShortcut(QKeySequence(keys), desk.window).activated.connect(lambda keys=keys: fired.append(keys))
    desk.start()
    desk.key(KEY.Key_1)
    desk.key(KEY.Key_S)
    desk.key(KEY.Key_N)
    desk.key(KEY.Key_Z, CONTROL)
    assert fired == [] and desk.classes()[0] == 1
    desk.labeling.stop()
    desk.key(KEY.Key_S)
    assert fired == ["S"]


def test_digits_with_shift_and_of_the_keypad(desk) -> None:
    desk.start()
    desk.key(KEY.Key_2, Qt.KeyboardModifier.ShiftModifier)
    desk.key(KEY.Key_3, Qt.KeyboardModifier.KeypadModifier)
    desk.key(KEY.Key_1, Qt.KeyboardModifier.AltModifier)
    desk.key(KEY.Key_S, Qt.KeyboardModifier.ShiftModifier)
    assert desk.classes()[:3] == [2, 3, None] and desk.text("Number") == "Point 3 of 9"


def test_keys_work_in_the_dock_as_well(desk) -> None:
    desk.start()
    for name in ("protolabelPointClass2", "protolabelPointPrediction"):
        widget = desk.dock.findChild((QPushButton, QCheckBox), name)
        widget.setFocus()
        QTest.keyClick(widget, KEY.Key_2)
    assert desk.classes()[:3] == [2, 2, None]


def test_zooms_to_the_point_and_keeps_the_analyst_s_scale(desk) -> None:
    desk.start()
    assert desk.canvas.center().distance(desk.place(1)) < 0.01
    assert 0.6 * 100 <= desk.canvas.extent().width() < 0.6 * 300
    desk.canvas.zoomByFactor(0.25)
    width = desk.canvas.extent().width()
    desk.key(KEY.Key_N)
    assert desk.canvas.center().distance(desk.place(2)) < 0.01
    assert desk.canvas.extent().width() == pytest.approx(width)
    desk.key(KEY.Key_Z)
    assert desk.canvas.extent().width() > 2 * width


def test_pixel_is_outlined_in_any_system(desk) -> None:
    desk.start()
    marker = desk.labeling._marker
    for system in ("EPSG:26917", "EPSG:3857"):
        desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(system))
        desk.labeling.zoom()
        box = marker.outline().boundingRect()
        center = desk.canvas.getCoordinateTransform().transform(desk.place(1))
        assert marker.isVisible() and box.width() > 1
        assert box.center().x() == pytest.approx(center.x(), abs=1.5)
        assert box.center().y() == pytest.approx(center.y(), abs=1.5)
    desk.labeling.stop()
    assert not marker.isVisible()


def test_map_is_hidden_unless_it_is_asked_for(desk) -> None:
    assert desk.shown()
    desk.start()
    says = desk.dock.findChild(QLabel, "protolabelPointMapSays")
    assert not desk.shown() and not says.isVisible()
    desk.click("Prediction", QCheckBox)
    assert desk.shown() and says.text() == "The map says: building" and says.isVisible()
    desk.click("Prediction", QCheckBox)
    assert not desk.shown() and not says.isVisible()
    desk.dock.close()
    assert desk.shown() and not desk.labeling.active


def test_map_comes_back_where_the_project_was_closed_meanwhile(desk, plugin_module, tmp_path) -> None:
    desk.start()
    assert desk.project.write(str(tmp_path / "p.qgz"))
    desk.labeling.stop()
    assert desk.project.read(str(tmp_path / "p.qgz"))
    node = next(n for n in desk.project.layerTreeRoot().findLayers() if n.layer().name() == "labels")
    assert not node.itemVisibilityChecked()
    desk.labeling.show_results()
    assert node.itemVisibilityChecked()
    node.setItemVisibilityChecked(False)
    desk.labeling.show_results()
    assert not node.itemVisibilityChecked(), "only once"


def test_ring_does_not_cover_the_pixel(desk) -> None:
    def drawn() -> bool:
        """Whether anything of the layer is in the middle of the map."""
        desk.canvas.setLayers([desk.layer])
        image = QImage(desk.canvas.mapSettings().outputSize(), QImage.Format.Format_RGB32)
        image.fill(QColor("white"))
        painter = QPainter(image)
        job = QgsMapRendererCustomPainterJob(desk.canvas.mapSettings(), painter)
        job.start()
        job.waitForFinished()
        painter.end()
        x, y = image.width() // 2, image.height() // 2
        return any(
            image.pixelColor(x + dx, y + dy).lightness() < 200 for dx in range(-8, 9) for dy in range(-8, 9)
        )

    desk.start()
    assert not drawn()
    desk.labeling.stop()
    assert drawn()


def test_map_that_was_hidden_before_stays_so(desk) -> None:
    desk.project.layerTreeRoot().findLayer(desk.labels.id()).setItemVisibilityChecked(False)
    desk.start().labeling.stop()
    assert not desk.shown()


def test_goes_on_at_the_first_that_is_left(desk) -> None:
    desk.start()
    for key in (KEY.Key_1, KEY.Key_S, KEY.Key_3):
        desk.key(key)
    desk.labeling.stop()
    source = desk.layer.source()
    desk.project.removeMapLayer(desk.layer.id())
    desk.layer = QgsVectorLayer(source, "again", "ogr")
    desk.project.addMapLayer(desk.layer)
    desk.start()
    assert desk.text("Number") == "Point 4 of 9" and "2 labelled, 6 left, 1 skipped" in desk.text("Count")


def test_the_end_is_told(desk) -> None:
    desk.start()
    for _ in range(9):
        desk.key(KEY.Key_1)
    assert "All points are done" in desk.text("Message") and desk.text("Number") == "Point 9 of 9"
    assert desk.labeling.active


def test_layer_is_removed(desk) -> None:
    desk.start()
    desk.key(KEY.Key_1)
    desk.project.removeMapLayer(desk.layer.id())
    assert not desk.labeling.active and desk.shown()
    assert desk.refused and "All labels are in its file" in desk.refused[0]
    desk.key(KEY.Key_1)


def test_map_is_removed(desk) -> None:
    desk.start()
    desk.project.removeMapLayer(desk.labels.id())
    desk.key(KEY.Key_2)
    assert desk.classes()[0] == 2
    desk.labeling.stop()


def test_label_that_cannot_be_saved_is_told(desk, plugin_module, monkeypatch) -> None:
    desk.start()
    monkeypatch.setattr(plugin_module("plugin.accuracy.sample_points").os, "access", lambda path, mode: False)
    desk.click("Class2", QPushButton)
    assert "nothing was saved" in desk.text("Message") and desk.text("Number") == "Point 1 of 9"
    assert not desk.dock.findChild(QPushButton, "protolabelPointClass2").isChecked()
    monkeypatch.undo()
    desk.key(KEY.Key_2)
    assert desk.text("Number") == "Point 2 of 9" and not desk.text("Message")


def test_class_list_changes(desk, plugin_module, monkeypatch) -> None:
    desk.start()
    desk.key(KEY.Key_3)
    entry = plugin_module("plugin.classes").ClassEntry
    changed = (entry(1, "building", "#d55e00"), entry(2, "path", "#777777"))
    monkeypatch.setattr(plugin_module("plugin.accuracy.point_labeling"), "classes_of", lambda layer: changed)
    desk.labels.emitStyleChanged()
    assert "classes that this map does not have (3)" in desk.text("Message")
    desk.key(KEY.Key_3)  # is no class any more
    desk.key(KEY.Key_2)
    assert desk.classes()[:3] == [3, 2, None]
    desk.key(KEY.Key_Left)
    desk.key(KEY.Key_Left)
    assert desk.text("State") == "class 3, which the map does not have"


def test_raster_without_classes(desk, plugin_module, make_geotiff) -> None:
    error = plugin_module("plugin.accuracy.sample_points").SamplePointsError
    with pytest.raises(error, match="names no classes"):
        desk.labeling.start(desk.layer, QgsRasterLayer(str(make_geotiff("plain.tif")), "plain"))
    assert not desk.labeling.active


@pytest.mark.parametrize(
    ("ids", "keys"),
    [
        ([1, 2, 3], {1: 1, 2: 2, 3: 3}),
        ([0, 1, 7], {0: 0, 1: 1, 7: 7}),
        ([10, 20], {10: 1, 20: 2}),
        (range(1, 13), {id: id for id in range(1, 10)}),
    ],
)
def test_number_keys(plugin_module, qgis_app, ids, keys) -> None:
    entry = plugin_module("plugin.classes").ClassEntry
    class_keys = plugin_module("plugin.panels.point_dock").class_keys
    assert class_keys([entry(id, f"c{id}", "#000000") for id in ids]) == keys
