"""The accuracy dock with the real backend on a small map: numbers, report, points, and what can go wrong."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QWidget,
)

pytestmark = pytest.mark.slow
LONG = 60_000  # milliseconds


class Desk:
    """The dock on a project with the label map."""

    def __init__(self, plugin_module, qgis_iface, service, assessed_map):
        self.plugin_module, self.map = plugin_module, assessed_map
        self.project = QgsProject.instance()
        self.labels = QgsRasterLayer(str(assessed_map.labels), "labels")
        self.labels.setCustomProperty(plugin_module("plugin.results").RESULT_PROPERTY, True)
        self.project.addMapLayer(self.labels)
        qgis_iface.mapCanvas().setDestinationCrs(self.labels.crs())
        self.labeling = plugin_module("plugin.session").LabelingSession(self.project)
        self.accuracy = plugin_module("plugin.accuracy.room").AccuracyRoom(qgis_iface, self.labeling, service)
        self.said, self.refused = [], []
        self.accuracy.said.connect(self.said.append)
        self.accuracy.refused.connect(self.refused.append)
        self.dock, self.view = self.accuracy.dock, self.accuracy.dock.view

    def close(self):
        self.accuracy.close()
        self.labeling.close()

    def find(self, kind, name):
        return self.dock.findChild(kind, f"protolabel{name}")

    def seen(self, widget):
        """Whether it is shown as soon as the window is, which these tests have not on the screen."""
        return not widget.isHidden()

    def text(self, name):
        return self.find(QLabel, name).text()

    def add(self, layer):
        self.project.addMapLayer(layer)
        return layer

    def choose(self, name, entry):
        """Choose an entry of a box as a hand does."""
        box = self.find(QComboBox, name)
        box.setCurrentIndex(box.findText(entry))
        assert box.currentText() == entry
        box.activated.emit(box.currentIndex())

    def assess(self, qtbot):
        """Assess; returns what the bar says in the end."""
        self.find(QPushButton, "Assess").click()
        qtbot.waitUntil(lambda: not self.accuracy.busy, timeout=LONG)
        return self.dock.bar.text

    def cells(self, name):
        table = self.find(QTableWidget, name)
        return [
            [table.item(row, column).text() for column in range(table.columnCount())]
            for row in range(table.rowCount())
        ]


@pytest.fixture
def desk(plugin_module, qgis_new_project, qgis_iface, service, assessed_map, qtbot):
    desk = Desk(plugin_module, qgis_iface, service, assessed_map)
    yield desk
    desk.close()


@pytest.fixture
def against_raster(desk):
    desk.add(QgsRasterLayer(str(desk.map.truth), "truth"))
    desk.choose("ReferenceKind", "Reference raster")
    desk.choose("ReferenceLayer", "truth")
    return desk


def polygons(rows, fields="kind:string"):
    """A polygon layer in memory of (column, row, width, height in pixels, values...)."""
    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:26917&field=" + "&field=".join(fields.split(",")), "areas", "memory"
    )
    features = []
    for column, row, width, height, *values in rows:
        feature = QgsFeature(layer.fields())
        feature.setAttributes(values)
        left, top = 400_000 + 0.6 * column, 4_300_000 - 0.6 * row
        box = QgsRectangle(left, top - 0.6 * height, left + 0.6 * width, top)
        feature.setGeometry(QgsGeometry.fromRect(box))
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]
    return layer


def test_map_and_confidence_are_found(desk, assessed_map) -> None:
    assert desk.find(QComboBox, "AccuracyMap").currentText() == "labels"
    assert desk.find(QComboBox, "AccuracyConfidence").currentText() == "labels_confidence.tif"
    assert desk.text("AccuracyMapAbout") == "3 classes, 120 x 90 pixels"
    assert desk.accuracy.session.confidence == str(assessed_map.confidence)
    desk.choose("AccuracyConfidence", "None")
    assert desk.accuracy.session.confidence == ""


def test_against_a_raster(against_raster, qtbot) -> None:
    desk = against_raster
    assert desk.assess(qtbot) == ""
    # 6 of 120 columns are wrong at each of the two borders.
    assert desk.text("Overall") == "90.0 %" and "90 of 100" in desk.text("Meaning")
    assert desk.cells("Confusion") == [["3600", "0", "0"], ["540", "3060", "0"], ["0", "540", "3060"]]
    assert desk.seen(desk.view) and desk.text("Basis").startswith("Counted: 10,800 pixels")
    rows = desk.cells("ClassAccuracy")
    assert [row[0] for row in rows] == ["building", "road", "grass"]
    building = rows[0]
    assert building[1].startswith("1.00") and building[2].startswith("0.87"), building


def test_report_is_opened_and_saved(against_raster, qtbot, tmp_path, monkeypatch) -> None:
    desk, opened = against_raster, []
    module = desk.plugin_module("plugin.accuracy.room")
    monkeypatch.setattr(module.QDesktopServices, "openUrl", opened.append)
    desk.assess(qtbot)
    desk.find(QPushButton, "OpenReport").click()
    report = Path(opened[0].toLocalFile())
    assert isinstance(opened[0], QUrl) and "<html" in report.read_text("utf-8").lower()
    target = tmp_path / "Genauigkeit ü"
    monkeypatch.setattr(module.QFileDialog, "getSaveFileName", lambda *a: (str(target), ""))
    desk.find(QPushButton, "SaveReport").click()
    assert (tmp_path / "Genauigkeit ü.html").read_bytes() == report.read_bytes()
    tables = list(tmp_path.glob("Genauigkeit ü_*.csv"))
    assert tables and all("," in path.read_text("utf-8") for path in tables)
    assert desk.said and not list(tmp_path.glob(".*part"))
    desk.find(QPushButton, "OpenReport").click()
    assert Path(opened[1].toLocalFile()) == tmp_path / "Genauigkeit ü.html"


def test_report_that_cannot_be_saved(against_raster, qtbot, tmp_path) -> None:
    desk = against_raster
    desk.assess(qtbot)
    desk.accuracy.save_report_as(tmp_path / "no such folder" / "report.html")
    assert "cannot be written" in desk.refused[0] and "choose another folder" in desk.refused[0]
    (tmp_path / "taken.html").mkdir()
    desk.accuracy.save_report_as(tmp_path / "taken.html")
    assert len(desk.refused) == 2 and not list(tmp_path.glob(".*part"))


def test_against_polygons_of_any_layer(desk, qtbot) -> None:
    areas = desk.add(polygons([(2, 5, 20, 20, "building"), (50, 5, 20, 20, "road"), (81, 5, 10, 10, "road")]))
    desk.choose("ReferenceKind", "Validation polygons")
    desk.choose("ReferenceLayer", "areas")
    desk.choose("ReferenceField", "kind")
    assert desk.text("ReferenceAbout") == "3 polygons"
    areas.startEditing()  # edits that are not saved count as well
    ids = [feature.id() for feature in areas.getFeatures()]
    areas.deleteFeature(ids[2])
    assert desk.assess(qtbot) == ""
    assert desk.cells("Confusion")[:2] == [["400", "0", "0"], ["0", "400", "0"]]
    report = desk.accuracy._assessment.report.read_text("utf-8")
    assert ">areas<" in report and str(desk.accuracy._folder) not in report
    areas.deleteFeature(ids[0])
    text = desk.assess(qtbot)
    assert "areas holds a single class" in text and "/" not in text
    areas.rollBack()


def test_validation_polygons_of_the_session(desk, qtbot, tmp_path) -> None:
    layers = desk.plugin_module("plugin.support_layer")
    support = desk.add(layers.create_support_layer(tmp_path / "s.gpkg", desk.labels.crs(), "drawn"))
    desk.labeling.set_support(support)
    desk.choose("ReferenceKind", "Validation polygons")
    assert "No validation polygon yet" in desk.text("ReferenceAbout")
    assert "no validation polygon yet" in desk.assess(qtbot)
    entry = desk.plugin_module("plugin.classes").ClassEntry
    building, road = entry(1, "building", "#d55e00"), entry(2, "road", "#999999")
    source = polygons([(2, 5, 20, 20), (50, 5, 20, 20), (60, 5, 4, 4)], "n:string")
    shapes = [feature.geometry() for feature in source.getFeatures()]
    layers.add_polygon(support, shapes[0], building, "validation")
    layers.add_polygon(support, shapes[1], road, "validation")
    layers.add_polygon(support, shapes[2], road)
    desk.dock.show_choices()
    assert desk.text("ReferenceAbout") == "2 validation polygons of 2 classes"
    without = desk.find(QCheckBox, "WithoutSupport")
    assert without.isEnabled() and without.isChecked()
    assert desk.assess(qtbot) == ""
    assert desk.cells("Confusion")[1][1] == "384" and "16 pixels" in desk.text("Basis")
    without.click()
    assert desk.assess(qtbot) == ""
    assert desk.cells("Confusion")[1][1] == "400" and "left out" not in desk.text("Basis")


def test_points_are_drawn_labelled_and_assessed(desk, qtbot, assessed_map, qgis_iface) -> None:
    assert "There are no points yet" in desk.assess(qtbot)
    desk.find(QPushButton, "DrawPoints").click()
    dialog = qgis_iface.mainWindow().findChild(QDialog, "protolabelDrawPointsDialog")
    ok = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    qtbot.waitUntil(ok.isEnabled, timeout=LONG)
    count, minimum = (dialog.findChild(QSpinBox, f"protolabelPoints{name}") for name in ("Count", "Minimum"))
    assert count.value() > 30, "a number is suggested"
    count.setValue(12)
    minimum.setValue(3)
    strata = dialog.findChild(QTableWidget, "protolabelPointsStrata")
    qtbot.waitUntil(lambda: sum(int(strata.item(row, 2).text()) for row in range(3)) == 12, timeout=LONG)
    ok.click()
    qtbot.waitUntil(lambda: desk.accuracy.session.points is not None, timeout=LONG)
    layer = desk.accuracy.session.points
    assert (
        layer.featureCount() == 12
        and Path(layer.source().partition("|")[0]).parent == assessed_map.labels.parent
    )
    assert "12 points are drawn" in desk.dock.bar.text
    assert "No point is labelled yet" in desk.assess(qtbot)

    desk.find(QPushButton, "LabelPoints").click()
    assert desk.seen(desk.accuracy.point_dock) and desk.accuracy.points.active
    for _ in range(11):
        place = desk.accuracy.points._points[desk.accuracy.points.index].place
        true = assessed_map.true_class(place.x(), place.y())
        QTest.keyClick(qgis_iface.mapCanvas(), Qt.Key.Key_0 + true)
    QTest.keyClick(qgis_iface.mapCanvas(), Qt.Key.Key_S)
    assert desk.text("ReferenceAbout") == "11 of 12 points labelled, 1 skipped"
    assert desk.assess(qtbot) == ""
    assert sum(int(cell) for row in desk.cells("Confusion") for cell in row) == 11
    assert "skipped: 1" in desk.text("Basis") and "95 %" in desk.text("OverallInterval")
    assert desk.accuracy.points.active, "labelling can go on"


def test_file_of_points_that_exists_is_not_replaced(desk, qtbot, sample_file, qgis_iface) -> None:
    desk.find(QPushButton, "DrawPoints").click()
    dialog = qgis_iface.mainWindow().findChild(QDialog, "protolabelDrawPointsDialog")
    ok = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    qtbot.waitUntil(ok.isEnabled, timeout=LONG)
    dialog.findChild(QWidget, "protolabelPointsFile").setFilePath(str(sample_file))
    assert not ok.isEnabled()
    assert "exists already" in dialog.findChild(QLabel, "protolabelDrawPointsStatus").text()
    dialog.close()


def test_choices_come_back_with_the_project(desk, qtbot, sample_file, tmp_path) -> None:
    desk.accuracy.open_points(sample_file)
    desk.find(QPushButton, "LabelPoints").click()
    desk.accuracy.points.label(2)
    assert desk.project.write(str(tmp_path / "project.qgz"))
    desk.project.clear()
    assert not desk.accuracy.points.active and desk.accuracy.session.points is None
    assert desk.project.read(str(tmp_path / "project.qgz"))
    assert desk.accuracy.session.points.featureCount() == 9
    assert desk.text("ReferenceAbout") == "1 of 9 points labelled"
    desk.find(QPushButton, "LabelPoints").click()
    assert desk.accuracy.points.index == 1
    # Even where the layer was taken out of the project before it was saved.
    desk.project.removeMapLayer(desk.accuracy.session.points.id())
    qtbot.wait(50)
    assert "Draw random points" in desk.text("ReferenceAbout")


def test_raster_without_overlap(desk, qtbot, tmp_path) -> None:
    from osgeo import gdal

    path = tmp_path / "elsewhere.tif"
    shutil.copy(desk.map.truth, path)
    data = gdal.Open(str(path), gdal.GA_Update)
    data.SetGeoTransform((700_000.0, 0.6, 0.0, 4_300_000.0, 0.0, -0.6))
    data = None
    desk.add(QgsRasterLayer(str(path), "elsewhere"))
    desk.choose("ReferenceKind", "Reference raster")
    desk.choose("ReferenceLayer", "elsewhere")
    text = desk.assess(qtbot)
    assert text and "Traceback" not in text and not desk.seen(desk.view), text
    assert "overlap" in text or "outside" in text or "elsewhere" in text, text


def test_raster_in_another_system(desk, qtbot, tmp_path) -> None:
    from osgeo import gdal

    path = tmp_path / "mercator.tif"
    gdal.Warp(str(path), str(desk.map.truth), dstSRS="EPSG:3857", xRes=0.4, yRes=0.4)
    desk.add(QgsRasterLayer(str(path), "mercator"))
    desk.choose("ReferenceKind", "Reference raster")
    desk.choose("ReferenceLayer", "mercator")
    assert desk.assess(qtbot) == ""
    assert float(desk.text("Overall").split()[0]) == pytest.approx(90.0, abs=1.5)


@pytest.fixture
def long_run(desk, qtbot, tmp_path):
    """An assessment of a large map that has begun and does not end soon."""
    from osgeo import gdal

    layers = []
    for source in (desk.map.labels, desk.map.truth):
        path = tmp_path / f"large_{source.name}"
        gdal.Translate(
            str(path), str(source), width=24_000, height=18_000, creationOptions=["COMPRESS=DEFLATE"]
        )
        layers.append(desk.add(QgsRasterLayer(str(path), path.stem)))
    desk.choose("AccuracyMap", "large_labels")
    desk.choose("ReferenceKind", "Reference raster")
    desk.choose("ReferenceLayer", "large_truth")
    desk.find(QPushButton, "Assess").click()
    qtbot.waitUntil(lambda: desk.dock.bar.bar.value() > 0, timeout=LONG)
    assert desk.accuracy.busy
    return layers


def test_cancel(desk, long_run, qtbot) -> None:
    desk.find(QPushButton, "AssessCancel").click()
    qtbot.waitUntil(lambda: not desk.accuracy.busy, timeout=15_000)
    assert "Cancelled" in desk.dock.bar.text and not desk.seen(desk.view)
    assert desk.seen(desk.find(QPushButton, "Assess"))


def test_worker_is_killed(desk, long_run, service, qtbot) -> None:
    os.kill(service.client().pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: not desk.accuracy.busy, timeout=15_000)
    assert "killed" in desk.dock.bar.text and "Traceback" not in desk.dock.bar.text
    # The next one starts another worker.
    desk.choose("AccuracyMap", "labels")
    desk.add(QgsRasterLayer(str(desk.map.truth), "truth"))
    desk.choose("ReferenceLayer", "truth")
    assert desk.assess(qtbot) == "" and desk.text("Overall") == "90.0 %"


def test_layer_is_removed_in_the_middle(desk, long_run, qtbot) -> None:
    desk.project.removeMapLayer(long_run[0].id())
    assert not desk.accuracy.busy and "was removed" in desk.dock.bar.text


def test_no_backend(plugin_module, qgis_new_project, qgis_iface, no_service, assessed_map, qtbot) -> None:
    desk = Desk(plugin_module, qgis_iface, no_service, assessed_map)
    desk.add(QgsRasterLayer(str(assessed_map.truth), "truth"))
    desk.choose("ReferenceKind", "Reference raster")
    desk.choose("ReferenceLayer", "truth")
    assert "PROTOLABEL_PYTHON" in desk.assess(qtbot)
    desk.close()


def test_map_is_the_reference(desk, qtbot) -> None:
    copy = desk.add(QgsRasterLayer(str(desk.map.labels), "copy"))
    desk.choose("ReferenceKind", "Reference raster")
    desk.accuracy.session.choose(map=desk.labels.id(), raster=copy.id())
    assert "label map itself" in desk.assess(qtbot)


def test_nothing_is_left(
    plugin_module, qgis_new_project, qgis_iface, service, assessed_map, sample_file
) -> None:
    desk = Desk(plugin_module, qgis_iface, service, assessed_map)
    desk.accuracy.open_points(sample_file)
    desk.find(QPushButton, "LabelPoints").click()
    folder = desk.accuracy._folder
    desk.close()
    assert not folder.exists()
